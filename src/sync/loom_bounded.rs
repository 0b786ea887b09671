//! Permits with owners under the model checker: a permit given back is not slept through, and the dead give theirs back.
//!
//! Slices do not end in a model. Where a death is to cost no more than a slice, the model ends everybody's once; and who
//! has slept is passed over at once.

use super::bounded::{PermitWord, RawBounded, Undertaker};
use super::models::{actor, check};
use super::turnstile::Turnstile;
use crate::sys::atomic::{AtomicU32, Ordering::SeqCst};
use crate::sys::clock::Deadline;
use crate::sys::identity::{Oracle, Participant};
use crate::sys::step::model::until_step;
use loom::cell::UnsafeCell;
use loom::sync::Arc;

/// More steps than taking and giving back two permits takes.
const STEPS: i64 = 12;

struct Shared {
    turnstile: Turnstile,
    permits: Vec<PermitWord>,
    data: UnsafeCell<u32>,
    /// Bit n is set once participant n is dead.
    dead: AtomicU32,
}

impl Oracle for Shared {
    fn is_alive(&self, who: Participant) -> bool {
        self.dead.load(SeqCst) & 1 << who.get() == 0
    }
}

impl Undertaker for Shared {
    fn bury(&self, who: Participant) -> bool {
        self.raw().repair(who);
        true
    }
}

impl Shared {
    fn new(count: usize) -> Arc<Self> {
        Arc::new(Shared {
            turnstile: Turnstile::new(0),
            permits: (0..count).map(|_| PermitWord::new()).collect(),
            data: UnsafeCell::new(0),
            dead: AtomicU32::new(0),
        })
    }

    fn raw(&self) -> RawBounded<'_> {
        RawBounded::new(&self.turnstile, &self.permits)
    }

    fn take(&self, who: u16, count: u32) -> Vec<u32> {
        let me = Participant::new(who).unwrap();
        let one = || self.raw().try_acquire(me, 0);
        if let Some(index) = (count == 1).then(one).flatten() {
            return vec![index];
        }
        let until = Deadline::NEVER.into();
        self.raw().acquire(count, until, me, 0, self).unwrap()
    }

    fn pass(&self, who: u16, count: u32) {
        let taken = self.take(who, count);
        self.touch();
        self.raw().release_all(&taken);
    }

    /// What needs all permits: loom reports any access that is not ordered after the last.
    fn touch(&self) {
        // SAFETY: loom checks the claim that this access is exclusive.
        self.data.with_mut(|data| unsafe { *data += 1 });
    }
}

#[test]
fn loom_bounded_excludes_publishes_and_wakes() {
    check(|| {
        let shared = Shared::new(1);
        let other = actor(&shared, |s| s.pass(1, 1));
        shared.pass(2, 1);
        other.join().unwrap();
        assert_eq!(shared.raw().available(), 1);
    });
}

/// Both want both permits; neither keeps one of them to itself.
#[test]
fn loom_bounded_takes_several_together() {
    check(|| {
        let shared = Shared::new(2);
        let other = actor(&shared, |s| s.pass(1, 2));
        shared.pass(2, 2);
        other.join().unwrap();
        assert_eq!(shared.raw().available(), 2);
    });
}

/// One wants all, the other one at a time.
#[test]
fn loom_bounded_serves_large_and_small() {
    check(|| {
        let shared = Shared::new(2);
        let large = actor(&shared, |s| {
            let taken = s.take(1, 2);
            s.raw().release_all(&taken);
        });
        for _ in 0..2 {
            let taken = shared.take(2, 1);
            shared.raw().release(taken[0]);
        }
        large.join().unwrap();
        assert_eq!(shared.raw().available(), 2);
    });
}

/// The holder dies before each of its steps; the sweep frees what it held, and whoever waited goes on.
#[test]
fn loom_bounded_death_of_a_holder_costs_a_slice() {
    for n in 0..STEPS {
        check(move || {
            let shared = Shared::new(2);
            let sleeper = actor(&shared, |s| {
                let taken = s.take(2, 2);
                s.raw().release_all(&taken);
            });
            let died = actor(&shared, move |s| {
                let finished = until_step(n, || {
                    let taken = s.take(1, 1);
                    s.raw().release(taken[0]);
                });
                if finished.is_none() {
                    s.dead.fetch_or(1 << 1, SeqCst);
                }
            });
            died.join().unwrap();
            shared.raw().repair(Participant::FIRST);
            shared.turnstile.end_slices();
            sleeper.join().unwrap();
            assert_eq!(shared.raw().available(), 2);
        });
    }
}
