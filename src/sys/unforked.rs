//! Numbers that are only this process's: a forked child, which has a copy of everything else, finds zero.
//!
//! For fast paths that compare with a number anyway: chosen such that zero is too little for anything, it tells them that
//! they run in a child as well.

#[cfg(not(loom))]
pub(crate) use kernel::Unforked;
#[cfg(loom)]
pub(crate) use model::Unforked;

#[cfg(not(loom))]
mod kernel {
    use crate::sys::atfork;
    use crate::sys::atomic::{AtomicU64, Ordering::Relaxed};

    /// See the module. Changed and looked at by one thread at a time.
    #[derive(Debug)]
    pub(crate) struct Unforked(Box<AtomicU64>);

    impl Unforked {
        pub(crate) fn new(value: u64) -> Self {
            let number = Box::new(AtomicU64::new(value));
            // SAFETY: dismissed in `drop`, before the box is freed.
            unsafe { atfork::zero_in_children(&number) };
            Unforked(number)
        }

        #[inline(always)]
        pub(crate) fn get(&self) -> u64 {
            self.0.load(Relaxed) // changed by others in a child that has one thread
        }

        #[inline(always)]
        pub(crate) fn set(&self, value: u64) {
            self.0.store(value, Relaxed); // as above
        }
    }

    impl Drop for Unforked {
        fn drop(&mut self) {
            atfork::dismiss(&self.0);
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use crate::sys::actor::Actor;

        #[test]
        fn a_child_finds_zero_and_its_parent_what_it_had() {
            let (kept, dropped) = (Unforked::new(7), Unforked::new(8));
            drop(dropped);
            let mut child = Actor::start(|line| line.say(1 + kept.get() as u8));
            assert_eq!((child.hear(), kept.get()), (1, 7));
        }
    }
}

/// Nobody forks under the model checker.
#[cfg(loom)]
mod model {
    use std::cell::Cell;

    #[derive(Debug)]
    pub(crate) struct Unforked(Cell<u64>);

    impl Unforked {
        pub(crate) fn new(value: u64) -> Self {
            Unforked(Cell::new(value))
        }

        pub(crate) fn get(&self) -> u64 {
            self.0.get()
        }

        pub(crate) fn set(&self, value: u64) {
            self.0.set(value);
        }
    }
}
