//! Forked processes that may be killed at any instant.

use std::io;
use std::time::{Duration, Instant};

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It returned or exited with this code; a panic is [`PANICKED`].
    Exited(i32),
    /// A signal ended it.
    Signaled(i32),
    /// It was still running when the time was up, and has been killed since.
    Hung,
}

/// The exit code of a child whose closure panicked.
pub const PANICKED: i32 = 101;

impl End {
    /// Whether `SIGKILL` ended it.
    pub fn killed(self) -> bool {
        self == End::Signaled(libc::SIGKILL)
    }
}

/// A forked child; dropping it kills and reaps it.
#[derive(Debug)]
pub struct Child {
    pid: libc::pid_t,
    reaped: bool,
}

impl Child {
    /// Runs `body` in a forked child, which ends with the code that it returns.
    ///
    /// The caller must have one thread only and must not itself be a member of what the child is going to join: a
    /// descriptor that a child inherits keeps its parent's byte locks, and so keeps the dead looking alive.
    pub fn fork(body: impl FnOnce() -> i32) -> Child {
        // SAFETY: this process has one thread, so the child finds every lock free and may run anything.
        match unsafe { libc::fork() } {
            -1 => panic!("fork: {}", io::Error::last_os_error()),
            0 => {
                // A driver that is killed takes its children with it.
                // SAFETY: prctl with a number for its argument touches no memory.
                unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
                let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
                // SAFETY: ends this child without running the destructors it inherited from its parent.
                unsafe { libc::_exit(code.unwrap_or(PANICKED)) }
            }
            pid => Child { pid, reaped: false },
        }
    }

    pub fn pid(&self) -> i32 {
        self.pid
    }

    pub fn signal(&self, signal: i32) {
        if !self.reaped {
            // SAFETY: the child is not reaped yet, so its pid is still its own.
            unsafe { libc::kill(self.pid, signal) };
        }
    }

    /// Kills the child and waits until the kernel has taken it apart.
    pub fn kill(&mut self) -> End {
        self.signal(libc::SIGKILL);
        self.wait(Duration::from_secs(20))
    }

    /// Stops the child and returns when it stands still.
    pub fn stop(&self) {
        self.signal(libc::SIGSTOP);
        let mut status = 0;
        // SAFETY: `status` lives through the call; WUNTRACED reports the stop and does not reap.
        unsafe { libc::waitpid(self.pid, &mut status, libc::WUNTRACED) };
    }

    pub fn resume(&self) {
        self.signal(libc::SIGCONT);
    }

    /// Its end, if it has ended.
    pub fn poll(&mut self) -> Option<End> {
        let mut status = 0;
        // SAFETY: `status` lives through the call.
        let pid = unsafe { libc::waitpid(self.pid, &mut status, libc::WNOHANG) };
        (pid == self.pid).then(|| self.ended(status))
    }

    /// Waits for the end; a child that outlives `limit` is killed and reported as hung.
    pub fn wait(&mut self, limit: Duration) -> End {
        let begin = Instant::now();
        if let Some(end) = self.wait_until(begin + limit) {
            return end;
        }
        self.signal(libc::SIGKILL);
        self.wait_until(Instant::now() + Duration::from_secs(20));
        End::Hung
    }

    fn wait_until(&mut self, limit: Instant) -> Option<End> {
        let ended = super::child::pidfd(self.pid);
        loop {
            if let Some(end) = self.poll() {
                return Some(end);
            }
            let left = limit.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            readable(&ended, left);
        }
    }

    fn ended(&mut self, status: i32) -> End {
        self.reaped = true;
        if libc::WIFSIGNALED(status) {
            End::Signaled(libc::WTERMSIG(status))
        } else {
            End::Exited(libc::WEXITSTATUS(status))
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.reaped {
            self.kill();
        }
    }
}

fn pidfd(pid: libc::pid_t) -> std::os::fd::OwnedFd {
    use std::os::fd::FromRawFd;
    // SAFETY: pidfd_open has no memory preconditions.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    assert!(fd >= 0, "pidfd_open: {}", io::Error::last_os_error());
    // SAFETY: the kernel just gave us this descriptor and nobody else has it.
    unsafe { std::os::fd::OwnedFd::from_raw_fd(fd as i32) }
}

fn readable(fd: &std::os::fd::OwnedFd, limit: Duration) {
    use std::os::fd::AsRawFd;
    let mut poll = libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    let ms = limit.as_millis().min(60_000) as i32 + 1;
    // SAFETY: `poll` is one valid pollfd and lives through the call.
    unsafe { libc::poll(&mut poll, 1, ms) };
}
