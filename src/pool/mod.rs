//! Floor 8: many processes, one function.
//!
//! Tasks lie in one queue, in chunks, from which whoever is free takes the next one: a worker that has nothing to do waits for
//! nobody. Each answers on a pipe of its own, task by task. A chunk stays in its worker's hand until its last task is
//! answered; when the worker dies, the queue makes it a dead letter, which the parent reads: it knows what was answered, and
//! sends out the rest.
//!
//! | a worker dies | the parent sees | the task |
//! |---|---|---|
//! | before it has begun any task of its chunk | a letter, and no task `begun` | goes out again |
//! | in a task, also before its first instruction | `begun`, and no answer | fails, or goes out again if it is [idempotent](Pool::idempotent) |
//! | behind its answer | the answer | is done |
//! | before the rest of the chunk | a letter, and how far the answers go | goes out again |
//!
//! | module | what lives there |
//! |---|---|
//! | `builder` | [`PoolBuilder`] |
//! | `maps`, `with` | one function on many items; with a context for each |
//! | `owner`, `hub` | what all handles of a pool share, and its end; who waits for answers |
//! | `crew`, `member` | all workers and what they have to do; one of them |
//! | `hearing`, `letters` | what workers answer; what the dead had in hand |
//! | `ledger`, `revoked` | the tasks that are not answered; those that are not to be run |
//! | `tempo`, `pace` | how fast answers come; how long tasks take, and how many make a chunk |
//! | `feeder`, `stream`, `task` | an input on its way; [`Results`]; [`Task`] |
//! | `sink`, `places` | where results go; those of a map |
//! | `answer`, `returned`, `shelf`, `in_place` | what a result is to its caller; one that is read where it was written: [`Returned`] |
//! | `frame`, `brief` | what goes through the queue, and back at length; short answers |
//! | `routine`, `job` | functions by name; [`Job`], [`In`] |
//! | `batch`, `fold` | several items in one task; what comes of them all, [`FoldError`] |
//! | `alongside` | a context that goes along with items |
//! | `worker`, `desk` | a worker's life, and one task of it |
//! | `grant`, `stopwatch` | what a task may cost; since when a worker has it |
//! | `error`, `progress` | [`TaskError`], [`MapError`]; [`Progress`] |

mod alongside;
mod answer;
mod batch;
mod brief;
mod builder;
mod crew;
mod desk;
mod error;
mod feeder;
mod fold;
mod frame;
mod grant;
mod hearing;
mod hub;
mod in_place;
mod job;
mod ledger;
mod letters;
mod maps;
mod member;
mod owner;
mod pace;
mod places;
mod progress;
mod returned;
mod revoked;
mod routine;
mod shelf;
mod sink;
mod stopwatch;
mod stream;
mod task;
mod tempo;
mod with;
mod worker;

pub use alongside::{AsContext, JobWith};
pub use answer::Answer;
pub use builder::PoolBuilder;
pub use error::{MapError, TaskError};
pub use fold::{FoldError, Step};
pub use job::{In, Job};
pub use progress::Progress;
pub use returned::Returned;
pub use stream::Results;
pub use task::Task;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::Result;
use crate::message::Message;
use crate::process::Entry;
use frame::Place;
use grant::Grant;
use member::Errand;
use owner::Owner;
use sink::One;

/// Processes that wait for work: functions run in them, on arguments that are given from here.
///
/// A function is one by name, or a closure that captures nothing, as for [`Process::spawn`](crate::Process::spawn); it takes
/// messages and returns one, or a `Result` of one. Arguments are written once, where the worker reads them: as [`In`] in place,
/// else as a value of the function's own. Results come as values of the caller's own, or are read where the worker wrote them,
/// as [`Returned`], by [`apply_in_place`](Pool::apply_in_place), [`map_in_place`](Pool::map_in_place) and
/// [`imap_in_place`](Pool::imap_in_place). Shared objects among arguments (a queue, a lock) are kept until the task is over;
/// one that a function makes and returns must be held by somebody until the result was taken.
///
/// # What happens when a worker dies
///
/// Another one takes its place within milliseconds, and goes on with what the dead one had waiting. The task that it was
/// running fails with [`TaskError::WorkerDied`], and no other; by [`idempotent`](Pool::idempotent) it is begun again. Results
/// that were sent are never lost, and no task is run twice without being asked to.
///
/// # End
///
/// A pool is a handle: clones are the same pool. When the last one is dropped, it waits until all tasks are done, and the
/// workers end; [`terminate`](Pool::terminate) ends them at once. They end as well when this process does, however that ends.
/// A pool is this process's alone; a worker can make one of its own.
///
/// # Examples
///
/// ```
/// use multiproc::Pool;
///
/// fn square(n: u64) -> u64 {
///     n * n
/// }
///
/// fn main() -> multiproc::Result<()> {
///     multiproc::init();
///     let pool = Pool::new(4)?;
///     println!("{:?}", pool.map(square, [1, 2, 3, 4, 5])?);    // [1, 4, 9, 16, 25]
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Pool {
    owner: Arc<Owner>,
    retries: u32,
    /// What each task of this handle may cost.
    grant: Grant,
    /// How many items of this handle's maps make a chunk; none where that goes by how long they take.
    chunk: Option<usize>,
}

impl Pool {
    /// A pool of so many workers, which are started at once.
    ///
    /// # Errors
    ///
    /// As [`PoolBuilder::build`].
    pub fn new(workers: usize) -> Result<Self> {
        Pool::builder().workers(workers).build()
    }

    /// A pool with a name, an initializer or other terms; by default with as many workers as there are processors.
    pub fn builder() -> PoolBuilder {
        PoolBuilder::new()
    }

    /// The same pool, for tasks that may be run more than once: those whose worker dies are begun again, by default
    /// [once](PoolBuilder::retries).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// # multiproc::init();
    /// use multiproc::{Pool, Value};
    ///
    /// fn unlucky_once(tries: Value<u64>) -> u64 {
    ///     if tries.fetch_add(1) == 0 {
    ///         std::process::abort();
    ///     }
    ///     tries.load()
    /// }
    ///
    /// let pool = Pool::new(1)?;
    /// let tries = Value::new(0)?;
    /// assert_eq!(pool.idempotent().apply(unlucky_once, (tries.clone(),)).get(), Ok(2));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn idempotent(&self) -> Pool {
        let mut pool = self.clone();
        pool.grant.again = self.retries;
        pool
    }

    /// The same pool, for tasks that may take so long each, from the instant at which a worker begins them, and no longer; see
    /// [`PoolBuilder::task_timeout`].
    ///
    /// In a [fold](Pool::fold) that is the time for an item.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// # multiproc::init();
    /// use std::time::Duration;
    /// use multiproc::{Pool, TaskError};
    ///
    /// fn collatz(mut n: u64) -> u64 {
    ///     let mut steps = 0;
    ///     while n != 1 {
    ///         n = if n % 2 == 0 { n / 2 } else { 3 * n + 1 };      // 0 is never 1
    ///         steps += 1;
    ///     }
    ///     steps
    /// }
    ///
    /// let pool = Pool::new(2)?;
    /// let error = pool.task_timeout(Duration::from_millis(100)).map(collatz, [27, 0]).unwrap_err();
    /// assert_eq!(error.results, [(0, 111)]);
    /// assert!(matches!(error.failures[0], (1, TaskError::TimedOut { .. })));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn task_timeout(&self, limit: Duration) -> Pool {
        let mut pool = self.clone();
        pool.grant.limit = Grant::limit_of(limit);
        pool
    }

    /// The same pool, with so many items of a map or a stream in each chunk that a worker takes, 1 at least and 32,767 at most.
    ///
    /// Without this it goes by how long the tasks take, as workers measure it: long ones go alone, short ones by the
    /// hundred, worth 30 us together at most and fewer towards the end, so that all workers end at the same time. Long
    /// arguments make small chunks whatever is asked for: of 32 KiB together, or of one. What else is said of tasks is true
    /// of each of them, whatever chunk it is in: a death costs the task in hand alone, and what is left of its chunk goes out
    /// again.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// # multiproc::init();
    /// let pool = multiproc::Pool::new(2)?;
    /// let by_tens = pool.chunk(10);
    /// assert_eq!(by_tens.map(|n: u64| n + 1, 0..100)?.len(), 100);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    #[doc(alias = "chunksize")]
    pub fn chunk(&self, items: usize) -> Pool {
        Pool {
            chunk: Some(items.clamp(1, Place::MOST)),
            ..self.clone()
        }
    }

    /// Runs `function` once, and returns at once: the result is had from the [`Task`].
    ///
    /// What cannot be begun, because the pool is closed for instance, is told there as well.
    ///
    /// # Examples
    ///
    /// See [`Task`].
    #[doc(alias = "submit")]
    pub fn apply<F, Args, Kind>(&self, function: F, arguments: Args) -> Task<F::Return>
    where
        F: Entry<Args, Kind>,
        F::Return: Send,
        Args: Message,
    {
        self.begin(routine::of_many::<F, Args, Kind>(function), &arguments)
    }

    /// Has a task begun; what goes wrong is its own failure.
    fn begin<R: Answer, Args: Message>(&self, routine: Result<u64>, arguments: &Args) -> Task<R> {
        let hub = &self.owner.hub;
        let one = Arc::new(One::new());
        let errand = Errand {
            sink: Arc::clone(&one) as _,
            index: 0,
            again: self.grant.again,
            limit: self.grant.limit,
        };
        let taken = hub.ready().and_then(|mut crew| {
            let taken = routine.and_then(|routine| crew.take(routine, arguments, &errand));
            taken.map_err(|error| TaskError::not_started(&error))
        });
        match taken {
            Ok(()) => hub.remind(self.grant),
            Err(error) => errand.sink.fail(errand.index, error),
        }
        Task::new(hub, one)
    }

    /// How far the pool is: for a progress bar, and for whoever wants to know what the dead have cost.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.owner.hub.lock().progress
    }

    /// The pids of the workers that run now.
    #[must_use]
    pub fn pids(&self) -> Vec<i32> {
        let crew = self.owner.hub.lock();
        let processes = crew.members().iter().filter_map(|m| m.process());
        processes.map(crate::Process::pid).collect()
    }

    /// Takes no more tasks: they fail with [`TaskError::Closed`]. Those that were taken are done.
    pub fn close(&self) {
        self.owner.close();
    }

    /// Takes no more tasks, and waits until all that were taken are done and the workers have ended. Dropping the last handle
    /// of a pool does the same.
    pub fn join(self) {
        self.owner.close();
        self.owner.join();
    }

    /// Ends all workers at once (`SIGKILL`). Tasks that are not over fail with [`TaskError::Closed`].
    pub fn terminate(&self) {
        self.owner.hub.lock().terminate();
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("pids", &self.pids()).finish()
    }
}
