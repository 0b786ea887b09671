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

#[derive(Clone, Copy, Debug)]
struct Held {
    block: BlockRef,
    /// Free to be written once the receiver has freed up to here.
    until: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Pool {
    /// In the order of their last use.
    held: VecDeque<Held>,
}

/// A block that was asked for.
pub(super) enum Answer {
    Ready(BlockRef, NonNull<[u8]>),
    /// All are in use: wait until the receiver has freed up to here.
    Wait(u64),
}

impl Pool {
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
        let size = len.next_power_of_two().max(4096);
        self.thin_out(blocks, me, size, freed);
        let same = |held: &&Held| held.block.size() == size;
        let count = self.held.iter().filter(same).count() as u64;
        let idle = self
            .held
            .iter()
            .position(|h| h.block.size() == size && h.until <= freed);
        let bytes: u64 = self.held.iter().map(|h| h.block.size()).sum();
        let nothing_to_wait_for = idle.is_none() && self.first_in_use(freed).is_none();
        let may_grow = count < turn_of(size) && bytes + size <= BUDGET || nothing_to_wait_for;
        match (idle, may_grow) {
            (Some(at), false) => self.again(blocks, at, len),
            (idle, true) => match blocks.alloc(me, len) {
                Ok(block) => Ok(Answer::Ready(block, blocks.room(block, len)?)),
                Err(full) => match idle {
                    Some(at) => self.again(blocks, at, len),
                    None => self.first_in_use(freed).ok_or(full),
                },
            },
            (None, false) => Ok(self.first_in_use(freed).unwrap_or(Answer::Wait(freed))),
        }
    }

    fn again(&mut self, blocks: &Blocks, at: usize, len: u64) -> Result<Answer> {
        let block = self.held[at].block;
        blocks.warm_up(block, len)?;
        let room = blocks.room(block, len)?;
        self.held.remove(at);
        Ok(Answer::Ready(block, room))
    }

    fn first_in_use(&self, freed: u64) -> Option<Answer> {
        let untils = self.held.iter().map(|h| h.until);
        untils
            .filter(|&until| until > freed)
            .min()
            .map(Answer::Wait)
    }

    /// Gives back what is idle and will not be used soon.
    fn thin_out(&mut self, blocks: &Blocks, me: Participant, wanted: u64, freed: u64) {
        let bytes: u64 = self.held.iter().map(|h| h.block.size()).sum();
        let is_tight = bytes + wanted > BUDGET;
        self.held.retain(|held| {
            let size = held.block.size();
            let surplus = size >= KEPT_BELOW || is_tight && size != wanted;
            if surplus && held.until <= freed {
                blocks.free(me, held.block);
                return false;
            }
            true
        });
    }

    /// The message in `block` was published, in a record that ends at `until`.
    pub(super) fn keep(&mut self, block: BlockRef, until: u64) {
        self.held.push_back(Held { block, until });
    }

    /// The message in `block`, which was taken from here, is not to be sent.
    pub(super) fn give_back(&mut self, block: BlockRef) {
        self.held.push_front(Held { block, until: 0 });
    }

    /// Frees what is idle, and leaves the rest to whoever sends next.
    pub(super) fn let_go(&mut self, blocks: &Blocks, me: Participant, freed: u64) {
        for held in self.held.drain(..) {
            match held.until <= freed {
                true => _ = blocks.free(me, held.block),
                false => blocks.let_go(me, held.block),
            }
        }
    }
}

/// How many blocks of a size are used in turn.
fn turn_of(size: u64) -> u64 {
    match size < KEPT_BELOW {
        true => (TURN_BYTES / size).clamp(TURN_BLOCKS, 64),
        false => 1,
    }
}
