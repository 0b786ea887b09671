//! Crash points: every shared-memory step of every operation passes through `step`.
//!
//! In release builds the call compiles to nothing. In debug builds a driver can count the steps of an operation and
//! end the process just before step *n*, for every *n*.

/// Marks the instant before a shared-memory store, compare-and-swap or futex call.
#[inline(always)]
pub(crate) fn step(name: &'static str) {
    #[cfg(all(debug_assertions, not(loom)))]
    armed::pass(name);
    #[cfg(loom)]
    model::pass();
    #[cfg(any(not(debug_assertions), loom))]
    let _ = name;
}

/// In a model a thread dies by unwinding to whoever started it; the model then does what the kernel does.
#[cfg(loom)]
pub(crate) mod model {
    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    struct Died;

    loom::thread_local! {
        static LEFT: Cell<i64> = Cell::new(-1);
    }

    /// Runs `actor` until just before its `n`-th step; `None` if it died there.
    pub(crate) fn until_step<R>(n: i64, actor: impl FnOnce() -> R) -> Option<R> {
        LEFT.with(|left| left.set(n));
        let outcome = catch_unwind(AssertUnwindSafe(actor));
        LEFT.with(|left| left.set(-1));
        match outcome {
            Ok(result) => Some(result),
            Err(payload) if payload.is::<Died>() => None,
            Err(payload) => resume_unwind(payload),
        }
    }

    pub(super) fn pass() {
        let left = LEFT.with(|left| left.replace(left.get().saturating_sub(1).max(-1)));
        if left == 0 {
            resume_unwind(Box::new(Died));
        }
    }
}

#[cfg(all(debug_assertions, not(loom)))]
pub use armed::{arm, count, passed};

#[cfg(all(debug_assertions, not(loom)))]
mod armed {
    use crate::sys::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

    /// Steps left before the process ends; negative: not armed.
    static LEFT: AtomicI64 = AtomicI64::new(-1);
    static PASSED: AtomicU64 = AtomicU64::new(0);

    /// Ends this process by `SIGKILL` just before its `n`-th step from now (0 is the very next one).
    pub fn arm(n: u64) {
        LEFT.store(n as i64, Relaxed);
    }

    /// Starts counting steps from zero without ending the process.
    pub fn count() {
        LEFT.store(-1, Relaxed);
        PASSED.store(0, Relaxed);
    }

    /// The number of steps passed since [`count`].
    #[must_use]
    pub fn passed() -> u64 {
        PASSED.load(Relaxed)
    }

    pub(super) fn pass(name: &'static str) {
        PASSED.fetch_add(1, Relaxed);
        if LEFT.load(Relaxed) >= 0 && LEFT.fetch_sub(1, Relaxed) == 0 {
            die(name);
        }
    }

    #[cold]
    fn die(name: &'static str) -> ! {
        if std::env::var_os("MULTIPROC_TRACE_CRASH").is_some() {
            eprintln!("crash point: {name}");
        }
        // SAFETY: kill and getpid have no memory preconditions; SIGKILL to ourselves ends the process here.
        unsafe {
            libc::kill(libc::getpid(), libc::SIGKILL);
        }
        loop {
            crate::sys::atomic::spin_loop();
        }
    }
}
