//! The place of a message that is being written.

use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use super::error::SendFault;
use super::sender::Sender;
use crate::message::{Encode, Message, WriteError, room_at, view_at_mut};
use crate::ring::spsc::Slot;
use crate::segment::span;
use crate::sys::clock::Deadline;

/// The place of a pipe's next message, in the shared memory where it will be read, until it is
/// [committed](Outgoing::commit).
///
/// Derefs mutably to the message's view. Dropped without a commit nothing was sent; the same when the process dies, and
/// when its thread panics.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// use multiproc::{Bytes, Pipe};
///
/// let (mut sender, receiver) = Pipe::<Bytes, ()>::one_way()?;
/// let mut place = sender.claim(3)?;
/// place.copy_from_slice(b"abc");
/// place.commit()?;
///
/// drop(sender.claim(3)?);                         // thought better of it: nothing is sent
/// assert_eq!(&*receiver.recv()?, b"abc");
/// assert!(receiver.try_recv().is_err());
/// # Ok(())
/// # }
/// ```
#[must_use = "a claim that is dropped sends nothing"]
pub struct Outgoing<'c, T: Message> {
    sender: &'c Sender<T>,
    start: NonNull<u8>,
    len: usize,
    /// The block, if it lies in one and not in the ring.
    block: Option<Slot>,
    view: PhantomData<&'c mut T::View>,
}

impl<'c, T: Message> Outgoing<'c, T> {
    #[inline(always)]
    pub(super) fn of_len(
        sender: &'c Sender<T>,
        len: usize,
        deadline: Deadline,
    ) -> Result<Self, SendFault> {
        let raw = sender.raw()?;
        if len > raw.inline() {
            return Outgoing::in_block(sender, len, deadline);
        }
        let bytes = raw.claim(len, sender.peers(), deadline)?;
        Ok(Outgoing::at(sender, bytes, None))
    }

    /// The place of a message in a block, whatever its length.
    #[inline(always)]
    pub(super) fn in_block(
        sender: &'c Sender<T>,
        len: usize,
        deadline: Deadline,
    ) -> Result<Self, SendFault> {
        let raw = sender.raw()?;
        let block = raw.spill(len, sender.peers(), deadline)?;
        Ok(Outgoing::at(sender, raw.spilled(block, len), Some(block)))
    }

    #[inline(always)]
    fn at(sender: &'c Sender<T>, bytes: NonNull<[u8]>, block: Option<Slot>) -> Self {
        Outgoing {
            sender,
            start: bytes.cast(),
            len: bytes.len(),
            block,
            view: PhantomData,
        }
    }

    pub(super) fn with_value<V: Encode<T>>(
        sender: &'c Sender<T>,
        first: V,
        deadline: Deadline,
    ) -> Result<Self, SendFault> {
        let mut claim = Outgoing::of_len(sender, first.guess(), deadline)?;
        claim.len = claim.encode(&first).map_err(SendFault::Unwritable)?;
        Ok(claim)
    }

    /// Writes a value to the place; how many bytes it took.
    #[inline(always)]
    pub(super) fn encode<V: Encode<T>>(&mut self, value: &V) -> Result<usize, WriteError> {
        // SAFETY: the place is this end's alone until it is committed or given back, by this claim, which is borrowed.
        value.encode(unsafe { room_at(self.bytes()) })
    }

    /// Sends the message.
    ///
    /// Never waits for messages in the ring; a long one, which lies beside it, may wait for a place for its reference.
    ///
    /// # Errors
    ///
    /// [`SendError::Disconnected`](crate::SendError::Disconnected) and
    /// [`SendError::PeerDied`](crate::SendError::PeerDied), if that is found out meanwhile.
    #[inline]
    pub fn commit(self) -> Result<(), crate::SendError> {
        let len = self.len;
        self.send(len, Deadline::NEVER)
            .map_err(crate::SendError::from)
    }

    /// Sends the first `len` bytes.
    #[inline(always)]
    pub(super) fn send(self, len: usize, deadline: Deadline) -> Result<(), SendFault> {
        let claim = ManuallyDrop::new(self);
        let sender = claim.sender;
        // A forked child has a copy of the claim.
        let raw = sender.raw_if_mine().ok_or(SendFault::Elsewhere)?;
        match claim.block {
            None => raw.commit(len),
            Some(block) => raw.commit_spilled(block, len, sender.peers(), deadline)?,
        }
        Ok(())
    }

    #[inline(always)]
    fn bytes(&self) -> NonNull<[u8]> {
        span(self.start, self.len)
    }
}

impl Outgoing<'_, crate::Bytes> {
    /// Sends the first `len` bytes only.
    ///
    /// # Errors
    ///
    /// As [`commit`](Outgoing::commit).
    ///
    /// # Panics
    ///
    /// If fewer were claimed.
    pub fn commit_first(self, len: usize) -> Result<(), crate::SendError> {
        assert!(len <= self.len, "{len} bytes of {} claimed", self.len);
        self.send(len, Deadline::NEVER)
            .map_err(crate::SendError::from)
    }
}

impl<T: Message> Deref for Outgoing<'_, T> {
    type Target = T::View;

    #[inline]
    fn deref(&self) -> &T::View {
        // SAFETY: the place is initialised shared memory that is this end's alone until the claim ends; its first `len`
        // bytes are a valid message: any bytes for `Bytes`, a written value for the fixed types, which are the only two
        // that claims are made for. They hold no relative pointers.
        unsafe { view_at_mut::<T>(self.bytes(), self.len) }
    }
}

impl<T: Message> DerefMut for Outgoing<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T::View {
        // SAFETY: as in `deref`, and the exclusive borrow of the claim makes this the only reference.
        unsafe { view_at_mut::<T>(self.bytes(), self.len) }
    }
}

impl<T: Message> Drop for Outgoing<'_, T> {
    #[inline]
    fn drop(&mut self) {
        match (self.sender.raw_if_mine(), self.block) {
            (Some(raw), None) => raw.abort(),
            (Some(raw), Some(block)) => raw.give_back(block),
            (None, _) => {} // a forked child's copy
        }
    }
}

impl<T: Message> fmt::Debug for Outgoing<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outgoing({} bytes)", self.len)
    }
}
