//! How long to spin before sleeping: a few microseconds, and never on a single processor.

use crate::sys::atomic::spin_loop;
use std::time::Duration;

/// One spinning phase in front of a sleep: pauses that double, then two yields, then `false`.
///
/// A sleep and its wake-up cost some 6 us together, so spinning for about that long at most doubles the cost of
/// having guessed wrongly.
#[derive(Debug)]
pub(crate) struct Spin {
    pauses_left: u32,
    batch: u32,
    yields_left: u8,
}

/// The pauses of one look at the predicate grow up to this; more would make the answer late.
const LONGEST_BATCH: u32 = 16;
const YIELDS: u8 = 2;

/// The time that who waits spends on spinning before he sleeps, unless there is a reason for more.
pub(crate) const USUAL: Duration = Duration::from_micros(6);

impl Spin {
    /// A spin of the usual length.
    pub(crate) fn new() -> Self {
        Spin::with_budget(USUAL.as_nanos() as u64)
    }

    /// A spin of about `nanos`, counted in pauses so that no clock is read while spinning.
    pub(crate) fn with_budget(nanos: u64) -> Self {
        let pauses = machine::pauses_in(nanos);
        Spin {
            pauses_left: pauses,
            batch: 1,
            yields_left: if pauses == 0 { 0 } else { YIELDS },
        }
    }

    /// Pauses for a moment; `false`, without a pause, once the budget is used up and it is time to sleep.
    #[inline]
    pub(crate) fn once(&mut self) -> bool {
        if self.pauses_left == 0 {
            return self.yield_once();
        }
        let batch = self.batch.min(self.pauses_left);
        (0..batch).for_each(|_| spin_loop());
        self.pauses_left -= batch;
        self.batch = (self.batch * 2).min(LONGEST_BATCH);
        true
    }

    #[cold]
    fn yield_once(&mut self) -> bool {
        if self.yields_left == 0 {
            return false;
        }
        self.yields_left -= 1;
        machine::yield_now();
        true
    }
}

/// The pauses of one spinning phase of the usual length; none where the one waited for could not run meanwhile.
pub(crate) fn usual_pauses() -> u32 {
    machine::pauses_in(USUAL.as_nanos() as u64)
}

/// The pauses of a microsecond.
pub(crate) fn pauses_in_a_microsecond() -> u32 {
    machine::pauses_in(1000)
}

/// Lets others have the processor, if any want it.
#[cold]
pub(crate) fn let_others() {
    machine::yield_now();
}

/// Whether the one waited for can run while the caller spins.
pub(crate) fn is_worthwhile() -> bool {
    machine::pauses_in(1024) > 0
}

#[cfg(not(loom))]
mod machine {
    use crate::sys::atomic::spin_loop;
    use crate::sys::clock::now_ns;
    use std::sync::OnceLock;

    pub(super) use std::thread::yield_now;

    /// Pauses per 1,024 ns; zero where another thread could not run while we spin.
    static RATE: OnceLock<u32> = OnceLock::new();

    pub(super) fn pauses_in(nanos: u64) -> u32 {
        let rate = u64::from(*RATE.get_or_init(measure));
        u32::try_from(nanos.saturating_mul(rate) / 1024).unwrap_or(u32::MAX)
    }

    /// The best of a few short runs: a run that was preempted would claim that a pause takes milliseconds.
    fn measure() -> u32 {
        const PAUSES: u64 = 64;
        if !has_two_processors() {
            return 0;
        }
        let run = || {
            let start = now_ns();
            (0..PAUSES).for_each(|_| spin_loop());
            (now_ns() - start).max(1)
        };
        let best = (0..4).map(|_| run()).min().unwrap_or(1024);
        (PAUSES * 1024 / best).clamp(1, 1024) as u32
    }

    /// Whether the machine has a second processor that is on.
    ///
    /// The own affinity does not answer this: a process pinned to one processor still waits for peers on others.
    pub(super) fn has_two_processors() -> bool {
        let online = std::fs::read_to_string("/sys/devices/system/cpu/online");
        online.map_or(true, |list| list.contains(['-', ',']))
    }
}

/// In a model spinning is one yield: it lets another thread run, and more of it would only add states.
#[cfg(loom)]
mod machine {
    pub(super) use loom::thread::yield_now;

    pub(super) fn pauses_in(_: u64) -> u32 {
        0
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_spin_ends() {
        let mut spin = Spin::new();
        while spin.once() {}
        assert!(!spin.once());
    }

    #[test]
    fn no_budget_means_no_pause() {
        assert!(!Spin::with_budget(0).once());
    }

    #[test]
    fn one_processor_never_spins() {
        let expect_spin = machine::has_two_processors();
        assert_eq!(Spin::new().once(), expect_spin);
    }
}
