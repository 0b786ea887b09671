//! The semaphore under the model checker: no wake-up is lost, by small and large requests, and by any one death.
//!
//! Slices do not end in a model. Where a death is to cost no more than a slice, the model ends everybody's once; and who
//! has slept is passed over at once.

use super::RawSemaphore;
use crate::sys::atomic::{AtomicU32, Ordering::SeqCst};
use crate::sys::clock::Deadline;
use crate::sys::identity::{Oracle, Participant};
use crate::sys::step::model::until_step;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

/// More steps than any actor below takes.
const STEPS: i64 = 10;

struct Shared {
    semaphore: RawSemaphore,
    data: UnsafeCell<u32>,
    /// Bit n is set once participant n is dead.
    dead: AtomicU32,
}

impl Oracle for Shared {
    fn is_alive(&self, who: Participant) -> bool {
        self.dead.load(SeqCst) & 1 << who.get() == 0
    }
}

impl Shared {
    fn new(value: u32) -> Arc<Self> {
        Arc::new(Shared {
            semaphore: RawSemaphore::new(value),
            data: UnsafeCell::new(0),
            dead: AtomicU32::new(0),
        })
    }

    fn take(&self, who: u16, count: u32) {
        if !self.semaphore.try_acquire(count) {
            let until = Deadline::NEVER.into();
            let taken = self.semaphore.acquire(count, until, participant(who), self);
            taken.unwrap();
        }
    }

    fn give(&self, count: u32) {
        self.semaphore.release(count).unwrap();
    }

    /// What needs the one permit there is: loom reports any access that is not ordered after the last.
    fn touch(&self) {
        // SAFETY: loom checks the claim that this access is exclusive.
        self.data.with_mut(|data| unsafe { *data += 1 });
    }
}

fn participant(who: u16) -> Option<Participant> {
    Participant::new(who)
}

fn actor<R: 'static>(
    shared: &Arc<Shared>,
    act: impl FnOnce(&Shared) -> R + 'static,
) -> thread::JoinHandle<R> {
    let shared = shared.clone();
    thread::spawn(move || act(&shared))
}

fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(2));
    builder.check(model);
}

#[test]
fn loom_semaphore_of_one_excludes_and_publishes() {
    check(|| {
        let shared = Shared::new(1);
        let pass = |s: &Shared, who| {
            s.take(who, 1);
            s.touch();
            s.give(1);
        };
        let other = actor(&shared, move |s| pass(s, 1));
        pass(&shared, 2);
        other.join().unwrap();
        assert_eq!(shared.semaphore.value(), 1);
    });
}

/// Permits that come one by one, for sleepers who want one each.
#[test]
fn loom_semaphore_wakes_as_many_as_it_gives() {
    check(|| {
        let shared = Shared::new(0);
        let sleepers = [1, 2].map(|who| actor(&shared, move |s| s.take(who, 1)));
        shared.give(1);
        shared.give(1);
        for sleeper in sleepers {
            sleeper.join().unwrap();
        }
        assert_eq!(shared.semaphore.value(), 0);
    });
}

/// A wake-up that reaches the large request must not be lost for the small one, nor the other way round.
#[test]
fn loom_semaphore_serves_large_and_small() {
    check(|| {
        let shared = Shared::new(0);
        let large = actor(&shared, |s| s.take(1, 2));
        let small = actor(&shared, |s| s.take(2, 1));
        shared.give(1);
        shared.give(2);
        large.join().unwrap();
        small.join().unwrap();
        assert_eq!(shared.semaphore.value(), 0);
    });
}

/// Who will not wait any longer loses nobody's wake-up.
#[test]
fn loom_semaphore_try_loses_nothing() {
    check(|| {
        let shared = Shared::new(0);
        let sleeper = actor(&shared, |s| s.take(1, 1));
        shared.give(1);
        let until = Deadline::NOW.into();
        let taken = shared.semaphore.acquire(1, until, participant(2), &*shared);
        if taken.is_ok() {
            shared.give(1);
        }
        sleeper.join().unwrap();
        assert_eq!(shared.semaphore.value(), 0);
    });
}

/// The victim waits for two, and dies before each of its steps; what it leaves behind is the others'.
#[test]
fn loom_semaphore_nothing_is_kept_for_the_dead() {
    for n in 0..STEPS {
        check(move || {
            let shared = Shared::new(0);
            let victim = actor(&shared, move |s| {
                let finished = until_step(n, || s.take(1, 2));
                if finished.is_none() {
                    s.dead.fetch_or(1 << 1, SeqCst);
                }
            });
            shared.give(1);
            shared.give(1);
            victim.join().unwrap();
            shared.give(1);
            shared.take(2, 1);
        });
    }
}

/// The giver dies before each of its steps; what it gave counts.
#[test]
fn loom_semaphore_death_of_a_giver_costs_a_slice() {
    for n in 0..STEPS {
        check(move || {
            let shared = Shared::new(0);
            let sleeper = actor(&shared, |s| s.take(2, 2));
            let died = actor(&shared, move |s| {
                until_step(n, || {
                    s.give(1);
                    s.give(1);
                });
            });
            died.join().unwrap();
            shared.semaphore.end_slices();
            shared.give(2);
            sleeper.join().unwrap();
        });
    }
}
