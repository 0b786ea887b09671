//! The lock under the model checker: every interleaving of few threads, with a death at every step of one of them.
//!
//! The code is the lock's own. The futex and the robust list are models of the kernel's, and the oracle is a flag that
//! is raised after the kernel has walked the dead thread's list, as byte locks go after the last thread.

use super::models::{actor_as, check, check_up_to};
use super::{Claimant, RawLock, Refused};
use crate::sys::atomic::{AtomicU64, Ordering::SeqCst};
use crate::sys::clock::Deadline;
use crate::sys::identity::{Oracle, Participant};
use crate::sys::robust;
use crate::sys::step::model::until_step;
use loom::cell::UnsafeCell;
use loom::sync::Arc;

/// More steps than any actor below takes.
const STEPS: i64 = 20;

struct Shared {
    lock: RawLock,
    data: UnsafeCell<u32>,
    /// Bit n is set once participant n is dead.
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
            data: UnsafeCell::new(0),
            dead: AtomicU64::new(0),
        })
    }

    fn lock(&self, who: u16) -> Result<(), Refused> {
        let me = participant(who);
        if self.lock.claim(&Claimant::new(me, self)) {
            return Ok(());
        }
        self.lock.lock(me, self, Deadline::NEVER)
    }

    /// The critical section: loom reports any access that is not ordered after the last.
    fn touch(&self) {
        // SAFETY: loom checks the claim that this access is exclusive.
        self.data.with_mut(|data| unsafe { *data += 1 });
    }

    fn touched(&self) -> u32 {
        // SAFETY: as for `touch`.
        self.data.with(|data| unsafe { *data })
    }

    fn pass_through(&self, who: u16) {
        self.lock(who).expect("nobody dies here");
        self.touch();
        self.lock.unlock();
    }

    /// Locks whatever it takes; returns whether it had to recover.
    fn lock_or_recover(&self, who: u16) -> bool {
        match self.lock(who) {
            Ok(()) => false,
            Err(Refused::Marked(owner)) => {
                assert_eq!(owner.participant(), Some(VICTIM), "only the victim dies");
                let me = participant(who);
                let origin = self.lock.recover(me, self, Deadline::NEVER).unwrap();
                assert!(origin.is_none_or(|o| o.participant() == Some(VICTIM)));
                origin.is_some()
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    fn survive(&self, who: u16) -> bool {
        let recovered = self.lock_or_recover(who);
        self.touch();
        self.lock.unlock();
        recovered
    }

    fn bury(&self, victim: Participant) {
        // no step: the oracle of the model, which no actor writes
        self.dead.fetch_or(1 << victim.get(), SeqCst);
    }
}

const VICTIM: Participant = Participant::FIRST;

fn participant(who: u16) -> Participant {
    Participant::new(who).unwrap()
}

#[test]
fn loom_lock_excludes_and_publishes() {
    check(|| {
        let shared = Shared::new();
        let actors = [1, 2].map(|who| actor_as(&shared, who, move |s| s.pass_through(who)));
        actors.map(|a| a.join().unwrap());
        assert_eq!(shared.touched(), 2);
    });
}

/// The faults that the alert once had need three preemptions to show.
#[test]
fn loom_lock_wakes_every_sleeper() {
    check_up_to(3, || {
        let shared = Shared::new();
        let actors = [1, 2, 3].map(|who| actor_as(&shared, who, move |s| s.pass_through(who)));
        actors.map(|a| a.join().unwrap());
        assert_eq!(shared.touched(), 3);
    });
}

/// Reserved for who sleeps: nobody is overtaken, and nobody sleeps on before a lock that is reserved for nobody.
#[test]
fn loom_lock_fair_wakes_every_sleeper() {
    for late in [false, true] {
        check(move || {
            let shared = Shared::new();
            if !late {
                shared.lock.make_fair();
            }
            let actors = [1, 2].map(|who| actor_as(&shared, who, move |s| s.pass_through(who)));
            robust::enter(3);
            shared.lock(3).expect("nobody dies here");
            shared.lock.make_fair();
            shared.touch();
            shared.lock.unlock();
            actors.map(|a| a.join().unwrap());
            assert_eq!(shared.touched(), 3);
        });
    }
}

/// A guard that is leaked by one thread is adopted by another, while a third waits.
#[test]
fn loom_lock_leaked_is_adopted_once() {
    check(|| {
        let shared = Shared::new();
        robust::enter(3);
        shared.lock(3).expect("free");
        shared.touch();
        shared.lock.leak(false);
        let waiter = actor_as(&shared, 1, |s| s.pass_through(1));
        let adopt = |s: &Shared, who: u16| {
            let adopted = s.lock.adopt(participant(who), s).is_ok();
            if adopted {
                s.touch();
                s.lock.unlock();
            }
            adopted
        };
        let other = actor_as(&shared, 2, move |s| adopt(s, 2));
        let mine = adopt(&shared, 3);
        assert!(other.join().unwrap() != mine, "one of them adopts");
        waiter.join().unwrap();
        assert_eq!(shared.touched(), 3);
    });
}

/// The alert ends under a holder who sees no sleeper; who announces himself too late for that must not sleep through
/// the store by which the next holder gives up.
#[test]
fn loom_lock_calm_comes_back_past_a_sleeper() {
    check(|| {
        let shared = Shared::new();
        shared.lock.raise_alert();
        let twice = actor_as(&shared, 1, |s| {
            s.pass_through(1);
            s.pass_through(1);
        });
        let sleeper = actor_as(&shared, 2, |s| s.pass_through(2));
        twice.join().unwrap();
        sleeper.join().unwrap();
        assert_eq!(shared.touched(), 3);
    });
}

/// One sleeper is woken and another sleeps on, whose announcement a store has overwritten, while the alert ends.
#[test]
fn loom_lock_remembers_who_sleeps_past_the_end_of_an_alert() {
    check(|| {
        let shared = Shared::new();
        let actors = [1, 2].map(|who| actor_as(&shared, who, move |s| s.pass_through(who)));
        robust::enter(3);
        shared.pass_through(3);
        shared.pass_through(3);
        actors.map(|a| a.join().unwrap());
        assert_eq!(shared.touched(), 4);
    });
}

#[test]
fn loom_lock_try_and_time_out_leave_nothing_behind() {
    check(|| {
        let shared = Shared::new();
        let waiter = actor_as(&shared, 1, |s| s.pass_through(1));
        let hasty = actor_as(&shared, 2, |s| {
            match s.lock.lock(participant(2), s, Deadline::NOW) {
                Ok(()) => s.lock.unlock(),
                Err(why) => assert_eq!(why, Refused::TimedOut),
            }
        });
        shared_pass(&shared);
        waiter.join().unwrap();
        hasty.join().unwrap();
        assert_eq!(shared.touched(), 2);
    });
}

fn shared_pass(shared: &Shared) {
    robust::enter(3);
    shared.pass_through(3);
}

/// The kernel walks the list of the dead; one survivor waits, or comes later.
#[test]
fn loom_lock_survives_a_death_at_every_step() {
    for n in 0..STEPS {
        check(move || {
            let shared = Shared::new();
            let victim = actor_as(&shared, VICTIM.get(), move |s| die_at(s, n, true));
            let survivor = actor_as(&shared, 2, |s| s.survive(2));
            victim.join().unwrap();
            survivor.join().unwrap();
        });
    }
}

/// Two sleepers: the one that the kernel wakes must see to the other.
///
/// One race is the sweep's: the victim dies between giving the lock up and the wake-up that it owes, and a passer-by
/// holds the lock while the kernel looks. In the model, where slices never end, only the sweep ends that sleep.
#[test]
fn loom_lock_death_reaches_both_waiters() {
    for n in 0..STEPS {
        check(move || {
            let shared = Shared::new();
            let victim = actor_as(&shared, VICTIM.get(), move |s| {
                die_at(s, n, true);
                s.lock.repair(VICTIM);
            });
            let survivors = [2, 3].map(|who| actor_as(&shared, who, move |s| s.survive(who)));
            victim.join().unwrap();
            survivors.map(|s| s.join().unwrap());
        });
    }
}

/// Past the kernel's limit nobody walks the list: those who come ask the oracle.
#[test]
fn loom_lock_unmarked_death_is_found_by_asking() {
    for n in 0..STEPS {
        check(move || {
            let shared = Shared::new();
            let died = actor_as(&shared, VICTIM.get(), move |s| die_at(s, n, false));
            died.join().unwrap();
            let other = actor_as(&shared, 2, |s| s.survive(2));
            robust::enter(3);
            shared.survive(3);
            other.join().unwrap();
        });
    }
}

/// A panic, or a recovery that gave up: the mark reaches everybody, and nobody sleeps on.
#[test]
fn loom_lock_mark_reaches_every_waiter() {
    check(|| {
        let shared = Shared::new();
        let marker = actor_as(&shared, VICTIM.get(), |s| {
            if s.lock(VICTIM.get()).is_ok() {
                s.touch();
                s.lock.unlock_marked(None);
            }
        });
        let waiters = [2, 3].map(|who| actor_as(&shared, who, move |s| s.survive(who)));
        marker.join().unwrap();
        waiters.map(|w| w.join().unwrap());
    });
}

/// The sweep and a waiter that asks the oracle mark the same word once.
#[test]
fn loom_lock_repair_and_recovery_race() {
    check(|| {
        let shared = Shared::new();
        let died = actor_as(&shared, VICTIM.get(), |s| die_at(s, 4, false));
        died.join().unwrap();
        let sweeper = actor_as(&shared, 2, |s| s.lock.repair(VICTIM));
        robust::enter(3);
        shared.survive(3);
        sweeper.join().unwrap();
        shared.survive(3);
    });
}

/// The victim locks, touches and unlocks until its `n`-th step, and the kernel does its part or does not.
fn die_at(shared: &Shared, n: i64, kernel_walks: bool) {
    let finished = until_step(n, || {
        let _ = shared.lock(VICTIM.get()).map(|()| {
            shared.touch();
            shared.lock.unlock();
        });
    });
    if finished.is_none() {
        if kernel_walks {
            shared.lock.kernel_walks();
        }
        shared.bury(VICTIM);
    }
}
