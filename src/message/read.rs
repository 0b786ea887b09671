//! Bytes to views: trusted, or checked first; and views to values.

use std::alloc::Layout;
use std::fmt;
use std::ops::Range;
use std::ptr::NonNull;

use rkyv::api::{access_pos_unchecked, root_position};
use rkyv::bytecheck::CheckBytes;
use rkyv::rancor::{Fallible, Source, Trace};
use rkyv::validation::{ArchiveContext, ArchiveContextExt as _};
use rkyv::{Archive, Archived, Deserialize, Portable};

use super::Message;
use crate::{Error, ErrorKind};

/// How deep one value may lie inside another: a bound on the stack that checking takes.
const MAX_DEPTH: u32 = 512;

/// The bytes of a message are not a valid value of its type, or a handle in it could not be attached.
#[derive(Debug)]
pub struct InvalidMessage {
    inner: Box<Error>,
}

impl InvalidMessage {
    #[cold]
    pub(crate) fn new(reason: impl fmt::Display) -> Self {
        let text = format!("the message is not valid: {reason}");
        InvalidMessage {
            inner: Box::new(Error::new(ErrorKind::InvalidMessage, text)),
        }
    }
}

impl fmt::Display for InvalidMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl std::error::Error for InvalidMessage {}

impl PartialEq for InvalidMessage {
    fn eq(&self, other: &Self) -> bool {
        self.inner.kind() == other.inner.kind() && self.to_string() == other.to_string()
    }
}

impl Eq for InvalidMessage {}

impl From<InvalidMessage> for Error {
    fn from(invalid: InvalidMessage) -> Self {
        *invalid.inner
    }
}

impl From<Error> for InvalidMessage {
    fn from(error: Error) -> Self {
        InvalidMessage {
            inner: Box::new(error),
        }
    }
}

impl Trace for InvalidMessage {
    fn trace<R: fmt::Debug + fmt::Display + Send + Sync + 'static>(self, trace: R) -> Self {
        InvalidMessage::new(format_args!("{} ({trace})", self.inner))
    }
}

impl Source for InvalidMessage {
    fn new<T: std::error::Error + Send + Sync + 'static>(source: T) -> Self {
        InvalidMessage::new(source)
    }
}

/// What checking a message needs to know: which bytes belong to it and are not claimed by another part yet.
#[doc(hidden)]
#[derive(Debug)]
pub struct Checker {
    unclaimed: Range<usize>,
    depth: u32,
}

impl Checker {
    fn new(bytes: &[u8]) -> Self {
        let Range { start, end } = bytes.as_ptr_range();
        Checker {
            unclaimed: start.addr()..end.addr(),
            depth: MAX_DEPTH,
        }
    }
}

impl Fallible for Checker {
    type Error = InvalidMessage;
}

// SAFETY: a pointer passes only inside the range that no part checked so far has claimed, and ranges are pushed and
// popped as rkyv's own validator does it.
unsafe impl ArchiveContext<InvalidMessage> for Checker {
    fn check_subtree_ptr(&mut self, ptr: *const u8, layout: &Layout) -> Result<(), InvalidMessage> {
        let start = ptr.addr();
        let end = start
            .checked_add(layout.size())
            .ok_or_else(|| InvalidMessage::new("a part wraps around"))?;
        if start < self.unclaimed.start || end > self.unclaimed.end {
            return Err(InvalidMessage::new("a part lies outside of the message"));
        }
        if !start.is_multiple_of(layout.align()) {
            return Err(InvalidMessage::new("a part is not aligned"));
        }
        Ok(())
    }

    unsafe fn push_subtree_range(
        &mut self,
        root: *const u8,
        end: *const u8,
    ) -> Result<Range<usize>, InvalidMessage> {
        self.depth = self
            .depth
            .checked_sub(1)
            .ok_or_else(|| InvalidMessage::new("its parts are nested too deeply"))?;
        let after = end.addr()..self.unclaimed.end;
        self.unclaimed.end = root.addr();
        Ok(after)
    }

    unsafe fn pop_subtree_range(&mut self, range: Range<usize>) -> Result<(), InvalidMessage> {
        if range.start < self.unclaimed.end {
            return Err(InvalidMessage::new("its parts overlap"));
        }
        self.unclaimed = range;
        self.depth += 1;
        Ok(())
    }
}

/// Makes values from views; what a handle says when it cannot attach passes through.
#[doc(hidden)]
#[derive(Debug)]
pub struct Reader(());

impl Fallible for Reader {
    type Error = InvalidMessage;
}

/// # Safety
///
/// `bytes` is what `write_value` of the same type wrote, aligned for it, and does not change.
#[inline]
pub unsafe fn view_value<A: Portable>(bytes: &[u8]) -> &A {
    // A length from shared memory is bounded at each use, trusted or not.
    assert!(
        size_of::<A>() <= bytes.len(),
        "a message is shorter than its type"
    );
    // SAFETY: the root lies at the end; the caller vouches for the rest.
    unsafe { access_pos_unchecked(bytes, root_position::<A>(bytes.len())) }
}

/// # Safety
///
/// As [`view_value`]; nobody else refers to the bytes, and `A` holds no relative pointers, which must not be moved.
#[inline]
pub unsafe fn view_value_mut<A: Portable>(bytes: &mut [u8]) -> &mut A {
    assert!(
        size_of::<A>() <= bytes.len(),
        "a message is shorter than its type"
    );
    let at = root_position::<A>(bytes.len());
    // SAFETY: the root lies at the end, inside of the bytes; the caller vouches for the rest.
    unsafe { &mut *bytes.as_mut_ptr().add(at).cast::<A>() }
}

/// The bytes of a message in shared memory.
///
/// # Safety
///
/// The memory is mapped and initialised, and nobody writes to it as long as the result lives.
#[inline]
pub(crate) unsafe fn bytes_at<'a>(bytes: NonNull<[u8]>) -> &'a [u8] {
    // SAFETY: passed on from the caller.
    unsafe { bytes.as_ref() }
}

/// The message of `len` bytes at `bytes`, to be changed in place.
///
/// # Safety
///
/// The memory is mapped, initialised and this caller's alone as long as the result lives; its first `len` bytes are a
/// valid message of `T` at an address aligned for it, and `T` is [`Bytes`](super::Bytes) or of fixed size.
pub(crate) unsafe fn view_at_mut<'a, T: Message>(
    mut bytes: NonNull<[u8]>,
    len: usize,
) -> &'a mut T::View {
    // SAFETY: passed on from the caller.
    unsafe { T::view_mut(&mut bytes.as_mut()[..len]) }
}

/// # Errors
///
/// [`InvalidMessage`] when the bytes are not an `A`.
pub fn check_value<A>(bytes: &[u8]) -> Result<&A, InvalidMessage>
where
    A: Portable + CheckBytes<Checker>,
{
    let at = root_position::<A>(bytes.len());
    let root = bytes.as_ptr().wrapping_add(at).cast::<A>();
    Checker::new(bytes).in_subtree(root, |checker| {
        // SAFETY: `in_subtree` found the root aligned and inside of the bytes, which are all initialised.
        unsafe { A::check_bytes(root, checker) }
    })?;
    // SAFETY: the root and everything it points to were just checked.
    Ok(unsafe { &*root })
}

/// # Errors
///
/// What attaching a handle says.
#[inline]
pub fn own_value<T>(view: &Archived<T>) -> Result<T, Error>
where
    T: Archive<Archived: Deserialize<T, Reader>>,
{
    view.deserialize(&mut Reader(())).map_err(Error::from)
}
