//! The slot word and the position: the two numbers on which the queue's protocol runs.

use crate::sys::identity::Participant;

/// Bits of a position that select the slot; the rest count laps.
pub(crate) const INDEX_BITS: u32 = 22;
const INDEX_MASK: u64 = (1 << INDEX_BITS) - 1;
const LAP_BITS: u32 = 64 - INDEX_BITS;
const LAP_MASK: u64 = (1 << LAP_BITS) - 1;

/// A place in the endless sequence of messages: `lap * capacity + index`, kept as `{lap:42 | index:22}` so that the
/// capacity need not be a power of two and no division is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position(pub(crate) u64);

impl Position {
    /// The position of slot `index` in `lap`.
    #[inline]
    pub(crate) fn new(lap: u64, index: u32) -> Self {
        Position((lap << INDEX_BITS) | u64::from(index))
    }

    /// The slot of this position.
    #[inline]
    pub(crate) fn index(self) -> u32 {
        (self.0 & INDEX_MASK) as u32
    }

    /// How often the ring had been gone round before this position.
    #[inline]
    pub(crate) fn lap(self) -> u64 {
        self.0 >> INDEX_BITS
    }

    /// The position after this one in a ring of `capacity` slots.
    #[inline]
    pub(crate) fn next(self, capacity: u32) -> Self {
        if self.index() + 1 < capacity {
            Position(self.0 + 1)
        } else {
            Position::new((self.lap() + 1) & LAP_MASK, 0)
        }
    }

    /// Whether this position comes later; laps wrap, so the shorter way round decides.
    #[inline]
    pub(crate) fn is_after(self, other: Position) -> bool {
        (self.0.wrapping_sub(other.0) as i64) > 0
    }

    /// This position as a plain count of messages since the ring was made.
    pub(crate) fn ordinal(self, capacity: u32) -> u64 {
        self.lap()
            .wrapping_mul(u64::from(capacity))
            .wrapping_add(u64::from(self.index()))
    }
}

/// What a slot is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum State {
    /// May be claimed by the producer whose position has this lap.
    Free = 0,
    /// Claimed by its owner, who is writing.
    Writing = 1,
    /// Published: may be taken.
    Full = 2,
    /// Taken by its owner, who is reading.
    Taken = 3,
    /// Given back, or recovered from a dead reader: may be taken again, out of order.
    Returned = 4,
    /// Delivered too often: waits among the dead letters (lease records only).
    Dead = 5,
    /// A lease record that its owner is filling (lease records only).
    Filling = 6,
    /// No state of ours: the memory was scribbled over.
    Invalid = 7,
}

/// How a slot's lap compares with the lap that somebody expects there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    /// The slot still serves an earlier lap.
    Older,
    /// The slot serves the expected lap.
    Same,
    /// The slot has moved on.
    Newer,
}

const STATE_BITS: u32 = 3;
const OWNER_SHIFT: u32 = STATE_BITS;
const OWNER_BITS: u32 = 12;
const COUNT_SHIFT: u32 = OWNER_SHIFT + OWNER_BITS;
const COUNT_BITS: u32 = 7;
const LAP_SHIFT: u32 = COUNT_SHIFT + COUNT_BITS;
/// The largest delivery count that a word can hold.
pub(crate) const COUNT_MAX: u32 = (1 << COUNT_BITS) - 1;

const _: () = assert!(LAP_SHIFT + LAP_BITS == 64);

/// The word of a slot or of a lease record: `{lap:42 | count:7 | owner:12 | state:3}`.
///
/// One compare-and-swap installs the state *and* its owner, so that there is no instant at which something is held
/// and nobody can tell by whom. Zeroed memory is [`State::Free`] at lap 0, which is how a ring is born.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word(pub(crate) u64);

impl Word {
    #[inline]
    fn new(state: State, owner: u64, count: u32, lap: u64) -> Self {
        Word(
            (state as u64)
                | (owner << OWNER_SHIFT)
                | (u64::from(count) << COUNT_SHIFT)
                | (lap << LAP_SHIFT),
        )
    }

    /// Free for the producer of `lap`.
    #[inline]
    pub(crate) fn free(lap: u64) -> Self {
        Word::new(State::Free, 0, 0, lap & LAP_MASK)
    }

    /// Claimed for `lap` by `owner`.
    #[inline]
    pub(crate) fn writing(lap: u64, owner: Participant) -> Self {
        Word::new(State::Writing, u64::from(owner.get()), 0, lap)
    }

    /// Published, never delivered.
    #[inline]
    pub(crate) fn full(lap: u64) -> Self {
        Word::new(State::Full, 0, 0, lap)
    }

    /// Taken by `owner` for the first time.
    #[inline]
    pub(crate) fn first_taken(lap: u64, owner: Participant) -> Self {
        Word::new(State::Taken, u64::from(owner.get()), 1, lap)
    }

    /// The same lap and count in another state, owned by nobody.
    #[inline]
    pub(crate) fn unowned(self, state: State) -> Self {
        Word::new(state, 0, self.count(), self.lap())
    }

    /// The same lap and count in another state, owned by `owner`.
    #[inline]
    pub(crate) fn owned(self, state: State, owner: Participant) -> Self {
        Word::new(state, u64::from(owner.get()), self.count(), self.lap())
    }

    /// The same word with the delivery count replaced.
    #[inline]
    pub(crate) fn counted(self, count: u32) -> Self {
        let cleared = self.0 & !(u64::from(COUNT_MAX) << COUNT_SHIFT);
        Word(cleared | (u64::from(count.min(COUNT_MAX)) << COUNT_SHIFT))
    }

    /// Taken by `owner`: one delivery more.
    #[inline]
    pub(crate) fn taken(self, owner: Participant) -> Self {
        Word::new(
            State::Taken,
            u64::from(owner.get()),
            (self.count() + 1).min(COUNT_MAX),
            self.lap(),
        )
    }

    /// What the slot is doing.
    #[inline]
    pub(crate) fn state(self) -> State {
        match self.0 & ((1 << STATE_BITS) - 1) {
            0 => State::Free,
            1 => State::Writing,
            2 => State::Full,
            3 => State::Taken,
            4 => State::Returned,
            5 => State::Dead,
            6 => State::Filling,
            _ => State::Invalid,
        }
    }

    /// Who holds it, if anybody does.
    #[inline]
    pub(crate) fn owner(self) -> Option<Participant> {
        Participant::new(((self.0 >> OWNER_SHIFT) & ((1 << OWNER_BITS) - 1)) as u16)
    }

    /// Whether `who` holds it.
    #[inline]
    pub(crate) fn is_owned_by(self, who: Participant) -> bool {
        self.owner() == Some(who)
    }

    /// How often the message was delivered.
    #[inline]
    pub(crate) fn count(self) -> u32 {
        ((self.0 >> COUNT_SHIFT) as u32) & COUNT_MAX
    }

    /// The lap that the slot serves (in a lease record: its generation).
    #[inline]
    pub(crate) fn lap(self) -> u64 {
        self.0 >> LAP_SHIFT
    }

    /// How this word's lap compares with the expected one; laps wrap, so the shorter way round decides.
    #[inline]
    pub(crate) fn relation(self, lap: u64) -> Relation {
        match self.lap().wrapping_sub(lap) & LAP_MASK {
            0 => Relation::Same,
            ahead if ahead < 1 << (LAP_BITS - 1) => Relation::Newer,
            _ => Relation::Older,
        }
    }
}

impl std::fmt::Debug for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let owner = self.owner().map_or(0, Participant::get);
        write!(
            f,
            "{:?}(lap {}, count {}, owner {owner})",
            self.state(),
            self.lap(),
            self.count()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn someone(n: u16) -> Participant {
        Participant::new(n).unwrap()
    }

    #[test]
    fn zeroed_memory_is_free_at_lap_zero() {
        assert_eq!(Word(0), Word::free(0));
        assert_eq!(Word(0).owner(), None);
    }

    #[test]
    fn a_word_keeps_its_parts() {
        let word = Word::writing(77, someone(4094));
        assert_eq!(
            (word.state(), word.owner(), word.lap()),
            (State::Writing, Some(someone(4094)), 77)
        );
        let taken = Word::full(LAP_MASK)
            .taken(someone(3))
            .unowned(State::Returned)
            .taken(someone(9));
        assert_eq!(
            (taken.state(), taken.count(), taken.lap()),
            (State::Taken, 2, LAP_MASK)
        );
        assert!(taken.is_owned_by(someone(9)));
    }

    #[test]
    fn laps_compare_across_the_wrap() {
        assert_eq!(Word::free(0).relation(LAP_MASK), Relation::Newer);
        assert_eq!(Word::free(LAP_MASK).relation(0), Relation::Older);
        assert_eq!(Word::free(5).relation(5), Relation::Same);
    }

    #[test]
    fn positions_go_round_any_capacity() {
        let mut at = Position::new(0, 0);
        for n in 0..30 {
            assert_eq!(at.ordinal(3), n);
            at = at.next(3);
        }
        assert_eq!(Position::new(4, 0).next(1), Position::new(5, 0));
    }

    #[test]
    fn the_count_saturates() {
        let mut word = Word::full(1);
        for _ in 0..200 {
            word = word.taken(someone(1)).unowned(State::Returned);
        }
        assert_eq!((word.count(), word.lap()), (COUNT_MAX, 1));
    }
}
