//! The real thing: `FUTEX_WAIT_BITSET`, `FUTEX_WAKE` and `futex_waitv`.

use super::{Unsupported, Wake, Watch};
use crate::sys::atomic::{AtomicU32, AtomicU64};
use crate::sys::clock::Deadline;
use std::ptr;

/// `futex_waitv` entry of `linux/futex.h`; the number of the call is the same on every architecture.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(
    dead_code,
    reason = "a fact of the kernel, tested here, that no floor above needs yet"
)]
struct Entry {
    value: u64,
    address: u64,
    flags: u32,
    reserved: u32,
}

#[allow(
    dead_code,
    reason = "a fact of the kernel, tested here, that no floor above needs yet"
)]
const FUTEX_32: u32 = 2;

fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// The pointer that the kernel takes for "until then", or null for "for ever".
fn until(limit: &Option<libc::timespec>) -> *const libc::timespec {
    limit.as_ref().map_or(ptr::null(), ptr::from_ref)
}

fn reason(errno: i32) -> Wake {
    match errno {
        libc::EAGAIN => Wake::Changed,
        libc::ETIMEDOUT => Wake::TimedOut,
        // EINTR, and whatever else a sandbox may invent: the caller looks again, which is always right.
        _ => Wake::Interrupted,
    }
}

const ANY: u32 = libc::FUTEX_BITSET_MATCH_ANY as u32;

pub(super) fn wait(word: &AtomicU32, expected: u32, deadline: Deadline) -> Wake {
    wait_bits(word, expected, ANY, deadline)
}

pub(super) fn wait_bits(word: &AtomicU32, expected: u32, bits: u32, deadline: Deadline) -> Wake {
    let limit = deadline.to_timespec();
    // SAFETY: `word` is a live, aligned u32 for the length of the call, `limit` is null or a valid absolute time. The
    // BITSET form takes CLOCK_MONOTONIC unless FUTEX_CLOCK_REALTIME is given; without a bit it fails.
    let done = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT_BITSET,
            expected,
            until(&limit),
            ptr::null::<u32>(),
            bits,
        )
    };
    if done == 0 {
        Wake::Woken
    } else {
        reason(errno())
    }
}

pub(super) fn wait_low(word: &AtomicU64, expected: u32, deadline: Deadline) -> Wake {
    wait(low_half(word), expected, deadline)
}

pub(super) fn wake_low(word: &AtomicU64, count: u32) -> u32 {
    wake(low_half(word), count)
}

/// The half at the word's own address, for the kernel; nothing here ever reads or writes through it.
fn low_half(word: &AtomicU64) -> &AtomicU32 {
    const { assert!(cfg!(target_endian = "little")) };
    // SAFETY: the first 4 bytes of a live, aligned word of 8; both views are atomic.
    unsafe { AtomicU32::from_ptr(word.as_ptr().cast()) }
}

pub(super) fn wake(word: &AtomicU32, count: u32) -> u32 {
    // SAFETY: `word` is a live, aligned u32; FUTEX_WAKE reads nothing but its address.
    let woken = unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, count) };
    u32::try_from(woken).unwrap_or(0)
}

pub(super) fn wake_bits(word: &AtomicU32, bits: u32) -> u32 {
    // SAFETY: `word` is a live, aligned u32, of which the kernel takes the address only; time and second word are unused.
    let woken = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAKE_BITSET,
            i32::MAX,
            ptr::null::<libc::timespec>(),
            ptr::null::<u32>(),
            bits,
        )
    };
    u32::try_from(woken).unwrap_or(0)
}

#[allow(
    dead_code,
    reason = "a fact of the kernel, tested here, that no floor above needs yet"
)]
pub(super) fn wait_several(watches: &[Watch<'_>], deadline: Deadline) -> Result<Wake, Unsupported> {
    let entries: Vec<Entry> = watches.iter().map(Entry::from).collect();
    let limit = deadline.to_timespec();
    // SAFETY: every entry names a live, aligned u32 (`watches` is borrowed for the length of the call), the length is
    // that of the array and at most the kernel's limit, and `limit` is null or a valid absolute time.
    let index = unsafe {
        libc::syscall(
            libc::SYS_futex_waitv,
            entries.as_ptr(),
            entries.len(),
            0,
            until(&limit),
            libc::CLOCK_MONOTONIC,
        )
    };
    if index >= 0 {
        return Ok(Wake::Woken);
    }
    match errno() {
        libc::ENOSYS | libc::EPERM | libc::EINVAL => Err(Unsupported),
        other => Ok(reason(other)),
    }
}

impl From<&Watch<'_>> for Entry {
    fn from(watch: &Watch<'_>) -> Self {
        Entry {
            value: u64::from(watch.expected),
            address: watch.word.as_ptr() as u64,
            flags: FUTEX_32,
            reserved: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{wait, wait_several, wake};
    use super::*;
    use crate::sys::atomic::Ordering::{Acquire, Release};
    use std::time::Duration;

    #[test]
    fn a_changed_word_does_not_sleep() {
        let word = AtomicU32::new(1);
        assert_eq!(wait(&word, 0, Deadline::NEVER), Wake::Changed);
    }

    #[test]
    fn a_deadline_ends_the_sleep() {
        let word = AtomicU32::new(0);
        let soon = Deadline::after(Duration::from_millis(1));
        while wait(&word, 0, soon) != Wake::TimedOut {}
        assert!(soon.expired());
        assert_eq!(wait(&word, 0, Deadline::NOW), Wake::TimedOut);
    }

    #[test]
    fn a_wake_reaches_the_sleeper() {
        let word = AtomicU32::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while word.load(Acquire) == 0 {
                    wait(&word, 0, Deadline::NEVER);
                }
            });
            word.store(1, Release);
            wake(&word, 1);
        });
    }

    #[test]
    fn waiting_for_several_words_ends_with_any_of_them() {
        let words = [AtomicU32::new(0), AtomicU32::new(0)];
        let watches = words.each_ref().map(|word| Watch { word, expected: 0 });
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while words[1].load(Acquire) == 0 {
                    if wait_several(&watches, Deadline::NEVER) == Err(Unsupported) {
                        return;
                    }
                }
            });
            words[1].store(1, Release);
            wake(&words[1], 1);
        });
    }

    #[test]
    fn no_words_and_too_many_words_are_unsupported() {
        let word = AtomicU32::new(0);
        let watch = Watch {
            word: &word,
            expected: 0,
        };
        assert_eq!(wait_several(&[], Deadline::NEVER), Err(Unsupported));
        assert_eq!(
            wait_several(&[watch; 129], Deadline::NEVER),
            Err(Unsupported)
        );
    }
}
