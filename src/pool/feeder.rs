//! The items of a map or a stream on their way to the workers.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::Arc;

use super::crew::Crew;
use super::error::TaskError;
use super::grant::Grant;
use super::hub::Hub;
use super::member::Errand;
use super::sink::Sink;
use crate::Result;
use crate::message::{Encode, Message};

/// What is left of an input, and how many of its items were given to workers.
pub(super) struct Feeder<A, I: Iterator> {
    routine: std::result::Result<u64, TaskError>,
    grant: Grant,
    /// How many items make a chunk; none where that goes by how long they take.
    fixed: Option<usize>,
    /// None behind the last item.
    items: Option<I>,
    /// Items that were taken out of the input and have not been given.
    kept: VecDeque<I::Item>,
    /// So many of them go alone: not all can be written.
    alone: usize,
    given: u64,
    argument: PhantomData<fn(A)>,
}

/// So many items at a time are taken out of an input that can only fail.
const ALL_FAIL: usize = 1024;

/// So many are taken out at a time else, at least: each time costs a lock.
const BATCH: usize = 64;

/// A lone chunk is given only where there is room for so many tasks: workers that have enough to do are left alone.
const WORTHWHILE: usize = 512;

/// Long arguments make small chunks: so many bytes together at most.
const BYTES: usize = 32 << 10;

impl<A, I> Feeder<A, I>
where
    A: Message,
    I: Iterator<Item: Encode<A>>,
{
    /// Nothing is given yet. Each task may cost so much.
    pub(super) fn new(routine: Result<u64>, items: I, grant: Grant, fixed: Option<usize>) -> Self {
        Feeder {
            routine: routine.map_err(|error| TaskError::not_started(&error)),
            grant,
            fixed,
            items: Some(items),
            kept: VecDeque::new(),
            alone: 0,
            given: 0,
            argument: PhantomData,
        }
    }

    /// How many items were given.
    pub(super) fn given(&self) -> u64 {
        self.given
    }

    /// Whether all were.
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_none() && self.kept.is_empty()
    }

    /// Items that are left, as far as the input can tell.
    fn left(&self) -> usize {
        let to_come = self.items.as_ref().map_or(0, |items| items.size_hint().0);
        self.kept.len().saturating_add(to_come)
    }

    /// How many items make the next chunk, and how many there is room for, of `most`.
    fn chunk(&self, crew: &Crew, most: usize) -> (usize, usize) {
        let fixed = if crew.counts_tasks() {
            Some(1)
        } else {
            self.fixed
        };
        if let Some(fixed) = fixed {
            return (fixed, crew.room(fixed).min(most));
        }
        let pace = self.routine.as_ref().ok().and_then(|r| crew.pace(*r));
        match pace {
            Some(pace) => {
                let left = self.left().min(most);
                let chunk = pace.chunk(left, self.given, crew.members().len());
                (chunk, crew.room(chunk).min(most))
            }
            None => (1, crew.room_for_few(self.given as usize).min(most)),
        }
    }

    /// Whether it is worth while to give items now, `most` at most.
    pub(super) fn has_room(&self, crew: &Crew, most: usize) -> bool {
        if self.is_empty() || crew.check().is_err() {
            return !self.is_empty();
        }
        let (chunk, room) = self.chunk(crew, most);
        room > 0 && (crew.is_short() || room >= chunk && crew.room(chunk) >= WORTHWHILE)
    }

    /// Gives as many items as there is room for, and `most` at most; `expect` hears how many will have been given.
    pub(super) fn feed(
        &mut self,
        hub: &Hub,
        sink: &Arc<dyn Sink>,
        most: usize,
        expect: impl Fn(usize),
    ) {
        let end = self.given.saturating_add(most as u64);
        while !self.is_empty() && self.given < end {
            let most = (end - self.given) as usize;
            let room = match hub.ready() {
                Ok(crew) if self.has_room(&crew, most) => self.batch(&crew, most),
                Ok(_) => return,
                Err(_) => most.min(ALL_FAIL),
            };
            self.take(room);
            expect(self.given as usize + self.kept.len());
            match hub.ready() {
                Ok(mut crew) => while self.give_chunk(&mut crew, sink, end) {},
                Err(error) => self.fail(&error, sink),
            }
            if self.grant.limit != Grant::ANY {
                hub.remind(self.grant); // that somebody looks at the time
            }
        }
    }

    /// How many items to take out of the input for now.
    fn batch(&self, crew: &Crew, most: usize) -> usize {
        let (chunk, room) = self.chunk(crew, most);
        room.min(chunk.max(BATCH))
    }

    /// Takes items out of the input, without the lock: the input may be a stream of the same pool.
    fn take(&mut self, count: usize) {
        while self.kept.len() < count
            && let Some(items) = &mut self.items
        {
            match items.next() {
                Some(item) => self.kept.push_back(item),
                None => self.items = None,
            }
        }
    }

    /// Settles all that were taken out.
    fn fail(&mut self, error: &TaskError, sink: &Arc<dyn Sink>) {
        for _ in self.kept.drain(..) {
            sink.fail(self.given, error.clone());
            self.given += 1;
        }
    }

    /// Gives a chunk of the items before `end`, or settles why that cannot be; false if there is none, or no room.
    fn give_chunk(&mut self, crew: &mut Crew, sink: &Arc<dyn Sink>, end: u64) -> bool {
        let (chunk, room) = self.chunk(crew, (end - self.given) as usize);
        let chunk = if self.alone > 0 { 1 } else { chunk };
        let most = chunk.min(room).min(self.kept.len());
        let items = self.kept.make_contiguous();
        let items = few_enough::<A, _>(items.get(..most).unwrap_or_default());
        if items.is_empty() {
            return false;
        }
        let errand = Errand {
            sink: Arc::clone(sink),
            index: self.given,
            again: self.grant.again,
            limit: self.grant.limit,
        };
        let given = self.routine.clone().and_then(|routine| {
            let given = crew.give::<A, _>(routine, items, errand);
            given.map_err(|error| TaskError::not_started(&error))
        });
        match (given, items.len()) {
            (Ok(true), count) => self.have_given(count),
            (Ok(false), _) => return false,
            (Err(error), 1) => {
                sink.fail(self.given, error);
                self.have_given(1);
            }
            (Err(_), count) => self.alone = count, // which one it is shows when each goes alone
        }
        true
    }

    fn have_given(&mut self, count: usize) {
        self.kept.drain(..count);
        self.given += count as u64;
        self.alone = self.alone.saturating_sub(count);
    }
}

/// As many of the first items as make no more than [`BYTES`], and one at least.
fn few_enough<A: Message, V: Encode<A>>(items: &[V]) -> &[V] {
    let mut bytes = 0;
    let is_too_much = |item: &V| {
        bytes += item.guess();
        bytes > BYTES
    };
    let most = match A::FIXED {
        Some(size) => BYTES / size.max(1),
        None => items.iter().position(is_too_much).unwrap_or(items.len()),
    };
    items.get(..most.max(1)).unwrap_or(items)
}
