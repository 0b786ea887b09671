//! The workers of a pool, and what they have to do.

mod burial;
mod ending;
mod giving;
mod overdue;

use std::collections::VecDeque;

pub(super) use giving::Kept;

use super::error::TaskError;
use super::frame::Frame;
use super::grant::Grant;
use super::hearing::Run;
use super::ledger::Ledger;
use super::letters::Letters;
use super::member::{Member, Plan, Seat};
use super::pace::{Pace, Paces};
use super::progress::Progress;
use super::revoked::{self, CHUNKS, Words};
use super::tempo::Tempo;
use crate::Result;
use crate::queue::Queue;

/// All workers of a pool, in places that stay: the successor of a dead one has its place.
pub(super) struct Crew {
    plan: Plan,
    pub(super) tasks: Queue<Frame>,
    revoked: Words,
    pub(super) members: Vec<Member>,
    /// The receiving ends, unless somebody has them: whoever waits for answers.
    pub(super) seat: Option<Seat>,
    /// Threads that wait for the seat, or for something to be settled.
    pub(super) waiting: usize,
    pub(super) ledger: Ledger,
    /// Tasks that the queue had no room for.
    pub(super) backlog: VecDeque<Kept>,
    /// What the dead had in hand.
    pub(super) letters: Letters,
    /// The queue has refused a chunk since answers were looked for last: a worker that may be dead is in the way of others.
    stuck: bool,
    /// No more tasks are taken.
    closed: bool,
    tempo: Tempo,
    /// The shortest time that a task which may be open is given, in nanoseconds, or [`ANY`](Grant::ANY).
    shortest: u64,
    paces: Paces,
    pub(super) progress: Progress,
}

/// The longest frame that lies in the queue's ring.
const INLINE: usize = 48;
/// What a worker has in hand when it dies comes back here: only the parent knows what of it is done.
const DELIVERIES: u8 = 1;
/// Long arguments wait in this process once so many bytes are on their way.
const BYTES: u64 = 32 << 20;
/// But so many tasks for each worker are always on their way; and no more before it is known how long one takes.
const EACH: usize = 4;
/// The most tasks that are on their way.
const TASKS: usize = 16_384;

impl Crew {
    /// Starts `count` workers.
    pub(super) fn hire(plan: Plan, count: usize) -> Result<Self> {
        let tasks = Queue::<Frame>::builder()
            .capacity(CHUNKS)
            .message_size(INLINE)
            .max_deliveries(DELIVERIES)
            .anonymous()?;
        let revoked = revoked::none()?;
        let (mut members, mut ears) = (Vec::new(), Vec::new());
        for number in 1..=count {
            let (member, hears) = Member::hire(&plan, number, (&tasks, &revoked))?;
            members.push(member);
            ears.push(Some(hears));
        }
        Ok(Crew {
            plan,
            tasks,
            revoked,
            members,
            seat: Some(Seat {
                ears,
                run: Run::new(),
            }),
            waiting: 0,
            ledger: Ledger::default(),
            backlog: VecDeque::new(),
            letters: Letters::default(),
            stuck: false,
            closed: false,
            tempo: Tempo::default(),
            shortest: Grant::ANY,
            paces: Paces::default(),
            progress: Progress::default(),
        })
    }

    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    /// How long tasks of this routine take, as far as that is known.
    pub(super) fn pace(&self, routine: u64) -> Option<Pace> {
        let told = self.members.iter().map(Member::told);
        // The least: a worker that was kept from its tasks takes them for long ones, and may get none to see that they are not.
        let told = told.filter_map(|told| Pace::heard(told, routine)).min();
        told.or_else(|| self.paces.of(routine))
    }

    /// Whether nothing but lone tasks can be given, so that each worker has its share of them.
    pub(super) fn counts_tasks(&self) -> bool {
        self.plan.share != 0
    }

    /// Tasks that the queue is sure to take now, in chunks of so many.
    pub(super) fn room(&self, chunk: usize) -> usize {
        let full = self.ledger.bytes() >= BYTES && !self.is_short();
        if full || self.stuck || !self.backlog.is_empty() {
            return 0;
        }
        let chunks = CHUNKS.saturating_sub(self.ledger.chunks());
        let most = TASKS.max(chunk).saturating_sub(self.ledger.open());
        chunks.saturating_mul(chunk).min(most)
    }

    /// The room for tasks of which is not known how long they take, and `given` of which are on their way.
    pub(super) fn room_for_few(&self, given: usize) -> usize {
        let few = EACH * self.members.len();
        let given = if self.is_short() {
            self.ledger.open()
        } else {
            given
        };
        few.saturating_sub(given).min(self.room(1))
    }

    /// Whether workers may soon have nothing to do.
    pub(super) fn is_short(&self) -> bool {
        self.ledger.open() < EACH * self.members.len()
    }

    /// For how long, in nanoseconds, there is nothing to be done here but to wait.
    pub(super) fn leisure(&self) -> u64 {
        // Each worker's pipe has room for more answers than that.
        let answers = (self.ledger.open() / 2).min(256 * self.members.len());
        // How fast answers came says little once somebody has slept while there were none to come.
        let told = self.members.iter().map(Member::told);
        let each = told.filter_map(|told| Pace::lasts(told, answers)).min();
        let all = each.map_or(0, |each| each / self.members.len().max(1) as u64);
        self.tempo.lasts(answers).min(all)
    }

    /// Whether all is over: no task is taken, and no worker left.
    pub(super) fn is_over(&self) -> bool {
        self.closed && self.members.iter().all(|m| m.process().is_none())
    }

    /// Tasks that were taken and have not been answered.
    pub(super) fn outstanding(&self) -> usize {
        self.ledger.open() + self.backlog.len()
    }

    /// Whether a task can be taken at all.
    ///
    /// # Errors
    ///
    /// Why not.
    pub(super) fn check(&self) -> Result<(), TaskError> {
        if self.closed {
            return Err(TaskError::Closed);
        }
        let why = self.members.iter().map(|member| member.broken.as_ref());
        let why: Option<Vec<_>> = why.collect();
        match why.and_then(|all| all.first().copied()) {
            Some(why) => Err(why.clone()),
            None => Ok(()),
        }
    }

    /// Takes all answers that are there, and passes tasks on; how many answers there were.
    pub(super) fn tend(&mut self, seat: &mut Seat) -> usize {
        self.stuck = false;
        let answers: usize = (0..self.members.len())
            .map(|at| self.collect(at, seat))
            .sum();
        self.tempo.note(answers, self.ledger.open());
        if answers > 1 || answers > 0 && self.ledger.open() > 0 {
            let told = self.members.iter().map(Member::told);
            told.for_each(|told| self.paces.hear(told));
        }
        if self.letters.are_due() {
            self.read_letters();
        }
        if !self.backlog.is_empty() {
            self.pass_on();
        }
        if self.has_ended() {
            self.bury(seat);
        }
        answers
    }

    /// Whether a worker may have ended.
    fn has_ended(&self) -> bool {
        self.members.iter().any(|member| member.ended)
    }
}
