//! The blocks of a sender: which hold messages that are not free yet, and which may be written again.
//!
//! A block is its sender's from the first message on. What frees it is the receiver's freeing the record that refers to
//! it, so the two pass no words to and fro beside the ring's.

use crate::error::Result;
use crate::segment::blocks::{BlockRef, Blocks, Room};
use crate::sys::identity::Participant;
use std::collections::VecDeque;

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
    /// As much of the block as is known to have memory.
    room: Room,
}

/// The blocks of one size, in the order of their last use.
#[derive(Debug)]
struct Turn {
    size: u64,
    /// So many blocks are worth their memory.
    wanted: usize,
    held: VecDeque<Held>,
}

impl Turn {
    fn of(size: u64) -> Self {
        let wanted = match size < KEPT_BELOW {
            true => (TURN_BYTES / size).clamp(TURN_BLOCKS, 64),
            false => 1,
        };
        Turn {
            size,
            wanted: wanted as usize,
            held: VecDeque::new(),
        }
    }

    /// Whether another block is worth its memory.
    #[inline]
    fn may_grow(&self) -> bool {
        self.held.len() < self.wanted
    }

    /// The one whose turn it is, if it may be written.
    #[inline]
    fn next(&mut self, freed: u64) -> Option<Held> {
        self.next_known(freed, 0)
    }

    /// The same without another look at shared memory: if the block is known to have room for `len` bytes.
    #[inline]
    fn next_known(&mut self, freed: u64, len: usize) -> Option<Held> {
        let first = *self.held.front()?;
        (first.until <= freed && len <= first.room.len()).then(|| self.held.pop_front())?
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
    /// How far the receiver had freed when that was last looked at: its word is a line that passes to and fro.
    freed: u64,
}

/// A block that was asked for.
pub(super) enum Answer {
    /// This one, with as much of it as has memory, at least what was asked for.
    Ready(BlockRef, Room),
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
            freed: 0,
        }
    }

    /// A block for `len` bytes, if one of the own is free as far as is known: the usual case, without a look at anything
    /// that is shared.
    #[inline]
    pub(super) fn take_known(&mut self, len: usize) -> Option<(BlockRef, Room)> {
        let (freed, size) = (self.freed, size_for(len as u64));
        let turn = self.turns.iter_mut().find(|turn| turn.size == size)?;
        if turn.may_grow() {
            return None;
        }
        let held = turn.next_known(freed, len)?;
        Some((held.block, held.room))
    }

    /// A block for `len` bytes, where the receiver has freed up to `freed`.
    ///
    /// # Errors
    ///
    /// `NoSpace` if there is none and nothing to wait for.
    #[cold]
    pub(super) fn take(
        &mut self,
        blocks: &Blocks,
        me: Participant,
        len: u64,
        freed: u64,
    ) -> Result<Answer> {
        self.freed = freed;
        let size = size_for(len);
        let turn = self.turn(size);
        if !turn.may_grow()
            && let Some(held) = turn.next(freed)
        {
            return Self::again(blocks, held, len);
        }
        self.grow(blocks, me, len, freed)
    }

    fn turn(&mut self, size: u64) -> &mut Turn {
        let known = self.turns.iter().position(|turn| turn.size == size);
        let at = known.unwrap_or_else(|| {
            self.turns.push(Turn::of(size));
            self.turns.len() - 1
        });
        &mut self.turns[at]
    }

    fn again(blocks: &Blocks, held: Held, len: u64) -> Result<Answer> {
        if held.room.len() as u64 >= len {
            return Ok(Answer::Ready(held.block, held.room));
        }
        blocks.warm_up(held.block, len)?;
        let room = Room::of(blocks.room(held.block, len)?);
        Ok(Answer::Ready(held.block, room))
    }

    #[cold]
    fn grow(&mut self, blocks: &Blocks, me: Participant, len: u64, freed: u64) -> Result<Answer> {
        let size = size_for(len);
        self.thin_out(blocks, me, size, freed);
        let waiting = self.first_in_use(freed);
        let fits = self.turn(size).may_grow() && self.bytes + size <= BUDGET;
        if !fits && let Some(until) = waiting {
            match self.turn(size).next(freed) {
                Some(held) => return Self::again(blocks, held, len),
                None if self.for_all => {}
                None => return Ok(Answer::Wait(until)),
            }
        }
        match blocks.alloc(me, len) {
            Ok(block) => {
                self.bytes += block.size();
                Ok(Answer::Ready(block, Room::of(blocks.room(block, len)?)))
            }
            Err(full) => match (self.turn(size).next(freed), waiting) {
                (Some(held), _) => Self::again(blocks, held, len),
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
    #[inline]
    pub(super) fn keep(&mut self, block: BlockRef, room: Room, until: u64) {
        let held = Held { block, until, room };
        self.turn(block.size()).held.push_back(held);
    }

    /// The message in `block`, of a sender before this, was published in a record that ends at `until`.
    pub(super) fn adopt(&mut self, block: BlockRef, until: u64) {
        self.bytes += block.size();
        self.keep(block, Room::NONE, until);
    }

    /// The message in `block`, which was taken from here, is not to be sent.
    pub(super) fn give_back(&mut self, block: BlockRef, room: Room) {
        let until = 0;
        let held = Held { block, until, room };
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
