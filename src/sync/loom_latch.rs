//! The latch under the model checker: the last step wakes everybody, and whoever dies at it costs a slice.

use super::RawLatch;
use super::models::{actor, check};
use crate::sys::clock::Deadline;
use crate::sys::identity::{Oracle, Participant};
use crate::sys::step::model::until_step;
use loom::sync::Arc;

/// More steps than counting takes.
const STEPS: i64 = 5;

struct Shared {
    latch: RawLatch,
}

impl Oracle for Shared {
    fn is_alive(&self, _: Participant) -> bool {
        true
    }
}

impl Shared {
    fn new(count: u32) -> Arc<Self> {
        Arc::new(Shared {
            latch: RawLatch::new(count),
        })
    }

    fn wait(&self) {
        self.latch.wait(Deadline::NEVER.into(), self).unwrap();
    }
}

#[test]
fn loom_latch_lets_everybody_through() {
    check(|| {
        let shared = Shared::new(2);
        let sleeper = actor(&shared, Shared::wait);
        let other = actor(&shared, |s| {
            s.latch.count_down(1).unwrap();
            s.wait();
        });
        shared.latch.count_down(1).unwrap();
        sleeper.join().unwrap();
        other.join().unwrap();
        assert_eq!(shared.latch.left(), 0);
    });
}

#[test]
fn loom_latch_death_costs_a_slice() {
    for n in 0..STEPS {
        check(move || {
            let shared = Shared::new(1);
            let sleeper = actor(&shared, Shared::wait);
            let died = actor(&shared, move |s| {
                until_step(n, || s.latch.count_down(1).unwrap());
            });
            died.join().unwrap();
            shared.latch.end_slices();
            // Whoever died before it counted is counted for.
            let _ = shared.latch.count_down(1);
            sleeper.join().unwrap();
        });
    }
}
