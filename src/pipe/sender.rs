//! The sending half of a connection.

use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use super::error::{SendError, SendFault, SendTimeoutError, TrySendError};
use super::hold::{HeldSender, Hold};
use super::outgoing::Outgoing;
use super::site::FitOf;
use crate::Result;
use crate::message::{Bytes, Encode, Handle, Message, WriteError, handle_message, room_at};
use crate::ring::Peers;
use crate::ring::spsc::{RawEnd, RawSender};
use crate::sys::clock::Deadline;
use crate::tenancy::RawHandle;

/// The sending half of a [`Connection`](crate::Connection), for a thread or a process of its own.
///
/// Made by [`Connection::split`](crate::Connection::split) and [`Pipe::one_way`](crate::Pipe::one_way). Dropping it tells
/// the other side, which first receives everything that was sent.
///
/// It is `Send` and not `Sync`: one thread sends at a time, which the compiler checks.
///
/// ```compile_fail
/// let (sender, receiver) = multiproc::Pipe::<u64, ()>::one_way().unwrap();
/// std::thread::scope(|scope| {
///     scope.spawn(|| sender.send(1));         // `Sender<u64>` cannot be shared between threads
/// });
/// ```
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// let (sender, receiver) = multiproc::Pipe::one_way()?;
/// std::thread::spawn(move || sender.send_many(0..10u64));
/// assert_eq!(receiver.iter().map(|n| n.to_native()).sum::<u64>(), 45);
/// # Ok(())
/// # }
/// ```
pub struct Sender<T: Message> {
    pub(super) hold: HeldSender<T>,
    message: PhantomData<fn(T)>,
}

impl<T: Message> From<HeldSender<T>> for Sender<T> {
    fn from(hold: HeldSender<T>) -> Self {
        Sender {
            hold,
            message: PhantomData,
        }
    }
}

impl<T: Message> Sender<T> {
    /// Sends a message, waiting for room as long as it takes; see [`Connection::send`](crate::Connection::send).
    ///
    /// # Errors
    ///
    /// [`SendError`].
    #[doc(alias = "put")]
    #[inline]
    pub fn send<V: Encode<T>>(&self, value: V) -> Result<(), SendError> {
        self.send_by(value, Deadline::NEVER)
    }

    /// Sends a message if there is room now.
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`] when there is none, else as [`send`](Sender::send).
    #[inline]
    pub fn try_send<V: Encode<T>>(&self, value: V) -> Result<(), TrySendError> {
        self.send_by(value, Deadline::NOW)
    }

    /// Sends a message, waiting for room until `timeout` has passed.
    ///
    /// # Errors
    ///
    /// [`SendTimeoutError::Timeout`] when there was none, else as [`send`](Sender::send).
    pub fn send_timeout<V: Encode<T>>(
        &self,
        value: V,
        timeout: Duration,
    ) -> Result<(), SendTimeoutError> {
        self.send_by(value, Deadline::after(timeout))
    }

    /// Sends a message, waiting for room until `deadline`.
    ///
    /// # Errors
    ///
    /// As [`send_timeout`](Sender::send_timeout).
    pub fn send_deadline<V: Encode<T>>(
        &self,
        value: V,
        deadline: Instant,
    ) -> Result<(), SendTimeoutError> {
        self.send_by(value, Deadline::at(deadline))
    }

    /// Sends every message of an iterator, waiting for room as long as it takes, and says how many there were.
    ///
    /// # Errors
    ///
    /// As [`send`](Sender::send), for the first message that could not be sent; those before it were.
    #[inline]
    pub fn send_many<V: Encode<T>>(
        &self,
        values: impl IntoIterator<Item = V>,
    ) -> Result<usize, SendError> {
        let (mut count, mut next) = (0, self.hold.raw.next());
        for value in values {
            next = self.send_at(next, value, Deadline::NEVER)?;
            count += 1;
        }
        Ok(count)
    }

    #[inline(always)]
    pub(super) fn send_by<V: Encode<T>, E: From<SendFault>>(
        &self,
        value: V,
        deadline: Deadline,
    ) -> Result<(), E> {
        let sent = self.send_at(self.hold.raw.next(), value, deadline);
        sent.map(drop).map_err(E::from)
    }

    /// Sends a message for which there is room at `next`, if things are as they were; what is next then.
    #[inline(always)]
    fn send_at<V: Encode<T>>(
        &self,
        next: u32,
        value: V,
        deadline: Deadline,
    ) -> Result<u32, SendFault> {
        if let Some(granule) = self.hold.raw.room_at(next) {
            // SAFETY: the place is free, and this end's alone until it is published; one thread uses the end.
            match value.encode(unsafe { room_at(granule.message()) }) {
                Ok(_) => self.hold.raw.publish_at(next, granule),
                Err(error) => return Err(SendFault::Unwritable(error)),
            }
            return Ok(next + 1);
        }
        self.send_any(&value, deadline)?;
        Ok(self.hold.raw.next())
    }

    /// A message of any length, or one for which there is no room yet.
    #[inline(never)]
    fn send_any<V: Encode<T>>(&self, value: &V, deadline: Deadline) -> Result<(), SendFault> {
        let raw = self.raw()?;
        let guess = value.guess();
        if guess > raw.inline() {
            return self.send_long(value, guess, deadline);
        }
        let room = raw.claim(guess, self.peers(), deadline)?;
        // SAFETY: the place is claimed by this end until it is committed or aborted; one thread uses the end.
        match value.encode(unsafe { room_at(room) }) {
            Ok(len) => raw.commit(len),
            Err(error) => {
                raw.abort();
                return self.send_unfit(value, error, deadline);
            }
        }
        Ok(())
    }

    /// A message that turned out longer than it seemed.
    #[cold]
    fn send_unfit<V: Encode<T>>(
        &self,
        value: &V,
        error: WriteError,
        deadline: Deadline,
    ) -> Result<(), SendFault> {
        let WriteError::Overflow(needed) = error else {
            return Err(SendFault::Unwritable(error));
        };
        if needed > self.hold.raw.inline() {
            return self.send_long(value, needed, deadline);
        }
        let room = self.hold.raw.claim(needed, self.peers(), deadline)?;
        // SAFETY: as in `send_any`.
        match value.encode(unsafe { room_at(room) }) {
            Ok(len) => self.hold.raw.commit(len),
            Err(error) => {
                self.hold.raw.abort();
                return Err(SendFault::Unwritable(error));
            }
        }
        Ok(())
    }

    /// A message that lies beside the ring.
    fn send_long<V: Encode<T>>(
        &self,
        value: &V,
        len: usize,
        deadline: Deadline,
    ) -> Result<(), SendFault> {
        let mut place = Outgoing::in_block(self, len, deadline)?;
        let written = match place.encode(value) {
            Err(WriteError::Overflow(needed)) => {
                drop(place);
                place = Outgoing::in_block(self, needed, deadline)?;
                place.encode(value)
            }
            done => done,
        };
        let len = written.map_err(SendFault::Unwritable)?;
        place.send(len, deadline)
    }

    /// Writes a first value where the next message will be read, and lets it be changed there until it is
    /// [committed](Outgoing::commit); waits for room as long as it takes.
    ///
    /// For message types of fixed size, which this checks at compile time.
    ///
    /// # Errors
    ///
    /// As [`send`](Sender::send).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let (mut sender, receiver) = multiproc::Pipe::<[u32; 256], ()>::one_way()?;
    /// let mut table = sender.claim_value([0; 256])?;
    /// table[7] = 49.into();
    /// table.commit()?;
    /// assert_eq!(receiver.recv()?[7], 49);
    /// # Ok(())
    /// # }
    /// ```
    pub fn claim_value<V: Encode<T>>(&mut self, first: V) -> Result<Outgoing<'_, T>, SendError> {
        const {
            assert!(
                T::FIXED.is_some(),
                "claim_value needs a message type of fixed size"
            )
        };
        Ok(Outgoing::with_value(self, first, Deadline::NEVER)?)
    }

    /// Whether the receiving side is gone, as far as anybody has noticed: it was let go of, or its holder found dead.
    #[must_use]
    pub fn is_disconnected(&self) -> bool {
        self.hold.raw.peer_end().is_some()
    }

    /// The process that died with the receiving side, if one was found dead.
    #[must_use]
    pub fn dead_peer(&self) -> Option<u32> {
        self.hold.dead_peer()
    }

    /// The raw end, if it is this process's.
    #[inline]
    pub(super) fn raw(&self) -> Result<&RawSender<FitOf<T>>, SendFault> {
        self.hold.mine().ok_or(SendFault::Elsewhere)
    }

    /// The raw end, if it is this process's, and was not offered to anybody.
    #[inline(always)]
    pub(super) fn raw_if_mine(&self) -> Option<&RawSender<FitOf<T>>> {
        self.hold.is_mine().then_some(&self.hold.raw)
    }

    #[inline(always)]
    pub(super) fn peers(&self) -> &dyn Peers {
        self.hold.peers()
    }
}

impl Sender<Bytes> {
    /// Claims the place of a message of `len` bytes, to be filled in place and [committed](Outgoing::commit); waits for
    /// room as long as it takes.
    ///
    /// The bytes are zero or leftovers of earlier messages until they are written.
    ///
    /// # Errors
    ///
    /// As [`send`](Sender::send).
    #[inline(always)]
    pub fn claim(&mut self, len: usize) -> Result<Outgoing<'_, Bytes>, SendError> {
        Ok(Outgoing::of_len(self, len, Deadline::NEVER)?)
    }

    /// As [`claim`](Sender::claim), if there is room now.
    ///
    /// # Errors
    ///
    /// As [`try_send`](Sender::try_send).
    #[inline]
    pub fn try_claim(&mut self, len: usize) -> Result<Outgoing<'_, Bytes>, TrySendError> {
        Ok(Outgoing::of_len(self, len, Deadline::NOW)?)
    }

    /// As [`claim`](Sender::claim), until `timeout` has passed.
    ///
    /// # Errors
    ///
    /// As [`send_timeout`](Sender::send_timeout).
    pub fn claim_timeout(
        &mut self,
        len: usize,
        timeout: Duration,
    ) -> Result<Outgoing<'_, Bytes>, SendTimeoutError> {
        Ok(Outgoing::of_len(self, len, Deadline::after(timeout))?)
    }

    /// As [`claim`](Sender::claim), until `deadline`.
    ///
    /// # Errors
    ///
    /// As [`send_timeout`](Sender::send_timeout).
    pub fn claim_deadline(
        &mut self,
        len: usize,
        deadline: Instant,
    ) -> Result<Outgoing<'_, Bytes>, SendTimeoutError> {
        Ok(Outgoing::of_len(self, len, Deadline::at(deadline))?)
    }
}

impl<T: Message> Handle for Sender<T> {
    fn to_raw(&self) -> RawHandle {
        self.hold.to_raw()
    }

    fn attach(raw: &RawHandle) -> Result<Self> {
        Hold::attach::<T>(raw).map(Sender::from)
    }
}

handle_message!([T: Message] Sender<T>, "Sender", [T]);

impl<T: Message> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sender<{}>", T::type_name())
    }
}
