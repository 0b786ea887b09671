//! Where results go.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::error::{MapError, TaskError};
use crate::message::Message;
use crate::sys::atomic::{AtomicUsize, Ordering};

/// What came of a task: the bytes of its result, or why there is none.
pub(super) type Outcome<'a> = Result<&'a [u8], TaskError>;

/// Takes what comes of tasks, in any order and on any thread.
pub(super) trait Sink: Send + Sync {
    /// Takes what came of task `index`.
    fn settle(&self, index: u64, outcome: Outcome<'_>);
}

/// A result as an ordinary value.
pub(super) type Settled<R> = Result<R, Box<TaskError>>;

fn settled<R: Message>(outcome: Outcome<'_>) -> Settled<R> {
    let bytes = outcome?;
    // SAFETY: a worker of the same build wrote the result of the function of which the caller awaits one.
    let view = unsafe { R::view(bytes) };
    R::to_owned(view).map_err(|error| {
        Box::new(TaskError::Failed {
            kind: error.kind(),
            text: error.to_string(),
        })
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All results of a map, in their order.
pub(super) struct All<R> {
    results: Mutex<Vec<Option<Settled<R>>>>,
    settled: AtomicUsize,
}

impl<R: Message> All<R> {
    pub(super) fn new() -> Self {
        All {
            results: Mutex::new(Vec::new()),
            settled: AtomicUsize::new(0),
        }
    }

    /// Room for the results of `count` tasks in all.
    pub(super) fn expect(&self, count: usize) {
        lock(&self.results).resize_with(count, || None);
    }

    /// How many there are.
    pub(super) fn settled(&self) -> usize {
        self.settled.load(Ordering::Acquire) // pairs with `settle`
    }

    /// The results, once all are there.
    pub(super) fn take(&self) -> Result<Vec<R>, MapError<R>> {
        let all = std::mem::take(&mut *lock(&self.results));
        if all.iter().all(|one| matches!(one, Some(Ok(_)))) {
            return Ok(all.into_iter().flatten().flatten().collect());
        }
        let mut error = MapError {
            results: Vec::new(),
            failures: Vec::new(),
        };
        for (index, one) in all.into_iter().enumerate() {
            match one {
                Some(Ok(result)) => error.results.push((index, result)),
                Some(Err(failure)) => error.failures.push((index, *failure)),
                None => error.failures.push((index, TaskError::Closed)),
            }
        }
        Err(error)
    }
}

impl<R: Message + Send> Sink for All<R> {
    fn settle(&self, index: u64, outcome: Outcome<'_>) {
        let result = settled(outcome);
        if let Some(place) = lock(&self.results).get_mut(index as usize) {
            *place = Some(result);
        }
        self.settled.fetch_add(1, Ordering::Release); // pairs with `settled`
    }
}

/// The results of a stream: those that came and were not taken yet.
pub(super) struct Stream<R> {
    ordered: bool,
    results: Mutex<Arrived<R>>,
}

struct Arrived<R> {
    /// Those from task `first` on, where they are to come in their order; else in the order in which they came.
    waiting: VecDeque<Option<Settled<R>>>,
    first: u64,
    abandoned: bool,
}

impl<R: Message> Stream<R> {
    pub(super) fn new(ordered: bool) -> Self {
        Stream {
            ordered,
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

impl<R: Message + Send> Sink for Stream<R> {
    fn settle(&self, index: u64, outcome: Outcome<'_>) {
        let result = settled(outcome);
        let mut arrived = lock(&self.results);
        if arrived.abandoned {
            return;
        }
        if !self.ordered {
            return arrived.waiting.push_back(Some(result));
        }
        let at = index.saturating_sub(arrived.first) as usize;
        if arrived.waiting.len() <= at {
            arrived.waiting.resize_with(at + 1, || None);
        }
        arrived.waiting[at] = Some(result);
    }
}

/// The result of one task.
pub(super) struct One<R> {
    result: Mutex<Option<Settled<R>>>,
}

impl<R: Message> One<R> {
    pub(super) fn new() -> Self {
        One {
            result: Mutex::new(None),
        }
    }

    pub(super) fn is_settled(&self) -> bool {
        lock(&self.result).is_some()
    }

    pub(super) fn take(&self) -> Option<Settled<R>> {
        lock(&self.result).take()
    }
}

impl<R: Message + Send> Sink for One<R> {
    fn settle(&self, _index: u64, outcome: Outcome<'_>) {
        let mut result = lock(&self.result);
        if result.is_none() {
            *result = Some(settled(outcome));
        }
    }
}
