//! Why a wait for a condition ended without a notification: one small enum per verb.

use crate::{Error, ErrorKind};
use thiserror::Error as Explained;

/// Why [`ConditionGuard::wait`](crate::ConditionGuard::wait) ended without a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Explained)]
#[non_exhaustive]
pub enum ConditionError {
    /// A process died or panicked while it held the lock, before this wait or during it. The guard is kept, and
    /// [marked](crate::ConditionGuard::is_marked).
    #[error(
        "process {pid} died or panicked while it held the lock; its data may be half changed, see mark_consistent"
    )]
    #[non_exhaustive]
    OwnerDied {
        /// The process that held the lock.
        pid: u32,
    },
    /// As many wait as can; nothing has changed, and the guard is kept.
    #[error("1,024 wait for the condition already")]
    TooManyWaiters,
    /// The bytes guarded by the lock were no value of its type when the wait ended; the lock has been given up, see
    /// [`Condition::reset`](crate::Condition::reset).
    #[error("the data guarded by the lock are no value of its type")]
    Invalid,
}

/// Why [`ConditionGuard::wait_timeout`](crate::ConditionGuard::wait_timeout) and the other waits with an end ended without
/// a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Explained)]
#[non_exhaustive]
pub enum ConditionTimeoutError {
    /// The time given has passed. The guard is kept.
    #[error("the time given has passed")]
    Timeout,
    /// The process that an [`Until`](crate::Until) names has ended. The guard is kept.
    #[error("the process that was watched has ended")]
    Ended,
    /// See [`ConditionError::OwnerDied`].
    #[error(
        "process {pid} died or panicked while it held the lock; its data may be half changed, see mark_consistent"
    )]
    #[non_exhaustive]
    OwnerDied {
        /// The process that held the lock.
        pid: u32,
    },
    /// See [`ConditionError::TooManyWaiters`].
    #[error("1,024 wait for the condition already")]
    TooManyWaiters,
    /// See [`ConditionError::Invalid`].
    #[error("the data guarded by the lock are no value of its type")]
    Invalid,
}

impl ConditionTimeoutError {
    /// The same, of a wait that has no end of its own.
    pub(super) fn without_end(self) -> ConditionError {
        match self {
            Self::OwnerDied { pid } => ConditionError::OwnerDied { pid },
            Self::TooManyWaiters => ConditionError::TooManyWaiters,
            Self::Invalid => ConditionError::Invalid,
            Self::Timeout | Self::Ended => unreachable!("there is no end"),
        }
    }
}

/// Why [`ConditionGuard::register`](crate::ConditionGuard::register) did not enter the queue. The lock has been given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Explained)]
#[non_exhaustive]
pub enum RegisterError {
    /// The guard was [marked](crate::ConditionGuard::is_marked), and so is the lock again.
    #[error(
        "process {pid} died or panicked while it held the lock; its data may be half changed, see mark_consistent"
    )]
    #[non_exhaustive]
    OwnerDied {
        /// The process that held the lock.
        pid: u32,
    },
    /// As many wait as can.
    #[error("1,024 wait for the condition already")]
    TooManyWaiters,
}

impl From<RegisterError> for Error {
    fn from(error: RegisterError) -> Self {
        let kind = match error {
            RegisterError::OwnerDied { .. } => ErrorKind::OwnerDied,
            RegisterError::TooManyWaiters => ErrorKind::NoSpace,
        };
        Error::new(kind, error.to_string()).with_source(error)
    }
}

impl From<ConditionError> for Error {
    fn from(error: ConditionError) -> Self {
        let kind = match error {
            ConditionError::OwnerDied { .. } => ErrorKind::OwnerDied,
            ConditionError::TooManyWaiters => ErrorKind::NoSpace,
            ConditionError::Invalid => ErrorKind::Corrupt,
        };
        Error::new(kind, error.to_string()).with_source(error)
    }
}

impl From<ConditionTimeoutError> for Error {
    fn from(error: ConditionTimeoutError) -> Self {
        let kind = match error {
            ConditionTimeoutError::Timeout => ErrorKind::Timeout,
            ConditionTimeoutError::Ended => ErrorKind::Disconnected,
            ConditionTimeoutError::OwnerDied { .. } => ErrorKind::OwnerDied,
            ConditionTimeoutError::TooManyWaiters => ErrorKind::NoSpace,
            ConditionTimeoutError::Invalid => ErrorKind::Corrupt,
        };
        Error::new(kind, error.to_string()).with_source(error)
    }
}
