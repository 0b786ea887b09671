//! Waiting for the first of many: look, spin, then sleep on a bell and on what descriptors there are.

use super::enrolment::Enrolment;
use super::source::Waitable;
use crate::sys::atfork;
use crate::sys::atomic::spin_loop;
use crate::sys::backoff;
use crate::sys::bell::Bell;
use crate::sys::clock::{Deadline, WATCHFUL, now_ns, slice_in_crowd};
use crate::sys::membarrier;
use crate::sys::poll::{Polled, poll};
use crate::{Error, ErrorKind, Result};
use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// Waits until one of `things` is ready, as long as it takes, and says which: its index.
///
/// Any number of queues, connections, events, conditions, processes and descriptors, in any mixture; see [`Waitable`] for
/// when each is ready. Of several that are ready at the same time none is passed over for ever: each call begins to look
/// behind the one that the last call of this thread found.
///
/// # Waiting and cost
///
/// A call that finds something ready makes no system call unless there are descriptors among the things, for which it makes
/// one. Who has to wait looks at all of them for some microseconds, on a machine with several processors, and then sleeps.
/// Entering and leaving the sleep takes some 50 ns for each thing; there is no limit to their number, other than one of
/// descriptors. Who changes a thing that somebody watches makes one system call for each who does, and none else.
///
/// # When a process dies
///
/// What a dead process leaves behind is found as the verb itself would find it: within 100 ms, and later where very many
/// processes or things are waited for.
///
/// # Errors
///
/// `InvalidInput` when there is nothing to wait for, `Os` when the system has no descriptor left to sleep on.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// use multiproc::{Event, Pipe, Queue, wait_any};
///
/// let jobs = Queue::<u64>::new(8)?;
/// let (sender, ticks) = Pipe::<u64, ()>::one_way()?;
/// let stop = Event::new()?;
///
/// sender.send(7)?;
/// match wait_any(&[&jobs, &ticks, &stop])? {
///     0 => println!("a job: {:?}", jobs.try_get()),
///     1 => assert_eq!(ticks.try_recv_owned(), Ok(7)),
///     _ => println!("stopped"),
/// }
/// # Ok(())
/// # }
/// ```
#[doc(alias = "select")]
pub fn wait_any(things: &[&dyn Waitable]) -> Result<usize> {
    loop {
        if let Some(ready) = first_of(things, Deadline::NEVER)? {
            return Ok(ready);
        }
    }
}

/// The index of one of `things` that is ready now, if one is; see [`wait_any`].
///
/// # Errors
///
/// As [`wait_any`].
pub fn try_wait_any(things: &[&dyn Waitable]) -> Result<Option<usize>> {
    first_of(things, Deadline::NOW)
}

/// As [`wait_any`], until `timeout` has passed; `None` when nothing was ready by then.
///
/// # Errors
///
/// As [`wait_any`].
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// use multiproc::{Event, wait_any_timeout};
/// use std::time::Duration;
///
/// let (one, other) = (Event::new()?, Event::new()?);
/// assert_eq!(wait_any_timeout(&[&one, &other], Duration::from_millis(1))?, None);
/// other.set();
/// assert_eq!(wait_any_timeout(&[&one, &other], Duration::ZERO)?, Some(1));
/// # Ok(())
/// # }
/// ```
pub fn wait_any_timeout(things: &[&dyn Waitable], timeout: Duration) -> Result<Option<usize>> {
    first_of(things, Deadline::after(timeout))
}

/// As [`wait_any`], until `deadline`; `None` when nothing was ready by then.
///
/// # Errors
///
/// As [`wait_any`].
pub fn wait_any_deadline(things: &[&dyn Waitable], deadline: Instant) -> Result<Option<usize>> {
    first_of(things, Deadline::at(deadline))
}

thread_local! {
    /// Where the next call begins to look.
    static FROM: Cell<usize> = const { Cell::new(0) };
    /// When a call that does not wait last looked after the dead.
    static LOOKED: Cell<u64> = const { Cell::new(0) };
    /// The bell of this thread, and the forks under which it was made.
    static BELL: RefCell<Option<(Bell, u32)>> = const { RefCell::new(None) };
}

fn first_of(things: &[&dyn Waitable], deadline: Deadline) -> Result<Option<usize>> {
    if things.is_empty() {
        let text = "there is nothing to wait for; give at least one thing";
        return Err(Error::new(ErrorKind::InvalidInput, text));
    }
    let found = match look(things) {
        None => look_further(things, deadline)?,
        found => found,
    };
    if let Some(found) = found {
        FROM.set(found + 1);
    }
    Ok(found)
}

/// Nothing that lies in shared memory is ready.
#[cold]
fn look_further(things: &[&dyn Waitable], deadline: Deadline) -> Result<Option<usize>> {
    let mut descriptors = Descriptors::of(things);
    match descriptors.poll(None, Deadline::NOW)? {
        None => wait(things, &mut descriptors, deadline),
        found => Ok(found),
    }
}

/// The first that is ready, beginning where the last call of this thread has ended.
#[inline]
fn look(things: &[&dyn Waitable]) -> Option<usize> {
    let from = FROM.get();
    let (before, behind) = things.split_at(if from < things.len() { from } else { 0 });
    let later = || first_ready(behind, &[]).map(|index| index + before.len());
    later().or_else(|| first_ready(before, &[]))
}

/// The first of `things` that is ready, in waits that began so, or now where that is not said.
fn first_ready(things: &[&dyn Waitable], begun: &[u64]) -> Option<usize> {
    let mut at = 0;
    while let Some(thing) = things.get(at) {
        match thing.look_along(&things[at..], begun.get(at..).unwrap_or_default()) {
            ControlFlow::Break(ready) => return Some(at + ready),
            ControlFlow::Continue(looked) => at += looked,
        }
    }
    None
}

fn wait(
    things: &[&dyn Waitable],
    descriptors: &mut Descriptors,
    deadline: Deadline,
) -> Result<Option<usize>> {
    if deadline == Deadline::NOW && !is_due() {
        return Ok(None);
    }
    let begun: Vec<u64> = things.iter().map(|thing| thing.begin()).collect();
    let watch = Wait {
        things,
        begun,
        deadline,
    };
    if deadline == Deadline::NOW {
        return Ok(watch.look_behind_the_dead());
    }
    if let Some(found) = watch.spin() {
        return Ok(Some(found));
    }
    let bell = thread_bell()?;
    let found = watch.sleep(descriptors, &bell);
    BELL.set(Some((bell, atfork::forks())));
    found
}

/// Whether who only ever polls is to look after the dead once more.
fn is_due() -> bool {
    const BETWEEN_LOOKS: u64 = 10_000_000;
    let now = now_ns();
    let due = now - LOOKED.get() >= BETWEEN_LOOKS;
    if due {
        LOOKED.set(now);
    }
    due
}

/// This thread's bell, to be put back; a nested call finds none and makes another.
fn thread_bell() -> Result<Bell> {
    let kept = BELL.take();
    match kept.filter(|&(_, forks)| forks == atfork::forks()) {
        Some((bell, _)) => Ok(bell),
        None => Bell::new().map_err(|cause| Error::os("cannot make a socket to wait on", cause)),
    }
}

/// One call that has found nothing ready.
struct Wait<'a> {
    things: &'a [&'a dyn Waitable],
    /// What each said when the call began.
    begun: Vec<u64>,
    deadline: Deadline,
}

impl Wait<'_> {
    fn look(&self) -> Option<usize> {
        first_ready(self.things, &self.begun)
    }

    fn look_behind_the_dead(&self) -> Option<usize> {
        let is_ready = |(thing, &begun): (&&dyn Waitable, &u64)| thing.look_behind_the_dead(begun);
        self.things.iter().zip(&self.begun).position(is_ready)
    }

    fn spin(&self) -> Option<usize> {
        if !backoff::is_worthwhile() {
            return None;
        }
        // By the clock and not in pauses: to look at all of many things takes longer than any pause.
        let end = now_ns() + backoff::USUAL.as_nanos() as u64;
        while now_ns() < end {
            if let Some(found) = self.look() {
                return Some(found);
            }
            (0..8).for_each(|_| spin_loop());
        }
        None
    }

    fn sleep(&self, descriptors: &mut Descriptors, bell: &Bell) -> Result<Option<usize>> {
        let enrolments = self.enrol(bell)?;
        let mut slices = Slices::new(&enrolments);
        loop {
            bell.hush();
            let vain = self.things.iter().position(|thing| thing.announce());
            membarrier::heavy(); // pairs with `light` of those who change things and then look who waits
            if let Some(found) = self.look().or(vain) {
                return Ok(Some(found));
            }
            let found = descriptors.poll(Some(bell), slices.next(self.deadline))?;
            if found.is_some() {
                return Ok(found);
            }
            if descriptors.is_rung() {
                if let Some(found) = self.look() {
                    return Ok(Some(found)); // sooner than behind all the announcements
                }
            } else {
                let start = now_ns();
                if let Some(found) = self.look_behind_the_dead() {
                    return Ok(Some(found));
                }
                slices.note(now_ns() - start);
            }
            if self.deadline.expired() {
                return Ok(self.look());
            }
        }
    }

    /// A row in each segment, one for all things in a row that lie in the same.
    fn enrol(&self, bell: &Bell) -> Result<Vec<Enrolment>> {
        let spots: Vec<_> = self
            .things
            .iter()
            .filter_map(|thing| thing.spot())
            .collect();
        let groups = spots.chunk_by(|one, next| std::sync::Arc::ptr_eq(one.tenant, next.tenant));
        groups
            .map(|group| Enrolment::new(group[0], group.len() == 1, bell.number()))
            .collect()
    }
}

/// How long to sleep before looking after the dead: a quarter of the time that nothing has happened, and longer where that
/// costs much.
struct Slices {
    since: u64,
    longest: Duration,
    cost: u64,
}

/// Looking about may take this part of a sleeper's time.
const SHARE_OF_TIME: u64 = 50;
/// Where no bell is rung for one of the things: nothing else would end the sleep.
const WITHOUT_BELL: Duration = Duration::from_millis(1);

impl Slices {
    fn new(enrolments: &[Enrolment]) -> Self {
        let population = enrolments.iter().map(Enrolment::population).max();
        let longest = match enrolments.iter().all(Enrolment::is_entered) {
            true => slice_in_crowd(WATCHFUL, population.unwrap_or(0)),
            false => WITHOUT_BELL,
        };
        Slices {
            since: now_ns(),
            longest,
            cost: 0,
        }
    }

    fn next(&self, deadline: Deadline) -> Deadline {
        const SHORTEST: Duration = Duration::from_millis(4);
        let quiet = Duration::from_nanos(now_ns() - self.since);
        let slice = (quiet / 4).max(SHORTEST).min(self.longest);
        deadline.min_slice(slice.max(Duration::from_nanos(self.cost * SHARE_OF_TIME)))
    }

    fn note(&mut self, cost: u64) {
        self.cost = cost;
    }
}

/// The descriptors among the things; behind them a place for the bell.
struct Descriptors {
    polled: Vec<Polled>,
    indices: Vec<usize>,
}

impl Descriptors {
    fn of(things: &[&dyn Waitable]) -> Self {
        let mut all = Descriptors {
            polled: Vec::new(),
            indices: Vec::new(),
        };
        for (index, thing) in things.iter().enumerate() {
            if let Some(fd) = thing.descriptor() {
                all.polled.push(Polled::new(fd));
                all.indices.push(index);
            }
        }
        all
    }

    /// Waits for one of them, or for the bell; the index of the first thing that is ready.
    fn poll(&mut self, bell: Option<&Bell>, deadline: Deadline) -> Result<Option<usize>> {
        self.polled.truncate(self.indices.len());
        self.polled
            .extend(bell.map(|bell| Polled::new(bell.as_fd())));
        if self.polled.is_empty() {
            return Ok(None);
        }
        poll(&mut self.polled, deadline)
            .map_err(|cause| Error::os("cannot wait for descriptors", cause))?;
        let ready = self.polled.iter().position(Polled::is_ready);
        Ok(ready.and_then(|at| self.indices.get(at).copied()))
    }

    /// Whether the bell was rung when last polled for.
    fn is_rung(&self) -> bool {
        let bell = self.polled.get(self.indices.len());
        bell.is_some_and(Polled::is_ready)
    }
}
