//! Two tables with as many rows, for the paths on which every instruction counts.

use super::{Rows, Table};
use crate::segment::Segment;
use crate::sys::atomic::AtomicU64;
use crate::sys::cpu;
use crate::sys::unforked::Unforked;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;

/// The distances, known at compile time, of the heads and the rows of a [`Twins`]. Where they are the same, each head is the
/// beginning of its row.
pub(crate) trait Strides {
    /// Bytes from one head to the next.
    const HEAD: usize;
    /// Bytes from one row to the next.
    const ROW: usize;
}

/// Two tables with as many rows: a word each, and a room each.
///
/// They are open to whoever may use them, and shut to a forked child, which has a copy of this: one number says both that
/// and how many rows there are.
pub(crate) struct Twins<S> {
    heads: NonNull<u8>,
    rows: NonNull<u8>,
    count: u32,
    /// Never more than `count`.
    open: Unforked,
    segment: Arc<Segment>,
    strides: PhantomData<fn() -> S>,
}

// SAFETY: twins hand out shared references to atomics and raw byte ranges; the mapping is kept alive by the `Arc`, and
// `Segment` is Send and Sync.
unsafe impl<S> Send for Twins<S> {}
// SAFETY: as above.
unsafe impl<S> Sync for Twins<S> {}

impl<S: Strides> Twins<S> {
    /// The segment in which they lie.
    pub(crate) fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    const IN_ROWS: bool = S::HEAD == S::ROW;

    /// The `count` heads and rows at these offsets, open.
    ///
    /// # Panics
    ///
    /// As [`Table::new`]; and when heads that are to lie in their rows do not.
    pub(crate) fn new(segment: &Arc<Segment>, heads: u64, rows: u64, count: u32) -> Self {
        assert!(heads == rows || !Self::IN_ROWS);
        Twins {
            heads: Table::<AtomicU64>::new(segment, heads, S::HEAD, count).base,
            rows: Table::<AtomicU64>::new(segment, rows, S::ROW, count).base,
            count,
            open: Unforked::new(u64::from(count)),
            segment: Arc::clone(segment),
            strides: PhantomData,
        }
    }

    #[inline(always)]
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Whether [`pair`](Twins::pair) finds anything.
    #[inline(always)]
    pub(crate) fn is_open(&self) -> bool {
        self.open.get() != 0
    }

    /// Has [`pair`](Twins::pair) find rows, or none.
    pub(crate) fn set_open(&self, open: bool) {
        self.open.set(if open { u64::from(self.count) } else { 0 });
    }

    /// Row `index` and its head, if there is one and they are open.
    #[inline(always)]
    pub(crate) fn pair(&self, index: u32) -> Option<Pair<'_, S>> {
        // SAFETY: as many as are open are below the count.
        (u64::from(index) < self.open.get()).then(|| unsafe { Pair::new(self, index) })
    }

    /// The head of row `index`.
    ///
    /// # Panics
    ///
    /// When `index` is not below the count.
    #[inline(always)]
    pub(crate) fn head(&self, index: u32) -> &AtomicU64 {
        assert!(index < self.count);
        // SAFETY: as asserted.
        unsafe { Pair::new(self, index) }.head()
    }

    /// Asks for the line at the byte `skip` of row `index`, which need not exist.
    #[inline(always)]
    pub(crate) fn fetch(&self, index: u32, skip: usize) {
        let place = S::ROW * index as usize + skip;
        cpu::fetch(self.rows.as_ptr().wrapping_add(place));
    }

    /// Asks for the line of the head of row `index`, which need not exist, to write there.
    #[inline(always)]
    pub(crate) fn prepare_head(&self, index: u32) {
        let place = S::HEAD * index as usize;
        cpu::fetch_to_write(self.heads.as_ptr().wrapping_add(place));
    }

    /// All rows, one by one.
    #[inline(always)]
    pub(crate) fn rows(&self) -> Rows<'_, AtomicU64> {
        Rows {
            base: self.rows,
            stride: S::ROW,
            count: self.count,
            table: PhantomData,
        }
    }
}

impl<S> std::fmt::Debug for Twins<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Twins({} in {:?})", self.count, self.segment)
    }
}

/// A row of [`Twins`] that exists, and its head: found once, and not looked for again behind what others may have written.
pub(crate) struct Pair<'a, S> {
    head: NonNull<u8>,
    row: NonNull<u8>,
    twins: PhantomData<&'a Twins<S>>,
}

impl<S> Clone for Pair<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Pair<'_, S> {}

impl<'a, S: Strides> Pair<'a, S> {
    /// # Safety
    ///
    /// `index` is below the count.
    #[inline(always)]
    unsafe fn new(twins: &'a Twins<S>, index: u32) -> Self {
        // SAFETY: `index < count`, and so many heads and rows lie in the mapping (checked in `Table::new`).
        let (head, row) = unsafe {
            let head = twins.heads.add(S::HEAD * index as usize);
            match Twins::<S>::IN_ROWS {
                true => (head, head), // the same; whoever looks at the head has it at hand
                false => (head, twins.rows.add(S::ROW * index as usize)),
            }
        };
        Pair {
            head,
            row,
            twins: PhantomData,
        }
    }

    /// The word.
    #[inline(always)]
    pub(crate) fn head(self) -> &'a AtomicU64 {
        // SAFETY: a head of the table, aligned for a word (checked in `Table::new`), in a mapping that is kept for `'a`.
        unsafe { self.head.cast().as_ref() }
    }

    /// `len` bytes of the room, from `skip` on.
    ///
    /// # Panics
    ///
    /// When the bytes do not lie inside of it.
    #[inline(always)]
    pub(crate) fn part(self, skip: usize, len: usize) -> NonNull<[u8]> {
        assert!(skip + len <= S::ROW);
        // SAFETY: inside of the row.
        let first = unsafe { self.row.add(skip) };
        NonNull::slice_from_raw_parts(first, len)
    }
}

impl<S> std::fmt::Debug for Pair<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pair({:?}, {:?})", self.head, self.row)
    }
}
