//! Who holds an end of a lane.
//!
//! | bits | meaning |
//! |---|---|
//! | 63..32 | the pid of the holder, or of the dead who was it |
//! | 31..16 | the epoch: how often the end has changed hands |
//! | 15..4 | the holder's slot in the roster |
//! | 2..0 | the state: 0 nobody yet, 1 held, 2 offered, 3 closed, 4 orphaned |
//!
//! An end that is sent to another process is *offered*: its holder answers for it until the receiver claims it, from the
//! very epoch that was sent. A holder who uses it again takes the offer back, which counts the epoch up. The dead leave an
//! orphan, which a handle that was sent still fits, and which `resume` takes. Who dies between the two claims of a
//! connection leaves an orphan and an offer, which belong together: `resume` takes both.

use crate::sys::atomic::AtomicU64;
use crate::sys::atomic::Ordering::{AcqRel, Acquire};
use crate::sys::identity::Participant;
use crate::sys::step::step;

/// See the table above. All zero bytes are an end that nobody holds yet.
#[derive(Debug)]
#[cfg_attr(not(loom), repr(transparent))]
pub(crate) struct Seat(AtomicU64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Word(u64);

const UNTAKEN: u64 = 0;
const HELD: u64 = 1;
const OFFERED: u64 = 2;
const CLOSED: u64 = 3;
const ORPHANED: u64 = 4;

/// How an end ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Its holder let go of it.
    Closed,
    /// Its holder, this process, died with it.
    Died(u32),
}

/// Why an end could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Somebody holds it, or has taken the offer back.
    Held(u32),
    /// It was closed.
    Closed,
}

impl Word {
    fn new(state: u64, who: Option<Participant>, epoch: u16, pid: u32) -> Self {
        let slot = who.map_or(0, Participant::get);
        Word(state | u64::from(slot) << 4 | u64::from(epoch) << 16 | u64::from(pid) << 32)
    }

    fn state(self) -> u64 {
        self.0 & 7
    }

    fn holder(self) -> Option<Participant> {
        match self.state() {
            HELD | OFFERED => Participant::new((self.0 >> 4) as u16 & 0xfff),
            _ => None,
        }
    }

    fn epoch(self) -> u16 {
        (self.0 >> 16) as u16
    }

    fn pid(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Whether the end can be claimed by who shows this epoch.
    fn fits(self, epoch: u16) -> Result<(), Refused> {
        match self.state() {
            OFFERED | ORPHANED if self.epoch() == epoch => Ok(()),
            CLOSED => Err(Refused::Closed),
            _ => Err(Refused::Held(self.pid())),
        }
    }

    /// The last number is no epoch: handles that fit nothing carry it.
    fn held_by(self, me: Participant, pid: u32) -> Self {
        let epoch = (self.epoch() + 1) % u16::MAX;
        Word::new(HELD, Some(me), epoch, pid)
    }
}

impl Seat {
    #[cfg(loom)]
    pub(super) fn new() -> Self {
        Seat(AtomicU64::new(0))
    }

    fn now(&self) -> Word {
        Word(self.0.load(Acquire)) // pairs with every exchange below
    }

    /// From the exact word seen. Release: what the old holder did is seen by the new one.
    fn turn(&self, seen: Word, next: Word) -> bool {
        // no step: by the callers, each under a name of its own
        let turned = self.0.compare_exchange(seen.0, next.0, AcqRel, Acquire);
        turned.is_ok()
    }

    /// How the end ended, if it has.
    #[inline]
    pub(crate) fn end(&self) -> Option<End> {
        let now = self.now();
        match now.state() {
            CLOSED => Some(End::Closed),
            ORPHANED => Some(End::Died(now.pid())),
            _ => None,
        }
    }

    /// Who answers for the end.
    pub(crate) fn holder(&self) -> Option<Participant> {
        self.now().holder()
    }

    /// The end of a new pipe becomes its maker's.
    pub(crate) fn take_first(&self, me: Participant, pid: u32) -> bool {
        let seen = self.now();
        step("pipe.seat.first");
        seen.state() == UNTAKEN && self.turn(seen, Word::new(HELD, Some(me), 0, pid))
    }

    /// Offers the end of `me` to whoever shows the epoch returned; `None` if it is not `me`'s.
    pub(crate) fn offer(&self, me: Participant) -> Option<u16> {
        let seen = self.now();
        if seen.holder() != Some(me) {
            return None;
        }
        if seen.state() == HELD {
            step("pipe.seat.offer");
            let offered = Word::new(OFFERED, Some(me), seen.epoch(), seen.pid());
            if !self.turn(seen, offered) {
                return None;
            }
        }
        Some(seen.epoch())
    }

    /// Takes back what was offered in `epoch`; `false` if somebody has claimed it.
    pub(crate) fn withdraw(&self, epoch: u16, me: Participant) -> bool {
        let seen = self.now();
        if seen.holder() != Some(me) || seen.state() != OFFERED || seen.epoch() != epoch {
            return false;
        }
        step("pipe.seat.withdraw");
        self.turn(seen, seen.held_by(me, seen.pid()))
    }

    /// Whether what was offered in `epoch` has found nobody yet.
    pub(crate) fn is_offered(&self, epoch: u16) -> bool {
        let seen = self.now();
        seen.state() == OFFERED && seen.epoch() == epoch
    }

    /// Whether what was offered in `epoch` could be claimed now.
    pub(crate) fn may_be_claimed(&self, epoch: u16) -> Result<(), Refused> {
        self.now().fits(epoch)
    }

    /// Claims what was offered in `epoch`, also if who offered it has died since.
    pub(crate) fn claim(&self, epoch: u16, me: Participant, pid: u32) -> Result<(), Refused> {
        loop {
            let seen = self.now();
            seen.fits(epoch)?;
            step("pipe.seat.claim");
            if self.turn(seen, seen.held_by(me, pid)) {
                return Ok(());
            }
        }
    }

    /// Takes the end over from the dead; the pid of whoever had it.
    pub(crate) fn resume(&self, me: Participant, pid: u32) -> Result<u32, Refused> {
        self.take_over(me, pid, false)
    }

    /// Takes over what goes with an end that was just resumed, from the same dead; or from who offered both, if the dead
    /// had claimed only the first when he died: nobody else can claim that offer any more.
    pub(crate) fn resume_second(&self, me: Participant, pid: u32) -> Result<u32, Refused> {
        self.take_over(me, pid, true)
    }

    fn take_over(&self, me: Participant, pid: u32, offered_too: bool) -> Result<u32, Refused> {
        loop {
            let seen = self.now();
            match seen.state() {
                ORPHANED => {}
                OFFERED if offered_too => {}
                CLOSED => return Err(Refused::Closed),
                _ => return Err(Refused::Held(seen.pid())),
            }
            step("pipe.seat.resume");
            if self.turn(seen, seen.held_by(me, pid)) {
                return Ok(seen.pid());
            }
        }
    }

    /// Leaves the end of `me`, which was just resumed, an orphan of `dead` again.
    pub(crate) fn unresume(&self, me: Participant, dead: u32) -> bool {
        let seen = self.now();
        if seen.holder() != Some(me) {
            return false;
        }
        step("pipe.seat.unresume");
        self.turn(seen, Word::new(ORPHANED, None, seen.epoch(), dead))
    }

    /// Ends the end of `me`; `false` if it is not `me`'s, or was offered to somebody.
    pub(crate) fn close(&self, me: Participant) -> bool {
        let seen = self.now();
        if seen.holder() != Some(me) || seen.state() != HELD {
            return false;
        }
        step("pipe.seat.close");
        self.turn(seen, Word::new(CLOSED, None, seen.epoch(), seen.pid()))
    }

    /// Notes that `dead` died with the end; `false` if it was not his.
    pub(crate) fn orphan(&self, dead: Participant) -> bool {
        let seen = self.now();
        if seen.holder() != Some(dead) {
            return false;
        }
        step("pipe.seat.orphan");
        self.turn(seen, Word::new(ORPHANED, None, seen.epoch(), seen.pid()))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const ME: Participant = Participant::FIRST;
    const OTHER: Participant = Participant::LAST;

    fn held() -> Seat {
        let seat = Seat(AtomicU64::new(0));
        assert!(seat.take_first(ME, 7) && !seat.take_first(OTHER, 8));
        seat
    }

    #[test]
    fn an_offer_is_claimed_once() {
        let seat = held();
        let epoch = seat.offer(ME).unwrap();
        assert_eq!(seat.offer(ME), Some(epoch));
        assert_eq!(seat.claim(epoch, OTHER, 8), Ok(()));
        assert_eq!(seat.claim(epoch, ME, 7), Err(Refused::Held(8)));
        assert_eq!((seat.holder(), seat.offer(ME)), (Some(OTHER), None));
        assert!(!seat.withdraw(epoch, ME) && !seat.close(ME) && !seat.is_offered(epoch));
    }

    #[test]
    fn an_offer_that_was_taken_back_fits_no_more() {
        let seat = held();
        let epoch = seat.offer(ME).unwrap();
        assert!(!seat.close(ME), "whoever was offered it may still come");
        assert!(seat.is_offered(epoch) && seat.withdraw(epoch, ME));
        assert_eq!(seat.claim(epoch, OTHER, 8), Err(Refused::Held(7)));
    }

    #[test]
    fn the_dead_leave_an_orphan_for_who_was_offered_it_and_for_who_resumes() {
        let seat = held();
        let epoch = seat.offer(ME).unwrap();
        assert!(seat.orphan(ME) && !seat.orphan(ME));
        assert_eq!(seat.end(), Some(End::Died(7)));
        assert_eq!(seat.claim(epoch, OTHER, 8), Ok(()));
        assert_eq!(seat.resume(ME, 9), Err(Refused::Held(8)));
        assert!(seat.orphan(OTHER));
        assert_eq!(seat.resume(ME, 9), Ok(8));
        assert_eq!((seat.end(), seat.now().pid()), (None, 9));
        assert!(seat.unresume(ME, 8) && !seat.unresume(ME, 8));
        assert_eq!(seat.end(), Some(End::Died(8)));
    }

    #[test]
    fn who_resumes_the_first_half_gets_the_second_that_the_dead_had_not_claimed_yet() {
        let seat = held();
        assert_eq!(seat.resume_second(OTHER, 8), Err(Refused::Held(7)));
        let epoch = seat.offer(ME).unwrap();
        assert_eq!(seat.resume(OTHER, 8), Err(Refused::Held(7)));
        assert_eq!(seat.resume_second(OTHER, 8), Ok(7));
        assert!(!seat.withdraw(epoch, ME) && !seat.is_offered(epoch));
        assert_eq!(seat.claim(epoch, ME, 7), Err(Refused::Held(8)));
    }

    #[test]
    fn what_is_closed_stays_closed() {
        let seat = held();
        assert!(seat.close(ME) && !seat.close(ME));
        assert_eq!(seat.end(), Some(End::Closed));
        assert_eq!(seat.resume(OTHER, 8), Err(Refused::Closed));
        assert_eq!(seat.claim(0, OTHER, 8), Err(Refused::Closed));
    }
}
