//! The barrier under the model checker: the last arrival beside everything else that can end a round.
//!
//! The code is the barrier's own. The futex is a model of the kernel's, in which slices never end: after a death
//! somebody stirs the sleepers in their place.

use super::barrier::{Breakage, Call, Cause, Failed, RawBarrier, Watch};
use super::models::{actor, check};
use crate::sys::atomic::{AtomicU64, Ordering::SeqCst};
use crate::sys::clock::Deadline;
use crate::sys::identity::{Oracle, Participant};
use crate::sys::step::model::until_step;
use crate::sys::until::{Over, Until};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

/// More steps than any victim below takes.
const STEPS: i64 = 8;

const VICTIM: Participant = Participant::FIRST;

struct Shared {
    barrier: RawBarrier,
    /// What each party does before it arrives.
    data: [UnsafeCell<u32>; 3],
    dead: AtomicU64,
    told: AtomicU64,
}

impl Oracle for Shared {
    fn is_alive(&self, who: Participant) -> bool {
        who != VICTIM || self.dead.load(SeqCst) == 0
    }
}

impl Watch for Shared {
    fn missing(&self) -> Option<Breakage> {
        let (cause, pid) = (Cause::Died, 7);
        (self.dead.load(SeqCst) != 0).then_some(Breakage { cause, pid })
    }

    fn missing_at_last(&self) -> Option<Breakage> {
        self.missing()
    }

    fn pid(&self, _: Participant) -> u32 {
        7
    }
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Shared {
            barrier: RawBarrier::new(),
            data: std::array::from_fn(|_| UnsafeCell::new(0)),
            dead: AtomicU64::new(0),
            told: AtomicU64::new(0),
        })
    }

    fn call(&self, who: usize, until: Until<'static>) -> Call<'_> {
        Call {
            me: Participant::new(who as u16 + 1).unwrap(),
            pid: who as u32 + 1,
            parties: 2,
            until,
            peers: self,
            watch: self,
        }
    }

    fn wait(&self, who: usize, deadline: Deadline) -> Result<u32, Failed> {
        self.barrier.wait(&self.call(who, deadline.into()), None)
    }

    fn write(&self, who: usize) {
        // SAFETY: loom checks the claim that this access is exclusive.
        self.data[who].with_mut(|data| unsafe { *data += 1 });
    }

    fn read(&self, who: usize) -> u32 {
        // SAFETY: loom checks the claim that nobody writes meanwhile.
        self.data[who].with(|data| unsafe { *data })
    }
}

/// What each did before is seen by the other, and nobody of the next round is let go with this one.
#[test]
fn loom_barrier_rounds_follow_each_other() {
    check(|| {
        let shared = Shared::new();
        let rounds = |who: usize| {
            move |s: &Shared| {
                for round in 1..=2 {
                    s.write(who);
                    let first = s.wait(who, Deadline::NEVER).unwrap();
                    assert_eq!(s.read(1 - who), round);
                    let second = s.wait(who, Deadline::NEVER).unwrap();
                    assert!(first < 2 && second < 2);
                }
            }
        };
        let other = actor(&shared, rounds(1));
        rounds(0)(&shared);
        other.join().unwrap();
    });
}

/// Three meet in twos: one of them with the action of another round under way.
#[test]
fn loom_barrier_acts_before_anybody_goes_on() {
    check(|| {
        let shared = Shared::new();
        let act = |who: usize| {
            move |s: &Shared| {
                let action = || s.write(2);
                let call = s.call(who, Deadline::NEVER.into());
                s.barrier.wait(&call, Some(&action)).unwrap();
                assert_eq!(s.read(2), 1);
            }
        };
        let other = actor(&shared, act(1));
        act(0)(&shared);
        other.join().unwrap();
    });
}

/// Either both pass or neither does, and the first does not sleep on.
#[test]
fn loom_barrier_last_arrival_or_time_out() {
    check(|| {
        let shared = Shared::new();
        let patient = actor(&shared, |s| s.wait(0, Deadline::NEVER));
        let hasty = shared.wait(1, Deadline::NOW);
        match patient.join().unwrap() {
            Ok(index) => assert_eq!(hasty, Ok(1 - index)),
            Err(why) => {
                assert_eq!(hasty, Err(Failed::Over(Over::TimedOut)));
                let (cause, pid) = (Cause::GaveUp, 2);
                assert_eq!(why, Failed::Broken(Breakage { cause, pid }));
            }
        }
    });
}

/// Both give up, or the first of them does just when the other arrives.
#[test]
fn loom_barrier_two_time_outs() {
    check(|| {
        let shared = Shared::new();
        let other = actor(&shared, |s| s.wait(0, Deadline::NOW));
        let mine = shared.wait(1, Deadline::NOW);
        let other = other.join().unwrap();
        assert_eq!(mine.is_ok(), other.is_ok(), "{mine:?} {other:?}");
        assert_eq!(mine.is_ok(), !shared.barrier.is_broken());
    });
}

#[test]
fn loom_barrier_last_arrival_or_abort() {
    check(|| {
        let shared = Shared::new();
        let first = actor(&shared, |s| s.wait(0, Deadline::NEVER));
        let breaker = actor(&shared, |s| s.barrier.abort(3));
        let last = shared.wait(1, Deadline::NEVER);
        breaker.join().unwrap();
        let first = first.join().unwrap();
        assert_eq!(first.is_ok(), last.is_ok(), "{first:?} {last:?}");
        assert!(shared.barrier.is_broken());
    });
}

/// Who waits while somebody begins anew is told, waits again, and passes then.
#[test]
fn loom_barrier_reset_beside_waiters() {
    check(|| {
        let shared = Shared::new();
        let again = |who: usize| {
            move |s: &Shared| {
                let mut tries = 0;
                while s.wait(who, Deadline::NEVER).is_err() {
                    tries += 1;
                }
                assert!(tries <= 1);
            }
        };
        let other = actor(&shared, again(0));
        let resetter = actor(&shared, |s| s.barrier.reset(3));
        again(1)(&shared);
        other.join().unwrap();
        resetter.join().unwrap();
        assert_eq!(shared.barrier.waiting(2), 0);
    });
}

/// Two resets of one broken barrier, beside one who has not yet seen that it broke.
#[test]
fn loom_barrier_resets_tell_who_looks_late() {
    check(|| {
        let shared = Shared::new();
        let late = actor(&shared, |s| s.wait(0, Deadline::NEVER));
        let abort_and_reset = |s: &Shared| {
            s.barrier.abort(3);
            s.barrier.reset(3);
        };
        let other = actor(&shared, abort_and_reset);
        abort_and_reset(&shared);
        other.join().unwrap();
        shared.barrier.abort(4);
        assert!(matches!(late.join().unwrap(), Err(Failed::Broken(_))));
    });
}

/// The victim dies at its `n`-th step: the other passes, or is told of the death.
#[test]
fn loom_barrier_death_at_every_step() {
    for n in 0..STEPS {
        check(move || {
            let shared = Shared::new();
            let victim = actor(&shared, move |s| {
                let done = until_step(n, || s.wait(0, Deadline::NEVER));
                if done.is_none() {
                    // no step: the oracle of the model, which no actor writes
                    s.dead.store(1, SeqCst);
                    // Slices end again and again, until the survivor has looked.
                    while s.told.load(SeqCst) == 0 {
                        s.barrier.stir();
                        thread::yield_now();
                    }
                }
            });
            let turn = shared.wait(1, Deadline::NEVER);
            shared.told.store(1, SeqCst); // no step: the model's own
            match turn {
                Ok(_) => {}
                Err(Failed::Broken(why)) => assert_eq!((why.cause, why.pid), (Cause::Died, 7)),
                Err(other) => panic!("{other:?}"),
            }
            victim.join().unwrap();
        });
    }
}
