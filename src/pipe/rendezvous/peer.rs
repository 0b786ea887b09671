//! Who connected.

use std::fmt;

use crate::sys::socket::Credentials;

/// The process at the other end of a connection when it was made, by the word of the kernel; see
/// [`Listener::last_accepted`](crate::Listener::last_accepted).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(Credentials);

impl Peer {
    pub(super) fn new(credentials: Credentials) -> Self {
        Peer(credentials)
    }

    /// The process that connected, as this process's pid namespace numbers it; 0 when it has no number there.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.pid
    }

    /// The user with whose rights it did.
    #[must_use]
    pub fn uid(&self) -> u32 {
        self.0.uid
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} of user {}", self.pid(), self.uid())
    }
}
