//! The receiving half of a connection.

use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use super::error::{RecvError, RecvFault, RecvIntoError, RecvTimeoutError, TryRecvError};
use super::hold::{HeldReceiver, Hold};
use super::incoming::Incoming;
use super::messages::Messages;
use super::site::FitOf;
use crate::Result;
use crate::message::{Bytes, Handle, Message, handle_message};
use crate::ring::spsc::{RawEnd, RawReceiver};
use crate::sys::clock::Deadline;
use crate::tenancy::RawHandle;

/// The receiving half of a [`Connection`](crate::Connection), for a thread or a process of its own.
///
/// Made by [`Connection::split`](crate::Connection::split) and [`Pipe::one_way`](crate::Pipe::one_way). Dropping it tells
/// the other side.
///
/// It is `Send` and not `Sync`: one thread receives at a time, which the compiler checks.
///
/// ```compile_fail
/// let (sender, receiver) = multiproc::Pipe::<u64, ()>::one_way().unwrap();
/// std::thread::scope(|scope| {
///     scope.spawn(|| receiver.recv_owned());  // `Receiver<u64>` cannot be shared between threads
/// });
/// ```
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// let (sender, receiver) = multiproc::Pipe::<String, ()>::one_way()?;
/// sender.send("one")?;
/// sender.send("two")?;
/// drop(sender);
/// let words: Vec<_> = receiver.iter().map(|word| word.to_string()).collect();
/// assert_eq!(words, ["one", "two"]);
/// # Ok(())
/// # }
/// ```
pub struct Receiver<T: Message> {
    pub(super) hold: HeldReceiver<T>,
    check: bool,
    message: PhantomData<fn() -> T>,
}

impl<T: Message> From<HeldReceiver<T>> for Receiver<T> {
    fn from(hold: HeldReceiver<T>) -> Self {
        Receiver {
            check: hold.site().checks(),
            hold,
            message: PhantomData,
        }
    }
}

impl<T: Message> Receiver<T> {
    /// Receives the next message in place, waiting as long as it takes; see
    /// [`Connection::recv`](crate::Connection::recv).
    ///
    /// # Errors
    ///
    /// [`RecvError`].
    #[doc(alias = "get")]
    #[inline]
    pub fn recv(&self) -> Result<Incoming<'_, T>, RecvError> {
        self.recv_by(Deadline::NEVER)
    }

    /// Receives the next message in place, if there is one now.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`] when there is none, else as [`recv`](Receiver::recv).
    #[inline]
    pub fn try_recv(&self) -> Result<Incoming<'_, T>, TryRecvError> {
        self.recv_by(Deadline::NOW)
    }

    /// Receives the next message in place, waiting until `timeout` has passed.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError::Timeout`] when none came, else as [`recv`](Receiver::recv).
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Incoming<'_, T>, RecvTimeoutError> {
        self.recv_by(Deadline::after(timeout))
    }

    /// Receives the next message in place, waiting until `deadline`.
    ///
    /// # Errors
    ///
    /// As [`recv_timeout`](Receiver::recv_timeout).
    pub fn recv_deadline(&self, deadline: Instant) -> Result<Incoming<'_, T>, RecvTimeoutError> {
        self.recv_by(Deadline::at(deadline))
    }

    /// Receives the next message as an ordinary value, waiting as long as it takes.
    ///
    /// # Errors
    ///
    /// As [`recv`](Receiver::recv); [`RecvError::Invalid`] also when a handle in it cannot be attached.
    #[inline]
    pub fn recv_owned(&self) -> Result<T, RecvError> {
        self.owned_by(Deadline::NEVER)
    }

    /// As [`recv_owned`](Receiver::recv_owned), if there is a message now.
    ///
    /// # Errors
    ///
    /// As [`try_recv`](Receiver::try_recv) and [`recv_owned`](Receiver::recv_owned).
    #[inline]
    pub fn try_recv_owned(&self) -> Result<T, TryRecvError> {
        self.owned_by(Deadline::NOW)
    }

    /// As [`recv_owned`](Receiver::recv_owned), until `timeout` has passed.
    ///
    /// # Errors
    ///
    /// As [`recv_timeout`](Receiver::recv_timeout) and [`recv_owned`](Receiver::recv_owned).
    pub fn recv_owned_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.owned_by(Deadline::after(timeout))
    }

    /// As [`recv_owned`](Receiver::recv_owned), until `deadline`.
    ///
    /// # Errors
    ///
    /// As [`recv_timeout`](Receiver::recv_timeout) and [`recv_owned`](Receiver::recv_owned).
    pub fn recv_owned_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.owned_by(Deadline::at(deadline))
    }

    #[inline(always)]
    pub(super) fn recv_by<E: From<RecvFault>>(
        &self,
        deadline: Deadline,
    ) -> Result<Incoming<'_, T>, E> {
        loop {
            if let Some(message) = self.hold.raw.take_next() {
                return Incoming::new(self, message).map_err(|e| RecvFault::Invalid(e).into());
            }
            self.wait(deadline).map_err(E::from)?;
        }
    }

    /// Waits until a message is there. It tells nothing but that: what is known of the message would go through memory.
    #[cold]
    #[inline(never)]
    fn wait(&self, deadline: Deadline) -> Result<(), RecvFault> {
        Ok(self.raw()?.wait(self.hold.peers(), deadline)?)
    }

    /// Whether a message is there, for whoever has the end for himself.
    ///
    /// # Errors
    ///
    /// As [`try_recv`](Receiver::try_recv), but for messages that are not valid.
    #[cfg(feature = "tokio")]
    #[inline(always)]
    pub(crate) fn peek(&self) -> Result<(), TryRecvError> {
        match self.hold.is_mine() && self.hold.raw.is_there() {
            true => Ok(()),
            false => self.wait(Deadline::NOW).map_err(TryRecvError::from),
        }
    }

    /// Asks for the line of the message that comes so many behind the next one, of messages that all have one size; for who takes
    /// many at a time.
    #[inline(always)]
    pub(crate) fn fetch_behind(&self, messages: u32) {
        self.hold.raw.fetch_behind(messages);
    }

    #[inline(always)]
    pub(super) fn owned_by<E: From<RecvFault>>(&self, deadline: Deadline) -> Result<T, E> {
        let message = self.recv_by::<E>(deadline)?;
        match T::to_owned(&message) {
            Ok(value) => {
                message.ack();
                Ok(value)
            }
            Err(error) => {
                message.ack();
                Err(RecvFault::Invalid(error.into()).into())
            }
        }
    }

    /// Whether [`recv`](Receiver::recv) would not wait: a message is there, or there will be none. Waits for that until
    /// `timeout` has passed.
    #[must_use]
    pub fn poll(&self, timeout: Duration) -> bool {
        let Ok(raw) = self.raw() else { return true };
        let late = crate::ring::spsc::Fault::TimedOut;
        raw.wait(self.hold.peers(), Deadline::after(timeout)) != Err(late)
    }

    /// The messages until the pipe ends, waiting for each.
    ///
    /// A message that is not valid is passed over.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = Incoming<'_, T>> {
        Messages::new(self, Deadline::NEVER)
    }

    /// The messages that are there now; never waits.
    ///
    /// A message that is not valid is passed over.
    #[inline]
    pub fn drain(&self) -> impl Iterator<Item = Incoming<'_, T>> {
        Messages::new(self, Deadline::NOW)
    }

    /// Whether the sending side is gone, as far as anybody has noticed; messages of its may still be there.
    #[must_use]
    pub fn is_disconnected(&self) -> bool {
        self.hold.raw.peer_end().is_some()
    }

    /// The process that died with the sending side, if one was found dead.
    #[must_use]
    pub fn dead_peer(&self) -> Option<u32> {
        self.hold.dead_peer()
    }

    /// The raw end, if it is this process's.
    pub(super) fn raw(&self) -> Result<&RawReceiver<FitOf<T>>, RecvFault> {
        self.hold.mine().ok_or(RecvFault::Elsewhere)
    }

    #[inline(always)]
    pub(super) fn checks(&self) -> bool {
        !T::ANY_BITS && self.check
    }

    /// Acknowledges a message in hand, unless the end is elsewhere by now, which has it again.
    #[inline(always)]
    pub(super) fn ack(&self) {
        if !self.hold.raw.try_ack() {
            self.ack_with_care();
        }
    }

    #[cold]
    #[inline(never)]
    fn ack_with_care(&self) {
        if self.hold.is_mine() {
            self.hold.raw.ack();
        }
    }

    pub(super) fn give_back(&self) {
        if self.hold.is_mine() {
            self.hold.raw.give_back();
        }
    }
}

impl Receiver<Bytes> {
    /// Copies the next message into `buffer` and says how long it is, waiting as long as it takes.
    ///
    /// # Errors
    ///
    /// [`RecvIntoError::TooShort`] when the message is longer than the buffer; it is then still there.
    pub fn recv_into(&self, buffer: &mut [u8]) -> Result<usize, RecvIntoError> {
        let message = self.recv().map_err(RecvIntoError::Recv)?;
        let needed = message.len();
        match buffer.get_mut(..needed) {
            Some(room) => {
                room.copy_from_slice(&message);
                Ok(needed)
            }
            None => {
                message.give_back();
                Err(RecvIntoError::TooShort { needed })
            }
        }
    }
}

impl<T: Message> Handle for Receiver<T> {
    fn to_raw(&self) -> RawHandle {
        self.hold.to_raw()
    }

    fn attach(raw: &RawHandle) -> Result<Self> {
        Hold::attach::<T>(raw).map(Receiver::from)
    }
}

handle_message!([T: Message] Receiver<T>, "Receiver", [T]);

impl<T: Message> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receiver<{}>", T::type_name())
    }
}
