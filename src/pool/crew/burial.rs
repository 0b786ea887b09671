//! What the dead leave behind, and who comes in their place.

use std::time::Duration;

use super::Crew;
use crate::Error;
use crate::pool::error::TaskError;
use crate::pool::grant::Grant;
use crate::pool::member::{Ears, Seat};

impl Crew {
    /// Looks at which workers have ended, settles what they leave behind, and starts others in their place.
    #[cold]
    pub(in crate::pool) fn bury(&mut self, seat: &mut Seat) {
        for at in 0..self.members.len() {
            if self.members[at].has_ended() {
                self.collect(at, seat); // what it answered before
                self.collect_unannounced(at, seat);
                self.succeed(at, seat);
            }
        }
        self.clear_away(seat);
        self.letters.expect(self.ledger.next());
        self.read_letters();
        self.pass_on();
    }

    fn succeed(&mut self, at: usize, seat: &mut Seat) {
        if let Some(error) = self.members[at].refused_to_begin() {
            return self.break_off(at, &error);
        }
        self.settle_last(at);
        if self.closed && self.outstanding() == 0 {
            return self.members[at].leave();
        }
        let watched = self.shortest != Grant::ANY;
        match self.members[at].succeed(&self.plan, (&self.tasks, &self.revoked), watched) {
            Ok(ears) => {
                seat.ears[at] = Some(ears);
                self.progress.replaced += 1;
            }
            Err(error) => self.break_off(at, &error),
        }
    }

    /// Looks for answers no more where no worker is left.
    fn clear_away(&self, seat: &mut Seat) {
        let places = self.members.iter().zip(&mut seat.ears);
        let left = places.filter(|(member, _)| member.process().is_none());
        left.for_each(|(_, ears): (_, &mut Option<Ears>)| *ears = None);
    }

    /// Settles the task that a worker had in hand when it ended, if there was one that is not to be begun again.
    fn settle_last(&mut self, at: usize) {
        let Some(task) = self.members[at].last_begun() else {
            return;
        };
        let Some(chunk) = self.ledger.find(task.chunk()) else {
            return;
        };
        if chunk.done != task.at() {
            return; // it was answered
        }
        let limit = Duration::from_nanos(chunk.errand.limit);
        if self.members[at].overdue.take() == Some(task) {
            self.fail_next(task.chunk(), TaskError::TimedOut { limit });
        } else if chunk.deaths < chunk.errand.again {
            chunk.deaths += 1;
            self.progress.retried += 1;
        } else {
            let error = self.members[at].epitaph();
            self.fail_next(task.chunk(), error);
        }
    }

    /// No worker can be had in this place; if there is none elsewhere, all tasks fail.
    #[cold]
    fn break_off(&mut self, at: usize, error: &Error) {
        let why = TaskError::not_started(error);
        self.members[at].leave();
        self.members[at].broken = Some(why.clone());
        if self.members.iter().all(|m| m.broken.is_some()) {
            self.fail_all(&why);
        }
    }
}
