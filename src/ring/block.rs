//! Messages too long for a slot: the block travels by reference, the bytes never move.
//!
//! A block is `ALLOC(owner)` from its allocation until it is free again. Publishing hands it over without touching
//! it; whoever takes the message makes the block its own before anything else, so at every instant the block's owner
//! is the process that would free it, or a dead one. What a dead owner's block is worth is decided by whether a slot
//! or a lease record refers to it.

use super::core::{Ring, SPILLED};
use super::word::{State, Word};
use crate::segment::blocks::{BlockRef, Blocks};
use crate::segment::narrow;
use crate::sys::atomic::Ordering::{Acquire, Relaxed};
use crate::sys::identity::Participant;
use std::ptr::NonNull;

impl Ring {
    fn block_store(&self) -> &Blocks {
        // Only variable rings have spilled messages, and those have a block store.
        self.blocks
            .as_ref()
            .expect("a spilled message lies in a ring with blocks")
    }

    /// Makes the block of a message in hand `owner`'s.
    #[cold]
    pub(super) fn own_block(&self, owner: Participant, block: BlockRef) {
        // False or an error only when a scribbler changed the reference: then reading it fails, with a type.
        let _ = self.block_store().own(owner, block);
    }

    /// The bytes of a spilled message; none at all when the reference was scribbled over.
    pub(super) fn block_bytes(&self, block: BlockRef, len: usize) -> NonNull<[u8]> {
        let whole = self.block_store().bytes(block, len as u64);
        whole.unwrap_or_else(|_| narrow(self.record_room(0), 0))
    }

    /// Frees the block of a message whose slot or record no longer refers to it.
    #[cold]
    pub(super) fn release_block(&self, owner: Participant, block: BlockRef) {
        self.block_store().free(owner, block);
    }

    /// Frees or keeps the blocks of a dead owner.
    pub(super) fn sweep_blocks(&self, dead: Participant) {
        if let Some(blocks) = &self.blocks {
            // An error means descriptors without memory: nothing was allocated there.
            let _ = blocks.sweep(dead, &mut |block| self.refers_to(block));
        }
    }

    /// Whether a published or taken message lies in `block`.
    fn refers_to(&self, block: BlockRef) -> bool {
        (0..self.capacity()).any(|i| self.slot_refers_to(i, block))
            || self.open_records().any(|(i, _)| {
                let record = self.records.row(i);
                // Pairs with the Release that made the record somebody's.
                record.meta.load(Acquire) & SPILLED != 0
                    && record.block.load(Relaxed) == block.to_bits()
            })
    }

    fn slot_refers_to(&self, index: u32, block: BlockRef) -> bool {
        let (Some(metas), Some(refs)) = (&self.metas, &self.refs) else {
            return false;
        };
        // Pairs with the Release of `publish`.
        let word = Word(self.slots.row(index).load(Acquire));
        matches!(word.state(), State::Full | State::Taken | State::Returned)
            && metas.row(index).load(Relaxed) & SPILLED != 0
            && refs.row(index).load(Relaxed) == block.to_bits()
    }
}
