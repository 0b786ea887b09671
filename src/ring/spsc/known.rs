//! The blocks that a receiver has seen: where they lie, and which came behind which.
//!
//! A sender uses its blocks in turn, so the one that comes next is the one that came next a turn ago. Its first line is
//! asked for while the receiver still looks for the record that will refer to it: else the one line is asked for when the
//! other is there, and the message takes twice as long.

use crate::segment::blocks::{BlockRef, Blocks};
use crate::segment::span;
use crate::sys::cpu;
use std::cell::{Cell, OnceCell};
use std::ptr::NonNull;

/// As many as two senders' turns have: both use one store.
const PLACES: usize = 128;

/// See the module.
#[derive(Debug)]
pub(super) struct Known {
    /// Made for the first message in a block.
    places: OnceCell<Box<[Entry; PLACES]>>,
    last: Cell<Index>,
    /// Where the next message in a block is known, if things go as in the last turn.
    next: Cell<Index>,
    /// And where it begins; null when none is expected.
    begins: Cell<*const u8>,
}

/// A place; taken without the bits beyond.
type Index = u32;

/// What is known of one block. Words, each loaded as it was stored.
#[derive(Debug)]
struct Entry {
    /// Which block; 0: none.
    bits: Cell<u64>,
    /// As much of it as is known to have memory.
    start: Cell<NonNull<u8>>,
    len: Cell<usize>,
    /// The one that came behind it.
    behind: Cell<Index>,
}

// SAFETY: the pointers tell where blocks lie, and give no right to touch them; whoever does answers for that.
unsafe impl Send for Known {}

impl Entry {
    fn none() -> Self {
        Entry {
            bits: Cell::new(0),
            start: Cell::new(NonNull::dangling()),
            len: Cell::new(0),
            behind: Cell::new(0),
        }
    }

    #[inline(always)]
    fn holds(&self, bits: u64, len: u64) -> bool {
        self.bits.get() == bits && len <= self.len.get() as u64
    }

    fn set(&self, bits: u64, bytes: NonNull<[u8]>) {
        self.bits.set(bits);
        self.start.set(bytes.cast());
        self.len.set(bytes.len());
    }
}

fn place_of(bits: u64) -> Index {
    (bits ^ bits >> 29) as Index % PLACES as Index
}

impl Known {
    pub(super) fn new() -> Self {
        Known {
            places: OnceCell::new(),
            last: Cell::new(0),
            next: Cell::new(0),
            begins: Cell::new(std::ptr::null()),
        }
    }

    #[inline(always)]
    fn entry(&self, at: Index) -> &Entry {
        let places = self
            .places
            .get_or_init(|| Box::new(std::array::from_fn(|_| Entry::none())));
        &places[at as usize % PLACES]
    }

    /// The first `len` bytes of the block with this number; `None` when there is no such block, or it has no such memory.
    #[inline(always)]
    pub(super) fn bytes(&self, blocks: &Blocks, bits: u64, len: u64) -> Option<NonNull<[u8]>> {
        let expected = self.next.get();
        match self.entry(expected).holds(bits, len) {
            true => Some(self.come_to(expected, len)),
            false => self.look_up(blocks, bits, len),
        }
    }

    /// The same for another block than the one that was expected.
    #[cold]
    fn look_up(&self, blocks: &Blocks, bits: u64, len: u64) -> Option<NonNull<[u8]>> {
        let at = place_of(bits);
        if !self.entry(at).holds(bits, len) {
            let block = BlockRef::from_bits(bits)?;
            let bytes = blocks.bytes(block, len).ok()?;
            if !block.keeps_memory() {
                self.expect_none();
                return Some(bytes);
            }
            self.entry(at).set(bits, bytes);
        }
        self.entry(self.last.get()).behind.set(at);
        Some(self.come_to(at, len))
    }

    /// The message lies in the block known at this place, and has no more bytes than are known.
    #[inline(always)]
    fn come_to(&self, at: Index, len: u64) -> NonNull<[u8]> {
        let entry = self.entry(at);
        let next = entry.behind.get();
        self.last.set(at);
        self.next.set(next);
        self.begins.set(self.entry(next).start.get().as_ptr());
        span(entry.start.get(), len as usize)
    }

    /// Asks for the line at which the next message in a block is likely to begin.
    #[inline(always)]
    pub(super) fn fetch(&self) {
        cpu::fetch(self.begins.get());
    }

    /// The last message lay in no block: no more is to be expected of the next.
    #[inline(always)]
    pub(super) fn expect_none(&self) {
        self.begins.set(std::ptr::null());
    }
}
