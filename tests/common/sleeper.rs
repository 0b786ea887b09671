//! Threads that are known to sleep before the test goes on.

use std::sync::mpsc;
use std::thread::{Scope, ScopedJoinHandle};

/// Starts a thread that is about to block in `body`, and returns once the kernel says that it sleeps at a futex.
pub fn asleep<'scope, R: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    body: impl FnOnce() -> R + Send + 'scope,
) -> ScopedJoinHandle<'scope, R> {
    let (tell, told) = mpsc::channel();
    let thread = scope.spawn(move || {
        // SAFETY: gettid has no precondition.
        tell.send(unsafe { libc::gettid() })
            .expect("somebody listens");
        drop(tell);
        body()
    });
    let tid = told.recv().expect("the thread says who it is");
    // The number of the system call that it is in, or `running`.
    let call = || std::fs::read_to_string(format!("/proc/self/task/{tid}/syscall"));
    let futex = libc::SYS_futex.to_string();
    while !thread.is_finished() {
        match call() {
            Ok(text) if text.split(' ').next() == Some(&futex) => break,
            Ok(_) => std::thread::yield_now(),
            Err(_) => break, // a kernel that does not tell
        }
    }
    thread
}
