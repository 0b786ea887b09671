//! [`Semaphore`]: permits that anyone takes and anyone gives; [`BoundedSemaphore`]: permits that have owners.

mod bounded;
mod error;
mod permit;

use std::fmt;
use std::time::{Duration, Instant};

use crate::message::{Handle, handle_message};
use crate::segment::layout::{Offset, fingerprint};
use crate::segment::{Kind, Place, Segment};
use crate::sync::{Claimant, RawSemaphore, TooMany};
use crate::sys::clock::Deadline;
use crate::sys::membarrier;
use crate::sys::until::Over;
use crate::tenancy::{Form, Maker, Opener, Plan, RawHandle, SharedField, Small, Tenant};
use crate::{Error, ErrorKind, Result, TimedOut, Until, WaitError};
pub use bounded::BoundedSemaphore;
pub use error::OverRelease;
pub use permit::{Permit, Permits};

/// A number of permits that processes take and give, as Python's `Semaphore`: anyone may give, whoever took.
///
/// [`acquire`](Semaphore::acquire) takes a permit, and waits while there is none; [`release`](Semaphore::release) gives
/// some. A semaphore that begins with 0 is a counter of signals. What a process did before it gave a permit is seen by who
/// takes it.
///
/// A `Semaphore` is a handle. Cloning it, sending it in a message or passing it to a process gives another handle on the
/// same permits.
///
/// # Whose turn it is
///
/// Permits go to whoever is quickest, which is the fastest for all. But nobody waits for ever: who was woken in vain for
/// some milliseconds, or has slept while there were permits and too few for him, *comes first* from then on. All that is
/// given is kept for him until he has what he asked for, and he holds nothing meanwhile. One at a time comes first; to
/// everybody else, [`try_acquire`](Semaphore::try_acquire) included, there is nothing to take until then. So a large
/// [`acquire_many`](Semaphore::acquire_many) is served beside any number of small ones.
///
/// # When a process dies
///
/// The value is exact: whoever is killed has taken or given his permits, or has not. Permits have no owners here, so those
/// that the dead had taken do not come back: where they should, take a [`BoundedSemaphore`]. Whoever was killed
/// between giving and waking, or after he was woken, delays the others by 100 ms at most.
///
/// # Waiting and cost
///
/// Taking a permit is one exchange, giving one another, and no system call unless somebody sleeps. The thread that was the
/// first to give, as long as its process lives, gives by a store while nobody sleeps, which is half the cost. Who has to
/// wait spins for some microseconds and then sleeps in the kernel. As many are woken as permits are given. The verbs that
/// wait come in four forms, and with [`Until`], as [`acquire_until`](Semaphore::acquire_until), also end with another process.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// use multiproc::{Process, Semaphore};
///
/// fn worker(begun: Semaphore, done: Semaphore) -> multiproc::Result<()> {
///     begun.acquire();
///     // ... one of at most two at work ...
///     done.release(1)?;
///     begun.release(1)?;
///     Ok(())
/// }
///
/// let (begun, done) = (Semaphore::new(2)?, Semaphore::new(0)?);
/// let workers = [0, 1, 2].map(|_| Process::spawn(worker, (begun.clone(), done.clone())));
/// done.acquire_many(3);
/// for worker in workers {
///     worker?.join()?;
/// }
/// assert_eq!(begun.available(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Semaphore {
    raw: Place<RawSemaphore>,
    /// This process in the segment of `home`, once it has given.
    claimant: Claimant,
    home: Small,
}

impl Semaphore {
    /// The most permits that there can be.
    pub const MAX: u32 = RawSemaphore::MOST;

    /// A new semaphore without a name, with `value` permits to begin with.
    ///
    /// It takes 64 bytes in an arena that all unnamed semaphores of the process share.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](ErrorKind::NoSpace) when there is no memory for it, [`InvalidInput`](ErrorKind::InvalidInput) for more
    /// than [`MAX`](Semaphore::MAX).
    pub fn new(value: u32) -> Result<Self> {
        let value = checked(value)?;
        let init = |s: &Segment, place| begin(s, place, value);
        Ok(Self::on(Small::anonymous(&form(), init)?))
    }

    /// A new semaphore called `name`, which other programs of the same user can [`open`](Semaphore::open).
    ///
    /// It exists until its last user is gone, or until it is [removed](Semaphore::remove).
    ///
    /// # Errors
    ///
    /// [`AlreadyExists`](ErrorKind::AlreadyExists), [`InvalidInput`](ErrorKind::InvalidInput) for a name that cannot be
    /// one or more than [`MAX`](Semaphore::MAX), [`NoSpace`](ErrorKind::NoSpace).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::Semaphore;
    ///
    /// let name = format!("downloads-{}", std::process::id());
    /// let downloads = Semaphore::create(&name, 4)?;
    /// Semaphore::open(&name)?.acquire();
    /// assert_eq!(downloads.available(), 3);
    /// Semaphore::remove(&name)
    /// # }
    /// ```
    pub fn create(name: &str, value: u32) -> Result<Self> {
        let value = checked(value)?;
        let init = |s: &Segment, place| begin(s, place, value);
        Ok(Self::on(Small::create(name, &form(), init)?))
    }

    /// The semaphore called `name`. See [`create`](Semaphore::create).
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound), [`WrongType`](ErrorKind::WrongType),
    /// [`PermissionDenied`](ErrorKind::PermissionDenied).
    pub fn open(name: &str) -> Result<Self> {
        Ok(Self::on(Small::open(name, &form())?))
    }

    /// The semaphore called `name`; if there is none, a new one with `value` permits.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Semaphore::open) but `NotFound`, and those of [`create`](Semaphore::create) but `AlreadyExists`.
    pub fn open_or_create(name: &str, value: u32) -> Result<Self> {
        let value = checked(value)?;
        let init = |s: &Segment, place| begin(s, place, value);
        Ok(Self::on(Small::open_or_create(name, &form(), init)?))
    }

    /// Removes the name. Those who have the semaphore open keep it; the name is free for a new one.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound), [`PermissionDenied`](ErrorKind::PermissionDenied).
    pub fn remove(name: &str) -> Result<()> {
        Small::remove(name)
    }

    fn on(home: Small) -> Self {
        membarrier::register();
        Semaphore {
            raw: Place::new(home.tenant().segment(), home.place()),
            claimant: Claimant::unknown(),
            home,
        }
    }

    /// How many permits there are now.
    #[inline]
    #[must_use]
    #[doc(alias = "get_value")]
    pub fn available(&self) -> u32 {
        self.raw.get().value()
    }

    /// Waits for a permit and takes it.
    #[inline]
    pub fn acquire(&self) {
        self.take(1);
    }

    /// Takes a permit if there is one.
    ///
    /// # Errors
    ///
    /// [`TimedOut`] if there is none, or all are kept for [another](Semaphore#whose-turn-it-is).
    #[inline]
    pub fn try_acquire(&self) -> std::result::Result<(), TimedOut> {
        self.take_in(1, Deadline::NOW)
    }

    /// Waits for a permit for as long as `timeout`.
    ///
    /// # Errors
    ///
    /// [`TimedOut`] if there was none in that time; nothing is taken.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{Semaphore, TimedOut};
    /// use std::time::Duration;
    ///
    /// let signals = Semaphore::new(0)?;
    /// assert_eq!(signals.acquire_timeout(Duration::from_millis(1)), Err(TimedOut));
    /// signals.release(1)?;
    /// assert_eq!(signals.acquire_timeout(Duration::ZERO), Ok(()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn acquire_timeout(&self, timeout: Duration) -> std::result::Result<(), TimedOut> {
        self.take_in(1, Deadline::after(timeout))
    }

    /// Waits for a permit until `deadline`.
    ///
    /// # Errors
    ///
    /// As [`acquire_timeout`](Semaphore::acquire_timeout).
    pub fn acquire_deadline(&self, deadline: Instant) -> std::result::Result<(), TimedOut> {
        self.take_in(1, Deadline::at(deadline))
    }

    /// Waits for a permit until `until` is over.
    ///
    /// # Errors
    ///
    /// [`WaitError`] says which of its ends came first; nothing is taken.
    pub fn acquire_until(&self, until: Until<'_>) -> std::result::Result<(), WaitError> {
        Ok(self.take_until(1, until)?)
    }

    /// Waits for `n` permits and takes them all at once; returns at once for 0.
    ///
    /// While it waits it holds none of them.
    ///
    /// # Panics
    ///
    /// For more than [`MAX`](Semaphore::MAX), which there never are.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let pieces = multiproc::Semaphore::new(0)?;
    /// std::thread::scope(|scope| {
    ///     let all = scope.spawn(|| pieces.acquire_many(3));
    ///     pieces.release(2).unwrap();
    ///     pieces.release(2).unwrap();
    ///     all.join().unwrap();
    /// });
    /// assert_eq!(pieces.available(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn acquire_many(&self, n: u32) {
        self.take(possible(n));
    }

    /// Takes `n` permits if there are so many.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Semaphore::try_acquire); nothing is taken.
    ///
    /// # Panics
    ///
    /// As [`acquire_many`](Semaphore::acquire_many).
    pub fn try_acquire_many(&self, n: u32) -> std::result::Result<(), TimedOut> {
        self.take_in(possible(n), Deadline::NOW)
    }

    /// Waits for `n` permits for as long as `timeout`.
    ///
    /// # Errors
    ///
    /// [`TimedOut`] if there were not so many at once in that time; nothing is taken.
    ///
    /// # Panics
    ///
    /// As [`acquire_many`](Semaphore::acquire_many).
    pub fn acquire_many_timeout(
        &self,
        n: u32,
        timeout: Duration,
    ) -> std::result::Result<(), TimedOut> {
        self.take_in(possible(n), Deadline::after(timeout))
    }

    /// Waits for `n` permits until `deadline`.
    ///
    /// # Errors
    ///
    /// As [`acquire_many_timeout`](Semaphore::acquire_many_timeout).
    ///
    /// # Panics
    ///
    /// As [`acquire_many`](Semaphore::acquire_many).
    pub fn acquire_many_deadline(
        &self,
        n: u32,
        deadline: Instant,
    ) -> std::result::Result<(), TimedOut> {
        self.take_in(possible(n), Deadline::at(deadline))
    }

    /// Waits for `n` permits until `until` is over.
    ///
    /// # Errors
    ///
    /// [`WaitError`] says which of its ends came first; nothing is taken.
    ///
    /// # Panics
    ///
    /// As [`acquire_many`](Semaphore::acquire_many).
    pub fn acquire_many_until(
        &self,
        n: u32,
        until: Until<'_>,
    ) -> std::result::Result<(), WaitError> {
        Ok(self.take_until(possible(n), until)?)
    }

    /// Gives `n` permits, whoever has taken them or nobody, and wakes as many who wait.
    ///
    /// Not for signal handlers: one that interrupts its thread in this very call could make it forget what the handler gave.
    ///
    /// # Errors
    ///
    /// [`OverRelease`], and none is given, if there would be more than [`MAX`](Semaphore::MAX).
    #[inline]
    #[doc(alias = "post")]
    pub fn release(&self, n: u32) -> std::result::Result<(), OverRelease> {
        match self.raw.get().give_by_store(n, &self.claimant) {
            true => Ok(()),
            false => self.give(n),
        }
    }

    #[inline(never)]
    fn give(&self, n: u32) -> std::result::Result<(), OverRelease> {
        let raw = self.raw.get();
        raw.release(n).map_err(|TooMany| OverRelease::new(n))?;
        if raw.has_no_giver() {
            self.become_giver();
        }
        Ok(())
    }

    /// Makes the calling thread the one that gives by stores, if it can.
    #[cold]
    fn become_giver(&self) {
        let peers: &Tenant = self.home.tenant();
        if let Ok(me) = peers.seat() {
            self.claimant.renew(me, peers);
            self.raw.get().become_giver(&self.claimant);
        }
    }

    #[inline]
    fn take(&self, n: u32) {
        if !self.raw.get().take_at_once(n) {
            self.take_in_turn(n);
        }
    }

    #[cold]
    fn take_in_turn(&self, n: u32) {
        while self.take_until(n, Deadline::NEVER.into()).is_err() {}
    }

    #[inline]
    fn take_in(&self, n: u32, deadline: Deadline) -> std::result::Result<(), TimedOut> {
        self.take_until(n, deadline.into()).map_err(|_| TimedOut)
    }

    #[inline]
    fn take_until(&self, n: u32, until: Until<'_>) -> std::result::Result<(), Over> {
        match self.raw.get().take_at_once(n) {
            true => Ok(()),
            false => self.wait_for(n, until),
        }
    }

    #[cold]
    fn wait_for(&self, n: u32, until: Until<'_>) -> std::result::Result<(), Over> {
        if n == 0 || self.raw.get().try_acquire(n) {
            return Ok(());
        }
        let peers: &Tenant = self.home.tenant();
        self.raw.get().acquire(n, until, peers.seat().ok(), peers)
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("available", &self.available())
            .finish_non_exhaustive()
    }
}

impl Handle for Semaphore {
    fn to_raw(&self) -> RawHandle {
        self.home.to_raw()
    }

    fn attach(raw: &RawHandle) -> Result<Self> {
        Ok(Self::on(Small::attach(raw, &form())?))
    }
}

handle_message!([] Semaphore, "Semaphore", []);

impl SharedField for Semaphore {
    /// How many permits there are.
    type Init = u32;

    fn plan(plan: &mut Plan) {
        plan.noun(&form());
    }

    fn make(&value: &u32, maker: &mut Maker<'_>) -> Result<()> {
        let value = checked(value)?;
        maker.noun(&form(), |segment, place| begin(segment, place, value))
    }

    fn open(opener: &mut Opener<'_>) -> Result<Self> {
        Ok(Self::on(opener.noun(&form())?))
    }
}

fn form() -> Form {
    Form {
        kind: Kind::Semaphore,
        fingerprint: fingerprint(b"Semaphore"),
        type_name: "permits".to_owned(),
        data: None,
    }
}

fn begin(segment: &Segment, place: u64, value: u32) -> Result<()> {
    segment.at(Offset::<RawSemaphore>::new(place)).begin(value);
    Ok(())
}

fn checked(value: u32) -> Result<u32> {
    if value <= Semaphore::MAX {
        return Ok(value);
    }
    let max = Semaphore::MAX;
    let text = format!("a semaphore has {max} permits at most, not {value}");
    Err(Error::new(ErrorKind::InvalidInput, text))
}

fn possible(n: u32) -> u32 {
    assert!(n <= Semaphore::MAX, "there are never {n} permits");
    n
}
