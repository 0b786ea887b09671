//! Which thread this is: a number that no other thread of the process has had.
//!
//! The kernel gives a thread's id again soon after its end; what a thread leaves behind under its serial is nobody
//! else's.

use crate::sys::atomic::{AtomicU64, Ordering::Relaxed};
use std::cell::Cell;

thread_local! {
    static SERIAL: Cell<u64> = const { Cell::new(NONE) };
}

/// Of the thread that was numbered last.
static LAST: AtomicU64 = AtomicU64::new(0);

const NONE: u64 = 0;
const ENDING: u64 = u64::MAX;

/// The calling thread's serial; 0 if it has none yet, or no more.
#[inline(always)]
pub(crate) fn here() -> u64 {
    SERIAL.get()
}

/// The calling thread's serial, from now on if it had none; `None` for a thread that is ending.
pub(crate) fn arrived() -> Option<u64> {
    if SERIAL.get() == NONE {
        // A count: nothing is published by it.
        SERIAL.set(LAST.fetch_add(1, Relaxed) + 1);
    }
    Some(SERIAL.get()).filter(|&serial| serial != ENDING)
}

/// The calling thread is ending: what is kept under its serial is given up, and nothing is kept any more.
pub(crate) fn ends() {
    SERIAL.set(ENDING);
}

/// In the child of a fork: the one thread that is left is another thread than it was.
pub(crate) fn forget() {
    SERIAL.set(NONE);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serials_are_distinct_and_stay() {
        let mine = arrived().unwrap();
        assert_eq!((arrived(), here()), (Some(mine), mine));
        let other = std::thread::spawn(|| arrived().unwrap());
        assert_ne!(other.join().unwrap(), mine);
    }

    #[test]
    fn who_is_forked_or_ends_is_somebody_else() {
        std::thread::spawn(|| {
            let before = arrived().unwrap();
            forget();
            assert_eq!(here(), 0);
            assert!(arrived().unwrap() > before);
            ends();
            assert_eq!(arrived(), None);
        })
        .join()
        .unwrap();
    }
}
