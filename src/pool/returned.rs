//! A result that is read where its worker wrote it.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use super::brief::Small;
use super::shelf::Kept;
use crate::Result;
use crate::message::{Message, Packed};

/// A result of a [`Pool`](super::Pool)'s task, read in place: it derefs to the result's [view](Message::View).
///
/// The worker wrote it once, into memory that both have, and it stays there, whatever becomes of the worker and of the pool,
/// until this is dropped. The worker does not wait for that: of each worker 512 results can be kept so at a time, and one that
/// comes beyond these is copied, once and as it is. So is one of up to 16 bytes, which came along with the word that the task
/// is over; one of up to some 200 bytes is moved out of the ring in which it came, within the memory that both have.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// use multiproc::{Bytes, Pool};
///
/// fn zeros(count: u64) -> Bytes {
///     vec![0; count as usize].into()
/// }
///
/// let pool = Pool::new(2)?;
/// let megabyte = pool.apply_in_place(zeros, (1 << 20,)).get().expect("it does not fail");
/// assert_eq!(megabyte.len(), 1 << 20);                    // nothing was copied
/// assert_eq!(megabyte[12_345], 0);
/// # Ok(())
/// # }
/// ```
pub struct Returned<R: Message> {
    place: Place,
    /// What it gives access to.
    view: PhantomData<Box<R::View>>,
}

/// Where the bytes lie; each at a multiple of 16.
enum Place {
    Here(Small),
    Copied(Packed),
    Kept(Kept),
}

impl<R: Message> Returned<R> {
    const fn lying(place: Place) -> Self {
        Returned {
            place,
            view: PhantomData,
        }
    }

    pub(super) const fn small(small: Small) -> Self {
        Self::lying(Place::Here(small))
    }

    pub(super) const fn kept(kept: Kept) -> Self {
        Self::lying(Place::Kept(kept))
    }

    pub(super) fn copied(bytes: &[u8]) -> Self {
        Self::lying(Place::Copied(Packed::copy_of(bytes)))
    }

    /// The result as an ordinary value; handles in it are attached.
    ///
    /// # Errors
    ///
    /// When a handle cannot be attached because its object is gone.
    pub fn to_owned(&self) -> Result<R> {
        R::to_owned(self)
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        match &self.place {
            Place::Here(small) => small.bytes(),
            Place::Copied(packed) => packed.bytes(),
            Place::Kept(kept) => kept.bytes(),
        }
    }
}

impl<R: Message> Deref for Returned<R> {
    type Target = R::View;

    #[inline]
    fn deref(&self) -> &R::View {
        // SAFETY: a worker of the same build wrote the result of the function of which the caller awaits one; nobody writes to
        // the bytes as long as they are kept.
        unsafe { R::view(self.bytes()) }
    }
}

impl<R: Message<View: fmt::Debug>> fmt::Debug for Returned<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<R: Message<View: fmt::Display>> fmt::Display for Returned<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
