//! What a task may cost.

use std::time::Duration;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grant {
    /// How often it may be begun again.
    pub(super) again: u32,
    /// How many nanoseconds it may take; [`ANY`](Grant::ANY) is no limit.
    pub(super) limit: u64,
}

impl Grant {
    /// Stands for as long as it takes.
    pub(super) const ANY: u64 = u64::MAX;

    /// Once, for as long as it takes.
    pub(super) fn new() -> Self {
        Grant {
            again: 0,
            limit: Grant::ANY,
        }
    }

    /// The limit, if there is one.
    pub(super) fn limit_of(time: Duration) -> u64 {
        u64::try_from(time.as_nanos()).unwrap_or(Grant::ANY)
    }
}
