//! Floor 5: values to bytes and back, in place.
//!
//! | module | what lives there |
//! |---|---|
//! | `mod` | [`Message`], the only bound that users see |
//! | `write` | the serialiser that writes straight into a claim, and counts on when the claim is too small |
//! | `scratch` | the per-thread memory that nested vectors need while they are written |
//! | `read` | the validator and the deserialiser |
//! | `shape` | fingerprints: what a type looks like in memory, as a number |
//! | `encode` | [`Encode`], what the writing verbs accept |
//! | `bytes` | [`Bytes`], raw bytes without a format |
//! | `grained` | bytes in which messages lie, aligned for them |
//! | `handle` | shared objects as messages: 32 bytes that attach on arrival |
//! | `packed` | a message in private memory: arguments and results of a process |
//! | `plain` | [`Plain`], values that live *in* shared memory |
//! | `macros` | [`message!`](crate::message), for types of the user's |
//! | `validation` | [`Validation`], whether messages are checked before they are read |
//! | `impls` | [`Message`] for the types of std |

mod bytes;
mod encode;
mod grained;
mod handle;
mod impls;
mod macros;
mod packed;
mod plain;
mod read;
mod scratch;
mod shape;
#[cfg(test)]
mod tests;
mod validation;
mod write;

pub use bytes::Bytes;
pub use encode::Encode;
pub(crate) use grained::Grained;
pub use handle::{ArchivedHandle, ArchivedHandlePair};
pub(crate) use handle::{
    Handle, HandlePair, handle_message, handle_pair_message, handles_message, resolve_handle,
    resolve_handle_pair,
};
pub(crate) use packed::Packed;
pub use plain::Plain;
pub(crate) use plain::{Room, plain_fingerprint, plain_name};
pub use read::InvalidMessage;
#[doc(hidden)]
pub use read::{Checker, Reader, check_value, own_value, view_value, view_value_mut};
pub(crate) use read::{bytes_at, view_at_mut};
#[doc(hidden)]
pub use shape::{FORMAT, Shape};
pub use validation::Validation;
pub use write::WriteError;
#[doc(hidden)]
pub use write::{Sink, forward_value, write_value};
pub(crate) use write::{copy_bytes, room_at};

use std::fmt::Debug;
use std::mem::MaybeUninit;

use crate::Error;
use rkyv::bytecheck::CheckBytes;
use rkyv::{Archive, Archived, Deserialize, Portable, Serialize};

/// A value that can cross between processes.
///
/// A message is written once, in its final form, into shared memory, and read there by the other process without being
/// unpacked: the reader sees a [`View`](Message::View) of it. Numbers, `bool`, `char`, strings, vectors, maps, options,
/// results, arrays and tuples are messages; so are [`Bytes`], every shared object of this crate (as a small handle that
/// attaches on arrival), and every struct or enum declared inside [`message!`](crate::message).
///
/// What must *not* cross does not compile: references, `Rc`, `Arc`, files, closures.
///
/// # Examples
///
/// How the common types look to a reader:
///
/// | message | view | read it as |
/// |---|---|---|
/// | `u64`, `f32`, ... | a number of fixed byte order | `view.to_native()`, or compare: `*view == 5` |
/// | `u8`, `bool` | itself | `*view` |
/// | `String` | derefs to `str` | `view.as_str()` |
/// | `Vec<T>` | derefs to a slice of views | `view.len()`, `view[0]`, `view.iter()` |
/// | `Option<T>` | an option of a view | `view.as_ref()` |
/// | `HashMap<K, V>` | a map of views | `view.get("key")` |
/// | your struct `Order` | `ArchivedOrder`, the same fields | `view.id.to_native()` |
/// | your enum `Event` | `ArchivedEvent`, the same variants | `match view { ArchivedEvent::Started { .. } => .. }` |
/// | [`Bytes`] | `[u8]` | itself |
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// use multiproc::Message;
///
/// fn describe<T: Message>() -> String {
///     match T::FIXED {
///         Some(len) => format!("{} takes {len} bytes", T::type_name()),
///         None => format!("{} varies in length", T::type_name()),
///     }
/// }
/// assert_eq!(describe::<(u32, bool)>(), "(u32, bool) takes 8 bytes");
/// assert_eq!(describe::<Vec<String>>(), "Vec<String> varies in length");
/// # Ok(())
/// # }
/// ```
///
/// What cannot cross is refused by the compiler, in words of its own:
///
/// ```compile_fail
/// let queue = multiproc::Queue::<std::rc::Rc<u64>>::new(8);   // `Rc<u64>` cannot cross between processes
/// ```
///
/// ```compile_fail
/// let queue = multiproc::Queue::<&str>::new(8);               // use `Queue<String>`, and put("text")
/// ```
///
/// # Safety
///
/// Implement it through [`message!`](crate::message) only. An implementation by hand must keep to this: when
/// [`write`](Message::write) returned `Ok(len)`, the first `len` bytes of the buffer are initialised and, moved as a
/// whole to any address aligned to [`ALIGN`](Message::ALIGN), are accepted by [`view`](Message::view) and
/// [`check`](Message::check); `len` equals [`FIXED`](Message::FIXED) where that is `Some`; and two types with the same
/// [`FINGERPRINT`](Message::FINGERPRINT) have the same layout.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot cross between processes",
    label = "not a message",
    note = "declare your own struct or enum inside `multiproc::message! {{ .. }}`",
    note = "references, `Rc`, `Arc`, files and closures never cross; send their contents, or a handle such as `Queue`"
)]
pub unsafe trait Message:
    Sized
    + 'static
    + Archive<Archived: Portable + Debug + CheckBytes<Checker> + Deserialize<Self, Reader>>
    + Serialize<Sink>
{
    /// What a reader sees of the message, in place.
    type View: ?Sized + 'static;

    /// The number of bytes of every value, when all values have the same; `None` when it depends on the value.
    const FIXED: Option<usize>;

    /// The alignment that the first byte of the message needs: at most 16 unless [`FIXED`](Message::FIXED) is `Some`.
    const ALIGN: usize;

    /// A number that stands for the type's layout: the names, order and types of all fields, recursively.
    const FINGERPRINT: u64;

    /// Whether [`check`](Message::check) accepts whatever bytes a message of [fixed](Message::FIXED) size has, so that it need
    /// not be asked: true for numbers, and for what is made of nothing else.
    #[doc(hidden)]
    const ANY_BITS: bool = false;

    /// The type's name as people write it, for `multiproc ls` and error texts.
    fn type_name() -> String;

    /// A cheap guess at the bytes that this value needs beside its fixed part; it decides where the value is written
    /// first, never whether.
    fn extra(&self) -> usize {
        0
    }

    /// Writes the value into `room`, whose first byte is aligned to [`ALIGN`](Message::ALIGN), and says how long it is.
    ///
    /// # Errors
    ///
    /// [`WriteError::Overflow`] with the exact length needed when `room` is too small, and [`WriteError::Refused`] when
    /// the value's own serialisation fails.
    fn write(&self, room: &mut [MaybeUninit<u8>]) -> Result<usize, WriteError>;

    /// Reads a message in place without checking it.
    ///
    /// # Safety
    ///
    /// `bytes` is exactly what [`write`](Message::write) of the same type wrote, at an address aligned to
    /// [`ALIGN`](Message::ALIGN), and does not change while the view is alive.
    unsafe fn view(bytes: &[u8]) -> &Self::View;

    /// A message in place, to be changed there.
    ///
    /// # Safety
    ///
    /// As [`view`](Message::view); nobody else refers to the bytes, and the type is of fixed size or raw bytes.
    #[doc(hidden)]
    unsafe fn view_mut(bytes: &mut [u8]) -> &mut Self::View;

    /// Reads a message in place after checking that it is one.
    ///
    /// # Errors
    ///
    /// [`InvalidMessage`] when the bytes are not a valid value of this type.
    fn check(bytes: &[u8]) -> Result<&Self::View, InvalidMessage>;

    /// Makes an ordinary value from a view.
    ///
    /// # Errors
    ///
    /// Fails only for messages that contain handles, when one of them cannot be attached (its object is gone).
    fn to_owned(view: &Self::View) -> Result<Self, Error>;

    /// Writes an archived value again, as it is: forwarding.
    ///
    /// # Errors
    ///
    /// As [`write`](Message::write), and when [`to_owned`](Message::to_owned) fails on the way.
    #[doc(hidden)]
    fn forward(view: &Self::View, room: &mut [MaybeUninit<u8>]) -> Result<usize, WriteError> {
        let value = Self::to_owned(view).map_err(|e| WriteError::refused(&e))?;
        value.write(room)
    }
}

/// The bytes of a value that lie at its place in a message; what vectors and strings hold comes on top.
#[doc(hidden)]
#[must_use]
pub const fn inline_size<T: Archive>() -> usize {
    size_of::<Archived<T>>()
}

/// The name of a type with its parameters, as people write it.
#[doc(hidden)]
#[must_use]
pub fn generic_name(name: &str, parameters: &[String]) -> String {
    match parameters {
        [] => name.to_string(),
        some => format!("{name}<{}>", some.join(", ")),
    }
}

/// The identity of a message type in one segment: its shape, its size, and the format of the serialiser.
pub(crate) fn segment_fingerprint<T: Message>() -> u64 {
    Shape::new("message")
        .with(T::FINGERPRINT)
        .with(FORMAT)
        .with(inline_size::<T>() as u64)
        .with(T::ALIGN as u64)
        .finish()
}
