//! One worker as its parent has it.

use std::sync::Arc;

use super::brief::Brief;
use super::error::TaskError;
use super::frame::{Frame, Place};
use super::hearing::Run;
use super::pace::Told;
use super::revoked::Words;
use super::shelf::Shelf;
use super::sink::Sink;
use super::stopwatch::{self, Since};
use super::worker::{Marks, serve};
use crate::pipe::{Pipe, Receiver};
use crate::process::{Failure, Process};
use crate::queue::Queue;
use crate::sys::atomic::spin_loop;
use crate::sys::backoff;
use crate::value::Value;
use crate::waiting::Source;
use crate::{Error, ExitStatus, Result};

/// What all workers of a pool have in common.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// What their names begin with.
    pub(super) name: String,
    /// What each runs first; [`STOP`](super::frame::STOP) for nothing.
    pub(super) initializer: u64,
    /// The most bytes of memory that each may have for itself.
    pub(super) memory: Option<u64>,
    /// How many tasks each runs; 0 for any number.
    pub(super) share: u64,
    /// Whether they are terminated when this process ends.
    pub(super) daemon: bool,
}

/// Tasks that were taken: where their results go.
#[derive(Clone)]
pub(super) struct Errand {
    pub(super) sink: Arc<dyn Sink>,
    /// That of the first one.
    pub(super) index: u64,
    /// How often each may be begun again.
    pub(super) again: u32,
    /// How many nanoseconds it may take, or [`ANY`](super::grant::Grant::ANY).
    pub(super) limit: u64,
}

/// The receiving ends of a worker's pipes.
pub(super) struct Ears {
    pub(super) brief: Receiver<Brief>,
    /// Whose answers [lie elsewhere](super::brief::Elsewhere).
    pub(super) long: Arc<Shelf>,
}

/// Those of all workers.
pub(super) struct Seat {
    /// None in a place where no worker will be any more.
    pub(super) ears: Vec<Option<Ears>>,
    /// Results in hand: here, because to make room for them takes longer than to take one.
    pub(super) run: Run,
}

impl Seat {
    /// Whether an answer is there, or comes within the time that a sleep would take.
    pub(super) fn has_answer_soon(&self) -> bool {
        let is_there = || {
            let mut ears = self.ears.iter().flatten();
            ears.any(|ears| ears.brief.is_ready_now())
        };
        let mut looks = backoff::usual_pauses();
        while looks > 0 && !is_there() {
            spin_loop();
            looks -= 1;
        }
        looks > 0 || is_there()
    }
}

/// A worker, and then who takes its place.
pub(super) struct Member {
    number: usize,
    process: Option<Process<()>>,
    /// The [place](Place) of the task that the worker began last, plus one.
    begun: Value<u64>,
    told: Told,
    /// When it began that.
    since: Since,
    /// The task with which it was killed, because that took too long.
    pub(super) overdue: Option<Place>,
    /// It may have ended.
    pub(super) ended: bool,
    /// Workers in this place that ended one after the other without a task.
    barren: u32,
    /// Why there is no worker in this place, and will be none.
    pub(super) broken: Option<TaskError>,
}

/// So many workers in a row that do nothing but end are enough.
const TOO_MANY: u32 = 16;

impl Member {
    /// Starts a worker.
    pub(super) fn hire(
        plan: &Plan,
        number: usize,
        posts: (&Queue<Frame>, &Words),
    ) -> Result<(Self, Ears)> {
        let mut member = Member {
            number,
            process: None,
            begun: Value::new(0)?,
            told: Value::new(0)?,
            since: Since::new(0)?,
            overdue: None,
            ended: false,
            barren: 0,
            broken: None,
        };
        let ears = member.succeed(plan, posts, false)?;
        Ok((member, ears))
    }

    /// Starts another worker in this place, which says when its tasks begin if that is asked; on which pipe it answers.
    pub(super) fn succeed(
        &mut self,
        plan: &Plan,
        (tasks, revoked): (&Queue<Frame>, &Words),
        watched: bool,
    ) -> Result<Ears> {
        let (short, brief) = Pipe::<Brief, ()>::one_way()?;
        let long = Arc::new(Shelf::new()?);
        let terms = (plan.share, plan.initializer);
        self.begun.store(0);
        self.overdue = None;
        stopwatch::reset(&self.since, watched);
        let begun = (self.begun.clone(), self.since.clone());
        let marks: Marks = (begun, self.told.clone(), revoked.clone());
        let mut process = Process::builder()
            .name(format!("{}-{}", plan.name, self.number))
            .daemon(plan.daemon);
        if let Some(bytes) = plan.memory {
            process = process.memory_limit(bytes);
        }
        let started = process.spawn(serve, (tasks.clone(), (short, long.end()), marks, terms));
        let process = started.map_err(|error| {
            let text = format!("cannot start worker {} of the pool: {error}", self.number);
            Error::new(error.kind(), text).with_source(error)
        })?;
        self.process = Some(process);
        self.ended = false;
        Ok(Ears { brief, long })
    }

    pub(super) fn process(&self) -> Option<&Process<()>> {
        self.process.as_ref()
    }

    /// Whether the process in this place has ended.
    pub(super) fn has_ended(&mut self) -> bool {
        let status = self.process.as_ref().and_then(Process::exit_status);
        self.ended = status.is_some();
        self.ended
    }

    /// Why the worker did not begin to work, if that is why it ended: others would fare no better.
    pub(super) fn refused_to_begin(&mut self) -> Option<Error> {
        if self.last_begun().is_some() {
            self.barren = 0;
            return None;
        }
        self.barren += 1;
        let error = self.process.as_ref()?.try_join().err()?;
        let refused = match Failure::of(&error) {
            Some(Failure::Ended(_)) => self.barren >= TOO_MANY,
            _ => true,
        };
        refused.then_some(error)
    }

    /// The task that it began last, if it began any.
    pub(super) fn last_begun(&self) -> Option<Place> {
        self.begun.load().checked_sub(1).map(Place)
    }

    /// Whether this is the chunk of that task, and the worker has not been buried since.
    pub(super) fn has_begun(&self, chunk: u64) -> bool {
        let last = self.process.as_ref().and(self.last_begun());
        last.is_some_and(|task| task.chunk() == chunk)
    }

    /// What it says of how long its tasks take.
    #[inline]
    pub(super) fn told(&self) -> u64 {
        self.told.load()
    }

    /// Has the worker say when its tasks begin, from the next one on.
    pub(super) fn ask(&self) {
        stopwatch::ask(&self.since);
    }

    /// When it began the task that it has, if it has one and was asked to say so.
    pub(super) fn since(&self) -> Option<u64> {
        stopwatch::read(&self.since)
    }

    /// How it ended, for the task that it had in hand.
    pub(super) fn epitaph(&self) -> TaskError {
        let status = self.process.as_ref().and_then(Process::exit_status);
        TaskError::WorkerDied {
            pid: self.process.as_ref().map_or(0, Process::pid),
            signal: status.and_then(ExitStatus::signal),
        }
    }

    /// There will be no other worker in this place.
    pub(super) fn leave(&mut self) {
        self.process = None;
        self.ended = false;
    }

    /// Ends the worker at once, but only if this is the task that it is running, since that instant if one is given; whether
    /// it is.
    pub(super) fn kill_in(&self, task: Place, since: Option<u64>) -> bool {
        let is_it = || {
            let same = since.is_none_or(|since| self.since() == Some(since));
            same && self.last_begun() == Some(task)
        };
        let Some(process) = &self.process else {
            return false;
        };
        // Stopped, it can begin no other task while it is looked at.
        if !is_it() || process.child().stop().is_err() {
            return false;
        }
        let is_it = is_it();
        let _ = match is_it {
            true => process.kill(),
            false => process.child().go_on(),
        };
        is_it
    }

    /// Ends the worker at once.
    pub(super) fn kill(&self) {
        if let Some(process) = &self.process {
            let _ = process.kill(); // that it has ended is no error, and nothing else can happen to a child
        }
    }
}
