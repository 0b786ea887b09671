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
//! | `owner`, `hub` | what all handles of a pool share, and its end; who waits for answers |
//! | `crew`, `member` | all workers and what they have to do; one of them |
//! | `hearing`, `letters` | what workers answer; what the dead had in hand |
//! | `ledger`, `revoked` | the tasks that are not answered; those that are not to be run |
//! | `tempo`, `pace` | how fast answers come; how long tasks take, and how many make a chunk |
//! | `feeder`, `stream`, `task` | an input on its way; [`Results`]; [`Task`] |
//! | `sink`, `places` | where results go; those of a map |
//! | `frame`, `brief` | what goes through the queue, and back at length; short answers |
//! | `routine`, `job` | functions by name; [`Job`], [`In`] |
//! | `batch`, `fold` | several items in one task; what comes of them all, [`FoldError`] |
//! | `alongside`, `with` | a context that goes along with items; the maps that have one |
//! | `worker`, `desk` | a worker's life, and one task of it |
//! | `grant`, `stopwatch` | what a task may cost; since when a worker has it |
//! | `error`, `progress` | [`TaskError`], [`MapError`]; [`Progress`] |

mod alongside;
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
mod job;
mod ledger;
mod letters;
mod member;
mod owner;
mod pace;
mod places;
mod progress;
mod revoked;
mod routine;
mod sink;
mod stopwatch;
mod stream;
mod task;
mod tempo;
mod with;
mod worker;

pub use alongside::{AsContext, JobWith};
pub use builder::PoolBuilder;
pub use error::{MapError, TaskError};
pub use fold::{FoldError, Step};
pub use job::{In, Job};
pub use progress::Progress;
pub use stream::Results;
pub use task::Task;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::Result;
use crate::message::{Encode, Message};
use crate::process::Entry;
use feeder::Feeder;
use frame::{Frame, Place};
use grant::Grant;
use member::Errand;
use owner::Owner;
use sink::{All, One, Sink, Stream};

/// Processes that wait for work: functions run in them, on arguments that are given from here.
///
/// A function is one by name, or a closure that captures nothing, as for [`Process::spawn`](crate::Process::spawn); it takes
/// messages and returns one, or a `Result` of one. Arguments are written once, where the worker reads them: as [`In`] in place,
/// else as a value of the function's own. Shared objects
/// among them (a queue, a lock) are kept until the task is over; one that a function makes and returns must be held by
/// somebody until the result was taken.
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

    /// Runs `function` on every item, and gives the results in the order of the items.
    ///
    /// Items are whatever archives as the function's argument: `["a", "b"]` for `String`. All tasks are run, whether others
    /// fail or not.
    ///
    /// # Errors
    ///
    /// [`MapError`] if any task has no result: it has all others.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// # multiproc::init();
    /// let pool = multiproc::Pool::new(2)?;
    /// let lengths = pool.map(|word: String| word.len() as u64, ["one", "three"])?;
    /// assert_eq!(lengths, [3, 5]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn map<F, A, I, Kind>(
        &self,
        function: F,
        items: I,
    ) -> std::result::Result<Vec<F::Return>, MapError<F::Return>>
    where
        F: Job<A, Kind>,
        F::Return: Send,
        A: Message,
        I: IntoIterator<Item: Encode<A>>,
    {
        self.run_all(routine::of_one::<F, A, Kind>(function), items.into_iter())
    }

    /// As [`map`](Pool::map), but stops at the first task that has no result: no other is begun then.
    ///
    /// # Errors
    ///
    /// [`MapError`] with the results of all items before that one.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// # multiproc::init();
    /// fn check(n: u64) -> std::io::Result<u64> {
    ///     if n < 10 { Ok(n) } else { Err(std::io::Error::other("too large")) }
    /// }
    ///
    /// let error = multiproc::Pool::new(2)?.try_map(check, 0..1_000_000_000).unwrap_err();
    /// assert_eq!((error.results.len(), error.failures[0].0), (10, 10));
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_map<F, A, I, Kind>(
        &self,
        function: F,
        items: I,
    ) -> std::result::Result<Vec<F::Return>, MapError<F::Return>>
    where
        F: Job<A, Kind>,
        F::Return: Send,
        A: Message,
        I: IntoIterator<Item: Encode<A>>,
    {
        let mut results = Vec::new();
        for result in self.imap(function, items) {
            match result {
                Ok(result) => results.push(result),
                Err(failure) => {
                    return Err(MapError {
                        failures: vec![(results.len(), failure)],
                        results: results.into_iter().enumerate().collect(),
                    });
                }
            }
        }
        Ok(results)
    }

    /// Runs `function` on every item for what it does, not for what it returns, which is thrown away.
    ///
    /// # Errors
    ///
    /// [`MapError`], without results, if any task failed; all were run.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// # multiproc::init();
    /// let pool = multiproc::Pool::new(2)?;
    /// let queue = multiproc::Queue::<u64>::new(100)?;
    /// let items = (0..50).map(|n| (n, queue.clone()));
    /// pool.for_each(|(n, queue): (u64, multiproc::Queue<u64>)| queue.put(n).is_ok(), items)?;
    /// assert_eq!(queue.len(), 50);
    /// # Ok(())
    /// # }
    /// ```
    pub fn for_each<F, A, I, Kind>(
        &self,
        function: F,
        items: I,
    ) -> std::result::Result<(), MapError<()>>
    where
        F: Job<A, Kind>,
        F::Return: Send,
        A: Message,
        I: IntoIterator<Item: Encode<A>>,
    {
        failures_of(self.imap(function, items))
    }

    /// As [`map`](Pool::map), for a function of several arguments and items that are tuples of them.
    ///
    /// # Errors
    ///
    /// As [`map`](Pool::map).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// # multiproc::init();
    /// let pool = multiproc::Pool::new(2)?;
    /// let powers = pool.starmap(|base: u64, power: u32| base.pow(power), [(2, 10), (3, 2)])?;
    /// assert_eq!(powers, [1024, 9]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn starmap<F, Args, I, Kind>(
        &self,
        function: F,
        items: I,
    ) -> std::result::Result<Vec<F::Return>, MapError<F::Return>>
    where
        F: Entry<Args, Kind>,
        F::Return: Send,
        Args: Message,
        I: IntoIterator<Item: Encode<Args>>,
    {
        let routine = routine::of_many::<F, Args, Kind>(function);
        self.run_all(routine, items.into_iter())
    }

    fn run_all<R, A, I>(
        &self,
        routine: Result<u64>,
        items: I,
    ) -> std::result::Result<Vec<R>, MapError<R>>
    where
        R: Message + Send,
        A: Message,
        I: Iterator<Item: Encode<A>>,
    {
        let hub = &self.owner.hub;
        let all = Arc::new(All::new());
        let sink: Arc<dyn Sink> = Arc::clone(&all) as _;
        let mut feeder = Feeder::<A, _>::new(routine, items, self.grant, self.chunk);
        loop {
            feeder.feed(hub, &sink, usize::MAX, |count| all.expect(count));
            if feeder.is_empty() {
                break;
            }
            hub.wait_for_many(|crew| feeder.has_room(crew, usize::MAX));
        }
        hub.wait_for_many(|_| all.settled() as u64 == feeder.given());
        all.take()
    }

    /// Runs `function` on every item, and gives the results as they are taken, in the order of the items.
    ///
    /// Items are taken from the input as there is room for them, some thousand ahead at most.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// # multiproc::init();
    /// let pool = multiproc::Pool::new(2)?;
    /// let mut squares = pool.imap(|n: u64| n * n, 1..);                // without an end
    /// assert_eq!(squares.next(), Some(Ok(1)));
    /// assert_eq!(squares.flatten().find(|n| *n > 50), Some(64));
    /// # Ok(())
    /// # }
    /// ```
    pub fn imap<F, A, I, Kind>(&self, function: F, items: I) -> Results<F::Return, A, I::IntoIter>
    where
        F: Job<A, Kind>,
        F::Return: Send,
        A: Message,
        I: IntoIterator<Item: Encode<A>>,
    {
        let routine = routine::of_one::<F, A, Kind>(function);
        let feeder = Feeder::new(routine, items.into_iter(), self.grant, self.chunk);
        Results::new(&self.owner, feeder, Stream::new(true))
    }

    /// As [`imap`](Pool::imap), but in the order in which the results come.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// # multiproc::init();
    /// let pool = multiproc::Pool::new(2)?;
    /// let sum: u64 = pool.imap_unordered(|n: u64| n * n, 1..=100u64).flatten().sum();
    /// assert_eq!(sum, 338_350);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "map_unordered")]
    pub fn imap_unordered<F, A, I, Kind>(
        &self,
        function: F,
        items: I,
    ) -> Results<F::Return, A, I::IntoIter>
    where
        F: Job<A, Kind>,
        F::Return: Send,
        A: Message,
        I: IntoIterator<Item: Encode<A>>,
    {
        let routine = routine::of_one::<F, A, Kind>(function);
        let feeder = Feeder::new(routine, items.into_iter(), self.grant, self.chunk);
        Results::new(&self.owner, feeder, Stream::new(false))
    }

    /// Runs `function` on every item, and has `each` look at every result where it lies, with the index of its item: in the
    /// order of the items, in the calling thread.
    ///
    /// The bytes of a result are copied once, out of the worker's pipe, so that the worker can go on, and nothing is unpacked:
    /// for results with many parts, of which few are looked at. `each` may use the pool.
    ///
    /// # Errors
    ///
    /// [`MapError`], without results, if any task failed; all were run.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// # multiproc::init();
    /// fn words(line: String) -> Vec<String> {
    ///     line.split_whitespace().map(Into::into).collect()
    /// }
    ///
    /// let lines = ["to be or not to be", "that is the question"];
    /// let mut last = Vec::new();
    /// multiproc::Pool::new(2)?.map_each(words, lines, |line, words| {
    ///     last.extend(words.last().map(|word| (line, word.as_str().to_owned())));
    /// })?;
    /// assert_eq!(last, [(0, "be".to_string()), (1, "question".to_string())]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn map_each<F, A, I, Kind>(
        &self,
        function: F,
        items: I,
        mut each: impl FnMut(usize, &<F::Return as Message>::View),
    ) -> std::result::Result<(), MapError<()>>
    where
        F: Job<A, Kind>,
        A: Message,
        I: IntoIterator<Item: Encode<A>>,
    {
        let routine = routine::of_one::<F, A, Kind>(function);
        let feeder = Feeder::new(routine, items.into_iter(), self.grant, self.chunk);
        let results = Results::<Frame, A, _>::new(&self.owner, feeder, Stream::new(true));
        failures_of(results.enumerate().map(|(index, result)| {
            let bytes = result?;
            // SAFETY: a worker of the same build wrote the result of this function, and the copy is aligned as that was.
            each(index, unsafe { F::Return::view(bytes.bytes()) });
            Ok(())
        }))
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
        let hub = &self.owner.hub;
        let one = Arc::new(One::new());
        let errand = Errand {
            sink: Arc::clone(&one) as _,
            index: 0,
            again: self.grant.again,
            limit: self.grant.limit,
        };
        let taken = hub.ready().and_then(|mut crew| {
            let routine = routine::of_many::<F, Args, Kind>(function);
            let taken = routine.and_then(|r| crew.take(r, &arguments, &errand));
            taken.map_err(|error| TaskError::not_started(&error))
        });
        match taken {
            Ok(()) => hub.remind(),
            Err(error) => errand.settle(Err(error)),
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

/// Throws the results away, and keeps why there are none.
fn failures_of<R>(
    results: impl Iterator<Item = std::result::Result<R, TaskError>>,
) -> std::result::Result<(), MapError<()>> {
    let numbered = results.enumerate();
    let failed = numbered.filter_map(|(index, result)| Some((index, result.err()?)));
    let failures: Vec<_> = failed.collect();
    match failures.is_empty() {
        true => Ok(()),
        false => Err(MapError {
            results: Vec::new(),
            failures,
        }),
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("pids", &self.pids()).finish()
    }
}
