//! A count that only goes down, and those who wait for its end, in one word.
//!
//! | bits | meaning |
//! |---|---|
//! | 31 | somebody may sleep on this word |
//! | 30..0 | what is left to count |
//!
//! A step down is one exchange, which the dead have made or not. Nobody holds anything. A sleeper that died leaves bit 31,
//! which costs the last step a system call; whoever made the last step and died before the wake-up leaves it to the slice
//! of the first sleeper to look, who wakes all others.

use super::patience::Patience;
use crate::sys::atomic::{
    AtomicU32,
    Ordering::{AcqRel, Acquire, Relaxed},
};
use crate::sys::futex::{self, Wake};
use crate::sys::identity::Oracle;
use crate::sys::seeded::seeded;
use crate::sys::step::step;
use crate::sys::until::{Over, Until};

/// See the table above. All zero bytes are a latch that has nothing left to count.
#[derive(Debug)]
#[cfg_attr(not(loom), repr(C))]
pub(crate) struct RawLatch {
    word: AtomicU32,
}

const SLEEPERS: u32 = 1 << 31;
const LEFT: u32 = SLEEPERS - 1;

/// Less is left than was to be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooFew {
    pub(crate) left: u32,
}

impl RawLatch {
    /// The most that can be counted.
    pub(crate) const MOST: u32 = LEFT;

    /// A latch with `count` left.
    #[cfg(any(test, loom))]
    pub(super) fn new(count: u32) -> Self {
        RawLatch {
            word: AtomicU32::new(count),
        }
    }

    /// Ends everybody's sleep, as the end of a slice does, which a model has not.
    #[cfg(loom)]
    pub(super) fn end_slices(&self) {
        futex::wake_all(&self.word);
    }

    /// Sets the count of a latch that nobody else can see yet.
    pub(crate) fn begin(&self, count: u32) {
        step("latch.begin");
        self.word.store(count & LEFT, Relaxed); // published with the object
    }

    /// What is left to count.
    #[inline]
    pub(crate) fn left(&self) -> u32 {
        self.word.load(Acquire) & LEFT // pairs with `count_down`
    }

    /// Counts `n` down, and wakes everybody if nothing is left.
    ///
    /// # Errors
    ///
    /// [`TooFew`], and nothing is counted, if less than `n` is left.
    #[inline]
    pub(crate) fn count_down(&self, n: u32) -> Result<(), TooFew> {
        let mut seen = self.word.load(Relaxed);
        loop {
            let left = seen & LEFT;
            if n > left {
                return Err(TooFew { left });
            }
            step("latch.count");
            // Release: pairs with `left` and `wait`, which see what everybody did who counted: the exchanges are a chain.
            match self.word.compare_exchange(seen, seen - n, AcqRel, Relaxed) {
                Ok(_) if seen - n == SLEEPERS && n > 0 => {
                    if !seeded("latch-lost-wakeup") {
                        self.wake();
                    }
                    return Ok(());
                }
                Ok(_) => return Ok(()),
                Err(now) => seen = now,
            }
        }
    }

    /// Wakes everybody, the count having come to its end.
    #[cold]
    fn wake(&self) {
        step("latch.wake");
        futex::wake_all(&self.word);
    }

    /// Waits until nothing is left to count.
    ///
    /// # Errors
    ///
    /// Why `until` is over.
    #[inline]
    pub(crate) fn wait(&self, until: Until<'_>, peers: &dyn Oracle) -> Result<(), Over> {
        if self.left() == 0 {
            return Ok(());
        }
        self.wait_slow(until, peers)
    }

    #[cold]
    fn wait_slow(&self, until: Until<'_>, peers: &dyn Oracle) -> Result<(), Over> {
        let mut patience = Patience::new(until, peers);
        let mut woken = Wake::Changed;
        loop {
            let seen = self.word.load(Acquire); // pairs with `count_down`
            if seen & LEFT == 0 {
                if woken == Wake::TimedOut {
                    self.wake(); // who made the last step may be dead, and in a crowd the others' slices are long
                }
                return Ok(());
            }
            if patience.spin() {
                continue;
            }
            if let Some(over) = patience.over() {
                return Err(over);
            }
            if seen & SLEEPERS != 0 || self.announce(seen) {
                step("latch.sleep");
                woken = futex::wait(&self.word, seen | SLEEPERS, patience.slice());
            }
        }
    }

    /// Sees to it that the word `seen` announces a sleeper; `false` if it changed meanwhile.
    fn announce(&self, seen: u32) -> bool {
        step("latch.announce");
        // Relaxed: the word itself is all that matters, and its changes have one order.
        let announced = self
            .word
            .compare_exchange(seen, seen | SLEEPERS, Relaxed, Relaxed);
        announced.is_ok()
    }
}

// SAFETY: repr(C), one atomic.
#[cfg(not(loom))]
unsafe impl crate::segment::layout::Layout for RawLatch {}

#[cfg(not(loom))]
const _: () = assert!(size_of::<RawLatch>() == 4);

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sys::clock::Deadline;
    use crate::sys::identity::Participant;
    use std::thread;

    struct Few;

    impl Oracle for Few {
        fn is_alive(&self, _: Participant) -> bool {
            true
        }
    }

    fn wait(latch: &RawLatch, deadline: Deadline) -> Result<(), Over> {
        latch.wait(deadline.into(), &Few)
    }

    #[test]
    fn it_counts_exactly_and_never_below_zero() {
        let latch = RawLatch::new(5);
        assert_eq!(latch.count_down(0), Ok(()));
        assert_eq!(latch.count_down(3), Ok(()));
        assert_eq!(latch.count_down(3), Err(TooFew { left: 2 }));
        assert_eq!(latch.left(), 2);
        assert_eq!(wait(&latch, Deadline::NOW), Err(Over::TimedOut));
        assert_eq!(latch.count_down(2), Ok(()));
        assert_eq!(wait(&latch, Deadline::NOW), Ok(()));
        assert_eq!(latch.count_down(1), Err(TooFew { left: 0 }));
        assert_eq!(latch.count_down(0), Ok(()));
    }

    #[test]
    fn the_largest_count_leaves_room_for_sleepers() {
        let latch = RawLatch::new(RawLatch::MOST);
        assert!(latch.announce(RawLatch::MOST));
        assert_eq!(latch.left(), RawLatch::MOST);
        assert_eq!(latch.count_down(RawLatch::MOST), Ok(()));
        assert_eq!(latch.left(), 0);
    }

    #[test]
    fn the_last_step_lets_everybody_through() {
        let latch = RawLatch::new(2);
        thread::scope(|scope| {
            let sleepers = [(); 3].map(|()| scope.spawn(|| wait(&latch, Deadline::NEVER)));
            while latch.word.load(Acquire) & SLEEPERS == 0 {
                thread::yield_now();
            }
            latch.count_down(1).unwrap();
            assert_eq!(wait(&latch, Deadline::NOW), Err(Over::TimedOut));
            latch.count_down(1).unwrap();
            for sleeper in sleepers {
                assert_eq!(sleeper.join().unwrap(), Ok(()));
            }
        });
    }

    /// As one leaves it that died after the last step and before its wake-up.
    #[test]
    fn a_sleeper_finds_the_end_by_itself() {
        let latch = RawLatch::new(1);
        thread::scope(|scope| {
            let sleepers = [(); 2].map(|()| scope.spawn(|| wait(&latch, Deadline::NEVER)));
            while latch.word.load(Acquire) & SLEEPERS == 0 {
                thread::yield_now();
            }
            latch.word.fetch_sub(1, AcqRel);
            for sleeper in sleepers {
                assert_eq!(sleeper.join().unwrap(), Ok(()));
            }
        });
    }
}
