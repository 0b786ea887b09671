//! Maps whose function has a context beside the item.

use super::alongside::{AsContext, JobWith, each_with};
use super::error::{MapError, TaskError};
use super::feeder::Feeder;
use super::frame::Frame;
use super::maps::failures_of;
use super::sink::Stream;
use super::stream::Results;
use super::{Pool, routine};
use crate::context::Context;
use crate::message::{Encode, Message};

impl Pool {
    /// As [`map`](Pool::map), for a function that is given the same context with every item, to read.
    ///
    /// The context is written once, into shared memory, and every worker reads it there, those that take the place of a dead
    /// one included: with the items goes only where it lies. A reference to a value makes a context for this call; a
    /// [`Context`](crate::Context) is good for any number of calls, and of pools. Workers let go of it when there is nothing
    /// to do.
    ///
    /// # Errors
    ///
    /// [`MapError`] if any task has no result; all have none, by [`NotStarted`](TaskError::NotStarted), where no context can
    /// be made.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// # multiproc::init();
    /// use multiproc::{Context, In, Pool};
    ///
    /// fn place(words: In<'_, Vec<String>>, word: String) -> Option<u64> {
    ///     words.iter().position(|w| **w == *word).map(|at| at as u64)
    /// }
    ///
    /// let pool = Pool::new(2)?;
    /// let words = vec!["to".to_string(), "be".to_string()];
    /// assert_eq!(pool.map_with(&words, place, ["be", "not"])?, [Some(1), None]);
    /// let words = Context::new(words)?;                                // for several calls
    /// assert_eq!(pool.map_with(&words, place, ["to"])?, [Some(0)]);
    /// assert_eq!(pool.map_with(&words, |words: In<'_, Vec<String>>, n: u64| words.len() as u64 + n, [1])?, [3]);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "share")]
    pub fn map_with<C, F, A, I, Kind>(
        &self,
        context: impl AsContext<C>,
        function: F,
        items: I,
    ) -> Result<Vec<F::Return>, MapError<F::Return>>
    where
        C: Message,
        F: JobWith<C, A, Kind>,
        F::Return: Send,
        A: Message,
        I: IntoIterator<Item: Encode<A>>,
    {
        let items = items.into_iter();
        match context.as_context() {
            Ok(context) => {
                let routine = routine::of_one_with::<F, C, A, Kind>(function);
                let items = each_with::<C, A, _>(&context, items);
                self.run_all::<F::Return, Frame, _>(routine, items)
            }
            Err(error) => self.run_all::<F::Return, A, _>(Err(error), items),
        }
    }

    /// As [`imap`](Pool::imap), for a function that is given the same context with every item; see
    /// [`map_with`](Pool::map_with).
    ///
    /// # Errors
    ///
    /// Each result is there, or says by itself why not.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// # multiproc::init();
    /// use multiproc::{Context, In, Pool};
    ///
    /// let pool = Pool::new(2)?;
    /// let base = Context::<u64>::new(100)?;
    /// let mut sums = pool.imap_with(&base, |base: In<'_, u64>, n: u64| base.to_native() + n, 1..);
    /// assert_eq!(sums.next(), Some(Ok(101)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn imap_with<C, F, A, I, Kind>(
        &self,
        context: &Context<C>,
        function: F,
        items: I,
    ) -> impl Iterator<Item = Result<F::Return, TaskError>> + use<C, F, A, I, Kind>
    where
        C: Message,
        F: JobWith<C, A, Kind>,
        F::Return: Send,
        A: Message,
        I: IntoIterator<Item: Encode<A>>,
    {
        let routine = routine::of_one_with::<F, C, A, Kind>(function);
        let items = each_with::<C, A, _>(context, items.into_iter());
        let feeder = Feeder::<Frame, _>::new(routine, items, self.grant, self.chunk);
        Results::new(&self.owner, feeder, Stream::with(true, context.home()))
    }

    /// As [`for_each`](Pool::for_each), for a function that is given the same context with every item; see
    /// [`map_with`](Pool::map_with).
    ///
    /// # Errors
    ///
    /// [`MapError`], without results, as [`map_with`](Pool::map_with).
    pub fn for_each_with<C, F, A, I, Kind>(
        &self,
        context: impl AsContext<C>,
        function: F,
        items: I,
    ) -> Result<(), MapError<()>>
    where
        C: Message,
        F: JobWith<C, A, Kind>,
        F::Return: Send,
        A: Message,
        I: IntoIterator<Item: Encode<A>>,
    {
        match context.as_context() {
            Ok(context) => failures_of(self.imap_with(&context, function, items)),
            Err(error) => {
                let feeder =
                    Feeder::<A, _>::new(Err(error), items.into_iter(), self.grant, self.chunk);
                let stream = Stream::<F::Return>::new(true);
                failures_of(Results::new(&self.owner, feeder, stream))
            }
        }
    }
}
