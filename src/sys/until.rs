//! When a wait ends without what it waits for.

use super::clock::Deadline;
#[cfg(not(loom))]
use super::poll;
use crate::error::WaitError;
#[cfg(not(loom))]
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;
#[cfg(not(loom))]
use std::time::Instant;

/// How long to wait at most: for ever, until a moment, or until another process has ended.
///
/// Events, latches, semaphores, conditions, barriers and locks have a verb that takes one, such as
/// [`Event::wait_until`](crate::Event::wait_until) or [`Lock::lock_until`](crate::Lock::lock_until). What is waited for
/// comes first: if it is there, the wait succeeds, whatever else has happened meanwhile.
///
/// # Examples
///
/// ```
/// use multiproc::{Event, Process, Until, WaitError};
/// use std::time::Duration;
///
/// fn forgets_to_set(_: Event) {}
///
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// let ready = Event::new()?;
/// let helper = Process::spawn(forgets_to_set, (ready.clone(),))?;
/// let until = Until::timeout(Duration::from_secs(60)).or_end_of(&helper);
/// assert_eq!(ready.wait_until(until), Err(WaitError::Ended));
/// # helper.join()
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Until<'a> {
    deadline: Deadline,
    #[cfg(not(loom))]
    process: Option<BorrowedFd<'a>>,
    #[cfg(loom)]
    process: Option<&'a ()>,
}

/// What ended a wait in place of what it waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// The moment came.
    TimedOut,
    /// The process ended.
    Ended,
}

impl From<Over> for WaitError {
    fn from(over: Over) -> Self {
        match over {
            Over::TimedOut => WaitError::Timeout,
            Over::Ended => WaitError::Ended,
        }
    }
}

/// Nothing wakes a sleeper when a process ends, so who waits for that as well looks as often.
const LOOKS_AT_PROCESS: Duration = Duration::from_millis(10);

#[cfg(not(loom))]
impl<'a> Until<'a> {
    /// As long as it takes.
    #[must_use]
    pub fn forever() -> Self {
        Deadline::NEVER.into()
    }

    /// For as long as `timeout`; zero does not wait at all.
    #[must_use]
    pub fn timeout(timeout: Duration) -> Self {
        Deadline::after(timeout).into()
    }

    /// Until `instant`.
    #[must_use]
    pub fn deadline(instant: Instant) -> Self {
        Deadline::at(instant).into()
    }

    /// And no longer than `process` runs: a [`Process`](crate::Process), or any descriptor that becomes readable, as a
    /// pidfd does at the end of its process.
    ///
    /// The wait notices it within about 10 ms.
    #[must_use]
    pub fn or_end_of(self, process: &'a impl AsFd) -> Self {
        Until {
            process: Some(process.as_fd()),
            ..self
        }
    }

    fn has_ended(&self) -> bool {
        // A descriptor that cannot be looked at says nothing any more, so nobody waits for it.
        let ended = |fd| poll::wait(fd, Deadline::NOW).unwrap_or(true);
        self.process.is_some_and(ended)
    }
}

#[cfg(loom)]
impl Until<'_> {
    fn has_ended(&self) -> bool {
        false
    }
}

/// Nobody waits in one piece for so long.
const LONGEST: Duration = Duration::from_secs(3600);

/// Why an [attempt](Until::attempt) came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missed<E> {
    /// The wait is over.
    Over(Over),
    /// What was waited for cannot be had.
    Refused(E),
}

impl Until<'_> {
    /// Attempts what waits until a deadline by itself, one slice after the other, until it succeeds or this is over. At the
    /// end of a process it is tried once more: what is waited for comes first.
    ///
    /// `attempt` fails with `None` when its time is up.
    ///
    /// # Errors
    ///
    /// [`Missed`].
    pub(crate) fn attempt<G, E>(
        &self,
        attempt: impl Fn(Deadline) -> Result<G, Option<E>>,
    ) -> Result<G, Missed<E>> {
        loop {
            match attempt(self.slice(LONGEST)) {
                Ok(got) => return Ok(got),
                Err(Some(why)) => return Err(Missed::Refused(why)),
                Err(None) => {}
            }
            match self.over() {
                None => {}
                Some(Over::TimedOut) => return Err(Missed::Over(Over::TimedOut)),
                Some(Over::Ended) => {
                    let last = attempt(Deadline::NOW);
                    return last
                        .map_err(|why| why.map_or(Missed::Over(Over::Ended), Missed::Refused));
                }
            }
        }
    }

    /// Why to wait no longer, if there is a reason.
    pub(crate) fn over(&self) -> Option<Over> {
        if self.deadline.expired() {
            return Some(Over::TimedOut);
        }
        self.has_ended().then_some(Over::Ended)
    }

    /// The end of one sleep of `longest` at most.
    pub(crate) fn slice(&self, longest: Duration) -> Deadline {
        let longest = match self.process {
            Some(_) => longest.min(LOOKS_AT_PROCESS),
            None => longest,
        };
        self.deadline.min_slice(longest)
    }

    /// Whether there is nothing to wait for at all.
    pub(crate) fn is_now(&self) -> bool {
        self.deadline == Deadline::NOW
    }
}

impl From<Deadline> for Until<'_> {
    fn from(deadline: Deadline) -> Self {
        Until {
            deadline,
            process: None,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_deadline_and_the_process_both_end_a_wait() {
        assert_eq!(Until::forever().over(), None);
        assert_eq!(Until::timeout(Duration::ZERO).over(), Some(Over::TimedOut));
        let (reader, writer) = std::io::pipe().unwrap();
        let until = Until::forever().or_end_of(&reader);
        assert_eq!(until.over(), None);
        drop(writer);
        assert_eq!(until.over(), Some(Over::Ended));
    }

    #[test]
    fn who_watches_a_process_looks_often() {
        let (reader, _writer) = std::io::pipe().unwrap();
        let until = Until::forever().or_end_of(&reader);
        let slice = until.slice(Duration::from_secs(1)).remaining().unwrap();
        assert!(slice <= LOOKS_AT_PROCESS);
    }
}
