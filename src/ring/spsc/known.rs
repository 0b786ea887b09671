//! The blocks that a receiver has seen: where they lie, and which came behind which.
//!
//! A sender uses its blocks in turn, so the one that comes next is the one that came next a turn ago. Its first line is
//! asked for while the receiver still looks for the record that will refer to it: else the one line is asked for when the
//! other is there, and the message takes twice as long.

use crate::segment::blocks::{BlockRef, Blocks, Room};
use std::cell::{Cell, OnceCell};
use std::ptr::NonNull;

/// As many as two senders' turns have: both use one store.
const PLACES: usize = 128;

/// See the module.
#[derive(Debug)]
pub(super) struct Known {
    /// Made for the first message in a block.
    places: OnceCell<Box<[Cell<Entry>; PLACES]>>,
    last: Cell<usize>,
    /// Where the next message in a block will be, if things go as in the last turn.
    next: Cell<Option<Room>>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Which block; 0: none.
    bits: u64,
    /// As much of it as is known to have memory.
    room: Room,
    /// The one that came behind it.
    behind: Option<Room>,
}

const NOTHING: Entry = Entry {
    bits: 0,
    room: Room::NONE,
    behind: None,
};

fn place_of(bits: u64) -> usize {
    (bits ^ bits >> 29) as usize % PLACES
}

impl Known {
    pub(super) fn new() -> Self {
        Known {
            places: OnceCell::new(),
            last: Cell::new(0),
            next: Cell::new(None),
        }
    }

    /// The first `len` bytes of the block with this number; `None` when there is no such block, or it has no such memory.
    #[inline]
    pub(super) fn bytes(&self, blocks: &Blocks, bits: u64, len: u64) -> Option<NonNull<[u8]>> {
        let places = self
            .places
            .get_or_init(|| Box::new([const { Cell::new(NOTHING) }; PLACES]));
        let at = place_of(bits);
        let mut entry = places[at].get();
        if entry.bits != bits || len > entry.room.len() as u64 {
            entry = found(blocks, bits, len)?;
            places[at].set(entry);
        }
        let before = &places[self.last.replace(at)];
        before.set(Entry {
            behind: Some(entry.room),
            ..before.get()
        });
        self.next.set(places[at].get().behind);
        Some(entry.room.first(len as usize))
    }

    /// Asks for the line at which the next message in a block is likely to begin.
    #[inline(always)]
    pub(super) fn fetch(&self) {
        if let Some(room) = self.next.get() {
            room.fetch();
        }
    }

    /// The last message lay in no block: no more is to be expected of the next.
    #[inline(always)]
    pub(super) fn expect_none(&self) {
        self.next.set(None);
    }
}

#[cold]
fn found(blocks: &Blocks, bits: u64, len: u64) -> Option<Entry> {
    let block = BlockRef::from_bits(bits)?;
    let room = Room::of(blocks.bytes(block, len).ok()?);
    // What gives its memory back is looked up each time: its number is none that comes.
    let bits = if block.keeps_memory() { bits } else { 0 };
    Some(Entry {
        bits,
        room,
        behind: None,
    })
}
