//! Many items, one result: each worker folds what it is given, and the caller what comes of that.

use std::fmt;
use std::ops::Range;

use super::batch::{Batches, Items, Sizes};
use super::desk::Desk;
use super::error::TaskError;
use super::feeder::Feeder;
use super::frame::Frame;
use super::job::{In, InPlace, Job, Owned, answer};
use super::sink::Stream;
use super::stopwatch;
use super::stream::Results;
use super::{Pool, routine};
use crate::message::{Encode, Message};
use crate::process::Outcome;
use crate::{Error, Result};

/// A function by which a [`Pool`] can [fold](Pool::fold) items `A` into an `S`: one that takes an `S` and an `A` or an
/// [`In<A>`](In), and returns an `S`, or a `Result` of one as an [entry function](crate::process::Entry) does.
///
/// `Kind` says which; it is always inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot fold items `{A}` into `{S}` in a pool",
    label = "not a function of the state and one item",
    note = "it takes the state, then one message by value or as `In<'_, T>`, and returns the state"
)]
pub trait Step<S, A, Kind>: Copy + 'static {
    /// Takes one more item, which lies in these bytes.
    ///
    /// # Errors
    ///
    /// What the function says, or what attaching a handle in the item does.
    #[doc(hidden)]
    fn step(self, desk: &Desk<'_>, state: S, bytes: &[u8]) -> Result<S>;
}

impl<F, S, A, O, Kind> Step<S, A, Owned<Kind>> for F
where
    F: Fn(S, A) -> O + Copy + 'static,
    A: Message,
    O: Outcome<Kind, Value = S>,
{
    fn step(self, desk: &Desk<'_>, state: S, bytes: &[u8]) -> Result<S> {
        self(state, desk.arguments::<A>(bytes)?).settle()
    }
}

impl<F, S, A, O, Kind> Step<S, A, InPlace<Kind>> for F
where
    F: for<'a> Fn(S, In<'a, A>) -> O + Copy + 'static,
    A: Message,
    O: Outcome<Kind, Value = S>,
{
    fn step(self, desk: &Desk<'_>, state: S, bytes: &[u8]) -> Result<S> {
        self(state, In::new(desk.view::<A>(bytes))).settle()
    }
}

/// Folds the items of one task.
pub(super) fn run_fold<N, F, S, A, Kind>(init: N, step: F, desk: &Desk<'_>, bytes: &[u8])
where
    N: Fn() -> S,
    F: Step<S, A, Kind>,
    S: Message,
{
    answer(desk, || {
        Items::new(bytes).try_fold(init(), |state, item| {
            stopwatch::lap();
            step.step(desk, state, item)
        })
    });
}

/// Runs a function on the items of one task, and combines what comes of them.
pub(super) fn run_reduce<F, C, A, Kind>(job: F, combine: C, desk: &Desk<'_>, bytes: &[u8])
where
    F: Job<A, Kind>,
    C: Fn(F::Return, F::Return) -> F::Return,
{
    answer(desk, || {
        let mut items = Items::new(bytes);
        let first = items.next().ok_or_else(nothing)?;
        let first = job.call(desk, first)?;
        items.try_fold(first, |sum, item| {
            stopwatch::lap();
            Ok(combine(sum, job.call(desk, item)?))
        })
    });
}

#[cold]
fn nothing() -> Error {
    let text = "a share of items came without any";
    Error::new(crate::ErrorKind::Corrupt, text)
}

/// A fold that has not seen all items: what came of the others, and which ones are missing.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// fn add(sum: u64, n: u64) -> u64 {
///     assert_ne!(n, 70, "not this one");
///     sum + n
/// }
///
/// let error = multiproc::Pool::new(2)?.fold(|| 0, add, 0..100u64, |a, b| a + b).unwrap_err();
/// let (missing, _) = &error.lost[0];
/// assert!(missing.contains(&70));
/// let missing: u64 = missing.clone().map(|n| n as u64).sum();
/// assert_eq!(error.partial, Some((0..100).sum::<u64>() - missing));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FoldError<S> {
    /// What came of all items that are not lost; `None` if all are.
    pub partial: Option<S>,
    /// The items that went into nothing, by their places in the input, and why; in their order, at least some.
    pub lost: Vec<(Range<usize>, TaskError)>,
}

impl<S> fmt::Display for FoldError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count: usize = self.lost.iter().map(|(range, _)| range.len()).sum();
        write!(f, "{count} items are lost")?;
        match self.lost.first() {
            Some((Range { start, end }, error)) => {
                write!(
                    f,
                    "; the first are those from {start} to {}: {error}",
                    end - 1
                )
            }
            None => Ok(()),
        }
    }
}

impl<S: fmt::Debug> std::error::Error for FoldError<S> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.lost.first().map(|(_, error)| error as _)
    }
}

impl<S> From<FoldError<S>> for Error {
    fn from(error: FoldError<S>) -> Self {
        let text = error.to_string();
        match error.lost.into_iter().next() {
            Some((_, cause)) => Error::new(cause.kind(), text).with_source(cause),
            None => Error::new(crate::ErrorKind::Failed, text),
        }
    }
}

impl Pool {
    /// Folds all items into one value: every worker the shares that it takes, each of them from `init()` on, item by item, and
    /// the caller what came of the shares, by `combine`, in the order of the items.
    ///
    /// So only what comes of many items travels back. The result is that of a single fold where `init()` changes nothing
    /// (zero, for a sum) and it does not matter where the items are split; their order is kept. How many items a share has is
    /// the pool's affair: fewer towards the end, where it can be known.
    ///
    /// # Errors
    ///
    /// [`FoldError`] if a worker died, or a function failed, in any share: what came of it until then is gone, and its items
    /// are named. With [`idempotent`](Pool::idempotent) a share of which a worker died is folded again, from its first item.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// # multiproc::init();
    /// use std::collections::HashMap;
    /// use multiproc::Pool;
    ///
    /// type Counts = HashMap<String, u64>;
    ///
    /// fn count(mut counts: Counts, line: String) -> Counts {
    ///     for word in line.split_whitespace() {
    ///         *counts.entry(word.into()).or_default() += 1;
    ///     }
    ///     counts
    /// }
    ///
    /// fn merge(mut all: Counts, some: Counts) -> Counts {
    ///     for (word, count) in some {
    ///         *all.entry(word).or_default() += count;
    ///     }
    ///     all
    /// }
    ///
    /// let lines = ["to be or not to be", "that is the question"];
    /// let counts = Pool::new(2)?.fold(Counts::new, count, lines, merge)?;
    /// assert_eq!((counts["be"], counts["question"]), (2, 1));
    /// # Ok(())
    /// # }
    /// ```
    pub fn fold<S, N, F, A, I, Kind>(
        &self,
        init: N,
        step: F,
        items: I,
        combine: impl FnMut(S, S) -> S,
    ) -> std::result::Result<S, FoldError<S>>
    where
        S: Message + Send,
        N: Fn() -> S + Copy + 'static,
        F: Step<S, A, Kind>,
        A: Message,
        I: IntoIterator<Item: Encode<A>>,
    {
        let routine = routine::of_fold::<N, F, S, A, Kind>(init, step);
        let folded = self.gather::<S, A, _>(routine, items.into_iter(), combine)?;
        Ok(folded.unwrap_or_else(init))
    }

    /// Runs `function` on every item, as [`map`](Pool::map), and combines all results into one, as [`fold`](Pool::fold): those
    /// of a share in the worker, and those of all shares here. `None` if there was no item.
    ///
    /// # Errors
    ///
    /// As [`fold`](Pool::fold).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// # multiproc::init();
    /// let pool = multiproc::Pool::new(2)?;
    /// let longest = pool.map_reduce(|word: String| word.len() as u64, u64::max, ["to", "question", "be"])?;
    /// assert_eq!(longest, Some(8));
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "reduce")]
    pub fn map_reduce<F, C, A, I, Kind>(
        &self,
        function: F,
        combine: C,
        items: I,
    ) -> std::result::Result<Option<F::Return>, FoldError<F::Return>>
    where
        F: Job<A, Kind>,
        F::Return: Send,
        C: Fn(F::Return, F::Return) -> F::Return + Copy + 'static,
        A: Message,
        I: IntoIterator<Item: Encode<A>>,
    {
        let routine = routine::of_reduce::<F, C, A, Kind>(function, combine);
        self.gather::<F::Return, A, _>(routine, items.into_iter(), combine)
    }

    /// Gives the items out in shares, and combines what comes of them in their order.
    fn gather<S, A, I>(
        &self,
        routine: Result<u64>,
        items: I,
        mut combine: impl FnMut(S, S) -> S,
    ) -> std::result::Result<Option<S>, FoldError<S>>
    where
        S: Message + Send,
        A: Message,
        I: Iterator<Item: Encode<A>>,
    {
        let workers = self.owner.hub.lock().members().len();
        let (batches, sizes) = Batches::<A, _>::new(items, workers);
        let feeder = Feeder::<Frame, _>::new(routine, batches, self.grant, Some(1));
        let shares = Results::new(&self.owner, feeder, Stream::<S>::new(true));
        let (mut partial, mut lost, mut at) = (None, Vec::new(), 0);
        for share in shares {
            let range = at..at + size(&sizes);
            at = range.end;
            match share {
                Ok(share) => {
                    partial = Some(match partial {
                        Some(before) => combine(before, share),
                        None => share,
                    });
                }
                Err(error) => lost.push((range, error)),
            }
        }
        match lost.is_empty() {
            true => Ok(partial),
            false => Err(FoldError { partial, lost }),
        }
    }
}

/// How many items the next share has.
fn size(sizes: &Sizes) -> usize {
    sizes.borrow_mut().pop_front().unwrap_or(0)
}
