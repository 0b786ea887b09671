//! Results that are read where workers wrote them.

use super::error::MapError;
use super::feeder::Feeder;
use super::job::Job;
use super::maps::failures_of;
use super::returned::Returned;
use super::sink::Stream;
use super::stream::Results;
use super::task::Task;
use super::{Pool, routine};
use crate::message::{Encode, Message};
use crate::process::Entry;

impl Pool {
    /// As [`apply`](Pool::apply), for a result that is read where the worker wrote it.
    ///
    /// # Examples
    ///
    /// See [`Returned`].
    pub fn apply_in_place<F, Args, Kind>(
        &self,
        function: F,
        arguments: Args,
    ) -> Task<Returned<F::Return>>
    where
        F: Entry<Args, Kind>,
        F::Return: Message<View: Send + Sync>,
        Args: Message,
    {
        self.begin(routine::of_many::<F, Args, Kind>(function), &arguments)
    }

    /// As [`map`](Pool::map), for results that are read where the workers wrote them: as many as can be
    /// [kept](Returned) there, and the others out of a copy.
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
    /// fn primes_below(n: u64) -> Vec<u64> {
    ///     (2..n).filter(|n| (2..*n).all(|divisor| n % divisor != 0)).collect()
    /// }
    ///
    /// let lists = multiproc::Pool::new(2)?.map_in_place(primes_below, [10, 1000])?;
    /// assert_eq!(lists[0].as_slice(), [2, 3, 5, 7]);
    /// assert_eq!((lists[1].len(), lists[1][167].to_native()), (168, 997));
    /// # Ok(())
    /// # }
    /// ```
    #[expect(clippy::type_complexity, reason = "it is that of `map`")]
    pub fn map_in_place<F, A, I, Kind>(
        &self,
        function: F,
        items: I,
    ) -> Result<Vec<Returned<F::Return>>, MapError<Returned<F::Return>>>
    where
        F: Job<A, Kind>,
        F::Return: Message<View: Send + Sync>,
        A: Message,
        I: IntoIterator<Item: Encode<A>>,
    {
        self.run_all(routine::of_one::<F, A, Kind>(function), items.into_iter())
    }

    /// As [`imap`](Pool::imap), for results that are read where the workers wrote them.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// # multiproc::init();
    /// use multiproc::{In, Pool};
    ///
    /// fn upper(line: In<'_, String>) -> String {
    ///     line.to_uppercase()
    /// }
    ///
    /// let pool = Pool::new(2)?;
    /// let lines = ["the first line of a long text", "the second line of a long text"];
    /// let mut longest = 0;
    /// for line in pool.imap_in_place(upper, lines) {
    ///     let line = line.expect("it does not fail");
    ///     assert!(line.starts_with("THE "));                   // a `str` in the worker's memory
    ///     longest = longest.max(line.len());
    /// }
    /// assert_eq!(longest, 30);
    /// # Ok(())
    /// # }
    /// ```
    pub fn imap_in_place<F, A, I, Kind>(
        &self,
        function: F,
        items: I,
    ) -> Results<Returned<F::Return>, A, I::IntoIter>
    where
        F: Job<A, Kind>,
        F::Return: Message<View: Send + Sync>,
        A: Message,
        I: IntoIterator<Item: Encode<A>>,
    {
        let routine = routine::of_one::<F, A, Kind>(function);
        let feeder = Feeder::new(routine, items.into_iter(), self.grant, self.chunk);
        Results::new(&self.owner, feeder, Stream::new(true))
    }

    /// Runs `function` on every item, and has `each` look at every result where the worker wrote it, with the index of its
    /// item: in the order of the items, in the calling thread. `each` may use the pool.
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
    ) -> Result<(), MapError<()>>
    where
        F: Job<A, Kind>,
        F::Return: Message<View: Send + Sync>,
        A: Message,
        I: IntoIterator<Item: Encode<A>>,
    {
        let results = self.imap_in_place(function, items).enumerate();
        failures_of(results.map(|(index, result)| {
            let result = result?;
            each(index, &*result);
            Ok(())
        }))
    }
}
