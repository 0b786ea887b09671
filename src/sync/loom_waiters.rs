//! The queue of waiters under the model checker: lost notifications, those that race the end of the time, those of the
//! dead, and entries that are used again.
//!
//! The code is the queue's own. The user's lock is the model checker's, for the lock has models of its own; who takes it
//! after a death notifies everybody, as a condition does. A slice of a sleep never ends in a model, so what a sleeper's slice
//! would put right, a notifier's death between notification and wake-up, is left out; the sweep is an actor.

use super::models::{actor, check};
use super::waiters::{Outcome, Ticket, WaiterRing, Waiters};
use crate::sys::atomic::{AtomicU64, Ordering::SeqCst};
use crate::sys::bell::{Address, Bells, ModelBell};
use crate::sys::clock::Deadline;
use crate::sys::identity::{Oracle, Participant};
use crate::sys::step::model::until_step;
use loom::sync::{Arc, Mutex, MutexGuard};
use std::cell::RefCell;

/// More steps than a waiter takes.
const STEPS: i64 = 12;

const VICTIM: Participant = Participant::FIRST;

struct Shared {
    /// Permits that were given and not taken.
    permits: Mutex<u32>,
    tail: AtomicU64,
    ring: WaiterRing,
    /// Of the one who watches, if any does.
    bell: ModelBell,
    /// Bit n is set once participant n is dead.
    dead: AtomicU64,
}

impl Oracle for Shared {
    fn is_alive(&self, who: Participant) -> bool {
        self.dead.load(SeqCst) & 1 << who.get() == 0
    }
}

impl Bells for Shared {
    fn ring(&self, word: Address) {
        self.bell.ring(word);
    }
}

fn participant(who: u16) -> Participant {
    Participant::new(who).unwrap()
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Shared {
            permits: Mutex::new(0),
            tail: AtomicU64::new(0),
            ring: WaiterRing::new(),
            bell: ModelBell::new(),
            dead: AtomicU64::new(0),
        })
    }

    fn waiters(&self) -> Waiters<'_> {
        Waiters {
            tail: &self.tail,
            ring: &self.ring,
        }
    }

    fn lock(&self) -> MutexGuard<'_, u32> {
        self.permits.lock().expect("nobody panics with it")
    }

    fn notify(&self, most: u32) -> u32 {
        self.waiters().notify(most, self)
    }

    fn give(&self, count: u32, most: u32) {
        *self.lock() += count;
        self.notify(most);
    }

    /// Waits for a permit until `deadline`, and takes it; says whether it did. Keeps the lock in `held` while it has it.
    fn take_holding<'s>(&'s self, who: u16, deadline: Deadline, held: &Held<'s>) -> bool {
        let mut in_time = true;
        held.replace(Some(self.lock()));
        while in_time && !has_permit(held) {
            let ticket = self.waiters().enter(participant(who)).expect("room");
            held.replace(None);
            let until = deadline.into();
            let outcome = self.waiters().wait(ticket, until, self, &|| false);
            held.replace(Some(self.lock()));
            in_time = outcome == Outcome::Notified;
            if in_time {
                self.waiters().leave(ticket);
            }
        }
        let lock = held.take();
        // Whose time was over leaves the permit to the one who is notified of it.
        *lock.expect("held") -= u32::from(in_time);
        in_time
    }

    /// Whether the waiter is notified, or else leaves.
    fn looks_once(&self, ticket: Ticket) -> bool {
        let outcome = self.waiters().wait(ticket, NOW.into(), self, &|| false);
        outcome == Outcome::Notified
    }

    fn take(&self, who: u16, deadline: Deadline) -> bool {
        self.take_holding(who, deadline, &RefCell::new(None))
    }

    /// Watches until it is notified, by the bell: as `wait_any` does, in one slice.
    fn watch(&self, ticket: Ticket) {
        loop {
            self.bell.hush();
            self.waiters().watch(ticket);
            if self.waiters().is_over(ticket) {
                return;
            }
            self.bell.wait();
        }
    }

    /// Waits for a permit as a watcher, and takes it.
    fn take_watching<'s>(&'s self, who: u16, held: &Held<'s>) {
        held.replace(Some(self.lock()));
        while !has_permit(held) {
            let ticket = self.waiters().enter(participant(who)).expect("room");
            held.replace(None);
            self.watch(ticket);
            held.replace(Some(self.lock()));
            self.waiters().finish(ticket);
        }
        *held.take().expect("held") -= 1;
    }
}

/// Where a waiter keeps the lock: outside of itself, as it may die at any step.
type Held<'s> = RefCell<Option<MutexGuard<'s, u32>>>;

fn has_permit(held: &Held<'_>) -> bool {
    held.borrow().as_ref().is_some_and(|permits| **permits > 0)
}

const NEVER: Deadline = Deadline::NEVER;
const NOW: Deadline = Deadline::NOW;

#[test]
fn loom_waiters_lose_no_notification() {
    check(|| {
        let shared = Shared::new();
        let waiter = actor(&shared, |s| s.take(1, NEVER));
        shared.give(1, 1);
        assert!(waiter.join().unwrap());
    });
}

/// Two at once, of whom each is notified by another, or both by one.
#[test]
fn loom_waiters_are_all_notified() {
    for most in [1, u32::MAX] {
        check(move || {
            let shared = Shared::new();
            let waiters = [1, 2].map(|who| actor(&shared, move |s| s.take(who, NEVER)));
            if most == 1 {
                shared.give(1, 1);
                shared.give(1, 1);
            } else {
                shared.give(2, most);
            }
            for waiter in waiters {
                assert!(waiter.join().unwrap());
            }
        });
    }
}

/// Two notifiers at once never notify the same waiter.
#[test]
fn loom_waiters_have_one_notification_each() {
    check(|| {
        let shared = Shared::new();
        let first = shared.waiters().enter(participant(1)).unwrap();
        let second = shared.waiters().enter(participant(1)).unwrap();
        let notifiers = [2, 3].map(|_| actor(&shared, |s| s.notify(1)));
        for notifier in notifiers {
            assert_eq!(notifier.join().unwrap(), 1);
        }
        assert!(shared.looks_once(first) && shared.looks_once(second));
    });
}

/// The time of the first is over in the instant in which it is notified: the notification is either its own or the
/// second's.
#[test]
fn loom_waiters_end_of_time_eats_no_notification() {
    check(|| {
        let shared = Shared::new();
        let [first, second] = [1, 2].map(|who| shared.waiters().enter(participant(who)).unwrap());
        let hasty = actor(&shared, move |s| s.looks_once(first));
        assert_eq!(shared.notify(1), 1);
        assert_ne!(hasty.join().unwrap(), shared.looks_once(second));
    });
}

/// The same entry is used for one wait after the other while a notifier looks at it: a notifier that comes late for one of
/// them does not change another.
#[test]
fn loom_waiters_entries_come_back_as_other_words() {
    check(|| {
        let shared = Shared::new();
        let waiter = actor(&shared, |s| {
            for _ in 0..4 {
                if s.take(1, NOW) {
                    s.give(1, 1);
                }
            }
            s.take(1, NEVER)
        });
        shared.give(1, 1);
        assert!(waiter.join().unwrap());
    });
}

/// A waiter dies at any of its steps, with a notification, the lock or neither; another waits as well. Whoever takes the permit
/// leaves one for the other.
#[test]
fn loom_waiters_death_passes_the_notification_on() {
    for n in 0..STEPS {
        check(move || {
            let shared = Shared::new();
            let victim = actor(&shared, move |s| {
                die_at(s, n, |held| {
                    assert!(s.take_holding(VICTIM.get(), NEVER, held))
                });
            });
            let survivor = actor(&shared, |s| {
                assert!(s.take(2, NEVER));
                s.give(1, 1);
            });
            shared.give(1, 1);
            victim.join().unwrap();
            survivor.join().unwrap();
        });
    }
}

/// A watcher's ring is not lost, whenever it announces itself; a second notifier rings beside the first.
#[test]
fn loom_waiters_a_watcher_is_rung() {
    for notifiers in [1, 2] {
        check(move || {
            let shared = Shared::new();
            let watcher = actor(&shared, |s| s.take_watching(1, &RefCell::new(None)));
            let other = (notifiers == 2).then(|| actor(&shared, |s| s.notify(1)));
            shared.give(1, 1);
            watcher.join().unwrap();
            other.map(|other| other.join().unwrap());
        });
    }
}

/// One who watches and one who sleeps: each is woken in its own way, by one notifier for both.
#[test]
fn loom_waiters_watchers_and_sleepers_are_all_notified() {
    check(|| {
        let shared = Shared::new();
        let watcher = actor(&shared, |s| s.take_watching(1, &RefCell::new(None)));
        let sleeper = actor(&shared, |s| s.take(2, NEVER));
        shared.give(2, u32::MAX);
        watcher.join().unwrap();
        assert!(sleeper.join().unwrap());
    });
}

/// The first gives its place up in the instant in which it is notified: the second has the notification, or none was
/// given to the first.
#[test]
fn loom_waiters_who_resigns_eats_no_notification() {
    for watches in [false, true] {
        check(move || {
            let shared = Shared::new();
            let [first, second] =
                [1, 2].map(|who| shared.waiters().enter(participant(who)).unwrap());
            if watches {
                shared.waiters().watch(first);
            }
            let resigning = actor(&shared, move |s| s.waiters().resign(first, s));
            assert_eq!(shared.notify(1), 1);
            resigning.join().unwrap();
            assert!(shared.looks_once(second));
        });
    }
}

/// The same, where the other one sleeps.
#[test]
fn loom_waiters_who_resigns_wakes_the_next() {
    check(|| {
        let shared = Shared::new();
        let first = shared.waiters().enter(participant(1)).unwrap();
        shared.waiters().watch(first);
        let sleeper = actor(&shared, |s| s.take(2, NEVER));
        let resigning = actor(&shared, move |s| s.waiters().resign(first, s));
        shared.give(1, 1);
        resigning.join().unwrap();
        assert!(sleeper.join().unwrap());
    });
}

/// A watcher dies at any of its steps; another waits as well.
#[test]
fn loom_waiters_death_of_a_watcher_passes_the_notification_on() {
    for n in 0..STEPS {
        check(move || {
            let shared = Shared::new();
            let victim = actor(&shared, move |s| {
                die_at(s, n, |held| s.take_watching(VICTIM.get(), held));
            });
            let survivor = actor(&shared, |s| {
                assert!(s.take(2, NEVER));
                s.give(1, 1);
            });
            shared.give(1, 1);
            victim.join().unwrap();
            survivor.join().unwrap();
        });
    }
}

/// The victim waits for a permit until its `n`-th step, or takes it; then the sweep does its part, and whoever finds the
/// lock marked.
fn die_at<'s>(shared: &'s Shared, n: i64, take: impl FnOnce(&Held<'s>)) {
    let held = RefCell::new(None);
    let outcome = until_step(n, || take(&held));
    match outcome {
        Some(()) => shared.give(1, 1),
        None => {
            // no step: the oracle of the model, which no actor writes
            shared.dead.fetch_or(1 << VICTIM.get(), SeqCst);
            shared.waiters().repair(VICTIM, shared);
            if held.take().is_some() {
                shared.notify(u32::MAX); // as who recovers does
            }
        }
    }
}
