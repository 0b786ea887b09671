//! The word of a semaphore: what there is, who comes first, and whether anybody may sleep.
//!
//! | bits | meaning |
//! |---|---|
//! | 63..46 | how often a sleeper announced himself, or somebody came first |
//! | 45 | *kept*: nobody else takes anything until the first in line has what it asked for |
//! | 44 | somebody may sleep |
//! | 43..32 | who comes first: a participant, or 0 |
//! | 31..0 | the permits of a semaphore, but for those that were given by stores; of a bounded one, 0 |
//!
//! The announcements are counted so that bit 44 is taken back from the exact word only, and never from under one who has
//! announced himself since.

use crate::sys::identity::Participant;

/// A value of the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line(pub(super) u64);

const PAYLOAD: u64 = u32::MAX as u64;
const FIRST_SHIFT: u32 = 32;
const FIRST: u64 = 0xfff << FIRST_SHIFT;
const SLEEPERS: u64 = 1 << 44;
const KEPT: u64 = 1 << 45;
const ANNOUNCED: u64 = 1 << 46;

impl Line {
    #[inline]
    pub(super) fn payload(self) -> u32 {
        self.0 as u32
    }

    #[inline]
    pub(super) fn with_payload(self, payload: u32) -> Self {
        Line(self.0 & !PAYLOAD | u64::from(payload))
    }

    /// Whether only the first in line may take anything.
    #[inline]
    pub(super) fn is_kept(self) -> bool {
        self.0 & KEPT != 0
    }

    #[inline]
    pub(super) fn has_sleepers(self) -> bool {
        self.0 & SLEEPERS != 0
    }

    /// Whether a change must be told to anybody.
    #[inline]
    pub(super) fn is_watched(self) -> bool {
        self.0 & (KEPT | SLEEPERS) != 0
    }

    /// Who comes first; a participant that nobody can be counts as nobody.
    pub(super) fn first(self) -> Option<Participant> {
        Participant::new((self.0 >> FIRST_SHIFT & 0xfff) as u16)
    }

    /// Whether everything is kept for `who`.
    pub(super) fn is_kept_for(self, who: Option<Participant>) -> bool {
        self.is_kept() && who.is_some() && self.first() == who
    }

    /// The same word with `who` as the first in line, for whom everything is kept.
    pub(super) fn kept_for(self, who: Participant) -> Self {
        Line(self.headed_by(who).0 | KEPT)
    }

    /// The same word with `who` as the first in line.
    pub(super) fn headed_by(self, who: Participant) -> Self {
        let first = u64::from(who.get()) << FIRST_SHIFT;
        Line((self.0 & !FIRST | first).wrapping_add(ANNOUNCED))
    }

    /// The same word with nobody in front.
    pub(super) fn without_first(self) -> Self {
        Line(self.0 & !(FIRST | KEPT))
    }

    /// The same word, announcing one more sleeper.
    pub(super) fn announcing(self) -> Self {
        Line((self.0 | SLEEPERS).wrapping_add(ANNOUNCED))
    }

    /// The same word, announcing nobody.
    pub(super) fn calm(self) -> Self {
        Line(self.0 & !SLEEPERS)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_parts_do_not_touch_each_other() {
        let who = Participant::LAST;
        let full = Line(u64::MAX).without_first().with_payload(u32::MAX);
        assert_eq!(full.payload(), u32::MAX);
        assert_eq!((full.is_kept(), full.first()), (false, None));
        let kept = full.kept_for(who);
        assert!(kept.is_kept_for(Some(who)) && !kept.is_kept_for(None));
        assert!(!kept.is_kept_for(Some(Participant::FIRST)));
        assert_eq!((kept.payload(), kept.has_sleepers()), (u32::MAX, true));
        assert_eq!(kept.without_first().calm().announcing().payload(), u32::MAX);
        assert!(!full.headed_by(who).is_kept_for(Some(who)));
    }

    #[test]
    fn every_announcement_makes_another_word_and_leaves_the_low_half() {
        let word = Line(u64::MAX).without_first();
        let once = word.announcing();
        assert_ne!(once, word);
        assert_ne!(once.announcing(), once);
        assert_eq!(once.payload(), word.payload());
        assert_ne!(word.headed_by(Participant::FIRST).without_first(), word);
    }
}
