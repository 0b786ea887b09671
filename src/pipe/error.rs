//! What the verbs of a connection may answer: one small enum per verb, each convertible into [`Error`].

use std::fmt;

use crate::message::{InvalidMessage, WriteError};
use crate::ring::spsc::{End, Fault};
use crate::{Error, ErrorKind};

/// Why [`send`](crate::Connection::send) did not send.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The other end was let go of. What had been sent before was received.
    Disconnected,
    /// The process that held the other end died. Another one may [take it over](crate::Connection::resume), and this end
    /// then goes on.
    PeerDied {
        /// Which process it was.
        pid: u32,
    },
    /// This end was sent to another process, which has it now; or this process was forked from the one that has it.
    Elsewhere,
    /// The message does not fit the ring, and no shared memory is left for it.
    NoSpace,
    /// The value's own serialisation failed.
    Unwritable(WriteError),
}

/// Why [`try_send`](crate::Connection::try_send) did not send.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrySendError {
    /// There is no room now.
    Full,
    /// As [`SendError::Disconnected`].
    Disconnected,
    /// As [`SendError::PeerDied`].
    PeerDied {
        /// Which process it was.
        pid: u32,
    },
    /// As [`SendError::Elsewhere`].
    Elsewhere,
    /// As [`SendError::NoSpace`].
    NoSpace,
    /// As [`SendError::Unwritable`].
    Unwritable(WriteError),
}

/// Why [`send_timeout`](crate::Connection::send_timeout) or [`send_deadline`](crate::Connection::send_deadline) did not
/// send.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendTimeoutError {
    /// There was no room until the time had passed.
    Timeout,
    /// As [`SendError::Disconnected`].
    Disconnected,
    /// As [`SendError::PeerDied`].
    PeerDied {
        /// Which process it was.
        pid: u32,
    },
    /// As [`SendError::Elsewhere`].
    Elsewhere,
    /// As [`SendError::NoSpace`].
    NoSpace,
    /// As [`SendError::Unwritable`].
    Unwritable(WriteError),
}

/// Why [`recv`](crate::Connection::recv) received nothing.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecvError {
    /// The other end was let go of. What had been sent before was received.
    Disconnected,
    /// The process that held the other end died. Another one may [take it over](crate::Connection::resume), and this end
    /// then goes on.
    PeerDied {
        /// Which process it was.
        pid: u32,
    },
    /// This end was sent to another process, which has it now; or this process was forked from the one that has it.
    Elsewhere,
    /// A message was there, but is not a valid value, or a handle in it cannot be attached. It was left out.
    Invalid(InvalidMessage),
}

/// Why [`try_recv`](crate::Connection::try_recv) received nothing.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TryRecvError {
    /// No message is there now.
    Empty,
    /// As [`RecvError::Disconnected`].
    Disconnected,
    /// As [`RecvError::PeerDied`].
    PeerDied {
        /// Which process it was.
        pid: u32,
    },
    /// As [`RecvError::Elsewhere`].
    Elsewhere,
    /// As [`RecvError::Invalid`].
    Invalid(InvalidMessage),
}

/// Why [`recv_timeout`](crate::Connection::recv_timeout) or [`recv_deadline`](crate::Connection::recv_deadline) received
/// nothing.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecvTimeoutError {
    /// No message came until the time had passed.
    Timeout,
    /// As [`RecvError::Disconnected`].
    Disconnected,
    /// As [`RecvError::PeerDied`].
    PeerDied {
        /// Which process it was.
        pid: u32,
    },
    /// As [`RecvError::Elsewhere`].
    Elsewhere,
    /// As [`RecvError::Invalid`].
    Invalid(InvalidMessage),
}

/// Why [`recv_into`](crate::Connection::recv_into) copied nothing.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecvIntoError {
    /// The message is longer than the buffer. It is still there, for another call.
    TooShort {
        /// The message's length.
        needed: usize,
    },
    /// As for [`recv`](crate::Connection::recv).
    Recv(RecvError),
}

/// Why nothing was sent, whatever the verb.
#[derive(Debug)]
pub(super) enum SendFault {
    Late,
    Ended(End),
    Elsewhere,
    NoSpace,
    Unwritable(WriteError),
}

/// Why nothing was received, whatever the verb.
#[derive(Debug)]
pub(super) enum RecvFault {
    Late,
    Ended(End),
    Elsewhere,
    Invalid(InvalidMessage),
}

impl From<Fault> for SendFault {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::TimedOut => SendFault::Late,
            Fault::Ended(end) => SendFault::Ended(end),
            Fault::NoSpace => SendFault::NoSpace,
        }
    }
}

impl From<Fault> for RecvFault {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::TimedOut | Fault::NoSpace => RecvFault::Late,
            Fault::Ended(end) => RecvFault::Ended(end),
        }
    }
}

/// What the errors of all verbs can do: `@late` is the answer at the deadline, the last variant has a source.
macro_rules! verb_error {
    (
        $ty:ident of $fault:ident
        { $(@late $late:ident => $lkind:ident, $ltext:literal;)? $($own:ident => $kind:ident, $text:literal;)* }
        $last:ident
    ) => {
        impl $ty {
            /// Whether there is no other end any more: it was let go of, or its holder died.
            #[must_use]
            pub fn is_disconnected(&self) -> bool {
                matches!(self, $ty::Disconnected | $ty::PeerDied { .. })
            }
        }

        impl From<$fault> for $ty {
            #[cold]
            fn from(fault: $fault) -> Self {
                match fault {
                    $($fault::Late => $ty::$late,)?
                    $fault::Ended(End::Closed) => $ty::Disconnected,
                    $fault::Ended(End::Died(pid)) => $ty::PeerDied { pid },
                    $fault::Elsewhere => $ty::Elsewhere,
                    $($fault::$own => $ty::$own,)*
                    $fault::$last(reason) => $ty::$last(reason),
                    #[allow(unreachable_patterns, reason = "only the verb without a limit is never late")]
                    $fault::Late => unreachable!("a verb without a limit waits"),
                }
            }
        }

        impl fmt::Display for $ty {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $($ty::$late => f.write_str($ltext),)?
                    $ty::Disconnected => f.write_str("the other end of the pipe was let go of"),
                    $ty::PeerDied { pid } => write!(f, "process {pid} died with the other end of the pipe"),
                    $ty::Elsewhere => f.write_str("this end of the pipe belongs to another process by now"),
                    $($ty::$own => f.write_str($text),)*
                    $ty::$last(reason) => reason.fmt(f),
                }
            }
        }

        impl std::error::Error for $ty {}

        impl From<$ty> for Error {
            fn from(error: $ty) -> Self {
                let text = error.to_string();
                match error {
                    $($ty::$late => Error::new(ErrorKind::$lkind, text),)?
                    $ty::Disconnected | $ty::PeerDied { .. } => Error::new(ErrorKind::Disconnected, text),
                    $ty::Elsewhere => Error::new(ErrorKind::Gone, text),
                    $($ty::$own => Error::new(ErrorKind::$kind, text),)*
                    $ty::$last(reason) => reason.into(),
                }
            }
        }
    };
}

verb_error!(SendError of SendFault {
    NoSpace => NoSpace, "no shared memory is left for a message of this length";
} Unwritable);
verb_error!(TrySendError of SendFault {
    @late Full => Full, "the pipe is full";
    NoSpace => NoSpace, "no shared memory is left for a message of this length";
} Unwritable);
verb_error!(SendTimeoutError of SendFault {
    @late Timeout => Timeout, "the pipe stayed full until the time had passed";
    NoSpace => NoSpace, "no shared memory is left for a message of this length";
} Unwritable);
verb_error!(RecvError of RecvFault {} Invalid);
verb_error!(TryRecvError of RecvFault {
    @late Empty => Empty, "the pipe is empty";
} Invalid);
verb_error!(RecvTimeoutError of RecvFault {
    @late Timeout => Timeout, "no message came until the time had passed";
} Invalid);

impl fmt::Display for RecvIntoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecvIntoError::TooShort { needed } => {
                write!(f, "the message has {needed} bytes, more than the buffer")
            }
            RecvIntoError::Recv(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RecvIntoError {}

impl From<RecvIntoError> for Error {
    fn from(error: RecvIntoError) -> Self {
        match error {
            RecvIntoError::TooShort { .. } => {
                Error::new(ErrorKind::InvalidInput, error.to_string())
            }
            RecvIntoError::Recv(error) => error.into(),
        }
    }
}
