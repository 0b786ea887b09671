//! A heap's words where they lie: in a segment whose reserve gets memory as it is needed, and never moves.
//!
//! | dies after | state left | who repairs |
//! |---|---|---|
//! | memory given | memory that nobody counts | the next to grow |
//! | the chunk behind the last given to a size | the same | the next to grow counts it, whatever it came for |
//! | chunk counted | blocks that are free | nothing to repair |
//! | memory given back to the system | a block that is still retired | the sweep frees it, bare |

use super::geometry::{
    CHUNK, CHUNK_HEAD, CLASSES, Extents, GRAIN, NOTE, ROWS, UNITS_PER_CHUNK, shape,
};
use super::hazard::HazardRow;
use super::protocol::{Memory, Note, is_bare};
use super::word::Handle;
use crate::error::{Error, ErrorKind, Result};
use crate::segment::Segment;
use crate::segment::layout::{Layout, Offset, PAGE, assert_offsets};
use crate::sys::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use crate::sys::cpu;
use crate::sys::shm;
use crate::sys::step::step;
use std::ptr::NonNull;
use std::sync::Arc;

/// The beginning of the body.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct HeapHead {
    /// Chunks that have memory; only grows.
    chunks: AtomicU32,
    /// Rows of hazards that have memory; only grows.
    hazards: AtomicU32,
    /// Rows of named objects that have memory; only grows.
    objects: AtomicU32,
    pad: AtomicU32,
    /// Leads to the ledger of the last transaction.
    ledger: AtomicU64,
    verdict: AtomicU64,
    spare: [AtomicU64; 12],
}

const _: () = assert!(size_of::<HeapHead>() == 128);
assert_offsets!(HeapHead {
    chunks: 0,
    hazards: 4,
    objects: 8,
    ledger: 16,
    verdict: 24,
});

const LEDGER: u64 = std::mem::offset_of!(HeapHead, ledger) as u64;

// SAFETY: repr(C), nothing but atomics.
unsafe impl Layout for HeapHead {}

/// The words of one heap.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    segment: Arc<Segment>,
    extents: Extents,
}

impl Room {
    /// The heap in a segment that was made for one.
    pub(crate) fn new(segment: Arc<Segment>) -> Self {
        Room {
            extents: Extents::of(segment.reserve()),
            segment,
        }
    }

    pub(super) fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    #[inline]
    fn head(&self) -> &HeapHead {
        self.segment.at(Offset::new(self.segment.body().0))
    }

    /// Chunks that have memory; bounded, whatever shared memory says.
    #[inline]
    pub(super) fn grown(&self) -> u64 {
        // Acquire: pairs with the Release of `grow`; the memory was given before.
        u64::from(self.head().chunks.load(Acquire)).min(self.extents.count)
    }

    /// Gives memory to one more chunk, or as many in a row as a block of `class` needs; or counts what somebody else has
    /// begun to add.
    ///
    /// # Errors
    ///
    /// `NoSpace` at the limit, and when there is no memory.
    pub(super) fn grow(&self, class: usize) -> Result<()> {
        let grown = self.grown();
        if grown + shape(class).span > self.extents.count {
            return Err(self.at_the_limit());
        }
        // All of it, before the head says so: whoever finds the head finds the memory.
        let start = self.extents.chunk(grown);
        self.segment
            .ensure_allocated(start, shape(class).span * CHUNK)?;
        step("heap.class.cas");
        let word = self.class_word(grown);
        let _ = word.compare_exchange(0, class as u32 + 1, Relaxed, Relaxed); // see `class_of`
        let Some(given) = self.class_of(grown) else {
            return Err(stray());
        };
        step("heap.grown");
        // Release: pairs with `grown`. From exactly what was seen: others may have counted it, and more.
        let (before, after) = (grown as u32, (grown + shape(given).span) as u32);
        let count = &self.head().chunks;
        let _ = count.compare_exchange(before, after, Release, Relaxed);
        Ok(())
    }

    /// The most bytes that the chunks may have.
    #[inline]
    pub(super) fn limit(&self) -> u64 {
        self.extents.count * CHUNK
    }

    #[cold]
    fn at_the_limit(&self) -> Error {
        let limit = self.limit();
        let text = format!(
            "the limit of {} KiB of shared memory is reached; make it larger when the manager is made, or store less",
            limit >> 10
        );
        Error::new(ErrorKind::NoSpace, text)
    }

    #[inline]
    fn class_word(&self, chunk: u64) -> &AtomicU32 {
        self.segment.at(Offset::new(self.extents.chunk(chunk)))
    }

    /// The class of a chunk that has memory, if it has one that exists.
    #[inline]
    pub(super) fn class_of(&self, chunk: u64) -> Option<usize> {
        // Relaxed: the word never changes again and guards nothing; the words of the blocks do.
        let number = self.class_word(chunk).load(Relaxed) as usize;
        number.checked_sub(1).filter(|&class| class < CLASSES)
    }

    /// The first unit of each block in a chunk.
    pub(super) fn units_of(&self, chunk: u64, class: usize) -> impl Iterator<Item = u64> + use<> {
        let first = chunk * UNITS_PER_CHUNK + shape(class).first / GRAIN;
        let step = shape(class).size / GRAIN;
        (0..shape(class).count).map(move |index| first + index * step)
    }

    /// The chunks from this one on, and the class of each; of several in a row the first.
    pub(super) fn chunks_from(&self, first: u64) -> impl Iterator<Item = (u64, usize)> {
        let (grown, mut next) = (self.grown(), first);
        std::iter::from_fn(move || {
            let chunk = next;
            let class = (chunk < grown).then(|| self.class_of(chunk)).flatten()?;
            next += shape(class).span;
            Some((chunk, class))
        })
    }

    /// The first unit of each block of the heap.
    pub(super) fn units(&self) -> impl Iterator<Item = u64> {
        let chunks = self.chunks_from(0);
        chunks.flat_map(|(chunk, class)| self.units_of(chunk, class))
    }

    /// Where in the chunk a block begins, if one does there: the chunk, its class and which one of it.
    #[inline(always)]
    fn find(&self, unit: u64) -> Option<(u64, usize, u64)> {
        let chunk = unit / UNITS_PER_CHUNK;
        if chunk >= self.grown() {
            return None;
        }
        let class = self.class_of(chunk)?;
        let index = shape(class).index_at(unit % UNITS_PER_CHUNK * GRAIN)?;
        Some((chunk, class, index))
    }

    /// The class of the block at `unit`, if one begins there.
    pub(super) fn class_at(&self, unit: u64) -> Option<usize> {
        self.find(unit).map(|(_, class, _)| class)
    }

    /// The size of the block at `unit`, which was one when the caller came to know of it.
    #[inline]
    pub(super) fn size_at(&self, unit: u64) -> u64 {
        let class = self.class_of(unit / UNITS_PER_CHUNK);
        class.map_or(0, |class| shape(class).size)
    }

    /// Asks for the lines of a block of this class that will be written when it is used.
    #[inline]
    pub(super) fn fetch(&self, block: Handle, class: usize) {
        let word = self.word_in(block.unit(), class);
        cpu::fetch_to_write(std::ptr::from_ref(word).cast());
        if let Some(room) = self.room_of(block, class) {
            cpu::fetch_to_write(room.as_ptr().cast());
        }
    }

    /// The word of a block of this class, for who has had the block.
    #[inline]
    pub(super) fn word_in(&self, unit: u64, class: usize) -> &AtomicU64 {
        let index = shape(class).index_at(unit % UNITS_PER_CHUNK * GRAIN);
        self.word_at(unit / UNITS_PER_CHUNK, index.unwrap_or_default())
    }

    /// One of the words of a chunk.
    #[inline(always)]
    fn word_at(&self, chunk: u64, index: u64) -> &AtomicU64 {
        let words = Offset::<AtomicU64>::new(self.extents.chunk(chunk) + CHUNK_HEAD);
        self.segment.at(words.nth(index))
    }

    /// Whether a block has chunks of its own.
    pub(super) fn is_large(&self, block: Handle) -> bool {
        let class = self.class_at(block.unit());
        class.is_some_and(|class| shape(class).count == 1)
    }

    /// The pages that are a large block's alone, all but the first of its chunks: offset and length.
    fn pages(&self, block: Handle, class: usize) -> (u64, u64) {
        let chunk = block.unit() / UNITS_PER_CHUNK;
        let start = self.extents.chunk(chunk);
        (start + PAGE, shape(class).span * CHUNK - PAGE)
    }

    /// Gives the memory of a large block to the system, as far as it has pages of its own; nobody else has the block.
    pub(super) fn punch(&self, block: Handle) {
        if let Some(class) = self.class_at(block.unit()) {
            let (start, len) = self.pages(block, class);
            shm::punch(self.segment.fd(), start, len); // where it cannot, the memory stays
        }
    }

    /// Makes sure that a block has memory which was bare.
    ///
    /// # Errors
    ///
    /// `NoSpace`.
    pub(super) fn ask_for_memory(&self, block: Handle, class: usize) -> Result<()> {
        let (start, len) = match shape(class).count {
            1 => self.pages(block, class),
            // Of a small one nobody gives memory away.
            _ => return Ok(()),
        };
        shm::allocate(self.segment.fd(), start, len)
    }

    /// The bytes of large blocks that are free and need no memory.
    pub(super) fn bare_bytes(&self) -> u64 {
        let large = self
            .chunks_from(0)
            .filter(|&(_, class)| shape(class).count == 1);
        let bare = large.filter(|&(chunk, class)| {
            let mut units = self.units_of(chunk, class);
            units.any(|unit| is_bare(self, unit))
        });
        bare.map(|(_, class)| shape(class).span * CHUNK - PAGE)
            .sum()
    }

    /// The room for the content of a block of this class.
    #[inline]
    pub(super) fn room_of(&self, block: Handle, class: usize) -> Option<NonNull<[u8]>> {
        let len = shape(class).size - NOTE;
        self.segment.bytes(self.content(block.unit()), len)
    }

    /// The content of a block, for who came here by a cell; `None` if what the block says cannot be.
    #[inline(always)]
    pub(super) fn bytes(&self, block: Handle) -> Option<NonNull<[u8]>> {
        let unit = block.unit();
        let note = Offset::<Note>::new(self.extents.chunks + unit * GRAIN);
        let len = self.segment.get(note)?.len();
        self.segment.bytes(self.content(unit), len)
    }

    /// Where the content of a block begins.
    #[inline(always)]
    pub(super) fn content(&self, unit: u64) -> u64 {
        self.extents.chunks + unit * GRAIN + NOTE
    }

    /// The number under which notes know the cell at an offset of the segment, which is a multiple of 16.
    #[inline]
    pub(crate) fn home_of(offset: u64) -> u64 {
        offset / GRAIN
    }

    /// The row of hazards with this number, which gets memory if it has none.
    ///
    /// # Errors
    ///
    /// `NoSpace` if there is none, or no memory for it.
    pub(super) fn hazard_row(&self, index: u32) -> Result<&HazardRow> {
        let exists = self.grown_rows(&self.head().hazards, self.extents.hazards, index)?;
        let row = exists.then(|| self.hazard_row_at(index)).flatten();
        row.ok_or_else(too_many)
    }

    /// The row of hazards with this number, which had memory before.
    #[inline(always)]
    pub(super) fn hazard_row_at(&self, index: u32) -> Option<&HazardRow> {
        let first = Offset::<HazardRow>::new(self.extents.hazards);
        self.segment.get(first.nth(index.into()))
    }

    /// Where the row of the named object with this number begins, which gets memory if it has none.
    pub(crate) fn object_row(&self, index: u32) -> Result<u64> {
        let start = self.extents.objects;
        let exists = self.grown_rows(&self.head().objects, start, index)?;
        let place = start + u64::from(index) * ROW;
        exists.then_some(place).ok_or_else(too_many)
    }

    /// How many rows of named objects have memory.
    pub(crate) fn object_rows(&self) -> u32 {
        self.head().objects.load(Acquire).min(ROWS) // pairs with `grown_rows`
    }

    /// Whether there can be a row with this number; then it has memory.
    fn grown_rows(&self, count: &AtomicU32, start: u64, index: u32) -> Result<bool> {
        const PER_PAGE: u32 = (PAGE / ROW) as u32;
        if index < count.load(Acquire) {
            return Ok(index < ROWS); // Acquire: pairs with the Release below
        }
        if index >= ROWS {
            return Ok(false);
        }
        let end = (index + 1).next_multiple_of(PER_PAGE);
        let first = u64::from(end - PER_PAGE) * ROW;
        self.segment.ensure_allocated(start + first, PAGE)?;
        step("heap.rows.grown");
        // Rows are asked for in their order, so all before them have memory.
        count.fetch_max(end, Release);
        Ok(true)
    }
}

/// Where the rows of named objects begin that have memory, in the heap of a segment.
pub(crate) fn objects_in(segment: &Arc<Segment>) -> impl Iterator<Item = u64> + use<> {
    let room = Room::new(Arc::clone(segment));
    let first = room.extents.objects;
    (0..u64::from(room.object_rows())).map(move |index| first + index * ROW)
}

/// The length of a row in either table.
pub(crate) const ROW: u64 = size_of::<HazardRow>() as u64;

#[cold]
pub(super) fn stray() -> Error {
    let text = "a word of a manager leads to no block of its heap";
    Error::new(ErrorKind::Corrupt, text)
}

#[cold]
fn too_many() -> Error {
    let text = format!("all {ROWS} rows of a table of the manager are taken");
    Error::new(ErrorKind::NoSpace, text)
}

impl Memory for Room {
    #[inline]
    fn word(&self, unit: u64) -> Option<&AtomicU64> {
        let (chunk, _, index) = self.find(unit)?;
        Some(self.word_at(chunk, index))
    }

    #[inline]
    fn note(&self, unit: u64) -> Option<&Note> {
        let place = self.extents.chunks + unit * GRAIN;
        self.segment.get(Offset::new(place))
    }

    #[inline]
    fn cell(&self, home: u64) -> Option<&AtomicU64> {
        let place = home * GRAIN;
        // Cells lie in blocks and in rows of named objects, which have memory up to their counts; one is the head's.
        let blocks = self.extents.chunks..self.extents.chunk(self.grown());
        let rows = u64::from(self.object_rows()) * ROW;
        let rows = self.extents.objects..self.extents.objects + rows;
        let is_root = || home == self.root();
        let exists = blocks.contains(&place) || rows.contains(&place) || is_root();
        exists.then(|| self.segment.get(Offset::new(place)))?
    }

    #[inline]
    fn root(&self) -> u64 {
        Room::home_of(self.segment.body().0 + LEDGER)
    }

    fn verdict(&self) -> &AtomicU64 {
        &self.head().verdict
    }

    fn words(&self, block: Handle) -> Option<&[AtomicU64]> {
        let len = self.bytes(block)?.len() as u64;
        let place = Offset::new(self.content(block.unit()));
        self.segment.slice(place, len / size_of::<u64>() as u64)
    }

    fn rows(&self) -> impl Iterator<Item = &HazardRow> {
        let count = self.head().hazards.load(Acquire).min(ROWS); // pairs with `grown_rows`
        (0..count).filter_map(|index| self.hazard_row_at(index))
    }
}
