//! Why permits were not given back.

use crate::{Error, ErrorKind};
use thiserror::Error as Explained;

/// More permits were to be given than may be; none was.
///
/// A [`Semaphore`](crate::Semaphore) has a largest value. To a [`BoundedSemaphore`](crate::BoundedSemaphore) no more can be
/// given back than was leaked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Explained)]
#[error("{given} permits are more than can be given back")]
#[non_exhaustive]
pub struct OverRelease {
    /// How many were to be given.
    pub given: u32,
}

impl OverRelease {
    pub(super) fn new(given: u32) -> Self {
        OverRelease { given }
    }
}

impl From<OverRelease> for Error {
    fn from(error: OverRelease) -> Self {
        Error::new(ErrorKind::OverRelease, error.to_string()).with_source(error)
    }
}
