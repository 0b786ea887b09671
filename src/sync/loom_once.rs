//! The once under the model checker: done by one of several, seen by all, and done again after a death.

use super::models::{actor_as, check};
use super::once::RawOnce;
use super::{RawLock, Refused};
use crate::sys::atomic::{AtomicU64, Ordering::SeqCst};
use crate::sys::clock::Deadline;
use crate::sys::identity::{Oracle, Participant};
use crate::sys::robust;
use crate::sys::step::model::until_step;
use loom::cell::UnsafeCell;
use loom::sync::Arc;

/// More steps than the victim below takes.
const STEPS: i64 = 12;

struct Shared {
    lock: RawLock,
    once: RawOnce,
    value: UnsafeCell<u32>,
    done: AtomicU64,
    dead: AtomicU64,
}

impl Oracle for Shared {
    fn is_alive(&self, who: Participant) -> bool {
        self.dead.load(SeqCst) & 1 << who.get() == 0
    }
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Shared {
            lock: RawLock::new(),
            once: RawOnce::new(),
            value: UnsafeCell::new(0),
            done: AtomicU64::new(0),
            dead: AtomicU64::new(0),
        })
    }

    /// Gets the value, making it if there is none.
    fn get(&self, who: u16, deadline: Deadline) -> Result<u32, Refused> {
        let me = Participant::new(who).unwrap();
        if let Some(turn) = self.once.turn(&self.lock, me, self, deadline)? {
            // SAFETY: loom checks the claim that this access is exclusive.
            self.value.with_mut(|value| unsafe { *value = 7 });
            turn.finish();
            self.done.fetch_add(1, SeqCst); // no step: the model's own
        }
        // SAFETY: loom checks the claim that nobody writes meanwhile.
        Ok(self.value.with(|value| unsafe { *value }))
    }
}

#[test]
fn loom_once_is_done_by_one_and_seen_by_all() {
    check(|| {
        let shared = Shared::new();
        let actors = [1, 2].map(|who| {
            actor_as(&shared, who, move |s| {
                assert_eq!(s.get(who, Deadline::NEVER), Ok(7));
            })
        });
        if shared.once.is_done() {
            // SAFETY: loom checks the claim that nobody writes meanwhile.
            assert_eq!(shared.value.with(|value| unsafe { *value }), 7);
        }
        actors.map(|a| a.join().unwrap());
        assert_eq!(shared.done.load(SeqCst), 1);
    });
}

#[test]
fn loom_once_who_does_not_wait_does_not_do_it() {
    check(|| {
        let shared = Shared::new();
        let hasty = actor_as(&shared, 1, |s| match s.get(1, Deadline::NOW) {
            Ok(value) => assert_eq!(value, 7),
            Err(why) => assert_eq!(why, Refused::TimedOut),
        });
        robust::enter(2);
        assert_eq!(shared.get(2, Deadline::NEVER), Ok(7));
        hasty.join().unwrap();
        assert_eq!(shared.done.load(SeqCst), 1);
    });
}

#[test]
fn loom_once_is_done_again_after_a_death() {
    for n in 0..STEPS {
        check(move || {
            let shared = Shared::new();
            let victim = actor_as(&shared, 1, move |s| {
                if until_step(n, || s.get(1, Deadline::NEVER)).is_none() {
                    s.lock.kernel_walks();
                    s.dead.fetch_or(2, SeqCst); // no step: the oracle of the model
                }
            });
            let survivor = actor_as(&shared, 2, |s| assert_eq!(s.get(2, Deadline::NEVER), Ok(7)));
            victim.join().unwrap();
            survivor.join().unwrap();
        });
    }
}
