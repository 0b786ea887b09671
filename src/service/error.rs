//! Why a call has no result.

use super::wire::Trouble;
use crate::process::Panic;
use crate::{Error, ErrorKind};
use std::fmt;

/// Why a call of a [`Proxy`](super::Proxy) has no result, and whether the method was run.
///
/// | | the method |
/// |---|---|
/// | [`Closed`](CallError::Closed), [`NotRun`](CallError::NotRun) | was not begun |
/// | [`Panicked`](CallError::Panicked), [`NoReply`](CallError::NoReply) | was run |
/// | [`ServerDied`](CallError::ServerDied) | was run, in part or not at all, and is not run any more |
/// | [`Timeout`](CallError::Timeout) | was run, is being run, or may be yet |
///
/// No call is ever begun twice.
///
/// # Examples
///
/// ```
/// use multiproc::{CallError, Manager};
///
/// multiproc::service! {
///     pub trait Halves {
///         fn halve(&self, number: u64) -> u64;
///     }
/// }
///
/// struct Strict;
///
/// impl Halves for Strict {
///     fn halve(&self, number: u64) -> u64 {
///         assert!(number % 2 == 0, "{number} is odd");
///         number / 2
///     }
/// }
///
/// # fn main() -> multiproc::Result<()> {
/// let manager = Manager::new()?;
/// let served = manager.serve::<dyn Halves>("halves", Box::new(Strict))?;
/// let halves = manager.proxy::<dyn Halves>("halves")?;
/// match halves.halve(3) {
///     Err(CallError::Panicked(panic)) => assert_eq!(panic.message, "3 is odd"),
///     other => panic!("{other:?}"),
/// }
/// assert_eq!(halves.halve(4), Ok(2));
/// drop(served);
/// assert_eq!(halves.halve(4), Err(CallError::Closed));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum CallError {
    /// The process that serves the object has died.
    #[non_exhaustive]
    ServerDied {
        /// Which process it was.
        pid: u32,
    },
    /// The object is served no more.
    Closed,
    /// There was no answer until the time had passed.
    Timeout,
    /// The method panicked. The object is as the method left it, and others go on calling it.
    Panicked(Panic),
    /// The call could not be made: what is given cannot be written or arrives as something that cannot be attached, or
    /// memory, descriptors or threads are used up.
    #[non_exhaustive]
    NotRun {
        /// The kind of what was in the way.
        kind: ErrorKind,
        /// What it was.
        text: String,
    },
    /// What the method returned could not be sent.
    #[non_exhaustive]
    NoReply {
        /// The kind of what was in the way.
        kind: ErrorKind,
        /// What it was.
        text: String,
    },
}

impl CallError {
    /// The kind of error this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            CallError::ServerDied { .. } => ErrorKind::Disconnected,
            CallError::Closed => ErrorKind::Closed,
            CallError::Timeout => ErrorKind::Timeout,
            CallError::Panicked(_) => ErrorKind::Panicked,
            CallError::NotRun { kind, .. } | CallError::NoReply { kind, .. } => *kind,
        }
    }

    #[cold]
    pub(super) fn not_run(error: impl Into<Error>) -> Self {
        let error = error.into();
        CallError::NotRun {
            kind: error.kind(),
            text: error.to_string(),
        }
    }

    #[cold]
    pub(super) fn no_reply(error: impl Into<Error>) -> Self {
        let error = error.into();
        CallError::NoReply {
            kind: error.kind(),
            text: error.to_string(),
        }
    }

    #[cold]
    pub(super) fn told_not_run(trouble: Trouble) -> Self {
        CallError::NotRun {
            kind: trouble.kind(),
            text: trouble.into_text(),
        }
    }

    #[cold]
    pub(super) fn told_no_reply(trouble: Trouble) -> Self {
        CallError::NoReply {
            kind: trouble.kind(),
            text: trouble.into_text(),
        }
    }

    #[cold]
    pub(super) fn panicked(message: String) -> Self {
        CallError::Panicked(Panic {
            message,
            location: None,
            backtrace: None,
        })
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::ServerDied { pid } => {
                write!(f, "process {pid}, which served the object, has died")
            }
            CallError::Closed => f.write_str("the object is served no more"),
            CallError::Timeout => f.write_str("no answer came until the time had passed"),
            CallError::Panicked(panic) => write!(f, "the method {panic}"),
            CallError::NotRun { text, .. } => write!(f, "the call could not be made: {text}"),
            CallError::NoReply { text, .. } => {
                write!(f, "what the method returned could not be sent: {text}")
            }
        }
    }
}

impl std::error::Error for CallError {}

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        Error::new(error.kind(), error.to_string()).with_source(error)
    }
}
