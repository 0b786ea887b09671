//! A condition where it lies: its lock, and where its waiters are.

use super::lock::RawLock;
use super::waiters::{WaiterRing, Waiters};
use crate::segment::Segment;
use crate::segment::layout::{LINE, Layout, Offset, assert_offsets};
use crate::sys::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sys::identity::Participant;
use crate::sys::step::step;

/// The beginning of a condition. The data follow, and behind them the ring of the waiters.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct RawCondition {
    /// Unused where the lock is one of its own that conditions share.
    lock: RawLock,
    /// In the lock's line: who moves it has the lock, and who notifies mostly had it just now.
    tail: AtomicU64,
    /// Where the ring is, counted from here.
    ring: AtomicU64,
}

const _: () = assert!(size_of::<RawCondition>() == 56);
assert_offsets!(RawCondition {
    lock: 0,
    tail: 40,
    ring: 48
});

// SAFETY: repr(C), a lock and atomics.
unsafe impl Layout for RawCondition {}

/// Where the parts of a condition are, counted from its beginning.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts {
    pub(crate) data: u64,
    pub(crate) ring: u64,
    pub(crate) end: u64,
}

impl RawCondition {
    /// Places data of this size and alignment in the lock's line, if they fit, and the ring in lines of its own.
    pub(crate) fn parts(size: u64, align: u64) -> Parts {
        let data = (size_of::<RawCondition>() as u64).next_multiple_of(align);
        let ring = (data + size).next_multiple_of(LINE as u64);
        Parts {
            data,
            ring,
            end: ring + size_of::<WaiterRing>() as u64,
        }
    }

    /// Completes a new condition at `place`.
    pub(crate) fn init(segment: &Segment, place: u64, parts: Parts) {
        let raw = segment.at(Offset::<RawCondition>::new(place));
        step("condition.ring");
        raw.ring.store(parts.ring, Relaxed); // before anybody else knows the place
    }

    /// Its waiters.
    #[inline]
    pub(crate) fn waiters<'a>(&'a self, ring: &'a WaiterRing) -> Waiters<'a> {
        Waiters {
            tail: &self.tail,
            ring,
        }
    }

    /// Takes `dead`, of whom the caller knows that it is dead, out of the queue of the condition in the `len` bytes from
    /// `place`.
    pub(crate) fn repair(segment: &Segment, (place, len): (u64, u64), dead: Participant) {
        let raw = segment.get(Offset::<RawCondition>::new(place));
        let ring_of = |raw: &RawCondition| {
            let at = raw.ring.load(Relaxed); // written once, before the name or the handle
            let end = at.checked_add(size_of::<WaiterRing>() as u64);
            let fits = end.is_some_and(|end| end <= len);
            let ring = fits.then(|| segment.get(Offset::<WaiterRing>::new(place + at)));
            ring.flatten()
        };
        if let Some((raw, ring)) = raw.and_then(|raw| Some((raw, ring_of(raw)?))) {
            raw.waiters(ring).repair(dead, segment);
        }
    }
}
