//! Why a latch did not count.

use crate::{Error, ErrorKind};
use thiserror::Error as Explained;

/// Why [`Latch::count_down`](crate::Latch::count_down) has counted nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Explained)]
#[non_exhaustive]
pub enum CountError {
    /// Less was left than was to be counted.
    #[error("the latch has only {left} left to count")]
    TooFew {
        /// What was left, and still is.
        left: u32,
    },
}

impl From<CountError> for Error {
    fn from(error: CountError) -> Self {
        Error::new(ErrorKind::InvalidInput, error.to_string()).with_source(error)
    }
}
