//! Why a wait ended without what it waited for: shared by the primitives that only wait.

use super::{Error, ErrorKind};
use thiserror::Error as Explained;

/// The time given has passed, and what was waited for has not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Explained)]
#[error("the time given has passed")]
pub struct TimedOut;

/// Why a wait with an [`Until`](crate::Until) ended without what it waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Explained)]
#[non_exhaustive]
pub enum WaitError {
    /// The time given has passed.
    #[error("the time given has passed")]
    Timeout,
    /// The process whose end was to end the wait has ended.
    #[error("the process that was watched has ended")]
    Ended,
}

impl From<TimedOut> for Error {
    fn from(error: TimedOut) -> Self {
        Error::new(ErrorKind::Timeout, error.to_string()).with_source(error)
    }
}

impl From<WaitError> for Error {
    fn from(error: WaitError) -> Self {
        let kind = match error {
            WaitError::Timeout => ErrorKind::Timeout,
            WaitError::Ended => ErrorKind::Disconnected,
        };
        Error::new(kind, error.to_string()).with_source(error)
    }
}
