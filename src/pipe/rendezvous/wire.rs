//! What is said at the socket: three packets, each of which begins with the same twelve bytes in every version.
//!
//! | bytes | the first packet | its answer | the last packet |
//! |---|---|---|---|
//! | 0 to 8 | magic | magic | magic |
//! | 8 to 12 | version | version | version |
//! | 12 to 16 | length of the first name | code | code |
//! | 16 | fingerprints of what is sent and received, their names | a handle, or text | |

use crate::message::{Message, segment_fingerprint};
use crate::tenancy::RawHandle;
use crate::{Error, ErrorKind};

/// What every packet begins with.
const MAGIC: [u8; 8] = *b"mp\0door\n";

/// The version of what is said here.
pub(super) const VERSION: u32 = 1;

/// Bytes of the longest packet.
pub(super) const LONGEST: usize = 2048;

/// Bytes of a type's name, or of a reason, that are sent.
const TEXT: usize = 512;

/// Why a packet could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It is none of ours, or broken.
    Garbage,
    /// It is one of another version.
    Version(u32),
}

/// What a process sends and receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ways {
    fingerprints: [u64; 2],
    names: [String; 2],
}

impl Ways {
    /// Of who sends `S` and receives `R`.
    pub(super) fn of<S: Message, R: Message>() -> Self {
        Ways {
            fingerprints: [segment_fingerprint::<S>(), segment_fingerprint::<R>()],
            names: [S::type_name(), R::type_name()],
        }
    }

    /// Whether what the one sends the other receives.
    pub(super) fn fit(&self, other: &Ways) -> bool {
        let [sent, received] = other.fingerprints;
        self.fingerprints == [received, sent]
    }

    /// As one writes such a connection.
    pub(super) fn describe(&self) -> String {
        format!("Connection<{}, {}>", self.names[0], self.names[1])
    }

    /// The first packet.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let names = self.names.each_ref().map(|name| cut(name));
        let mut bytes = packet(names[0].len() as u32);
        for fingerprint in self.fingerprints {
            bytes.extend(fingerprint.to_ne_bytes());
        }
        names.iter().for_each(|name| bytes.extend(name.as_bytes()));
        bytes
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Unreadable> {
        let (len, rest) = open(bytes)?;
        let (sent, rest) = rest.split_first_chunk().ok_or(Unreadable::Garbage)?;
        let (received, names) = rest.split_first_chunk().ok_or(Unreadable::Garbage)?;
        let names = names.split_at_checked(len as usize);
        let (first, second) = names.ok_or(Unreadable::Garbage)?;
        Ok(Ways {
            fingerprints: [sent, received].map(|bytes| u64::from_ne_bytes(*bytes)),
            names: [first, second].map(|name| String::from_utf8_lossy(name).into_owned()),
        })
    }
}

/// The answer to the first packet.
#[derive(Debug)]
pub(super) enum Answer {
    /// A pipe, whose file comes along.
    Welcome(RawHandle),
    /// It took too long: come again.
    Again,
    /// No, and why.
    Refused(Error),
}

const WELCOME: u32 = 0;
const AGAIN: u32 = 1;

/// The kinds of errors that are told to the other side, beside `Os`.
const KINDS: [(u32, ErrorKind); 4] = [
    (2, ErrorKind::PermissionDenied),
    (3, ErrorKind::WrongType),
    (4, ErrorKind::WrongVersion),
    (5, ErrorKind::NoSpace),
];
const OTHER: u32 = 6;

impl Answer {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        match self {
            Answer::Welcome(handle) => {
                let mut bytes = packet(WELCOME);
                bytes.extend(handle.to_bytes());
                bytes
            }
            Answer::Again => packet(AGAIN),
            Answer::Refused(why) => {
                let known = KINDS.iter().find(|(_, kind)| *kind == why.kind());
                let mut bytes = packet(known.map_or(OTHER, |(code, _)| *code));
                bytes.extend(cut(&why.to_string()).as_bytes());
                bytes
            }
        }
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Unreadable> {
        let (code, rest) = open(bytes)?;
        match code {
            WELCOME => {
                let handle = rest.try_into().map_err(|_| Unreadable::Garbage)?;
                Ok(Answer::Welcome(RawHandle::from_bytes(handle)))
            }
            AGAIN => Ok(Answer::Again),
            code => {
                let known = KINDS.iter().find(|(known, _)| *known == code);
                let kind = known.map_or(ErrorKind::Os, |(_, kind)| *kind);
                let text = String::from_utf8_lossy(rest).into_owned();
                Ok(Answer::Refused(Error::new(kind, text)))
            }
        }
    }
}

/// The last packet: the pipe's end is taken.
pub(super) fn taken() -> Vec<u8> {
    packet(WELCOME)
}

fn packet(word: u32) -> Vec<u8> {
    let words = [VERSION, word].map(u32::to_ne_bytes);
    [&MAGIC[..], &words[0], &words[1]].concat()
}

/// The word after the version, and what follows it.
fn open(bytes: &[u8]) -> Result<(u32, &[u8]), Unreadable> {
    let rest = bytes.strip_prefix(&MAGIC).ok_or(Unreadable::Garbage)?;
    let (version, rest) = rest.split_first_chunk().ok_or(Unreadable::Garbage)?;
    match u32::from_ne_bytes(*version) {
        VERSION => {}
        other => return Err(Unreadable::Version(other)),
    }
    let (word, rest) = rest.split_first_chunk().ok_or(Unreadable::Garbage)?;
    Ok((u32::from_ne_bytes(*word), rest))
}

/// The beginning of a text that may be long.
fn cut(text: &str) -> &str {
    let mut ends = (0..=TEXT.min(text.len())).rev();
    let end = ends.find(|&end| text.is_char_boundary(end));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_and_received_arrives() {
        let ways = Ways::of::<String, Vec<u64>>();
        let arrived = Ways::parse(&ways.to_bytes()).unwrap();
        assert_eq!(arrived, ways);
        assert_eq!(arrived.describe(), "Connection<String, Vec<u64>>");
        assert!(arrived.fit(&Ways::of::<Vec<u64>, String>()));
        assert!(!arrived.fit(&Ways::of::<String, Vec<u64>>()));
    }

    #[test]
    fn answers_arrive() {
        let handle = RawHandle::from_bytes(&[7; RawHandle::LEN]);
        let welcome = Answer::parse(&Answer::Welcome(handle).to_bytes());
        assert!(matches!(welcome, Ok(Answer::Welcome(same)) if same == handle));
        let again = Answer::parse(&Answer::Again.to_bytes());
        assert!(matches!(again, Ok(Answer::Again)));
        for kind in [ErrorKind::WrongType, ErrorKind::NoSpace, ErrorKind::Os] {
            let refused = Answer::Refused(Error::new(kind, "é".repeat(1000)));
            let bytes = refused.to_bytes();
            assert!(bytes.len() <= LONGEST);
            let Ok(Answer::Refused(why)) = Answer::parse(&bytes) else {
                panic!("refused is refused");
            };
            assert_eq!((why.kind(), why.to_string().len()), (kind, TEXT));
        }
    }

    #[test]
    fn other_versions_are_told_from_garbage() {
        let mut bytes = taken();
        bytes[8..12].copy_from_slice(&7_u32.to_ne_bytes());
        assert_eq!(Ways::parse(&bytes).unwrap_err(), Unreadable::Version(7));
        assert_eq!(Answer::parse(&bytes).unwrap_err(), Unreadable::Version(7));
        let ways = Ways::of::<u64, u64>().to_bytes();
        for broken in [&[][..], b"GET / HTTP/1.1\r\n", &ways[..20], &taken()[..14]] {
            assert_eq!(Ways::parse(broken).unwrap_err(), Unreadable::Garbage);
        }
        let mut long = ways;
        long[12..16].copy_from_slice(&u32::MAX.to_ne_bytes());
        assert_eq!(Ways::parse(&long).unwrap_err(), Unreadable::Garbage);
    }
}
