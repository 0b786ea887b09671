//! The bytes of a segment's file that are locked, and what holding each of them means.
//!
//! | bytes from `ofd::BASE` | held exclusively | held shared |
//! |---|---|---|
//! | `slot` | the participant of that slot lives | - |
//! | `4096 + slot` (its *broom*) | somebody moves into the slot | somebody cleans up after its dead owner |
//! | `8192` (the *gate*) | - | somebody is joining, or has been forked by a member of a manager |
//! | `8193` (the *nameplate*) | somebody removes the name of the file | - |
//! | `8194` (the *register*) | somebody makes a segment of somebody else's memory, or is at its table of keys | - |
//! | all of these at once but the register | nobody lives here, nor can anybody join: the object may be removed | |
//!
//! Far below them, from `BLOCKS`, there is a byte for each unit of an arena: held shared by who uses the block it belongs
//! to, and exclusively by who frees the block.
//!
//! Cleaning up takes the broom and not the slot's own byte, for two reasons. The dead participant keeps looking dead
//! while it is cleaned up after, so a stopped sweeper holds nobody up: others ask the oracle and repair what they need,
//! or sweep the same slot again, since the broom is shared. And the slot cannot get a new owner in between, since
//! moving in takes the broom alone: a sweeper that wakes up late never repairs under the hands of the next owner.

use crate::sys::identity::Participant;
use crate::sys::ofd::{self, Hold, Range};
use crate::sys::step::step;
use std::io;
use std::os::fd::BorrowedFd;

const BROOMS: i64 = ofd::BASE + 4096;

/// Held shared by who joins, from before the look at the object's state until its own slot is locked; and by a forked child
/// that may come to need a manager, with what stands beside it, when its parent is gone.
pub(super) const GATE: Range = Range::byte(ofd::BASE + 8192);

/// Held alone by who unlinks the file, so that the name cannot change hands between the look at it and the unlinking.
const NAMEPLATE: Range = Range::byte(ofd::BASE + 8193);

/// Held alone by who makes a segment of somebody else's memory, and by who reads or changes its table of keys.
#[cfg(feature = "compat")]
const REGISTER: Range = Range::byte(ofd::BASE + 8194);

/// The byte of an arena's first unit; also beyond every byte a file can have.
pub(super) const BLOCKS: i64 = 1 << 61;

/// The bytes of some units of an arena: the first, and how many.
pub(super) fn blocks((first, count): (u32, u32)) -> Range {
    Range {
        start: BLOCKS + i64::from(first),
        len: i64::from(count),
    }
}

/// Every byte above the blocks.
const EVERYTHING: Range = Range {
    start: ofd::BASE,
    len: 8194,
};

/// A range of the file that is locked until this is dropped.
#[derive(Debug)]
pub(super) struct Held<'a> {
    fd: BorrowedFd<'a>,
    range: Range,
}

impl<'a> Held<'a> {
    fn take(fd: BorrowedFd<'a>, hold: Hold, range: Range) -> io::Result<Option<Self>> {
        step("tenancy.locks.take");
        let won = ofd::try_lock(fd, hold, range)?;
        Ok(won.then_some(Held { fd, range }))
    }

    /// The right to clean up after the dead owner of `who`; `None` while somebody moves in.
    pub(super) fn broom(fd: BorrowedFd<'a>, who: Participant) -> io::Result<Option<Self>> {
        Held::take(fd, Hold::Shared, broom_of(who))
    }

    /// The right to move into the slot `who`; `None` while somebody else moves in or cleans up.
    pub(super) fn key(fd: BorrowedFd<'a>, who: Participant) -> io::Result<Option<Self>> {
        Held::take(fd, Hold::Exclusive, broom_of(who))
    }

    /// Keeps the object from being removed while its holder joins; `None` while it is being removed.
    pub(super) fn gate(fd: BorrowedFd<'a>) -> io::Result<Option<Self>> {
        Held::take(fd, Hold::Shared, GATE)
    }

    /// The right to unlink the file's name; `None` while somebody else is at it.
    pub(super) fn nameplate(fd: BorrowedFd<'a>) -> io::Result<Option<Self>> {
        Held::take(fd, Hold::Exclusive, NAMEPLATE)
    }

    /// The right to make a segment of somebody else's memory, and to its table of keys; `None` while another has it.
    #[cfg(feature = "compat")]
    pub(super) fn register(fd: BorrowedFd<'a>) -> io::Result<Option<Self>> {
        Held::take(fd, Hold::Exclusive, REGISTER)
    }

    /// The right to free some units of an arena; `None` while anybody uses them.
    pub(super) fn units(fd: BorrowedFd<'a>, units: (u32, u32)) -> io::Result<Option<Self>> {
        Held::take(fd, Hold::Exclusive, blocks(units))
    }

    /// Certainty that nobody but this description lives, joins or cleans here; own locks are no obstacle.
    pub(super) fn everything(fd: BorrowedFd<'a>) -> io::Result<Option<Self>> {
        Held::take(fd, Hold::Exclusive, EVERYTHING)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        step("tenancy.locks.drop");
        let _ = ofd::unlock(self.fd, self.range); // unlocking one's own range fails for lack of kernel memory only
    }
}

fn broom_of(who: Participant) -> Range {
    Range::byte(BROOMS + i64::from(who.get()))
}
