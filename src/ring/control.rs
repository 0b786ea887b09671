//! The control block of a ring: hints, gates and flags, each group on its own cache lines.

use super::gate::Gate;
use crate::sys::atomic::{AtomicU32, AtomicU64};

#[cfg(not(loom))]
use crate::segment::layout::{LINE, Layout};

/// Filler up to the next line; the line is fixed by the format, not by the processor.
#[cfg(not(loom))]
type Pad<const N: usize> = [u8; N];

/// The shared words of a ring beside its slots.
///
/// Zeroed memory is a fresh, open, empty ring.
#[cfg_attr(not(loom), repr(C))]
#[derive(Debug)]
pub(crate) struct Control {
    /// Where the next claim is likely to be: a hint that never runs ahead of the truth. Written by producers.
    pub(crate) tail: AtomicU64,
    #[cfg(not(loom))]
    pad_tail: Pad<120>,
    /// Where the next take is likely to be: a hint that never runs ahead of the truth. Written by consumers.
    pub(crate) head: AtomicU64,
    #[cfg(not(loom))]
    pad_head: Pad<120>,
    /// Consumers that sleep until something is put.
    pub(crate) not_empty: Gate,
    /// Non-zero once the ring is closed.
    pub(crate) closed: AtomicU32,
    /// Changes whenever a message may have been given back: consumers look for it out of order.
    pub(crate) returns: AtomicU32,
    /// Which roles were ever taken: bit 0 producers, bit 1 consumers.
    pub(crate) roles: AtomicU32,
    #[cfg(not(loom))]
    pad_flags: Pad<104>,
    /// Producers that sleep until a slot is freed.
    pub(crate) not_full: Gate,
    #[cfg(not(loom))]
    pad_full: Pad<116>,
    /// Waiters for "everything is acknowledged".
    pub(crate) all_done: Gate,
    /// Lease records that are backed by memory.
    pub(crate) records: AtomicU32,
    /// How often a producer had to wait for room.
    pub(crate) blocked: AtomicU64,
    /// How often a message was offered again.
    pub(crate) redelivered: AtomicU64,
    /// The greatest length seen (sampled).
    pub(crate) high_water: AtomicU64,
    #[cfg(not(loom))]
    pad_cold: Pad<88>,
}

// SAFETY: repr(C), only atomics and bytes, every bit pattern is valid, no pointers.
#[cfg(not(loom))]
unsafe impl Layout for Control {}

#[cfg(not(loom))]
const _: () = {
    use std::mem::{offset_of, size_of};
    assert!(offset_of!(Control, tail) == 0);
    assert!(offset_of!(Control, head) == LINE);
    assert!(offset_of!(Control, not_empty) == 2 * LINE);
    assert!(offset_of!(Control, closed) == 2 * LINE + 12);
    assert!(offset_of!(Control, returns) == 2 * LINE + 16);
    assert!(offset_of!(Control, roles) == 2 * LINE + 20);
    assert!(offset_of!(Control, not_full) == 3 * LINE);
    assert!(offset_of!(Control, all_done) == 4 * LINE);
    assert!(offset_of!(Control, records) == 4 * LINE + 12);
    assert!(offset_of!(Control, blocked) == 4 * LINE + 16);
    assert!(offset_of!(Control, high_water) == 4 * LINE + 32);
    assert!(size_of::<Control>() == 5 * LINE);
};

#[cfg(loom)]
impl Control {
    pub(crate) fn new() -> Self {
        Control {
            tail: AtomicU64::new(0),
            head: AtomicU64::new(0),
            not_empty: Gate::new(),
            closed: AtomicU32::new(0),
            returns: AtomicU32::new(0),
            roles: AtomicU32::new(0),
            not_full: Gate::new(),
            all_done: Gate::new(),
            records: AtomicU32::new(0),
            blocked: AtomicU64::new(0),
            redelivered: AtomicU64::new(0),
            high_water: AtomicU64::new(0),
        }
    }
}
