//! A process and the value it will return.

use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::process::{ChildStderr, ChildStdin, ChildStdout};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::builder::Builder;
use super::child::Child;
use super::entry::Entry;
use crate::message::Message;
use crate::sys::clock::Deadline;
use crate::{Error, ErrorKind, ExitStatus, Result};

/// A function that runs in a process of its own, and the value it will return.
///
/// [`spawn`](Process::spawn) runs the own program again (it does not fork, so threads and a large memory do no harm) and
/// lets it call a function with the arguments given. [`join`](Process::join) waits for the value.
///
/// # Who ends when
///
/// - **Dropping** a `Process` does nothing to the child: it goes on. It is reaped later, at the next `spawn` or
///   [`active_children`](super::active_children).
/// - When the **parent ends normally** (it returns from `main` or calls [`std::process::exit`]) it waits for its children
///   first, and terminates those started as [daemons](Builder::daemon).
/// - When the **parent is killed**, its children are killed at once by the kernel, and theirs, and so on. The *thread*
///   that spawned a child may end without effect on the child.
/// - A [detached](Builder::detached) child goes on in every case.
/// - **Ctrl-C** reaches parent and children alike, as they share the terminal's process group, and ends them all unless
///   they handle `SIGINT`. Whoever handles it in the parent and wants to end its children in order should handle it, for
///   example ignore it, in the entry functions too.
///
/// # What the child gets
///
/// The program's arguments, the environment and directory of its parent, and its standard streams, unless the
/// [builder](Process::builder) says otherwise; no other descriptors but those of the shared objects among its arguments.
/// No signal is blocked; handlers are back to their defaults, but ignored job-control signals (`SIGHUP`, `SIGINT`,
/// `SIGQUIT`, `SIGTSTP`, ...) stay ignored, so that `nohup` works. A child starts no thread of its own. Where std would
/// report an overflow of the stack in words, a child of the `constructor` ends by `SIGSEGV` without.
///
/// # Exit codes
///
/// 0 when the entry returned a value, 1 when it returned an error, 101 when it panicked; a code of its own when it called
/// [`std::process::exit`].
///
/// # Examples
///
/// ```
/// use multiproc::Process;
///
/// fn count(text: String) -> usize {
///     text.split_whitespace().count()
/// }
///
/// fn main() -> multiproc::Result<()> {
///     multiproc::init();
///     let words = Process::spawn(count, ("in another process".to_string(),))?;
///     assert_eq!(words.join()?, 3);
///     Ok(())
/// }
/// ```
pub struct Process<R> {
    child: Child,
    /// The parent's ends of piped standard streams.
    pipes: Mutex<[Option<OwnedFd>; 3]>,
    _returns: PhantomData<fn() -> R>,
}

impl Process<()> {
    /// Says how a process is to run before it starts.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiproc::Process;
    ///
    /// fn name() -> String {
    ///     multiproc::current_process().name().to_string()
    /// }
    ///
    /// # fn main() -> multiproc::Result<()> {
    /// # multiproc::init();
    /// let process = Process::builder().name("worker").daemon(true).spawn(name, ())?;
    /// assert_eq!(process.join()?, "worker");
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder() -> Builder {
        Builder::default()
    }
}

impl<R: Message> Process<R> {
    /// Runs `entry(args...)` in a new process.
    ///
    /// The entry is a function, or a closure that captures nothing; its arguments are a tuple of messages. Arguments and
    /// value cross as archived bytes; shared objects (queues, locks, ...) cross as handles and mean the same object there.
    ///
    /// # Errors
    ///
    /// - `NotInitialised`: `main` does not call [`init`](super::init), and the feature `constructor` is off.
    /// - `InvalidMessage`: an argument cannot be archived.
    /// - `NoSpace`, `Os`: the system has no room for another process, or none of its descriptors is free (`ulimit -n`:
    ///   each child takes two).
    /// - `Unsupported`: the entry lies in a dynamic library, or the kernel is older than 5.4.
    pub fn spawn<F, Args, Kind>(entry: F, args: Args) -> Result<Process<R>>
    where
        F: Entry<Args, Kind, Return = R>,
        Args: Message,
    {
        Builder::default().spawn(entry, args)
    }

    /// Waits for the value. Can be called again.
    ///
    /// Where standard input is a pipe that was not taken, its end is closed first: the child would wait for more.
    ///
    /// # Errors
    ///
    /// The kind says how the process ended instead; [`Failure::of`](super::Failure::of) gives the particulars.
    ///
    /// - `Failed`: the entry returned an error; its text is kept.
    /// - `Panicked`: the entry panicked; message and location are kept.
    /// - `Exited`: it ended with an exit code of its own before its entry returned.
    /// - `Signaled`: a signal ended it.
    /// - What attaching to a shared object says, when the value holds one.
    pub fn join(&self) -> Result<R> {
        drop(self.take_stdin());
        self.value(Deadline::NEVER)?
            .ok_or_else(|| self.still_runs())
    }

    /// The value, if the process has ended.
    ///
    /// # Errors
    ///
    /// As [`join`](Process::join).
    pub fn try_join(&self) -> Result<Option<R>> {
        self.value(Deadline::NOW)
    }

    /// Waits for the value, at most for `timeout`.
    ///
    /// # Errors
    ///
    /// `Timeout` when the process still runs; else as [`join`](Process::join).
    pub fn join_timeout(&self, timeout: Duration) -> Result<R> {
        self.value(Deadline::after(timeout))?
            .ok_or_else(|| self.still_runs())
    }

    /// Waits for the value, at most until `deadline`.
    ///
    /// # Errors
    ///
    /// `Timeout` when the process still runs; else as [`join`](Process::join).
    pub fn join_deadline(&self, deadline: Instant) -> Result<R> {
        self.value(Deadline::at(deadline))?
            .ok_or_else(|| self.still_runs())
    }

    fn value(&self, deadline: Deadline) -> Result<Option<R>> {
        let packed = self.child.result(deadline)?;
        packed.map(|packed| packed.unpack()).transpose()
    }

    #[cold]
    fn still_runs(&self) -> Error {
        Error::new(ErrorKind::Timeout, format!("{} still runs", self.child))
    }
}

impl<R> Process<R> {
    pub(super) fn new(child: Child, pipes: [Option<OwnedFd>; 3]) -> Self {
        Process {
            child,
            pipes: Mutex::new(pipes),
            _returns: PhantomData,
        }
    }

    /// The child apart from its value; clones of it outlive this.
    #[must_use]
    pub fn child(&self) -> &Child {
        &self.child
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.child.pid()
    }

    /// The name given to the builder, or one like `Process-1`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.child.name()
    }

    /// Whether it still runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.child.is_alive()
    }

    /// How it ended; `None` while it runs.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiproc::{ExitStatus, Process};
    ///
    /// # fn main() -> multiproc::Result<()> {
    /// # multiproc::init();
    /// let process = Process::spawn(std::thread::park, ())?;
    /// assert_eq!(process.exit_status(), None);
    /// process.terminate()?;
    /// assert!(process.join().is_err());
    /// assert_eq!(process.exit_status(), Some(ExitStatus::Signaled(15)));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.child.exit_status()
    }

    /// Asks it to end, by `SIGTERM`.
    ///
    /// # Errors
    ///
    /// As [`Child::terminate`].
    pub fn terminate(&self) -> Result<()> {
        self.child.terminate()
    }

    /// Ends it at once, by `SIGKILL`.
    ///
    /// # Errors
    ///
    /// As [`Child::kill`].
    pub fn kill(&self) -> Result<()> {
        self.child.kill()
    }

    /// The writing end of its standard input, once, where that was [piped](super::Stdio::piped).
    #[must_use]
    pub fn take_stdin(&self) -> Option<ChildStdin> {
        self.take_pipe(0).map(ChildStdin::from)
    }

    /// The reading end of its standard output, once, where that was [piped](super::Stdio::piped).
    #[must_use]
    pub fn take_stdout(&self) -> Option<ChildStdout> {
        self.take_pipe(1).map(ChildStdout::from)
    }

    /// The reading end of its standard error, once, where that was [piped](super::Stdio::piped).
    #[must_use]
    pub fn take_stderr(&self) -> Option<ChildStderr> {
        self.take_pipe(2).map(ChildStderr::from)
    }
}

impl<R> Process<R> {
    fn take_pipe(&self, stream: usize) -> Option<OwnedFd> {
        let mut pipes = self.pipes.lock().unwrap_or_else(PoisonError::into_inner);
        pipes[stream].take()
    }
}

impl<R> AsFd for Process<R> {
    /// Readable, for `poll` and its like, once the process has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.child.as_fd()
    }
}

impl<R> AsRawFd for Process<R> {
    fn as_raw_fd(&self) -> RawFd {
        self.child.as_raw_fd()
    }
}

impl<R> fmt::Debug for Process<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("child", &self.child)
            .finish_non_exhaustive()
    }
}
