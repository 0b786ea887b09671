//! What the writing verbs accept.

use std::mem::MaybeUninit;

use super::{Message, WriteError, inline_size};

/// Something that can be put where a message of type `T` is expected.
///
/// A value, a reference to one, a borrowed form (`"text"` for `String`, `&[T]` and `[T; N]` for `Vec<T>`, `&[u8]` for
/// [`Bytes`](crate::Bytes)), or an archived value that is passed on: `&Received<T>`, `&Lease<T>`, or a reference to a
/// view or to a part of one.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// let queue = multiproc::Queue::<String>::new(8)?;
/// let name = String::from("by reference");
/// queue.put("borrowed text")?;
/// queue.put(&name)?;
/// queue.put(name)?;
/// queue.put(&queue.get()?)?;                       // forwarded as it lies
/// assert_eq!(queue.len(), 3);
///
/// let queue = multiproc::Queue::<Vec<u64>>::new(8)?;
/// queue.put([1, 2, 3])?;
/// queue.put(&[4, 5][..])?;
/// queue.put(vec![6])?;
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be put where a message `{T}` is expected",
    label = "expected `{T}`, a reference to one, its borrowed form, or an archived `{T}`"
)]
pub trait Encode<T: Message> {
    /// A cheap guess at the bytes needed.
    #[doc(hidden)]
    fn guess(&self) -> usize;

    /// Writes the bytes of a `T`.
    ///
    /// # Errors
    ///
    /// As [`Message::write`].
    #[doc(hidden)]
    fn encode(&self, room: &mut [MaybeUninit<u8>]) -> Result<usize, WriteError>;
}

impl<T: Message> Encode<T> for T {
    #[inline]
    fn guess(&self) -> usize {
        inline_size::<T>() + self.extra()
    }

    #[inline]
    fn encode(&self, room: &mut [MaybeUninit<u8>]) -> Result<usize, WriteError> {
        self.write(room)
    }
}

impl<T: Message> Encode<T> for &T {
    #[inline]
    fn guess(&self) -> usize {
        inline_size::<T>() + (**self).extra()
    }

    #[inline]
    fn encode(&self, room: &mut [MaybeUninit<u8>]) -> Result<usize, WriteError> {
        (**self).write(room)
    }
}
