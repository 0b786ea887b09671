//! What becomes of tasks that have no result.

use std::fmt;
use std::time::Duration;

use crate::process::{Failure, Panic};
use crate::{Error, ErrorKind};

/// Why a task has no result.
///
/// # Examples
///
/// ```
/// use multiproc::{Pool, TaskError};
///
/// fn picky(n: u64) -> u64 {
///     assert!(n > 2, "{n} is too small");
///     n
/// }
///
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// let pool = Pool::new(1)?;
/// match pool.apply(picky, (1,)).get() {
///     Err(TaskError::Panicked(panic)) => assert_eq!(panic.message, "1 is too small"),
///     other => panic!("{other:?}"),
/// }
/// assert_eq!(pool.apply(picky, (3,)).get(), Ok(3));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum TaskError {
    /// The function returned an error.
    #[non_exhaustive]
    Failed {
        /// The kind of the error, where it was a [`multiproc::Error`](crate::Error); else
        /// [`Failed`](crate::ErrorKind::Failed).
        kind: ErrorKind,
        /// Its text, with those of its causes.
        text: String,
    },
    /// The function panicked.
    Panicked(Panic),
    /// The worker died while it ran the task, which may have been done in part, and is not done again.
    #[non_exhaustive]
    WorkerDied {
        /// The worker's pid.
        pid: i32,
        /// The signal that ended it; `None` when it ended by itself, by `std::process::exit` for instance.
        signal: Option<i32>,
    },
    /// The task took longer than it [may](super::PoolBuilder::task_timeout); its worker was killed with it, and replaced.
    #[non_exhaustive]
    TimedOut {
        /// How long it may take.
        limit: Duration,
    },
    /// The task was [cancelled](super::Task::cancel).
    Cancelled,
    /// The pool was [closed](super::Pool::close) or [terminated](super::Pool::terminate) before the task began, or while it
    /// was run.
    Closed,
    /// The task could not be given to a worker: its function or its arguments cannot cross, or no worker can be started.
    #[non_exhaustive]
    NotStarted {
        /// The kind of what was in the way.
        kind: ErrorKind,
        /// What it was.
        text: String,
    },
}

impl TaskError {
    /// The kind of error this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            TaskError::Failed { kind, .. } | TaskError::NotStarted { kind, .. } => *kind,
            TaskError::Panicked(_) => ErrorKind::Panicked,
            TaskError::WorkerDied { signal: None, .. } => ErrorKind::Exited,
            TaskError::WorkerDied { .. } => ErrorKind::Signaled,
            TaskError::TimedOut { .. } => ErrorKind::Timeout,
            TaskError::Cancelled | TaskError::Closed => ErrorKind::Closed,
        }
    }

    #[cold]
    pub(super) fn not_started(error: &Error) -> Self {
        TaskError::NotStarted {
            kind: error.kind(),
            text: error.to_string(),
        }
    }
}

impl From<Failure> for TaskError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Failed { kind, text } => TaskError::Failed { kind, text },
            Failure::Panicked(panic) => TaskError::Panicked(panic),
            Failure::Ended(status) => TaskError::Failed {
                kind: ErrorKind::Corrupt,
                text: format!("a worker answered that it {status}"),
            },
        }
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TaskError::Failed { text, .. } => write!(f, "the task failed: {text}"),
            TaskError::Panicked(panic) => {
                let place = panic.location.as_deref().unwrap_or("an unknown place");
                write!(f, "the task panicked at {place}: {}", panic.message)
            }
            TaskError::WorkerDied { pid, signal } => {
                write!(f, "the worker with pid {pid} ")?;
                match signal {
                    Some(signal) => write!(f, "was ended by signal {signal}")?,
                    None => write!(f, "ended by itself")?,
                }
                f.write_str(" while it ran the task; mark tasks that may be run again with Pool::idempotent")
            }
            TaskError::TimedOut { limit } => write!(f, "the task took longer than {limit:?}"),
            TaskError::Cancelled => f.write_str("the task was cancelled"),
            TaskError::Closed => f.write_str("the pool was closed before the task was done"),
            TaskError::NotStarted { text, .. } => write!(f, "the task could not begin: {text}"),
        }
    }
}

impl std::error::Error for TaskError {}

impl From<TaskError> for Error {
    fn from(error: TaskError) -> Self {
        Error::new(error.kind(), error.to_string()).with_source(error)
    }
}

/// A map of which not every task has a result: the results that there are, and why there are no others.
///
/// # Examples
///
/// ```
/// use multiproc::Pool;
///
/// fn halve(n: u64) -> u64 {
///     assert!(n % 2 == 0, "{n} is odd");
///     n / 2
/// }
///
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// let error = Pool::new(2)?.map(halve, [2, 3, 4u64]).unwrap_err();
/// assert_eq!(error.results, [(0, 1), (2, 2)]);
/// assert_eq!(error.failures[0].0, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct MapError<R> {
    /// Every result, with the index of its item, in the order of the items.
    pub results: Vec<(usize, R)>,
    /// Every failure, with the index of its item, in the order of the items; at least one.
    pub failures: Vec<(usize, TaskError)>,
}

impl<R> MapError<R> {
    fn first(&self) -> Option<&(usize, TaskError)> {
        self.failures.first()
    }
}

impl<R> fmt::Display for MapError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.results.len() + self.failures.len();
        write!(f, "{} of {all} tasks have no result", self.failures.len())?;
        match self.first() {
            Some((index, error)) => write!(f, "; the first is that of item {index}: {error}"),
            None => Ok(()),
        }
    }
}

impl<R: fmt::Debug> std::error::Error for MapError<R> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.first().map(|(_, error)| error as _)
    }
}

impl<R> From<MapError<R>> for Error {
    fn from(error: MapError<R>) -> Self {
        let kind = error.first().map_or(ErrorKind::Failed, |(_, e)| e.kind());
        let text = error.to_string();
        let first = error.failures.into_iter().next();
        match first {
            Some((_, cause)) => Error::new(kind, text).with_source(cause),
            None => Error::new(kind, text),
        }
    }
}
