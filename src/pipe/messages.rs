//! The messages of a pipe, one after the other.

use super::error::RecvFault;
use super::incoming::Incoming;
use super::receiver::Receiver;
use crate::message::Message;
use crate::sys::clock::Deadline;

/// See the module.
#[derive(Debug)]
pub(super) struct Messages<'c, T: Message> {
    receiver: &'c Receiver<T>,
    deadline: Deadline,
}

impl<'c, T: Message> Messages<'c, T> {
    /// Those for which nobody has to wait past `deadline`.
    pub(super) fn new(receiver: &'c Receiver<T>, deadline: Deadline) -> Self {
        Messages { receiver, deadline }
    }
}

impl<'c, T: Message> Iterator for Messages<'c, T> {
    type Item = Incoming<'c, T>;

    /// Inlined, or each message would go through memory.
    #[inline(always)]
    fn next(&mut self) -> Option<Incoming<'c, T>> {
        loop {
            match self.receiver.recv_by(self.deadline) {
                Ok(message) => return Some(message),
                Err(RecvFault::Invalid(_)) => {}
                Err(_) => return None,
            }
        }
    }
}
