//! The items of a map or a stream on their way to the workers.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::Arc;

use super::crew::Crew;
use super::error::TaskError;
use super::hub::Hub;
use super::member::Errand;
use super::sink::Sink;
use crate::Result;
use crate::message::{Encode, Message};

/// What is left of an input, and how many of its items were given to workers.
pub(super) struct Feeder<A, I: Iterator> {
    routine: std::result::Result<u64, TaskError>,
    again: u32,
    /// None behind the last item.
    items: Option<I>,
    /// Items that were taken out of the input and found no room.
    kept: VecDeque<I::Item>,
    given: u64,
    argument: PhantomData<fn(A)>,
}

/// So many items at a time are taken out of an input that can only fail.
const ALL_FAIL: usize = 1024;

impl<A, I> Feeder<A, I>
where
    A: Message,
    I: Iterator<Item: Encode<A>>,
{
    /// Nothing is given yet. Each task may be begun again so often.
    pub(super) fn new(routine: Result<u64>, items: I, again: u32) -> Self {
        Feeder {
            routine: routine.map_err(|error| TaskError::not_started(&error)),
            again,
            items: Some(items),
            kept: VecDeque::new(),
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

    /// Gives as many items as there is room for, and `most` at most; `expect` hears how many will have been given.
    pub(super) fn feed(
        &mut self,
        hub: &Hub,
        sink: &Arc<dyn Sink>,
        most: usize,
        expect: impl FnOnce(usize),
    ) {
        if self.is_empty() {
            return;
        }
        let room = match hub.ready() {
            Ok(crew) => crew.room().min(most),
            Err(_) => most.min(ALL_FAIL),
        };
        // Without the lock: the input may be a stream of the same pool.
        while self.kept.len() < room
            && let Some(items) = &mut self.items
        {
            match items.next() {
                Some(item) => self.kept.push_back(item),
                None => self.items = None,
            }
        }
        expect(self.given as usize + self.kept.len());
        match hub.ready() {
            Ok(mut crew) => while self.give_one(Ok(&mut crew), sink) {},
            Err(error) => while self.give_one(Err(&error), sink) {},
        }
    }

    /// Gives an item, or settles why that cannot be; false if there is none, or no room.
    fn give_one(
        &mut self,
        crew: std::result::Result<&mut Crew, &TaskError>,
        sink: &Arc<dyn Sink>,
    ) -> bool {
        let Some(item) = self.kept.front() else {
            return false;
        };
        let errand = Errand {
            sink: Arc::clone(sink),
            index: self.given,
            again: self.again,
        };
        let given = crew.map_err(Clone::clone).and_then(|crew| {
            let given = crew.give::<A, _>(self.routine.clone()?, item, &errand);
            given.map_err(|error| TaskError::not_started(&error))
        });
        match given {
            Ok(true) => {}
            Ok(false) => return false,
            Err(error) => errand.settle(Err(error)),
        }
        self.kept.pop_front();
        self.given += 1;
        true
    }
}
