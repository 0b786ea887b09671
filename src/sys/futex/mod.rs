//! Sleeping on a word of shared memory until another process wakes it.
//!
//! Always the shared form: a private futex is keyed by address space and would miss the other process.

use crate::sys::atomic::{AtomicU32, AtomicU64};
use crate::sys::clock::Deadline;
use crate::sys::step::step;

#[cfg(not(loom))]
mod kernel;
#[cfg(loom)]
mod model;
#[cfg(loom)]
use model as kernel;

/// Why a sleep ended. Every reason may be spurious: the caller looks at its predicate again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// Somebody woke the word.
    Woken,
    /// The word did not hold the expected value; nobody slept.
    Changed,
    /// The deadline passed.
    TimedOut,
    /// A signal handler ran.
    Interrupted,
}

/// A word and the value it must hold for the sleep to begin.
#[derive(Clone, Copy, Debug)]
#[allow(
    dead_code,
    reason = "a fact of the kernel, tested here, that no floor above needs yet"
)]
pub(crate) struct Watch<'a> {
    pub(crate) word: &'a AtomicU32,
    pub(crate) expected: u32,
}

/// The kernel cannot wait for this many words at once, or for more than one at all.
///
/// The caller sleeps on one of them in short slices instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    dead_code,
    reason = "a fact of the kernel, tested here, that no floor above needs yet"
)]
pub(crate) struct Unsupported;

/// The most words that [`wait_several`] takes, a limit of the kernel.
#[allow(
    dead_code,
    reason = "a fact of the kernel, tested here, that no floor above needs yet"
)]
pub(crate) const MAX_WATCHES: usize = 128;

/// Sleeps while `word` holds `expected`, until woken or until `deadline`.
pub(crate) fn wait(word: &AtomicU32, expected: u32, deadline: Deadline) -> Wake {
    if deadline == Deadline::NOW {
        return Wake::TimedOut;
    }
    step("futex.wait");
    kernel::wait(word, expected, deadline)
}

/// Wakes at most `count` sleepers of `word` and returns how many there were.
pub(crate) fn wake(word: &AtomicU32, count: u32) -> u32 {
    step("futex.wake");
    kernel::wake(word, count)
}

/// As [`wait`], for a [`wake_bits`] with one of these bits; those of others do not disturb the sleep.
pub(crate) fn wait_bits(word: &AtomicU32, expected: u32, bits: u32, deadline: Deadline) -> Wake {
    if deadline == Deadline::NOW {
        return Wake::TimedOut;
    }
    step("futex.wait_bits");
    kernel::wait_bits(word, expected, bits, deadline)
}

/// Wakes every sleeper of `word` that waits for one of these bits, and returns how many there were.
pub(crate) fn wake_bits(word: &AtomicU32, bits: u32) -> u32 {
    step("futex.wake_bits");
    kernel::wake_bits(word, bits)
}

/// As [`wait`], on the low half of a word of 64 bits: the half that the kernel knows.
pub(crate) fn wait_low(word: &AtomicU64, expected: u32, deadline: Deadline) -> Wake {
    if deadline == Deadline::NOW {
        return Wake::TimedOut;
    }
    step("futex.wait_low");
    kernel::wait_low(word, expected, deadline)
}

/// As [`wake`], for sleepers on the low half of a word of 64 bits.
pub(crate) fn wake_low(word: &AtomicU64, count: u32) -> u32 {
    step("futex.wake_low");
    kernel::wake_low(word, count)
}

/// Wakes every sleeper of `word`.
#[allow(
    dead_code,
    reason = "a fact of the kernel, tested here, that no floor above needs yet"
)]
pub(crate) fn wake_all(word: &AtomicU32) -> u32 {
    wake(word, i32::MAX as u32)
}

/// Sleeps while every word holds its expected value, until one is woken or until `deadline`.
#[allow(
    dead_code,
    reason = "a fact of the kernel, tested here, that no floor above needs yet"
)]
pub(crate) fn wait_several(watches: &[Watch<'_>], deadline: Deadline) -> Result<Wake, Unsupported> {
    if watches.is_empty() || watches.len() > MAX_WATCHES {
        return Err(Unsupported);
    }
    if deadline == Deadline::NOW {
        return Ok(Wake::TimedOut);
    }
    step("futex.wait_several");
    kernel::wait_several(watches, deadline)
}
