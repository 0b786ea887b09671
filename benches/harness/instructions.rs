//! Instructions counted exactly, by stepping through them.

/// The instructions of one call of `action`, in user space: the same on every run, whatever else the machine does.
///
/// # Panics
///
/// When the kernel does not allow tracing.
pub fn instructions(mut action: impl FnMut()) -> f64 {
    const CALLS: u64 = 64;
    (0..CALLS).for_each(|_| action());
    let mut steps = |calls: u64| {
        count_steps(|| {
            (0..calls).for_each(|_| action());
        })
    };
    (steps(2 * CALLS) - steps(CALLS)) as f64 / CALLS as f64
}

/// Runs `work` in a child, one instruction at a time.
fn count_steps(work: impl FnOnce()) -> u64 {
    // SAFETY: benches are single-threaded, so the child may go on as if nothing had happened.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork");
    if pid == 0 {
        // SAFETY: no pointers are passed; the parent goes on with this process once it has stopped.
        unsafe {
            libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0);
            libc::raise(libc::SIGSTOP);
        }
        work();
        // SAFETY: ends the child without running the parent's exit handlers.
        unsafe { libc::_exit(0) };
    }
    let mut steps = 0;
    while is_stopped(pid) {
        steps += 1;
        // SAFETY: the child is ours, is traced and has stopped.
        let done = unsafe { libc::ptrace(libc::PTRACE_SINGLESTEP, pid, 0, 0) };
        assert_eq!(done, 0, "ptrace");
    }
    steps
}

fn is_stopped(pid: libc::pid_t) -> bool {
    let mut status = 0;
    // SAFETY: `status` is writable, the child is ours.
    let found = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!(found, pid, "waitpid");
    libc::WIFSTOPPED(status)
}
