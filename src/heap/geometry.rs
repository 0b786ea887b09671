//! Where everything lies in a heap: the reserve of its segment is two tables and chunks of 64 KiB.
//!
//! ```text
//! body     the head; whatever the heap's user has behind it
//! reserve  rows of hazards | rows of named objects | chunk 0 | chunk 1 | ..
//! chunk    head: its class | a word for each block | blocks of one size, each a note and its content
//! ```
//!
//! A chunk is given to one size for good. Fresh memory is zero, which is a chunk that is given to nobody, and blocks that are
//! free: there is nothing to initialise, and so nothing to be found half initialised. A block that is too large for a chunk has
//! several in a row, of which the first has the head.

use super::hazard::HazardRow;
use super::protocol::LONGEST;
use crate::error::{Error, ErrorKind, Result};
use crate::segment::layout::LINE;

/// The unit in which handles count, and to which contents are aligned.
pub(crate) const GRAIN: u64 = 16;

/// What is in front of a content: its note.
pub(super) const NOTE: u64 = 16;

pub(super) const CHUNK: u64 = 64 << 10;
pub(super) const UNITS_PER_CHUNK: u64 = CHUNK / GRAIN;
/// The head of a chunk, with its class.
pub(super) const CHUNK_HEAD: u64 = 16;
/// The head and the word of the one block that is as long as its chunks.
const ALONE: u64 = 2 * GRAIN;

/// The most rows of hazards, and of named objects.
pub(crate) const ROWS: u32 = 4096;
pub(super) const HAZARDS_LEN: u64 = ROWS as u64 * size_of::<HazardRow>() as u64;
pub(super) const OBJECTS_LEN: u64 = ROWS as u64 * LINE as u64;
const TABLES_LEN: u64 = HAZARDS_LEN + OBJECTS_LEN;

/// The least and the most that a heap can be limited to: handles count to 256 GiB.
const LEAST_CHUNKS: u64 = 4;
const MOST_CHUNKS: u64 = (240 << 30) / CHUNK;

/// The sizes of blocks that share a chunk, their notes included. The last ones fill it with seven, six, .. two of them.
const SIZES: [u32; SMALL] = [
    32, 48, 64, 80, 96, 112, 128, 144, 160, 192, 224, 256, 288, 320, 384, 448, 512, 576, 640, 768,
    896, 1024, 1152, 1280, 1536, 1792, 2048, 2304, 2560, 3072, 3584, 4096, 4672, 5440, 6544, 8176,
    9344, 10880, 13072, 16352, 21808, 32720,
];
const SMALL: usize = 42;

/// How many chunks the larger ones have. A length that is a power of two, and its note, take one more.
const SPANS: [u16; 40] = [
    1, 2, 3, 4, 5, 6, 8, 9, 12, 16, 17, 24, 32, 33, 48, 64, 65, 96, 128, 129, 192, 256, 257, 384,
    512, 513, 768, 1024, 1025, 1536, 2048, 2049, 3072, 4096, 4097, 6144, 8192, 8193, 12288, 16384,
];

/// How many sizes there are.
pub(super) const CLASSES: usize = SMALL + SPANS.len();

/// The longest content of a block, just under a gibibyte.
pub(crate) const MOST_CONTENT: u64 = (SPANS[SPANS.len() - 1] as u64) * CHUNK - ALONE - NOTE;

const _: () = assert!(MOST_CONTENT <= LONGEST);

/// How the blocks of a class lie in their chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// The size of a block.
    pub(super) size: u64,
    /// How many one chunk has, or one run of chunks.
    pub(super) count: u64,
    /// Where in the chunk the first one begins.
    pub(super) first: u64,
    /// How many chunks in a row there are.
    pub(super) span: u64,
    /// Two to the power of 32 through the size, rounded up.
    inverse: u64,
}

/// The shapes of all classes.
static SHAPES: [Shape; CLASSES] = {
    let mut shapes = [shape_of(0); CLASSES];
    let mut class = 0;
    while class < CLASSES {
        shapes[class] = shape_of(class);
        class += 1;
    }
    shapes
};

const fn shape_of(class: usize) -> Shape {
    let (size, count, span) = if class < SMALL {
        let size = SIZES[class] as u64;
        (size, (CHUNK - CHUNK_HEAD) / (size + 8), 1)
    } else {
        let span = SPANS[class - SMALL] as u64;
        (span * CHUNK - ALONE, 1, span)
    };
    Shape {
        size,
        count,
        first: span * CHUNK - count * size,
        span,
        inverse: (1_u64 << 32).div_ceil(size),
    }
}

/// How the blocks of a class lie; there are [`CLASSES`] of them.
#[inline(always)]
pub(super) fn shape(class: usize) -> &'static Shape {
    &SHAPES[class]
}

impl Shape {
    /// Which block begins so many bytes behind the beginning of the chunk, if one does.
    #[inline(always)]
    pub(super) fn index_at(&self, offset: u64) -> Option<u64> {
        let at = offset.checked_sub(self.first)?;
        // A division that is none: exact as both are below 64 KiB, but for the blocks that are alone.
        let index = (at * self.inverse) >> 32;
        (index < self.count && index * self.size == at).then_some(index)
    }
}

/// The class of each small size, in grains: those of most blocks are found by one look.
static BY_GRAINS: [u8; 65] = {
    let mut classes = [0; 65];
    let mut grains = 0;
    while grains < classes.len() {
        let mut class = 0;
        while (SIZES[class] as u64) < grains as u64 * GRAIN {
            class += 1;
        }
        classes[grains] = class as u8;
        grains += 1;
    }
    classes
};

/// The class whose blocks have room for a content of `len` bytes, if there is one.
#[inline]
pub(super) fn class_for(len: u64) -> Option<usize> {
    let size = len.checked_add(NOTE)?;
    if let Some(&class) = BY_GRAINS.get(size.div_ceil(GRAIN) as usize) {
        return Some(class.into());
    }
    let small = SIZES.partition_point(|&have| u64::from(have) < size);
    if small < SMALL {
        return Some(small);
    }
    let fits = |&span: &u16| u64::from(span) * CHUNK - ALONE >= size;
    SPANS.iter().position(fits).map(|large| SMALL + large)
}

/// A heap's share of its segment: offset and length of the reserve, and how many chunks there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extents {
    pub(super) hazards: u64,
    pub(crate) objects: u64,
    pub(super) chunks: u64,
    pub(super) count: u64,
}

impl Extents {
    /// The reserve of a heap that may have `limit` bytes.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if that is more than handles can count.
    pub(crate) fn reserve_for(limit: u64) -> Result<u64> {
        let chunks = limit.div_ceil(CHUNK).max(LEAST_CHUNKS);
        if chunks > MOST_CHUNKS {
            let most = (MOST_CHUNKS * CHUNK) >> 30;
            let text =
                format!("a limit of {limit} bytes is more than a heap can have ({most} GiB)");
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        Ok(TABLES_LEN + chunks * CHUNK)
    }

    /// The parts of a reserve at `start` of `len` bytes; without a chunk if it is too short for one.
    pub(super) fn of((start, len): (u64, u64)) -> Self {
        let objects = start + HAZARDS_LEN;
        Extents {
            hazards: start,
            objects,
            chunks: objects + OBJECTS_LEN,
            count: (len.saturating_sub(TABLES_LEN) / CHUNK).min(MOST_CHUNKS),
        }
    }

    /// Where the chunk begins.
    pub(super) fn chunk(&self, index: u64) -> u64 {
        self.chunks + index * CHUNK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_content_has_the_smallest_block_that_fits() {
        let large = SPANS.map(|span| u64::from(span) * CHUNK - ALONE - NOTE);
        for len in (0..=100_000).chain(large).chain(large.map(|len| len - 1)) {
            let class = class_for(len).unwrap();
            assert!(shape(class).size >= len + NOTE);
            assert!(class == 0 || shape(class - 1).size < len + NOTE);
        }
        assert_eq!(class_for(MOST_CONTENT), Some(CLASSES - 1));
        assert_eq!(class_for(MOST_CONTENT + 1), None);
        assert_eq!(class_for(u64::MAX), None);
    }

    #[test]
    fn blocks_are_aligned_and_do_not_reach_the_words() {
        for class in 0..CLASSES {
            let shape = shape(class);
            let words_end = CHUNK_HEAD + 8 * shape.count;
            assert!(shape.size.is_multiple_of(GRAIN));
            assert!(shape.first.is_multiple_of(GRAIN));
            assert!(shape.first >= words_end);
            let used = shape.count * (shape.size + 8);
            let waste = shape.span * CHUNK - used;
            assert!(waste * 8 < CHUNK, "class {class} wastes {waste}");
        }
    }

    #[test]
    fn every_block_is_found_where_it_begins_and_nowhere_else() {
        for class in 0..CLASSES {
            let shape = shape(class);
            for offset in (0..CHUNK).step_by(GRAIN as usize) {
                let at = offset.checked_sub(shape.first);
                let fits =
                    |at: &u64| at.is_multiple_of(shape.size) && at / shape.size < shape.count;
                let begins = at.filter(fits).map(|at| at / shape.size);
                assert_eq!(shape.index_at(offset), begins, "class {class} at {offset}");
            }
        }
    }

    #[test]
    fn a_limit_becomes_chunks() {
        let extents = |limit| {
            let len = Extents::reserve_for(limit).unwrap();
            Extents::of((4096, len))
        };
        assert_eq!(extents(0).count, LEAST_CHUNKS);
        assert_eq!(extents(10 * CHUNK + 1).count, 11);
        assert_eq!(extents(0).chunk(1) - extents(0).chunk(0), CHUNK);
        assert_eq!(Extents::of((4096, 100)).count, 0);
        let error = Extents::reserve_for(u64::MAX).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}
