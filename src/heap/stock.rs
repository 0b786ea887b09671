//! What a process knows of its heap, in memory of its own: where free blocks are, and which blocks it has retired.
//!
//! All of it is hints. What a block is, its word alone says; a process that dies, or a child of a fork that starts anew, loses
//! nothing but time.
//!
//! What a process has retired it keeps, within bounds, for what it writes next: such a block is the process's, as if it had
//! just been taken, and nobody else looks for it.

use super::alone::{is_kept, keep};
use super::geometry::{CLASSES, shape};
use super::protocol::{
    Taken, free, give_back, give_back_bare, is_free, orphan, reclaim, reclaim_memory, take, unread,
};
use super::room::Room;
use super::word::Handle;
use crate::error::Result;
use crate::sys::identity::Participant;

/// How many chunks are looked through for free blocks before the heap grows.
const WALK: usize = 4;

/// Retired blocks are freed when there are so many of them, or of their bytes, beside those that somebody reads: a barrier
/// on all processors is paid for by as many. Where processes die at every step, fewer make no other steps.
const BATCH: usize = if cfg!(debug_assertions) { 8 } else { 1024 };
const BATCH_BYTES: u64 = 1 << 20;
/// Or of which they are this part of all that the heap may have: several processes may have as many each.
const PART: u64 = 64;

/// One size of blocks.
#[derive(Debug, Default)]
struct Pool {
    /// Blocks of this process's to which nothing was led yet.
    kept: Vec<Handle>,
    /// Blocks that were free when they were looked at.
    free: Vec<u64>,
    chunks: Vec<u64>,
    /// Where the next look at the chunks begins.
    next: usize,
}

/// What one shard of a process's threads knows.
#[derive(Debug)]
pub(super) struct Stock {
    pools: [Pool; CLASSES],
    /// The chunks before this one were looked at.
    seen: u64,
    retired: Vec<Handle>,
    retired_bytes: u64,
    kept_bytes: u64,
    /// Those of which the memory is to be given away.
    cold: Vec<Handle>,
    /// How many of them somebody read when they were last looked at.
    read: usize,
}

impl Default for Stock {
    fn default() -> Self {
        Stock {
            pools: std::array::from_fn(|_| Pool::default()),
            seen: 0,
            retired: Vec::new(),
            retired_bytes: 0,
            kept_bytes: 0,
            cold: Vec::new(),
            read: 0,
        }
    }
}

/// How hard to look for a free block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effort {
    /// At a few chunks, and no further.
    Least,
    /// Rather let the heap grow.
    Little,
    /// At every chunk of the size, before the heap grows.
    All,
}

impl Stock {
    /// Takes a free block of a class for `me`, letting the heap grow where none is found; `None` if it must not.
    ///
    /// # Errors
    ///
    /// `NoSpace` at the limit, and when there is no memory.
    #[inline]
    pub(super) fn take(
        &mut self,
        room: &Room,
        me: Participant,
        class: usize,
        effort: Effort,
    ) -> Result<Option<Handle>> {
        while let Some(block) = self.pools[class].kept.pop() {
            self.kept_bytes -= shape(class).size;
            if let Some(next) = self.pools[class].kept.last() {
                room.fetch(*next, class);
            }
            if is_kept(room.word_in(block.unit(), class), me, block) {
                return Ok(Some(block));
            }
        }
        loop {
            while let Some(unit) = self.pools[class].free.pop() {
                if let Some(taken) = take(room, me, unit) {
                    return match taken.is_bare {
                        true => clothe(room, me, class, taken).map(Some),
                        false => Ok(Some(taken.block)),
                    };
                }
            }
            if !self.refill(room, class, effort)? {
                return Ok(None);
            }
        }
    }

    /// Finds at least one block that is free now; false if the heap would have to grow, and must not.
    #[cold]
    fn refill(&mut self, room: &Room, class: usize, effort: Effort) -> Result<bool> {
        let chunks = match effort {
            Effort::Least | Effort::Little => WALK,
            Effort::All => usize::MAX,
        };
        loop {
            self.walk(room, class, chunks);
            if !self.pools[class].free.is_empty() {
                return Ok(true);
            }
            if !self.look(room, class) {
                if effort == Effort::Least {
                    return Ok(false);
                }
                room.grow(class)?;
                self.look(room, class);
            }
        }
    }

    /// Notes the chunks that have come since the last look, and says whether any is of this class. Those are looked through
    /// next.
    fn look(&mut self, room: &Room, wanted: usize) -> bool {
        let mut found = false;
        for (chunk, class) in room.chunks_from(self.seen) {
            let pool = &mut self.pools[class];
            if class == wanted && !found {
                found = true;
                pool.next = pool.chunks.len();
            }
            pool.chunks.push(chunk);
            self.seen = chunk + shape(class).span;
        }
        found
    }

    /// Looks through so many chunks of a class, and frees what the dead had retired there.
    fn walk(&mut self, room: &Room, class: usize, most: usize) {
        let pool = &mut self.pools[class];
        let mut orphans = Vec::new();
        for _ in 0..pool.chunks.len().min(most) {
            let chunk = pool.chunks[pool.next % pool.chunks.len()];
            pool.next = (pool.next + 1) % pool.chunks.len();
            let units = || room.units_of(chunk, class);
            orphans.extend(units().filter_map(|unit| orphan(room, unit)));
            // The first is the next to be taken.
            pool.free
                .extend(units().filter(|&unit| is_free(room, unit)));
        }
        pool.free.reverse();
        reclaim(room, None, &mut orphans, &mut |block| {
            pool.free.push(block.unit())
        });
    }

    /// Gives the memory of a block to the system that `me` has retired, as soon as nobody reads it: one that will not be needed
    /// again for long.
    pub(super) fn retire_memory(&mut self, room: &Room, me: Participant, block: Handle) {
        if !room.is_large(block) {
            return self.retire(room, me, block);
        }
        self.cold.push(block);
        let mut punch = |block| room.punch(block);
        for block in reclaim_memory(room, me, &mut self.cold, &mut punch) {
            self.put_back(room, block);
        }
    }

    /// Notes a block that nobody has taken after all.
    pub(super) fn put_back(&mut self, room: &Room, block: Handle) {
        if let Some(class) = room.class_at(block.unit()) {
            self.pools[class].free.push(block.unit());
        }
    }

    /// Notes a block that `me` has retired, and frees what nobody reads of many.
    #[inline]
    pub(super) fn retire(&mut self, room: &Room, me: Participant, block: Handle) {
        self.retired.push(block);
        self.retired_bytes += room.size_at(block.unit());
        if self.retired.len() >= self.read + BATCH || self.retired_bytes >= most_bytes(room) {
            self.reclaim(room, me, most_bytes(room));
        }
    }

    /// Keeps of what `me` has retired and nobody reads as much as fits, and frees the rest.
    #[cold]
    fn reclaim(&mut self, room: &Room, me: Participant, most: u64) {
        let (pools, kept_bytes) = (&mut self.pools, &mut self.kept_bytes);
        unread(room, &mut self.retired, |block| {
            let Some(class) = room.class_at(block.unit()) else {
                return;
            };
            let (pool, shape) = (&mut pools[class], shape(class));
            let fits = *kept_bytes + shape.size <= most && pool.kept.len() < BATCH;
            if fits && shape.count > 1 {
                let kept = keep(room.word_in(block.unit(), class), me, block);
                *kept_bytes += kept.map_or(0, |_| shape.size);
                pool.kept.extend(kept);
            } else if free(room, Some(me), block) {
                pool.free.push(block.unit());
            }
        });
        self.read = self.retired.len();
        self.retired_bytes = 0;
    }

    /// Frees what `me` has retired and nobody reads, and what it has kept.
    pub(super) fn give_up(&mut self, room: &Room, me: Participant) {
        for pool in &mut self.pools {
            for block in pool.kept.drain(..) {
                if give_back(room, me, block) {
                    pool.free.push(block.unit());
                }
            }
        }
        self.kept_bytes = 0;
        self.reclaim(room, me, 0);
    }
}

/// How many bytes of retired blocks, and of those that were kept, a stock has before it frees some.
fn most_bytes(room: &Room) -> u64 {
    BATCH_BYTES.min(room.limit() / PART)
}

/// Asks for the memory of a block that was taken, or gives it back.
#[cold]
fn clothe(room: &Room, me: Participant, class: usize, taken: Taken) -> Result<Handle> {
    let asked = room.ask_for_memory(taken.block, class);
    if asked.is_err() {
        give_back_bare(room, me, taken.block);
    }
    asked.map(|()| taken.block)
}
