//! What storing in a manager may answer.

use crate::message::WriteError;
use crate::sync::Refused;
use crate::{Error, ErrorKind};
use std::fmt;

/// Why a value was not stored; what was there before is there still.
#[derive(Debug)]
#[non_exhaustive]
pub enum StoreError {
    /// The manager has reached its limit, or there is no shared memory left.
    NoSpace(Error),
    /// The value's own serialisation failed.
    Unwritable(WriteError),
    /// The calling thread is changing an entry of the same shard, or of one that shares its lock; or the same list.
    Deadlock,
    /// Within a [transaction](crate::Manager::transaction): somebody has changed what it has seen, and it begins again
    /// whatever it returns.
    Outdated,
    /// An object of another manager than the transaction's.
    Foreign,
    /// A list has no place with that index.
    #[non_exhaustive]
    OutOfRange {
        /// The index that was given.
        index: usize,
        /// How many elements there are.
        len: usize,
    },
    /// The process cannot take part: a forked child found no place among the members, or so many threads read already
    /// that there is no row for this one.
    Refused(Error),
}

const DEADLOCK: &str = "the thread is changing an object of the manager already, and holds its lock; finish that first";

const OUTDATED: &str = "another process has changed what the transaction has seen; it begins again";
const FOREIGN: &str = "the object belongs to another manager; a transaction is one manager's";

impl StoreError {
    #[cold]
    pub(super) fn from_heap(error: Error) -> Self {
        match error.kind() {
            ErrorKind::NoSpace => StoreError::NoSpace(error),
            _ => StoreError::Refused(error),
        }
    }

    /// Of a lock that is waited for as long as it takes, and taken from the dead.
    #[cold]
    pub(super) fn from_lock(refused: Refused) -> Self {
        match refused {
            Refused::Deadlock => StoreError::Deadlock,
            other => {
                let text = format!("a lock of a manager cannot be taken: {other:?}");
                StoreError::Refused(Error::new(ErrorKind::Os, text))
            }
        }
    }

    #[cold]
    pub(super) fn refused(error: Error) -> Self {
        StoreError::Refused(error)
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::NoSpace(error) | StoreError::Refused(error) => error.fmt(f),
            StoreError::Unwritable(error) => error.fmt(f),
            StoreError::Deadlock => f.write_str(DEADLOCK),
            StoreError::Outdated => f.write_str(OUTDATED),
            StoreError::Foreign => f.write_str(FOREIGN),
            StoreError::OutOfRange { index, len } => {
                write!(f, "index {index} is out of range: there are {len} elements")
            }
        }
    }
}

impl std::error::Error for StoreError {}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoSpace(error) | StoreError::Refused(error) => error,
            StoreError::Unwritable(error) => error.into(),
            StoreError::Deadlock => Error::new(ErrorKind::Deadlock, DEADLOCK),
            StoreError::Outdated => Error::new(ErrorKind::WouldBlock, OUTDATED),
            StoreError::Foreign => Error::new(ErrorKind::InvalidInput, FOREIGN),
            other @ StoreError::OutOfRange { .. } => {
                Error::new(ErrorKind::InvalidInput, other.to_string())
            }
        }
    }
}
