//! The one error type of every set-up path: create, open, attach, spawn, join.
//!
//! Data-path verbs (`put`, `get`, `lock`, ...) have small enums of their own beside their nouns; each converts into
//! [`Error`], so that `?` works in a function that returns [`Result`].

mod wait;

use std::borrow::Cow;
use std::fmt;

pub use wait::{TimedOut, WaitError};

/// The result of set-up verbs, and a convenient result for entry functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of thing went wrong.
///
/// Match on this; the text of an [`Error`] is for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A name or an argument is not acceptable.
    InvalidInput,
    /// No object of that name exists.
    NotFound,
    /// An object of that name exists already.
    AlreadyExists,
    /// The object belongs to another user, or the system refuses access.
    PermissionDenied,
    /// Shared memory, the arena, or the roster is exhausted.
    NoSpace,
    /// The bytes found are not a whole, well-formed object of ours.
    Corrupt,
    /// The object is of another kind or carries another element type.
    WrongType,
    /// The object was made by an incompatible version of this library.
    WrongVersion,
    /// The object's last holder is gone, and the object with it.
    Gone,
    /// The queue is full.
    Full,
    /// The queue is empty.
    Empty,
    /// The time given has passed.
    Timeout,
    /// The queue was closed.
    Closed,
    /// Every peer that could have served the request is gone.
    Disconnected,
    /// The holder of a lock died or panicked; the data may be half changed.
    OwnerDied,
    /// The calling thread already holds the lock.
    Deadlock,
    /// The lock is held by somebody else.
    WouldBlock,
    /// A barrier was broken: a party died, gave up or was told to.
    Broken,
    /// More permits were given back than were taken.
    OverRelease,
    /// The message's bytes are not a valid value of its type.
    InvalidMessage,
    /// A child's entry function returned an error.
    Failed,
    /// A child's entry function panicked.
    Panicked,
    /// A child ended with an exit code of its own.
    Exited,
    /// A child was ended by a signal.
    Signaled,
    /// The process cannot start children: neither `init()` nor the constructor ran.
    NotInitialised,
    /// The caller has more than one thread where only one is allowed.
    Threads,
    /// The kernel or the platform lacks something that is needed.
    Unsupported,
    /// Any other error of the operating system.
    Os,
}

/// An error of a set-up verb: what was attempted, where, why it failed, and what to do.
///
/// Opaque on purpose: [`kind`](Error::kind) is for programs, `Display` for people.
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// Makes an error of `kind` with a text that says what, where and what to do.
    ///
    /// ```
    /// use multiproc::{Error, ErrorKind};
    /// let e = Error::new(ErrorKind::InvalidInput, "the batch size is 0; give at least 1");
    /// assert_eq!(e.kind(), ErrorKind::InvalidInput);
    /// ```
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Error {
            inner: Box::new(Inner {
                kind,
                message: message.into(),
                source: None,
            }),
        }
    }

    /// Attaches the lower-level error that caused this one.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    /// What kind of thing went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// An operating system error, with what was attempted; the kind follows from the error number.
    pub(crate) fn os(what: impl fmt::Display, cause: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let kind = match cause.kind() {
            Io::NotFound => ErrorKind::NotFound,
            Io::AlreadyExists => ErrorKind::AlreadyExists,
            Io::PermissionDenied => ErrorKind::PermissionDenied,
            Io::StorageFull | Io::QuotaExceeded | Io::OutOfMemory => ErrorKind::NoSpace,
            Io::TimedOut => ErrorKind::Timeout,
            Io::InvalidInput => ErrorKind::InvalidInput,
            Io::Unsupported => ErrorKind::Unsupported,
            _ => ErrorKind::Os,
        };
        Error::new(kind, format!("{what}: {cause}")).with_source(cause)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.inner.kind, self.inner.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner.source.as_deref().map(|e| e as _)
    }
}
