//! Where results go.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::answer::{Answer, Long, Settled};
use super::brief::Small;
use super::error::{MapError, TaskError};
use super::places::Places;
use crate::context::Home;
use crate::sys::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Takes what comes of tasks, in any order and on any thread.
pub(super) trait Sink: Send + Sync {
    /// Takes the results of as many tasks, each of which says whose it is.
    fn settle_all(&self, results: &[Small]);

    /// Takes the long result of task `index`.
    fn settle_long(&self, index: u64, long: Long<'_>);

    /// Takes why task `index` has no result.
    fn fail(&self, index: u64, why: TaskError);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All results of a map, in their order.
pub(super) struct All<R> {
    came: Mutex<Came<R>>,
    settled: AtomicUsize,
}

struct Came<R> {
    results: Places<R>,
    failures: Vec<(usize, TaskError)>,
    /// Tasks in all.
    expected: usize,
}

impl<R: Answer> Came<R> {
    #[inline]
    fn take(&mut self, index: u64, settled: Settled<R>) {
        match settled {
            Ok(result) => self.results.fill(index as usize, result),
            Err(failure) => self.failures.push((index as usize, *failure)),
        }
    }

    /// A failure for each task of which nothing was heard.
    fn missing(
        &self,
        results: &[(usize, R)],
        failures: &[(usize, TaskError)],
    ) -> Vec<(usize, TaskError)> {
        if results.len() + failures.len() >= self.expected {
            return Vec::new();
        }
        let heard = results.iter().map(|one| one.0);
        let heard: HashSet<_> = heard.chain(failures.iter().map(|one| one.0)).collect();
        let missing = (0..self.expected).filter(|index| !heard.contains(index));
        missing.map(|index| (index, TaskError::Closed)).collect()
    }
}

impl<R: Answer> All<R> {
    pub(super) fn new() -> Self {
        All {
            came: Mutex::new(Came {
                results: Places::new(),
                failures: Vec::new(),
                expected: 0,
            }),
            settled: AtomicUsize::new(0),
        }
    }

    /// Room for the results of `count` tasks in all.
    pub(super) fn expect(&self, count: usize) {
        let mut came = lock(&self.came);
        came.expected = count;
        came.results.grow(count);
    }

    /// How many there are.
    pub(super) fn settled(&self) -> usize {
        self.settled.load(Ordering::Acquire) // pairs with `settle`
    }

    /// The results, once all are there.
    pub(super) fn take(&self) -> Result<Vec<R>, MapError<R>> {
        let mut came = lock(&self.came);
        let results = match came.results.take() {
            Ok(all) => return Ok(all),
            Err(some) => some,
        };
        let mut failures = std::mem::take(&mut came.failures);
        let missing = came.missing(&results, &failures);
        failures.extend(missing);
        failures.sort_by_key(|(index, _)| *index);
        Err(MapError { results, failures })
    }
}

impl<R: Answer> All<R> {
    fn settle(&self, index: u64, settled: Settled<R>) {
        lock(&self.came).take(index, settled);
        self.settled.fetch_add(1, Ordering::Release); // pairs with `settled`
    }
}

impl<R: Answer> Sink for All<R> {
    fn settle_all(&self, results: &[Small]) {
        let mut came = lock(&self.came);
        for result in results {
            came.take(result.index, R::of_small(result));
        }
        drop(came);
        self.settled.fetch_add(results.len(), Ordering::Release); // pairs with `settled`
    }

    fn settle_long(&self, index: u64, long: Long<'_>) {
        self.settle(index, R::of_long(long));
    }

    fn fail(&self, index: u64, why: TaskError) {
        self.settle(index, Err(Box::new(why)));
    }
}

/// The results of a stream: those that came and were not taken yet.
pub(super) struct Stream<R> {
    ordered: bool,
    /// What the tasks are given beside their items: here for as long as one of them is not settled.
    _context: Option<Arc<Home>>,
    results: Mutex<Arrived<R>>,
}

struct Arrived<R> {
    /// Those from task `first` on, where they are to come in their order; else in the order in which they came.
    waiting: VecDeque<Option<Settled<R>>>,
    first: u64,
    abandoned: bool,
}

impl<R: Answer> Stream<R> {
    pub(super) fn new(ordered: bool) -> Self {
        Self::keeping(ordered, None)
    }

    /// The same for tasks that are given a context.
    pub(super) fn with(ordered: bool, context: &Arc<Home>) -> Self {
        Self::keeping(ordered, Some(Arc::clone(context)))
    }

    fn keeping(ordered: bool, context: Option<Arc<Home>>) -> Self {
        Stream {
            ordered,
            _context: context,
            results: Mutex::new(Arrived {
                waiting: VecDeque::new(),
                first: 0,
                abandoned: false,
            }),
        }
    }

    /// The next one, if it is there.
    pub(super) fn next(&self) -> Option<Settled<R>> {
        let mut arrived = lock(&self.results);
        let is_there = matches!(arrived.waiting.front(), Some(Some(_)));
        let next = is_there.then(|| arrived.waiting.pop_front().flatten());
        arrived.first += u64::from(is_there);
        next.flatten()
    }

    /// Whether [`next`](Stream::next) would find one.
    pub(super) fn has_next(&self) -> bool {
        matches!(lock(&self.results).waiting.front(), Some(Some(_)))
    }

    /// Nobody will take any more.
    pub(super) fn abandon(&self) {
        let mut arrived = lock(&self.results);
        arrived.abandoned = true;
        arrived.waiting.clear();
    }
}

impl<R> Arrived<R> {
    #[inline]
    fn take(&mut self, index: u64, ordered: bool, result: impl FnOnce() -> Settled<R>) {
        if self.abandoned {
            return;
        }
        let result = result();
        let at = index.saturating_sub(self.first) as usize;
        if !ordered || self.waiting.len() == at {
            return self.waiting.push_back(Some(result));
        }
        if self.waiting.len() < at {
            self.waiting.resize_with(at + 1, || None);
        }
        self.waiting[at] = Some(result);
    }
}

impl<R: Answer> Sink for Stream<R> {
    fn settle_all(&self, results: &[Small]) {
        let mut arrived = lock(&self.results);
        for result in results {
            arrived.take(result.index, self.ordered, || R::of_small(result));
        }
    }

    fn settle_long(&self, index: u64, long: Long<'_>) {
        lock(&self.results).take(index, self.ordered, || R::of_long(long));
    }

    fn fail(&self, index: u64, why: TaskError) {
        lock(&self.results).take(index, self.ordered, || Err(Box::new(why)));
    }
}

/// The result of one task.
pub(super) struct One<R> {
    result: Mutex<Option<Settled<R>>>,
    settled: AtomicBool,
}

impl<R: Answer> One<R> {
    pub(super) fn new() -> Self {
        One {
            result: Mutex::new(None),
            settled: AtomicBool::new(false),
        }
    }

    pub(super) fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire) // pairs with `settle`
    }

    pub(super) fn take(&self) -> Option<Settled<R>> {
        lock(&self.result).take()
    }
}

impl<R: Answer> One<R> {
    fn settle(&self, settled: Settled<R>) {
        let mut result = lock(&self.result);
        if result.is_none() {
            *result = Some(settled);
            self.settled.store(true, Ordering::Release); // pairs with `is_settled`
        }
    }
}

impl<R: Answer> Sink for One<R> {
    fn settle_all(&self, results: &[Small]) {
        results
            .iter()
            .for_each(|result| self.settle(R::of_small(result)));
    }

    fn settle_long(&self, _index: u64, long: Long<'_>) {
        self.settle(R::of_long(long));
    }

    fn fail(&self, _index: u64, why: TaskError) {
        self.settle(Err(Box::new(why)));
    }
}
