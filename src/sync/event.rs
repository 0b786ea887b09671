//! A flag that many wait for, in one word.
//!
//! | bits | meaning |
//! |---|---|
//! | 31..2 | how often the flag was cleared |
//! | 1 | somebody may sleep on this word |
//! | 0 | set |
//!
//! Nobody holds anything here, so the dead leave nothing to undo: a sleeper that died leaves bit 1, which costs the next
//! `set` a system call; a setter that died before its wake-up leaves it to the sleepers' slices. Who began to wait before
//! the flag was set is let through even if it was cleared since: the count of clearings tells.

use super::patience::Patience;
use crate::sys::atomic::{
    AtomicU32,
    Ordering::{AcqRel, Acquire, Relaxed},
};
use crate::sys::futex;
use crate::sys::identity::Oracle;
use crate::sys::seeded::seeded;
use crate::sys::step::step;
use crate::sys::until::{Over, Until};

/// See the table above. All zero bytes are a flag that is not set.
#[derive(Debug)]
#[cfg_attr(not(loom), repr(C))]
pub(crate) struct RawEvent {
    word: AtomicU32,
}

const SET: u32 = 1;
const SLEEPERS: u32 = 2;
const CLEARED: u32 = 4;

impl RawEvent {
    /// A flag that is not set.
    #[cfg(loom)]
    pub(super) fn new() -> Self {
        RawEvent {
            word: AtomicU32::new(0),
        }
    }

    /// Whether the flag is set.
    #[inline]
    pub(crate) fn is_set(&self) -> bool {
        self.word.load(Acquire) & SET != 0 // pairs with `set`
    }

    /// Sets the flag and wakes everybody who sleeps.
    #[inline]
    pub(crate) fn set(&self) {
        step("event.set");
        // Release: pairs with `is_set` and `wait`. An exchange also if the flag is set, so that what this setter did before
        // is seen as well; and in one order with the sleepers' announcement.
        let before = self.word.fetch_or(
            SET,
            if seeded("event-missing-release") {
                Relaxed
            } else {
                AcqRel
            },
        );
        if before & SLEEPERS != 0 && !seeded("event-lost-wakeup") {
            self.wake(before | SET);
        }
    }

    #[cold]
    fn wake(&self, set: u32) {
        step("event.wake");
        futex::wake_all(&self.word);
        step("event.calm");
        // From the exact word: whoever sleeps on a later one is not forgotten. Relaxed: says nothing but that.
        let _ = self
            .word
            .compare_exchange(set, set & !SLEEPERS, Relaxed, Relaxed);
    }

    /// Takes the flag back; who waits already and has not seen it yet is let through all the same.
    pub(crate) fn clear(&self) {
        let mut seen = self.word.load(Relaxed);
        while seen & SET != 0 {
            let cleared = seen.wrapping_add(CLEARED) & !(SET | SLEEPERS);
            step("event.clear");
            // Release: who is let through because of it has acquired what the setter did.
            match self.word.compare_exchange(seen, cleared, AcqRel, Relaxed) {
                Ok(_) if seen & SLEEPERS != 0 => return self.wake_late(),
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// The setter has not come to wake them, or died before it could, and bit 1 no longer says that they sleep.
    #[cold]
    fn wake_late(&self) {
        step("event.wake-late");
        futex::wake_all(&self.word);
    }

    /// Waits until the flag is set, or was set since this began.
    ///
    /// # Errors
    ///
    /// Why `until` is over.
    #[inline]
    pub(crate) fn wait(&self, until: Until<'_>, peers: &dyn Oracle) -> Result<(), Over> {
        if self.is_set() {
            return Ok(());
        }
        self.wait_slow(until, peers)
    }

    #[cold]
    fn wait_slow(&self, until: Until<'_>, peers: &dyn Oracle) -> Result<(), Over> {
        let mut patience = Patience::new(until, peers);
        let laps = |word: u32| word / CLEARED;
        let first = laps(self.word.load(Acquire));
        loop {
            let seen = self.word.load(Acquire); // pairs with `set`, or with the clearing that followed it
            if seen & SET != 0 || laps(seen) != first {
                return Ok(());
            }
            if patience.spin() {
                continue;
            }
            if let Some(over) = patience.over() {
                return Err(over);
            }
            if self.announce(seen) {
                step("event.sleep");
                futex::wait(&self.word, seen | SLEEPERS, patience.slice());
            }
        }
    }

    /// Sees to it that the word `seen` announces a sleeper; `false` if it changed meanwhile.
    fn announce(&self, seen: u32) -> bool {
        step("event.announce");
        // Relaxed: the word itself is all that matters, and its changes have one order.
        let announced = self
            .word
            .compare_exchange(seen, seen | SLEEPERS, Relaxed, Relaxed);
        announced.is_ok()
    }
}

// SAFETY: repr(C), one atomic.
#[cfg(not(loom))]
unsafe impl crate::segment::layout::Layout for RawEvent {}

#[cfg(not(loom))]
const _: () = assert!(size_of::<RawEvent>() == 4);
