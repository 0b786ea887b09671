//! The one word of a barrier: its bits in a table, its questions as predicates.
//!
//! | bits | open | in action | broken, resetting |
//! |---|---|---|---|
//! | 63..58 | how often the barrier was reset, modulo 64 | the same | the same |
//! | 57..46 | how many have arrived | who runs the action | 57..54: why, 53..32: by whom, a pid |
//! | 31..3 | the round | the same | the same |
//! | 2..1 | 0 | 1 | 2, 3 |
//! | 0 | somebody may sleep on this word | the same | 0 |
//!
//! All zero is an open barrier at which nobody has arrived. The low half is the futex: arrivals leave it as it is.

use crate::sys::identity::Participant;

/// A value of the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

/// What a barrier is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// So many have arrived.
    Open(u32),
    /// All have arrived, and this one runs the action before they are let go.
    Action(Option<Participant>),
    /// Broken until it is reset.
    Broken(Breakage),
    /// Broken by a reset that anybody may finish.
    Resetting(Breakage),
}

/// Why a barrier is broken, and the process that was the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Breakage {
    pub(crate) cause: Cause,
    pub(crate) pid: u32,
}

/// Why a barrier is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Cause {
    /// A party would wait no longer.
    GaveUp = 1,
    /// Somebody said so.
    Aborted = 2,
    /// Somebody began anew while others waited.
    Reset = 3,
    /// The action panicked.
    Panicked = 4,
    /// A party died.
    Died = 5,
    /// A party let go of its last handle.
    Left = 6,
}

const SLEEPERS: u64 = 1;
const PHASE: u64 = 0b110;
const OPEN: u64 = 0;
const ACTION: u64 = 0b010;
const BROKEN: u64 = 0b100;
const RESETTING: u64 = 0b110;
const ROUND: u64 = 0xffff_fff8;
const ONE_ROUND: u64 = 8;
const COUNT_SHIFT: u32 = 46;
const ONE: u64 = 1 << COUNT_SHIFT;
const CAUSE_SHIFT: u32 = 54;
const PID_SHIFT: u32 = 32;
const PID: u64 = (1 << 22) - 1;
const RESETS: u64 = 0b11_1111 << RESETS_SHIFT;
const RESETS_SHIFT: u32 = 58;

/// What stays the same while a round lasts.
const IDENTITY: u64 = RESETS | ROUND;

impl Word {
    #[inline]
    pub(super) fn phase(self) -> Phase {
        let field = (self.0 >> COUNT_SHIFT) as u16 & 0xfff;
        match self.0 & PHASE {
            OPEN => Phase::Open(field.into()),
            ACTION => Phase::Action(Participant::new(field)),
            BROKEN => Phase::Broken(self.breakage()),
            _ => Phase::Resetting(self.breakage()),
        }
    }

    /// Whether both words are of one round.
    #[inline]
    pub(super) fn is_of_round(self, other: Word) -> bool {
        (self.0 ^ other.0) & IDENTITY == 0
    }

    /// Whether the barrier was not reset between the two, unless 64 times.
    #[inline]
    pub(super) fn is_of_life(self, other: Word) -> bool {
        (self.0 ^ other.0) & RESETS == 0
    }

    pub(super) fn resets(self) -> usize {
        (self.0 >> RESETS_SHIFT) as usize
    }

    #[inline]
    pub(super) fn has_sleepers(self) -> bool {
        self.0 & SLEEPERS != 0
    }

    #[inline]
    pub(super) fn with_sleepers(self) -> Word {
        Word(self.0 | SLEEPERS)
    }

    /// The half that the kernel compares before it lets a thread sleep.
    pub(super) fn low(self) -> u32 {
        self.0 as u32
    }

    /// One more has arrived.
    #[inline]
    pub(super) fn arrival(self) -> Word {
        Word(self.0 + ONE)
    }

    /// All have arrived, and `runner` acts.
    pub(super) fn action(self, runner: Participant) -> Word {
        let runner = u64::from(runner.get()) << COUNT_SHIFT;
        Word(self.0 & (IDENTITY | SLEEPERS) | ACTION | runner)
    }

    /// The next round; who waits for this one is free.
    #[inline]
    pub(super) fn next(self) -> Word {
        let round = self.0.wrapping_add(ONE_ROUND) & ROUND;
        Word(self.0 & RESETS | round | OPEN)
    }

    pub(super) fn broken(self, why: Breakage) -> Word {
        let why = (why.cause as u64) << CAUSE_SHIFT | (u64::from(why.pid) & PID) << PID_SHIFT;
        Word(self.0 & IDENTITY | BROKEN | why)
    }

    pub(super) fn resetting(self, pid: u32) -> Word {
        let cause = Cause::Reset;
        Word(self.broken(Breakage { cause, pid }).0 | RESETTING)
    }

    /// What remains of a broken round for those who have not looked yet.
    pub(super) fn record(self) -> Word {
        Word(self.0 & !(PHASE | SLEEPERS) | BROKEN)
    }

    /// The first round after the reset of this broken one.
    pub(super) fn mended(self) -> Word {
        let resets = self.0.wrapping_add(1 << RESETS_SHIFT) & RESETS;
        Word(resets | self.next().0 & ROUND | OPEN)
    }

    fn breakage(self) -> Breakage {
        let causes = [
            Cause::GaveUp,
            Cause::Aborted,
            Cause::Panicked,
            Cause::Died,
            Cause::Left,
        ];
        let number = (self.0 >> CAUSE_SHIFT) as u8 & 0xf;
        let cause = causes.into_iter().find(|&cause| cause as u8 == number);
        Breakage {
            cause: cause.unwrap_or(Cause::Reset),
            pid: (self.0 >> PID_SHIFT & PID) as u32,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn busy() -> Word {
        Word(63 << RESETS_SHIFT | ROUND | 3999 << COUNT_SHIFT | SLEEPERS)
    }

    #[test]
    fn zero_is_open_and_empty() {
        assert_eq!(Word(0).phase(), Phase::Open(0));
        assert_eq!(Word(0).arrival().arrival().phase(), Phase::Open(2));
        assert!(!Word(0).has_sleepers());
    }

    #[test]
    fn every_field_survives_its_neighbours() {
        let acting = busy().action(Participant::LAST);
        assert_eq!(acting.phase(), Phase::Action(Some(Participant::LAST)));
        assert!(acting.has_sleepers() && acting.is_of_round(busy()));
        let why = Breakage {
            cause: Cause::Left,
            pid: (1 << 22) - 1,
        };
        let broken = busy().broken(why);
        assert_eq!(broken.phase(), Phase::Broken(why));
        assert!(broken.is_of_round(busy()) && !broken.has_sleepers());
        assert_eq!(broken.record(), broken);
        assert_eq!(broken.resets(), 63);
    }

    #[test]
    fn rounds_and_resets_wrap_without_touching_the_rest() {
        assert_eq!(busy().next(), Word(63 << RESETS_SHIFT));
        assert!(!busy().next().is_of_round(busy()) && busy().next().is_of_life(busy()));
        let resetting = busy().resetting(7);
        let reset = Breakage {
            cause: Cause::Reset,
            pid: 7,
        };
        assert_eq!(resetting.phase(), Phase::Resetting(reset));
        assert_eq!(resetting.record().phase(), Phase::Broken(reset));
        assert_eq!(resetting.mended(), Word(0));
        assert!(!resetting.mended().is_of_life(busy()));
    }

    #[test]
    fn a_cause_that_nobody_knows_is_a_reset() {
        let strange = Word(BROKEN | 15 << CAUSE_SHIFT);
        assert!(matches!(strange.phase(), Phase::Broken(b) if b.cause == Cause::Reset));
    }
}
