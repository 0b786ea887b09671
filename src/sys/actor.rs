//! Processes for tests: forked from the test, spoken with over a socket, stopped and killed at will.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A forked process that runs one closure. Killed and reaped on drop.
///
/// The hook of [`crate::sys::atfork`] has run in it, so it shares no lock with the test.
#[derive(Debug)]
pub(crate) struct Actor {
    pid: libc::pid_t,
    line: UnixStream,
    reaped: bool,
}

/// The actor's end of the line to the test.
#[derive(Debug)]
pub(crate) struct Line(UnixStream);

impl Line {
    /// Tells the test something.
    pub(crate) fn say(&mut self, word: u8) {
        self.0.write_all(&[word]).unwrap();
    }

    /// Waits for the test's word; 0 once the test has hung up.
    pub(crate) fn hear(&mut self) -> u8 {
        let mut word = [0];
        self.0.read_exact(&mut word).map_or(0, |()| word[0])
    }

    /// Sends bytes whose number the test knows.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    /// Receives bytes whose number both know.
    pub(crate) fn receive<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }
}

impl Actor {
    /// Forks a process that runs `play` and ends, with exit code 101 if it panics.
    pub(crate) fn start(play: impl FnOnce(&mut Line)) -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        // SAFETY: the child runs ordinary code although its parent has threads. That is safe with the C library's
        // allocator, which is usable after fork; locks of other threads that it might miss would hang a test.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "fork failed");
        if pid == 0 {
            drop(ours);
            let mut line = Line(theirs);
            let done = catch_unwind(AssertUnwindSafe(|| play(&mut line)));
            // SAFETY: _exit has no precondition; the test harness must not go on in this process.
            unsafe { libc::_exit(if done.is_ok() { 0 } else { 101 }) };
        }
        Actor {
            pid,
            line: ours,
            reaped: false,
        }
    }

    /// Waits for the actor's word; 0 once it has ended.
    pub(crate) fn hear(&mut self) -> u8 {
        let mut word = [0];
        self.line.read_exact(&mut word).map_or(0, |()| word[0])
    }

    /// Tells the actor something.
    pub(crate) fn say(&mut self, word: u8) {
        self.line.write_all(&[word]).unwrap();
    }

    /// Sends bytes whose number both know.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.line.write_all(bytes).unwrap();
    }

    /// Receives bytes whose number both know.
    pub(crate) fn receive<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.line.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: i32) {
        // SAFETY: kill has no memory preconditions, and the pid is ours until it is reaped.
        assert_eq!(unsafe { libc::kill(self.pid, signal) }, 0);
    }

    /// Stops the actor where it is.
    pub(crate) fn stop(&self) {
        self.signal(libc::SIGSTOP);
        let mut status = 0;
        // SAFETY: `status` is writable.
        unsafe { libc::waitpid(self.pid, &raw mut status, libc::WUNTRACED) };
        assert!(libc::WIFSTOPPED(status));
    }

    /// Lets a stopped actor go on.
    pub(crate) fn go_on(&self) {
        self.signal(libc::SIGCONT);
    }

    /// Kills the actor and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.signal(libc::SIGKILL);
        self.reap();
    }

    /// Waits for the actor's end; its exit code, or 128 and the number of the signal that ended it.
    pub(crate) fn join(mut self) -> i32 {
        self.reap()
    }

    fn reap(&mut self) -> i32 {
        let mut status = 0;
        // SAFETY: `status` is writable.
        unsafe { libc::waitpid(self.pid, &raw mut status, 0) };
        self.reaped = true;
        if libc::WIFSIGNALED(status) {
            128 + libc::WTERMSIG(status)
        } else {
            libc::WEXITSTATUS(status)
        }
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        if !self.reaped {
            self.signal(libc::SIGKILL);
            self.reap();
        }
    }
}
