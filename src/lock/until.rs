//! Locks taken by those who wait until something else happens.

use super::LockTimeoutError;
use crate::sys::clock::Deadline;
use crate::sys::until::{Missed, Over, Until};

/// Attempts to take a lock until it is taken or `until` is over; see [`Until::attempt`].
pub(crate) fn attempt_until<G>(
    until: Until<'_>,
    attempt: impl Fn(Deadline) -> Result<G, LockTimeoutError>,
) -> Result<G, LockTimeoutError> {
    let taken = until.attempt(|end| {
        attempt(end).map_err(|why| match why {
            LockTimeoutError::Timeout => None,
            other => Some(other),
        })
    });
    taken.map_err(|why| match why {
        Missed::Over(Over::TimedOut) => LockTimeoutError::Timeout,
        Missed::Over(Over::Ended) => LockTimeoutError::Ended,
        Missed::Refused(why) => why,
    })
}
