//! Waiting a little longer than usual for somebody who is at work on the very message that one waits for.
//!
//! A writer of 1 MiB takes some 80 us. Who spins for 6 us and then sleeps is woken for each such message, by a call for
//! which the writer pays; who lingers is there when it is done. Where that turned out to be in vain it is seldom tried.

use crate::sys::atomic::{AtomicU32, Ordering::Relaxed, spin_loop};
use crate::sys::backoff;
use crate::sys::clock::{Deadline, now_ns};
use std::time::Duration;

/// How lingering went in this process of late: the times in a row that it was in vain, or was not tried.
#[derive(Debug, Default)]
pub(crate) struct Luck(AtomicU32);

/// So long is lingered at most.
pub(crate) const LONGEST: Duration = Duration::from_micros(100);
/// In vain so often, it is tried once in so many waits.
const PATIENCE: u32 = 2;
const SELDOM: u32 = 16;
const PAUSES: u32 = 16;

/// The lingering of one blocked call.
#[derive(Debug)]
pub(super) struct Linger<'a> {
    luck: &'a Luck,
    deadline: Deadline,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    NotYet,
    Until(u64),
    Over,
}

impl<'a> Linger<'a> {
    pub(super) fn new(luck: &'a Luck, deadline: Deadline) -> Self {
        let possible = deadline != Deadline::NOW && backoff::is_worthwhile();
        let state = if possible { State::NotYet } else { State::Over };
        Linger {
            luck,
            deadline,
            state,
        }
    }

    /// Pauses, and lets others have the processor; `false` once it is time to sleep.
    #[cold]
    pub(super) fn once(&mut self) -> bool {
        let now = now_ns();
        match self.state {
            State::NotYet if self.luck.tempts() => {
                let left = self.deadline.remaining().unwrap_or(LONGEST).min(LONGEST);
                self.state = State::Until(now + left.as_nanos() as u64);
            }
            State::Until(end) if now < end => {}
            State::Until(_) => {
                self.luck.lost();
                self.state = State::Over;
            }
            State::NotYet | State::Over => self.state = State::Over,
        }
        if self.state == State::Over {
            return false;
        }
        (0..PAUSES).for_each(|_| spin_loop());
        std::thread::yield_now();
        true
    }
}

impl Drop for Linger<'_> {
    fn drop(&mut self) {
        if matches!(self.state, State::Until(_)) {
            self.luck.won();
        }
    }
}

impl Luck {
    /// Whether to try it once more; where not, that counts as one more time in vain.
    pub(crate) fn tempts(&self) -> bool {
        let losses = self.0.load(Relaxed);
        let tempts = losses < PATIENCE || losses.is_multiple_of(SELDOM);
        if !tempts {
            self.lost();
        }
        tempts
    }

    /// It was in vain.
    pub(crate) fn lost(&self) {
        // no step: of this process, whose threads may count wrongly
        self.0.store(self.0.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// It was not.
    pub(crate) fn won(&self) {
        self.0.store(0, Relaxed); // no step: of this process
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lingers to the end; whether it did at all.
    fn in_vain(luck: &Luck) -> bool {
        let mut linger = Linger::new(luck, Deadline::NEVER);
        let tried = linger.once();
        while linger.once() {}
        tried
    }

    #[test]
    fn what_was_in_vain_is_seldom_tried() {
        let luck = Luck::default();
        let tried = (0..160).filter(|_| in_vain(&luck)).count();
        let expected = if backoff::is_worthwhile() { 11 } else { 0 };
        assert_eq!(tried, expected);
        luck.won();
        assert_eq!(in_vain(&luck), backoff::is_worthwhile());
    }

    #[test]
    fn a_call_that_may_not_wait_does_not_linger() {
        assert!(!Linger::new(&Luck::default(), Deadline::NOW).once());
    }
}
