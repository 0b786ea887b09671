//! Memory that a driver shares with its forked children: what they report here outlives them.

use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// A `T` in an anonymous shared mapping; forked children see the same bytes.
///
/// `T` must be made of atomics alone, all valid when zero.
#[derive(Debug)]
pub struct Board<T: Zeroed> {
    at: NonNull<T>,
}

/// Types made of atomics only, valid when every byte is zero.
///
/// # Safety
///
/// Every field is an atomic, an array of atomics, or another `Zeroed` type.
pub unsafe trait Zeroed {}

// SAFETY: one atomic.
unsafe impl Zeroed for AtomicU32 {}
// SAFETY: one atomic.
unsafe impl Zeroed for AtomicU64 {}
// SAFETY: an array of what is itself made of atomics.
unsafe impl<T: Zeroed, const N: usize> Zeroed for [T; N] {}

// SAFETY: what is shared is made of atomics.
unsafe impl<T: Zeroed> Sync for Board<T> {}
// SAFETY: a mapping belongs to no thread.
unsafe impl<T: Zeroed> Send for Board<T> {}

impl<T: Zeroed> Board<T> {
    pub fn new() -> Self {
        let (prot, flags) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_ANONYMOUS,
        );
        // SAFETY: a fresh anonymous mapping touches no memory of ours.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), Self::len(), prot, flags, -1, 0) };
        assert!(
            at != libc::MAP_FAILED,
            "mmap: {}",
            std::io::Error::last_os_error()
        );
        Board {
            at: NonNull::new(at.cast()).expect("mmap never maps page zero"),
        }
    }

    fn len() -> usize {
        size_of::<T>().max(1)
    }

    /// Makes every byte zero again; only between cases, when no child runs.
    pub fn clear(&self) {
        // SAFETY: the mapping is `len` bytes long, and the caller has no child running.
        unsafe { self.at.as_ptr().cast::<u8>().write_bytes(0, Self::len()) }
    }
}

impl<T: Zeroed> Deref for Board<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the mapping lives as long as `self`, is zeroed at birth, and `T` is made of atomics only.
        unsafe { self.at.as_ref() }
    }
}

impl<T: Zeroed> Drop for Board<T> {
    fn drop(&mut self) {
        // SAFETY: this mapping is ours, and nobody borrows it any more.
        unsafe { libc::munmap(self.at.as_ptr().cast(), Self::len()) };
    }
}

/// A gate that opens once: children and driver wait for each other at it.
#[derive(Debug)]
pub struct Gate(AtomicU32);

// SAFETY: one atomic.
unsafe impl Zeroed for Gate {}

impl Gate {
    pub fn open(&self) {
        self.0.store(1, SeqCst);
        // SAFETY: FUTEX_WAKE reads nothing but the address of a live word.
        unsafe { libc::syscall(libc::SYS_futex, self.0.as_ptr(), libc::FUTEX_WAKE, i32::MAX) };
    }

    pub fn is_open(&self) -> bool {
        self.0.load(SeqCst) == 1
    }

    /// Waits until the gate is open; `false` when that takes longer than any healthy run.
    #[must_use]
    pub fn wait(&self) -> bool {
        self.wait_for(Duration::from_secs(20))
    }

    /// Waits until the gate is open; `false` when `limit` passes first. Sleeps, so that the others get the processor.
    #[must_use]
    pub fn wait_for(&self, limit: Duration) -> bool {
        let begin = Instant::now();
        while !self.is_open() {
            let left = limit.saturating_sub(begin.elapsed());
            if left.is_zero() {
                return false;
            }
            let left = libc::timespec {
                tv_sec: left.as_secs() as _,
                tv_nsec: left.subsec_nanos().into(),
            };
            // SAFETY: the word and the relative time live through the call.
            unsafe {
                libc::syscall(
                    libc::SYS_futex,
                    self.0.as_ptr(),
                    libc::FUTEX_WAIT,
                    0,
                    &raw const left,
                )
            };
        }
        true
    }
}

/// Polls `condition` until it holds; `false` when `limit` passes first.
pub fn eventually(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let begin = Instant::now();
    let mut tries = 0u32;
    while !condition() {
        if begin.elapsed() > limit {
            return false;
        }
        tries += 1;
        match tries {
            0..200 => std::thread::yield_now(),
            // The pace of a poll: `condition` may be anything, which nobody announces.
            _ => std::thread::sleep(Duration::from_micros(100)),
        }
    }
    true
}
