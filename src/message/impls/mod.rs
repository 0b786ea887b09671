//! [`Message`](super::Message) for the types of std.

mod collections;
mod compound;
mod numbers;
mod text;
