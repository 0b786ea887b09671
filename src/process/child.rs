//! A child of this process, whatever it runs.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::failure::Failure;
use super::family;
use super::handed::Handed;
use super::launch::{Launch, Progress};
use crate::message::Packed;
use crate::sys::clock::Deadline;
use crate::sys::poll;
use crate::sys::process::{self, Spawned};
use crate::{Error, ErrorKind, ExitStatus, Result};

/// A child of the calling process, apart from what its entry returns.
///
/// [`active_children`](super::active_children) and [`Process::child`](super::Process::child) give it. Clones stand for
/// the same child. Its descriptor, [`AsFd`], becomes readable for `poll` and its like when the process has ended.
#[derive(Clone)]
pub struct Child {
    inner: Arc<Inner>,
}

struct Inner {
    pid: i32,
    pidfd: OwnedFd,
    name: String,
    daemon: bool,
    detached: bool,
    launch: Launch,
    end: Mutex<End>,
}

/// What is known about the end of a child, and what is kept until then.
struct End {
    status: Option<ExitStatus>,
    handed: Handed,
}

/// What [`Child::new`] needs to know.
pub(super) struct Start {
    pub(super) spawned: Spawned,
    pub(super) name: String,
    pub(super) daemon: bool,
    pub(super) detached: bool,
    pub(super) launch: Launch,
    pub(super) handed: Handed,
}

impl Child {
    pub(super) fn new(start: Start) -> Self {
        let inner = Inner {
            pid: start.spawned.pid,
            pidfd: start.spawned.pidfd,
            name: start.name,
            daemon: start.daemon,
            detached: start.detached,
            launch: start.launch,
            end: Mutex::new(End {
                status: None,
                handed: start.handed,
            }),
        };
        Child {
            inner: Arc::new(inner),
        }
    }

    /// The process id. It means this child as long as the child runs or has not been waited for.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.inner.pid
    }

    /// The name given to the builder, or one like `Process-1`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Whether it is terminated, rather than waited for, when this process ends.
    #[must_use]
    pub fn is_daemon(&self) -> bool {
        self.inner.daemon
    }

    /// Whether it goes on when this process ends.
    #[must_use]
    pub fn is_detached(&self) -> bool {
        self.inner.detached
    }

    /// Whether it still runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        matches!(self.wait_until(Deadline::NOW), Ok(None))
    }

    /// How it ended; `None` while it runs, and when somebody else has taken its status.
    #[must_use]
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.wait_until(Deadline::NOW).ok().flatten()
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    ///
    /// `Os` when its status was taken by another part of the program (`waitpid(-1)`, an ignored `SIGCHLD`) and it left
    /// no result either.
    pub fn wait(&self) -> Result<ExitStatus> {
        self.wait_until(Deadline::NEVER)?.ok_or_else(timed_out)
    }

    /// Waits until it has ended, at most for `timeout`.
    ///
    /// # Errors
    ///
    /// `Timeout` when it still runs; else as [`wait`](Child::wait).
    pub fn wait_timeout(&self, timeout: Duration) -> Result<ExitStatus> {
        self.wait_until(Deadline::after(timeout))?
            .ok_or_else(timed_out)
    }

    /// Waits until it has ended, at most until `deadline`.
    ///
    /// # Errors
    ///
    /// `Timeout` when it still runs; else as [`wait`](Child::wait).
    pub fn wait_deadline(&self, deadline: Instant) -> Result<ExitStatus> {
        self.wait_until(Deadline::at(deadline))?
            .ok_or_else(timed_out)
    }

    /// Asks it to end, by `SIGTERM`. Its destructors do not run, and nothing that it holds is lost: the others repair it.
    ///
    /// # Errors
    ///
    /// `PermissionDenied` when it has taken on another user's rights. That it has ended already is no error.
    pub fn terminate(&self) -> Result<()> {
        self.signal(process::SIGTERM)
    }

    /// Ends it at once, by `SIGKILL`.
    ///
    /// # Errors
    ///
    /// `PermissionDenied` when it has taken on another user's rights. That it has ended already is no error.
    pub fn kill(&self) -> Result<()> {
        self.signal(process::SIGKILL)
    }

    /// Stops it, and returns when it stands still, or has ended.
    pub(crate) fn stop(&self) -> Result<()> {
        let done = process::stop(self.inner.pidfd.as_fd());
        done.map_err(|cause| Error::os(format_args!("cannot stop {self}"), cause))
    }

    /// Lets it go on after [`stop`](Child::stop).
    pub(crate) fn go_on(&self) -> Result<()> {
        let done = process::go_on(self.inner.pidfd.as_fd());
        done.map_err(|cause| Error::os(format_args!("cannot signal {self}"), cause))
    }

    fn signal(&self, signal: i32) -> Result<()> {
        let sent = process::signal(self.inner.pidfd.as_fd(), signal);
        sent.map(drop)
            .map_err(|cause| Error::os(format_args!("cannot signal {self}"), cause))
    }

    /// What the entry returned, once it has ended; `None` at the deadline.
    pub(super) fn result(&self, deadline: Deadline) -> Result<Option<Packed>> {
        let Some(status) = self.wait_until(deadline)? else {
            return Ok(None);
        };
        let outcome = match self.inner.launch.outcome()? {
            Some(report) => report.into_value(),
            None if !self.inner.launch.has(Progress::Started) => return Err(self.not_begun(status)),
            None => Err(Failure::Ended(status)),
        };
        outcome
            .map(Some)
            .map_err(|failure| failure.into_error(self.name(), self.pid()))
    }

    /// The program ended in its own ways before it could become a child.
    #[cold]
    fn not_begun(&self, status: ExitStatus) -> Error {
        let hint = match status {
            ExitStatus::Exited(_) => "before it reached multiproc::init(); call that first in main",
            ExitStatus::Signaled(_) => "before it began",
        };
        let verb = if status.code().is_some() { "" } else { "was " };
        let failure = Failure::Ended(status);
        Error::new(failure.kind(), format!("{self} {verb}{status} {hint}")).with_source(failure)
    }

    /// How it ended; `None` at the deadline. Whoever sees the end first reaps it and lets the survivors know.
    pub(super) fn wait_until(&self, deadline: Deadline) -> Result<Option<ExitStatus>> {
        let failed = |cause| Error::os(format_args!("cannot wait for {self}"), cause);
        if let Some(status) = self.lock().status {
            return Ok(Some(status));
        }
        // Without the lock, so that others may ask meanwhile; the end can be awaited by any number of threads.
        if !poll::wait(self.inner.pidfd.as_fd(), deadline).map_err(failed)? {
            self.release_handed();
            return Ok(None);
        }
        let mut end = self.lock();
        if end.status.is_none() {
            let status = match process::reap(self.inner.pidfd.as_fd()) {
                Ok(status) => status,
                Err(_) => Some(self.status_from_outcome()?),
            };
            end.status = status;
            let handed = std::mem::take(&mut end.handed);
            drop(end);
            self.settle(status, handed);
            return Ok(status);
        }
        Ok(end.status)
    }

    /// Cleans up after the end of the child, once.
    fn settle(&self, status: Option<ExitStatus>, handed: Handed) {
        // Whoever left in order has given up its place everywhere itself.
        let in_order = status.is_some_and(ExitStatus::success) && self.inner.launch.is_committed();
        if !in_order {
            handed.sweep();
        }
        family::forget(self);
    }

    /// Gives up what was kept alive for the child, once the child holds it itself.
    pub(super) fn release_handed(&self) {
        let mut end = self.lock();
        if end.handed.is_kept() && self.inner.launch.has(Progress::Attached) {
            let released = end.handed.release();
            drop(end);
            drop(released); // may end in repairs of its own, so not under the lock
        }
    }

    /// The status of a child that somebody else has reaped, as far as its result tells.
    #[cold]
    fn status_from_outcome(&self) -> Result<ExitStatus> {
        match self.inner.launch.outcome()? {
            Some(report) => Ok(ExitStatus::Exited(report.exit_code())),
            None => {
                let text = format!(
                    "the exit status of {self} was taken by another part of the program; let nothing else wait for \
                     all children, and do not ignore SIGCHLD"
                );
                Err(Error::new(ErrorKind::Os, text))
            }
        }
    }

    /// Whether nobody but the family's own list knows this child any more.
    pub(super) fn is_abandoned(&self) -> bool {
        Arc::strong_count(&self.inner) == 1
    }

    pub(super) fn is(&self, other: &Child) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, End> {
        self.inner
            .end
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn timed_out() -> Error {
    Error::new(ErrorKind::Timeout, "the process still runs")
}

impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.pidfd.as_fd()
    }
}

impl AsRawFd for Child {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.pidfd.as_raw_fd()
    }
}

impl fmt::Display for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {:?} (pid {})", self.name(), self.pid())
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child")
            .field("name", &self.name())
            .field("pid", &self.pid())
            .field("status", &self.lock().status)
            .finish()
    }
}
