//! How long to wait beside a ring: spin, then sleep in slices that follow what is being waited for.

use crate::sys::backoff::Spin;
use crate::sys::clock::{Deadline, WATCHFUL, now_ns, slice_beside_holders, slice_in_crowd};
use crate::sys::identity::{Oracle, Participant};
use std::time::Duration;

/// What a participant does with a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Puts messages.
    Producer,
    /// Takes messages.
    Consumer,
}

impl Role {
    /// The bit of this role in the control block's `roles`.
    pub(crate) fn bit(self) -> u32 {
        match self {
            Role::Producer => 1,
            Role::Consumer => 2,
        }
    }
}

/// What a ring must know of its members: supplied by the floor above, which keeps the roster.
pub(crate) trait Peers: Oracle {
    /// Whether a living member holds `role`.
    fn any_with(&self, role: Role) -> bool;
    /// Calls `repair` for `who` if it is dead, and then frees its seat; true if it was.
    ///
    /// The seat gets no new owner while the repair runs: else a repairer that was stopped in the middle would take
    /// from the newcomer what it thinks is the dead one's.
    fn bury(&self, who: Participant, repair: &dyn Fn(Participant)) -> bool;
}

/// What a sleeper waits for; the more urgent, the shorter its slices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watch {
    /// A message that its writer has claimed and not yet published: due any moment.
    InFlight,
    /// Something that another member holds and may take to its grave.
    Held,
    /// Nothing but the next call of somebody else, who will wake us.
    Idle,
}

impl Watch {
    /// The longest slice of one of so many.
    fn longest(self, population: u32) -> Duration {
        match self {
            Watch::InFlight => slice_in_crowd(Duration::from_millis(5), population),
            Watch::Held => slice_beside_holders(population),
            // The next call may have come, and died before it woke us.
            Watch::Idle => slice_in_crowd(WATCHFUL, population),
        }
    }

    fn shortest(self) -> Duration {
        match self {
            Watch::InFlight => Duration::from_micros(100),
            Watch::Held => Duration::from_millis(1),
            // A timer that is due before the next tick costs a round trip 5 us of 55; this one costs nothing.
            Watch::Idle => Duration::from_millis(4),
        }
    }
}

/// What a sleeper spends on looking about, at most: this part of its time.
const SHARE_OF_TIME: u32 = 50;

/// One blocked call: what is left of its spinning, and since when nothing has happened.
#[derive(Debug)]
pub(crate) struct Patience {
    spin: Option<Spin>,
    quiet_since: u64,
}

impl Patience {
    /// A call that has only just found that it must wait; `deadline` [`Deadline::NOW`] means it will not.
    pub(crate) fn new(deadline: Deadline) -> Self {
        let spin = (deadline != Deadline::NOW).then(Spin::new);
        Patience {
            spin,
            quiet_since: 0,
        }
    }

    /// Pauses for a moment; false once it is time to sleep.
    #[inline]
    pub(crate) fn spin(&mut self) -> bool {
        self.spin.as_mut().is_some_and(Spin::once)
    }

    /// A wake-up came: whatever happened, it happened just now, so watch closely and spin once more.
    pub(crate) fn stirred(&mut self) {
        self.quiet_since = 0;
        self.spin = Some(Spin::new());
    }

    /// The end of the next slice: a quarter of the time that nothing has happened, within the watch's bounds, and long
    /// beside the `cost` of looking about, which grows with the ring.
    pub(crate) fn slice(
        &mut self,
        watch: Watch,
        population: u32,
        cost: Duration,
        deadline: Deadline,
    ) -> Deadline {
        let now = now_ns();
        if self.quiet_since == 0 {
            self.quiet_since = now;
        }
        let quiet = Duration::from_nanos(now.saturating_sub(self.quiet_since));
        let longest = watch.longest(population);
        let slice = (quiet / 4).clamp(watch.shortest(), longest);
        deadline.min_slice(slice.max(cost.saturating_mul(SHARE_OF_TIME)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice_after(quiet: Duration, watch: Watch, population: u32) -> Duration {
        // The clock may have begun later: it counts from when the machine was started.
        let quiet_since = now_ns().saturating_sub(quiet.as_nanos() as u64).max(1);
        let mut patience = Patience {
            spin: None,
            quiet_since,
        };
        patience
            .slice(watch, population, Duration::ZERO, Deadline::NEVER)
            .remaining()
            .unwrap()
    }

    #[test]
    fn slices_grow_with_quiet_and_stay_within_bounds() {
        let hour = Duration::from_secs(3600);
        assert!(slice_after(Duration::ZERO, Watch::Held, 2) <= Duration::from_millis(1));
        assert!(slice_after(Duration::ZERO, Watch::Idle, 2) <= Duration::from_millis(4));
        assert!(slice_after(hour, Watch::InFlight, 2) <= Duration::from_millis(5));
        assert!(slice_after(hour, Watch::Held, 2) <= Duration::from_millis(8));
        assert!(slice_after(hour, Watch::Idle, 25) <= WATCHFUL);
        assert!(slice_after(hour, Watch::Idle, 1000) > Duration::from_secs(1));
    }

    #[test]
    fn a_call_that_may_not_wait_does_not_spin() {
        assert!(!Patience::new(Deadline::NOW).spin());
    }
}
