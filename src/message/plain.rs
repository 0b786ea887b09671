//! Plain values: those that live *in* shared memory and are changed there, in place.

use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::slice;

use crate::segment::Segment;
use crate::segment::layout::fingerprint;
use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// A value of fixed layout without pointers, which can live in shared memory and be changed there.
///
/// Integers, floats, `bool`, `char`, `()` and arrays of plain values are plain. A struct or an enum of the user's
/// becomes plain by being declared inside [`plain!`](crate::plain). Owners of memory (`String`, `Vec`, `Box`) and
/// references are not: what they point to is another process's. Such values travel as [messages](crate::Message).
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// use multiproc::Lock;
///
/// multiproc::plain! {
///     /// One account; no field leaves a gap before the next.
///     #[derive(Clone, Copy, Debug, PartialEq)]
///     pub struct Account {
///         pub balance: i64,
///         pub limit: i64,
///         pub open: bool,
///         pad: [u8; 7],
///     }
/// }
///
/// let account = Lock::new(Account { balance: 100, limit: 0, open: true, pad: [0; 7] })?;
/// account.lock()?.balance -= 30;
/// assert_eq!(account.lock()?.balance, 70);
/// # Ok(())
/// # }
/// ```
///
/// # Safety
///
/// Implemented for every type that fulfils the bounds, which `plain!` derives; there is nothing left to implement.
/// The bounds promise: no pointers, no padding, no change through a shared reference, and a check that tells which
/// bytes are a value.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot live in shared memory",
    label = "not a plain value",
    note = "declare your own struct or enum inside `multiproc::plain! {{ .. }}`",
    note = "what owns memory (`String`, `Vec`, `Box`) or borrows it is never plain; send it through a `Queue` instead"
)]
pub unsafe trait Plain: Sized + Send + Sync + 'static {
    /// Whether the bytes at this place are a value; torn writes and foreign writers may leave others.
    #[doc(hidden)]
    fn is_valid(bytes: &[u8]) -> bool;
}

// SAFETY: IntoBytes excludes padding and pointers, Immutable excludes cells, and TryFromBytes is the check.
unsafe impl<T> Plain for T
where
    T: TryFromBytes + IntoBytes + Immutable + KnownLayout + Send + Sync + 'static,
{
    #[inline]
    fn is_valid(bytes: &[u8]) -> bool {
        T::try_ref_from_bytes(bytes).is_ok()
    }
}

/// Declares structs and enums that can live in shared memory: [`Plain`] ones.
///
/// Write the items as usual; attributes, visibility and documentation are kept. Structs get the layout of C, so that
/// programs in other languages find the fields. The compiler refuses a struct with gaps between its fields or behind
/// the last one: order the fields by size, or name the gap (`pad: [u8; 7]`). Enums are without fields and say how
/// they are represented, by `#[repr(u8)]` for instance.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// multiproc::plain! {
///     #[derive(Clone, Copy, Debug, PartialEq)]
///     #[repr(u8)]
///     pub enum Phase { Idle, Busy, Done }
///
///     pub struct Progress {
///         pub done: u32,
///         pub total: u32,
///     }
/// }
///
/// let phase = multiproc::Lock::new(Phase::Idle)?;
/// *phase.lock()? = Phase::Busy;
/// assert_eq!(*phase.lock()?, Phase::Busy);
/// # let _ = Progress { done: 1, total: 2 };
/// # Ok(())
/// # }
/// ```
///
/// Programs that share a value compare the name, the size and the alignment of its type. Give a type another name when its
/// fields change in any other way, such as their order; a [`shared!`](crate::shared!) struct does without that care.
///
/// A gap is refused:
///
/// ```compile_fail
/// multiproc::plain! {
///     struct Gap { small: u8, large: u64 }
/// }
/// ```
#[macro_export]
macro_rules! plain {
    () => {};
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident { $($fields:tt)* }
        $($rest:tt)*
    ) => {
        #[derive(
            $crate::__private::zerocopy::TryFromBytes,
            $crate::__private::zerocopy::IntoBytes,
            $crate::__private::zerocopy::Immutable,
            $crate::__private::zerocopy::KnownLayout,
        )]
        #[zerocopy(crate = "multiproc::__private::zerocopy")]
        #[repr(C)]
        $(#[$meta])*
        $vis struct $name { $($fields)* }
        $crate::plain! { $($rest)* }
    };
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident { $($variants:tt)* }
        $($rest:tt)*
    ) => {
        #[derive(
            $crate::__private::zerocopy::TryFromBytes,
            $crate::__private::zerocopy::IntoBytes,
            $crate::__private::zerocopy::Immutable,
            $crate::__private::zerocopy::KnownLayout,
        )]
        #[zerocopy(crate = "multiproc::__private::zerocopy")]
        $(#[$meta])*
        $vis enum $name { $($variants)* }
        $crate::plain! { $($rest)* }
    };
}

/// Where a plain value lies: bounded and aligned, alive for as long as the segment is mapped.
#[derive(Debug)]
pub(crate) struct Room<T>(NonNull<T>);

impl<T> Clone for Room<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Room<T> {}

impl<T: Plain> Room<T> {
    /// The room at `place`, unless that is outside of the segment or unaligned.
    pub(crate) fn at(segment: &Segment, place: u64) -> Option<Self> {
        let room = segment.bytes(place, size_of::<T>() as u64)?.cast::<T>();
        room.is_aligned().then_some(Room(room))
    }

    /// Puts a value there; nobody else may look meanwhile.
    pub(crate) fn put(&self, value: T) {
        // SAFETY: the room is bounded, aligned and mapped; plain values need no drop, so none is lost.
        unsafe { self.0.write(value) };
    }

    /// Puts the bytes of a value there, which stays the caller's to forget; nobody else may look meanwhile.
    pub(crate) fn put_bytes(&self, value: &T) {
        // SAFETY: the room is bounded, aligned and mapped, and in no private memory, where `value` is.
        unsafe { self.0.copy_from_nonoverlapping(NonNull::from(value), 1) };
    }

    /// A private copy of what is there, if that is a value. Meant for what nobody changes any more.
    pub(crate) fn copy(&self) -> Option<T>
    where
        T: Copy,
    {
        let mut copy = MaybeUninit::<T>::uninit();
        // SAFETY: the room is bounded, aligned and mapped, and the copy in private memory.
        unsafe { self.0.as_ptr().copy_to_nonoverlapping(copy.as_mut_ptr(), 1) };
        // SAFETY: every byte of the copy was written just now, and nobody else can change it.
        let bytes = unsafe { slice::from_raw_parts(copy.as_ptr().cast(), size_of::<T>()) };
        // SAFETY: bytes that are valid are a value.
        T::is_valid(bytes).then(|| unsafe { copy.assume_init() })
    }

    /// Whether a value is there.
    ///
    /// # Safety
    ///
    /// Nobody changes the room meanwhile, and its segment is mapped.
    #[inline]
    pub(crate) unsafe fn is_valid(&self) -> bool {
        // SAFETY: checked when the room was made; with this the check of the bytes asks nothing of most types.
        unsafe { std::hint::assert_unchecked(self.0.is_aligned()) };
        // SAFETY: as many mapped bytes as a T has, and no writer, by the contract.
        let bytes = unsafe { slice::from_raw_parts(self.0.as_ptr().cast(), size_of::<T>()) };
        T::is_valid(bytes)
    }

    /// The value.
    #[inline]
    pub(crate) fn as_ptr(&self) -> *mut T {
        self.0.as_ptr()
    }
}

/// What tells the layouts of plain types apart: the last part of the name, size and alignment.
pub(crate) fn plain_fingerprint<T: Plain>() -> u64 {
    let text = format!(
        "{}/{}/{}",
        plain_name::<T>(),
        size_of::<T>(),
        align_of::<T>()
    );
    fingerprint(text.as_bytes())
}

/// The type's name without the modules it is in, for people and for [`plain_fingerprint`].
pub(crate) fn plain_name<T: Plain>() -> String {
    let mut short = String::new();
    let full = std::any::type_name::<T>();
    for piece in full.split_inclusive(|c: char| !(c.is_alphanumeric() || c == '_')) {
        match piece.strip_suffix(':') {
            Some(_) => {}
            None => short.push_str(piece),
        }
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::plain! {
        #[derive(Clone, Copy)]
        #[repr(u16)]
        #[allow(dead_code, reason = "the values come from bytes")]
        enum Level { Low = 1, High = 500 }

        struct Mixed { flag: bool, pad: [u8; 3], letter: char }
    }

    fn is_plain<T: Plain>() {}

    #[test]
    fn numbers_arrays_and_declared_types_are_plain() {
        is_plain::<()>();
        is_plain::<[f32; 16]>();
        is_plain::<usize>();
        is_plain::<[[Mixed; 2]; 2]>();
        is_plain::<Level>();
    }

    #[test]
    fn only_bytes_that_are_a_value_are_valid() {
        assert!(bool::is_valid(&[1]) && !bool::is_valid(&[2]));
        assert!(u64::is_valid(0_u64.as_bytes()));
        assert!(Level::is_valid(500_u16.as_bytes()) && !Level::is_valid(2_u16.as_bytes()));
        let mixed = [Mixed {
            flag: true,
            pad: [0; 3],
            letter: 'x',
        }];
        assert!(Mixed::is_valid(mixed.as_bytes()));
        assert!(<()>::is_valid(&[]));
    }

    #[test]
    fn names_are_short_and_tell_types_apart() {
        assert_eq!(plain_name::<[Mixed; 4]>(), "[Mixed; 4]");
        assert_eq!(plain_name::<u64>(), "u64");
        assert_ne!(plain_fingerprint::<u64>(), plain_fingerprint::<i64>());
        assert_ne!(plain_fingerprint::<[u8; 8]>(), plain_fingerprint::<u64>());
    }
}
