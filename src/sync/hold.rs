//! What the holder of a reentrant lock notes beside it: how often it holds the lock, and whether the data are whole.
//!
//! Only the thread that holds the lock reads or writes this, and sees the writes of earlier holders by way of the lock.
//!
//! *All zero means one guard, and whole data*, which is how a lock is given up unmarked: who then takes it has nothing to
//! note. What the dead have left here lies under a marked lock, and who recovers that starts anew.
//!
//! | bits of the word | meaning |
//! |---|---|
//! | 63..32 | 0 whole; 1 torn by a panic of the holder; 2 the lock was marked when it was taken |
//! | 31..0 | how many guards there are beside the first |

use super::word::Owner;
use crate::segment::layout::{Layout, assert_offsets};
use crate::sys::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use crate::sys::step::step;

/// See the table above.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct RawHold {
    word: AtomicU64,
    /// Whom the mark names, in state 2.
    origin: AtomicU32,
    pad: AtomicU32,
}

const _: () = assert!(size_of::<RawHold>() == 16);
assert_offsets!(RawHold {
    word: 0,
    origin: 8,
    pad: 12
});

// SAFETY: repr(C), nothing but atomics.
unsafe impl Layout for RawHold {}

const FURTHER: u64 = u32::MAX as u64;
const SIMPLE: u64 = 0;
/// So many guards are counted at most.
const DEEPEST: u32 = u32::MAX;
const TORN: u64 = 1 << 32;
const MARKED: u64 = 2 << 32;

/// Why the data may be half changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    /// The holder panicked.
    Torn,
    /// Somebody held the lock before and died, or panicked, or did not mend them.
    Marked(Owner),
}

impl RawHold {
    #[inline]
    fn load(&self) -> u64 {
        self.word.load(Relaxed) // the lock orders it, here and below
    }

    #[inline]
    fn note(&self, word: u64) {
        step("hold.note");
        self.word.store(word, Relaxed);
    }

    /// The lock was just taken, perhaps from the dead; it was marked in the name of `origin`, or it was not marked.
    pub(crate) fn begin(&self, origin: Option<Owner>) {
        match origin {
            None => self.note(SIMPLE),
            Some(owner) => {
                step("hold.origin");
                self.origin.store(owner.0, Relaxed);
                self.note(MARKED);
            }
        }
    }

    /// One guard more; `false` if there are as many as can be counted.
    pub(crate) fn deepen(&self) -> bool {
        let word = self.load();
        let fits = depth(word) != DEEPEST;
        if fits {
            self.note(word + 1);
        }
        fits
    }

    /// One guard less; `false` if it is the last, which must give the lock up.
    pub(crate) fn rise(&self) -> bool {
        let word = self.load();
        let more = word & FURTHER != 0;
        if more {
            self.note(word - 1);
        }
        more
    }

    /// Whether there is one guard, and the data are whole.
    #[inline]
    pub(crate) fn is_simple(&self) -> bool {
        self.load() == SIMPLE
    }

    /// How many guards there are.
    pub(crate) fn depth(&self) -> u32 {
        depth(self.load())
    }

    /// Why the data may be half changed, if they may.
    pub(crate) fn damage(&self) -> Option<Damage> {
        match self.load() & !FURTHER {
            0 => None,
            TORN => Some(Damage::Torn),
            _ => Some(Damage::Marked(Owner(self.origin.load(Relaxed)))),
        }
    }

    /// The holder panicked; a mark that was there before stays in its name.
    pub(crate) fn tear(&self) {
        let word = self.load();
        if word & !FURTHER == 0 {
            self.note(word | TORN);
        }
    }

    /// The data are whole.
    pub(crate) fn mend(&self) {
        let word = self.load();
        if word & !FURTHER != 0 {
            self.note(word & FURTHER);
        }
    }
}

fn depth(word: u64) -> u32 {
    ((word & FURTHER) as u32).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold() -> RawHold {
        RawHold {
            word: AtomicU64::new(7),
            origin: AtomicU32::new(7),
            pad: AtomicU32::new(0),
        }
    }

    #[test]
    fn the_note_of_who_gives_up_is_that_of_who_takes() {
        let hold = hold();
        hold.begin(None);
        let begun = hold.load();
        assert!(hold.deepen() && hold.rise() && hold.load() == begun);
        hold.tear();
        hold.mend();
        assert_eq!((hold.load(), begun), (begun, SIMPLE));
    }

    #[test]
    fn depth_is_counted_from_the_taking_of_the_lock() {
        let hold = hold();
        hold.begin(None);
        assert!(hold.is_simple() && hold.deepen() && !hold.is_simple());
        assert_eq!(hold.depth(), 2);
        assert!(hold.rise() && !hold.rise());
        assert_eq!(hold.depth(), 1);
    }

    #[test]
    fn there_is_a_deepest() {
        let hold = hold();
        hold.note(TORN | (FURTHER - 2));
        assert!(hold.deepen() && !hold.deepen());
        assert_eq!(
            (hold.depth(), hold.damage()),
            (u32::MAX, Some(Damage::Torn))
        );
        assert!(hold.rise());
    }

    #[test]
    fn damage_lasts_until_it_is_mended_at_any_depth() {
        let hold = hold();
        hold.begin(Some(Owner(5)));
        assert!(hold.deepen());
        hold.tear();
        assert_eq!(hold.damage(), Some(Damage::Marked(Owner(5))));
        assert!(hold.rise() && !hold.is_simple());
        hold.mend();
        assert!(hold.damage().is_none() && hold.is_simple());
        hold.tear();
        assert_eq!(hold.damage(), Some(Damage::Torn));
        hold.begin(None);
        assert_eq!(hold.damage(), None);
    }
}
