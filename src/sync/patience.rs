//! How long to wait for a word to change: spin, then sleep in slices, until it is time to give up.

use crate::sys::atomic::spin_loop;
use crate::sys::backoff;
use crate::sys::clock::{Deadline, WATCHFUL, now_ns, slice_beside_holders, slice_in_crowd};
use crate::sys::identity::Oracle;
use crate::sys::until::{Over, Until};
use std::time::Duration;

/// One blocked call: what is left of its spinning, and for how long it has slept.
///
/// A waiter looks at its word, and while it must wait: [`spin`](Patience::spin); when that is used up, announce the
/// sleeper, look again, ask [`over`](Patience::over), and sleep until the end of a [`slice`](Patience::slice). Nobody
/// sleeps longer than a slice without looking, so a wake-up that died with its sender costs no more than that.
pub(super) struct Patience<'a> {
    until: Until<'a>,
    peers: &'a dyn Oracle,
    pauses_left: u32,
    /// Whether what is waited for is held by somebody who may take it to his grave.
    beside_holders: bool,
    /// So many pauses, one yield: about a microsecond, but not fewer than [`FEWEST_TO_YIELD`].
    to_yield: u32,
    /// When the first sleep since the last stir began; 0 before.
    since: u64,
}

/// A timer that is due before the next tick has the clock set anew when the sleeper wakes: 5 us of 55 for one that is
/// just due, and 3 % after 1 ms of 4. Most kernels tick every 4 ms; this one is late enough for a while.
const SHORTEST: Duration = Duration::from_millis(6);

/// This is the first slice of one who waits for what somebody holds who may take it to his grave: nothing but the sleeper's own
/// look tells of that.
const SHORTEST_BESIDE_HOLDERS: Duration = Duration::from_millis(1);

/// Where nobody else wants the processor a yield takes 0.3 us, and what comes meanwhile is seen late. A pause takes 17 to
/// 50 ns, so the number of them follows the machine.
const FEWEST_TO_YIELD: u32 = 24;

impl<'a> Patience<'a> {
    /// A call that has only just found that it must wait.
    pub(super) fn new(until: Until<'a>, peers: &'a dyn Oracle) -> Self {
        let pauses_left = if until.is_now() {
            0
        } else {
            backoff::usual_pauses()
        };
        Patience {
            until,
            peers,
            pauses_left,
            beside_holders: false,
            to_yield: backoff::pauses_in_a_microsecond().max(FEWEST_TO_YIELD),
            since: 0,
        }
    }

    /// The same of one who waits for what others hold.
    pub(super) fn beside_holders(self) -> Self {
        Patience {
            beside_holders: true,
            ..self
        }
    }

    /// Pauses once; `false` when it is time to sleep. The word waited for is written once and not worked on, so who
    /// looks at it after every pause is in nobody's way.
    ///
    /// Now and then it lets others have the processor: the one who is to change the word may be waiting for just that.
    #[inline]
    pub(super) fn spin(&mut self) -> bool {
        let Some(left) = self.pauses_left.checked_sub(1) else {
            return false;
        };
        self.pauses_left = left;
        match left % self.to_yield {
            0 => backoff::let_others(),
            _ => spin_loop(),
        }
        true
    }

    /// Why to wait no longer, if there is a reason.
    pub(super) fn over(&self) -> Option<Over> {
        self.until.over()
    }

    /// The end of the next sleep: a quarter of the time slept so far, within bounds.
    pub(super) fn slice(&mut self) -> Deadline {
        let now = now_ns();
        if self.since == 0 {
            self.since = now;
        }
        let slept = Duration::from_nanos(now.saturating_sub(self.since));
        let population = self.peers.population();
        let (shortest, longest) = match self.beside_holders {
            true => (SHORTEST_BESIDE_HOLDERS, slice_beside_holders(population)),
            false => (SHORTEST, slice_in_crowd(WATCHFUL, population)),
        };
        self.until.slice((slept / 4).clamp(shortest, longest))
    }

    /// Something happened: what is waited for may be near, so look closely again.
    #[allow(dead_code, reason = "for the primitives that follow")]
    pub(super) fn stirred(&mut self) {
        self.since = 0;
        self.pauses_left = backoff::usual_pauses();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sys::identity::Participant;

    struct Few;

    impl Oracle for Few {
        fn is_alive(&self, _: Participant) -> bool {
            true
        }
    }

    #[test]
    fn a_call_that_may_not_wait_does_not_spin() {
        assert!(!Patience::new(Deadline::NOW.into(), &Few).spin());
    }

    #[test]
    fn spinning_ends_and_slices_grow() {
        let mut patience = Patience::new(Deadline::NEVER.into(), &Few);
        while patience.spin() {}
        assert!(!patience.spin());
        assert!(patience.slice().remaining().unwrap() <= SHORTEST);
        patience.since = now_ns().saturating_sub(3_600_000_000_000).max(1); // the machine may be younger
        let slice = patience.slice().remaining().unwrap();
        assert!(slice <= WATCHFUL && slice > SHORTEST);
        let mut patience = Patience::new(Deadline::NEVER.into(), &Few).beside_holders();
        assert!(patience.slice().remaining().unwrap() <= SHORTEST_BESIDE_HOLDERS);
    }
}
