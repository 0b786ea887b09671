//! The place of a message that is being written.

use std::fmt;
use std::marker::PhantomData;
use std::mem::forget;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use super::error::SendFault;
use super::sender::Sender;
use super::site::FitOf;
use crate::message::{Encode, Message, room_at, view_at_mut};
use crate::ring::spsc::Spill;
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
    place: Place<'c, T>,
    len: usize,
    view: PhantomData<&'c mut T::View>,
}

/// Where the message lies.
enum Place<'c, T: Message> {
    InRing(NonNull<[u8]>),
    InBlock(Spill<'c, FitOf<T>>),
}

impl<'c, T: Message> Outgoing<'c, T> {
    #[inline(always)]
    pub(super) fn of_len(
        sender: &'c Sender<T>,
        len: usize,
        deadline: Deadline,
    ) -> Result<Self, SendFault> {
        let raw = sender.raw()?;
        let peers = sender.peers();
        let place = match len <= raw.inline() {
            true => Place::InRing(raw.claim(len, peers, deadline)?),
            false => Place::InBlock(raw.spill(len, peers, deadline)?),
        };
        Ok(Outgoing {
            sender,
            place,
            len,
            view: PhantomData,
        })
    }

    pub(super) fn with_value<V: Encode<T>>(
        sender: &'c Sender<T>,
        first: V,
        deadline: Deadline,
    ) -> Result<Self, SendFault> {
        let mut claim = Outgoing::of_len(sender, first.guess(), deadline)?;
        // SAFETY: the place is this end's alone until it is committed or aborted, by `claim`, which is borrowed here.
        let room = unsafe { room_at(claim.bytes()) };
        claim.len = first.encode(room).map_err(SendFault::Unwritable)?;
        Ok(claim)
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
        self.send(len).map_err(crate::SendError::from)
    }

    #[inline(always)]
    pub(super) fn send(self, len: usize) -> Result<(), SendFault> {
        let sender = self.sender;
        // SAFETY: read once, and `self` is forgotten: neither is dropped twice.
        let place = unsafe { std::ptr::read(&raw const self.place) };
        forget(self);
        match place {
            Place::InRing(_) => sender.raw_unchecked().commit(len),
            Place::InBlock(spill) => {
                let raw = sender.raw_unchecked();
                raw.commit_spilled(spill, len, sender.peers(), Deadline::NEVER)?;
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn bytes(&self) -> NonNull<[u8]> {
        match &self.place {
            Place::InRing(bytes) => *bytes,
            Place::InBlock(spill) => spill.bytes(),
        }
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
        self.send(len).map_err(crate::SendError::from)
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
        if let Place::InRing(_) = self.place {
            self.sender.raw_unchecked().abort();
        }
    }
}

impl<T: Message> fmt::Debug for Outgoing<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outgoing({} bytes)", self.len)
    }
}
