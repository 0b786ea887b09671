//! The workers of a pool, and what they have to do.

mod overdue;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::error::TaskError;
use super::frame::{Body, Encoded, Frame, Many, Parts, Place, Plain};
use super::grant::Grant;
use super::hearing::Run;
use super::ledger::{Chunk, Ledger, Luggage};
use super::letters::Letters;
use super::member::{Ears, Errand, Member, Plan, Seat};
use super::pace::{Pace, Paces};
use super::progress::Progress;
use super::revoked::{self, CHUNKS, Words};
use super::sink::Sink;
use super::tempo::Tempo;
use crate::message::{Encode, Message, Packed};
use crate::queue::{Queue, TryPutError};
use crate::sys::membarrier;
use crate::tenancy::handover;
use crate::{Error, Result};

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

/// Tasks that wait in this process.
pub(super) struct Kept {
    pub(super) routine: u64,
    /// The body of a request.
    pub(super) arguments: Packed,
    pub(super) chunk: Chunk,
    /// They have been counted as taken.
    pub(super) counted: bool,
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
        let told = told.filter_map(|told| Pace::heard(told, routine)).max();
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

    /// Gives tasks to whichever worker comes first; false if there is no room now.
    ///
    /// # Errors
    ///
    /// When the arguments cannot be written.
    pub(super) fn give<T: Message, V: Encode<T>>(
        &mut self,
        routine: u64,
        arguments: &[V],
        errand: &Errand,
    ) -> Result<bool> {
        let chunk = chunk_of(errand.clone(), arguments.len());
        let put = match arguments {
            [one] => self.put(routine, Encoded::<T, V>::new(one), chunk),
            many => self.put(routine, Many::<T, V>::new(many), chunk),
        };
        let given = put?.is_none();
        self.progress.submitted += if given { arguments.len() as u64 } else { 0 };
        Ok(given)
    }

    /// Gives the chunk back where there is no room. Its luggage is that of a body which was made before.
    fn put<B: Body>(&mut self, routine: u64, body: B, mut chunk: Chunk) -> Result<Option<Chunk>> {
        let number = self.ledger.next();
        chunk.bytes = body.guess();
        revoked::allow(&self.revoked, number);
        self.watch(&chunk.errand);
        let parts = Parts {
            head: [routine, Place::new(number, chunk.count).0],
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
                chunk.luggage = packed.or(chunk.luggage);
                self.ledger.enter(chunk);
                Ok(None)
            }
            Err(TryPutError::Full) => {
                self.stuck = true;
                Ok(Some(chunk))
            }
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
        errand: &Errand,
    ) -> Result<()> {
        let one = std::slice::from_ref(arguments);
        if self.room(1) > 0 && self.give::<T, T>(routine, one, errand)? {
            return Ok(());
        }
        let (arguments, luggage) = pack_with(|| Packed::new(arguments));
        self.backlog.push_back(Kept {
            routine,
            arguments: arguments?,
            chunk: Chunk {
                luggage,
                ..chunk_of(errand.clone(), 1)
            },
            counted: false,
        });
        Ok(())
    }

    /// Passes on what waits here, as far as there is room.
    #[cold]
    pub(super) fn pass_on(&mut self) {
        while let Some(mut kept) = self.backlog.pop_front() {
            if !self.room_for_kept() {
                return self.backlog.push_front(kept);
            }
            let count = kept.chunk.count as u64;
            let submitted = if kept.counted { 0 } else { count };
            let errand = kept.chunk.errand.clone();
            match self.put(kept.routine, Plain(kept.arguments.bytes()), kept.chunk) {
                Ok(None) => self.progress.submitted += submitted,
                Ok(Some(chunk)) => {
                    kept.chunk = chunk;
                    return self.backlog.push_front(kept);
                }
                Err(error) => {
                    self.progress.submitted += submitted;
                    self.fail(
                        &chunk_of(errand, count as usize),
                        &TaskError::not_started(&error),
                    );
                }
            }
        }
    }

    fn room_for_kept(&self) -> bool {
        let few = self.is_short();
        few || self.ledger.bytes() < BYTES && self.ledger.chunks() < CHUNKS
    }

    /// Settles all tasks of a chunk that are not.
    pub(super) fn fail(&mut self, chunk: &Chunk, error: &TaskError) {
        self.progress.failed += chunk.left() as u64;
        for index in chunk.index()..chunk.index() + chunk.left() as u64 {
            chunk.errand.sink.settle(index, Err(error.clone()));
        }
    }

    /// Settles the next task of an open chunk.
    pub(super) fn fail_next(&mut self, number: u64, error: TaskError) {
        let Some(chunk) = self.ledger.find(number) else {
            return;
        };
        chunk.errand.sink.settle(chunk.index(), Err(error));
        self.progress.failed += 1;
        self.ledger.advance(number, 1);
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

    /// Looks at which workers have ended, settles what they leave behind, and starts others in their place.
    #[cold]
    pub(super) fn bury(&mut self, seat: &mut Seat) {
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

    fn fail_all(&mut self, why: &TaskError) {
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
    pub(super) fn cancel(&mut self, sink: &Arc<dyn Sink>) -> bool {
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
    pub(super) fn abandon(&mut self, sink: &Arc<dyn Sink>) {
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

/// Tasks that have not gone out.
fn chunk_of(errand: Errand, count: usize) -> Chunk {
    Chunk {
        errand,
        count,
        done: 0,
        deaths: 0,
        bytes: 0,
        luggage: None,
    }
}

/// Writes arguments, and says what must be kept until a worker has them.
fn pack_with<R>(write: impl FnOnce() -> R) -> (R, Luggage) {
    let (written, cargo) = handover::collect(write);
    (written, (!cargo.is_empty()).then(|| Box::new(cargo)))
}
