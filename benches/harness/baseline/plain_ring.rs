//! A bounded ring after Dmitry Vyukov: one sequence number per slot, slots packed, nothing survives a crash.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::harness::backoff::Backoff;
use crate::harness::shared::Shared;
use crate::harness::workload::Endpoint;

/// A payload of `N` words that is written and read whole.
pub type Words<const N: usize> = [u64; N];

#[repr(C)]
struct Slot<T> {
    seq: AtomicU64,
    payload: UnsafeCell<MaybeUninit<T>>,
}

#[repr(C, align(128))]
struct Ends {
    tail: AtomicU64,
    head: Aligned,
}

#[repr(C, align(128))]
struct Aligned(AtomicU64);

/// The ring, in memory shared by the workers that are forked later.
pub struct PlainRing<T> {
    shared: Shared,
    mask: u64,
    payload: std::marker::PhantomData<T>,
}

impl<T> std::fmt::Debug for PlainRing<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlainRing")
            .field("capacity", &(self.mask + 1))
            .finish_non_exhaustive()
    }
}

impl<T> PlainRing<T> {
    const SLOTS: usize = 4096;

    /// A ring of `capacity` slots, a power of two.
    pub fn new(capacity: u64) -> Self {
        assert!(capacity.is_power_of_two() && align_of::<T>() <= 8);
        let shared = Shared::new(Self::SLOTS + capacity as usize * size_of::<Slot<T>>());
        let ring = Self {
            shared,
            mask: capacity - 1,
            payload: std::marker::PhantomData,
        };
        (0..capacity).for_each(|place| ring.slot(place).seq.store(place, Ordering::Relaxed));
        ring
    }

    /// Writes one message in place, waiting while the ring is full.
    #[inline]
    pub fn push(&self, write: impl FnOnce(&mut MaybeUninit<T>)) {
        let tail = &self.ends().tail;
        let mut backoff = Backoff::new();
        let mut place = tail.load(Ordering::Relaxed);
        loop {
            let slot = self.slot(place);
            // Acquire pairs with the consumer's release: its reads of the slot are over.
            let lag = slot.seq.load(Ordering::Acquire).wrapping_sub(place) as i64;
            if lag == 0 {
                match tail.compare_exchange_weak(
                    place,
                    place + 1,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                ) {
                    Ok(_) => {
                        // SAFETY: the exchange gave this slot to this producer until the store below.
                        write(unsafe { &mut *slot.payload.get() });
                        slot.seq.store(place + 1, Ordering::Release);
                        return;
                    }
                    Err(newer) => place = newer,
                }
            } else {
                if lag < 0 {
                    backoff.wait();
                }
                place = tail.load(Ordering::Relaxed);
            }
        }
    }

    /// Reads one message in place, waiting while the ring is empty.
    #[inline]
    pub fn pop<R>(&self, read: impl FnOnce(&T) -> R) -> R {
        let head = &self.ends().head.0;
        let mut backoff = Backoff::new();
        let mut place = head.load(Ordering::Relaxed);
        loop {
            let slot = self.slot(place);
            // Acquire pairs with the producer's release: the payload is complete.
            let lag = slot.seq.load(Ordering::Acquire).wrapping_sub(place + 1) as i64;
            if lag == 0 {
                match head.compare_exchange_weak(
                    place,
                    place + 1,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                ) {
                    Ok(_) => {
                        // SAFETY: the exchange gave this slot to this consumer until the store below, and the
                        // producer wrote a whole `T` into it before its release.
                        let result = read(unsafe { (*slot.payload.get()).assume_init_ref() });
                        slot.seq.store(place + self.mask + 1, Ordering::Release);
                        return result;
                    }
                    Err(newer) => place = newer,
                }
            } else {
                if lag < 0 {
                    backoff.wait();
                }
                place = head.load(Ordering::Relaxed);
            }
        }
    }

    #[inline]
    fn ends(&self) -> &Ends {
        // SAFETY: atomics are valid for any bytes, and lie before the slots.
        unsafe { self.shared.base().cast().as_ref() }
    }

    #[inline]
    fn slot(&self, place: u64) -> &Slot<T> {
        // SAFETY: the mask keeps the slot within the mapping; its payload is reached through the cell only.
        unsafe {
            self.shared
                .base()
                .add(Self::SLOTS)
                .cast::<Slot<T>>()
                .add((place & self.mask) as usize)
                .as_ref()
        }
    }
}

impl<const N: usize> Endpoint for &PlainRing<Words<N>> {
    #[inline]
    fn send(&mut self, seq: u64) {
        self.push(|slot| {
            slot.write(std::array::from_fn(|word| seq.wrapping_add(word as u64)));
        });
    }

    #[inline]
    fn receive(&mut self) -> (u64, u64) {
        self.pop(|words| {
            (
                words[0],
                words
                    .iter()
                    .fold(0, |sum: u64, word| sum.wrapping_add(*word)),
            )
        })
    }

    fn check(&self, seq: u64) -> u64 {
        (0..N as u64).fold(0, |sum: u64, word| sum.wrapping_add(seq.wrapping_add(word)))
    }
}
