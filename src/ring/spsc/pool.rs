//! The blocks of a sender: which hold messages that are not acknowledged yet, and which may be written again.
//!
//! A block is its sender's from the first message on. What frees it is the receiver's acknowledging the record that refers
//! to it, so the two pass no words to and fro beside the ring's.

use super::haste::Haste;
use crate::error::Result;
use crate::segment::blocks::{BlockRef, Blocks, Room};
use crate::sys::identity::Participant;
use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::ptr::NonNull;

/// Blocks of one size that are used in turn span so many bytes, and are at least so many: one that is written again at
/// once still lies in the receiver's cache (see `segment::blocks`).
const TURN_BYTES: u64 = 4 << 20;
const TURN_BLOCKS: u64 = 4;
/// A longer message goes into the block of the last one if it can: between the two, either end has gone through more than
/// its cache holds, so the fewer blocks there are, the nearer they are (1 MiB there and back, read and written: 71 us for
/// one block, 76 to 90 for four in turn; 512 KiB: 65 and 40). Not in [haste](Haste): whether the last one was acknowledged
/// stands in a line that passes to and fro.
const AGAIN_ABOVE: usize = 512 << 10;
/// Of blocks from this size on there is one at a time, and none is kept.
const KEPT_BELOW: u64 = 4 << 20;
/// What all blocks together may hold, unless a single message is longer.
const BUDGET: u64 = 16 << 20;
const SMALLEST: u64 = 4096;

/// A block of a pool: one word, so that it passes in a register. What is stored by parts and loaded as a whole has to be
/// through to the cache before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a block that was taken is to be kept with its message, or given back"]
pub(crate) struct Slot(NonZeroU32);

impl Slot {
    fn of(index: usize) -> Self {
        Slot(NonZeroU32::new(index as u32 + 1).unwrap_or(NonZeroU32::MAX))
    }

    #[inline(always)]
    fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// What is known of one block.
#[derive(Clone, Copy, Debug)]
struct Held {
    block: BlockRef,
    /// Free to be written once the receiver has acknowledged up to here.
    until: u64,
    /// As much of the block as is known to have memory.
    room: Room,
    /// Which of the turns it takes part in.
    turn: usize,
}

/// The blocks of one size, in the order of their last use; but for those that are being written.
#[derive(Debug)]
struct Turn {
    size: u64,
    /// So many blocks are worth their memory.
    wanted: usize,
    order: VecDeque<Slot>,
    /// They are still used in the order in which they were given.
    is_new: bool,
    /// How its messages come, where they are so long that this matters.
    haste: Haste,
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
            order: VecDeque::new(),
            is_new: true,
            haste: Haste::default(),
        }
    }

    /// Whether another block is worth its memory.
    #[inline(always)]
    fn may_grow(&self) -> bool {
        self.order.len() < self.wanted
    }

    /// The one whose turn it is, if `is_fit`.
    #[inline(always)]
    fn next(&mut self, is_fit: impl FnOnce(Slot) -> bool) -> Option<Slot> {
        let first = *self.order.front()?;
        is_fit(first).then(|| self.order.pop_front())?
    }

    /// The first one that `is_fit`, in turn or not.
    fn any(&mut self, is_fit: impl FnMut(&Slot) -> bool) -> Option<Slot> {
        let at = self.order.iter().position(is_fit)?;
        self.order.remove(at)
    }

    /// The one that was used last, if `is_fit`.
    fn last(&mut self, is_fit: impl FnOnce(Slot) -> bool) -> Option<Slot> {
        let last = *self.order.back()?;
        is_fit(last).then(|| self.order.pop_back())?
    }

    #[inline(always)]
    fn append(&mut self, slot: Slot) {
        self.order.push_back(slot);
        if self.is_new && !self.may_grow() {
            self.spread();
        }
    }

    /// Has no block follow the one that lies in front of it: whoever reads to the end of a block has the processor fetch
    /// what lies behind it, and that is what the other end would then be writing.
    #[cold]
    fn spread(&mut self) {
        self.is_new = false;
        let count = self.order.len();
        let step = ((count * 3 / 8) | 1).max(3);
        if count.is_power_of_two() {
            self.order = (0..count).map(|at| self.order[at * step % count]).collect();
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Pool {
    held: Vec<Held>,
    /// Where in `held` there is nothing any more.
    vacant: Vec<Slot>,
    turns: Vec<Turn>,
    /// Of all blocks.
    bytes: u64,
    /// Whether to take memory as long as there is some, where all blocks that are worth it are in use.
    for_all: bool,
    /// How far the receiver had acknowledged when that was last looked at: its word is a line that passes to and fro.
    done: u64,
}

/// A block that was asked for.
pub(super) enum Answer {
    /// This one; at least as much of it as was asked for has memory.
    Ready(Slot),
    /// All are in use: wait until the receiver has acknowledged up to here.
    Wait(u64),
}

#[inline]
fn size_for(len: u64) -> u64 {
    len.next_power_of_two().max(SMALLEST)
}

impl Pool {
    /// An empty pool: of as many blocks as are worth it, or `for_all` messages that the ring can refer to.
    pub(super) fn new(for_all: bool) -> Self {
        Pool {
            held: Vec::new(),
            vacant: Vec::new(),
            turns: Vec::new(),
            bytes: 0,
            for_all,
            done: 0,
        }
    }

    /// A block for `len` bytes, if one of the own is free as far as is known: the usual case, without a look at anything
    /// that is shared.
    #[inline(always)]
    pub(super) fn take_known(&mut self, len: usize) -> Option<Slot> {
        let (done, size, held) = (self.done, size_for(len as u64), &self.held);
        let turn = self.turns.iter_mut().find(|turn| turn.size == size)?;
        if turn.may_grow() || turn.haste.is_leisure() {
            return None;
        }
        turn.haste.count();
        turn.next(|slot| {
            let held = &held[slot.index()];
            held.until <= done && len <= held.room.len()
        })
    }

    /// A block for `len` bytes, where the receiver has acknowledged up to `done`.
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
        done: u64,
    ) -> Result<Answer> {
        self.done = done;
        let turn = self.turn_of(size_for(len));
        if len as usize > AGAIN_ABOVE
            && self.turns[turn].haste.look()
            && let Some(slot) = self.last(turn)
        {
            return self.again(blocks, slot, len);
        }
        if !self.turns[turn].may_grow()
            && let Some(slot) = self.next(turn)
        {
            return self.again(blocks, slot, len);
        }
        self.grow(blocks, me, len, turn)
    }

    /// The bytes of a block that was taken, `len` of them if so many are known to have memory.
    #[inline(always)]
    pub(super) fn bytes(&self, slot: Slot, len: usize) -> NonNull<[u8]> {
        self.held[slot.index()].room.first(len)
    }

    #[inline(always)]
    pub(super) fn block(&self, slot: Slot) -> BlockRef {
        self.held[slot.index()].block
    }

    /// Which turn is that of blocks of this size.
    fn turn_of(&mut self, size: u64) -> usize {
        let known = self.turns.iter().position(|turn| turn.size == size);
        known.unwrap_or_else(|| {
            self.turns.push(Turn::of(size));
            self.turns.len() - 1
        })
    }

    /// The block of the last message, if it may be written.
    fn last(&mut self, turn: usize) -> Option<Slot> {
        let (done, held) = (self.done, &self.held);
        self.turns[turn].last(|slot| held[slot.index()].until <= done)
    }

    /// A block that may be written.
    fn next(&mut self, turn: usize) -> Option<Slot> {
        let (done, held) = (self.done, &self.held);
        self.turns[turn].any(|slot| held[slot.index()].until <= done)
    }

    fn again(&mut self, blocks: &Blocks, slot: Slot, len: u64) -> Result<Answer> {
        let Held { block, room, .. } = self.held[slot.index()];
        if (room.len() as u64) < len {
            let known = blocks.warm_up(block, len);
            let known = known.and_then(|()| blocks.room(block, len));
            let room = known.inspect_err(|_| self.give_back(slot))?;
            self.held[slot.index()].room = Room::of(room);
        }
        Ok(Answer::Ready(slot))
    }

    #[cold]
    fn grow(&mut self, blocks: &Blocks, me: Participant, len: u64, turn: usize) -> Result<Answer> {
        let size = self.turns[turn].size;
        self.thin_out(blocks, me, size);
        let waiting = self.first_in_use();
        let fits = self.turns[turn].may_grow() && self.bytes + size <= BUDGET;
        if !fits && let Some(until) = waiting {
            match self.next(turn) {
                Some(slot) => return self.again(blocks, slot, len),
                None if self.for_all => {}
                None => return Ok(Answer::Wait(until)),
            }
        }
        match blocks.alloc(me, len) {
            Ok(block) => {
                let room = Room::of(blocks.room(block, len)?);
                Ok(Answer::Ready(self.enter(block, room)))
            }
            Err(full) => match (self.next(turn), waiting) {
                (Some(slot), _) => self.again(blocks, slot, len),
                (None, Some(until)) => Ok(Answer::Wait(until)),
                (None, None) => Err(full),
            },
        }
    }

    /// Enters a block, which is not in use.
    fn enter(&mut self, block: BlockRef, room: Room) -> Slot {
        self.bytes += block.size();
        let slot = self.vacant.pop().unwrap_or(Slot::of(self.held.len()));
        let held = Held {
            block,
            until: 0,
            room,
            turn: self.turn_of(block.size()),
        };
        match self.held.get_mut(slot.index()) {
            Some(place) => *place = held,
            None => self.held.push(held),
        }
        slot
    }

    /// Where the next block becomes free that is in use now.
    fn first_in_use(&self) -> Option<u64> {
        let all = self.turns.iter().flat_map(|turn| &turn.order);
        all.map(|slot| self.held[slot.index()].until)
            .filter(|&until| until > self.done)
            .min()
    }

    /// Gives back what is idle and will not be used soon.
    fn thin_out(&mut self, blocks: &Blocks, me: Participant, wanted: u64) {
        let is_tight = self.bytes + wanted > BUDGET;
        for turn in &mut self.turns {
            let size = turn.size;
            let surplus = size >= KEPT_BELOW || is_tight && size != wanted;
            turn.order.retain(|&slot| {
                let held = self.held[slot.index()];
                let goes = surplus && held.until <= self.done;
                if goes {
                    blocks.free(me, held.block);
                    self.bytes -= size;
                    self.vacant.push(slot);
                }
                !goes
            });
        }
    }

    /// The message in this block was published in a record that ends at `until`.
    #[inline(always)]
    pub(super) fn keep(&mut self, slot: Slot, until: u64) {
        let held = &mut self.held[slot.index()];
        held.until = until;
        self.turns[held.turn].append(slot);
    }

    /// The message in `block`, of a sender before this, was published in a record that ends at `until`.
    pub(super) fn adopt(&mut self, block: BlockRef, until: u64) {
        let slot = self.enter(block, Room::NONE);
        self.keep(slot, until);
    }

    /// The message in this block is not to be sent.
    pub(super) fn give_back(&mut self, slot: Slot) {
        let held = &mut self.held[slot.index()];
        held.until = 0;
        self.turns[held.turn].order.push_front(slot);
    }

    /// Frees what is idle, and leaves the rest to whoever sends next.
    pub(super) fn let_go(&mut self, blocks: &Blocks, me: Participant, done: u64) {
        let turns = self.turns.iter_mut();
        for slot in turns.flat_map(|turn| turn.order.drain(..)) {
            let held = self.held[slot.index()];
            match held.until <= done {
                true => _ = blocks.free(me, held.block),
                false => blocks.let_go(me, held.block),
            }
            self.bytes -= held.block.size();
            self.vacant.push(slot);
        }
    }
}
