//! A message taken out of its slot, for long work.

use std::fmt;
use std::mem::MaybeUninit;
use std::ops::Deref;
use std::ptr::NonNull;

use super::Queue;
use crate::Result;
use crate::message::{Encode, Message, WriteError, bytes_at, copy_bytes};
use crate::ring::Taken;
use crate::sys::atfork;

/// A message that was taken out of the queue and is not acknowledged yet; derefs to its view.
///
/// [`ack`](Lease::ack) ends it. Dropping it gives the message back, and so does the death of the process: it is then
/// delivered again, with its [`delivery_count`](Lease::delivery_count) raised. After as many deliveries as the queue
/// allows it goes to the [dead letters](Queue::dead_letters), so that a message which ends its readers does not end
/// them all.
///
/// A lease is `Send` and borrows nothing. It is the process's that took it: the copy that a forked child has of it reads the
/// same message, and neither ends it nor gives it back.
///
/// It occupies no slot; only when the room for leases (1,024, or the queue's capacity if that is more) is used up does it
/// keep the slot it came from.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// let queue = multiproc::Queue::<String>::new(8)?;
/// queue.put("work")?;
///
/// let job = queue.lease()?;
/// std::thread::spawn(move || {
///     assert_eq!(&*job, "work");
///     job.ack();
/// })
/// .join()
/// .expect("the worker does not panic");
/// assert!(queue.is_empty());
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping a lease gives the message back"]
pub struct Lease<T: Message> {
    queue: Queue<T>,
    taken: Taken,
    view: NonNull<T::View>,
    /// Acknowledged: dropping it changes nothing any more.
    settled: bool,
    /// The count of forks under which it was taken: a forked child has a copy, and the message is its parent's.
    forks: u32,
}

// SAFETY: a lease is a queue handle, which is Send and Sync, and shared access to a view; the message belongs to the
// process, not to the thread, that took it.
unsafe impl<T: Message<View: Send + Sync>> Send for Lease<T> {}
// SAFETY: as above.
unsafe impl<T: Message<View: Send + Sync>> Sync for Lease<T> {}

impl<T: Message> Lease<T> {
    /// A lease that was taken under this count of forks.
    #[inline]
    pub(super) fn new(queue: Queue<T>, taken: Taken, forks: u32) -> Self {
        // SAFETY: the message is published and in this process's hands, so nobody writes to its bytes.
        let bytes: &[u8] =
            unsafe { bytes_at(queue.core.ring.leased_payload(&taken, Queue::<T>::FIT)) };
        // SAFETY: the same bytes were viewed, and checked where that is the policy, in the place they came from.
        let view = NonNull::from(unsafe { T::view(bytes) });
        Lease {
            queue,
            taken,
            view,
            settled: false,
            forks,
        }
    }

    #[inline]
    fn is_mine(&self) -> bool {
        self.forks == atfork::forks()
    }

    /// Acknowledges the message: it is done with and will never be seen again.
    #[inline]
    pub fn ack(mut self) {
        self.settled = true;
        if self.is_mine() {
            self.queue.core.ring.ack_leased(self.taken, Queue::<T>::FIT);
        }
    }

    /// Gives the message back, as dropping the lease does.
    pub fn give_back(self) {
        drop(self);
    }

    /// The message's identity: unique in its queue, the same at every delivery.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.queue.core.ring.id(&self.taken)
    }

    /// How often the message has been delivered, this time included.
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

    fn bytes(&self) -> &[u8] {
        // SAFETY: as in `new`.
        unsafe { bytes_at(self.queue.core.ring.payload(&self.taken)) }
    }
}

impl<T: Message> Deref for Lease<T> {
    type Target = T::View;

    #[inline]
    fn deref(&self) -> &T::View {
        // SAFETY: made from the message's bytes in `new`; they stay where and as they are until the lease ends.
        unsafe { self.view.as_ref() }
    }
}

impl<T: Message> Drop for Lease<T> {
    #[inline]
    fn drop(&mut self) {
        if !self.settled && self.is_mine() {
            self.queue.core.ring.give_back(self.taken);
        }
    }
}

impl<T: Message> Encode<T> for &Lease<T> {
    fn guess(&self) -> usize {
        self.bytes().len()
    }

    fn encode(&self, room: &mut [MaybeUninit<u8>]) -> Result<usize, WriteError> {
        copy_bytes(self.bytes(), room)
    }
}

impl<T: Message<View: fmt::Debug>> fmt::Debug for Lease<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: Message<View: fmt::Display>> fmt::Display for Lease<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
