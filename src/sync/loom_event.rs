//! The event under the model checker: no wake-up is lost, whoever sets, clears or dies meanwhile.
//!
//! Slices do not end in a model. Where a death is to cost no more than a slice, the model ends everybody's once.

use super::RawEvent;
use super::models::{actor, check};
use crate::sys::bell::ModelBell;
use crate::sys::clock::Deadline;
use crate::sys::identity::{Oracle, Participant};
use crate::sys::step::model::until_step;
use loom::cell::UnsafeCell;
use loom::sync::Arc;

/// More steps than a setter or somebody who clears takes.
const STEPS: i64 = 6;

struct Shared {
    event: RawEvent,
    bell: ModelBell,
    data: UnsafeCell<u32>,
}

impl Oracle for Shared {
    fn is_alive(&self, _: Participant) -> bool {
        true
    }
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Shared {
            event: RawEvent::new(),
            bell: ModelBell::new(),
            data: UnsafeCell::new(0),
        })
    }

    fn wait(&self) {
        self.event.wait(Deadline::NEVER.into(), self).unwrap();
    }

    /// What is done before the event is set: loom reports who sees it without having been let through.
    fn prepare(&self) {
        // SAFETY: loom checks the claim that this access is exclusive.
        self.data.with_mut(|data| unsafe { *data = 7 });
    }

    fn look(&self) {
        // SAFETY: as for `prepare`.
        assert_eq!(self.data.with(|data| unsafe { *data }), 7);
    }
}

#[test]
fn loom_event_wakes_everybody_and_publishes() {
    check(|| {
        let shared = Shared::new();
        let sleepers = [(); 2].map(|()| {
            actor(&shared, |s| {
                s.wait();
                s.look();
            })
        });
        shared.prepare();
        shared.event.set(&shared.bell);
        sleepers.map(|s| s.join().unwrap());
    });
}

/// Two setters, one of whom may find the other's flag and wake in its place.
#[test]
fn loom_event_setters_race() {
    check(|| {
        let shared = Shared::new();
        let sleeper = actor(&shared, Shared::wait);
        let setter = actor(&shared, |s| s.event.set(&s.bell));
        shared.event.set(&shared.bell);
        sleeper.join().unwrap();
        setter.join().unwrap();
        assert!(shared.event.is_set());
    });
}

/// Somebody takes the flag back at once. Who began to wait too late for it is let through by the last `set`.
#[test]
fn loom_event_pulse_is_not_missed() {
    check(|| {
        let shared = Shared::new();
        let sleeper = actor(&shared, Shared::wait);
        let clearer = actor(&shared, |s| s.event.clear(&s.bell));
        shared.event.set(&shared.bell);
        clearer.join().unwrap();
        shared.event.set(&shared.bell);
        sleeper.join().unwrap();
    });
}

/// The one who sets, and clears, dies before each of its steps. What it has done counts; what it owed costs a slice.
#[test]
fn loom_event_death_costs_a_slice() {
    for n in 0..STEPS {
        check(move || {
            let shared = Shared::new();
            let sleeper = actor(&shared, Shared::wait);
            let died = actor(&shared, move |s| {
                until_step(n, || {
                    s.event.set(&s.bell);
                    s.event.clear(&s.bell);
                });
            });
            died.join().unwrap();
            shared.event.end_slices();
            shared.event.set(&shared.bell);
            sleeper.join().unwrap();
        });
    }
}
