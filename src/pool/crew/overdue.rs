//! Tasks that take longer than they may.

use super::Crew;
use crate::pool::grant::Grant;
use crate::pool::member::Errand;
use crate::sys::clock::now_ns;

impl Crew {
    /// Notes that these tasks, which are about to go out, may take only so long; from now on workers say when they begin one.
    pub(super) fn watch(&mut self, errand: &Errand) {
        if errand.limit >= self.shortest {
            return;
        }
        if self.shortest == Grant::ANY {
            self.members.iter().for_each(|member| member.ask());
        }
        self.shortest = errand.limit;
    }

    /// Ends the workers whose task has taken too long, which settles it when they are buried. After how many nanoseconds the
    /// next one may have, if any can.
    pub(in crate::pool) fn end_overdue(&mut self) -> Option<u64> {
        if self.shortest == Grant::ANY {
            return None;
        }
        if self.outstanding() == 0 {
            self.shortest = Grant::ANY;
            return None;
        }
        let now = now_ns();
        // Whoever begins one right now.
        let mut next = self.shortest;
        for at in 0..self.members.len() {
            match self.left_at(at, now) {
                Some(0) => self.time_out(at),
                Some(left) => next = next.min(left),
                None => {}
            }
        }
        Some(next)
    }

    /// For how many nanoseconds the worker in this place may have its present task yet, if there is a limit.
    fn left_at(&mut self, at: usize, now: u64) -> Option<u64> {
        let member = &self.members[at];
        let (since, task) = (member.since()?, member.last_begun()?);
        let limit = self.ledger.find(task.chunk())?.errand.limit;
        let is_limited = limit != Grant::ANY && member.overdue.is_none();
        is_limited.then(|| since.saturating_add(limit).saturating_sub(now))
    }

    /// Ends the worker in this place if it has that task yet.
    #[cold]
    fn time_out(&mut self, at: usize) {
        let member = &mut self.members[at];
        if let (Some(since), Some(task)) = (member.since(), member.last_begun())
            && !member.has_ended()
            && member.kill_in(task, Some(since))
        {
            member.overdue = Some(task);
        }
    }
}
