//! One waiter's entry in a queue of waiters: its bits in a table, its questions as predicates.
//!
//! | bits | meaning |
//! |---|---|
//! | 63..16 | lap: how often the positions have gone round the entries when this one was last taken; 0 never |
//! | 15..4 | the waiter's participant |
//! | 3..0 | 0 free, 1 waiting, 2 asleep, 3 notified, 4 watching |
//!
//! All zero is an entry that nobody has used. An entry keeps its lap when it is freed, and is only taken for a later one,
//! so no word ever comes back.
//!
//! Every 32 entries share a *bell*, the futex on which their waiters sleep, each for a bit of its own: one system call
//! wakes any of them together, and no others.

use crate::sys::identity::Participant;

/// How many waiters there may be at once.
pub(super) const ENTRIES: usize = if cfg!(loom) { 3 } else { 1024 };

/// So many positions make a lap.
pub(super) const LAP: u64 = ENTRIES as u64;

/// So many entries share a bell.
pub(super) const PER_BELL: usize = u32::BITS as usize;
pub(super) const BELLS: usize = ENTRIES.div_ceil(PER_BELL);

/// A place in the order of arrival; the positions of different waiters are never the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position(pub(super) u64);

impl Position {
    /// The entry of this position.
    pub(super) fn index(self) -> usize {
        (self.0 % LAP) as usize
    }

    /// The bell of its entry.
    pub(super) fn bell(self) -> usize {
        self.index() / PER_BELL
    }

    /// The bit for which the waiter of its entry sleeps.
    pub(super) fn bit(self) -> u32 {
        1 << (self.index() % PER_BELL)
    }

    fn lap(self) -> u64 {
        (self.0 / LAP + 1) & LAPS
    }

    /// The position `count` places behind this one.
    pub(super) fn behind(self, count: u64) -> Self {
        Position(self.0.wrapping_add(count))
    }
}

/// A value of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

const FREE: u64 = 0;
const WAITING: u64 = 1;
const ASLEEP: u64 = 2;
const NOTIFIED: u64 = 3;
const WATCHING: u64 = 4;
const STATE: u64 = 0xf;
const OWNER_SHIFT: u32 = 4;
const LAP_SHIFT: u32 = 16;
const LAPS: u64 = u64::MAX >> LAP_SHIFT;

impl Word {
    /// `me` waits at a position.
    pub(super) fn waiting(at: Position, me: Participant) -> Self {
        Word(at.lap() << LAP_SHIFT | u64::from(me.get()) << OWNER_SHIFT | WAITING)
    }

    fn with_state(self, state: u64) -> Self {
        Word(self.0 & !STATE | state)
    }

    /// The same waiter, about to sleep.
    pub(super) fn asleep(self) -> Self {
        self.with_state(ASLEEP)
    }

    /// The same waiter, about to sleep elsewhere, by a bell of its own.
    pub(super) fn watching(self) -> Self {
        self.with_state(WATCHING)
    }

    /// The same waiter, notified.
    pub(super) fn notified(self) -> Self {
        self.with_state(NOTIFIED)
    }

    /// The entry without its waiter.
    pub(super) fn freed(self) -> Self {
        Word(self.0 & (LAPS << LAP_SHIFT) | FREE)
    }

    fn state(self) -> u64 {
        self.0 & STATE
    }

    fn lap(self) -> u64 {
        self.0 >> LAP_SHIFT
    }

    /// Whether the entry can be taken for the position: nobody has it, and nobody had it for this position or a later.
    pub(super) fn is_free_for(self, at: Position) -> bool {
        self.state() == FREE && self.lap() < at.lap()
    }

    /// Whether somebody is here who has not been notified.
    pub(super) fn waits(self) -> bool {
        matches!(self.state(), WAITING | ASLEEP | WATCHING)
    }

    /// Whether somebody is at this very position who has not been notified.
    pub(super) fn waits_at(self, at: Position) -> bool {
        self.waits() && self.lap() == at.lap()
    }

    pub(super) fn is_asleep(self) -> bool {
        self.state() == ASLEEP
    }

    pub(super) fn is_watching(self) -> bool {
        self.state() == WATCHING
    }

    pub(super) fn is_notified(self) -> bool {
        self.state() == NOTIFIED
    }

    /// Whether this is the same waiter at the same position, in whatever state.
    pub(super) fn is_same_waiter(self, other: Word) -> bool {
        (self.0 ^ other.0) & !STATE == 0 && self.state() != FREE
    }

    /// The waiter, unless the slot that shared memory names is none that a participant can have.
    pub(super) fn owner(self) -> Option<Participant> {
        let slot = (self.0 >> OWNER_SHIFT) as u16 & 0xfff;
        Participant::new(slot).filter(|_| self.state() != FREE)
    }

    /// The position of the waiter in the entry `index`.
    pub(super) fn position(self, index: usize) -> Position {
        Position(self.lap().saturating_sub(1) * LAP + index as u64)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const AT: Position = Position(5 * LAP + 7);

    fn waiting() -> Word {
        Word::waiting(AT, Participant::LAST)
    }

    #[test]
    fn a_waiter_keeps_its_position_and_its_name_in_every_state() {
        let others = [
            waiting().asleep(),
            waiting().watching(),
            waiting().notified(),
        ];
        for word in [waiting()].into_iter().chain(others) {
            assert_eq!(word.owner(), Some(Participant::LAST));
            assert_eq!(word.position(AT.index()), AT);
            assert!(word.is_same_waiter(waiting()) && !word.is_free_for(AT.behind(LAP)));
        }
        assert!(waiting().waits_at(AT) && waiting().asleep().waits_at(AT));
        assert!(waiting().watching().waits_at(AT) && waiting().watching().is_watching());
        assert!(!waiting().watching().is_asleep());
        assert!(!waiting().notified().waits() && waiting().notified().is_notified());
        assert_ne!(waiting().asleep(), waiting().notified());
    }

    #[test]
    fn a_freed_entry_is_taken_for_later_positions_only() {
        let freed = waiting().freed();
        assert!(!freed.is_free_for(AT) && freed.is_free_for(AT.behind(LAP)));
        assert_eq!(freed.owner(), None);
        assert!(!freed.is_same_waiter(waiting()));
        assert!(Word(0).is_free_for(Position(0)));
    }

    #[test]
    fn positions_of_a_wild_tail_still_have_entries() {
        assert!(Position(u64::MAX).behind(3).index() < ENTRIES);
        assert!(Position(u64::MAX).index() < ENTRIES);
        assert!(!Word(u64::MAX).waits() && Word(u64::MAX).owner().is_none());
    }
}
