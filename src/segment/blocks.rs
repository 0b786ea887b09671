//! Big blocks for payloads that do not fit a slot: lazily backed, owned, and swept by owner.
//!
//! Sizes are the powers of two from 4 KiB to 1 GiB. Every block has a fixed place in the file, far behind everything
//! else, and a descriptor in a table in front of them; both get memory when they are first needed, so that an unused
//! store costs nothing but address space. A block keeps the memory it got (it is *warm*) for its next user, except
//! that blocks of 16 MiB and more give it back.
//!
//! | dies after | state left | who repairs |
//! |---|---|---|
//! | descriptor page allocated | memory that nobody counts | the next to need it |
//! | block taken, memory given or not | `OWNED(dead)`, `warm` at most what there is | `sweep` frees it |
//! | referenced by a message | `OWNED(dead)` | `sweep` makes it `LINKED` |
//! | `warm` cleared, hole punched | `OWNED(dead)` | `sweep` frees it |

mod room;
mod turn;

pub(crate) use self::room::Room;
use self::turn::Turn;
use super::header::BLOCK_CLASSES;
use super::layout::{Layout, PAGE, align_up, assert_offsets};
use super::{Segment, refer};
use crate::error::{Error, ErrorKind, Result};
use crate::sys::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use crate::sys::identity::Participant;
use crate::sys::shm::{self, Mapping};
use crate::sys::step::step;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::{Arc, OnceLock};

/// 4 KiB, 8 KiB, .. 1 GiB.
const CLASSES: usize = 19;
const SMALLEST_SHIFT: u32 = PAGE.ilog2();
const _: () = assert!(CLASSES <= BLOCK_CLASSES);

/// The largest block.
pub(crate) const LARGEST: u64 = PAGE << (CLASSES - 1);

/// Each class reserves this much of the file, unless that would be more than 65,536 blocks.
const CLASS_LEN: u64 = 16 << 30;
const MOST_BLOCKS: u64 = 65_536;

/// The [few](Turn) blocks that are used in turn span this many bytes, and are at least so many.
///
/// A block that is used again at once still lies in its reader's cache and has to be fetched from there; after 4 MiB it
/// lies in the cache that all share. Measured with every byte written and read, as parts of a plain ring's rate: 64 KiB
/// 0.97 in 4 MiB, 0.92 in 1 MiB; 1 MiB 1.0 in four blocks, 0.83 in one.
const FEW_BYTES: u64 = 4 << 20;
const FEW_BLOCKS: u64 = 4;

/// From this size on one block is few, so that not many get memory.
const SEVERAL_UP_TO: u64 = 4 << 20;

/// From this size on a free block keeps no memory.
const PUNCH_FROM: u64 = 16 << 20;

/// Blocks get memory together with their neighbours, as long as both have no more than this: a system call for each would
/// cost as much as several messages.
const STRIDE: u64 = 64 << 10;

/// Where the classes begin, counted from the block store's own beginning.
const DATA_ALIGN: u64 = 2 << 20;

#[repr(C)]
struct Descriptor {
    word: AtomicU64,
    /// Pages at the block's beginning that have memory; written by the owner alone.
    warm: AtomicU32,
    pad: AtomicU32,
}

const _: () = assert!(size_of::<Descriptor>() == 16);
assert_offsets!(Descriptor { word: 0, warm: 8 });

// SAFETY: repr(C), nothing but atomics.
unsafe impl Layout for Descriptor {}

const DESCRIPTORS_PER_PAGE: u32 = (PAGE / size_of::<Descriptor>() as u64) as u32;

/// A descriptor's word: `state:2 | owner:12 << 4 | sequence:48 << 16`; every change counts the sequence up.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Word(u64);

const FREE: u64 = 0;
const OWNED: u64 = 1;
const LINKED: u64 = 2;

impl Word {
    fn state(self) -> u64 {
        self.0 & 3
    }

    fn is_owned_by(self, who: Participant) -> bool {
        self.0 & 0xffff == OWNED | u64::from(who.get()) << 4
    }

    fn next(self, state: u64, owner: u16) -> Self {
        let sequence = (self.0 >> 16).wrapping_add(1) << 16;
        Word(sequence | u64::from(owner) << 4 | state)
    }

    fn owned_by(self, who: Participant) -> Self {
        self.next(OWNED, who.get())
    }
}

/// Which block: fits a word of shared memory, is never 0, and is checked at each use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct BlockRef {
    class: u8,
    index: u32,
}

impl BlockRef {
    /// As a number that is not 0.
    pub(crate) fn to_bits(self) -> u64 {
        (u64::from(self.class) + 1) << 32 | u64::from(self.index)
    }

    /// The block with this number, if there can be one.
    pub(crate) fn from_bits(bits: u64) -> Option<Self> {
        let class = usize::try_from(bits >> 32).ok()?.checked_sub(1)?;
        let index = bits as u32;
        (class < CLASSES && index < count(class)).then_some(BlockRef {
            class: class as u8,
            index,
        })
    }

    /// The bytes it can hold.
    pub(crate) fn size(self) -> u64 {
        size(usize::from(self.class))
    }

    /// Whether it keeps the memory that it got, also when it is free.
    pub(crate) fn keeps_memory(self) -> bool {
        self.size() < PUNCH_FROM
    }

    /// Where it begins, counted from the first of its class.
    fn start(self) -> u64 {
        u64::from(self.index) * self.size()
    }
}

const fn size(class: usize) -> u64 {
    PAGE << class
}

/// How many blocks of a class there can be.
fn count(class: usize) -> u32 {
    const COUNTS: [u32; CLASSES] = by_class(CLASS_LEN, 0, MOST_BLOCKS);
    COUNTS[class]
}

/// How many blocks of each class fit `len` bytes, within bounds.
const fn by_class(len: u64, least: u64, most: u64) -> [u32; CLASSES] {
    let mut all = [0; CLASSES];
    let mut class = 0;
    while class < CLASSES {
        let fit = len / size(class);
        let fit = if fit < least { least } else { fit };
        all[class] = if fit < most { fit } else { most } as u32;
        class += 1;
    }
    all
}

/// Offset and length of one class's descriptors or blocks, from the beginning of the store.
type Extent = (u64, u64);

/// The extents of all classes, one behind the other from `start`, with `entry` bytes or a whole block each.
const fn extents(start: u64, entry: Option<u64>) -> [Extent; CLASSES] {
    let counts = by_class(CLASS_LEN, 0, MOST_BLOCKS);
    let mut all = [(0, 0); CLASSES];
    let mut end = start;
    let mut class = 0;
    while class < CLASSES {
        let each = match entry {
            Some(bytes) => bytes,
            None => size(class),
        };
        let len = align_up(counts[class] as u64 * each, PAGE);
        all[class] = (end, len);
        end += len;
        class += 1;
    }
    all
}

const TABLES: [Extent; CLASSES] = extents(0, Some(size_of::<Descriptor>() as u64));
const TABLE_LEN: u64 = TABLES[CLASSES - 1].0 + TABLES[CLASSES - 1].1;
const DATA: [Extent; CLASSES] = extents(align_up(TABLE_LEN, DATA_ALIGN), None);

fn class_for(len: u64) -> Result<usize> {
    if len > LARGEST {
        return Err(Error::new(
            ErrorKind::NoSpace,
            format!("{len} bytes are more than one message can have (1 GiB)"),
        ));
    }
    Ok((len.max(PAGE).next_power_of_two().ilog2() - SMALLEST_SHIFT) as usize)
}

/// How many blocks of a class take turns as long as they suffice.
fn few(class: usize) -> u32 {
    const FEWS: [u32; CLASSES] = by_class(FEW_BYTES, FEW_BLOCKS, MOST_BLOCKS);
    match size(class) < SEVERAL_UP_TO {
        true => FEWS[class],
        false => 1,
    }
}

/// The part of its class, in bytes, that gets memory together with a block which begins at `start`.
///
/// The first blocks get it one by one and those behind as many at a time as there are before them, so that a store with few
/// messages in it has little more memory than they need.
fn stride(start: u64, size: u64) -> Range<u64> {
    let len = match start {
        0 => size,
        _ => (1 << start.ilog2()).min(STRIDE).max(size),
    };
    let first = start & !(len - 1);
    first..first + len
}

/// The block store of one segment, as this process sees it: each part is mapped when it is first used.
#[derive(Debug)]
pub(crate) struct Blocks {
    segment: Arc<Segment>,
    table: OnceLock<Mapping>,
    classes: [OnceLock<Mapping>; CLASSES],
    turns: [Turn; CLASSES],
    /// Of each class: where the last [stride](stride) begins to which this process gave memory, and one.
    strides: [AtomicU64; CLASSES],
}

impl Blocks {
    /// The block store behind everything else in the segment's file. Fresh memory is an empty store.
    pub(crate) fn new(segment: Arc<Segment>) -> Self {
        Blocks {
            segment,
            table: OnceLock::new(),
            classes: Default::default(),
            turns: Default::default(),
            strides: Default::default(),
        }
    }

    /// Takes a block with memory for `len` bytes, whose content is arbitrary. It belongs to `me`.
    ///
    /// # Errors
    ///
    /// `NoSpace` if `len` is more than [`LARGEST`], if all blocks of the size are taken, or if there is no memory.
    pub(crate) fn alloc(&self, me: Participant, len: u64) -> Result<BlockRef> {
        let class = class_for(len)?;
        if let Some(next) = self.take_next(me, class, len) {
            return Ok(next);
        }
        let block = loop {
            match self.take_free(me, class)? {
                Some(block) => break block,
                None => self.describe_more(class)?,
            }
        };
        match self.warm_up(block, len) {
            Ok(()) => Ok(block),
            Err(full) => {
                self.free(me, block);
                self.take_warm(me, class, len).ok_or(full)
            }
        }
    }

    /// Takes the one of the few whose turn it is, if it is free and has the memory.
    #[inline]
    fn take_next(&self, me: Participant, class: usize, len: u64) -> Option<BlockRef> {
        let (turn, few) = (&self.turns[class], few(class));
        let next = BlockRef {
            class: class as u8,
            index: turn.next_of(few)?,
        };
        let descriptor = self.descriptor(next).ok()?;
        // Relaxed: a hint until the block is taken; a free block of these sizes keeps its memory.
        let is_warm = u64::from(descriptor.warm.load(Relaxed)) * PAGE >= len;
        if !is_warm || next.size() >= PUNCH_FROM || !try_take(me, descriptor) {
            return None;
        }
        turn.took(next.index, few);
        Some(next)
    }

    /// Takes a free block that has the memory already, where there is no more to be had: the turn may have led past it.
    #[cold]
    fn take_warm(&self, me: Participant, class: usize, len: u64) -> Option<BlockRef> {
        let needed = len.div_ceil(PAGE) as u32;
        let blocks = (0..self.described(class)).map(|index| BlockRef {
            class: class as u8,
            index,
        });
        let warm = |block: &BlockRef| {
            let descriptor = self.descriptor(*block).ok();
            // Relaxed: a hint until the block is taken; then ordered by its word.
            descriptor.is_some_and(|d| d.warm.load(Relaxed) >= needed)
        };
        blocks.filter(warm).find(
            |&block| match self.descriptor(block).map(|d| try_take(me, d)) {
                Ok(true) if warm(&block) => true,
                Ok(true) => {
                    self.free(me, block);
                    false
                }
                _ => false,
            },
        )
    }

    fn take_free(&self, me: Participant, class: usize) -> Result<Option<BlockRef>> {
        let described = self.described(class);
        let (turn, few) = (&self.turns[class], few(class));
        for index in turn.order(few, described) {
            let block = BlockRef {
                class: class as u8,
                index,
            };
            if try_take(me, self.descriptor(block)?) {
                turn.took(index, few);
                return Ok(Some(block));
            }
        }
        Ok(None)
    }

    /// Gives memory to one more page of descriptors.
    fn describe_more(&self, class: usize) -> Result<()> {
        let described = self.described(class);
        if described >= count(class) {
            return Err(Error::new(
                ErrorKind::NoSpace,
                format!(
                    "all {described} blocks of {} KiB are taken; take messages out of the queue first",
                    size(class) >> 10
                ),
            ));
        }
        let page = TABLES[class].0 + u64::from(described) * 16;
        self.segment
            .allocate_behind(self.segment.blocks_offset() + page, PAGE)?;
        step("blocks.described");
        // Release: pairs with the Acquire in `described`; whoever counts the descriptors finds their memory.
        let word = self.segment.header().described(class);
        word.fetch_max(described + DESCRIPTORS_PER_PAGE, Release);
        Ok(())
    }

    /// Gives memory to as many pages of an own block as `len` bytes need.
    ///
    /// # Errors
    ///
    /// `NoSpace` if there is none.
    pub(crate) fn warm_up(&self, block: BlockRef, len: u64) -> Result<()> {
        let descriptor = self.descriptor(block)?;
        let warm = descriptor.warm.load(Relaxed); // Relaxed: written by owners alone, ordered by the word
        let needed = len.div_ceil(PAGE) as u32;
        if needed <= warm {
            return Ok(());
        }
        if !self.warm_stride(block) {
            let start = block.start();
            let fresh = start + u64::from(warm) * PAGE..start + u64::from(needed) * PAGE;
            self.give_memory(block, fresh)?;
        }
        step("blocks.warm");
        descriptor.warm.store(needed, Relaxed);
        Ok(())
    }

    /// Gives memory to a block and its neighbours, unless this process has done so; false if there is none for all of
    /// them, or the block has no neighbours.
    fn warm_stride(&self, block: BlockRef) -> bool {
        if block.size() >= STRIDE {
            return false;
        }
        let stride = stride(block.start(), block.size());
        let last = &self.strides[usize::from(block.class)];
        // Relaxed: what is remembered stays true, as blocks of these sizes keep their memory.
        if last.load(Relaxed) == stride.start + 1 {
            return true;
        }
        let begin = stride.start + 1;
        let given = self.give_memory(block, stride).is_ok();
        if given {
            last.store(begin, Relaxed); // no step: of this process
        }
        given
    }

    /// Gives memory to a part of a block's class, and takes all its page faults in one call; if that fails they come one
    /// by one.
    fn give_memory(&self, block: BlockRef, part: Range<u64>) -> Result<()> {
        let (offset, _) = DATA[usize::from(block.class)];
        let place = self.segment.blocks_offset() + offset + part.start;
        self.segment.allocate_behind(place, part.end - part.start)?;
        self.class_map(block)?
            .populate(part.start as usize..part.end as usize);
        Ok(())
    }

    /// Makes `me` the owner of a block that a message in `me`'s hands refers to. `false` if the block is free, which
    /// means that the reference was wrong.
    pub(crate) fn own(&self, me: Participant, block: BlockRef) -> Result<bool> {
        let word = &self.descriptor(block)?.word;
        let mut seen = Word(word.load(Relaxed));
        while seen.state() != FREE {
            step("blocks.own.cas");
            // Relaxed: the content is ordered by the slot that refers to the block; a sweep may change the word.
            match word.compare_exchange(seen.0, seen.owned_by(me).0, Relaxed, Relaxed) {
                Ok(_) => return Ok(true),
                Err(now) => seen = Word(now),
            }
        }
        Ok(false)
    }

    /// Gives back a block of `me`'s, to which nothing refers any more: first the reference goes, then the block, or
    /// a crash in between would deliver a block that is somebody else's. `false` if it is not `me`'s.
    pub(crate) fn free(&self, me: Participant, block: BlockRef) -> bool {
        let Ok(descriptor) = self.descriptor(block) else {
            return false;
        };
        let seen = Word(descriptor.word.load(Relaxed)); // Relaxed: nobody else changes a living owner's word
        if !seen.is_owned_by(me) {
            return false;
        }
        if !block.keeps_memory() {
            // In this order: a block may have more memory than `warm` says, never less.
            step("blocks.cool");
            descriptor.warm.store(0, Relaxed);
            shm::punch(self.segment.fd(), self.place_in_file(block), block.size());
        }
        step("blocks.free.cas");
        // Release: pairs with the Acquire of `try_take`.
        let free = seen.next(FREE, 0);
        let freed = descriptor
            .word
            .compare_exchange(seen.0, free.0, Release, Relaxed);
        freed.is_ok()
    }

    /// The first `len` bytes of a block; a pointer, because the protocol says who may touch them when.
    ///
    /// # Errors
    ///
    /// `Corrupt` if the block is smaller or has no memory there, or the error of mapping the class.
    pub(crate) fn bytes(&self, block: BlockRef, len: u64) -> Result<NonNull<[u8]>> {
        let warm = u64::from(self.descriptor(block)?.warm.load(Relaxed)) * PAGE;
        if len > block.size() || len > warm {
            return Err(stray());
        }
        self.room(block, len)
    }

    /// The first `len` bytes of a block that was just [allocated](Blocks::alloc) for so many.
    ///
    /// # Errors
    ///
    /// The error of mapping the class.
    #[inline]
    pub(crate) fn room(&self, block: BlockRef, len: u64) -> Result<NonNull<[u8]>> {
        let start = block.start();
        let map = self.class_map(block)?;
        map.bytes(start as usize..(start + len) as usize)
            .ok_or_else(stray)
    }

    /// Lets go of a block of `me`'s to which a message refers: whoever [owns](Blocks::own) it next answers for it.
    pub(crate) fn let_go(&self, me: Participant, block: BlockRef) {
        let Ok(descriptor) = self.descriptor(block) else {
            return;
        };
        let seen = Word(descriptor.word.load(Relaxed)); // Relaxed: nobody else changes a living owner's word
        if seen.is_owned_by(me) {
            step("blocks.let-go.cas");
            let next = seen.next(LINKED, 0);
            // Release: pairs with the Acquire in `reclaim`.
            let _ = descriptor
                .word
                .compare_exchange(seen.0, next.0, Release, Relaxed);
        }
    }

    /// Frees the blocks that nobody owns any more and to which nothing refers.
    ///
    /// # Errors
    ///
    /// The error of mapping the descriptors.
    pub(crate) fn reclaim(&self, referenced: &mut dyn FnMut(BlockRef) -> bool) -> Result<()> {
        for class in 0..CLASSES {
            for index in 0..self.described(class) {
                let block = BlockRef {
                    class: class as u8,
                    index,
                };
                let word = &self.descriptor(block)?.word;
                // Acquire: pairs with `let_go` and the sweep, so that the references are looked at later.
                let seen = Word(word.load(Acquire));
                if seen.state() == LINKED && !referenced(block) {
                    step("blocks.reclaim.cas");
                    // From the exact word: somebody may own it by now.
                    let _ = word.compare_exchange(seen.0, seen.next(FREE, 0).0, AcqRel, Relaxed);
                }
            }
        }
        Ok(())
    }

    /// Settles the blocks that `dead` owned: those to which something refers stay, the others are freed. Returns how
    /// many were freed.
    ///
    /// Any number of survivors may do this at once. None of them owns the block, so none may take its memory away: a
    /// freed block keeps what it has until it is used again.
    pub(crate) fn sweep(
        &self,
        dead: Participant,
        referenced: &mut dyn FnMut(BlockRef) -> bool,
    ) -> Result<u32> {
        let mut freed = 0;
        for class in 0..CLASSES {
            for index in 0..self.described(class) {
                let block = BlockRef {
                    class: class as u8,
                    index,
                };
                freed += u32::from(self.settle(dead, block, referenced)?);
            }
        }
        Ok(freed)
    }

    fn settle(
        &self,
        dead: Participant,
        block: BlockRef,
        referenced: &mut dyn FnMut(BlockRef) -> bool,
    ) -> Result<bool> {
        let word = &self.descriptor(block)?.word;
        // Acquire: pairs with `own`'s and `alloc`'s changes of the word, so that the references are looked at later.
        let seen = Word(word.load(Acquire));
        if !seen.is_owned_by(dead) {
            return Ok(false);
        }
        let keep = referenced(block);
        let next = seen.next(if keep { LINKED } else { FREE }, 0);
        step("blocks.sweep.cas");
        // From the exact dead word: a consumer that has taken the message meanwhile keeps the block.
        let won = word
            .compare_exchange(seen.0, next.0, AcqRel, Relaxed)
            .is_ok();
        Ok(won && !keep)
    }

    /// How many blocks are not free, and the memory in pages that all blocks keep.
    #[cfg(test)]
    pub(crate) fn usage(&self) -> Result<(u32, u64)> {
        let (mut taken, mut pages) = (0, 0);
        for class in 0..CLASSES {
            for index in 0..self.described(class) {
                let block = BlockRef {
                    class: class as u8,
                    index,
                };
                let descriptor = self.descriptor(block)?;
                taken += u32::from(Word(descriptor.word.load(Relaxed)).state() != FREE);
                pages += u64::from(descriptor.warm.load(Relaxed));
            }
        }
        Ok((taken, pages))
    }

    /// Descriptors that have memory; bounded, whatever shared memory says.
    #[inline]
    fn described(&self, class: usize) -> u32 {
        // Acquire: pairs with the Release of `describe_more`.
        let word = self.segment.header().described(class);
        word.load(Acquire).min(count(class))
    }

    #[inline]
    fn descriptor(&self, block: BlockRef) -> Result<&Descriptor> {
        let class = usize::from(block.class);
        if block.index >= self.described(class) {
            return Err(stray());
        }
        let offset = TABLES[class].0 + u64::from(block.index) * 16;
        let found = refer(self.table()?, offset, 1).ok_or_else(stray)?;
        Ok(&found[0])
    }

    #[inline]
    fn table(&self) -> Result<&Mapping> {
        let start = self.segment.blocks_offset();
        map_once(&self.table, || {
            Mapping::new(self.segment.fd(), start, TABLE_LEN as usize)
        })
    }

    #[inline]
    fn class_map(&self, block: BlockRef) -> Result<&Mapping> {
        let (offset, len) = DATA[usize::from(block.class)];
        let start = self.segment.blocks_offset() + offset;
        map_once(&self.classes[usize::from(block.class)], || {
            let map = Mapping::new(self.segment.fd(), start, len as usize)?;
            if self.segment.geometry().mode & super::MODE_HUGE != 0 {
                map.prefer_huge_pages();
            }
            Ok(map)
        })
    }

    fn place_in_file(&self, block: BlockRef) -> u64 {
        let (offset, _) = DATA[usize::from(block.class)];
        self.segment.blocks_offset() + offset + block.start()
    }
}

/// Makes the block with this descriptor `me`'s, if it is free.
#[inline]
fn try_take(me: Participant, descriptor: &Descriptor) -> bool {
    let word = &descriptor.word;
    let seen = Word(word.load(Relaxed));
    if seen.state() != FREE {
        return false;
    }
    step("blocks.alloc.cas");
    // Acquire: pairs with the Release of `free`; the last user has finished reading, and `warm` is right.
    let taken = word.compare_exchange(seen.0, seen.owned_by(me).0, Acquire, Relaxed);
    taken.is_ok()
}

/// Two threads may both map; one mapping is kept.
#[inline]
fn map_once(cell: &OnceLock<Mapping>, map: impl FnOnce() -> Result<Mapping>) -> Result<&Mapping> {
    match cell.get() {
        Some(found) => Ok(found),
        None => {
            let fresh = map()?;
            Ok(cell.get_or_init(|| fresh))
        }
    }
}

#[cold]
fn stray() -> Error {
    Error::new(
        ErrorKind::Corrupt,
        "a message refers to a block that does not exist",
    )
}

#[cfg(test)]
mod tests;
