//! Why a value was not made.

use crate::sync::Refused;
use crate::{Error, ErrorKind};
use thiserror::Error as Explained;

/// Why the value of a [`OnceValue`](crate::OnceValue) could not be had or set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Explained)]
#[non_exhaustive]
pub enum OnceError {
    /// The calling thread is just making this very value, and would wait for itself.
    #[error("this thread is making the value already")]
    Deadlock,
    /// The time given has passed, and somebody is still making the value.
    #[error("the time given has passed, and somebody is still making the value")]
    Timeout,
    /// The process named in the [`Until`](crate::Until) has ended, and somebody is still making the value.
    #[error("the other process has ended, and somebody is still making the value")]
    Ended,
    /// There is a value already; from [`set`](crate::OnceValue::set) only.
    #[error("the value is set already")]
    AlreadySet,
}

impl From<Refused> for OnceError {
    fn from(why: Refused) -> Self {
        match why {
            Refused::Deadlock => OnceError::Deadlock,
            _ => OnceError::Timeout, // marks are recovered
        }
    }
}

impl From<OnceError> for Error {
    fn from(error: OnceError) -> Self {
        let kind = match error {
            OnceError::Deadlock => ErrorKind::Deadlock,
            OnceError::Timeout => ErrorKind::Timeout,
            OnceError::Ended => ErrorKind::Disconnected,
            OnceError::AlreadySet => ErrorKind::AlreadyExists,
        };
        Error::new(kind, error.to_string()).with_source(error)
    }
}
