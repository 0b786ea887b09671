//! The bias of a lock inside one process: its first user takes it by two stores, until somebody else wants it.
//!
//! | owner | busy | meaning |
//! |---|---|---|
//! | 0 | 0 | nobody has used it yet |
//! | a thread | 0, 1 | that thread's, without or with the lock |
//! | [`SHARED`] | 0 | everybody's, who take an ordinary lock; for good |
//!
//! The owner says that it is busy and looks whether it is the owner still. Who takes that away has all processors pass a barrier
//! before he looks whether the owner is busy: one of them sees the other.

use super::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use super::membarrier;
use super::seeded::seeded;

/// All zero is nobody's.
#[derive(Debug)]
pub(super) struct Bias {
    owner: AtomicU64,
    busy: AtomicU64,
}

/// No thread's name.
pub(super) const SHARED: u64 = u64::MAX;

impl Bias {
    #[cfg(not(loom))]
    pub(super) const fn new() -> Self {
        Bias {
            owner: AtomicU64::new(0),
            busy: AtomicU64::new(0),
        }
    }

    #[cfg(loom)]
    pub(super) fn new() -> Self {
        Bias {
            owner: AtomicU64::new(0),
            busy: AtomicU64::new(0),
        }
    }

    /// Takes the lock if it is biased to `me`.
    #[inline(always)]
    pub(super) fn enter(&self, me: u64) -> bool {
        if self.owner.load(Relaxed) != me || self.busy.load(Relaxed) != 0 {
            return false; // the owner's own stores, in the second case
        }
        // no step: memory of this process, here and below.
        self.busy.store(1, Relaxed);
        membarrier::light(); // the store above, before the look below; pairs with `share`
        if self.owner.load(Acquire) == me {
            return true; // Acquire: pairs with `give`
        }
        self.leave();
        false
    }

    /// Gives up what was entered.
    #[inline(always)]
    pub(super) fn leave(&self) {
        self.busy.store(0, Release); // no step: as above. Pairs with `share`
    }

    /// Whose it is.
    pub(super) fn owner(&self) -> u64 {
        self.owner.load(Relaxed) // changed under the ordinary lock, which the caller has
    }

    /// Has it be `me`'s from now on, who is busy, by who has the ordinary lock, and knows that it is nobody's; says whether
    /// somebody was busy who is no more.
    pub(super) fn give(&self, me: u64) -> bool {
        let was_busy = self.busy.load(Relaxed) != 0;
        self.busy.store(1, Relaxed); // no step: as above
        self.owner.store(me, Release); // no step: as above. Pairs with `enter`
        was_busy
    }

    /// Has it be everybody's from now on, by who has the ordinary lock; returns when the owner is not busy any more.
    pub(super) fn share(&self, mut pause: impl FnMut()) {
        self.owner.store(SHARED, Relaxed); // no step: as above
        if !seeded("bias-missing-barrier") {
            membarrier::heavy(); // pairs with `enter`
        }
        while self.busy.load(Acquire) != 0 {
            pause(); // Acquire: pairs with `leave`
        }
    }
}

#[cfg(all(test, loom))]
mod tests {
    use super::*;
    use loom::cell::UnsafeCell;
    use loom::sync::{Arc, Mutex};
    use loom::thread;

    struct Model {
        bias: Bias,
        lock: Mutex<()>,
        value: UnsafeCell<u64>,
    }

    impl Model {
        fn add(&self) {
            // SAFETY: the model checker reports who else is here.
            self.value.with_mut(|value| unsafe { *value += 1 });
        }

        fn add_by(&self, me: u64) {
            if !self.bias.enter(me) {
                let lock = self.lock.lock().unwrap();
                match self.bias.owner() {
                    0 => assert!(!self.bias.give(me)),
                    owner => {
                        if owner != SHARED {
                            self.bias.share(thread::yield_now);
                        }
                        self.add();
                        return drop(lock);
                    }
                }
            }
            self.add();
            self.bias.leave();
        }
    }

    #[test]
    fn loom_bias_lets_one_in_at_a_time() {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = builder.preemption_bound.or(Some(3));
        builder.check(|| {
            let model = Arc::new(Model {
                bias: Bias::new(),
                lock: Mutex::new(()),
                value: UnsafeCell::new(0),
            });
            let others = [2, 3].map(|name| {
                let model = Arc::clone(&model);
                thread::spawn(move || model.add_by(name))
            });
            model.add_by(1);
            model.add_by(1);
            others.map(|other| other.join().unwrap());
            model.add_by(1);
            // SAFETY: the others have ended.
            assert_eq!(model.value.with(|value| unsafe { *value }), 5);
        });
    }
}
