//! What can carry messages from process to process: one trait, and a file for each that does.
//!
//! To measure another one, write its file and name it in [`visit`].

mod pipe;
mod queue;

use multiproc::{Message, Result};

use super::payload::Payload;

/// A kind of transport. Each of its ends is a message, so that it can be passed to the process that uses it.
pub trait Transport: Sized + 'static {
    /// How reports call it.
    const NAME: &'static str;
    /// Whether it can have more than one sender and one receiver.
    const MANY: bool;
    /// Where messages go in.
    type Sender: Sender;
    /// Where they come out.
    type Receiver: Receiver;

    /// A new one for messages of `len` bytes, with so many ends.
    ///
    /// # Errors
    ///
    /// When there is no room for it.
    fn open(len: usize, ends: Ends) -> Result<Opened<Self>>;

    /// Messages of `len` bytes that touch all its memory.
    fn warm_up(len: usize) -> u64;
}

/// All ends of one: where messages go in, and where they come out.
pub type Opened<T> = (
    Vec<<T as Transport>::Sender>,
    Vec<<T as Transport>::Receiver>,
);

/// How many processes send, and how many receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    pub senders: usize,
    pub receivers: usize,
}

/// The end where messages go in.
pub trait Sender: Message {
    /// Sends one message, every byte of it written; waits for room.
    ///
    /// # Errors
    ///
    /// When nobody can receive any more.
    fn send(&mut self, payload: &Payload, first: u64) -> Result<()>;
}

/// The end where they come out.
pub trait Receiver: Message {
    /// Waits for a message, as the transport waits, and reads every byte of it: its first word, and the sum of all.
    ///
    /// # Errors
    ///
    /// When nobody can send any more.
    fn receive(&mut self) -> Result<(u64, u64)>;

    /// The same without waiting.
    ///
    /// # Errors
    ///
    /// As [`receive`](Receiver::receive).
    fn try_receive(&mut self) -> Result<Option<(u64, u64)>>;
}

/// Something that is done with every transport.
pub trait Visitor {
    /// Does it with this one.
    fn visit<T: Transport>(&mut self);
}

/// Shows the visitor each transport that carries messages of `len` bytes.
pub fn visit(len: usize, visitor: &mut impl Visitor) {
    match len {
        8 => {
            visitor.visit::<pipe::Fixed<1>>();
            visitor.visit::<queue::Fixed<1>>();
        }
        64 => {
            visitor.visit::<pipe::Fixed<8>>();
            visitor.visit::<queue::Fixed<8>>();
        }
        _ => {
            visitor.visit::<pipe::Block>();
            visitor.visit::<queue::Block>();
        }
    }
}
