//! The blocks of a sender: which hold messages that are not free yet, and which may be written again.
//!
//! A block is its sender's from the first message on. What frees it is the receiver's freeing the record that refers to
//! it, so the two pass no words to and fro beside the ring's.

use crate::error::Result;
use crate::segment::blocks::{BlockRef, Blocks};
use crate::sys::identity::Participant;
use std::collections::VecDeque;
use std::ptr::NonNull;

/// Blocks of one size that are used in turn span so many bytes, and are at least so many: one that is written again at
/// once still lies in the receiver's cache (see `segment::blocks`).
const TURN_BYTES: u64 = 4 << 20;
const TURN_BLOCKS: u64 = 4;
/// Of blocks from this size on there is one at a time, and none is kept.
const KEPT_BELOW: u64 = 4 << 20;
/// What all blocks together may hold, unless a single message is longer.
const BUDGET: u64 = 16 << 20;
const SMALLEST: u64 = 4096;

#[derive(Clone, Copy, Debug)]
struct Held {
    block: BlockRef,
    /// Free to be written once the receiver has freed up to here.
    until: u64,
}

/// The blocks of one size, in the order of their last use.
#[derive(Debug)]
struct Turn {
    size: u64,
    held: VecDeque<Held>,
}

impl Turn {
    /// Whether another block is worth its memory.
    fn may_grow(&self) -> bool {
        let wanted = match self.size < KEPT_BELOW {
            true => (TURN_BYTES / self.size).clamp(TURN_BLOCKS, 64),
            false => 1,
        };
        (self.held.len() as u64) < wanted
    }

    /// The one whose turn it is, if it may be written.
    fn next(&mut self, freed: u64) -> Option<BlockRef> {
        let first = self.held.front().filter(|held| held.until <= freed)?;
        let block = first.block;
        self.held.pop_front();
        Some(block)
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Pool {
    turns: Vec<Turn>,
    /// Of all blocks.
    bytes: u64,
    /// Whether to take memory as long as there is some, where all blocks that are worth it are in use.
    for_all: bool,
}

/// A block that was asked for.
pub(super) enum Answer {
    Ready(BlockRef, NonNull<[u8]>),
    /// All are in use: wait until the receiver has freed up to here.
    Wait(u64),
}

fn size_for(len: u64) -> u64 {
    len.next_power_of_two().max(SMALLEST)
}

impl Pool {
    /// An empty pool: of as many blocks as are worth it, or `for_all` messages that the ring can refer to.
    pub(super) fn new(for_all: bool) -> Self {
        Pool {
            turns: Vec::new(),
            bytes: 0,
            for_all,
        }
    }

    /// A block for `len` bytes, where the receiver has freed up to `freed`.
    ///
    /// # Errors
    ///
    /// `NoSpace` if there is none and nothing to wait for.
    pub(super) fn take(
        &mut self,
        blocks: &Blocks,
        me: Participant,
        len: u64,
        freed: u64,
    ) -> Result<Answer> {
        let size = size_for(len);
        let turn = self.turn(size);
        if !turn.may_grow()
            && let Some(block) = turn.next(freed)
        {
            return Self::again(blocks, block, len);
        }
        self.grow(blocks, me, len, freed)
    }

    fn turn(&mut self, size: u64) -> &mut Turn {
        let known = self.turns.iter().position(|turn| turn.size == size);
        let at = known.unwrap_or_else(|| {
            let held = VecDeque::new();
            self.turns.push(Turn { size, held });
            self.turns.len() - 1
        });
        &mut self.turns[at]
    }

    fn again(blocks: &Blocks, block: BlockRef, len: u64) -> Result<Answer> {
        blocks.warm_up(block, len)?;
        Ok(Answer::Ready(block, blocks.room(block, len)?))
    }

    #[cold]
    fn grow(&mut self, blocks: &Blocks, me: Participant, len: u64, freed: u64) -> Result<Answer> {
        let size = size_for(len);
        self.thin_out(blocks, me, size, freed);
        let waiting = self.first_in_use(freed);
        let fits = self.turn(size).may_grow() && self.bytes + size <= BUDGET;
        if !fits && let Some(until) = waiting {
            match self.turn(size).next(freed) {
                Some(block) => return Self::again(blocks, block, len),
                None if self.for_all => {}
                None => return Ok(Answer::Wait(until)),
            }
        }
        match blocks.alloc(me, len) {
            Ok(block) => {
                self.bytes += block.size();
                Ok(Answer::Ready(block, blocks.room(block, len)?))
            }
            Err(full) => match (self.turn(size).next(freed), waiting) {
                (Some(block), _) => Self::again(blocks, block, len),
                (None, Some(until)) => Ok(Answer::Wait(until)),
                (None, None) => Err(full),
            },
        }
    }

    /// Where the next block becomes free that is in use now.
    fn first_in_use(&self, freed: u64) -> Option<u64> {
        let all = self.turns.iter().flat_map(|turn| &turn.held);
        all.map(|held| held.until)
            .filter(|&until| until > freed)
            .min()
    }

    /// Gives back what is idle and will not be used soon.
    fn thin_out(&mut self, blocks: &Blocks, me: Participant, wanted: u64, freed: u64) {
        let is_tight = self.bytes + wanted > BUDGET;
        let bytes = &mut self.bytes;
        for turn in &mut self.turns {
            let size = turn.size;
            let surplus = size >= KEPT_BELOW || is_tight && size != wanted;
            turn.held.retain(|held| {
                let goes = surplus && held.until <= freed;
                if goes {
                    blocks.free(me, held.block);
                    *bytes -= size;
                }
                !goes
            });
        }
    }

    /// The message in `block`, of this pool, was published in a record that ends at `until`.
    pub(super) fn keep(&mut self, block: BlockRef, until: u64) {
        let held = Held { block, until };
        self.turn(block.size()).held.push_back(held);
    }

    /// The message in `block`, of a sender before this, was published in a record that ends at `until`.
    pub(super) fn adopt(&mut self, block: BlockRef, until: u64) {
        self.bytes += block.size();
        self.keep(block, until);
    }

    /// The message in `block`, which was taken from here, is not to be sent.
    pub(super) fn give_back(&mut self, block: BlockRef) {
        let held = Held { block, until: 0 };
        self.turn(block.size()).held.push_front(held);
    }

    /// Frees what is idle, and leaves the rest to whoever sends next.
    pub(super) fn let_go(&mut self, blocks: &Blocks, me: Participant, freed: u64) {
        for held in self.turns.drain(..).flat_map(|turn| turn.held) {
            match held.until <= freed {
                true => _ = blocks.free(me, held.block),
                false => blocks.let_go(me, held.block),
            }
        }
        self.bytes = 0;
    }
}
