//! One task, and its result.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::answer::Answer;
use super::error::TaskError;
use super::hub::Hub;
use super::sink::{One, Sink};
use crate::TimedOut;

/// A task that was given to a pool by [`Pool::apply`](super::Pool::apply), and its result once that is there.
///
/// Dropping it leaves the task to itself.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// let pool = multiproc::Pool::new(2)?;
/// let sum = pool.apply(|a: u64, b: u64| a + b, (40, 2));
/// let text = pool.apply(|n: u64| n.to_string(), (7,));
/// assert_eq!(sum.get(), Ok(42));
/// assert_eq!(text.get().as_deref(), Ok("7"));
/// # Ok(())
/// # }
/// ```
#[must_use = "a task's result, and why it failed, are known from here only"]
pub struct Task<R> {
    hub: Arc<Hub>,
    sink: Arc<One<R>>,
}

impl<R: Answer> Task<R> {
    pub(super) fn new(hub: &Arc<Hub>, sink: Arc<One<R>>) -> Self {
        Task {
            hub: Arc::clone(hub),
            sink,
        }
    }

    /// Waits for the result.
    ///
    /// # Errors
    ///
    /// [`TaskError`].
    pub fn get(self) -> Result<R, TaskError> {
        self.hub.wait(None, |_| self.sink.is_settled());
        self.settled()
    }

    /// Waits for the result until `timeout` has passed; the task is given back then.
    ///
    /// # Errors
    ///
    /// The task itself when it is not over; `Ok` of a [`TaskError`] when there is no result.
    pub fn get_timeout(self, timeout: Duration) -> Result<Result<R, TaskError>, Self> {
        match self.wait_timeout(timeout) {
            Ok(()) => Ok(self.settled()),
            Err(TimedOut) => Err(self),
        }
    }

    /// Waits until the task is over, and leaves the result where it is; at most until `timeout` has passed.
    ///
    /// # Errors
    ///
    /// [`TimedOut`].
    pub fn wait_timeout(&self, timeout: Duration) -> Result<(), TimedOut> {
        let deadline = Instant::now().checked_add(timeout);
        match self.hub.wait(deadline, |_| self.sink.is_settled()) {
            true => Ok(()),
            false => Err(TimedOut),
        }
    }

    /// Whether the task is over: [`get`](Task::get) would not wait.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.sink.is_settled() || self.wait_timeout(Duration::ZERO).is_ok()
    }

    /// Cancels the task; true unless it is over already, and then [`get`](Task::get) says
    /// [`Cancelled`](TaskError::Cancelled).
    ///
    /// A task that no worker has begun is not begun. One that is being run ends with its worker, which is killed, and
    /// replaced; nothing else that the worker was to do is lost.
    pub fn cancel(&self) -> bool {
        let sink: Arc<dyn Sink> = Arc::clone(&self.sink) as _;
        self.hub.is_mine() && !self.ready() && self.hub.lock().cancel(&sink)
    }

    fn settled(&self) -> Result<R, TaskError> {
        let settled = self.sink.take();
        settled.map_or(Err(TaskError::Closed), |result| result.map_err(|e| *e))
    }
}

impl<R> fmt::Debug for Task<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").finish_non_exhaustive()
    }
}
