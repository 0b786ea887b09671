//! Who waits for answers: one thread at a time, on behalf of all that wait.
//!
//! The receiving ends of all workers' pipes are a *seat*. A thread that waits for a result takes it, if it is there, and
//! waits for whatever comes, handing to others what is theirs; else it sleeps until its own result is there, or the seat is
//! free. Where nobody waits, a thread of the pool's own comes by from time to time, so that workers go on. The same thread
//! waits for the ends of workers.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::crew::Crew;
use super::error::TaskError;
use super::grant::Grant;
use super::member::Seat;
use crate::event::Event;
use crate::process::{Child, Process};
use crate::sys::atfork;
use crate::sys::atomic::{AtomicBool, Ordering};
use crate::waiting::{Waitable, wait_any_timeout};
use crate::{Error, ErrorKind, Result};

/// See the module.
pub(super) struct Hub {
    crew: Mutex<Crew>,
    /// The seat is free, or something was settled.
    moved: Condvar,
    /// Wakes who has the seat.
    bell: Event,
    /// Wakes the thread of the pool's own.
    alarm: Event,
    /// That thread sleeps until the alarm.
    asleep: AtomicBool,
    /// It sleeps for longer than a round.
    slow: AtomicBool,
    /// A worker has ended.
    death: AtomicBool,
    /// The count of forks under which the pool was made: a forked child has a copy.
    forks: u32,
}

/// What somebody waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hurry {
    /// The next answer may be it.
    Each,
    /// Many answers: who looked at each would take the processor from a worker for each.
    Many,
}

/// Workers that have so much to do are left alone, in nanoseconds: more than a sleep and its end take.
const LEISURE: u64 = 100_000;

/// At first for so long, and twice as long each time: the first tasks of all take longer than those that follow.
const SHORTEST: u64 = 20_000;

/// But not for longer at a time: what the next tasks take is not known from the last.
const NAP: u64 = 2_000_000;

/// How long who waits sleeps at most before he looks around.
const LONGEST: Duration = Duration::from_millis(100);

/// How often the pool's own thread comes by while tasks are outstanding and nobody waits.
const ROUND: Duration = Duration::from_millis(2);

impl Hub {
    pub(super) fn new(crew: Crew) -> Result<Self> {
        Ok(Hub {
            crew: Mutex::new(crew),
            moved: Condvar::new(),
            bell: Event::new()?,
            alarm: Event::new()?,
            asleep: AtomicBool::new(false),
            slow: AtomicBool::new(false),
            death: AtomicBool::new(false),
            forks: atfork::forks(),
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Crew> {
        self.crew.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the pool is this process's, and not that of a parent which was forked.
    pub(super) fn is_mine(&self) -> bool {
        self.forks == atfork::forks()
    }

    /// The crew, where tasks can be given to it.
    ///
    /// # Errors
    ///
    /// Why not.
    pub(super) fn ready(&self) -> std::result::Result<MutexGuard<'_, Crew>, TaskError> {
        if !self.is_mine() {
            return Err(not_here());
        }
        let crew = self.lock();
        crew.check()?;
        Ok(crew)
    }

    /// Has the pool's own thread look after tasks for which nobody waits yet, and which may cost so much.
    pub(super) fn remind(&self, grant: Grant) {
        // Pairs with `rest`: it says how it sleeps, and has looked at what is outstanding, under the lock.
        let asleep = match grant.limit {
            Grant::ANY => &self.asleep,
            _ => &self.slow,
        };
        if asleep.load(Ordering::Acquire) {
            self.alarm.set();
        }
    }

    /// Waits until `done`, taking answers meanwhile; false at the deadline, and in a forked child.
    pub(super) fn wait(&self, deadline: Option<Instant>, done: impl Fn(&Crew) -> bool) -> bool {
        self.wait_as(Hurry::Each, deadline, done)
    }

    /// The same for who needs many answers, and none of them before the others.
    pub(super) fn wait_for_many(&self, done: impl Fn(&Crew) -> bool) {
        self.wait_as(Hurry::Many, None, done);
    }

    fn wait_as(
        &self,
        hurry: Hurry,
        deadline: Option<Instant>,
        done: impl Fn(&Crew) -> bool,
    ) -> bool {
        if !self.is_mine() {
            return false; // nobody will answer here, and whoever had the lock at the fork may not be there
        }
        let mut crew = self.lock();
        loop {
            if done(&crew) {
                return true;
            }
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            match crew.seat.take() {
                Some(seat) => return self.sit(crew, seat, hurry, deadline, done),
                None if left == Some(Duration::ZERO) => return false,
                None => {
                    let most = left.map_or(LONGEST, |left| left.min(LONGEST));
                    crew = self.wait_until_moved(crew, most);
                }
            }
        }
    }

    /// Waits until the seat is free or something was settled, for so long at most.
    fn wait_until_moved<'a>(
        &'a self,
        mut crew: MutexGuard<'a, Crew>,
        most: Duration,
    ) -> MutexGuard<'a, Crew> {
        crew.waiting += 1;
        let woken = self.moved.wait_timeout(crew, most);
        let mut crew = woken.unwrap_or_else(PoisonError::into_inner).0;
        crew.waiting -= 1;
        crew
    }

    /// Lets go of the crew, and wakes those who wait until something moves: a system call, where there are any.
    fn release(&self, crew: MutexGuard<'_, Crew>) {
        let waiting = crew.waiting;
        drop(crew);
        if waiting > 0 {
            self.moved.notify_all();
        }
    }

    /// The same for who has the seat, which it gives back.
    fn sit<'a>(
        &'a self,
        mut crew: MutexGuard<'a, Crew>,
        mut seat: Seat,
        hurry: Hurry,
        deadline: Option<Instant>,
        done: impl Fn(&Crew) -> bool,
    ) -> bool {
        let mut nap = SHORTEST;
        loop {
            let answers = self.tend(&mut crew, &mut seat);
            let over = done(&crew);
            if over || deadline.is_some_and(|at| at <= Instant::now()) {
                crew.seat = Some(seat);
                self.release(crew);
                return over;
            }
            let leisure = crew.leisure();
            let longest = match crew.letters.are_awaited() {
                true => ROUND,
                false => LONGEST,
            };
            match answers {
                0 => drop(crew),
                _ => self.release(crew),
            }
            if hurry == Hurry::Many && leisure > LEISURE {
                self.doze(leisure.min(nap));
                nap = (2 * nap).min(NAP);
            } else if !seat.has_answer_soon() {
                self.sleep(&seat, deadline, longest);
            }
            crew = self.lock();
        }
    }

    /// Leaves the processor to the workers for a while, unless one of them ends.
    fn doze(&self, nanos: u64) {
        let _ = self.bell.wait_timeout(Duration::from_nanos(nanos));
        self.bell.clear();
    }

    /// Takes answers, and sees to workers that have ended.
    fn tend(&self, crew: &mut Crew, seat: &mut Seat) -> usize {
        let answers = crew.tend(seat);
        if self.death.swap(false, Ordering::AcqRel) {
            crew.bury(seat);
        }
        answers
    }

    fn sleep(&self, seat: &Seat, deadline: Option<Instant>, longest: Duration) {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        let mut things: Vec<&dyn Waitable> = vec![&self.bell];
        things.extend(
            seat.ears
                .iter()
                .flatten()
                .map(|ears| &ears.brief as &dyn Waitable),
        );
        let most = left.map_or(longest, |left| left.min(longest));
        // Where nothing can be watched, looking has to do.
        if wait_any_timeout(&things, most).is_err() {
            std::thread::yield_now();
        }
        self.bell.clear();
    }

    /// One round of the pool's own thread, if nobody has the seat; whether there was anything to do.
    fn come_by(&self) -> bool {
        let mut crew = self.lock();
        if let Some(mut seat) = crew.seat.take() {
            let was_useful = self.tend(&mut crew, &mut seat) > 0 || crew.letters.are_awaited();
            crew.seat = Some(seat);
            self.release(crew);
            was_useful
        } else {
            drop(crew);
            if self.death.load(Ordering::Acquire) {
                self.bell.set();
            }
            false
        }
    }
}

#[cold]
fn not_here() -> TaskError {
    let text = "the pool belongs to the process that was forked; make another one here";
    TaskError::not_started(&Error::new(ErrorKind::Gone, text))
}

/// The pool's own thread.
pub(super) fn look_after(hub: &Arc<Hub>) -> Result<std::thread::JoinHandle<()>> {
    let hub = Arc::clone(hub);
    let thread = std::thread::Builder::new().name("multiproc-pool".into());
    let thread = thread.spawn(move || {
        let mut calm = Calm::default();
        while hub.rest(&mut calm) {}
    });
    thread.map_err(|cause| Error::os("cannot start the thread that looks after a pool", cause))
}

/// For how long nothing was to be done. To be woken for each task that comes alone would cost more than the task.
#[derive(Default)]
struct Calm {
    rounds: u32,
    submitted: u64,
    /// Rounds in which others had done all that was to be done.
    vain: u32,
}

/// Rounds without a task after which the pool's own thread sleeps until it is called: a second.
const CALM: u32 = 60;

/// The longest sleep.
const IDLE: Duration = Duration::from_secs(3600);

/// Each round in vain makes the next one twice as long, so many times at most.
const DOUBLED: u32 = 3;

impl Calm {
    /// For how long it may sleep as long as somebody else takes the answers.
    fn round(&self) -> Duration {
        ROUND * (1 << self.vain.min(DOUBLED))
    }

    fn note(&mut self, was_useful: bool) {
        self.vain = if was_useful {
            0
        } else {
            self.vain.saturating_add(1)
        };
    }

    /// Whether it may sleep for as long as nobody calls.
    fn is_deep(&mut self, crew: &Crew) -> bool {
        let submitted = crew.progress.submitted;
        let idle = crew.outstanding() == 0 && submitted == self.submitted;
        self.submitted = submitted;
        self.rounds = if idle { self.rounds + 1 } else { 0 };
        self.rounds > CALM
    }
}

impl Hub {
    /// Waits for the end of a worker, for the alarm, or for a round; false once all is over.
    fn rest(&self, calm: &mut Calm) -> bool {
        let (children, idle, most) = {
            let mut crew = self.lock();
            if crew.is_over() {
                return false;
            }
            let due = crew.end_overdue().map(Duration::from_nanos);
            // Under the lock: whoever takes a task later sees it.
            let idle = calm.is_deep(&crew);
            let most = if idle { IDLE } else { calm.round() };
            let most = due.map_or(most, |due| due.min(most));
            self.asleep.store(idle, Ordering::Release); // pairs with `remind`
            self.slow.store(most > ROUND, Ordering::Release); // pairs with `remind`
            let processes = crew.members().iter().filter_map(|m| m.process());
            let children: Vec<Child> = processes.map(Process::child).cloned().collect();
            (children, idle, most)
        };
        let mut things: Vec<&dyn Waitable> = vec![&self.alarm];
        things.extend(children.iter().map(|child| child as &dyn Waitable));
        let ready = wait_any_timeout(&things, most);
        self.alarm.clear();
        if let Ok(Some(1..)) = ready {
            self.death.store(true, Ordering::Release);
            self.come_by();
            self.until_buried(&children);
        } else if matches!(ready, Ok(Some(0))) {
            calm.note(true); // somebody calls
        } else if !idle {
            calm.note(self.come_by());
        }
        true
    }

    /// Gives who has the seat time to bury the dead: their ends are there to be waited for until then.
    fn until_buried(&self, children: &[Child]) {
        let ends = |crew: &Crew| {
            let theirs = crew.members().iter().filter_map(|m| m.process());
            let pids: Vec<i32> = theirs.map(Process::pid).collect();
            let dead = children.iter().filter(|child| !child.is_alive());
            dead.map(Child::pid).any(|pid| pids.contains(&pid))
        };
        let mut crew = self.lock();
        while !crew.is_over() && ends(&crew) && crew.seat.is_none() {
            crew = self.wait_until_moved(crew, ROUND);
            // Who has the seat may have looked when another had ended, and this one had not.
            self.death.store(true, Ordering::Release); // pairs with the swap in `tend`
            self.bell.set();
        }
    }

    /// Ends the thread of the pool's own.
    pub(super) fn retire(&self) {
        self.alarm.set();
    }
}
