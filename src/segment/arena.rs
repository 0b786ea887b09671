//! Many small objects in one segment, so that a lock does not cost a file.
//!
//! The reserve of the segment is cut into chunks of nine pages: one page of words, one word per 64-byte unit, and eight
//! spans of a page each. A span is given to one size class for good, and neighbours together to a class of more than a page; a
//! block is taken and returned by one compare-and-swap of its first unit's word. Fresh memory is zero, which is an arena with everything free: there is
//! nothing to initialise, and so nothing to be found half initialised.
//!
//! | dies after | state left | who repairs |
//! |---|---|---|
//! | chunk allocated, before `grown` | memory that nobody counts | the next to grow |
//! | span claimed | an empty span of that class | nothing to repair |
//! | some of several spans claimed | spans of that class, without a block | the next to need a block of it claims the others |
//! | block allocated | `OWNED(dead)` | `sweep` frees it |
//! | block shared | `SHARED` | its object, or the end of the segment |

use super::Segment;
use super::layout::{Layout, Offset, PAGE, assert_offsets};
use crate::error::{Error, ErrorKind, Result};
use crate::sys::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use crate::sys::identity::Participant;
use crate::sys::step::step;
use std::sync::Arc;

/// The smallest block, and the unit in which handles count.
pub(crate) const UNIT: u64 = 64;

/// The largest block: four spans.
pub(crate) const LARGEST: u64 = 4 * PAGE;

const UNITS_PER_SPAN: u32 = (PAGE / UNIT) as u32;
const SPANS_PER_CHUNK: u32 = 8;
const UNITS_PER_CHUNK: u32 = UNITS_PER_SPAN * SPANS_PER_CHUNK;
const CHUNK: u64 = PAGE * (1 + SPANS_PER_CHUNK as u64);

/// 64, 128, .. 16,384 bytes.
const CLASSES: usize = 9;

/// The most chunks: 32 MiB of blocks.
const MOST_CHUNKS: u32 = 1024;

/// No block begins at this unit or behind it.
pub(crate) const UNITS: u32 = MOST_CHUNKS * UNITS_PER_CHUNK;

/// The beginning of the body; the class words of the spans follow.
#[repr(C, align(128))]
struct ArenaHeader {
    /// Chunks that have memory; only grows.
    grown: AtomicU32,
    pad: [AtomicU32; 31],
}

const _: () = assert!(size_of::<ArenaHeader>() == 128);
assert_offsets!(ArenaHeader { grown: 0, pad: 4 });

// SAFETY: repr(C), nothing but atomics.
unsafe impl Layout for ArenaHeader {}

/// A block: where it begins, in units, and which use of that place it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Block {
    pub(crate) unit: u32,
    pub(crate) generation: u16,
}

/// A unit's word: `state:2 | owner:12 << 4 | generation:16 << 16`.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Word(u64);

const FREE: u64 = 0;
const OWNED: u64 = 1;
const SHARED: u64 = 2;

impl Word {
    fn new(state: u64, owner: u16, generation: u16) -> Self {
        Word(state | u64::from(owner) << 4 | u64::from(generation) << 16)
    }

    fn state(self) -> u64 {
        self.0 & 3
    }

    fn owner(self) -> u16 {
        (self.0 >> 4) as u16 & 0xfff
    }

    fn generation(self) -> u16 {
        (self.0 >> 16) as u16
    }

    fn freed(self) -> Self {
        Word::new(FREE, 0, self.generation().wrapping_add(1))
    }

    fn is_owned_by(self, who: Participant) -> bool {
        self.state() == OWNED && self.owner() == who.get()
    }
}

/// The arena in one segment's body and reserve.
#[derive(Debug)]
pub(crate) struct Arena {
    segment: Arc<Segment>,
    chunks: u32,
    /// Per class, the span where the last block was found; this process's own.
    hints: [AtomicU32; CLASSES],
}

impl Arena {
    /// The body and reserve lengths of a segment whose arena holds up to `bytes` (at most 32 MiB).
    pub(crate) fn lengths(bytes: u64) -> (u64, u64) {
        let chunk_payload = PAGE * u64::from(SPANS_PER_CHUNK);
        let chunks = bytes
            .div_ceil(chunk_payload)
            .clamp(1, u64::from(MOST_CHUNKS));
        let class_words = chunks * u64::from(SPANS_PER_CHUNK) * 4;
        (
            size_of::<ArenaHeader>() as u64 + class_words,
            chunks * CHUNK,
        )
    }

    /// The arena of a segment that was made with [`lengths`](Arena::lengths).
    pub(crate) fn new(segment: Arc<Segment>) -> Self {
        let words = (segment.body().1 - size_of::<ArenaHeader>() as u64) / 4;
        let described = words / u64::from(SPANS_PER_CHUNK);
        let reserved = segment.reserve().1 / CHUNK;
        Arena {
            chunks: described.min(reserved).min(u64::from(MOST_CHUNKS)) as u32,
            segment,
            hints: Default::default(),
        }
    }

    /// Takes a block of at least `len` bytes, all zero, aligned to its size or to a page, that belongs to `me` until it is shared.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for more than [`LARGEST`] bytes, `NoSpace` when the arena or the memory is full.
    pub(crate) fn alloc(&self, me: Participant, len: u64) -> Result<Block> {
        let class = class_for(len)?;
        loop {
            let block = self
                .alloc_in_claimed(me, class)
                .or_else(|| self.alloc_in_new_span(me, class));
            match block {
                Some(block) => {
                    self.clear(block, class);
                    return Ok(block);
                }
                None => self.grow()?,
            }
        }
    }

    /// Searches the spans of this class, beginning where the last search ended.
    fn alloc_in_claimed(&self, me: Participant, class: usize) -> Option<Block> {
        let spans = self.grown() * SPANS_PER_CHUNK;
        let start = self.hints[class].load(Relaxed); // Relaxed: a hint of this process
        let order = (start..spans).chain(0..start.min(spans));
        let mut claimed = order.filter(|&span| self.class_of(span) == Some(class));
        claimed.find_map(|span| self.alloc_in(me, span, class))
    }

    /// Gives a span that has no class yet to this one, or as many as a block of it needs.
    fn alloc_in_new_span(&self, me: Participant, class: usize) -> Option<Block> {
        let spans = spans_of(class);
        let mut firsts = (0..self.grown() * SPANS_PER_CHUNK).step_by(spans as usize);
        firsts.find_map(|first| {
            let given = (first..first + spans).map(|span| self.give(span, class));
            let (mut all, mut any) = (true, false);
            for given in given {
                all &= given != Given::ToOthers;
                any |= given == Given::Now;
                if !all {
                    break;
                }
            }
            (all && any).then(|| self.alloc_in(me, first, class))?
        })
    }

    fn give(&self, span: u32, class: usize) -> Given {
        let number = class as u32 + 1;
        step("arena.span.cas");
        let word = self.class_word(span);
        // Relaxed: the word never changes again and guards nothing; the block words do.
        match word.compare_exchange(0, number, Relaxed, Relaxed) {
            Ok(_) => Given::Now,
            Err(before) if before == number => Given::Before,
            Err(_) => Given::ToOthers,
        }
    }

    /// Whether blocks of that class begin in `span`, and all spans of theirs are given to it.
    fn has_blocks(&self, span: u32, class: usize) -> bool {
        let spans = spans_of(class);
        let mut rest = span + 1..span + spans;
        span.is_multiple_of(spans) && rest.all(|next| self.class_of(next) == Some(class))
    }

    fn alloc_in(&self, me: Participant, span: u32, class: usize) -> Option<Block> {
        if !self.has_blocks(span, class) {
            return None;
        }
        units_in(span, class).find_map(|unit| {
            let word = self.word(unit);
            let seen = Word(word.load(Relaxed));
            if seen.state() != FREE {
                return None;
            }
            let mine = Word::new(OWNED, me.get(), seen.generation());
            step("arena.alloc.cas");
            // Acquire: pairs with the Release of `free`, so that the last user's stores come before our zeroing.
            word.compare_exchange(seen.0, mine.0, Acquire, Relaxed)
                .ok()?;
            // no step: a hint of this process
            self.hints[class].store(span, Relaxed);
            Some(Block {
                unit,
                generation: seen.generation(),
            })
        })
    }

    /// Zeroes a fresh block with atomic stores: somebody with a stale handle may be looking.
    fn clear(&self, block: Block, class: usize) {
        let start = Offset::<AtomicU64>::new(self.place(block.unit));
        let words = self.segment.slice(start, (UNIT / 8) << class);
        step("arena.clear");
        for word in words.unwrap_or_default() {
            // no step: one for all of them, the block is nobody else's
            word.store(0, Relaxed);
        }
    }

    /// Gives memory to the next chunk.
    fn grow(&self) -> Result<()> {
        let grown = self.grown();
        if grown >= self.chunks {
            let size = u64::from(self.chunks) * u64::from(SPANS_PER_CHUNK) * PAGE;
            return Err(Error::new(
                ErrorKind::NoSpace,
                format!("the arena of {} KiB for small objects is full", size >> 10),
            ));
        }
        self.segment.ensure_allocated(self.chunk(grown), CHUNK)?;
        step("arena.grown");
        // Release: pairs with the Acquire in `grown`; whoever counts the chunk finds its memory.
        self.header().grown.fetch_max(grown + 1, Release);
        Ok(())
    }

    /// Where a block's bytes are, if the handle is not stale.
    ///
    /// # Errors
    ///
    /// `Gone` if the block was freed since, `Corrupt` if there never was such a block.
    pub(crate) fn locate(&self, block: Block) -> Result<(u64, u64)> {
        let class = self.class_at(block.unit)?;
        // Acquire: pairs with the Release of `share`; the object was complete before.
        let word = Word(self.word(block.unit).load(Acquire));
        if word.state() == FREE || word.generation() != block.generation {
            return Err(gone());
        }
        Ok((self.place(block.unit), UNIT << class))
    }

    /// Turns a block of `me` into one that outlives `me`; the object in it is complete. `false` if it was not `me`'s.
    pub(crate) fn share(&self, me: Participant, block: Block) -> bool {
        let Ok(word) = self.checked_word(block) else {
            return false;
        };
        let mine = Word::new(OWNED, me.get(), block.generation);
        let shared = Word::new(SHARED, 0, block.generation);
        step("arena.share.cas");
        // Release: pairs with the Acquire of `locate`.
        word.compare_exchange(mine.0, shared.0, Release, Relaxed)
            .is_ok()
    }

    /// Frees a block, whoever it belongs to; handles of it become stale. `false` if they were so before.
    pub(crate) fn free(&self, block: Block) -> bool {
        let Ok(word) = self.checked_word(block) else {
            return false;
        };
        let mut seen = Word(word.load(Relaxed));
        while seen.state() != FREE && seen.generation() == block.generation {
            step("arena.free.cas");
            // Release: pairs with the Acquire of `alloc`; our last stores to the block come before its next use.
            match word.compare_exchange(seen.0, seen.freed().0, Release, Relaxed) {
                Ok(_) => return true,
                Err(now) => seen = Word(now),
            }
        }
        false
    }

    /// Frees every block that a dead participant had not shared yet; returns how many.
    pub(crate) fn sweep(&self, dead: Participant) -> u32 {
        let mut freed = 0;
        for unit in 0..self.grown() * SPANS_PER_CHUNK * UNITS_PER_SPAN {
            let word = self.word(unit);
            let seen = Word(word.load(Relaxed));
            if seen.is_owned_by(dead) {
                step("arena.sweep.cas");
                // From the exact dead word; AcqRel: between the dead's stores and the next user's.
                let won = word.compare_exchange(seen.0, seen.freed().0, AcqRel, Relaxed);
                freed += u32::from(won.is_ok());
            }
        }
        freed
    }

    /// Every block that is shared at the moment it is looked at.
    pub(crate) fn shared(&self) -> impl Iterator<Item = Block> {
        let spans = 0..self.grown() * SPANS_PER_CHUNK;
        let classed = spans.filter_map(move |span| Some((span, self.class_of(span)?)));
        let filled = classed.filter(move |&(span, class)| self.has_blocks(span, class));
        let units = filled.flat_map(|(span, class)| units_in(span, class));
        units.filter_map(move |unit| {
            let word = Word(self.word(unit).load(Relaxed)); // who uses the block locates it, with Acquire
            let generation = word.generation();
            (word.state() == SHARED).then_some(Block { unit, generation })
        })
    }

    fn header(&self) -> &ArenaHeader {
        self.segment.at(Offset::new(self.segment.body().0))
    }

    /// Chunks that have memory; bounded, whatever shared memory says.
    fn grown(&self) -> u32 {
        // Acquire: pairs with the Release of `grow`.
        self.header().grown.load(Acquire).min(self.chunks)
    }

    fn class_word(&self, span: u32) -> &AtomicU32 {
        let first = self.segment.body().0 + size_of::<ArenaHeader>() as u64;
        self.segment.at(Offset::new(first).nth(u64::from(span)))
    }

    /// The class of a span, if it has one (that exists).
    fn class_of(&self, span: u32) -> Option<usize> {
        let word = self.class_word(span).load(Relaxed) as usize;
        word.checked_sub(1).filter(|&class| class < CLASSES)
    }

    /// The class of the block that begins at `unit`, if one can begin there.
    fn class_at(&self, unit: u32) -> Result<usize> {
        let span = unit / UNITS_PER_SPAN;
        let known = span < self.grown() * SPANS_PER_CHUNK;
        known
            .then(|| self.class_of(span))
            .flatten()
            .filter(|&class| unit.is_multiple_of(1 << class))
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::Corrupt,
                    "a handle leads to no block of its arena",
                )
            })
    }

    fn checked_word(&self, block: Block) -> Result<&AtomicU64> {
        self.class_at(block.unit).map(|_| self.word(block.unit))
    }

    fn chunk(&self, index: u32) -> u64 {
        self.segment.reserve().0 + u64::from(index) * CHUNK
    }

    /// The word of a unit in a chunk that has memory.
    fn word(&self, unit: u32) -> &AtomicU64 {
        let words = Offset::new(self.chunk(unit / UNITS_PER_CHUNK));
        self.segment
            .at(words.nth(u64::from(unit % UNITS_PER_CHUNK)))
    }

    /// The first byte of a unit.
    fn place(&self, unit: u32) -> u64 {
        self.chunk(unit / UNITS_PER_CHUNK) + PAGE + u64::from(unit % UNITS_PER_CHUNK) * UNIT
    }
}

/// Whom a span belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Given {
    /// To this class, from now on.
    Now,
    /// To this class already.
    Before,
    ToOthers,
}

/// How many spans a block of that class needs.
fn spans_of(class: usize) -> u32 {
    (1_u32 << class).div_ceil(UNITS_PER_SPAN)
}

/// The first units of the blocks of that class that begin in `span`.
fn units_in(span: u32, class: usize) -> impl Iterator<Item = u32> {
    let first = span * UNITS_PER_SPAN;
    (first..first + UNITS_PER_SPAN).step_by(1 << class)
}

fn class_for(len: u64) -> Result<usize> {
    if len > LARGEST {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!("{len} bytes are too much for an arena block; the largest has {LARGEST}"),
        ));
    }
    let units = len.max(1).next_power_of_two().max(UNIT) / UNIT;
    Ok(units.ilog2() as usize)
}

#[cold]
fn gone() -> Error {
    Error::new(
        ErrorKind::Gone,
        "the object behind this handle no longer exists",
    )
}

#[cfg(test)]
mod tests {
    use super::super::{Draft, Kind, Spec};
    use super::*;
    use std::collections::HashSet;

    fn arena(bytes: u64) -> Arena {
        let (body_len, reserve_len) = Arena::lengths(bytes);
        let spec = Spec {
            body_len,
            reserve_len,
            ..Spec::new(Kind::Arena)
        };
        let segment = Draft::anonymous(&spec).unwrap().publish(None).unwrap();
        Arena::new(Arc::new(segment))
    }

    fn participant(slot: u16) -> Participant {
        Participant::new(slot).unwrap()
    }

    const ME: Participant = Participant::FIRST;

    #[test]
    fn blocks_are_aligned_to_their_size_and_do_not_overlap() {
        let arena = arena(1 << 20);
        let mut bytes = HashSet::new();
        for len in [1, 64, 65, 200, 512, 1000, 4096, 5000, 16_384].repeat(10) {
            let (place, size) = arena.locate(arena.alloc(ME, len).unwrap()).unwrap();
            assert!(size >= len && place.is_multiple_of(size.min(PAGE)));
            assert!((place..place + size).step_by(64).all(|b| bytes.insert(b)));
        }
    }

    #[test]
    fn a_lock_of_64_bytes_costs_little_more() {
        let arena = arena(1 << 20);
        for _ in 0..SPANS_PER_CHUNK * UNITS_PER_SPAN {
            arena.alloc(ME, 64).unwrap();
        }
        assert_eq!(arena.grown(), 1);
        assert!(CHUNK / u64::from(SPANS_PER_CHUNK * UNITS_PER_SPAN) <= 128);
    }

    #[test]
    fn a_freed_block_is_gone_and_its_place_is_used_again() {
        let arena = arena(1);
        let first = arena.alloc(ME, 64).unwrap();
        let (place, _) = arena.locate(first).unwrap();
        let content = Offset::<AtomicU64>::new(place);
        arena.segment.at(content).store(7, Relaxed);
        assert!(arena.free(first));
        assert!(!arena.free(first));
        assert_eq!(arena.locate(first).unwrap_err().kind(), ErrorKind::Gone);
        let second = arena.alloc(ME, 64).unwrap();
        assert_eq!(second.unit, first.unit);
        assert_ne!(second.generation, first.generation);
        assert_eq!(arena.segment.at(content).load(Relaxed), 0);
        assert!(!arena.free(first));
        assert_eq!(arena.locate(first).unwrap_err().kind(), ErrorKind::Gone);
    }

    #[test]
    fn a_full_arena_is_no_space_and_too_large_a_block_is_refused() {
        let arena = arena(1);
        for _ in 0..SPANS_PER_CHUNK {
            arena.alloc(ME, 4096).unwrap();
        }
        let error = arena.alloc(ME, 64).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
        let error = arena.alloc(ME, LARGEST + 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn a_block_of_several_pages_is_whole_or_not_there() {
        let arena = arena(1 << 20);
        let small = arena.alloc(ME, 64).unwrap();
        // Somebody died having claimed one span of four.
        assert_eq!(arena.give(4, 8), Given::Now);
        assert!(arena.shared().next().is_none() && !arena.has_blocks(4, 8));
        let large = arena.alloc(ME, LARGEST).unwrap();
        assert_eq!(
            (large.unit / UNITS_PER_SPAN, arena.locate(large).unwrap().1),
            (4, LARGEST)
        );
        let inside = Block {
            unit: large.unit + UNITS_PER_SPAN,
            ..large
        };
        assert_eq!(arena.locate(inside).unwrap_err().kind(), ErrorKind::Corrupt);
        assert!(arena.share(ME, small) && arena.share(ME, large));
        assert_eq!(arena.shared().collect::<Vec<_>>(), [small, large]);
        let next = arena.alloc(ME, LARGEST).unwrap();
        assert!(arena.free(large));
        let again = arena.alloc(ME, LARGEST).unwrap();
        assert_eq!((again.unit, next.unit), (large.unit, 2 * large.unit));
    }

    #[test]
    fn sweeping_frees_what_the_dead_had_not_shared() {
        let arena = arena(1 << 20);
        let dead = participant(9);
        let private = arena.alloc(dead, 64).unwrap();
        let shared = arena.alloc(dead, 64).unwrap();
        let living = arena.alloc(ME, 64).unwrap();
        assert!(arena.share(dead, shared));
        assert!(!arena.share(dead, living));
        assert_eq!(arena.sweep(dead), 1);
        assert_eq!(arena.sweep(dead), 0);
        assert!(arena.locate(private).is_err());
        assert!(arena.locate(shared).is_ok() && arena.locate(living).is_ok());
    }

    #[test]
    fn handles_that_lead_nowhere_are_corrupt() {
        let arena = arena(1);
        let block = arena.alloc(ME, 128).unwrap();
        for unit in [block.unit + 1, UNITS_PER_SPAN, u32::MAX] {
            let stray = Block {
                unit,
                generation: 0,
            };
            assert_eq!(arena.locate(stray).unwrap_err().kind(), ErrorKind::Corrupt);
            assert!(!arena.free(stray));
        }
    }

    #[test]
    fn threads_never_get_the_same_block() {
        let arena = arena(1 << 20);
        let take = |slot| {
            let me = participant(slot);
            let blocks = (0..500).map(|_| arena.alloc(me, 64).unwrap().unit);
            blocks.collect::<Vec<_>>()
        };
        let (a, b) = std::thread::scope(|scope| {
            let other = scope.spawn(|| take(2));
            (take(1), other.join().unwrap())
        });
        let distinct: HashSet<_> = a.iter().chain(&b).collect();
        assert_eq!(distinct.len(), 1000);
    }

    #[cfg(debug_assertions)]
    #[test]
    fn a_death_at_any_step_leaks_nothing() {
        use crate::sys::crash::at_every_step;
        let dead = participant(9);
        let steps = at_every_step(
            || arena(1),
            |arena| {
                let first = arena.alloc(dead, 64).unwrap();
                let second = arena.alloc(dead, 4096).unwrap();
                assert!(arena.free(first) && arena.free(second));
            },
            |arena| {
                arena.sweep(dead);
                // Spans keep their class; whatever it is, all units but the one span of small blocks are there.
                let blocks = (1..SPANS_PER_CHUNK).map(|_| arena.alloc(ME, 4096));
                assert!(blocks.filter(Result::is_ok).count() >= 6);
                let small = (0..UNITS_PER_SPAN).map(|_| arena.alloc(ME, 64));
                assert_eq!(small.filter(Result::is_ok).count(), 64);
            },
        );
        assert!(steps > 8, "{steps}");
    }
}
