//! One function on many items: results all together, or one by one as they come.

use std::sync::Arc;

use super::answer::Answer;
use super::error::{MapError, TaskError};
use super::feeder::Feeder;
use super::job::Job;
use super::sink::{All, Sink, Stream};
use super::stream::Results;
use super::{Pool, routine};
use crate::Result;
use crate::message::{Encode, Message};
use crate::process::Entry;

impl Pool {
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

    pub(super) fn run_all<R, A, I>(
        &self,
        routine: Result<u64>,
        items: I,
    ) -> std::result::Result<Vec<R>, MapError<R>>
    where
        R: Answer,
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
}

/// Throws the results away, and keeps why there are none.
pub(super) fn failures_of<R>(
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
