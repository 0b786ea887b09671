//! The one word of a lock: its bits in a table, its questions as predicates.
//!
//! | bits | meaning |
//! |---|---|
//! | 63..52 | the holder's participant slot in the segment |
//! | 51..32 | the low 20 bits of the holder's pid |
//! | 31 | somebody may sleep on this word |
//! | 30 | *marked*: the last holder died, or panicked, or gave up a marked lock without mending it |
//! | 29..0 | the holder's thread, 0 if nobody holds the lock |
//!
//! Two threads are none: [`PROCESS`] says that the whole process holds the lock since a guard was leaked, and
//! [`PROCESS_MARKED`] that it was marked then. A thread of another pid namespace than the segment's has bit 29 set in its
//! place, so that no kernel takes it for the thread that has the same number here.
//!
//! All zero means free; only then does the kernel pass on a wake-up that a dead thread still owed. Bits 31..0 are the
//! kernel's robust futex. When a holder dies the kernel replaces the thread by the mark and leaves the upper half, so
//! that a marked word still names whom it was taken from.

use crate::sys::identity::Participant;
use crate::sys::robust;

/// A value of the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

const WAITERS: u64 = robust::WAITERS as u64;
const MARK: u64 = robust::OWNER_DIED as u64;
const THREAD: u64 = robust::THREAD as u64;
const SLOT_SHIFT: u32 = 52;
const PID_SHIFT: u32 = 32;
const OWNER: u64 = u64::MAX << PID_SHIFT;

const ELSEWHERE: u64 = robust::UNLISTED as u64;
/// The process itself in place of a thread: no thread has the number 0.
const PROCESS: u64 = ELSEWHERE;
/// The same; nor the highest number there is.
const PROCESS_MARKED: u64 = THREAD;

impl Word {
    pub(super) const FREE: Word = Word(0);

    /// What a thread with this `claim` (thread and pid) puts into a word as participant `me`.
    #[inline]
    pub(super) fn held(claim: u64, me: Participant) -> Self {
        Word(claim | u64::from(me.get()) << SLOT_SHIFT)
    }

    /// What a thread of another pid namespace puts there.
    pub(super) fn held_from_elsewhere(claim: u64, me: Participant) -> Self {
        Word::held(claim | ELSEWHERE, me)
    }

    /// The same holder's word once its guard is leaked, of a lock that was `marked`.
    pub(super) fn leaked(self, marked: bool) -> Self {
        let thread = if marked { PROCESS_MARKED } else { PROCESS };
        Word(self.0 & !THREAD | thread)
    }

    /// Whether a guard of the lock was leaked, and if so, whether the lock was marked then.
    pub(super) fn leak(self) -> Option<bool> {
        match self.0 & (THREAD | MARK) {
            PROCESS => Some(false),
            PROCESS_MARKED => Some(true),
            _ => None,
        }
    }

    /// The free word that only a sleeper may take: a fair lock's, while anybody sleeps.
    pub(super) const RESERVED: Word = Word(WAITERS);

    #[inline]
    pub(super) fn is_free(self) -> bool {
        self.0 & (THREAD | MARK) == 0
    }

    #[inline]
    pub(super) fn is_marked(self) -> bool {
        self.0 & MARK != 0
    }

    #[inline]
    pub(super) fn has_waiters(self) -> bool {
        self.0 & WAITERS != 0
    }

    /// Whether the thread with this `claim` holds the word, as whichever participant, from whichever pid namespace.
    #[inline]
    pub(super) fn is_held_by(self, claim: u64) -> bool {
        const SLOT: u64 = u64::MAX << SLOT_SHIFT;
        (self.0 & !(WAITERS | SLOT) | ELSEWHERE) == claim | ELSEWHERE && self.leak().is_none()
    }

    /// Whether the thread with this `claim` put itself there as one of another pid namespace.
    pub(super) fn is_from_elsewhere(self, claim: u64) -> bool {
        (self.0 ^ claim) & ELSEWHERE != 0
    }

    /// Whether this is the word that somebody put there as `mine`.
    #[inline]
    pub(super) fn is(self, mine: Word) -> bool {
        self.0 & !WAITERS == mine.0 & !WAITERS
    }

    /// The same word, announcing a sleeper.
    #[inline]
    pub(super) fn with_waiters(self) -> Self {
        Word(self.0 | WAITERS)
    }

    /// The same word, announcing a sleeper if `other` does.
    #[inline]
    pub(super) fn with_waiters_of(self, other: Word) -> Self {
        Word(self.0 | other.0 & WAITERS)
    }

    /// The marked word that the holder's death makes of this one.
    pub(super) fn marked(self) -> Self {
        Word(self.0 & (OWNER | WAITERS) | MARK)
    }

    /// Who holds the word, or whom it was taken from.
    pub(super) fn owner(self) -> Owner {
        Owner((self.0 >> PID_SHIFT) as u32)
    }

    /// The half that the kernel compares before it lets a thread sleep.
    pub(super) fn low(self) -> u32 {
        self.0 as u32
    }
}

/// A holder as its word names it: the upper half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner(pub(crate) u32);

impl Owner {
    /// The participant, unless the slot that shared memory names is none that a participant can have.
    pub(crate) fn participant(self) -> Option<Participant> {
        Participant::new((self.0 >> (SLOT_SHIFT - PID_SHIFT)) as u16)
    }

    /// The process id, if `whole` agrees with what the word has of it; else the low 20 bits, which are all of it on
    /// most machines.
    pub(crate) fn pid(self, whole: Option<u32>) -> u32 {
        let low = self.0 & robust::PID_BITS;
        let agrees = |whole: &u32| whole & robust::PID_BITS == low;
        whole.filter(agrees).unwrap_or(low)
    }

    /// The marked word that names this owner.
    pub(super) fn marked(self) -> Word {
        Word(u64::from(self.0) << PID_SHIFT | MARK)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const CLAIM: u64 = 0xABCDE << PID_SHIFT | 4711;

    fn held() -> Word {
        Word::held(CLAIM, Participant::LAST)
    }

    #[test]
    fn a_held_word_names_thread_process_and_slot() {
        assert!(held().is_held_by(CLAIM) && held().with_waiters().is_held_by(CLAIM));
        assert!(!held().is_held_by(CLAIM + 1) && !held().is_free() && !held().is_marked());
        assert_eq!(held().owner().participant(), Some(Participant::LAST));
        assert_eq!(held().owner().pid(None), 0xABCDE);
    }

    #[test]
    fn a_marked_word_keeps_owner_and_waiters_and_loses_the_thread() {
        let marked = held().with_waiters().marked();
        assert!(marked.is_marked() && marked.has_waiters() && !marked.is_free());
        assert!(!marked.is_held_by(CLAIM));
        assert_eq!(marked.owner(), held().owner());
        assert_eq!(marked.owner().marked().with_waiters(), marked);
        assert_eq!(marked.low() & robust::THREAD, 0);
    }

    #[test]
    fn a_leaked_word_is_the_processes() {
        for marked in [false, true] {
            let leaked = held().with_waiters().leaked(marked);
            assert_eq!(leaked.leak(), Some(marked));
            assert!(leaked.has_waiters() && !leaked.is_free() && !leaked.is_marked());
            assert!(!leaked.is_held_by(CLAIM) && leaked.owner() == held().owner());
        }
        for other in [held(), held().marked(), Word::FREE, Word::RESERVED] {
            assert_eq!(other.leak(), None);
        }
        assert!(Word::RESERVED.is_free());
    }

    #[test]
    fn a_thread_from_elsewhere_is_not_the_one_of_its_number_here() {
        let there = Word::held_from_elsewhere(CLAIM, Participant::FIRST);
        let here = Word::held(CLAIM, Participant::LAST);
        assert!(!there.is(here) && there.with_waiters().is(there));
        assert_ne!(there.low() & robust::THREAD, here.low() & robust::THREAD);
        assert!(there.is_held_by(CLAIM) && there.leak().is_none());
    }

    #[test]
    fn a_pid_beyond_20_bits_is_completed_by_one_that_agrees() {
        let owner = held().owner();
        assert_eq!(owner.pid(Some(0x3ABCDE)), 0x3ABCDE);
        assert_eq!(owner.pid(Some(0x3ABCDF)), 0xABCDE);
    }

    #[test]
    fn slots_out_of_range_are_nobody() {
        assert_eq!(Word(4095 << SLOT_SHIFT | 1).owner().participant(), None);
        assert_eq!(Word(1).owner().participant(), None);
    }
}
