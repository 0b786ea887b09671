//! Locks taken by those who wait until something else happens.

use std::time::Duration;

use super::LockTimeoutError;
use crate::sys::clock::Deadline;
use crate::sys::until::{Over, Until};

/// Nobody waits in one piece for so long.
const LONGEST: Duration = Duration::from_secs(3600);

/// Attempts to take a lock, one slice after the other, until it is taken or `until` is over. At the end of a process it is
/// tried once more: what is waited for comes first.
pub(crate) fn attempt_until<G>(
    until: Until<'_>,
    attempt: impl Fn(Deadline) -> Result<G, LockTimeoutError>,
) -> Result<G, LockTimeoutError> {
    loop {
        match attempt(until.slice(LONGEST)) {
            Err(LockTimeoutError::Timeout) => {}
            done => return done,
        }
        match until.over() {
            None => {}
            Some(Over::TimedOut) => return Err(LockTimeoutError::Timeout),
            Some(Over::Ended) => {
                return attempt(Deadline::NOW).map_err(|why| match why {
                    LockTimeoutError::Timeout => LockTimeoutError::Ended,
                    other => other,
                });
            }
        }
    }
}
