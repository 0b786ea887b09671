//! Why a process has no value to give.

use std::fmt;

use crate::{Error, ErrorKind, ExitStatus};

/// Why [`join`](super::Process::join) has no value: the source of the error it returns.
///
/// The error's [`kind`](crate::Error::kind) says which of these it is; this type has the particulars.
///
/// # Examples
///
/// ```
/// use multiproc::process::{Failure, Process};
///
/// fn picky(n: u64) -> u64 {
///     assert!(n > 2, "{n} is too small");
///     n
/// }
///
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// let error = Process::spawn(picky, (1,))?.join().unwrap_err();
/// match Failure::of(&error) {
///     Some(Failure::Panicked(panic)) => assert_eq!(panic.message, "1 is too small"),
///     other => panic!("{other:?}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Failure {
    /// The entry function returned an error.
    #[non_exhaustive]
    Failed {
        /// The kind of the error, where it was a [`multiproc::Error`](crate::Error); else
        /// [`Failed`](crate::ErrorKind::Failed).
        kind: ErrorKind,
        /// Its text, with those of its causes.
        text: String,
    },
    /// The entry function panicked.
    Panicked(Panic),
    /// The process ended before its entry function returned.
    Ended(ExitStatus),
}

/// A panic in another process.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Panic {
    /// The text given to `panic!`, if it was one.
    pub message: String,
    /// File, line and column, as `src/main.rs:3:5`.
    pub location: Option<String>,
    /// The stack, where `RUST_BACKTRACE` asks for it.
    pub backtrace: Option<String>,
}

impl Failure {
    /// The failure behind an error of `join`; `None` for errors of another origin.
    #[must_use]
    pub fn of(error: &Error) -> Option<&Failure> {
        std::error::Error::source(error)?.downcast_ref()
    }

    pub(super) fn kind(&self) -> ErrorKind {
        match self {
            Failure::Failed { .. } => ErrorKind::Failed,
            Failure::Panicked(_) => ErrorKind::Panicked,
            Failure::Ended(ExitStatus::Exited(_)) => ErrorKind::Exited,
            Failure::Ended(ExitStatus::Signaled(_)) => ErrorKind::Signaled,
        }
    }

    /// The error of `join` for a process with this name and pid.
    pub(super) fn into_error(self, name: &str, pid: i32) -> Error {
        let text = format!("process {name:?} (pid {pid}) {self}");
        Error::new(self.kind(), text).with_source(self)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Failed { text, .. } => write!(f, "failed: {text}"),
            Failure::Panicked(panic) => panic.fmt(f),
            Failure::Ended(status @ ExitStatus::Exited(_)) => {
                write!(f, "{status} before its entry function returned")
            }
            Failure::Ended(status) => write!(f, "was {status}"),
        }
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            Some(location) => write!(f, "panicked at {location}: {}", self.message),
            None => write!(f, "panicked: {}", self.message),
        }
    }
}

impl std::error::Error for Failure {}
