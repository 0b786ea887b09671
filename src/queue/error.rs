//! What the verbs of a queue may answer: one small enum per verb, each convertible into [`Error`].

use std::fmt;

use crate::message::{InvalidMessage, WriteError};
use crate::ring::{ClaimError, TakeError};
use crate::{Error, ErrorKind};

/// Why [`put`](crate::Queue::put) did not put.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PutError {
    /// The queue was closed.
    Closed,
    /// Consumer roles were taken, and every process that held one has let go of it or died.
    Disconnected,
    /// The message is longer than a slot, and there is no shared memory left for it.
    NoSpace,
    /// The value's own serialisation failed.
    Unwritable(WriteError),
}

/// Why [`try_put`](crate::Queue::try_put) did not put.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TryPutError {
    /// Every slot is taken by a message that is not acknowledged yet.
    Full,
    /// As [`PutError::Closed`].
    Closed,
    /// As [`PutError::Disconnected`].
    Disconnected,
    /// As [`PutError::NoSpace`].
    NoSpace,
    /// As [`PutError::Unwritable`].
    Unwritable(WriteError),
}

/// Why [`put_timeout`](crate::Queue::put_timeout) or [`put_deadline`](crate::Queue::put_deadline) did not put.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PutTimeoutError {
    /// The queue was still full when the time had passed.
    Timeout,
    /// As [`PutError::Closed`].
    Closed,
    /// As [`PutError::Disconnected`].
    Disconnected,
    /// As [`PutError::NoSpace`].
    NoSpace,
    /// As [`PutError::Unwritable`].
    Unwritable(WriteError),
}

/// Why [`get`](crate::Queue::get) got nothing.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GetError {
    /// The queue was closed, and nothing is left in it.
    Closed,
    /// Producer roles were taken, every process that held one has let go of it or died, and nothing is left.
    Disconnected,
    /// A message was there, but is not a valid value, or a handle in it cannot be attached. It was given back, and goes
    /// to the dead letters after its last delivery.
    Invalid(InvalidMessage),
}

/// Why [`try_get`](crate::Queue::try_get) got nothing.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TryGetError {
    /// No message is there now.
    Empty,
    /// As [`GetError::Closed`].
    Closed,
    /// As [`GetError::Disconnected`].
    Disconnected,
    /// As [`GetError::Invalid`].
    Invalid(InvalidMessage),
}

/// Why [`get_timeout`](crate::Queue::get_timeout) or [`get_deadline`](crate::Queue::get_deadline) got nothing.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GetTimeoutError {
    /// No message came in time.
    Timeout,
    /// As [`GetError::Closed`].
    Closed,
    /// As [`GetError::Disconnected`].
    Disconnected,
    /// As [`GetError::Invalid`].
    Invalid(InvalidMessage),
}

/// Not everything was acknowledged when the time given to [`join_timeout`](crate::Queue::join_timeout) had passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinTimeoutError(pub(super) ());

/// Why nothing was put, whatever the verb.
#[derive(Debug)]
pub(super) enum PutFault {
    Full,
    Closed,
    Disconnected,
    NoSpace,
    Unwritable(WriteError),
}

/// Why nothing was got, whatever the verb.
#[derive(Debug)]
pub(super) enum GetFault {
    Empty,
    Closed,
    Disconnected,
    Invalid(InvalidMessage),
}

impl From<ClaimError> for PutFault {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Full => PutFault::Full,
            ClaimError::Closed => PutFault::Closed,
            ClaimError::Disconnected => PutFault::Disconnected,
        }
    }
}

impl From<TakeError> for GetFault {
    fn from(error: TakeError) -> Self {
        match error {
            TakeError::Empty => GetFault::Empty,
            TakeError::Closed => GetFault::Closed,
            TakeError::Disconnected => GetFault::Disconnected,
        }
    }
}

impl From<PutFault> for PutError {
    #[cold]
    fn from(fault: PutFault) -> Self {
        match fault {
            PutFault::Full => unreachable!("a put without a deadline waits for room"),
            PutFault::Closed => PutError::Closed,
            PutFault::Disconnected => PutError::Disconnected,
            PutFault::NoSpace => PutError::NoSpace,
            PutFault::Unwritable(error) => PutError::Unwritable(error),
        }
    }
}

impl From<GetFault> for GetError {
    #[cold]
    fn from(fault: GetFault) -> Self {
        match fault {
            GetFault::Empty => unreachable!("a get without a deadline waits for a message"),
            GetFault::Closed => GetError::Closed,
            GetFault::Disconnected => GetError::Disconnected,
            GetFault::Invalid(invalid) => GetError::Invalid(invalid),
        }
    }
}

macro_rules! from_fault {
    (put $verb:ident, $late:ident) => {
        impl From<PutFault> for $verb {
            #[cold]
            fn from(fault: PutFault) -> Self {
                match fault {
                    PutFault::Full => $verb::$late,
                    PutFault::Closed => $verb::Closed,
                    PutFault::Disconnected => $verb::Disconnected,
                    PutFault::NoSpace => $verb::NoSpace,
                    PutFault::Unwritable(error) => $verb::Unwritable(error),
                }
            }
        }
    };
    (get $verb:ident, $late:ident) => {
        impl From<GetFault> for $verb {
            #[cold]
            fn from(fault: GetFault) -> Self {
                match fault {
                    GetFault::Empty => $verb::$late,
                    GetFault::Closed => $verb::Closed,
                    GetFault::Disconnected => $verb::Disconnected,
                    GetFault::Invalid(invalid) => $verb::Invalid(invalid),
                }
            }
        }
    };
}

from_fault!(put TryPutError, Full);
from_fault!(put PutTimeoutError, Timeout);
from_fault!(get TryGetError, Empty);
from_fault!(get GetTimeoutError, Timeout);

/// Texts, `std::error::Error`, and the way into [`Error`]: `variant => kind, text`; the last variant has a source.
macro_rules! speaking {
    ($ty:ident { $($variant:ident => $kind:ident, $text:literal;)* } $last:ident) => {
        impl fmt::Display for $ty {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $($ty::$variant => f.write_str($text),)*
                    $ty::$last(reason) => reason.fmt(f),
                }
            }
        }

        impl std::error::Error for $ty {}

        impl From<$ty> for Error {
            fn from(error: $ty) -> Self {
                match error {
                    $($ty::$variant => Error::new(ErrorKind::$kind, $text),)*
                    $ty::$last(reason) => reason.into(),
                }
            }
        }
    };
}

speaking!(PutError {
    Closed => Closed, "the queue is closed";
    Disconnected => Disconnected, "every consumer of the queue is gone";
    NoSpace => NoSpace, "no shared memory is left for a message of this length";
} Unwritable);
speaking!(TryPutError {
    Full => Full, "the queue is full";
    Closed => Closed, "the queue is closed";
    Disconnected => Disconnected, "every consumer of the queue is gone";
    NoSpace => NoSpace, "no shared memory is left for a message of this length";
} Unwritable);
speaking!(PutTimeoutError {
    Timeout => Timeout, "the queue stayed full until the time had passed";
    Closed => Closed, "the queue is closed";
    Disconnected => Disconnected, "every consumer of the queue is gone";
    NoSpace => NoSpace, "no shared memory is left for a message of this length";
} Unwritable);
speaking!(GetError {
    Closed => Closed, "the queue is closed and drained";
    Disconnected => Disconnected, "every producer of the queue is gone, and the queue is drained";
} Invalid);
speaking!(TryGetError {
    Empty => Empty, "the queue is empty";
    Closed => Closed, "the queue is closed and drained";
    Disconnected => Disconnected, "every producer of the queue is gone, and the queue is drained";
} Invalid);
speaking!(GetTimeoutError {
    Timeout => Timeout, "no message came until the time had passed";
    Closed => Closed, "the queue is closed and drained";
    Disconnected => Disconnected, "every producer of the queue is gone, and the queue is drained";
} Invalid);

impl fmt::Display for JoinTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not every message was acknowledged until the time had passed")
    }
}

impl std::error::Error for JoinTimeoutError {}

impl From<JoinTimeoutError> for Error {
    fn from(error: JoinTimeoutError) -> Self {
        Error::new(ErrorKind::Timeout, error.to_string())
    }
}
