//! The word of a semaphore: what there is, who comes first, and whether anybody may sleep.
//!
//! | bits | meaning |
//! |---|---|
//! | 63..32 | the permits of a semaphore, but for those that were given by stores; of a bounded one, 0 |
//! | 31..14 | how often a sleeper announced himself, or somebody came first |
//! | 13 | *kept*: nobody else takes anything until the first in line has what it asked for |
//! | 12 | somebody may sleep |
//! | 11..0 | who comes first: a participant, or 0 |
//!
//! The permits are uppermost: they wrap, and an addition to the whole word is all that takes or gives some.
//!
//! The announcements are counted so that bit 12 is taken back from the exact word only, and never from under one who has
//! announced himself since.

use crate::sys::identity::Participant;

/// A value of the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line(pub(super) u64);

const PAYLOAD_SHIFT: u32 = 32;
const FIRST: u64 = 0xfff;
const SLEEPERS: u64 = 1 << 12;
const KEPT: u64 = 1 << 13;
const ANNOUNCED: u64 = 1 << 14;
const ANNOUNCEMENTS: u64 = (1 << PAYLOAD_SHIFT) - ANNOUNCED;

impl Line {
    #[inline]
    pub(super) fn payload(self) -> u32 {
        (self.0 >> PAYLOAD_SHIFT) as u32
    }

    /// The same word with `count` permits more.
    #[inline]
    pub(super) fn more(self, count: u32) -> Self {
        Line(self.0.wrapping_add(u64::from(count) << PAYLOAD_SHIFT))
    }

    /// The same word with `count` permits less.
    #[inline]
    pub(super) fn less(self, count: u32) -> Self {
        Line(self.0.wrapping_sub(u64::from(count) << PAYLOAD_SHIFT))
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
        Participant::new((self.0 & FIRST) as u16)
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
        Line(self.0 & !FIRST | u64::from(who.get())).announced()
    }

    /// The same word with nobody in front.
    pub(super) fn without_first(self) -> Self {
        Line(self.0 & !(FIRST | KEPT))
    }

    /// The same word, announcing one more sleeper.
    pub(super) fn announcing(self) -> Self {
        Line(self.0 | SLEEPERS).announced()
    }

    /// The same word with one more announcement; they wrap, and leave the permits.
    fn announced(self) -> Self {
        let count = self.0.wrapping_add(ANNOUNCED) & ANNOUNCEMENTS;
        Line(self.0 & !ANNOUNCEMENTS | count)
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
        let full = Line(u64::MAX).without_first();
        assert_eq!(full.payload(), u32::MAX);
        assert_eq!((full.is_kept(), full.first()), (false, None));
        let kept = full.kept_for(who);
        assert!(kept.is_kept_for(Some(who)) && !kept.is_kept_for(None));
        assert!(!kept.is_kept_for(Some(Participant::FIRST)));
        assert_eq!((kept.payload(), kept.has_sleepers()), (u32::MAX, true));
        assert_eq!(kept.without_first().calm().announcing().payload(), u32::MAX);
        assert!(!full.headed_by(who).is_kept_for(Some(who)));
        assert_eq!(full.more(3).less(2), full.more(1), "permits wrap");
        assert_eq!(Line(0).less(1).payload(), u32::MAX);
        assert_eq!(full.more(1).calm().announcing().payload(), 0);
    }

    #[test]
    fn every_announcement_makes_another_word_and_leaves_the_permits() {
        let word = Line(u64::MAX).without_first();
        let once = word.announcing();
        assert_ne!(once, word);
        assert_ne!(once.announcing(), once);
        assert_eq!(once.payload(), word.payload());
        assert_ne!(word.headed_by(Participant::FIRST).without_first(), word);
    }
}
