//! A number of permits that anyone may take and anyone may give.
//!
//! First in line, announcement of sleepers and the permits but for some are one word (see [`Line`]), and almost every change
//! is one exchange of it: the dead have taken their permits or not, and nothing is between. Permits have no owners here.
//! How they are waited for says [`Turnstile`].
//!
//! *Giving by stores.* One thread, the *giver*, counts what it gives in a word that nobody else writes, which saves it one
//! exchange of two. The value is the sum of both, as 32-bit numbers that wrap: the word of one whose permits the giver gave
//! and others took is below zero. Who takes reads the word, then the count, and exchanges the word. The count only grows:
//! if the word is still the same, there is at least what was read. The first to give becomes the giver; the sweep makes
//! room for another when it has died.
//!
//! The giver looks at the word for sleepers behind its store, without a fence. The first sleeper to announce himself has all
//! processors pass a barrier before he looks for permits once more; from then on the giver gives as everybody does.

use super::Claimant;
use super::line::Line;
use super::turnstile::{Attempt, Stock, Turnstile, Waiting};
use super::word::Word;
use crate::sys::atomic::{
    AtomicU64,
    Ordering::{self, AcqRel, Acquire, Relaxed, Release, SeqCst},
};
use crate::sys::identity::{Oracle, Participant};
use crate::sys::membarrier;
use crate::sys::robust::ThreadList;
use crate::sys::seeded::seeded;
use crate::sys::step::step;
use crate::sys::until::{Over, Until};

/// A semaphore. All zero bytes are one without permits.
#[derive(Debug)]
#[cfg_attr(not(loom), repr(C))]
pub(crate) struct RawSemaphore {
    /// The payload of its word and what was given by stores make the value.
    turnstile: Turnstile,
    /// The thread that gives by stores, as it claims locks; 0 until anybody gives.
    giver: AtomicU64,
}

/// There would be more permits than a semaphore can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

/// Up to here permits are given by stores, and not more than these at once: beyond, an exchange has to see to it that there
/// are not too many. As the giver cannot know what others give at the same instant, there may be as many more, for which the
/// 32 bits have room; they are not lost, and not shown.
const ROOMY: u32 = RawSemaphore::MOST / 2;

impl RawSemaphore {
    /// The most permits that there can be.
    pub(crate) const MOST: u32 = i32::MAX as u32;

    /// A semaphore with `value` permits.
    #[cfg(any(test, loom))]
    pub(super) fn new(value: u32) -> Self {
        RawSemaphore {
            turnstile: Turnstile::new(value),
            giver: AtomicU64::new(0),
        }
    }

    /// Ends everybody's sleep, as the end of a slice does, which a model has not.
    #[cfg(loom)]
    pub(super) fn end_slices(&self) {
        self.turnstile.end_slices();
    }

    /// Gives a semaphore that nobody else can see yet its permits.
    pub(crate) fn begin(&self, value: u32) {
        let word = Line(0).more(value).0;
        step("semaphore.begin");
        self.turnstile.word.store(word, Relaxed); // published with the object
    }

    /// How many permits there are.
    #[inline]
    pub(crate) fn value(&self) -> u32 {
        let mut seen = self.turnstile.load();
        loop {
            let value = self.value_at(seen);
            let now = self.turnstile.load();
            if now == seen {
                return value.min(Self::MOST);
            }
            seen = now;
        }
    }

    /// How many permits there are at least, if the word is `seen` still; and at most, if it was when it was read.
    #[inline]
    fn value_at(&self, seen: Line) -> u32 {
        // Acquire: pairs with `give_as`. SeqCst: after an announcement.
        let given = self.turnstile.given.load(SeqCst);
        seen.payload().wrapping_add(given)
    }

    /// Takes `count` permits if that can be done by one exchange at once.
    ///
    /// `false` settles nothing: [`try_acquire`](RawSemaphore::try_acquire) must follow.
    #[inline]
    pub(crate) fn take_at_once(&self, count: u32) -> bool {
        let seen = self.turnstile.load();
        !seen.is_kept() && self.value_at(seen) >= count && self.take(seen, count).is_ok()
    }

    /// Takes `count` permits if there are so many and they are not kept for somebody.
    pub(crate) fn try_acquire(&self, count: u32) -> bool {
        let mut seen = self.turnstile.load();
        loop {
            if seen.is_kept() || self.value_at(seen) < count {
                return false;
            }
            match self.take(seen, count) {
                Ok(()) => return true,
                Err(now) => seen = now,
            }
        }
    }

    /// One attempt to take `count` permits from the word `seen`; else what it is now.
    #[inline]
    fn take(&self, seen: Line, count: u32) -> Result<(), Line> {
        let word = &self.turnstile.word;
        let taken = seen.less(count);
        step("semaphore.take");
        // Acquire: pairs with `release`; the exchanges are a chain. Release: pairs with `load`.
        match word.compare_exchange(seen.0, taken.0, AcqRel, Acquire) {
            Ok(_) => Ok(()),
            Err(now) => Err(Line(now)),
        }
    }

    /// Gives `count` permits by a store, if the calling thread is the giver and nothing is out of the ordinary.
    ///
    /// `false`: nothing is given; [`release`](RawSemaphore::release) must follow.
    #[inline]
    pub(crate) fn give_by_store(&self, count: u32, claimant: &Claimant) -> bool {
        let mine = claimant.word(ThreadList::here());
        mine.is_some_and(|mine| self.give_as(mine, count))
    }

    #[inline]
    pub(super) fn give_as(&self, mine: Word, count: u32) -> bool {
        // Relaxed: only this thread puts that there, and while it is there it alone writes `given`. A thread of the same
        // number, which can only be a later one, was made by the kernel after the former one ended.
        if self.giver.load(Relaxed) != mine.0 {
            return false;
        }
        let seen = self.turnstile.load();
        let given = self.turnstile.given.load(Relaxed); // as above
        let value = seen.payload().wrapping_add(given);
        if seen.is_watched() || (value | count) > ROOMY {
            return false;
        }
        step("semaphore.give-by-store");
        let counted = given.wrapping_add(count);
        self.turnstile.given.store(counted, give_order());
        membarrier::light(); // the store above, before the look below; pairs with `settle`
        let seen = self.turnstile.load();
        if seen.is_watched() {
            self.turnstile.wake(seen, count);
        }
        true
    }

    /// Whether nobody gives by stores yet.
    #[inline]
    pub(crate) fn has_no_giver(&self) -> bool {
        self.giver.load(Relaxed) == 0 // a hint: see `become_giver`
    }

    /// Makes the calling thread the giver, unless somebody else is, or this process does not pass others' barriers.
    #[cold]
    pub(crate) fn become_giver(&self, claimant: &Claimant) {
        let mine = claimant.word(ThreadList::here());
        if let Some(mine) = mine.filter(|_| membarrier::is_ready()) {
            self.settle_on(mine);
        }
    }

    pub(super) fn settle_on(&self, mine: Word) {
        step("semaphore.giver");
        // AcqRel: pairs with the look in `settle`, by an exchange. Who came first there is seen to sleep from here on, and who
        // comes later sees that there is a giver. Acquire pairs with `repair`.
        let _ = self.giver.compare_exchange(0, mine.0, AcqRel, Relaxed);
    }

    /// Gives `count` permits, and wakes as many sleepers.
    ///
    /// # Errors
    ///
    /// [`TooMany`], and none is given, if there would be more than [`MOST`](RawSemaphore::MOST).
    pub(crate) fn release(&self, count: u32) -> Result<(), TooMany> {
        let mut seen = self.turnstile.load();
        loop {
            if count > Self::MOST.saturating_sub(self.value_at(seen)) {
                if count > Self::MOST - self.value() {
                    return Err(TooMany);
                }
                seen = self.turnstile.load();
                continue;
            }
            let given = seen.more(count);
            step("semaphore.give");
            match self
                .turnstile
                .word
                .compare_exchange(seen.0, given.0, give_order(), Acquire)
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
        let giver = self.giver.load(Relaxed);
        if Word(giver).owner().participant() == Some(dead) {
            step("semaphore.no-giver");
            // From the exact dead word. Release pairs with `become_giver`: the next giver goes on counting where this one
            // ended.
            let _ = self.giver.compare_exchange(giver, 0, Release, Relaxed);
        }
        self.turnstile.repair(self, dead);
    }
}

impl Stock for RawSemaphore {
    fn attempt(&self, waiting: &Waiting<'_>, seen: Line) -> Attempt {
        let is_free = !seen.is_kept() || waiting.is_first;
        let value = self.value_at(seen);
        if !is_free || value < waiting.count {
            return Attempt::Short { some: value > 0 };
        }
        match self.take(seen, waiting.count) {
            Ok(()) => Attempt::Done,
            Err(_) => Attempt::Again,
        }
    }

    fn left(&self) -> u32 {
        self.value_at(self.turnstile.load())
    }

    fn settle(&self) {
        // AcqRel, read by an exchange: pairs with `settle_on`.
        let giver = self.giver.fetch_or(0, AcqRel); // no step: changes nothing
        if giver != 0 && !seeded("semaphore-unsettled-sleep") {
            membarrier::heavy(); // pairs with `membarrier::light` in `give_as`
        }
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
const _: () = assert!(size_of::<RawSemaphore>() == 40);

#[cfg(all(test, not(loom)))]
mod tests;
