//! A thing with a descriptor that says when to look at it.

use super::enrolment::Enrolment;
use super::source::Waitable;
use crate::sys::atfork;
use crate::sys::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use crate::sys::bell::{self, Bell};
use crate::sys::clock::{Deadline, WATCHFUL, now_ns, slice_in_crowd};
use crate::sys::membarrier;
use crate::sys::poll::wait;
use crate::sys::poller::Poller;
use crate::{Error, ErrorKind, Result};
use std::fmt;
use std::io;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

/// A queue, a receiving end, an event, the waiter of a condition or a process together with a descriptor for `poll`, `epoll`
/// and event loops.
///
/// The descriptor becomes readable when the thing becomes ready ([`Waitable`] says when that is), and stays so until
/// [`rearm`](Watch::rearm) finds that it is not. It derefs to what it watches.
///
/// The loop is: wait for the descriptor, [`rearm`](Watch::rearm), take everything there is with the verbs that do not wait.
/// It may become readable without a reason, for others who were faster, or to look after the dead.
///
/// # Cost
///
/// Three descriptors. Whoever makes the thing ready pays one system call while the watch is armed, and nothing while it is
/// not: not before the first `rearm`, and not between its becoming ready and the next `rearm`, which takes two or three.
///
/// # When a process dies
///
/// The descriptor becomes readable some times a second, or less often where there are many watches, so that `rearm` looks
/// after what a dead process left: it is found within 100 ms where there are few watches, and in seconds where there are
/// hundreds.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// use multiproc::{Queue, Watch};
///
/// let queue = Queue::<u64>::new(8)?;
/// let watch = Watch::new(queue.clone())?;
/// assert!(!watch.rearm()?); // nothing there: its descriptor will tell
///
/// queue.put(1)?;
/// // here `epoll_wait` returns
/// assert!(watch.rearm()?);
/// while let Ok(message) = watch.try_get_owned() {
///     assert_eq!(message, 1);
/// }
/// assert!(!watch.rearm()?);
/// # Ok(())
/// # }
/// ```
pub struct Watch<W: Waitable> {
    enrolment: Option<Enrolment>,
    poller: Poller,
    bell: Bell,
    /// When to look after the dead next, in nanoseconds of the clock.
    due: AtomicU64,
    /// What the thing said when the wait began.
    begun: AtomicU64,
    forks: u32,
    thing: W,
}

/// The watches of this process.
static WATCHES: AtomicU32 = AtomicU32::new(0);

impl<W: Waitable> Watch<W> {
    /// Watches `thing`, from the first [`rearm`](Watch::rearm) on.
    ///
    /// # Errors
    ///
    /// `Os` when there are no descriptors left.
    pub fn new(thing: W) -> Result<Self> {
        let bell = Bell::new().map_err(failed)?;
        let poller = poller_of(&bell, thing.descriptor()).map_err(failed)?;
        let spot = thing.spot();
        let enrolment = spot.map(|spot| Enrolment::new(spot, true, bell.number()));
        let enrolment = enrolment.transpose()?;
        WATCHES.fetch_add(1, Relaxed); // no step: memory of this process
        let watch = Watch {
            enrolment,
            poller,
            bell,
            due: AtomicU64::new(0),
            begun: AtomicU64::new(thing.begin()),
            forks: atfork::forks(),
            thing,
        };
        watch.set_alarm()?;
        Ok(watch)
    }

    /// Has the descriptor tell of what happens from now on; true if the thing is ready already, and the descriptor stays
    /// readable.
    ///
    /// # Errors
    ///
    /// `Unsupported` in a child of a `fork`, whose parent has the descriptor: make a new one there.
    pub fn rearm(&self) -> Result<bool> {
        if self.forks != atfork::forks() {
            let text = "this watch was made before a fork, by the parent; make a new one here";
            return Err(Error::new(ErrorKind::Unsupported, text));
        }
        let due = self.due.load(Relaxed) <= now_ns(); // of this process; two threads may both look
        self.bell.hush();
        let vain = self.thing.announce();
        membarrier::heavy(); // pairs with `light` of those who change things and then look who waits
        let begun = self.begun.load(Relaxed); // of this process; two threads that rearm at once may both be told
        let ready = vain
            || self.thing.is_ready(begun)
            || self.is_readable()?
            || (due && self.look_behind_the_dead(begun)?);
        if ready {
            self.begun.store(self.thing.begin(), Relaxed); // no step: memory of this process
            bell::ring(self.bell.number());
        }
        Ok(ready)
    }

    /// A number that is another after a `rearm` that said yes to what will not be there for the next, such as an event that
    /// was set and cleared. Who shares the watch and is told no may have hushed the bell of that yes.
    #[cfg(feature = "tokio")]
    pub(crate) fn news(&self) -> u64 {
        self.begun.load(Relaxed) // stored before the bell is rung, and read after it was hushed
    }

    /// Has the descriptor become readable anew, for all who share the watch.
    #[cfg(feature = "tokio")]
    #[cold]
    pub(crate) fn ring(&self) {
        bell::ring(self.bell.number());
    }

    fn is_readable(&self) -> Result<bool> {
        let Some(fd) = self.thing.descriptor() else {
            return Ok(false);
        };
        wait(fd, Deadline::NOW).map_err(failed)
    }

    #[cold]
    fn look_behind_the_dead(&self, begun: u64) -> Result<bool> {
        self.set_alarm()?;
        Ok(self.thing.look_behind_the_dead(begun))
    }

    /// Has the descriptor become readable for the next look after the dead: all watches of the process together some hundred
    /// times a second.
    fn set_alarm(&self) -> Result<()> {
        let period = slice_in_crowd(WATCHFUL, WATCHES.load(Relaxed).saturating_mul(3));
        self.due.store(now_ns() + period.as_nanos() as u64, Relaxed); // no step: memory of this process
        self.poller
            .set_alarm(Deadline::after(period))
            .map_err(failed)
    }

    /// Whether a change rings here, and is not only found by the next look after the dead: so for the first 4,096 watches
    /// of one object, or of all small objects of a process together.
    #[must_use]
    pub fn is_prompt(&self) -> bool {
        self.enrolment.as_ref().is_none_or(Enrolment::is_entered)
    }
}

/// Readable once somebody has rung, or the thing is readable itself.
fn poller_of(bell: &Bell, thing: Option<BorrowedFd<'_>>) -> io::Result<Poller> {
    let poller = Poller::new()?;
    let members = [Some(bell.as_fd()), thing].into_iter().flatten();
    (0..)
        .zip(members)
        .try_for_each(|(name, fd)| poller.add(fd, name))?;
    Ok(poller)
}

fn failed(cause: io::Error) -> Error {
    Error::os("cannot make a descriptor to wait on", cause)
}

impl<W: Waitable> Drop for Watch<W> {
    fn drop(&mut self) {
        WATCHES.fetch_sub(1, Relaxed); // no step: memory of this process
    }
}

impl<W: Waitable> Deref for Watch<W> {
    type Target = W;

    fn deref(&self) -> &W {
        &self.thing
    }
}

impl<W: Waitable> AsFd for Watch<W> {
    /// Readable once the thing may be ready.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }
}

impl<W: Waitable> AsRawFd for Watch<W> {
    fn as_raw_fd(&self) -> RawFd {
        self.poller.as_fd().as_raw_fd()
    }
}

impl<W: Waitable + fmt::Debug> fmt::Debug for Watch<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watch").field(&self.thing).finish()
    }
}
