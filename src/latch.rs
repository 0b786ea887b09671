//! [`Latch`]: a count that goes down once, and those who wait for its end.

mod error;

use std::fmt;
use std::time::{Duration, Instant};

use crate::message::{Handle, handle_message};
use crate::segment::layout::{Offset, fingerprint};
use crate::segment::{Kind, Place, Segment};
use crate::sync::{RawLatch, TooFew};
use crate::sys::clock::Deadline;
use crate::sys::until::Over;
use crate::tenancy::{Form, Maker, Opener, Plan, RawHandle, SharedField, Small, Tenant};
use crate::{Error, ErrorKind, Result, TimedOut, Until, WaitError};
pub use error::CountError;

/// A count that goes down to zero, once, and lets everybody through who waits for that.
///
/// It begins at some number. [`count_down`](Latch::count_down) takes one off; at zero everybody goes on who waits, and
/// nobody waits for it any more. It does not go up again: for rounds that repeat there is the barrier. What a process did
/// before it counted is seen by those whom the latch lets through.
///
/// A `Latch` is a handle. Cloning it, sending it in a message or passing it to a process gives another handle on the same
/// count.
///
/// # Waiting and cost
///
/// Waiting where nothing is left to count is one load. Who has to wait spins for some microseconds and then sleeps in the
/// kernel. Counting is one exchange, and the last step is one system call more if anybody may sleep. The verbs that wait
/// come in four forms: [`wait`](Latch::wait), [`try_wait`](Latch::try_wait), [`wait_timeout`](Latch::wait_timeout),
/// [`wait_deadline`](Latch::wait_deadline); and [`wait_until`](Latch::wait_until) also ends with another process.
///
/// # When a process dies
///
/// Nobody holds a latch. A process that is killed has counted or it has not; whoever made the last step and was killed
/// before the wake-up delays it by 100 ms at most. Nobody counts in the place of the dead: who must not wait for a process
/// that may die before it counts says so with [`Until::or_end_of`](crate::Until::or_end_of), and can then count for it.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// use multiproc::{Latch, Process};
///
/// fn worker(prepared: Latch) -> multiproc::Result<()> {
///     // ... whatever must be there before anybody begins ...
///     prepared.arrive_and_wait()?;
///     // ... all of them have prepared their part ...
///     Ok(())
/// }
///
/// let prepared = Latch::new(3)?;
/// let workers = [0, 1].map(|_| Process::spawn(worker, (prepared.clone(),)));
/// prepared.arrive_and_wait()?;
/// assert_eq!(prepared.count(), 0);
/// for worker in workers {
///     worker?.join()?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Latch {
    raw: Place<RawLatch>,
    home: Small,
}

impl Latch {
    /// The largest count.
    pub const MAX: u32 = RawLatch::MOST;

    /// A new latch without a name, with `count` left to count.
    ///
    /// It takes 64 bytes in an arena that all unnamed latches of the process share.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](ErrorKind::NoSpace) when there is no memory for it, [`InvalidInput`](ErrorKind::InvalidInput) for more
    /// than [`MAX`](Latch::MAX).
    pub fn new(count: u32) -> Result<Self> {
        let count = checked(count)?;
        Ok(Self::on(Small::anonymous(&form(), |s, place| {
            begin(s, place, count)
        })?))
    }

    /// A new latch called `name`, which other programs of the same user can [`open`](Latch::open).
    ///
    /// It exists until its last user is gone, or until it is [removed](Latch::remove).
    ///
    /// # Errors
    ///
    /// [`AlreadyExists`](ErrorKind::AlreadyExists), [`InvalidInput`](ErrorKind::InvalidInput) for a name that cannot be
    /// one or a count above [`MAX`](Latch::MAX), [`NoSpace`](ErrorKind::NoSpace).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::Latch;
    ///
    /// let name = format!("loaded-{}", std::process::id());
    /// let loaded = Latch::create(&name, 2)?;
    /// Latch::open(&name)?.count_down()?;
    /// assert_eq!(loaded.count(), 1);
    /// Latch::remove(&name)
    /// # }
    /// ```
    pub fn create(name: &str, count: u32) -> Result<Self> {
        let count = checked(count)?;
        let init = |s: &Segment, place| begin(s, place, count);
        Ok(Self::on(Small::create(name, &form(), init)?))
    }

    /// The latch called `name`. See [`create`](Latch::create).
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound), [`WrongType`](ErrorKind::WrongType),
    /// [`PermissionDenied`](ErrorKind::PermissionDenied).
    pub fn open(name: &str) -> Result<Self> {
        Ok(Self::on(Small::open(name, &form())?))
    }

    /// The latch called `name`; if there is none, a new one with `count` left to count.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Latch::open) but `NotFound`, and those of [`create`](Latch::create) but `AlreadyExists`.
    pub fn open_or_create(name: &str, count: u32) -> Result<Self> {
        let count = checked(count)?;
        let init = |s: &Segment, place| begin(s, place, count);
        Ok(Self::on(Small::open_or_create(name, &form(), init)?))
    }

    /// Removes the name. Those who have the latch open keep it; the name is free for a new one.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound), [`PermissionDenied`](ErrorKind::PermissionDenied).
    pub fn remove(name: &str) -> Result<()> {
        Small::remove(name)
    }

    fn on(home: Small) -> Self {
        let raw = Place::new(home.tenant().segment(), home.place());
        Latch { raw, home }
    }

    /// What is left to count.
    #[inline]
    #[must_use]
    pub fn count(&self) -> u32 {
        self.raw.get().left()
    }

    /// Counts one down. The last step lets everybody through who waits.
    ///
    /// # Errors
    ///
    /// [`CountError::TooFew`] if nothing is left to count.
    #[inline]
    #[doc(alias = "arrive")]
    pub fn count_down(&self) -> std::result::Result<(), CountError> {
        self.count_down_by(1)
    }

    /// Counts `n` down in one step; nothing for 0.
    ///
    /// # Errors
    ///
    /// [`CountError::TooFew`], and nothing is counted, if less than `n` is left.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{CountError, Latch};
    ///
    /// let latch = Latch::new(3)?;
    /// latch.count_down_by(2)?;
    /// assert_eq!(latch.count_down_by(2), Err(CountError::TooFew { left: 1 }));
    /// latch.count_down()?;
    /// latch.wait();
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn count_down_by(&self, n: u32) -> std::result::Result<(), CountError> {
        let counted = self.raw.get().count_down(n);
        counted.map_err(|TooFew { left }| CountError::TooFew { left })
    }

    /// Counts one down and waits for the others.
    ///
    /// # Errors
    ///
    /// [`CountError::TooFew`], without waiting, if nothing is left to count.
    pub fn arrive_and_wait(&self) -> std::result::Result<(), CountError> {
        self.count_down()?;
        self.wait();
        Ok(())
    }

    /// Waits until nothing is left to count.
    #[inline]
    pub fn wait(&self) {
        while self.wait_for(Deadline::NEVER.into()).is_err() {}
    }

    /// Does not wait: tells whether nothing is left to count, in the form of the other three.
    ///
    /// # Errors
    ///
    /// [`TimedOut`] if something is.
    #[inline]
    pub fn try_wait(&self) -> std::result::Result<(), TimedOut> {
        if self.count() == 0 {
            Ok(())
        } else {
            Err(TimedOut)
        }
    }

    /// Waits until nothing is left to count, for as long as `timeout`.
    ///
    /// # Errors
    ///
    /// [`TimedOut`] if something was left at the end of that time.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{Latch, TimedOut};
    /// use std::time::Duration;
    ///
    /// let latch = Latch::new(1)?;
    /// assert_eq!(latch.wait_timeout(Duration::from_millis(1)), Err(TimedOut));
    /// latch.count_down()?;
    /// assert_eq!(latch.wait_timeout(Duration::ZERO), Ok(()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_timeout(&self, timeout: Duration) -> std::result::Result<(), TimedOut> {
        self.wait_for(Until::timeout(timeout)).map_err(|_| TimedOut)
    }

    /// Waits until nothing is left to count, until `deadline`.
    ///
    /// # Errors
    ///
    /// As [`wait_timeout`](Latch::wait_timeout).
    pub fn wait_deadline(&self, deadline: Instant) -> std::result::Result<(), TimedOut> {
        self.wait_for(Until::deadline(deadline))
            .map_err(|_| TimedOut)
    }

    /// Waits until nothing is left to count, or `until` is over.
    ///
    /// # Errors
    ///
    /// [`WaitError`] says which of the two ends came first.
    ///
    /// # Examples
    ///
    /// A helper that dies before it has counted:
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// # multiproc::init();
    /// use multiproc::{Latch, Process, Until, WaitError};
    ///
    /// fn dies(_: Latch) {
    ///     std::process::abort();
    /// }
    ///
    /// let ready = Latch::new(1)?;
    /// let helper = Process::spawn(dies, (ready.clone(),))?;
    /// let until = Until::forever().or_end_of(&helper);
    /// assert_eq!(ready.wait_until(until), Err(WaitError::Ended));
    /// assert!(helper.join().is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_until(&self, until: Until<'_>) -> std::result::Result<(), WaitError> {
        Ok(self.wait_for(until)?)
    }

    #[inline]
    fn wait_for(&self, until: Until<'_>) -> std::result::Result<(), Over> {
        let peers: &Tenant = self.home.tenant();
        self.raw.get().wait(until, peers)
    }
}

impl fmt::Debug for Latch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latch")
            .field("count", &self.count())
            .finish_non_exhaustive()
    }
}

impl Handle for Latch {
    fn to_raw(&self) -> RawHandle {
        self.home.to_raw()
    }

    fn attach(raw: &RawHandle) -> Result<Self> {
        Ok(Self::on(Small::attach(raw, &form())?))
    }
}

handle_message!([] Latch, "Latch", []);

impl SharedField for Latch {
    /// Where it begins to count.
    type Init = u32;

    fn plan(plan: &mut Plan) {
        plan.noun(&form());
    }

    fn make(&count: &u32, maker: &mut Maker<'_>) -> Result<()> {
        let count = checked(count)?;
        maker.noun(&form(), |segment, place| begin(segment, place, count))
    }

    fn open(opener: &mut Opener<'_>) -> Result<Self> {
        Ok(Self::on(opener.noun(&form())?))
    }
}

fn form() -> Form {
    Form {
        kind: Kind::Latch,
        fingerprint: fingerprint(b"Latch"),
        type_name: "count".to_owned(),
        data: None,
    }
}

fn begin(segment: &Segment, place: u64, count: u32) -> Result<()> {
    segment.at(Offset::<RawLatch>::new(place)).begin(count);
    Ok(())
}

fn checked(count: u32) -> Result<u32> {
    if count <= Latch::MAX {
        return Ok(count);
    }
    let text = format!("a latch counts {} at most, not {count}", Latch::MAX);
    Err(Error::new(ErrorKind::InvalidInput, text))
}
