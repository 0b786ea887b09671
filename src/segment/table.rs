//! Rows of equal stride in a segment, reached by index without a pointer in anybody's hands.

mod twins;

use super::Segment;
use super::layout::Layout;
use crate::sys::atomic::{AtomicU64, Ordering::Relaxed};
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;
pub(crate) use twins::{Pair, Strides, Twins};

/// The line by which processors move memory about.
pub(crate) const CPU_LINE: usize = 64;

/// `count` rows of `stride` bytes, each beginning with a `T`, and the bytes behind it.
///
/// Base, stride and count are kept privately, so nothing that a peer writes can lead outside the segment.
pub(crate) struct Table<T> {
    base: NonNull<u8>,
    stride: usize,
    count: u32,
    segment: Arc<Segment>,
    rows: PhantomData<T>,
}

// SAFETY: a table hands out shared references to `T: Layout` (atomics) and raw byte ranges; the mapping is kept
// alive by the `Arc`, and `Segment` is Send and Sync.
unsafe impl<T: Layout> Send for Table<T> {}
// SAFETY: as above.
unsafe impl<T: Layout> Sync for Table<T> {}

impl<T: Layout> Table<T> {
    /// The table of `count` rows at `offset`.
    ///
    /// # Panics
    ///
    /// When the rows do not fit the segment, or the stride does not keep `T` aligned: a mistake of the caller's plan,
    /// found at attach and never at use.
    pub(crate) fn new(segment: &Arc<Segment>, offset: u64, stride: usize, count: u32) -> Self {
        assert!(stride >= size_of::<T>() && stride.is_multiple_of(align_of::<T>()));
        assert!(align_of::<T>() == align_of::<AtomicU64>());
        let rows = segment.bytes(offset, stride as u64 * u64::from(count));
        let base = rows.expect("the plan fits the segment").cast::<u8>();
        assert!(base.as_ptr().cast::<T>().is_aligned());
        Table {
            base,
            stride,
            count,
            segment: Arc::clone(segment),
            rows: PhantomData,
        }
    }

    /// The rows for the length of a call, in registers instead of behind a reference.
    #[inline]
    pub(crate) fn rows(&self) -> Rows<'_, T> {
        Rows {
            base: self.base,
            stride: self.stride,
            count: self.count,
            table: PhantomData,
        }
    }

    /// The same for a caller who knows the stride when it is compiled; none of the rows if they have another.
    #[inline(always)]
    pub(crate) fn rows_of(&self, stride: usize) -> Rows<'_, T> {
        let count = if stride == self.stride { self.count } else { 0 };
        Rows {
            stride,
            count,
            ..self.rows()
        }
    }

    /// Row `index`; see [`Rows::row`].
    #[inline]
    pub(crate) fn row(&self, index: u32) -> &T {
        self.rows().row(index)
    }

    /// The bytes of row `index` from `skip` to its end; see [`Rows::bytes`].
    #[inline]
    pub(crate) fn bytes(&self, index: u32, skip: usize) -> NonNull<[u8]> {
        self.rows().bytes(index, skip)
    }

    /// `len` bytes of row `index`, from `skip` on; see [`Rows::part`].
    #[inline]
    pub(crate) fn part(&self, index: u32, skip: usize, len: usize) -> NonNull<[u8]> {
        self.rows().part(index, skip, len)
    }

    /// The segment in which the rows lie.
    pub(crate) fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }
}

/// The rows of a [`Table`], borrowed from it: base, stride and count by value.
pub(crate) struct Rows<'a, T> {
    base: NonNull<u8>,
    stride: usize,
    count: u32,
    table: PhantomData<&'a T>,
}

impl<T> Clone for Rows<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Rows<'_, T> {}

impl<'a, T: Layout> Rows<'a, T> {
    /// How many rows there are.
    #[inline]
    pub(crate) fn count(self) -> u32 {
        self.count
    }

    /// Row `index`.
    ///
    /// # Panics
    ///
    /// When `index` is not below the count given at construction.
    #[inline]
    pub(crate) fn row(self, index: u32) -> &'a T {
        // SAFETY: `start` is inside the mapping that the table's segment keeps alive for `'a`, and aligned for `T` (both
        // asserted in `Table::new`); `T: Layout` is valid for any bytes and is only ever accessed through atomics.
        unsafe { self.start(index).cast::<T>().as_ref() }
    }

    /// Row `place`, if there is one.
    #[inline(always)]
    pub(crate) fn find(self, place: u64) -> Option<&'a T> {
        (place < u64::from(self.count)).then(|| self.row(place as u32))
    }

    /// The bytes of row `index` from `skip` to its end.
    ///
    /// # Panics
    ///
    /// When `index` is not below the count, or `skip` is beyond the stride.
    #[inline]
    pub(crate) fn bytes(self, index: u32, skip: usize) -> NonNull<[u8]> {
        assert!(skip <= self.stride);
        // SAFETY: `skip` is at most the stride, so the result is inside the row or one past its end.
        let first = unsafe { self.start(index).add(skip) };
        NonNull::slice_from_raw_parts(first, self.stride - skip)
    }

    /// `len` bytes of row `index`, from `skip` on.
    ///
    /// # Panics
    ///
    /// When `index` is not below the count, or the bytes do not lie inside of the row.
    #[inline]
    pub(crate) fn part(self, index: u32, skip: usize, len: usize) -> NonNull<[u8]> {
        assert!(skip + len <= self.stride);
        // SAFETY: `skip` is at most the stride, so the result is inside the row or one past its end.
        let first = unsafe { self.start(index).add(skip) };
        NonNull::slice_from_raw_parts(first, len)
    }

    /// `len` bytes from the byte `skip` of row `index` on, which may reach over rows that follow.
    ///
    /// # Panics
    ///
    /// When the bytes do not lie inside of the rows.
    #[inline]
    pub(crate) fn run(self, index: u32, skip: usize, len: usize) -> NonNull<[u8]> {
        assert!(len <= self.reach(index, skip));
        // SAFETY: `skip` and the `len` bytes behind it are inside the rows from `index` on.
        let first = unsafe { self.start(index).add(skip) };
        NonNull::slice_from_raw_parts(first, len)
    }

    /// Bytes from the byte `skip` of row `index` to the end of the last row.
    #[inline]
    pub(crate) fn reach(self, index: u32, skip: usize) -> usize {
        let rows = self.count.saturating_sub(index) as usize;
        (rows * self.stride).saturating_sub(skip)
    }

    /// The word at the byte `skip` of row `index`.
    ///
    /// # Panics
    ///
    /// When it does not lie inside of the row, or not aligned.
    #[inline]
    pub(crate) fn word(self, index: u32, skip: usize) -> &'a AtomicU64 {
        assert!(skip.is_multiple_of(8) && skip + size_of::<AtomicU64>() <= self.stride);
        // SAFETY: inside the row, which begins aligned for a word (asserted in `Table::new`) and is kept for `'a`.
        unsafe { self.start(index).add(skip).cast::<AtomicU64>().as_ref() }
    }

    /// Writes a word of each line of row `index` as it stands, from the byte `first`, where a line begins, up to `end`.
    ///
    /// Whoever writes to those lines next gets them sooner for it; see [`cpu`](crate::sys::cpu).
    ///
    /// # Safety
    ///
    /// Nobody else uses those lines of the row, and there is no reference to their bytes.
    #[inline]
    pub(crate) unsafe fn rewrite_lines(self, index: u32, first: usize, end: usize) {
        let last = end.min(self.stride + 1 - size_of::<AtomicU64>());
        for at in (first..last).step_by(CPU_LINE) {
            // SAFETY: `at` and the seven bytes behind it are inside the row, which begins where a `T` may.
            let word = unsafe { self.start(index).add(at).cast::<AtomicU64>().as_ref() };
            // no step: it says what it said before
            word.store(word.load(Relaxed), Relaxed); // nobody else looks meanwhile, and who does later comes by a protocol
        }
    }

    #[inline]
    fn start(self, index: u32) -> NonNull<u8> {
        assert!(index < self.count);
        // SAFETY: `index < count` and `count * stride` bytes lie in the mapping (checked in `new`).
        unsafe { self.base.add(self.stride * index as usize) }
    }
}

impl<T> std::fmt::Debug for Rows<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rows({} x {} B)", self.count, self.stride)
    }
}

impl<T> std::fmt::Debug for Table<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Table({} x {} B)", self.count, self.stride)
    }
}

/// The `len` bytes from `start` on, put together again of two words: where they lie, and no right to touch them.
#[inline(always)]
pub(crate) fn span(start: NonNull<u8>, len: usize) -> NonNull<[u8]> {
    NonNull::slice_from_raw_parts(start, len)
}

/// The first `len` bytes of `bytes`, or all of them when there are not so many.
#[inline]
pub(crate) fn narrow(bytes: NonNull<[u8]>, len: usize) -> NonNull<[u8]> {
    NonNull::slice_from_raw_parts(bytes.cast(), len.min(bytes.len()))
}

/// Copies all of `source` to the beginning of `target`.
///
/// # Panics
///
/// When `target` is shorter.
///
/// # Safety
///
/// Both ranges are mapped and do not overlap; nobody writes `source`, and nobody else touches `target`, meanwhile.
#[inline]
pub(crate) unsafe fn copy(source: NonNull<[u8]>, target: NonNull<[u8]>) {
    assert!(source.len() <= target.len());
    let (from, to) = (source.cast::<u8>(), target.cast::<u8>());
    // SAFETY: the caller's promise, and the lengths were compared. One word, the commonest message, is copied without
    // a call.
    unsafe {
        match source.len() {
            8 => to
                .cast::<[u8; 8]>()
                .copy_from_nonoverlapping(from.cast(), 1),
            len => to.copy_from_nonoverlapping(from, len),
        }
    }
}

/// Writes `bytes` to the beginning of `room`.
///
/// # Safety
///
/// The room is mapped and nobody else's.
#[cfg(test)]
pub(crate) unsafe fn poke(room: NonNull<[u8]>, bytes: &[u8]) {
    assert!(bytes.len() <= room.len());
    // SAFETY: the caller's promise, and the lengths were compared.
    unsafe {
        room.cast::<u8>()
            .copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len())
    }
}

/// A copy of `bytes`.
///
/// # Safety
///
/// The bytes are mapped and nobody writes them meanwhile.
#[cfg(test)]
pub(crate) unsafe fn peek(bytes: NonNull<[u8]>) -> Vec<u8> {
    // SAFETY: the caller's promise.
    unsafe { bytes.as_ref() }.to_vec()
}
