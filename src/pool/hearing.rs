//! What workers answer, and what becomes of it.

use std::sync::Arc;

use super::answer::Long;
use super::brief::{Said, Small, said};
use super::crew::Crew;
use super::error::TaskError;
use super::frame::{RETURNED, parse};
use super::member::{Ears, Seat};
use super::sink::Sink;
use crate::message::Packed;
use crate::process::{Failure, Report};
use crate::{Error, ErrorKind, TryRecvError};

/// Results in hand, which are settled together: they all go to one sink.
pub(super) struct Run {
    results: [Small; RUN],
    len: usize,
    /// Where they go, unless all are of the chunk in hand, which knows.
    sink: Option<Arc<dyn Sink>>,
    /// The chunk in hand: its number, its next task with that one's index, and how many tasks it has yet.
    chunk: u64,
    at: usize,
    index: u64,
    left: usize,
    /// How many of its results are here and not in the ledger.
    new: usize,
}

/// Where so many answers were there, more are.
const MANY: usize = 8;

/// So far ahead lines of answers are asked for, of which each has two: most of the time that an answer took was spent in waiting
/// for its line.
const AHEAD: u32 = 16;

/// So many are worth a lock.
const RUN: usize = 32;

impl Run {
    pub(super) const fn new() -> Self {
        Run {
            results: [Small::NONE; RUN],
            len: 0,
            sink: None,
            chunk: 0,
            at: 0,
            index: 0,
            left: 0,
            new: 0,
        }
    }

    /// Whether this is the next task of the chunk in hand.
    #[inline]
    fn is_next(&self, chunk: u64, at: usize) -> bool {
        self.left > 0 && self.chunk == chunk && self.at == at
    }

    /// Takes the result of the next task; whether there is room for another.
    #[inline]
    fn take(&mut self, mut result: Small) -> bool {
        result.index = self.index;
        if let Some(place) = self.results.get_mut(self.len) {
            *place = result;
        }
        self.len += 1;
        self.new += 1;
        self.left -= 1;
        self.at += 1;
        self.index += 1;
        self.len < RUN
    }

    #[inline]
    fn results(&self) -> &[Small] {
        self.results.get(..self.len).unwrap_or_default()
    }
}

impl Crew {
    /// Takes all answers of the worker in this place; how many there were.
    pub(super) fn collect(&mut self, at: usize, seat: &mut Seat) -> usize {
        let Seat { ears, run } = seat;
        let Some(Some(ears)) = ears.get(at) else {
            return 0;
        };
        let mut count = 0;
        let ended = loop {
            match ears.brief.try_recv() {
                Ok(message) => {
                    if count >= MANY {
                        ears.brief.fetch_behind(AHEAD);
                    }
                    self.hear(said(&message), run, ears);
                    count += 1;
                }
                Err(TryRecvError::Empty) => break false,
                Err(_) => break true,
            }
        };
        self.settle(run);
        if ended {
            self.members[at].ended |= self.members[at].process().is_some();
        }
        count
    }

    #[inline]
    fn hear(&mut self, said: Said, run: &mut Run, ears: &Ears) {
        let Some(result) = said.result else {
            self.settle(run);
            self.hear_at_length(ears);
            return;
        };
        let chunk = self.ledger.number_of(said.chunk);
        let at = usize::from(said.at);
        if (run.is_next(chunk, at) || self.turn_to(run, chunk, at)) && !run.take(result) {
            self.settle(run);
        }
    }

    /// Takes this chunk in hand; false if it is over, or another task is its next.
    #[inline]
    fn turn_to(&mut self, run: &mut Run, number: u64, at: usize) -> bool {
        if run.len > 0 && run.sink.is_none() {
            let before = self.ledger.find(run.chunk);
            run.sink = before.map(|chunk| Arc::clone(&chunk.errand.sink));
        }
        self.enter(run);
        let Some(chunk) = self.ledger.find(number).filter(|c| c.done == at) else {
            return false;
        };
        let (index, left) = (chunk.index(), chunk.left());
        if let Some(sink) = &run.sink
            && !Arc::ptr_eq(sink, &chunk.errand.sink)
        {
            self.settle(run);
        }
        (run.chunk, run.at) = (number, at);
        (run.index, run.left) = (index, left);
        true
    }

    /// Settles the results in hand.
    #[inline]
    fn settle(&mut self, run: &mut Run) {
        if run.len > 0 {
            match (run.sink.take(), self.ledger.find(run.chunk)) {
                (Some(sink), _) => sink.settle_all(run.results()),
                (None, Some(chunk)) => chunk.errand.sink.settle_all(run.results()),
                (None, None) => {} // it would have been kept in hand
            }
            self.progress.done += std::mem::take(&mut run.len) as u64;
        }
        self.enter(run);
    }

    /// Lets go of the chunk in hand: enters in the ledger what is new of it.
    #[inline]
    fn enter(&mut self, run: &mut Run) {
        if run.new > 0 {
            self.ledger.advance(run.chunk, run.new);
        }
        (run.new, run.left) = (0, 0);
    }

    /// The next of the long answers; false if there is none.
    #[cold]
    fn hear_at_length(&mut self, ears: &Ears) -> bool {
        let Some(frame) = ears.long.next() else {
            return false;
        };
        let (tag, task, body) = parse(&frame);
        let number = task.chunk();
        let Some(chunk) = self.ledger.find(number).filter(|c| c.done == task.at()) else {
            return true;
        };
        if tag == RETURNED {
            let index = chunk.index();
            let shelf = &ears.long;
            chunk.errand.sink.settle_long(index, Long { frame, shelf });
            self.progress.done += 1;
            self.ledger.advance(number, 1);
        } else {
            self.fail_next(number, failure(tag, body));
        }
        true
    }

    /// Takes the long answers that a worker did not announce any more, behind all others.
    pub(super) fn collect_unannounced(&mut self, at: usize, seat: &Seat) {
        if let Some(Some(ears)) = seat.ears.get(at) {
            while self.hear_at_length(ears) {}
        }
    }
}

/// What an answer says that is no result.
#[cold]
fn failure(tag: u64, body: &[u8]) -> TaskError {
    let packed = Packed::filled(body.len(), |room| {
        room.copy_from_slice(body);
        Ok::<(), Error>(())
    });
    let report = packed
        .ok()
        .and_then(|packed| Report::decode(tag as u8, packed));
    match report.map(Report::into_value) {
        Some(Err(failure)) => failure.into(),
        _ => TaskError::from(Failure::Failed {
            kind: ErrorKind::Corrupt,
            text: format!("a worker gave an answer that is none (tag {tag})"),
        }),
    }
}
