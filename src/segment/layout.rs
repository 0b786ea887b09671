//! How types lie in shared memory: what may be there, where it starts, and what the compiler checks about it.

use crate::sys::atomic::{AtomicI32, AtomicI64, AtomicU8, AtomicU16, AtomicU32, AtomicU64};
use std::fmt;
use std::marker::PhantomData;

/// The distance at which two hot words do not disturb each other: two cache lines, because they are fetched in pairs.
///
/// A constant of our own: crossbeam's depends on the processor family, and this is part of a file format.
pub(crate) const LINE: usize = 128;

/// The unit of allocation and of mapping in the format, whatever the hardware's page size is.
pub(crate) const PAGE: u64 = crate::sys::shm::PAGE;

/// A type that can be referred to where it lies in shared memory.
///
/// # Safety
///
/// The type is `repr(C)` (or a transparent wrapper), is valid for every pattern of bytes, has no destructor and holds
/// nothing but atomics of fixed width, other layouts, and pads that nobody reads or writes: other processes store to
/// it while references to it exist.
pub(crate) unsafe trait Layout: Sync + Sized {}

macro_rules! layouts {
    ($($atomic:ty),*) => {$(
        // SAFETY: an atomic integer has the representation of its integer, for which every pattern is valid.
        unsafe impl Layout for $atomic {}
    )*};
}

layouts!(
    AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicI32, AtomicI64
);

// SAFETY: an array lays out its elements one behind the other and adds nothing.
unsafe impl<T: Layout, const N: usize> Layout for [T; N] {}

/// Fails to compile unless every named field lies at the given offset.
///
/// The size is asserted beside it, literally: `assert!(size_of::<T>() == n)`.
macro_rules! assert_offsets {
    ($layout:ty { $($field:ident: $offset:expr),* $(,)? }) => {
        const _: () = {
            $(assert!(std::mem::offset_of!($layout, $field) == $offset, stringify!($field));)*
        };
    };
}
pub(crate) use assert_offsets;

/// Where a `T` lies in a segment, counted from the segment's first byte: the only kind of pointer stored there.
#[repr(transparent)]
pub(crate) struct Offset<T> {
    bytes: u64,
    target: PhantomData<fn() -> T>,
}

impl<T> Offset<T> {
    /// The place `bytes` behind the segment's start.
    #[inline]
    pub(crate) const fn new(bytes: u64) -> Self {
        Offset {
            bytes,
            target: PhantomData,
        }
    }

    /// The distance from the segment's start.
    #[inline]
    pub(crate) const fn get(self) -> u64 {
        self.bytes
    }

    /// The `index`-th `T` of an array that starts here; a place beyond every segment if that overflows.
    #[inline]
    pub(crate) const fn nth(self, index: u64) -> Self {
        Offset::new(
            self.bytes
                .saturating_add(index.saturating_mul(size_of::<T>() as u64)),
        )
    }
}

impl<T> Clone for Offset<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Offset<T> {}

impl<T> PartialEq for Offset<T> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl<T> Eq for Offset<T> {}

impl<T> fmt::Debug for Offset<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Offset({:#x})", self.bytes)
    }
}

/// Lays out fields one behind the other: what was planned gets an offset, and the end is the length needed.
///
/// Sums that overflow stick at the end of all numbers, where every bound check fails.
#[derive(Clone, Debug)]
#[allow(
    dead_code,
    reason = "the planner of objects with more than one part, of which there is none yet"
)]
pub(crate) struct Plan {
    end: u64,
}

#[allow(
    dead_code,
    reason = "the planner of objects with more than one part, of which there is none yet"
)]
impl Plan {
    /// A plan that begins at `start`.
    pub(crate) const fn new(start: u64) -> Self {
        Plan { end: start }
    }

    /// Room for one `T`.
    pub(crate) const fn one<T: Layout>(&mut self) -> Offset<T> {
        self.array(1)
    }

    /// Room for `count` times `T`, and the place of the first.
    pub(crate) const fn array<T: Layout>(&mut self, count: u64) -> Offset<T> {
        let len = (size_of::<T>() as u64).saturating_mul(count);
        Offset::new(self.bytes(len, align_of::<T>() as u64))
    }

    /// Room for `len` bytes at a multiple of `align`, a power of two.
    pub(crate) const fn bytes(&mut self, len: u64, align: u64) -> u64 {
        self.align(align);
        let start = self.end;
        self.end = start.saturating_add(len);
        start
    }

    /// Goes on at a multiple of `align`, a power of two.
    pub(crate) const fn align(&mut self, align: u64) {
        self.end = align_up(self.end, align);
    }

    /// Goes on at a line of its own.
    pub(crate) const fn line(&mut self) {
        self.align(LINE as u64);
    }

    /// The end of everything planned so far.
    pub(crate) const fn end(&self) -> u64 {
        self.end
    }
}

/// The next multiple of `align`, a power of two; the largest multiple there is if that overflows.
pub(crate) const fn align_up(value: u64, align: u64) -> u64 {
    debug_assert!(align.is_power_of_two());
    value.saturating_add(align - 1) & !(align - 1)
}

/// FNV-1a over a text, for fingerprints that must not change with the compiler.
pub(crate) const fn fingerprint(text: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut i = 0;
    while i < text.len() {
        hash = (hash ^ text[i] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        i += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_keeps_alignment_and_order() {
        let mut plan = Plan::new(4096);
        assert_eq!(plan.one::<AtomicU8>().get(), 4096);
        assert_eq!(plan.array::<AtomicU64>(3).get(), 4104);
        plan.line();
        assert_eq!(plan.bytes(1, 16), 4224);
        assert_eq!(plan.end(), 4225);
    }

    #[test]
    fn overflow_ends_beyond_every_segment() {
        let mut plan = Plan::new(4096);
        plan.array::<AtomicU64>(u64::MAX);
        assert_eq!(plan.end(), u64::MAX);
        plan.line();
        assert!(plan.end() > 1 << 62);
        assert_eq!(Offset::<AtomicU64>::new(8).nth(u64::MAX).get(), u64::MAX);
    }

    #[test]
    fn array_elements_follow_each_other() {
        let first = Offset::<AtomicU32>::new(128);
        assert_eq!(first.nth(3), Offset::new(140));
    }

    #[test]
    fn fingerprints_are_fnv() {
        assert_eq!(fingerprint(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fingerprint(b"a"), 0xaf63_dc4c_8601_ec8c);
    }
}
