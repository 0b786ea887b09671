//! The words of a heap: what a block is at the moment, and the handle by which a cell leads to it.

use crate::sys::identity::Participant;

/// Which block, and which use of it: `0 | generation:29 | unit:34`, never 0.
///
/// The unit is where the block begins, in steps of 16 bytes. No block begins at unit 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Handle(u64);

/// How many bits a unit has.
pub(super) const UNIT_BITS: u32 = 34;
const UNIT_MASK: u64 = (1 << UNIT_BITS) - 1;
/// The bit of a cell that no handle has: alone it says [`VACATED`], else which transaction the cell is tied to.
const TOP: u64 = 1 << 63;

/// What a cell says from which a block was taken away, where that differs from one that never led anywhere.
pub(crate) const VACATED: u64 = TOP;

/// What a cell says that is tied to the transaction with this number.
pub(super) fn tied(number: u64) -> u64 {
    TOP | number
}

/// The number of the transaction to which a cell is tied that says this.
pub(super) fn tie_in(bits: u64) -> Option<u64> {
    (bits & TOP != 0 && bits != VACATED).then_some(bits & !TOP)
}

/// Whether a cell that says this is tied to a transaction.
#[inline]
pub(crate) fn is_tied(bits: u64) -> bool {
    tie_in(bits).is_some()
}

impl Handle {
    fn new(unit: u64, generation: u64) -> Self {
        Handle((unit & UNIT_MASK | generation << UNIT_BITS) & !TOP)
    }

    /// The handle that a word of shared memory says, if it says one.
    #[inline(always)]
    pub(crate) fn from_bits(bits: u64) -> Option<Self> {
        (bits != 0 && bits & TOP == 0).then_some(Handle(bits))
    }

    /// As a cell says it.
    #[inline(always)]
    pub(crate) fn to_bits(self) -> u64 {
        self.0
    }

    /// Where the block begins.
    #[inline(always)]
    pub(crate) fn unit(self) -> u64 {
        self.0 & UNIT_MASK
    }
}

/// A block's word: `generation:48 | owner:12 | state:4`. All zero bits are a free block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

/// What a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nobody's.
    Free,
    /// Nobody's, and perhaps without memory: whoever takes it asks for that first.
    Bare,
    /// Somebody writes it, or has just led a cell to it and not said so yet.
    Owned(u16),
    /// A cell leads to it.
    Linked,
    /// No cell leads to it any more; readers may be there. 0 where it waits for whoever comes.
    Retired(u16),
    /// Not a word of ours.
    Unknown,
}

const FREE: u64 = 0;
const OWNED: u64 = 1;
const LINKED: u64 = 2;
const RETIRED: u64 = 3;
const BARE: u64 = 4;

impl Word {
    pub(super) fn state(self) -> State {
        let owner = (self.0 >> 4) as u16 & 0xfff;
        match self.0 & 0xf {
            FREE => State::Free,
            BARE => State::Bare,
            OWNED => State::Owned(owner),
            LINKED => State::Linked,
            RETIRED => State::Retired(owner),
            _ => State::Unknown,
        }
    }

    fn with(self, state: u64, owner: u16) -> Self {
        Word(self.0 & !0xffff | u64::from(owner) << 4 | state)
    }

    pub(super) fn owned_by(self, who: Participant) -> Self {
        self.with(OWNED, who.get())
    }

    pub(super) fn linked(self) -> Self {
        self.with(LINKED, 0)
    }

    /// Retired by `who`, or by nobody in particular.
    pub(super) fn retired_by(self, who: Option<Participant>) -> Self {
        self.with(RETIRED, who.map_or(0, Participant::get))
    }

    /// Free, for the next use.
    pub(super) fn freed(self) -> Self {
        Word((self.0 >> 16).wrapping_add(1) << 16)
    }

    /// Free for the next use, which asks for memory.
    pub(super) fn bared(self) -> Self {
        Word(self.freed().0 | BARE)
    }

    /// The handle of this use of the block at `unit`.
    pub(super) fn handle(self, unit: u64) -> Handle {
        Handle::new(unit, self.0 >> 16)
    }

    /// Whether the word is about the use of the block that `handle` names.
    pub(super) fn is_of(self, handle: Handle) -> bool {
        self.handle(handle.unit()) == handle
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const ME: Participant = Participant::LAST;

    #[test]
    fn a_word_keeps_what_it_is_told() {
        let word = Word(0).freed().owned_by(ME);
        assert_eq!(word.state(), State::Owned(ME.get()));
        assert_eq!(word.linked().state(), State::Linked);
        assert_eq!(word.linked().retired_by(None).state(), State::Retired(0));
        assert_eq!(word.freed().state(), State::Free);
        assert_eq!(word.bared().state(), State::Bare);
        assert_eq!(word.bared().owned_by(ME).state(), State::Owned(ME.get()));
        assert_eq!(Word(9).state(), State::Unknown);
    }

    #[test]
    fn each_use_has_a_handle_of_its_own() {
        let word = Word(u64::MAX << 16);
        let handle = word.handle(7);
        assert_eq!(handle.unit(), 7);
        assert!(word.is_of(handle) && !word.freed().is_of(handle));
        assert!(word.linked().is_of(handle));
        assert_eq!(word.freed().0 >> 16, 0, "generations come round");
        assert_eq!(Handle::from_bits(handle.to_bits()), Some(handle));
        assert_eq!(Handle::from_bits(0), None);
    }

    #[test]
    fn a_tie_is_no_handle() {
        assert_eq!(tie_in(tied(7)), Some(7));
        assert!(!is_tied(VACATED) && !is_tied(0) && !is_tied(9));
        assert_eq!(Handle::from_bits(tied(7)), None);
    }
}
