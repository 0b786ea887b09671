//! The words of a lane beside its records: five lines, each written by one side.

use super::super::gate::Gate;
use super::seat::Seat;
#[cfg(not(loom))]
use crate::segment::layout::{LINE, Layout, assert_offsets};
use crate::sys::atomic::{AtomicU32, AtomicU64};

/// Filler up to the next line; the line is fixed by the format, not by the processor.
#[cfg(not(loom))]
type Pad<const N: usize> = [u8; N];

/// See the fields. All zero bytes are an empty lane, both ends of which nobody holds.
#[derive(Debug)]
#[cfg_attr(not(loom), repr(C, align(128)))]
pub(crate) struct LaneControl {
    /// The position up to which records were acknowledged: written by the receiver for each, and read by its successor.
    pub(super) done: AtomicU64,
    #[cfg(not(loom))]
    pad_done: Pad<120>,

    /// The position up to which the sender may write anew: written by the receiver for a stretch of records, so that a
    /// sender who waits for room can look at it and be in nobody's way.
    pub(super) free: AtomicU64,
    #[cfg(not(loom))]
    pad_free: Pad<120>,

    /// Where the receiver sleeps; the sender looks at this line for every record.
    pub(super) filled: Gate,
    /// Not 0: look at the receiver's seat before you send. A hint.
    pub(super) receiver_over: AtomicU32,
    #[cfg(not(loom))]
    pad_filled: Pad<112>,

    /// Where the sender sleeps; the receiver looks at this line when it acknowledges.
    pub(super) freed: Gate,
    #[cfg(not(loom))]
    pad_freed: Pad<116>,

    /// Who sends.
    pub(crate) sender: Seat,
    /// Who receives.
    pub(crate) receiver: Seat,
    #[cfg(not(loom))]
    pad_seats: Pad<112>,
}

// SAFETY: repr(C), only atomics and bytes, every bit pattern is valid, no pointers.
#[cfg(not(loom))]
unsafe impl Layout for LaneControl {}

#[cfg(not(loom))]
const _: () = assert!(size_of::<LaneControl>() == 5 * LINE);
#[cfg(not(loom))]
assert_offsets!(LaneControl {
    done: 0,
    free: 128,
    filled: 256,
    receiver_over: 268,
    freed: 384,
    sender: 512,
    receiver: 520,
});

#[cfg(loom)]
impl LaneControl {
    pub(super) fn new() -> Self {
        LaneControl {
            done: AtomicU64::new(0),
            free: AtomicU64::new(0),
            filled: Gate::new(),
            receiver_over: AtomicU32::new(0),
            freed: Gate::new(),
            sender: Seat::new(),
            receiver: Seat::new(),
        }
    }
}
