//! Tasks that come to nothing: cancelled, abandoned, or of a pool that is closed.

use std::sync::Arc;

use super::Crew;
use crate::pool::error::TaskError;
use crate::pool::frame::Place;
use crate::pool::ledger::Chunk;
use crate::pool::member::{Errand, Member};
use crate::pool::revoked;
use crate::pool::sink::Sink;
use crate::sys::membarrier;

impl Crew {
    /// Settles all tasks of a chunk that are not.
    pub(in crate::pool) fn fail(&mut self, chunk: &Chunk, error: &TaskError) {
        self.progress.failed += chunk.left() as u64;
        for index in chunk.index()..chunk.index() + chunk.left() as u64 {
            chunk.errand.sink.fail(index, error.clone());
        }
    }

    /// Settles the next task of an open chunk.
    pub(in crate::pool) fn fail_next(&mut self, number: u64, error: TaskError) {
        let Some(chunk) = self.ledger.find(number) else {
            return;
        };
        chunk.errand.sink.fail(chunk.index(), error);
        self.progress.failed += 1;
        self.ledger.advance(number, 1);
    }

    pub(super) fn fail_all(&mut self, why: &TaskError) {
        let mut lost = self.ledger.clear();
        for kept in std::mem::take(&mut self.backlog) {
            self.progress.submitted += if kept.counted {
                0
            } else {
                kept.chunk.left() as u64
            };
            lost.push(kept.chunk);
        }
        lost.iter().for_each(|chunk| self.fail(chunk, why));
    }

    /// Cancels the task that settles `sink`; true unless it is over already.
    pub(in crate::pool) fn cancel(&mut self, sink: &Arc<dyn Sink>) -> bool {
        let is_it = |errand: &Errand| Arc::ptr_eq(&errand.sink, sink);
        if self.forget_kept(is_it) {
            return true;
        }
        let Some(&number) = self.ledger.positions(is_it).first() else {
            return false;
        };
        // Each side stores its own, and then looks at the other's: a worker begins the task, or sees that it is not to.
        revoked::revoke(&self.revoked, number);
        membarrier::heavy();
        let task = Place::new(number, 0);
        let begun = self.members.iter().any(|m| m.last_begun() == Some(task));
        if begun && !self.members.iter().any(|m| m.kill_in(task, None)) {
            return false; // it is over, and the answer on its way
        }
        self.fail_next(number, TaskError::Cancelled);
        true
    }

    /// Cancels all tasks like this that wait here; whether there were any.
    fn forget_kept(&mut self, is_it: impl Fn(&Errand) -> bool) -> bool {
        let kept = std::mem::take(&mut self.backlog).into_iter();
        let (these, others): (Vec<_>, _) = kept.partition(|kept| is_it(&kept.chunk.errand));
        self.backlog = others.into();
        for kept in &these {
            self.progress.submitted += if kept.counted {
                0
            } else {
                kept.chunk.left() as u64
            };
            self.fail(&kept.chunk, &TaskError::Cancelled);
        }
        !these.is_empty()
    }

    /// Has no worker begin any of the tasks that settle `sink`, of which nobody wants to know any more.
    pub(in crate::pool) fn abandon(&mut self, sink: &Arc<dyn Sink>) {
        let is_it = |errand: &Errand| Arc::ptr_eq(&errand.sink, sink);
        self.forget_kept(is_it);
        let numbers = self.ledger.positions(is_it);
        if numbers.is_empty() {
            return;
        }
        // As in `cancel`.
        numbers
            .iter()
            .for_each(|&n| revoked::revoke(&self.revoked, n));
        membarrier::heavy();
        for number in numbers {
            let last = self.members.iter().filter_map(Member::last_begun);
            let begun = last
                .filter(|task| task.chunk() == number)
                .map(|task| task.at() + 1);
            let begun = begun.max().unwrap_or(0);
            self.progress.failed += self.ledger.cut(number, begun) as u64;
        }
    }

    /// Takes no more tasks.
    pub(in crate::pool) fn close(&mut self) {
        self.closed = true;
    }

    /// Tells all workers to end: there is nothing left for them.
    pub(in crate::pool) fn dismiss(&mut self) {
        self.tasks.close();
    }

    /// Ends all workers at once, and settles everything.
    pub(in crate::pool) fn terminate(&mut self) {
        self.closed = true;
        self.tasks.close();
        self.members.iter().for_each(Member::kill);
        self.fail_all(&TaskError::Closed);
    }
}
