//! Memory for what nested vectors need while they are written: kept per thread, so that a warm writer allocates nothing.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::num::NonZero;
use std::ptr::NonNull;

/// Every piece is aligned to this much; what wants more goes to the heap.
const GRAIN: usize = 16;
/// The first size of a thread's buffer.
const FIRST: usize = 4 << 10;
/// A thread keeps at most this much between messages.
const KEEP: usize = 4 << 20;

#[repr(align(16))]
#[derive(Clone, Copy)]
struct Grain {
    _bytes: [u8; GRAIN],
}

thread_local! {
    /// The buffer of this thread while no message is being written.
    static SPARE: Cell<Option<Box<[Grain]>>> = const { Cell::new(None) };
}

/// A stack of scratch pieces: a bump buffer first, the heap when that is full.
///
/// Dropping it returns the buffer to the thread, grown to what this message would have liked.
#[derive(Debug)]
pub(super) struct Scratch {
    buffer: NonNull<u8>,
    capacity: usize,
    used: usize,
    wanted: usize,
}

impl Scratch {
    /// Takes the thread's buffer; a message that is written while another one is gets a new one.
    #[cold]
    pub(super) fn take() -> Self {
        let spare = SPARE.try_with(Cell::take).ok().flatten();
        let buffer = spare.unwrap_or_else(|| new_buffer(FIRST));
        let capacity = buffer.len() * GRAIN;
        Scratch {
            buffer: NonNull::from(Box::leak(buffer)).cast(),
            capacity,
            used: 0,
            wanted: 0,
        }
    }

    pub(super) fn push(&mut self, layout: Layout) -> NonNull<[u8]> {
        let size = layout.size().next_multiple_of(GRAIN);
        if layout.align() <= GRAIN && size <= self.capacity - self.used {
            // SAFETY: `used + size` is within the buffer.
            let piece = unsafe { self.buffer.add(self.used) };
            self.used += size;
            return NonNull::slice_from_raw_parts(piece, layout.size());
        }
        self.wanted = self.wanted.saturating_add(size);
        from_heap(layout)
    }

    /// # Safety
    ///
    /// `piece` came from [`push`](Scratch::push) of this scratch with the same layout, and is not used any more.
    pub(super) unsafe fn pop(&mut self, piece: NonNull<u8>, layout: Layout) {
        let start = self.buffer.addr().get();
        let at = piece.addr().get().wrapping_sub(start);
        if at < self.capacity {
            // Pieces are returned last in, first out; out of order, the space comes back with the whole buffer.
            let size = layout.size().next_multiple_of(GRAIN);
            if at + size == self.used {
                self.used = at;
            }
        } else if layout.size() != 0 {
            // SAFETY: not from the buffer, so from the heap with this layout.
            unsafe { dealloc(piece.as_ptr(), layout) };
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let grains = NonNull::slice_from_raw_parts(self.buffer.cast(), self.capacity / GRAIN);
        // SAFETY: this is the box that `take` leaked, with its length.
        let buffer: Box<[Grain]> = unsafe { Box::from_raw(grains.as_ptr()) };
        let better = (self.capacity + self.wanted).next_power_of_two();
        let buffer = match self.wanted {
            0 => buffer,
            _ if self.capacity >= KEEP => buffer,
            _ => new_buffer(better.min(KEEP)),
        };
        // A thread that is ending has no place for it: then it is freed here.
        let _ = SPARE.try_with(|spare| spare.set(Some(buffer)));
    }
}

fn new_buffer(bytes: usize) -> Box<[Grain]> {
    vec![Grain { _bytes: [0; GRAIN] }; bytes / GRAIN].into_boxed_slice()
}

#[cold]
fn from_heap(layout: Layout) -> NonNull<[u8]> {
    if layout.size() == 0 {
        let nowhere = NonZero::new(layout.align()).map(NonNull::without_provenance);
        return NonNull::slice_from_raw_parts(nowhere.unwrap_or(NonNull::dangling()), 0);
    }
    // SAFETY: the size is not zero.
    let piece = unsafe { alloc(layout) };
    let Some(piece) = NonNull::new(piece) else {
        handle_alloc_error(layout)
    };
    NonNull::slice_from_raw_parts(piece, layout.size())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).expect("valid layout")
    }

    #[test]
    fn pieces_are_aligned_disjoint_and_come_back() {
        let mut scratch = Scratch::take();
        let a = scratch.push(layout(10, 1));
        let b = scratch.push(layout(100, 16));
        assert!(b.cast::<u8>().addr().get().is_multiple_of(16));
        assert!(b.cast::<u8>().addr() >= a.cast::<u8>().addr().checked_add(10).expect("in memory"));
        // SAFETY: both came from this scratch with these layouts.
        unsafe {
            scratch.pop(b.cast(), layout(100, 16));
            scratch.pop(a.cast(), layout(10, 1));
        }
        assert_eq!(scratch.used, 0);
    }

    #[test]
    fn what_does_not_fit_comes_from_the_heap_and_the_buffer_grows() {
        let big = layout(64 << 10, 8);
        {
            let mut scratch = Scratch::take();
            let piece = scratch.push(big);
            assert_eq!(piece.len(), 64 << 10);
            // SAFETY: it came from this scratch with this layout.
            unsafe { scratch.pop(piece.cast(), big) };
        }
        let scratch = Scratch::take();
        assert!(scratch.capacity >= 64 << 10);
    }

    #[test]
    fn a_nested_writer_has_its_own() {
        let mut outer = Scratch::take();
        let mut inner = Scratch::take();
        assert_ne!(
            outer.push(layout(8, 8)).cast::<u8>(),
            inner.push(layout(8, 8)).cast::<u8>()
        );
    }
}
