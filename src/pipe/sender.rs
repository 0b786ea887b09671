//! The sending half of a connection.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use super::error::{SendError, SendFault, SendTimeoutError, TrySendError};
use super::outgoing::Outgoing;
use super::site::{FITS_NOTHING, FitOf, OFFERED, Place, Site};
use crate::Result;
use crate::message::{Bytes, Encode, Handle, Message, WriteError, handle_message, room_at};
use crate::ring::Peers;
use crate::ring::spsc::{End, RawSender, Side};
use crate::sys::atfork;
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
    raw: RawSender<FitOf<T>>,
    site: Site,
    lane: usize,
    /// The count of forks under which the end is this process's; [`OFFERED`] once it was sent to somebody.
    era: Cell<u32>,
    /// The epoch in which it was.
    epoch: Cell<u16>,
    message: PhantomData<fn(T)>,
}

/// A handle with this and the lane added names a sender.
pub(super) const CODE: u16 = 2;

impl<T: Message> Sender<T> {
    /// The half whose seat this process has just taken.
    pub(super) fn new(site: &Site, lane: usize) -> Result<Self> {
        Ok(Sender {
            raw: site.sender(lane)?,
            site: site.clone(),
            lane,
            era: Cell::new(atfork::forks()),
            epoch: Cell::new(FITS_NOTHING),
            message: PhantomData,
        })
    }

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
        let mut count = 0;
        for value in values {
            self.send(value)?;
            count += 1;
        }
        Ok(count)
    }

    #[inline(always)]
    fn send_by<V: Encode<T>, E: From<SendFault>>(
        &self,
        value: V,
        deadline: Deadline,
    ) -> Result<(), E> {
        if self.is_mine()
            && let Some(room) = self.raw.room_here()
        {
            // SAFETY: the place is free, and this end's alone until it is published; one thread uses the end.
            match value.encode(unsafe { room_at(room) }) {
                Ok(_) => self.raw.publish_here(),
                Err(error) => return Err(SendFault::Unwritable(error).into()),
            }
            return Ok(());
        }
        self.send_any(&value, deadline).map_err(E::from)
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
        if needed > self.raw.inline() {
            return self.send_long(value, needed, deadline);
        }
        let room = self.raw.claim(needed, self.peers(), deadline)?;
        // SAFETY: as in `send_any`.
        match value.encode(unsafe { room_at(room) }) {
            Ok(len) => self.raw.commit(len),
            Err(error) => {
                self.raw.abort();
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
        let mut spill = self.raw.spill(len, self.peers(), deadline)?;
        // SAFETY: the block is this end's alone until it is published or given back, by `spill`.
        let written = match value.encode(unsafe { room_at(spill.bytes()) }) {
            Err(WriteError::Overflow(needed)) => {
                drop(spill);
                spill = self.raw.spill(needed, self.peers(), deadline)?;
                // SAFETY: as above.
                value.encode(unsafe { room_at(spill.bytes()) })
            }
            done => done,
        };
        let len = written.map_err(SendFault::Unwritable)?;
        Ok(self
            .raw
            .commit_spilled(spill, len, self.peers(), deadline)?)
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
        self.raw.peer_end().is_some()
    }

    /// The process that died with the receiving side, if one was found dead.
    #[must_use]
    pub fn dead_peer(&self) -> Option<u32> {
        match self.raw.peer_end() {
            Some(End::Died(pid)) => Some(pid),
            _ => None,
        }
    }

    #[inline(always)]
    fn is_mine(&self) -> bool {
        self.era.get() == atfork::forks()
    }

    /// The raw end, if it is this process's; an offer that nobody has taken up is taken back.
    #[inline]
    pub(super) fn raw(&self) -> Result<&RawSender<FitOf<T>>, SendFault> {
        match self.reclaim() {
            true => Ok(&self.raw),
            false => Err(SendFault::Elsewhere),
        }
    }

    #[cold]
    fn take_back(&self) -> bool {
        let mine = self.era.get() == OFFERED
            && self.site.tenant().is_me(self.raw.me())
            && self.raw.withdraw(self.epoch.get());
        if mine {
            self.era.set(atfork::forks());
        }
        mine
    }

    pub(super) fn raw_unchecked(&self) -> &RawSender<FitOf<T>> {
        &self.raw
    }

    #[inline(always)]
    pub(super) fn peers(&self) -> &dyn Peers {
        self.site.tenant()
    }

    pub(super) fn site(&self) -> &Site {
        &self.site
    }

    pub(super) fn lane(&self) -> usize {
        self.lane
    }

    fn place(&self) -> Place {
        Place {
            lane: self.lane,
            side: Side::Sender,
        }
    }

    /// Takes an offer back that nobody has taken up; whether the end is this process's now.
    pub(super) fn reclaim(&self) -> bool {
        self.is_mine() || self.take_back()
    }

    /// Offers the end to whoever receives the handle that carries this epoch.
    pub(super) fn offer(&self) -> u16 {
        if self.is_mine()
            && let Some(epoch) = self.raw.offer()
        {
            self.epoch.set(epoch);
            self.era.set(OFFERED);
        }
        self.epoch.get()
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
    pub fn claim(&mut self, len: usize) -> Result<Outgoing<'_, Bytes>, SendError> {
        Ok(Outgoing::of_len(self, len, Deadline::NEVER)?)
    }

    /// As [`claim`](Sender::claim), if there is room now.
    ///
    /// # Errors
    ///
    /// As [`try_send`](Sender::try_send).
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

impl<T: Message> Drop for Sender<T> {
    fn drop(&mut self) {
        match self.era.get() {
            OFFERED => self.site.keep_offered(self.place(), self.epoch.get()),
            _ if self.is_mine() => self.raw.close(),
            _ => {} // a forked child's copy
        }
    }
}

impl<T: Message> Handle for Sender<T> {
    fn to_raw(&self) -> RawHandle {
        let epoch = u32::from(self.offer());
        self.site.handle(epoch, CODE + self.lane as u16)
    }

    fn attach(raw: &RawHandle) -> Result<Self> {
        let site = Site::find(raw)?;
        let lane = usize::from(raw.generation.wrapping_sub(CODE)) & 1;
        site.check_type::<T>(lane)?;
        let side = Side::Sender;
        site.claim(Place { lane, side }, raw.offset as u16)?;
        Sender::new(&site, lane)
    }
}

handle_message!([T: Message] Sender<T>, "Sender", [T]);

impl<T: Message> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sender<{}>", T::type_name())
    }
}
