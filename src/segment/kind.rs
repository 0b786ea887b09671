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
    /// An event of its own.
    Event = 8,
    /// A latch of its own.
    Latch = 9,
    /// A semaphore of its own.
    Semaphore = 10,
    /// A semaphore whose permits have owners, of its own.
    BoundedSemaphore = 11,
    /// A condition of its own.
    Condition = 12,
    /// A lock that its holder may take again, of its own.
    ReentrantLock = 13,
    /// A lock for many readers or one writer, of its own.
    RwLock = 14,
    /// A value that is made once, of its own.
    OnceValue = 15,
    /// A barrier of its own.
    Barrier = 16,
    /// A user's own struct.
    Shared = 17,
    /// The name under which a process listens for connections.
    Listener = 18,
    /// A value that nobody changes.
    Context = 19,
    /// A segment of a test, without a protocol.
    Test = 0xffff,
}

/// Every kind and what it is called.
const KINDS: &[(Kind, &str)] = &[
    (Kind::Queue, "queue"),
    (Kind::Arena, "arena"),
    (Kind::Pipe, "pipe"),
    (Kind::Family, "family"),
    (Kind::Manager, "manager"),
    (Kind::Lock, "lock"),
    (Kind::Value, "value"),
    (Kind::Event, "event"),
    (Kind::Latch, "latch"),
    (Kind::Semaphore, "semaphore"),
    (Kind::BoundedSemaphore, "bounded semaphore"),
    (Kind::Condition, "condition"),
    (Kind::ReentrantLock, "reentrant lock"),
    (Kind::RwLock, "rwlock"),
    (Kind::OnceValue, "once value"),
    (Kind::Barrier, "barrier"),
    (Kind::Shared, "shared"),
    (Kind::Listener, "listener"),
    (Kind::Context, "context"),
    (Kind::Test, "test"),
];

impl Kind {
    /// The kind with this number, if there is one.
    pub(crate) fn from_number(number: u16) -> Option<Self> {
        let mut kinds = KINDS.iter().map(|(kind, _)| *kind);
        kinds.find(|kind| kind.number() == number)
    }

    /// The number that stands in headers and handles.
    pub(crate) const fn number(self) -> u16 {
        self as u16
    }

    /// Whether such objects are small: without a name, many of them share an arena.
    pub(crate) fn is_small(self) -> bool {
        (Kind::Lock.number()..=Kind::Shared.number()).contains(&self.number())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = KINDS.iter().find(|(kind, _)| kind == self);
        f.write_str(named.map_or("?", |(_, name)| name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_their_numbers_and_have_names() {
        for &(kind, name) in KINDS {
            assert_eq!(Kind::from_number(kind.number()), Some(kind));
            assert_eq!(kind.to_string(), name);
        }
        assert_eq!(Kind::from_number(0), None);
        assert!(
            Kind::Value.is_small()
                && !Kind::Queue.is_small()
                && !Kind::Listener.is_small()
                && !Kind::Test.is_small()
        );
    }
}
