//! A bare table in shared memory, one entry behind the other where they meet, under one futex: nothing survives a crash.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU32, Ordering};

use super::dict::{Dict, Entries};
use crate::harness::Shared;
use crate::harness::baseline::raw::{wait_while, wake_one};

const PLACES: usize = 2048;
const LONGEST: usize = 16;

/// A key, and nothing behind it; one that begins with a zero byte is that of an empty place.
type Key = [u8; LONGEST];

#[repr(C)]
struct Table {
    lock: Lock,
    places: UnsafeCell<[(Key, u64); PLACES]>,
}

// SAFETY: the places are touched under the lock only.
unsafe impl Sync for Table {}

/// The table's memory.
#[derive(Debug)]
pub struct Plain(Shared);

/// The table, as a worker has it.
pub struct PlainEntries<'a>(&'a Table);

impl std::fmt::Debug for PlainEntries<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PlainEntries").finish()
    }
}

impl Dict for Plain {
    const NAME: &'static str = "plain table";

    type Entries<'a> = PlainEntries<'a>;

    fn new() -> Self {
        Self(Shared::new(size_of::<Table>()))
    }

    fn open(&self) -> PlainEntries<'_> {
        // SAFETY: zeroed memory is an empty table with an open lock.
        PlainEntries(unsafe { self.0.at(0) })
    }
}

impl Entries for PlainEntries<'_> {
    #[inline]
    fn get(&mut self, key: &str) -> Option<u64> {
        self.find(key, |(own, value), key| (own == key).then_some(*value))
    }

    #[inline]
    fn set(&mut self, key: &str, value: u64) {
        self.find(key, |place, key| *place = (*key, value));
    }
}

impl PlainEntries<'_> {
    /// Calls `then` with the place of `key`, or the empty one where it would be.
    #[inline]
    fn find<R>(&mut self, key: &str, then: impl FnOnce(&mut (Key, u64), &Key) -> R) -> R {
        let mut wanted = [0; LONGEST];
        wanted[..key.len()].copy_from_slice(key.as_bytes());
        let mut at = hash(&wanted);
        self.0.lock.lock();
        // SAFETY: the lock is held.
        let places = unsafe { &mut *self.0.places.get() };
        while places[at].0 != wanted && places[at].0[0] != 0 {
            at = (at + 1) % PLACES;
        }
        let result = then(&mut places[at], &wanted);
        self.0.lock.unlock();
        result
    }
}

/// The product of two words, both halves of which count.
#[inline]
fn hash(key: &Key) -> usize {
    let word = u128::from_ne_bytes(*key);
    let product = u128::from(word as u64 ^ 0x9E37_79B9_7F4A_7C15)
        * u128::from((word >> 64) as u64 ^ 0xD1B5_4A32_D192_ED03);
    ((product >> 64) as usize ^ product as usize) % PLACES
}

/// A lock that sleeps, as everybody builds it: 0 is open, 1 is locked, 2 is locked with somebody asleep.
struct Lock(AtomicU32);

impl Lock {
    /// How often it is looked at before sleeping, as the standard library does.
    const LOOKS: u32 = 100;

    #[inline]
    fn lock(&self) {
        if !self.try_lock() {
            self.lock_contended();
        }
    }

    #[inline]
    fn try_lock(&self) -> bool {
        // Acquire pairs with the release of `unlock`: what the holder before wrote is seen.
        let exchange = (self.0).compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed);
        exchange.is_ok()
    }

    #[cold]
    fn lock_contended(&self) {
        for _ in 0..Self::LOOKS {
            if self.0.load(Ordering::Relaxed) != 1 {
                break;
            }
            std::hint::spin_loop();
        }
        if self.try_lock() {
            return;
        }
        // Acquire as above.
        while self.0.swap(2, Ordering::Acquire) != 0 {
            wait_while(&self.0, 2);
        }
    }

    #[inline]
    fn unlock(&self) {
        // Release pairs with the acquire of the next holder.
        if self.0.swap(0, Ordering::Release) == 2 {
            wake_one(&self.0);
        }
    }
}
