//! What is done once: a word that says so, and a robust lock around the doing.
//!
//! | dies | the word says | the next one |
//! |---|---|---|
//! | before the word is set | not done; the lock is marked | recovers the lock, and does it again from the start |
//! | after it | done; the lock is marked, or free | sees that it is done, and never asks for the lock again |

use super::lock::{RawLock, Refused};
use crate::sys::atomic::{
    AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
};
use crate::sys::clock::Deadline;
use crate::sys::identity::{Oracle, Participant};
use crate::sys::seeded::seeded;
use crate::sys::step::step;

/// 1 once it is done, for ever; 0 before, as all zero bytes are.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct RawOnce {
    done: AtomicU32,
}

/// The right to do it, for as long as this is kept. Dropping it without [`finish`](Turn::finish) leaves it to the next.
pub(crate) struct Turn<'a> {
    once: &'a RawOnce,
    lock: &'a RawLock,
}

impl RawOnce {
    /// Not done.
    #[cfg(loom)]
    pub(super) fn new() -> Self {
        RawOnce {
            done: AtomicU32::new(0),
        }
    }

    /// Whether it is done, and everything that was done is seen.
    #[inline]
    pub(crate) fn is_done(&self) -> bool {
        self.done.load(Acquire) == 1 // pairs with `finish`
    }

    /// Waits for its turn; `None` if it is done by then.
    ///
    /// # Errors
    ///
    /// `Deadlock` if the calling thread has the turn already, and `TimedOut`.
    pub(crate) fn turn<'a>(
        &'a self,
        lock: &'a RawLock,
        me: Participant,
        oracle: &impl Oracle,
        deadline: Deadline,
    ) -> Result<Option<Turn<'a>>, Refused> {
        if self.is_done() {
            return Ok(None);
        }
        // Marked or not: whoever died had not finished, and what it left is written over.
        lock.recover(me, oracle, deadline)?;
        let turn = Turn { once: self, lock };
        let is_done = self.is_done() && !seeded("once-runs-twice");
        Ok((!is_done).then_some(turn))
    }
}

impl Turn<'_> {
    /// It is done.
    pub(crate) fn finish(self) {
        step("once.done");
        let order = if seeded("once-missing-release") {
            Relaxed
        } else {
            Release // pairs with `is_done`
        };
        self.once.done.store(1, order);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.lock.unlock();
    }
}

// SAFETY: repr(C), one atomic.
#[cfg(not(loom))]
unsafe impl crate::segment::layout::Layout for RawOnce {}

#[cfg(not(loom))]
const _: () = assert!(size_of::<RawOnce>() == 4);
