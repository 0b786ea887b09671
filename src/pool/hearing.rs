//! What workers answer, and what becomes of it.

use super::brief::{Said, Small, said};
use super::crew::Crew;
use super::error::TaskError;
use super::frame::{RETURNED, parse};
use super::member::{Ears, Seat};
use crate::message::Packed;
use crate::process::{Failure, Report};
use crate::{Error, ErrorKind, TryRecvError};

/// Results of one chunk, one after the other, which are settled together.
pub(super) struct Run {
    chunk: u64,
    at: usize,
    results: [Small; RUN],
    len: usize,
}

/// So many are worth a lock.
const RUN: usize = 32;

impl Run {
    pub(super) const fn new() -> Self {
        Run {
            chunk: 0,
            at: 0,
            results: [Small::NONE; RUN],
            len: 0,
        }
    }

    /// Takes the result, if it comes behind the others.
    #[inline]
    fn take(&mut self, chunk: u64, at: usize, result: Small) -> bool {
        if self.len == 0 {
            (self.chunk, self.at) = (chunk, at);
        }
        let is_next = chunk == self.chunk && at == self.at + self.len;
        match self.results.get_mut(self.len) {
            Some(place) if is_next => *place = result,
            _ => return false,
        }
        self.len += 1;
        true
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
        let chunk = self.ledger.number_of(said.chunk);
        let at = usize::from(said.at);
        let Some(result) = said.result else {
            self.settle(run);
            self.hear_at_length(ears);
            return;
        };
        if !run.take(chunk, at, result) {
            self.settle(run);
            run.take(chunk, at, result);
        }
    }

    /// Settles the results in hand, but for those of a chunk that is over.
    #[inline]
    fn settle(&mut self, run: &mut Run) {
        let len = std::mem::take(&mut run.len);
        let results = run.results.get(..len).unwrap_or_default();
        if results.is_empty() {
            return;
        }
        let Some(chunk) = self.ledger.find(run.chunk) else {
            return;
        };
        let results = results.get(..chunk.left()).unwrap_or(results);
        if chunk.done != run.at {
            return;
        }
        chunk.errand.sink.settle_run(chunk.index(), results);
        self.progress.done += results.len() as u64;
        self.ledger.advance(run.chunk, results.len());
    }

    /// The next of the long answers; false if there is none.
    #[cold]
    fn hear_at_length(&mut self, ears: &Ears) -> bool {
        let Ok(frame) = ears.long.try_recv() else {
            return false;
        };
        let (tag, task, body) = parse(&frame);
        let number = task.chunk();
        let Some(chunk) = self.ledger.find(number).filter(|c| c.done == task.at()) else {
            return true;
        };
        if tag == RETURNED {
            chunk.errand.sink.settle(chunk.index(), Ok(body));
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
