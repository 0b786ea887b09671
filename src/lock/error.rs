//! Why a lock was not taken: one small enum per verb.

use crate::{Error, ErrorKind};
use thiserror::Error as Explained;

/// Why [`Lock::lock`](crate::Lock::lock) holds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Explained)]
#[non_exhaustive]
pub enum LockError {
    /// The process that held the lock died or panicked with it, or recovered it and did not mend the data.
    #[error(
        "process {pid} died or panicked while it held the lock; its data may be half changed, see Lock::recover"
    )]
    #[non_exhaustive]
    OwnerDied {
        /// The process that held the lock.
        pid: u32,
    },
    /// The calling thread holds the lock already, and would wait for itself.
    #[error("this thread holds the lock already")]
    Deadlock,
    /// The bytes guarded by the lock are no value of its type; see [`Lock::reset`](crate::Lock::reset).
    #[error("the data guarded by the lock are no value of its type")]
    Invalid,
}

/// Why [`Lock::try_lock`](crate::Lock::try_lock) holds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Explained)]
#[non_exhaustive]
pub enum TryLockError {
    /// Somebody holds the lock.
    #[error("the lock is held")]
    WouldBlock,
    /// See [`LockError::OwnerDied`].
    #[error(
        "process {pid} died or panicked while it held the lock; its data may be half changed, see Lock::recover"
    )]
    #[non_exhaustive]
    OwnerDied {
        /// The process that held the lock.
        pid: u32,
    },
    /// See [`LockError::Invalid`].
    #[error("the data guarded by the lock are no value of its type")]
    Invalid,
}

/// Why [`Lock::lock_timeout`](crate::Lock::lock_timeout) holds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Explained)]
#[non_exhaustive]
pub enum LockTimeoutError {
    /// Somebody held the lock until the time was over.
    #[error("the lock was held until the time was over")]
    Timeout,
    /// The process that an [`Until`](crate::Until) names has ended, and the lock was held still.
    #[error("the process that was watched has ended")]
    Ended,
    /// See [`LockError::OwnerDied`].
    #[error(
        "process {pid} died or panicked while it held the lock; its data may be half changed, see Lock::recover"
    )]
    #[non_exhaustive]
    OwnerDied {
        /// The process that held the lock.
        pid: u32,
    },
    /// See [`LockError::Deadlock`].
    #[error("this thread holds the lock already")]
    Deadlock,
    /// See [`LockError::Invalid`].
    #[error("the data guarded by the lock are no value of its type")]
    Invalid,
}

/// Why [`Lock::adopt`](crate::Lock::adopt) holds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Explained)]
#[non_exhaustive]
pub enum AdoptError {
    /// No guard of the lock was leaked: it is free, or somebody holds it.
    #[error("no guard of the lock was leaked: it is free, or somebody holds it")]
    NotLeaked,
    /// See [`LockError::OwnerDied`]: the process that leaked the guard, or an earlier holder.
    #[error(
        "process {pid} died or panicked while it held the lock; its data may be half changed, see Lock::recover"
    )]
    #[non_exhaustive]
    OwnerDied {
        /// The process that held the lock.
        pid: u32,
    },
    /// See [`LockError::Invalid`].
    #[error("the data guarded by the lock are no value of its type")]
    Invalid,
}

impl From<AdoptError> for Error {
    fn from(error: AdoptError) -> Self {
        let kind = match error {
            AdoptError::NotLeaked => ErrorKind::WouldBlock,
            AdoptError::OwnerDied { .. } => ErrorKind::OwnerDied,
            AdoptError::Invalid => ErrorKind::Corrupt,
        };
        Error::new(kind, error.to_string()).with_source(error)
    }
}

impl From<LockError> for Error {
    fn from(error: LockError) -> Self {
        let kind = match error {
            LockError::OwnerDied { .. } => ErrorKind::OwnerDied,
            LockError::Deadlock => ErrorKind::Deadlock,
            LockError::Invalid => ErrorKind::Corrupt,
        };
        Error::new(kind, error.to_string()).with_source(error)
    }
}

impl From<TryLockError> for Error {
    fn from(error: TryLockError) -> Self {
        let kind = match error {
            TryLockError::WouldBlock => ErrorKind::WouldBlock,
            TryLockError::OwnerDied { .. } => ErrorKind::OwnerDied,
            TryLockError::Invalid => ErrorKind::Corrupt,
        };
        Error::new(kind, error.to_string()).with_source(error)
    }
}

impl From<LockTimeoutError> for Error {
    fn from(error: LockTimeoutError) -> Self {
        let kind = match error {
            LockTimeoutError::Timeout => ErrorKind::Timeout,
            LockTimeoutError::Ended => ErrorKind::Disconnected,
            LockTimeoutError::OwnerDied { .. } => ErrorKind::OwnerDied,
            LockTimeoutError::Deadlock => ErrorKind::Deadlock,
            LockTimeoutError::Invalid => ErrorKind::Corrupt,
        };
        Error::new(kind, error.to_string()).with_source(error)
    }
}
