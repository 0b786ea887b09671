//! The serialiser that writes straight into a claim.
//!
//! rkyv's own low-level writer stops at the end of its buffer and leaves the caller to guess again. [`Sink`] counts on
//! instead: one pass either writes the message or says exactly how much room it needs. It offers no sharing map, so
//! `Rc` and `Arc` are refused at compile time.

use std::alloc::Layout;
use std::fmt;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use rkyv::rancor::{Fallible, Source, Trace};
use rkyv::ser::{Allocator, Positional, Writer, WriterExt as _};
use rkyv::{Archive, Archived, Place, Serialize};

use super::Message;
use super::scratch::Scratch;

/// Why a value was not written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteError {
    /// The room is too small; so many bytes are needed.
    Overflow(usize),
    /// The value's own serialisation failed, for this reason.
    Refused(Box<str>),
}

impl WriteError {
    #[cold]
    pub(crate) fn refused(reason: &dyn fmt::Display) -> Self {
        WriteError::Refused(reason.to_string().into())
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WriteError::Overflow(needed) => write!(f, "the message needs {needed} bytes"),
            WriteError::Refused(reason) => write!(f, "the value cannot be written: {reason}"),
        }
    }
}

impl std::error::Error for WriteError {}

impl Trace for WriteError {
    fn trace<R: fmt::Debug + fmt::Display + Send + Sync + 'static>(self, _: R) -> Self {
        self
    }
}

impl Source for WriteError {
    fn new<T: std::error::Error + Send + Sync + 'static>(source: T) -> Self {
        WriteError::refused(&source)
    }
}

/// Where a message is written: a position in a bounded room, and scratch memory for what nested vectors need.
///
/// Past the end of the room nothing is written but everything is counted.
#[doc(hidden)]
#[derive(Debug)]
pub struct Sink {
    start: NonNull<u8>,
    room: usize,
    at: usize,
    scratch: Option<Scratch>,
}

impl Sink {
    /// # Safety
    ///
    /// `room` stays writable, and nobody else's, as long as the sink is used.
    #[inline]
    unsafe fn into_room(room: &mut [MaybeUninit<u8>]) -> Self {
        Sink {
            // A slice is never null, so this is its own start.
            start: NonNull::from(&mut *room).cast(),
            room: room.len(),
            at: 0,
            scratch: None,
        }
    }

    /// A sink that only counts.
    #[inline]
    fn nowhere() -> Self {
        Sink {
            start: NonNull::dangling(),
            room: 0,
            at: 0,
            scratch: None,
        }
    }
}

impl Fallible for Sink {
    type Error = WriteError;
}

impl Positional for Sink {
    #[inline]
    fn pos(&self) -> usize {
        self.at
    }
}

impl Writer<WriteError> for Sink {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        // `at` only grows by lengths of live slices and so cannot overflow; it may lie past the end already.
        if bytes.len() <= self.room.saturating_sub(self.at) {
            // SAFETY: `at + bytes.len() <= room`, and `into_room`'s caller gave the room to this sink alone.
            unsafe {
                let to = self.start.as_ptr().add(self.at);
                to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            }
        }
        self.at += bytes.len();
        Ok(())
    }
}

// SAFETY: the scratch hands out live, aligned, disjoint memory and takes it back in any order.
unsafe impl Allocator<WriteError> for Sink {
    #[inline]
    unsafe fn push_alloc(&mut self, layout: Layout) -> Result<NonNull<[u8]>, WriteError> {
        Ok(self.scratch.get_or_insert_with(Scratch::take).push(layout))
    }

    #[inline]
    unsafe fn pop_alloc(&mut self, ptr: NonNull<u8>, layout: Layout) -> Result<(), WriteError> {
        if let Some(scratch) = &mut self.scratch {
            // SAFETY: rkyv pops exactly what `push_alloc` returned, with its layout.
            unsafe { scratch.pop(ptr, layout) };
        }
        Ok(())
    }
}

/// Writes `value` into `room`, its out-of-line parts first and the fixed part last.
///
/// # Errors
///
/// [`WriteError::Overflow`] with the exact length, or what the value's serialisation says.
#[inline]
pub fn write_value<T>(
    value: &T,
    room: &mut [MaybeUninit<u8>],
    fixed: Option<usize>,
) -> Result<usize, WriteError>
where
    T: Archive + Serialize<Sink>,
{
    match fixed {
        Some(len) => emplace(value, room, len),
        None => write_parts(value, room),
    }
}

/// Resolves a value without out-of-line parts directly at the start of the room.
#[inline]
fn emplace<T>(value: &T, room: &mut [MaybeUninit<u8>], len: usize) -> Result<usize, WriteError>
where
    T: Archive + Serialize<Sink>,
{
    if room.len() < len {
        return Err(WriteError::Overflow(len));
    }
    if T::COPY_OPTIMIZATION.is_enabled() {
        // SAFETY: such a value has the bytes of its archived form, none of them uninitialised, and the room has as many.
        unsafe { room.as_mut_ptr().cast::<T>().copy_from(value, 1) };
        return Ok(len);
    }
    let mut sink = Sink::nowhere();
    let resolver = value.serialize(&mut sink)?;
    if sink.at != 0 {
        // A field attribute moved something out of line although its type is of fixed size.
        return Err(WriteError::refused(
            &"a field of a fixed-size type wrote data out of line",
        ));
    }
    let slot = room.as_mut_ptr().cast::<Archived<T>>();
    debug_assert!(slot.is_aligned(), "rooms are aligned to Message::ALIGN");
    // SAFETY: the room holds at least `len` bytes, the size of the archived type, and is aligned for it. Zeroing first
    // keeps old bytes out of the padding; where there is none the compiler drops it.
    unsafe {
        slot.write_bytes(0, 1);
        value.resolve(resolver, Place::new_unchecked(0, slot));
    }
    Ok(len)
}

fn write_parts<T>(value: &T, room: &mut [MaybeUninit<u8>]) -> Result<usize, WriteError>
where
    T: Archive + Serialize<Sink>,
{
    // SAFETY: the sink does not outlive this function, which holds the only reference to the room.
    let mut sink = unsafe { Sink::into_room(room) };
    let resolver = value.serialize(&mut sink)?;
    sink.align_for::<Archived<T>>()?;
    // SAFETY: the position was just aligned for the archived type.
    unsafe { sink.resolve_aligned(value, resolver)? };
    if sink.at <= sink.room {
        Ok(sink.at)
    } else {
        Err(WriteError::Overflow(sink.at))
    }
}

/// Writes an archived value again: a copy where all of it lies in one place, else by way of an ordinary value.
///
/// # Errors
///
/// As [`write_value`], and when the value cannot be made.
pub fn forward_value<T: Message<View = Archived<T>>>(
    view: &Archived<T>,
    room: &mut [MaybeUninit<u8>],
) -> Result<usize, WriteError> {
    let Some(len) = T::FIXED else {
        let value = T::to_owned(view).map_err(|e| WriteError::refused(&e))?;
        return value.write(room);
    };
    if room.len() < len {
        return Err(WriteError::Overflow(len));
    }
    // SAFETY: a fixed message is its archived form and nothing else, `len` bytes; the rooms do not overlap, because one
    // is borrowed shared and the other exclusively.
    unsafe {
        let from = std::ptr::from_ref(view).cast::<MaybeUninit<u8>>();
        from.copy_to_nonoverlapping(room.as_mut_ptr(), len);
    }
    Ok(len)
}

/// The memory at `bytes`, to be written.
///
/// # Safety
///
/// The memory is mapped and this caller's alone for as long as the result lives.
#[inline]
pub(crate) unsafe fn room_at<'a>(bytes: NonNull<[u8]>) -> &'a mut [MaybeUninit<u8>] {
    // SAFETY: passed on from the caller; memory that may be uninitialised asks less of its bytes than `u8` does.
    unsafe { &mut *(bytes.as_ptr() as *mut [MaybeUninit<u8>]) }
}

/// Copies an archived message as it lies: relative pointers move with it.
#[inline]
pub(crate) fn copy_bytes(bytes: &[u8], room: &mut [MaybeUninit<u8>]) -> Result<usize, WriteError> {
    if room.len() < bytes.len() {
        return Err(WriteError::Overflow(bytes.len()));
    }
    // SAFETY: the room is at least as long, and is borrowed exclusively, so it does not overlap the bytes.
    unsafe {
        let to = room.as_mut_ptr().cast::<u8>();
        to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
    }
    Ok(bytes.len())
}

impl From<WriteError> for crate::Error {
    fn from(error: WriteError) -> Self {
        crate::Error::new(crate::ErrorKind::InvalidMessage, error.to_string())
    }
}
