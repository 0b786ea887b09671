//! A message being read in its slot.

use std::fmt;
use std::mem::{MaybeUninit, forget};
use std::ops::Deref;
use std::ptr::NonNull;

use super::Queue;
use super::error::GetFault;
use super::lease::Lease;
use crate::Result;
use crate::message::{Encode, InvalidMessage, Message, WriteError, bytes_at, copy_bytes};
use crate::ring::Taken;
use crate::sys::atfork;

/// A message, read in place: a guard that derefs to its view.
///
/// Dropping it acknowledges the message. Dropping it while the thread is panicking gives it back, and so does the death
/// of the process: it is then delivered again, with its [`delivery_count`](Received::delivery_count) raised.
///
/// It is the process's that took it: the copy that a forked child has of it reads the same message, and neither ends it nor
/// gives it back.
///
/// The message's slot stays occupied while the guard lives. For long work [`detach`](Received::detach) it.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// let queue = multiproc::Queue::<(String, u32)>::new(4)?;
/// queue.put(("apples".to_string(), 3))?;
///
/// let message = queue.get()?;
/// assert_eq!(message.0, "apples");                    // the view, in place
/// let (name, count) = message.to_owned()?;            // an ordinary value
/// assert_eq!((name.as_str(), count), ("apples", 3));
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping a received message acknowledges it"]
pub struct Received<'q, T: Message> {
    queue: &'q Queue<T>,
    taken: Taken,
    view: NonNull<T::View>,
    /// The count of forks under which it was taken: a forked child has a copy, and the message is its parent's.
    forks: u32,
}

// SAFETY: the guard is a borrowed queue, which is Sync, and shared access to a view; the message belongs to the process,
// not to the thread, that took it.
unsafe impl<T: Message<View: Send + Sync>> Send for Received<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Message<View: Send + Sync>> Sync for Received<'_, T> {}

impl<'q, T: Message> Received<'q, T> {
    #[inline(always)]
    pub(super) fn new<E: From<GetFault>>(
        queue: &'q Queue<T>,
        taken: Taken,
        bytes: NonNull<[u8]>,
    ) -> Result<Self, E> {
        match queue.view_of(bytes) {
            Ok(view) => Ok(Received {
                queue,
                taken,
                view,
                forks: atfork::forks(),
            }),
            Err(invalid) => {
                queue.core.ring.give_back(taken);
                Err(GetFault::Invalid(invalid).into())
            }
        }
    }

    /// The message's identity: unique in its queue, the same at every delivery.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.queue.core.ring.id(&self.taken)
    }

    /// How often the message has been delivered, this time included; more than 1 means that an earlier reader gave it
    /// back or died.
    #[must_use]
    pub fn delivery_count(&self) -> u32 {
        self.taken.deliveries()
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
        self.acknowledge();
        forget(self);
    }

    /// Gives the message back, for anybody to take again.
    pub fn give_back(self) {
        self.hand_back();
        forget(self);
    }

    /// Moves the message out of its slot and makes the guard a lease: `Send`, without a lifetime, and in nobody's way.
    #[inline]
    pub fn detach(self) -> Lease<T> {
        let core = &self.queue.core;
        let (mut taken, forks) = (self.taken, self.forks);
        if self.is_mine() {
            taken = core.ring.detach(core.me(), taken, Queue::<T>::FIT);
        }
        let queue = self.queue.clone();
        forget(self);
        Lease::new(queue, taken, forks)
    }

    #[inline(always)]
    fn is_mine(&self) -> bool {
        self.forks == atfork::forks()
    }

    #[inline(always)]
    fn acknowledge(&self) {
        if self.is_mine() {
            self.queue.core.ring.ack(self.taken, Queue::<T>::FIT);
        }
    }

    fn hand_back(&self) {
        if self.is_mine() {
            self.queue.core.ring.give_back(self.taken);
        }
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        // SAFETY: the message is published and taken by this guard, so nobody writes to its bytes.
        unsafe { bytes_at(self.queue.core.ring.payload(&self.taken)) }
    }
}

impl<T: Message> Deref for Received<'_, T> {
    type Target = T::View;

    #[inline]
    fn deref(&self) -> &T::View {
        // SAFETY: made from the message's bytes in `new`; they stay where and as they are until the guard ends.
        unsafe { self.view.as_ref() }
    }
}

impl<T: Message> Drop for Received<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.hand_back();
        } else {
            self.acknowledge();
        }
    }
}

impl<T: Message> Queue<T> {
    /// The view of a message in hand, checked if that is the policy.
    /// The view of a message in hand, of which these are the bytes.
    #[inline(always)]
    pub(super) fn view_of(&self, bytes: NonNull<[u8]>) -> Result<NonNull<T::View>, InvalidMessage> {
        // SAFETY: the message is published and in this process's hands, so nobody writes to its bytes.
        let bytes: &[u8] = unsafe { bytes_at(bytes) };
        if self.check {
            return check::<T>(bytes);
        }
        // SAFETY: the bytes are what a writer of the same type put there: the type's fingerprint was compared at
        // attach, and the policy of this queue is to trust its writers.
        Ok(NonNull::from(unsafe { T::view(bytes) }))
    }
}

/// Out of line: most queues trust their writers, and what checks a message is long.
#[inline(never)]
fn check<T: Message>(bytes: &[u8]) -> Result<NonNull<T::View>, InvalidMessage> {
    T::check(bytes).map(NonNull::from)
}

impl<T: Message> Encode<T> for &Received<'_, T> {
    fn guess(&self) -> usize {
        self.bytes().len()
    }

    fn encode(&self, room: &mut [MaybeUninit<u8>]) -> Result<usize, WriteError> {
        copy_bytes(self.bytes(), room)
    }
}

impl<T: Message<View: fmt::Debug>> fmt::Debug for Received<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: Message<View: fmt::Display>> fmt::Display for Received<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
