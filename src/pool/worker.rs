//! A worker's whole life.

use super::desk::Desk;
use super::frame::{Frame, STOP, parse};
use super::revoked::{Words, is_revoked};
use super::routine;
use crate::pipe::Sender;
use crate::queue::{Queue, Received};
use crate::sys::atomic::spin_loop;
use crate::sys::backoff;
use crate::sys::clock::now_ns;
use crate::value::Value;
use crate::waiting::Source;
use crate::{Error, ErrorKind, Result};

/// What either side tells the other beside queue and pipe: the number of the task that the worker began last, plus one, and
/// the tasks that no worker is to run.
pub(super) type Marks = (Value<u64>, Words);

/// How many tasks are to be run at most (0: any number), and what is to be run first ([`STOP`] for nothing).
pub(super) type Terms = (u64, u64);

/// Runs tasks until there are no more, or it has run its share.
///
/// A task stays in hand until it is answered: after a death another worker receives it, and sees that it is not the first.
pub(super) fn serve(
    tasks: Queue<Frame>,
    answers: Sender<Frame>,
    marks: Marks,
    (share, initializer): Terms,
) -> Result<()> {
    if initializer != STOP {
        // Its failure is the worker's.
        routine::find_initializer(initializer).ok_or_else(unknown)?()?;
    }
    let mut left = if share == 0 { u64::MAX } else { share };
    let mut manner = Manner::default();
    let mut known = Known::default();
    while left > 0 {
        look_closely(&tasks);
        let Ok(task) = tasks.get() else {
            return Ok(()); // the pool is closed, and nothing left
        };
        let deliveries = task.delivery_count();
        let mut run = |bytes: &[u8]| known.run(bytes, deliveries, &answers, &marks);
        manner.begin();
        if manner.slow {
            // A task in the ring is in the way of all that follow, once they have gone around it.
            let lease = Received::detach(task);
            run(&lease);
            lease.ack();
        } else {
            run(&task);
            task.ack();
        }
        manner.end();
        left -= 1;
    }
    Ok(())
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

    /// Runs one task and answers it.
    fn run(
        &mut self,
        frame: &[u8],
        deliveries: u32,
        answers: &Sender<Frame>,
        (begun, revoked): &Marks,
    ) {
        let (name, number, bytes) = parse(frame);
        let (name, again) = routine::unpack(name);
        let desk = Desk { answers, number };
        if deliveries > again + 1 {
            return desk.leave(); // its last worker died of it, or beside it
        }
        // Each side stores its own, and then looks at the other's: `Crew::cancel`.
        begun.store(number + 1);
        match self.find(name) {
            _ if is_revoked(revoked, number) => desk.fail(&cancelled()),
            Some(run) => run(&desk, bytes),
            None => desk.fail(&unknown()),
        }
    }
}

/// Whether tasks take long: the last one that was looked at.
#[derive(Default)]
struct Manner {
    slow: bool,
    /// Tasks until one is looked at again.
    unseen: u32,
    since: u64,
}

/// Of quick tasks one in so many is looked at.
const UNSEEN: u32 = 32;
/// A quick task takes less, in nanoseconds.
const QUICK: u64 = 5_000;

impl Manner {
    #[inline]
    fn begin(&mut self) {
        if self.unseen == 0 {
            self.since = now_ns();
        }
    }

    #[inline]
    fn end(&mut self) {
        match self.unseen {
            0 => self.look(),
            _ => self.unseen -= 1,
        }
    }

    #[cold]
    fn look(&mut self) {
        self.slow = now_ns() - self.since > QUICK;
        self.unseen = if self.slow { 0 } else { UNSEEN };
    }
}

fn cancelled() -> Error {
    Error::new(ErrorKind::Closed, "the task was cancelled")
}

fn unknown() -> Error {
    let text = "the function does not lie in the code of the program";
    Error::new(ErrorKind::Corrupt, text)
}
