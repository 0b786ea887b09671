//! The place of a message that is being written.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use super::core::{Core, Hold, Spill};
use super::error::PutFault;
use crate::message::{Bytes, Encode, Message, view_at_mut};
use crate::ring::Fit;
use crate::sys::clock::Deadline;

/// The place of a message in shared memory, exclusively this process's until it is [committed](Claim::commit).
///
/// Derefs mutably to the message's view. Dropped without a commit, the place is given back and nothing was sent; the
/// same happens when the process dies, and when its thread panics.
///
/// Filling it needs no system call and copies nothing. As long as it is open, readers wait at this message even if later
/// ones are complete, so that the order is kept; a process that is stopped with an open claim holds them all up.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// use multiproc::{Bytes, Queue};
///
/// let queue = Queue::<Bytes>::new(4)?;
/// let mut claim = queue.claim(3)?;
/// claim.copy_from_slice(b"abc");
/// let id = claim.id();
/// claim.commit();
///
/// drop(queue.claim(3)?);                          // thought better of it: nothing is sent
/// let message = queue.get()?;
/// assert_eq!((message.id(), &*message), (id, &b"abc"[..]));
/// assert!(queue.try_get().is_err());
/// # Ok(())
/// # }
/// ```
#[must_use = "a claim that is dropped sends nothing"]
pub struct Claim<'q, T: Message> {
    hold: Hold<'q>,
    spill: Option<Spill<'q>>,
    len: usize,
    view: PhantomData<&'q mut T::View>,
}

impl<'q, T: Message> Claim<'q, T> {
    /// Publishes the message and hands it to the readers.
    pub fn commit(self) {
        let Claim {
            hold, spill, len, ..
        } = self;
        match spill {
            Some(spill) => hold.commit_spilled(spill, len),
            None => {
                let words = hold.words();
                hold.commit(words, len, Fit::Any);
            }
        }
    }

    /// The identity that the message will have: unique in this queue.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.hold.id()
    }

    pub(super) fn with_value<V: Encode<T>>(
        core: &'q Core,
        first: V,
        deadline: Deadline,
    ) -> Result<Self, PutFault> {
        let mut claim = Claim::of_len(core, first.guess(), deadline)?;
        let room = match &mut claim.spill {
            Some(spill) => spill.room(),
            None => claim.hold.room(core.words(Fit::Any), Fit::Any),
        };
        claim.len = first.encode(room).map_err(PutFault::Unwritable)?;
        Ok(claim)
    }

    fn of_len(core: &'q Core, len: usize, deadline: Deadline) -> Result<Self, PutFault> {
        let spill = (len > core.inline()).then(|| core.spill(len)).transpose()?;
        let hold = core.claim(deadline)?.for_long();
        Ok(Claim {
            hold,
            spill,
            len,
            view: PhantomData,
        })
    }

    fn bytes(&self) -> NonNull<[u8]> {
        match &self.spill {
            Some(spill) => spill.bytes(),
            None => self.hold.bytes(self.hold.words(), Fit::Any),
        }
    }
}

impl<'q> Claim<'q, Bytes> {
    pub(super) fn of_bytes(
        core: &'q Core,
        len: usize,
        deadline: Deadline,
    ) -> Result<Self, PutFault> {
        Claim::of_len(core, len, deadline)
    }
}

impl<T: Message> Deref for Claim<'_, T> {
    type Target = T::View;

    fn deref(&self) -> &T::View {
        // SAFETY: the room is initialised shared memory that is this process's alone until the claim ends; its first
        // `len` bytes are a valid message: any bytes for `Bytes`, a written value for the fixed types, which are the
        // only two that claims are made for. They hold no relative pointers.
        unsafe { view_at_mut::<T>(self.bytes(), self.len) }
    }
}

impl<T: Message> DerefMut for Claim<'_, T> {
    fn deref_mut(&mut self) -> &mut T::View {
        // SAFETY: as in `deref`, and the exclusive borrow of the claim makes this the only reference.
        unsafe { view_at_mut::<T>(self.bytes(), self.len) }
    }
}

impl<T: Message> fmt::Debug for Claim<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Claim({} bytes of message {})", self.len, self.id())
    }
}
