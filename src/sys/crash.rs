//! For tests: an operation killed before its every step, in children of their own.

use super::step;

/// Runs `work` on what `prepare` makes, in a forked child that is killed before its first step, then in one that is
/// killed before its second, and so on until one survives. After each death `check` looks at what is left.
///
/// `prepare` must have made everything that `work` would make once for the whole process: a lock that another thread
/// holds during the fork stays locked in the child for ever.
pub(crate) fn at_every_step<T>(
    prepare: impl Fn() -> T,
    work: impl Fn(&T),
    check: impl Fn(&T),
) -> u64 {
    for n in 0.. {
        let subject = prepare();
        let survived = in_child(|| {
            step::arm(n);
            work(&subject);
        });
        check(&subject);
        if survived {
            return n;
        }
    }
    unreachable!("an operation has a last step")
}

/// Whether a forked child that does `work` ends by itself.
fn in_child(work: impl FnOnce()) -> bool {
    // SAFETY: the child runs `work` and ends; the caller promised that it needs no lock of another thread. The
    // allocator's locks are taken care of by the C library.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "cannot fork");
    if child == 0 {
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        // SAFETY: _exit ends the child without running the test harness's exit handlers.
        unsafe { libc::_exit(i32::from(done.is_err())) };
    }
    let mut status = 0;
    // SAFETY: `child` is our own child and `status` is writable.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(waited, child);
    let killed = libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGKILL;
    assert!(killed || status == 0, "the child failed: {status:#x}");
    !killed
}
