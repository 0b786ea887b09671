//! Pipes by name: a socket where two processes meet, and over which the pipe passes. Nothing else goes through it.
//!
//! | who connects | who listens |
//! |---|---|
//! | finds the name, and in it the socket; looks whose it is | |
//! | says what it sends and receives | takes whoever comes, several at a time |
//! | | looks who it is, and what it sends and receives |
//! | | makes a pipe, offers its far end, sends the file |
//! | attaches, and claims that end | |
//! | says so | gives the near end to its caller |
//!
//! The claim is what makes the connection; all else that is said only moves things on. Whoever goes before it leaves
//! nothing, whoever goes after it is a pipe's dead.

mod builder;
mod connect;
mod listener;
mod lobby;
mod peer;
mod visitor;
mod wire;

pub use builder::ListenerBuilder;
pub use listener::Listener;
pub use peer::Peer;
