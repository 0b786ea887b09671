//! Waiting for the other end: spin, then sleep in slices, and ask now and then whether it lives.

use super::super::gate::{Gate, Ticket};
use super::super::wait::{Patience, Peers, Watch};
use super::duct::Duct;
use super::seat::{End, Seat};
use crate::sys::atomic::spin_loop;
use crate::sys::backoff;
use crate::sys::clock::{Deadline, now_ns};
use crate::sys::identity::Participant;
use std::cell::Cell;
use std::time::Duration;

/// Why an end could not do what it was to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The deadline came first: full, or empty.
    TimedOut,
    /// There is no other end any more.
    Ended(End),
    /// No shared memory is left for a message of this length.
    NoSpace,
}

/// Where nobody else wants the processor a yield takes 0.3 us, and what comes meanwhile is seen late. A pause takes 17 to
/// 50 ns, so the number of them follows the machine.
const FEWEST_TO_YIELD: u32 = 24;

/// A yield that nobody takes is shorter, and a switch to another process and back is longer.
const SWITCH: u64 = 1_000;

/// What the one end knows of the other, beside the lane.
#[derive(Clone, Copy)]
pub(super) struct Other<'a> {
    pub(super) duct: &'a Duct,
    pub(super) seat: &'a Seat,
    pub(super) me: Participant,
    pub(super) peers: &'a dyn Peers,
}

impl Other<'_> {
    /// Whether the other end's holder was found dead, and his ends are orphans now.
    pub(super) fn was_buried(self) -> bool {
        let holder = self.seat.holder().filter(|&who| who != self.me);
        holder.is_some_and(|who| self.peers.bury(who, &|dead| self.duct.repair(dead)))
    }
}

/// One blocked call.
pub(super) struct Vigil<'a> {
    other: Other<'a>,
    deadline: Deadline,
    pauses_left: u32,
    to_yield: u32,
    patience: Patience,
    /// What was looked for was there when others had had this processor, and not before.
    came_by_yielding: bool,
    /// Nothing came for as long as the last slice: time to ask.
    in_doubt: bool,
}

impl<'a> Vigil<'a> {
    pub(super) fn new(other: Other<'a>, deadline: Deadline) -> Self {
        let patient = deadline != Deadline::NOW;
        Vigil {
            other,
            deadline,
            pauses_left: if patient { backoff::usual_pauses() } else { 0 },
            to_yield: backoff::pauses_in_a_microsecond().max(FEWEST_TO_YIELD),
            patience: Patience::new(Deadline::NOW),
            came_by_yielding: false,
            in_doubt: false,
        }
    }

    /// How the other end ended; looked at before the look that finds nothing.
    pub(super) fn end(&self) -> Option<End> {
        self.other.seat.end()
    }

    /// Looks until something is found or it is time to sleep. What is waited for is written once and not worked on, so who
    /// looks after every pause is in nobody's way.
    ///
    /// Lets others have the processor from time to time: the one who is to act may be waiting for just that.
    #[inline(always)]
    pub(super) fn spin<R>(&mut self, look: impl Fn() -> Option<R>) -> Option<R> {
        while self.pauses_left > 0 {
            let some = self.to_yield.min(self.pauses_left);
            for _ in 0..some {
                if let Some(found) = look() {
                    return Some(found);
                }
                spin_loop();
            }
            self.pauses_left -= some;
            if self.end().is_some() {
                return None;
            }
            let before = now_ns();
            backoff::let_others();
            let switched = now_ns() - before >= SWITCH;
            if let Some(found) = look() {
                self.came_by_yielding = switched;
                return Some(found);
            }
        }
        None
    }

    /// Leaves out the spinning before the first sleep.
    pub(super) fn spin_no_more(&mut self) {
        self.pauses_left = 0;
    }

    pub(super) fn came_by_yielding(&self) -> bool {
        self.came_by_yielding
    }

    /// Spinning is over: `Ok` if the caller is to arm and look again.
    ///
    /// # Errors
    ///
    /// `TimedOut` at the deadline.
    pub(super) fn before_sleep(&mut self, poll: &Poll) -> Result<(), Fault> {
        if (self.in_doubt || self.deadline == Deadline::NOW && poll.is_due())
            && self.other.was_buried()
        {
            self.in_doubt = false;
            return Ok(());
        }
        match self.deadline.expired() {
            true => Err(Fault::TimedOut),
            false => Ok(()),
        }
    }

    /// Sleeps for one slice.
    pub(super) fn sleep(&mut self, gate: &Gate, ticket: Ticket) {
        let population = self.other.peers.population();
        let slice = self
            .patience
            .slice(Watch::Idle, population, Duration::ZERO, self.deadline);
        self.in_doubt = !gate.wait(ticket, slice);
        if !self.in_doubt {
            self.pauses_left = backoff::usual_pauses();
        }
    }
}

/// When who only polls looks whether the other end lives: every 10 ms, and the clock is read for every 32nd poll only.
#[derive(Debug, Default)]
pub(super) struct Poll {
    count: Cell<u32>,
    last: Cell<u64>,
}

const POLLS_TO_CLOCK: u32 = 32;
const BETWEEN_PROBES: u64 = 10_000_000;

impl Poll {
    /// Whether this poll need not even look at the clock. One that has to is left to [`is_due`](Poll::is_due).
    pub(super) fn is_idle(&self) -> bool {
        let count = self.count.get();
        let idle = !count.is_multiple_of(POLLS_TO_CLOCK);
        self.count.set(count.wrapping_add(u32::from(idle)));
        idle
    }

    fn is_due(&self) -> bool {
        let count = self.count.get();
        self.count.set(count.wrapping_add(1));
        if !count.is_multiple_of(POLLS_TO_CLOCK) {
            return false;
        }
        let now = now_ns();
        let due = now.saturating_sub(self.last.get()) >= BETWEEN_PROBES;
        if due {
            self.last.set(now);
        }
        due
    }
}
