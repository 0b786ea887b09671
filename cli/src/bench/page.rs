//! The page that the processes of one run share: where they meet, and the bare words that the limits are measured on.

use std::io;
use std::ops::Deref;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::backoff::Backoff;
use super::sys::Mapping;

/// A word on lines of its own: processors fetch neighbouring lines in pairs.
#[derive(Debug)]
#[repr(C, align(256))]
pub struct Line<T>(T);

impl<T> Deref for Line<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

/// The words. All begin as zero.
#[derive(Debug)]
#[repr(C)]
pub struct Page {
    arrived: Line<AtomicU32>,
    held: Line<AtomicU32>,
    finished: AtomicU32,
    /// Bare words from one process to another and back.
    pub there: Line<AtomicU32>,
    pub back: Line<AtomicU32>,
    /// A bare counter.
    pub count: Line<AtomicU64>,
    /// The round for which a waiter is about to wait.
    pub waiting: Line<AtomicU64>,
    /// When its waker began to wake.
    pub begun: Line<AtomicU64>,
    /// Not zero in the last round.
    pub last: Line<AtomicU32>,
}

const _: () = assert!(size_of::<Page>() <= Mapping::LEN);

/// A mapped [`Page`].
#[derive(Debug)]
pub struct Shared(Mapping);

impl Shared {
    /// The page that the parent passed as standard input.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn inherited() -> io::Result<Self> {
        Mapping::inherited().map(Shared)
    }
}

impl Deref for Shared {
    type Target = Page;

    fn deref(&self) -> &Page {
        // SAFETY: a page is atomics only, which are valid for any bytes.
        unsafe { self.0.first() }
    }
}

impl Page {
    /// Waits until so many processes have come here.
    pub fn meet(&self, parties: u32) {
        let held = self.held.load(Ordering::Acquire);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == parties {
            self.arrived.store(0, Ordering::Relaxed);
            // Pairs with the load below: who leaves sees everything done before anybody arrived.
            self.held.store(held + 1, Ordering::Release);
            return;
        }
        let mut backoff = Backoff::new();
        while self.held.load(Ordering::Acquire) == held {
            backoff.wait();
        }
    }

    /// Counts a process whose work is done; returns how many are, with this one.
    pub fn finish(&self) -> u32 {
        // Pairs with itself: who counts last has everything before it that the others did.
        self.finished.fetch_add(1, Ordering::AcqRel) + 1
    }
}
