//! A message being read where it was written.

use std::fmt;
use std::mem::{MaybeUninit, forget};
use std::ops::Deref;
use std::ptr::NonNull;

use super::receiver::Receiver;
use crate::Result;
use crate::message::{Encode, InvalidMessage, Message, WriteError, bytes_at, copy_bytes};

/// A message of a pipe, read in place: a guard that derefs to its view.
///
/// Dropping it acknowledges the message. Dropping it while the thread is panicking gives it back, and so does the death
/// of the process: it is then received again, by this process or by whoever
/// [takes the end over](crate::Connection::resume).
///
/// Several may be held at a time. They are acknowledged together, when the last of them is dropped, and their places in
/// the ring stay taken until then.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// let (sender, receiver) = multiproc::Pipe::<(String, u32), ()>::one_way()?;
/// sender.send(("apples".to_string(), 3))?;
///
/// let message = receiver.recv()?;
/// assert_eq!(message.0, "apples");                    // the view, in place
/// let (name, count) = message.to_owned()?;            // an ordinary value
/// assert_eq!((name.as_str(), count), ("apples", 3));
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping a received message acknowledges it"]
pub struct Incoming<'c, T: Message> {
    receiver: &'c Receiver<T>,
    bytes: NonNull<[u8]>,
    view: NonNull<T::View>,
}

impl<'c, T: Message> Incoming<'c, T> {
    /// The guard of a message just taken; one that is not valid is left out.
    #[inline(always)]
    pub(super) fn new(
        receiver: &'c Receiver<T>,
        message: NonNull<[u8]>,
    ) -> Result<Self, InvalidMessage> {
        // SAFETY: the message is published and in this end's hands, so nobody writes to its bytes.
        let bytes: &[u8] = unsafe { bytes_at(message) };
        let view = match receiver.checks() {
            // SAFETY: the bytes are what a sender of the same type put there: the type's fingerprint was compared at
            // attach, and the policy of this pipe is to trust its sender.
            false => NonNull::from(unsafe { T::view(bytes) }),
            true => checked::<T>(bytes).inspect_err(|_| receiver.ack())?,
        };
        Ok(Incoming {
            receiver,
            bytes: message,
            view,
        })
    }

    /// Copies the message out as an ordinary value; handles in it are attached.
    ///
    /// # Errors
    ///
    /// When a handle cannot be attached because its object is gone.
    pub fn to_owned(&self) -> Result<T> {
        T::to_owned(self)
    }

    /// Acknowledges the message, as dropping the guard does.
    #[inline(always)]
    pub fn ack(self) {
        self.receiver.ack();
        forget(self);
    }

    /// Gives the message back: the next call receives it again, and with it any others that are held.
    pub fn give_back(self) {
        self.receiver.give_back();
        forget(self);
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        // SAFETY: the message is published and in this guard's hands, so nobody writes to its bytes.
        unsafe { bytes_at(self.bytes) }
    }
}

/// Out of line: most pipes trust their senders, and what checks a message is long.
#[inline(never)]
fn checked<T: Message>(bytes: &[u8]) -> Result<NonNull<T::View>, InvalidMessage> {
    T::check(bytes).map(NonNull::from)
}

impl<T: Message> Deref for Incoming<'_, T> {
    type Target = T::View;

    #[inline]
    fn deref(&self) -> &T::View {
        // SAFETY: made from the message's bytes in `new`; they stay where and as they are until the guard ends.
        unsafe { self.view.as_ref() }
    }
}

impl<T: Message> Drop for Incoming<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.receiver.give_back();
        } else {
            self.receiver.ack();
        }
    }
}

impl<T: Message> Encode<T> for &Incoming<'_, T> {
    fn guess(&self) -> usize {
        self.bytes().len()
    }

    fn encode(&self, room: &mut [MaybeUninit<u8>]) -> Result<usize, WriteError> {
        copy_bytes(self.bytes(), room)
    }
}

impl<T: Message<View: fmt::Debug>> fmt::Debug for Incoming<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: Message<View: fmt::Display>> fmt::Display for Incoming<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
