//! Whether the other end seems to run on this very processor.
//!
//! There nothing comes for as long as this end has the processor: to spin is in vain. One yield lets the other end act, by
//! half of what a sleep and its wake-up take (8 B there and back: 3.1 us in place of 5.3 to 6.9); but if somebody else
//! wants the processor, it is gone for a whole slice. So who has lost it for long by a yield sleeps at once for a while.
//! Which processor an end runs on may change at any time, so it is guessed from how messages come.

use crate::sys::backoff;
use crate::sys::clock::now_ns;
use std::cell::Cell;

/// What one end has seen of late.
#[derive(Debug, Default)]
pub(super) struct Beside {
    /// Waits in a row that ended when others had had the processor.
    times: Cell<u32>,
    /// Waits since that was looked at again.
    trusted: Cell<u32>,
    /// Waits until a yield is tried again.
    without: Cell<u32>,
}

/// So often in a row is no coincidence any more.
const SURELY: u32 = 3;
/// So many waits go by what was seen before.
const TRUSTED: u32 = 32;
/// Who answers has done so in this time.
const LONG: u64 = 100_000;
/// So many waits begin with sleep after a yield that took longer.
const WITHOUT: u32 = 256;

impl Beside {
    /// How a wait ended that began with spinning.
    #[inline]
    pub(super) fn note(&self, came_by_yielding: bool) {
        let times = match came_by_yielding {
            true => self.times.get() + 1,
            false => 0,
        };
        self.times.set(times.min(SURELY));
        self.trusted.set(0);
    }

    /// Whether the next wait is to begin without spinning.
    #[inline]
    pub(super) fn is_likely(&self) -> bool {
        let trusted = self.trusted.get();
        let likely = self.times.get() == SURELY && trusted < TRUSTED;
        self.trusted.set(trusted + u32::from(likely));
        likely
    }

    /// Lets the other end act, if it is likely that it is who gets the processor; whether it did.
    pub(super) fn lets_act(&self) -> bool {
        self.lets_act_by(|| {
            let before = now_ns();
            backoff::let_others();
            now_ns() - before
        })
    }

    /// The same by a yield that says how long it took.
    fn lets_act_by(&self, give_way: impl FnOnce() -> u64) -> bool {
        let without = self.without.get();
        if without > 0 {
            self.without.set(without - 1);
            return false;
        }
        if give_way() > LONG {
            self.without.set(WITHOUT);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_trusted_for_a_while() {
        let beside = Beside::default();
        (1..SURELY).for_each(|_| beside.note(true));
        assert!(!beside.is_likely());
        beside.note(true);
        let trusted = (0..100).filter(|_| beside.is_likely()).count();
        assert_eq!(trusted, TRUSTED as usize);
        beside.note(true);
        assert!(beside.is_likely());
        beside.note(false);
        assert!(!beside.is_likely());
    }

    #[test]
    fn who_lost_the_processor_for_long_keeps_it_for_a_while() {
        let beside = Beside::default();
        assert!((0..1000).all(|_| beside.lets_act_by(|| LONG)));
        assert!(beside.lets_act_by(|| LONG + 1), "that one was made");
        let tries = (0..).take_while(|_| !beside.lets_act_by(|| 0)).count();
        assert_eq!(tries, WITHOUT as usize);
    }
}
