//! What a pool shall be.

use std::sync::Arc;
use std::time::Duration;

use super::Pool;
use super::crew::Crew;
use super::frame::STOP;
use super::grant::Grant;
use super::hub::{Hub, look_after};
use super::member::Plan;
use super::owner::Owner;
use super::routine;
use crate::process::{Entry, finish_at_exit};
use crate::{Error, ErrorKind, Result};

/// Makes a [`Pool`] that differs from [`Pool::new`]'s.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// use multiproc::Pool;
///
/// let pool = Pool::builder().workers(2).name("sums").tasks_per_worker(1000).build()?;
/// assert_eq!(pool.map(|n: u64| n + 1, [1, 2, 3u64])?, [2, 3, 4]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct PoolBuilder {
    workers: Option<usize>,
    name: String,
    tasks_per_worker: u64,
    retries: u32,
    limit: u64,
    memory: Option<u64>,
    daemon: bool,
    initializer: Option<std::result::Result<u64, String>>,
}

impl PoolBuilder {
    pub(super) fn new() -> Self {
        PoolBuilder {
            workers: None,
            name: "Pool".into(),
            tasks_per_worker: 0,
            retries: 1,
            limit: Grant::ANY,
            memory: None,
            daemon: true,
            initializer: None,
        }
    }

    /// How many workers; by default as many as this process may use processors, by its affinity and its cgroup.
    pub fn workers(mut self, count: usize) -> Self {
        self.workers = Some(count);
        self
    }

    /// What the workers' names begin with; `Pool` by default. They show in `ps`, and in the texts of panics.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// How many tasks a worker runs before another one takes its place; any number by default. For functions that leak.
    pub fn tasks_per_worker(mut self, count: u64) -> Self {
        self.tasks_per_worker = count;
        self
    }

    /// How often a task of [`Pool::idempotent`] is begun again after the death of its worker; once by default, 100 times at
    /// most.
    pub fn retries(mut self, times: u32) -> Self {
        self.retries = times.min(routine::MOST_AGAIN);
        self
    }

    /// How long a task may take, from the instant at which a worker begins it; as long as it likes by default. The worker of
    /// one that takes longer is killed and replaced, and the task, and no other, fails with
    /// [`TaskError::TimedOut`](super::TaskError::TimedOut); it is not begun again. [`Pool::task_timeout`] is for some tasks only.
    pub fn task_timeout(mut self, limit: Duration) -> Self {
        self.limit = Grant::limit_of(limit);
        self
    }

    /// The most bytes of memory that each worker may have for itself, as much as there is by default; see
    /// [`memory_limit`](crate::process::Builder::memory_limit). A task that needs more ends its worker, and fails alone, with
    /// [`TaskError::WorkerDied`](super::TaskError::WorkerDied) by `SIGABRT`. Items, results and contexts where they lie do not
    /// count, copies of them do.
    pub fn worker_memory(mut self, bytes: u64) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// What becomes of a pool that is still there when this process ends normally, in a `static` for instance: by default its
    /// workers are daemons, which are terminated with whatever they have in hand; of a pool without daemons all tasks that were
    /// taken are done first. A process that is killed takes its workers with it either way.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// # multiproc::init();
    /// use std::sync::OnceLock;
    /// use multiproc::Pool;
    ///
    /// static POOL: OnceLock<Pool> = OnceLock::new();
    ///
    /// let pool = Pool::builder().workers(2).daemon(false).build()?;
    /// let pool = POOL.get_or_init(|| pool);
    /// drop(pool.apply(|text: String| println!("{text}"), ("printed before the program ends".to_string(),)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn daemon(mut self, yes: bool) -> Self {
        self.daemon = yes;
        self
    }

    /// What each worker runs before its first task, those that take the place of a dead one included. If it fails, no worker
    /// is started in that place any more, and tasks fail with [`TaskError::NotStarted`](super::TaskError::NotStarted).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// # multiproc::init();
    /// use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    ///
    /// static BASE: AtomicU64 = AtomicU64::new(0);
    ///
    /// let pool = multiproc::Pool::builder().workers(2).initializer(|| BASE.store(100, Relaxed)).build()?;
    /// assert_eq!(pool.map(|n: u64| BASE.load(Relaxed) + n, [1, 2u64])?, [101, 102]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn initializer<F, Kind>(mut self, initializer: F) -> Self
    where
        F: Entry<(), Kind>,
    {
        let named = routine::of_initializer(initializer);
        self.initializer = Some(named.map_err(|error| error.to_string()));
        self
    }

    /// Starts the workers.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for no worker at all, `NotInitialised` when `main` has not called [`init`](crate::init), and what
    /// starting a process says.
    pub fn build(self) -> Result<Pool> {
        let workers = match self.workers {
            Some(0) => {
                let text = "a pool has at least one worker";
                return Err(Error::new(ErrorKind::InvalidInput, text));
            }
            Some(count) => count,
            None => std::thread::available_parallelism().map_or(1, usize::from),
        };
        let initializer = self.initializer.unwrap_or(Ok(STOP));
        let plan = Plan {
            name: self.name,
            initializer: initializer.map_err(|text| Error::new(ErrorKind::Unsupported, text))?,
            memory: self.memory,
            share: self.tasks_per_worker,
            daemon: self.daemon,
        };
        let hub = Arc::new(Hub::new(Crew::hire(plan, workers)?)?);
        let thread = look_after(&hub)?;
        let owner = Arc::new(Owner::new(hub, workers, thread));
        if !self.daemon {
            finish_at_exit(Arc::downgrade(&owner) as _);
        }
        Ok(Pool {
            owner,
            retries: self.retries,
            grant: Grant {
                limit: self.limit,
                ..Grant::new()
            },
            chunk: None,
        })
    }
}
