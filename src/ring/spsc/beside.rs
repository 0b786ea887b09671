//! Whether the other end seems to run on this very processor.
//!
//! There nothing comes for as long as this end has the processor: to spin is in vain, and a yield sets back who makes it,
//! by a whole slice. To sleep at once is best for messages that come alone. Which processor an end runs on may change at
//! any time, so it is guessed from how messages come.

use std::cell::Cell;

/// What one end has seen of late.
#[derive(Debug, Default)]
pub(super) struct Beside {
    /// Waits in a row that ended when others had had the processor.
    times: Cell<u32>,
    /// Waits since that was looked at again.
    trusted: Cell<u32>,
}

/// So often in a row is no coincidence any more.
const SURELY: u32 = 3;
/// So many waits go by what was seen before.
const TRUSTED: u32 = 32;

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

    /// Whether the next wait is to begin with sleep.
    #[inline]
    pub(super) fn is_likely(&self) -> bool {
        let trusted = self.trusted.get();
        let likely = self.times.get() == SURELY && trusted < TRUSTED;
        self.trusted.set(trusted + u32::from(likely));
        likely
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
}
