//! What a child leaves behind for `join`, as bytes.

use std::borrow::Cow;

use super::failure::{Failure, Panic};
use crate::message::Packed;
use crate::{Error, ErrorKind};

/// How an entry function ended.
#[derive(Debug)]
pub(crate) enum Report {
    /// With a value.
    Returned(Packed),
    /// With an error.
    Failed { kind: ErrorKind, text: String },
    /// With a panic.
    Panicked(Panic),
}

impl Report {
    /// A failure with the texts of the whole chain of causes.
    pub(crate) fn failed(kind: ErrorKind, error: &dyn std::error::Error) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let more = cause.to_string();
            // Many errors repeat their cause in their own text.
            if !text.contains(&more) {
                text = format!("{text}: {more}");
            }
            source = cause.source();
        }
        Report::Failed { kind, text }
    }

    /// The report of one of our own errors.
    pub(crate) fn of_error(error: &Error) -> Self {
        Report::failed(error.kind(), error)
    }

    /// The code with which the child exits.
    pub(crate) fn exit_code(&self) -> i32 {
        match self {
            Report::Returned(_) => 0,
            Report::Failed { .. } => 1,
            Report::Panicked(_) => 101, // as std does
        }
    }

    /// A tag that is never 0, and the bytes that go with it.
    pub(crate) fn encode(&self) -> (u8, Cow<'_, [u8]>) {
        match self {
            Report::Returned(value) => (1, value.bytes().into()),
            Report::Failed { kind, text } => {
                (2, [&[code_of(*kind)], text.as_bytes()].concat().into())
            }
            Report::Panicked(panic) => {
                let none = String::new();
                let parts = [
                    &panic.message,
                    panic.location.as_ref().unwrap_or(&none),
                    panic.backtrace.as_ref().unwrap_or(&none),
                ];
                let mut bytes = Vec::new();
                for part in parts {
                    bytes.extend((part.len() as u64).to_ne_bytes());
                    bytes.extend(part.as_bytes());
                }
                (3, bytes.into())
            }
        }
    }

    pub(crate) fn decode(tag: u8, packed: Packed) -> Option<Self> {
        let bytes = packed.bytes();
        match tag {
            1 => Some(Report::Returned(packed)),
            2 => {
                let (&code, text) = bytes.split_first()?;
                Some(Report::Failed {
                    kind: kind_of(code)?,
                    text: String::from_utf8_lossy(text).into_owned(),
                })
            }
            3 => {
                let mut rest = bytes;
                let mut part = || {
                    let (len, after) = rest.split_first_chunk::<8>()?;
                    let (text, after) = after.split_at_checked(u64::from_ne_bytes(*len) as usize)?;
                    rest = after;
                    Some(String::from_utf8_lossy(text).into_owned())
                };
                Some(Report::Panicked(Panic {
                    message: part()?,
                    location: part().filter(|text| !text.is_empty()),
                    backtrace: part().filter(|text| !text.is_empty()),
                }))
            }
            _ => None,
        }
    }

    /// The failure that `join` reports; a value is none.
    pub(crate) fn into_value(self) -> Result<Packed, Failure> {
        match self {
            Report::Returned(value) => Ok(value),
            Report::Failed { kind, text } => Err(Failure::Failed { kind, text }),
            Report::Panicked(panic) => Err(Failure::Panicked(panic)),
        }
    }
}

/// The byte as which a kind of error crosses.
pub(crate) fn code_of(kind: ErrorKind) -> u8 {
    KINDS.iter().position(|&k| k == kind).unwrap_or(0) as u8
}

/// The kind of that byte, if it is one's.
pub(crate) fn kind_of(code: u8) -> Option<ErrorKind> {
    KINDS.get(usize::from(code)).copied()
}

/// Every kind an error can have, so that it crosses as one byte; new ones come last.
const KINDS: &[ErrorKind] = &[
    ErrorKind::Failed,
    ErrorKind::InvalidInput,
    ErrorKind::NotFound,
    ErrorKind::AlreadyExists,
    ErrorKind::PermissionDenied,
    ErrorKind::NoSpace,
    ErrorKind::Corrupt,
    ErrorKind::WrongType,
    ErrorKind::WrongVersion,
    ErrorKind::Gone,
    ErrorKind::Full,
    ErrorKind::Empty,
    ErrorKind::Timeout,
    ErrorKind::Closed,
    ErrorKind::Disconnected,
    ErrorKind::OwnerDied,
    ErrorKind::Deadlock,
    ErrorKind::WouldBlock,
    ErrorKind::InvalidMessage,
    ErrorKind::Panicked,
    ErrorKind::Exited,
    ErrorKind::Signaled,
    ErrorKind::NotInitialised,
    ErrorKind::Threads,
    ErrorKind::Unsupported,
    ErrorKind::Os,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn through_bytes(report: &Report) -> String {
        let (tag, bytes) = report.encode();
        assert_ne!(tag, 0, "0 means that there is no report");
        told(&Report::decode(tag, Packed::copy_of(&bytes)).unwrap())
    }

    fn told(report: &Report) -> String {
        match report {
            Report::Returned(value) => format!("{:?}", value.bytes()),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn reports_survive_their_bytes() {
        let panic = |location: Option<&str>, backtrace: Option<&str>| {
            Report::Panicked(Panic {
                message: "boom".into(),
                location: location.map(Into::into),
                backtrace: backtrace.map(Into::into),
            })
        };
        for report in [
            Report::Returned(Packed::copy_of(&[])),
            Report::Returned(Packed::copy_of(&[1, 2, 3])),
            panic(Some("src/main.rs:3:5"), None),
            panic(None, Some("0: main")),
        ] {
            assert_eq!(through_bytes(&report), told(&report));
        }
        for &kind in KINDS {
            let text = "why".to_string();
            let report = Report::Failed { kind, text };
            assert_eq!(through_bytes(&report), told(&report));
        }
    }

    #[test]
    fn garbage_is_no_report() {
        let decode = |tag, bytes: &[u8]| Report::decode(tag, Packed::copy_of(bytes));
        assert!(decode(0, &[]).is_none());
        assert!(decode(2, &[]).is_none());
        assert!(decode(2, &[255]).is_none());
        assert!(decode(3, &[255; 16]).is_none());
    }

    #[test]
    fn causes_are_told_once() {
        let cause = std::io::Error::other("the disk is gone");
        let repeats = Error::os("cannot read", cause);
        let Report::Failed { kind, text } = Report::of_error(&repeats) else {
            panic!("an error is a failure");
        };
        assert_eq!(
            (kind, text.as_str()),
            (ErrorKind::Os, "cannot read: the disk is gone")
        );
        let silent = Error::new(ErrorKind::Gone, "no list").with_source("why not");
        let Report::Failed { text, .. } = Report::of_error(&silent) else {
            panic!("an error is a failure");
        };
        assert_eq!(text, "no list: why not");
    }
}
