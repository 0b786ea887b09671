//! Cleaning up after the dead: find members whose lock is gone, repair what they left, free their slots.
//!
//! Any number of sweepers may be at the same slot, and each may die or be stopped at any instruction: repairs are
//! idempotent, and the slot gets no new owner before the last of them has let go of its broom (see `locks`).

use crate::error::Result;
use crate::segment::{Segment, Watchers};
use crate::sys::atomic::Ordering;
use crate::sys::clock::now_ns;
use crate::sys::identity::{self, Participant};
use crate::sys::seeded::seeded;
use crate::sys::step::step;
use crate::tenancy::locks::Held;
use crate::tenancy::roster::{Roster, cannot_lock};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

/// What an object does about a participant that is no longer there.
pub(crate) trait Repair: Send + Sync {
    /// Undoes or completes whatever `dead` had begun and gives back whatever it held.
    ///
    /// Called for every dead member before its slot is used again; possibly by several processes at once, and again
    /// from the start if one of them dies. It must not touch what any other participant owns, nor wait for anything.
    fn repair(&self, segment: &Arc<Segment>, dead: Participant);

    /// Gives back what the calling process still holds as `me` when it leaves, a forgotten guard for instance.
    fn leave(&self, segment: &Arc<Segment>, me: Participant) {
        self.repair(segment, me);
    }

    /// Whether something of the calling process, which leaves as `me`, points into the segment for ever.
    fn is_pinned(&self, _segment: &Arc<Segment>, _me: Participant) -> bool {
        false
    }
}

/// For objects in which nobody owns anything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NothingToRepair;

impl Repair for NothingToRepair {
    fn repair(&self, _: &Arc<Segment>, _: Participant) {}
}

/// Cleans up after `who` if it is dead; `true` if the slot was freed.
pub(super) fn bury(
    roster: Roster<'_>,
    fd: BorrowedFd<'_>,
    who: Participant,
    repair: &dyn Fn(Participant),
) -> Result<bool> {
    if lives(fd, who) {
        return Ok(false);
    }
    let Some(_broom) = Held::broom(fd, who).map_err(cannot_lock)? else {
        return Ok(false); // somebody is moving in, and has therefore found it clean
    };
    // Asked again: only with the broom in hand can the dead not be replaced by the living.
    if lives(fd, who) {
        return Ok(false);
    }
    if roster.is_taken(who) {
        step("sweep.repair");
        repair(who);
        Watchers::of(roster.segment()).forget(who);
    }
    roster.vacate(who);
    Ok(true)
}

fn lives(fd: BorrowedFd<'_>, who: Participant) -> bool {
    !seeded("sweep-the-living") && identity::is_alive(fd, who)
}

/// Cleans up after every dead member but `me`, and says how many there were.
///
/// No other thread uses `fd` for locks. A slot that cannot be cleaned now is left to the next sweep.
pub(super) fn sweep(
    roster: Roster<'_>,
    fd: BorrowedFd<'_>,
    me: Option<Participant>,
    repair: &dyn Fn(Participant),
) -> usize {
    let others = roster.occupied().filter(|&who| Some(who) != me);
    others
        .filter(|&who| matches!(bury(roster, fd, who, repair), Ok(true)))
        .count()
}

/// No look-out is set further ahead than this; a later one was written by a clock that is not ours.
const LONGEST_PERIOD: Duration = Duration::from_secs(10);

/// A sweep may take this part of one processor's time, all sleepers together.
const SHARE_OF_TIME: u64 = 100;

/// Whether the caller is the one, among all sleepers of all processes, whose turn it is to look for the dead.
pub(super) fn vigil(roster: Roster<'_>, period: Duration) -> bool {
    let word = roster.next_vigil();
    let now = now_ns();
    // Relaxed: a rate limit guards nothing.
    let next = word.load(Ordering::Relaxed);
    if next > now && next - now <= nanos(LONGEST_PERIOD) {
        return false;
    }
    let later = now + nanos(period.min(LONGEST_PERIOD));
    step("sweep.vigil");
    word.compare_exchange(next, later, Ordering::Relaxed, Ordering::Relaxed)
        .is_ok()
}

/// Puts the next look-out off in proportion to what the last one cost: probing grows with the square of the members.
pub(super) fn postpone(roster: Roster<'_>, cost_ns: u64) {
    let later = cost_ns
        .saturating_mul(SHARE_OF_TIME)
        .min(nanos(LONGEST_PERIOD));
    step("sweep.postpone");
    roster
        .next_vigil()
        .fetch_max(now_ns() + later, Ordering::Relaxed);
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
