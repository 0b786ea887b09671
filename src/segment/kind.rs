//! What a segment is for.

use std::fmt;

/// The kind of object that a segment carries; its number is part of the format and is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub(crate) enum Kind {
    /// A queue of messages.
    Queue = 1,
    /// Small objects: locks, values and their like.
    Arena = 2,
    /// Two byte rings.
    Pipe = 3,
    /// A family of processes.
    Family = 4,
    /// A scope of shared objects.
    Manager = 5,
    /// A lock of its own, with a name.
    Lock = 6,
    /// A value of its own, with a name.
    Value = 7,
    /// A segment of a test, without a protocol.
    Test = 0xffff,
}

impl Kind {
    /// The kind with this number, if there is one.
    pub(crate) fn from_number(number: u16) -> Option<Self> {
        [
            Kind::Queue,
            Kind::Arena,
            Kind::Pipe,
            Kind::Family,
            Kind::Manager,
            Kind::Lock,
            Kind::Value,
            Kind::Test,
        ]
        .into_iter()
        .find(|kind| kind.number() == number)
    }

    /// The number that stands in headers and handles.
    pub(crate) const fn number(self) -> u16 {
        self as u16
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Queue => "queue",
            Kind::Arena => "arena",
            Kind::Pipe => "pipe",
            Kind::Family => "family",
            Kind::Manager => "manager",
            Kind::Lock => "lock",
            Kind::Value => "value",
            Kind::Test => "test",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_their_numbers() {
        for kind in [
            Kind::Queue,
            Kind::Arena,
            Kind::Family,
            Kind::Value,
            Kind::Test,
        ] {
            assert_eq!(Kind::from_number(kind.number()), Some(kind));
        }
        assert_eq!(Kind::from_number(0), None);
    }
}
