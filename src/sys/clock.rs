//! Monotonic time and absolute deadlines.

use std::time::Duration;
#[cfg(not(loom))]
use std::time::Instant;

/// Nanoseconds of `CLOCK_MONOTONIC`; the same clock in every process of this boot.
#[cfg(not(loom))]
#[inline]
pub fn now_ns() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is a writable timespec; CLOCK_MONOTONIC exists on every Linux, so the call cannot fail.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec as u64 * NANOS_PER_SECOND + now.tv_nsec as u64
}

/// Models have no time: the clock stands still.
#[cfg(loom)]
pub(crate) fn now_ns() -> u64 {
    1
}

/// A count that grows by 1 to 5 a nanosecond, for telling short times from long ones; far cheaper to read than a clock.
#[cfg(all(target_arch = "x86_64", not(loom)))]
#[inline(always)]
pub(crate) fn ticks() -> u64 {
    // SAFETY: every x86-64 processor has the instruction, and Linux lets programs use it.
    unsafe { std::arch::x86_64::_rdtsc() }
}

/// As above, where there is no such counter.
#[cfg(not(any(target_arch = "x86_64", loom)))]
pub(crate) fn ticks() -> u64 {
    now_ns()
}

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// The instant at which a blocking verb gives up, in absolute `CLOCK_MONOTONIC` nanoseconds.
///
/// Absolute, so that a wait that is cut into slices or interrupted by a signal never grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Deadline(u64);

impl Deadline {
    /// Waits for as long as it takes.
    pub(crate) const NEVER: Deadline = Deadline(u64::MAX);

    /// Has always passed: tries once and does not wait.
    pub(crate) const NOW: Deadline = Deadline(0);

    /// `timeout` from now; a time too far to be represented is [`NEVER`](Deadline::NEVER).
    pub(crate) fn after(timeout: Duration) -> Self {
        if timeout.is_zero() {
            return Deadline::NOW;
        }
        let nanos = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        Deadline(now_ns().saturating_add(nanos))
    }

    /// The given instant; one that has passed is [`NOW`](Deadline::NOW).
    #[cfg(not(loom))]
    pub(crate) fn at(instant: Instant) -> Self {
        Deadline::after(instant.saturating_duration_since(Instant::now()))
    }

    /// The time left: `None` without a deadline, zero once it has passed.
    pub(crate) fn remaining(self) -> Option<Duration> {
        match self {
            Deadline::NEVER => None,
            Deadline::NOW => Some(Duration::ZERO),
            Deadline(at) => Some(Duration::from_nanos(at.saturating_sub(now_ns()))),
        }
    }

    /// Whether the deadline has passed; reads the clock only for a real instant.
    pub(crate) fn expired(self) -> bool {
        match self {
            Deadline::NEVER => false,
            Deadline::NOW => true,
            Deadline(at) => now_ns() >= at,
        }
    }

    /// The earlier of this deadline and `slice` from now: the end of one bounded sleep.
    pub(crate) fn min_slice(self, slice: Duration) -> Self {
        self.min(Deadline::after(slice))
    }

    /// The absolute time for the kernel, or `None` for a wait without end.
    #[cfg(not(loom))]
    pub(crate) fn to_timespec(self) -> Option<libc::timespec> {
        (self != Deadline::NEVER).then_some(libc::timespec {
            tv_sec: (self.0 / NANOS_PER_SECOND) as _,
            tv_nsec: (self.0 % NANOS_PER_SECOND) as libc::c_long,
        })
    }
}

/// The longest slice of a sleep that somebody should end, and will unless he dies: who is owed a wake-up by the dead,
/// or waits for what they held, goes on after this.
pub(crate) const WATCHFUL: Duration = Duration::from_millis(70);

/// Sleepers that look about with their sharpest slices, at most: 360 looks a second, which cost 1 to 2 % of a processor
/// when each is a process of its own (measured: 30 to 60 us for a sleeper's waking, looking and going to sleep again).
pub(crate) const SHARP_WATCHERS: u32 = 25;

/// The longest slice of one of `population` sleepers, `alone` while there are no more than [`SHARP_WATCHERS`].
///
/// Beyond that slices grow in proportion, up to three seconds: what one of the sleepers finds it puts right for all, so
/// the watch as a whole stays as sharp, and a thousand of them cost no more than these few.
pub(crate) fn slice_in_crowd(alone: Duration, population: u32) -> Duration {
    const LONGEST: Duration = Duration::from_secs(3);
    let population = population.max(SHARP_WATCHERS);
    (alone * population / SHARP_WATCHERS).min(LONGEST)
}

/// The longest slice of one of `population` sleepers who wait for what somebody holds: if he dies, nothing but a look of
/// theirs tells of it. Four of them find out within 10 ms, together by 400 looks a second at most.
pub(crate) fn slice_beside_holders(population: u32) -> Duration {
    const SHORTEST: Duration = Duration::from_millis(8);
    const FOR_EACH: Duration = Duration::from_micros(2500);
    let longest = slice_in_crowd(WATCHFUL, population);
    (FOR_EACH * population).clamp(SHORTEST, longest)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn few_look_closely_after_those_who_hold_something() {
        let millis = |population| slice_beside_holders(population).as_millis();
        assert_eq!([0, 2, 4, 20].map(millis), [8, 8, 10, 50]);
        assert_eq!(
            slice_beside_holders(1000),
            slice_in_crowd(WATCHFUL, 1000).min(FOR_A_THOUSAND)
        );
    }

    /// 2.5 ms for each.
    const FOR_A_THOUSAND: Duration = Duration::from_millis(2500);

    #[test]
    fn slices_grow_with_the_crowd_only() {
        let slice = |population| slice_in_crowd(WATCHFUL, population);
        assert_eq!(slice(0), WATCHFUL);
        assert_eq!(slice(SHARP_WATCHERS), WATCHFUL);
        assert_eq!(slice(5 * SHARP_WATCHERS), 5 * WATCHFUL);
        assert_eq!(slice(4094), Duration::from_secs(3));
    }

    #[test]
    fn never_and_now_are_the_two_ends() {
        assert!(!Deadline::NEVER.expired());
        assert!(Deadline::NOW.expired());
        assert_eq!(Deadline::NEVER.remaining(), None);
        assert_eq!(Deadline::NOW.remaining(), Some(Duration::ZERO));
        assert!(Deadline::NEVER.to_timespec().is_none());
    }

    #[test]
    fn a_time_out_beyond_the_clock_is_never() {
        assert_eq!(Deadline::after(Duration::MAX), Deadline::NEVER);
    }

    #[test]
    fn past_instants_have_expired_and_future_ones_have_not() {
        let now = Instant::now();
        assert_eq!(Deadline::at(now), Deadline::NOW);
        assert!(!Deadline::at(now + Duration::from_secs(3600)).expired());
    }

    #[test]
    fn a_slice_never_outlasts_its_deadline() {
        let soon = Deadline::after(Duration::from_secs(1));
        assert_eq!(soon.min_slice(Duration::from_secs(60)), soon);
        assert!(soon.min_slice(Duration::from_millis(1)) < soon);
        assert!(Deadline::NEVER.min_slice(Duration::from_millis(1)) < Deadline::NEVER);
    }
}
