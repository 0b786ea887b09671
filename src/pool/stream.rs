//! Results as they come, of tasks that are given out as they are wanted.

use std::fmt;
use std::iter::FusedIterator;
use std::sync::Arc;

use super::answer::Answer;
use super::crew::Crew;
use super::error::TaskError;
use super::feeder::Feeder;
use super::owner::Owner;
use super::sink::{Sink, Stream};
use crate::message::{Encode, Message};

/// The results of [`Pool::imap`](super::Pool::imap) or [`Pool::imap_unordered`](super::Pool::imap_unordered): an iterator.
///
/// It takes items as there is room for them, so that an endless input does not fill memory. Dropping it leaves out all items
/// that no worker has begun; what comes of the others is thrown away.
pub struct Results<R: Answer, A, I: Iterator> {
    owner: Arc<Owner>,
    sink: Arc<Stream<R>>,
    feeder: Feeder<A, I>,
    taken: u64,
    /// Counted once: in a forked child nobody may lock the pool.
    workers: usize,
}

/// The most results that wait for being taken, for each worker.
const AHEAD: usize = 1024;

impl<R, A, I> Results<R, A, I>
where
    R: Answer,
    A: Message,
    I: Iterator<Item: Encode<A>>,
{
    pub(super) fn new(owner: &Arc<Owner>, feeder: Feeder<A, I>, sink: Stream<R>) -> Self {
        Results {
            owner: Arc::clone(owner),
            sink: Arc::new(sink),
            feeder,
            taken: 0,
            workers: owner.workers,
        }
    }

    /// Gives out as many items as there is room for, here and with the workers.
    fn feed(&mut self) {
        let sink: Arc<dyn Sink> = Arc::clone(&self.sink) as _;
        let ahead = self.ahead();
        self.feeder.feed(&self.owner.hub, &sink, ahead, |_| {});
    }

    /// How many more results may wait for being taken.
    fn ahead(&self) -> usize {
        let most = AHEAD * self.workers;
        most.saturating_sub((self.feeder.given() - self.taken) as usize)
    }
}

impl<R, A, I> Iterator for Results<R, A, I>
where
    R: Answer,
    A: Message,
    I: Iterator<Item: Encode<A>>,
{
    type Item = std::result::Result<R, TaskError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(result) = self.sink.next() {
                self.taken += 1;
                return Some(result.map_err(|error| *error));
            }
            self.feed();
            if self.feeder.is_empty() && self.feeder.given() == self.taken {
                return None;
            }
            let (sink, feeder, ahead) = (&self.sink, &self.feeder, self.ahead());
            let has_room = |crew: &Crew| ahead > 0 && feeder.has_room(crew, ahead);
            self.owner
                .hub
                .wait(None, |crew| sink.has_next() || has_room(crew));
            self.feed(); // what was answered made room
        }
    }
}

impl<R, A, I> FusedIterator for Results<R, A, I>
where
    R: Answer,
    A: Message,
    I: Iterator<Item: Encode<A>>,
{
}

impl<R: Answer, A, I: Iterator> Drop for Results<R, A, I> {
    fn drop(&mut self) {
        self.sink.abandon();
        let sink: Arc<dyn Sink> = Arc::clone(&self.sink) as _;
        if self.owner.hub.is_mine() {
            self.owner.hub.lock().abandon(&sink);
        }
    }
}

impl<R: Answer, A, I: Iterator> fmt::Debug for Results<R, A, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Results")
            .field("taken", &self.taken)
            .finish_non_exhaustive()
    }
}
