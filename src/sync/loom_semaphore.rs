//! The semaphore under the model checker: no wake-up is lost, by small and large requests, and by any one death.
//!
//! Slices do not end in a model. Where a death is to cost no more than a slice, the model ends everybody's once; and who
//! has slept is passed over at once.

use super::RawSemaphore;
use super::models::{actor, check};
use super::word::Word;
use crate::sys::atomic::{AtomicU32, Ordering::SeqCst};
use crate::sys::clock::Deadline;
use crate::sys::identity::{Oracle, Participant};
use crate::sys::step::model::until_step;
use loom::cell::UnsafeCell;
use loom::sync::Arc;

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

    /// With the participant `who` as the giver.
    fn given_by(value: u32, who: u16) -> Arc<Self> {
        let shared = Shared::new(value);
        shared.semaphore.settle_on(giver(who));
        shared
    }

    /// Gives by a store, if that is for `who` to do.
    fn give_as(&self, who: u16, count: u32) {
        if !self.semaphore.give_as(giver(who), count) {
            self.give(count);
        }
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

/// The one thread of the participant `who`.
fn giver(who: u16) -> Word {
    Word::held(u64::from(who), Participant::new(who).unwrap())
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

#[test]
fn loom_semaphore_giver_excludes_and_publishes() {
    check(|| {
        let shared = Shared::given_by(1, 1);
        let pass = |s: &Shared, who| {
            s.take(who, 1);
            s.touch();
            s.give_as(who, 1);
        };
        let other = actor(&shared, move |s| {
            pass(s, 1);
            pass(s, 1);
        });
        pass(&shared, 2);
        other.join().unwrap();
        assert_eq!(shared.semaphore.value(), 1);
    });
}

/// Two sleepers, of whom the second does not wait for the barrier, and one who gives by stores.
#[test]
fn loom_semaphore_giver_loses_no_wakeup() {
    check(|| {
        let shared = Shared::given_by(0, 1);
        let sleepers = [2, 3].map(|who| actor(&shared, move |s| s.take(who, 1)));
        shared.give_as(1, 1);
        shared.give_as(1, 1);
        for sleeper in sleepers {
            sleeper.join().unwrap();
        }
        assert_eq!(shared.semaphore.value(), 0);
    });
}

/// Giver and others give, for a large and a small request.
#[test]
fn loom_semaphore_giver_serves_large_and_small() {
    check(|| {
        let shared = Shared::given_by(0, 1);
        let large = actor(&shared, |s| s.take(2, 2));
        let small = actor(&shared, |s| s.take(3, 1));
        shared.give_as(1, 1);
        shared.give_as(1, 2);
        large.join().unwrap();
        small.join().unwrap();
        assert_eq!(shared.semaphore.value(), 0);
    });
}

/// Who falls asleep while there is no giver yet is seen by the one there is then.
#[test]
fn loom_semaphore_giver_that_comes_late_loses_no_wakeup() {
    check(|| {
        let shared = Shared::new(0);
        let sleeper = actor(&shared, |s| s.take(2, 1));
        shared.semaphore.settle_on(giver(1));
        shared.give_as(1, 1);
        sleeper.join().unwrap();
        assert_eq!(shared.semaphore.value(), 0);
    });
}

/// Nobody takes what is not there, whatever he has read before: the giver's permit is taken by one of two.
#[test]
fn loom_semaphore_giver_gives_each_once() {
    check(|| {
        let shared = Shared::given_by(0, 1);
        let takers = [(); 2].map(|()| actor(&shared, |s| u32::from(s.semaphore.try_acquire(1))));
        shared.give_as(1, 1);
        let taken: u32 = takers.map(|taker| taker.join().unwrap()).iter().sum();
        assert_eq!(shared.semaphore.value(), 1 - taken);
    });
}

/// The giver dies before each of its steps; another goes on counting where it ended, and a slice later nobody sleeps.
#[test]
fn loom_semaphore_giver_dies_and_another_goes_on() {
    for n in 0..STEPS {
        check(move || {
            let shared = Shared::given_by(0, 1);
            let sleeper = actor(&shared, |s| s.take(2, 2));
            let died = actor(&shared, move |s| {
                until_step(n, || {
                    s.give_as(1, 1);
                    s.give_as(1, 1);
                });
            });
            died.join().unwrap();
            shared.dead.fetch_or(1 << 1, SeqCst);
            shared.semaphore.repair(Participant::new(1).unwrap());
            shared.semaphore.settle_on(giver(3));
            shared.semaphore.end_slices();
            shared.give_as(3, 1);
            shared.give_as(3, 1);
            sleeper.join().unwrap();
            assert!(shared.semaphore.value() <= 2);
        });
    }
}
