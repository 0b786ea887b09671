//! A number of permits that anyone may take and anyone may give.
//!
//! Value, first in line and announcement of sleepers are one word (see [`Line`]), and every change is one exchange of it:
//! the dead have taken their permits or not, and nothing is between. Permits have no owners here. How they are waited for
//! says [`Turnstile`].

use super::line::Line;
use super::turnstile::{Attempt, Stock, Turnstile, Waiting};
use crate::sys::atomic::Ordering::{self, Acquire, Relaxed, Release};
use crate::sys::identity::{Oracle, Participant};
use crate::sys::seeded::seeded;
use crate::sys::step::step;
use crate::sys::until::{Over, Until};

/// A semaphore. All zero bytes are one without permits.
#[derive(Debug)]
#[cfg_attr(not(loom), repr(C))]
pub(crate) struct RawSemaphore {
    /// The payload of its word is the value.
    turnstile: Turnstile,
}

/// There would be more permits than a semaphore can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

impl RawSemaphore {
    /// The most permits that there can be.
    pub(crate) const MOST: u32 = Line::MOST;

    /// A semaphore with `value` permits.
    #[cfg(any(test, loom))]
    pub(super) fn new(value: u32) -> Self {
        RawSemaphore {
            turnstile: Turnstile::new(value),
        }
    }

    /// Ends everybody's sleep, as the end of a slice does, which a model has not.
    #[cfg(loom)]
    pub(super) fn end_slices(&self) {
        self.turnstile.end_slices();
    }

    /// Gives a semaphore that nobody else can see yet its permits.
    pub(crate) fn begin(&self, value: u32) {
        let word = Line(0).with_payload(value).0;
        step("semaphore.begin");
        self.turnstile.word.store(word, Relaxed); // published with the object
    }

    /// How many permits there are.
    #[inline]
    pub(crate) fn value(&self) -> u32 {
        Line(self.turnstile.word.load(Acquire)).payload() // pairs with `release`
    }

    /// Takes `count` permits if there are so many and they are not kept for somebody.
    #[inline]
    pub(crate) fn try_acquire(&self, count: u32) -> bool {
        let mut seen = self.turnstile.load();
        loop {
            if seen.is_kept() || seen.payload() < count {
                return false;
            }
            let taken = seen.0 - u64::from(count);
            step("semaphore.take");
            // Acquire: pairs with `release`; the exchanges are a chain.
            match self
                .turnstile
                .word
                .compare_exchange(seen.0, taken, Acquire, Relaxed)
            {
                Ok(_) => return true,
                Err(now) => seen = Line(now),
            }
        }
    }

    /// Gives `count` permits, and wakes as many sleepers.
    ///
    /// # Errors
    ///
    /// [`TooMany`], and none is given, if there would be more than [`MOST`](RawSemaphore::MOST).
    #[inline]
    pub(crate) fn release(&self, count: u32) -> Result<(), TooMany> {
        let mut seen = self.turnstile.load();
        loop {
            if count > Line::MOST - seen.payload() {
                return Err(TooMany);
            }
            let given = Line(seen.0 + u64::from(count));
            step("semaphore.give");
            match self
                .turnstile
                .word
                .compare_exchange(seen.0, given.0, give_order(), Relaxed)
            {
                Ok(_) => {
                    if given.is_watched() {
                        self.turnstile.wake(given, count);
                    }
                    return Ok(());
                }
                Err(now) => seen = Line(now),
            }
        }
    }

    /// Waits until there are `count` permits and takes them; `me` is who the caller is among its `peers`.
    ///
    /// # Errors
    ///
    /// Why `until` is over. Nothing is taken.
    #[cold]
    pub(crate) fn acquire(
        &self,
        count: u32,
        until: Until<'_>,
        me: Option<Participant>,
        peers: &dyn Oracle,
    ) -> Result<(), Over> {
        let waiting = Waiting::new(count, until, me, peers);
        self.turnstile.pass(self, waiting)
    }

    /// Does what the participant `dead`, of which the caller knows that it is dead, still had to do here.
    pub(crate) fn repair(&self, dead: Participant) {
        self.turnstile.repair(self, dead);
    }
}

impl Stock for RawSemaphore {
    fn attempt(&self, waiting: &Waiting<'_>, seen: Line) -> Attempt {
        let is_free = !seen.is_kept() || waiting.is_first;
        if !is_free || seen.payload() < waiting.count {
            return Attempt::Short {
                some: seen.payload() > 0,
            };
        }
        let taken = seen.0 - u64::from(waiting.count);
        step("semaphore.take-late");
        // Acquire: pairs with `release`.
        match self
            .turnstile
            .word
            .compare_exchange(seen.0, taken, Acquire, Relaxed)
        {
            Ok(_) => Attempt::Done,
            Err(_) => Attempt::Again,
        }
    }

    fn left(&self) -> u32 {
        self.value()
    }
}

fn give_order() -> Ordering {
    if seeded("semaphore-missing-release") {
        Relaxed
    } else {
        Release // pairs with whoever takes: he sees what was done before this
    }
}

// SAFETY: repr(C), atomics only.
#[cfg(not(loom))]
unsafe impl crate::segment::layout::Layout for RawSemaphore {}

#[cfg(not(loom))]
const _: () = assert!(size_of::<RawSemaphore>() == 32);

#[cfg(all(test, not(loom)))]
mod tests;
