//! The workers of a pool, and what they have to do.

use std::collections::VecDeque;
use std::sync::Arc;

use super::error::TaskError;
use super::frame::{Body, Encoded, Frame, LEFT, Parts, Plain, RETURNED, parse};
use super::ledger::{Ledger, Luggage};
use super::member::{Errand, Member, Plan, Seat};
use super::progress::Progress;
use super::revoked::{self, TASKS, Words};
use super::routine::pack;
use super::sink::Sink;
use super::tempo::Tempo;
use crate::message::{Encode, Message, Packed};
use crate::process::{Failure, Report};
use crate::queue::{Queue, TryPutError};
use crate::tenancy::handover;
use crate::{Error, ErrorKind, Result};

/// All workers of a pool, in places that stay: the successor of a dead one has its place.
pub(super) struct Crew {
    plan: Plan,
    tasks: Queue<Frame>,
    revoked: Words,
    members: Vec<Member>,
    /// The receiving ends, unless somebody has them: whoever waits for answers.
    pub(super) seat: Option<Seat>,
    ledger: Ledger,
    /// Tasks that the queue had no room for.
    backlog: VecDeque<Kept>,
    /// No more tasks are taken.
    closed: bool,
    tempo: Tempo,
    /// How the last worker that died did.
    last_death: TaskError,
    pub(super) progress: Progress,
}

/// A task that waits in this process.
struct Kept {
    routine: u64,
    arguments: Packed,
    errand: Errand,
    luggage: Luggage,
}

/// The longest frame that lies in the queue's ring.
const INLINE: usize = 48;
/// As often as a queue can be told to; workers count for themselves.
const DELIVERIES: u8 = 127;
/// Long arguments wait in this process once so many bytes are on their way.
const BYTES: u64 = 32 << 20;
/// But so many for each worker are always on their way.
const EACH: usize = 4;

impl Crew {
    /// Starts `count` workers.
    pub(super) fn hire(plan: Plan, count: usize) -> Result<Self> {
        let tasks = Queue::<Frame>::builder()
            .capacity(TASKS)
            .message_size(INLINE)
            .max_deliveries(DELIVERIES)
            .anonymous()?;
        let revoked = revoked::none()?;
        let (mut members, mut receivers) = (Vec::new(), Vec::new());
        for number in 1..=count {
            let (member, receiver) = Member::hire(&plan, number, (&tasks, &revoked))?;
            members.push(member);
            receivers.push(Some(receiver));
        }
        Ok(Crew {
            plan,
            tasks,
            revoked,
            members,
            seat: Some(Seat { receivers }),
            ledger: Ledger::default(),
            backlog: VecDeque::new(),
            closed: false,
            tempo: Tempo::default(),
            last_death: TaskError::Closed,
            progress: Progress::default(),
        })
    }

    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    /// Tasks that the queue is sure to take now.
    pub(super) fn room(&self) -> usize {
        let full = self.ledger.bytes() >= BYTES && self.ledger.open() >= EACH * self.members.len();
        match full || !self.backlog.is_empty() {
            true => 0,
            false => TASKS.saturating_sub(self.ledger.open()),
        }
    }

    /// Whether it is worth while to give tasks now: to none while they would have to be looked after one by one.
    pub(super) fn has_room(&self) -> bool {
        let few = self.ledger.open() < EACH * self.members.len();
        let room = self.room();
        room >= TASKS / 4 || few && room > 0 || self.check().is_err()
    }

    /// For how long, in nanoseconds, there is nothing to be done here but to wait.
    pub(super) fn leisure(&self) -> u64 {
        // Each worker's pipe has room for more answers than that.
        let answers = (self.ledger.open() / 2).min(256 * self.members.len());
        self.tempo.lasts(answers)
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

    /// Gives a task to whichever worker comes first; false if there is no room now.
    ///
    /// # Errors
    ///
    /// When the arguments cannot be written.
    pub(super) fn give<T: Message, V: Encode<T>>(
        &mut self,
        routine: u64,
        arguments: &V,
        errand: &Errand,
    ) -> Result<bool> {
        self.put(routine, Encoded::<T, V>::new(arguments), errand, &mut None)
    }

    /// The luggage is that of a body which was made before.
    fn put<B: Body>(
        &mut self,
        routine: u64,
        body: B,
        errand: &Errand,
        luggage: &mut Luggage,
    ) -> Result<bool> {
        let (bytes, number) = (body.guess(), self.ledger.next());
        revoked::allow(&self.revoked, number);
        let parts = Parts {
            head: [pack(routine, errand.again), number],
            body,
        };
        let put = || self.tasks.try_put(parts);
        let (put, packed) = if B::INERT {
            (put(), None)
        } else {
            pack_with(put)
        };
        match put {
            Ok(()) => {
                let luggage = packed.or_else(|| luggage.take());
                self.ledger.enter(errand.clone(), bytes, luggage);
                self.progress.submitted += 1;
                Ok(true)
            }
            Err(TryPutError::Full) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes a task whether there is room or not.
    ///
    /// # Errors
    ///
    /// When the arguments cannot be written.
    pub(super) fn take<T: Message>(
        &mut self,
        routine: u64,
        arguments: &T,
        errand: Errand,
    ) -> Result<()> {
        if self.room() > 0 && self.give::<T, T>(routine, arguments, &errand)? {
            return Ok(());
        }
        let (arguments, luggage) = pack_with(|| Packed::new(arguments));
        self.backlog.push_back(Kept {
            routine,
            arguments: arguments?,
            errand,
            luggage,
        });
        Ok(())
    }

    /// Passes on what waits here, as far as there is room.
    #[cold]
    fn pass_on(&mut self) {
        while let Some(mut kept) = self.backlog.pop_front() {
            let (errand, luggage) = (&kept.errand, &mut kept.luggage);
            let given = match self.room_for_kept() {
                true => self.put(kept.routine, Plain(kept.arguments.bytes()), errand, luggage),
                false => Ok(false),
            };
            match given {
                Ok(true) => {}
                Ok(false) => return self.backlog.push_front(kept),
                Err(error) => {
                    self.progress.submitted += 1;
                    self.fail(&kept.errand, TaskError::not_started(&error));
                }
            }
        }
    }

    fn room_for_kept(&self) -> bool {
        let few = self.ledger.open() < EACH * self.members.len();
        few || self.ledger.bytes() < BYTES && self.ledger.open() < TASKS
    }

    fn fail(&mut self, errand: &Errand, error: TaskError) {
        self.progress.failed += 1;
        errand.settle(Err(error));
    }

    /// Takes all answers that are there, and passes tasks on; how many answers there were.
    pub(super) fn tend(&mut self, seat: &mut Seat) -> usize {
        let answers: usize = (0..self.members.len())
            .map(|at| self.collect(at, seat))
            .sum();
        self.tempo.note(answers, self.ledger.open());
        if !self.backlog.is_empty() {
            self.pass_on();
        }
        if self.has_ended() {
            self.bury(seat);
        }
        answers
    }

    fn collect(&mut self, at: usize, seat: &Seat) -> usize {
        let mut count = 0;
        let Some(receiver) = &seat.receivers[at] else {
            return 0;
        };
        loop {
            match receiver.try_recv() {
                Ok(frame) => {
                    let (tag, number, body) = parse(&frame);
                    self.answered(tag, number, body);
                    count += 1;
                }
                Err(crate::TryRecvError::Empty) => return count,
                Err(_) => {
                    self.members[at].ended |= self.members[at].process().is_some();
                    return count;
                }
            }
        }
    }

    /// Settles the task that was answered, unless it was before.
    #[inline]
    fn answered(&mut self, tag: u64, number: u64, body: &[u8]) {
        if tag == LEFT {
            return self.left(number);
        }
        let Some(errand) = self.ledger.strike(number) else {
            return;
        };
        if tag == RETURNED {
            self.progress.done += 1;
            errand.settle(Ok(body));
        } else {
            self.fail(&errand, failure(tag, body));
        }
    }

    /// A worker had this task in hand when it died, and has not been buried yet, or had not said that it begins the task.
    #[cold]
    fn left(&mut self, number: u64) {
        let mut dead = self
            .members
            .iter_mut()
            .filter_map(|m| m.has_ended().then_some(m));
        let of_it = dead.find(|member| member.last_begun() == Some(number));
        let error = match of_it {
            Some(member) => member.epitaph(),
            None => self.last_death.clone(),
        };
        if let Some(errand) = self.ledger.strike(number) {
            self.fail(&errand, error);
        }
    }

    /// Whether a worker may have ended.
    fn has_ended(&self) -> bool {
        self.members.iter().any(|member| member.ended)
    }

    /// Looks at which workers have ended, settles what they leave behind, and starts others in their place.
    #[cold]
    pub(super) fn bury(&mut self, seat: &mut Seat) {
        for at in 0..self.members.len() {
            if self.members[at].has_ended() {
                self.collect(at, seat); // what it answered before
                self.succeed(at, seat);
            }
        }
        self.clear_away(seat);
    }

    fn succeed(&mut self, at: usize, seat: &mut Seat) {
        if let Some(error) = self.members[at].refused_to_begin() {
            return self.break_off(at, &error);
        }
        self.last_death = self.members[at].epitaph();
        self.settle_last(at);
        if self.closed && self.outstanding() == 0 {
            return self.members[at].leave();
        }
        match self.members[at].succeed(&self.plan, (&self.tasks, &self.revoked)) {
            Ok(receiver) => {
                seat.receivers[at] = Some(receiver);
                self.progress.replaced += 1;
            }
            Err(error) => self.break_off(at, &error),
        }
    }

    /// Looks for answers no more where no worker is left.
    fn clear_away(&self, seat: &mut Seat) {
        let places = self.members.iter().zip(&mut seat.receivers);
        let left = places.filter(|(member, _)| member.process().is_none());
        left.for_each(|(_, receiver)| *receiver = None);
    }

    /// Settles the task that a worker had in hand when it ended, if there was one that is not to be begun again.
    fn settle_last(&mut self, at: usize) {
        let Some(number) = self.members[at].last_begun() else {
            return;
        };
        match self.ledger.find(number) {
            None => {}
            Some(errand) if errand.again > 0 => {
                errand.again -= 1;
                self.progress.retried += 1;
            }
            Some(_) => {
                let error = self.members[at].epitaph();
                if let Some(errand) = self.ledger.strike(number) {
                    self.fail(&errand, error);
                }
            }
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

    fn fail_all(&mut self, why: &TaskError) {
        let mut lost = self.ledger.clear();
        self.progress.submitted += self.backlog.len() as u64;
        lost.extend(self.backlog.drain(..).map(|kept| kept.errand));
        lost.iter()
            .for_each(|errand| self.fail(errand, why.clone()));
    }

    /// Cancels the task that settles `sink`; true unless it is over already.
    pub(super) fn cancel(&mut self, sink: &Arc<dyn Sink>) -> bool {
        let is_it = |errand: &Errand| Arc::ptr_eq(&errand.sink, sink);
        if let Some(at) = self.backlog.iter().position(|kept| is_it(&kept.errand)) {
            if let Some(kept) = self.backlog.remove(at) {
                self.progress.submitted += 1;
                self.fail(&kept.errand, TaskError::Cancelled);
            }
            return true;
        }
        let Some(number) = self.ledger.position(is_it) else {
            return false;
        };
        // Each side stores its own, and then looks at the other's: a worker begins the task, or sees that it is not to.
        revoked::revoke(&self.revoked, number);
        let begun = self.members.iter().any(|m| m.last_begun() == Some(number));
        if begun && !self.members.iter().any(|m| m.kill_in(number)) {
            return false; // it is over, and the answer on its way
        }
        if let Some(errand) = self.ledger.strike(number) {
            self.fail(&errand, TaskError::Cancelled);
        }
        true
    }

    /// Has no worker begin any of the tasks that settle `sink`, of which nobody wants to know any more.
    pub(super) fn abandon(&mut self, sink: &Arc<dyn Sink>) {
        for number in self
            .ledger
            .positions(|errand| Arc::ptr_eq(&errand.sink, sink))
        {
            // As in `cancel`.
            revoked::revoke(&self.revoked, number);
            if self.members.iter().any(|m| m.last_begun() == Some(number)) {
                continue;
            }
            if let Some(errand) = self.ledger.strike(number) {
                self.fail(&errand, TaskError::Cancelled);
            }
        }
    }

    /// Takes no more tasks.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// Tells all workers to end: there is nothing left for them.
    pub(super) fn dismiss(&mut self) {
        self.tasks.close();
    }

    /// Ends all workers at once, and settles everything.
    pub(super) fn terminate(&mut self) {
        self.closed = true;
        self.tasks.close();
        self.members.iter().for_each(Member::kill);
        self.fail_all(&TaskError::Closed);
    }
}

/// Writes arguments, and says what must be kept until a worker has them.
fn pack_with<R>(write: impl FnOnce() -> R) -> (R, Luggage) {
    let (written, cargo) = handover::collect(write);
    (written, (!cargo.is_empty()).then(|| Box::new(cargo)))
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
