//! A worker's whole life.

use std::time::Duration;

use super::alongside;
use super::desk::{Desk, Mouth};
use super::frame::{Arguments, Frame, Place, STOP, parse};
use super::pace::{Pace, Told};
use super::revoked::{Words, is_revoked};
use super::routine;
use super::stopwatch::{self, Since};
use crate::queue::{GetTimeoutError, Queue, Received, TryGetError};
use crate::sys::atomic::{Ordering, spin_loop};
use crate::sys::backoff;
use crate::sys::clock::now_ns;
use crate::sys::membarrier;
use crate::sys::step::step;
use crate::value::Value;
use crate::waiting::Source;
use crate::{Error, ErrorKind, Result};

/// What either side tells the other beside queue and pipes: the [place](Place) of the task that the worker began last, plus
/// one, and when it did, where that matters; how long its tasks take; and the chunks of which no task is to be begun.
pub(super) type Marks = ((Value<u64>, Since), Told, Words);

/// How many tasks are to be run at most (0: any number), and what is to be run first ([`STOP`] for nothing).
pub(super) type Terms = (u64, u64);

/// Runs tasks until there are no more, or it has run its share.
///
/// A chunk stays in hand until its last task is answered: after a death it goes back to the parent.
pub(super) fn serve(
    tasks: Queue<Frame>,
    answers: Mouth,
    marks: Marks,
    (share, initializer): Terms,
) -> Result<()> {
    if initializer != STOP {
        // Its failure is the worker's.
        routine::find_initializer(initializer).ok_or_else(unknown)?()?;
    }
    stopwatch::wear(&marks.0.1);
    let mut left = if share == 0 { u64::MAX } else { share };
    let mut manner = Manner::default();
    let mut known = Known::default();
    while left > 0 {
        let Some(chunk) = next(&tasks) else {
            return Ok(()); // the pool is closed, and nothing left
        };
        let (name, place, _) = parse(&chunk);
        let mut run = |bytes: &[u8]| known.run(bytes, &answers, &marks);
        manner.begin(name, place.at());
        if manner.slow {
            // A task in the ring is in the way of all that follow, once they have gone around it.
            let lease = Received::detach(chunk);
            run(&lease);
            lease.ack();
        } else {
            run(&chunk);
            chunk.ack();
        }
        manner.end(name, place.at(), &marks.1);
        left = left.saturating_sub(place.at() as u64);
    }
    Ok(())
}

/// For so long a worker keeps the contexts of its last tasks while there is nothing to do.
const LINGER: Duration = Duration::from_millis(50);

/// Waits for a task; `None` when there will be no more.
fn next(tasks: &Queue<Frame>) -> Option<Received<'_, Frame>> {
    look_closely(tasks);
    if !alongside::has_any() {
        return tasks.get().ok();
    }
    match tasks.try_get() {
        Err(TryGetError::Empty) => {}
        task => return task.ok(),
    }
    match tasks.get_timeout(LINGER) {
        Err(GetTimeoutError::Timeout) => {
            alongside::forget();
            tasks.get().ok()
        }
        task => task.ok(),
    }
}

/// Looks for a task after every pause, for as long as it takes a caller who has just been answered to come again; a queue that
/// is waited for is looked at less and less often.
fn look_closely(tasks: &Queue<Frame>) {
    let mut looks = 2 * backoff::pauses_in_a_microsecond();
    while looks > 0 && !tasks.is_ready_now() {
        spin_loop();
        looks -= 1;
    }
}

/// The routine that was run last: most often it is the next one too.
#[derive(Default)]
struct Known(Option<(u64, routine::Routine)>);

impl Known {
    fn find(&mut self, name: u64) -> Option<routine::Routine> {
        match self.0 {
            Some((known, run)) if known == name => Some(run),
            _ => {
                self.0 = routine::find(name).map(|run| (name, run));
                self.0.map(|(_, run)| run)
            }
        }
    }

    /// Runs the tasks of a chunk and answers each.
    fn run(&mut self, frame: &[u8], answers: &Mouth, ((begun, since), _, revoked): &Marks) {
        let (name, place, bytes) = parse(frame);
        let (chunk, count) = (place.chunk(), place.at());
        let run = self.find(name);
        for (at, argument) in Arguments::new(count, bytes).enumerate() {
            let task = Place::new(chunk, at);
            let desk = Desk { answers, task };
            let watched = stopwatch::start(since); // first: nobody takes it for one that has long been running
            begin(begun, task);
            match run {
                _ if is_revoked(revoked, chunk) => return desk.fail(&cancelled()),
                Some(run) => run(&desk, argument),
                None => desk.fail(&unknown()),
            }
            if watched {
                stopwatch::stop(since);
            }
        }
    }
}

/// Says that the task is begun. Each side stores its own, and then looks at the other's: `Crew::cancel`, which sends a barrier.
#[inline]
fn begin(begun: &Value<u64>, task: Place) {
    if !membarrier::is_ready() {
        return begun.store(task.0 + 1);
    }
    step("pool.begin");
    // Release: the answers before it are published; pairs with the load of `Member::last_begun`.
    begun.cell().store(task.0 + 1, Ordering::Release);
    membarrier::light();
}

/// Whether tasks take long: those of the last chunk that was looked at.
#[derive(Default)]
struct Manner {
    slow: bool,
    /// Chunks until one is looked at again.
    unseen: u32,
    since: u64,
    pace: Option<(u64, Pace)>,
}

/// Of quick lone tasks one in so many is looked at, and every chunk of several.
const UNSEEN: u32 = 32;
/// A quick chunk takes less, in nanoseconds.
const QUICK: u64 = 5_000;

impl Manner {
    #[inline]
    fn begin(&mut self, routine: u64, count: usize) {
        let is_known = self.pace.is_some_and(|(known, _)| known == routine);
        if self.unseen == 0 || count > 1 || !is_known {
            self.unseen = 0;
            self.since = now_ns();
        }
    }

    #[inline]
    fn end(&mut self, routine: u64, count: usize, told: &Told) {
        match self.unseen {
            0 => self.look(routine, count, told),
            _ => self.unseen -= 1,
        }
    }

    #[cold]
    fn look(&mut self, routine: u64, count: usize, told: &Told) {
        let took = now_ns() - self.since;
        self.slow = took > QUICK;
        self.unseen = if self.slow { 0 } else { UNSEEN };
        let before = self.pace.filter(|(known, _)| *known == routine);
        let pace = Pace::of(took, count).after(before.map(|(_, pace)| pace), count);
        if before.is_none_or(|(_, before)| before != pace) {
            told.store(pace.told(routine));
        }
        self.pace = Some((routine, pace));
    }
}

fn cancelled() -> Error {
    Error::new(ErrorKind::Closed, "the task was cancelled")
}

fn unknown() -> Error {
    let text = "the function does not lie in the code of the program";
    Error::new(ErrorKind::Corrupt, text)
}
