//! [`BoundedSemaphore`]: permits that have owners.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::OverRelease;
use super::permit::{Permit, Permits};
use crate::message::{Handle, handle_message};
use crate::segment::layout::{Offset, fingerprint};
use crate::segment::{Kind, Place, Places, Segment};
use crate::sync::{BoundedHead, NotLeaked, PermitWord, RawBounded, permits_len};
use crate::sys::atomic::{AtomicU32, Ordering::Relaxed};
use crate::sys::clock::Deadline;
use crate::sys::identity::Participant;
use crate::sys::membarrier;
use crate::sys::until::Over;
use crate::tenancy::{
    Form, Maker, Opener, PERMITS_IN_STRUCT, Plan, RawHandle, SharedField, Small, Tenant,
};
use crate::{Error, ErrorKind, Result, TimedOut, Until, WaitError};

/// So many permits and never more, each held by a process: those of the dead come back.
///
/// [`acquire`](BoundedSemaphore::acquire) takes a permit, waiting while none is free, and gives a [`Permit`], which returns
/// it when it is dropped. [`acquire_many`](BoundedSemaphore::acquire_many) takes several, all or none. What a process did
/// before it gave a permit back is seen by who takes it next.
///
/// A `BoundedSemaphore` is a handle. Cloning it, sending it in a message or passing it to a process gives another handle on
/// the same permits.
///
/// # When a process dies
///
/// Each permit knows the process that holds it. The permits of a process that is killed are free again, each once, for
/// whoever needs one next: he asks the kernel about their holders and does not wait for the dead. A permit that is forgotten
/// ([`std::mem::forget`]) is its process's until that ends. A process that is stopped or slow keeps its permits.
///
/// # Permits without an owner
///
/// As Python allows it, a permit taken by one process can be given back by another: [`Permit::leak`] makes it nobody's,
/// [`release`](BoundedSemaphore::release) gives it back, here or elsewhere. More cannot be given back than were leaked. What
/// is nobody's does not come back by anybody's death. Where all permits are like this, the plain
/// [`Semaphore`](crate::Semaphore) is simpler.
///
/// # Waiting and cost
///
/// One exchange to take a permit and a store to give it back, and no system call unless somebody sleeps. As many are woken
/// as permits are given, and who has waited in vain [comes first](crate::Semaphore#whose-turn-it-is). The verbs that wait
/// come in four forms, and with [`Until`], as [`acquire_until`](BoundedSemaphore::acquire_until), also end with another
/// process.
///
/// A permit takes 2 bytes. A search begins where this process last gave one back, and looks at all of them before it waits;
/// to know how many are free all are looked at. As a field of a [shared struct](crate::Shared) it takes 2 KiB, however few
/// permits there are, and has 1,000 at most.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// use multiproc::{BoundedSemaphore, Process};
///
/// fn dies(connections: BoundedSemaphore) {
///     let _permit = connections.acquire();
///     std::process::abort();
/// }
///
/// let connections = BoundedSemaphore::new(2)?;
/// let permit = connections.acquire();
/// assert!(Process::spawn(dies, (connections.clone(),))?.join().is_err());
/// let second = connections.try_acquire()?; // the one that the dead had
/// assert!(connections.try_acquire().is_err());
/// drop((permit, second));
/// assert_eq!(connections.available(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct BoundedSemaphore {
    head: Place<BoundedHead>,
    permits: Places<PermitWord>,
    /// Where the next search begins; in memory of this process.
    hint: Arc<AtomicU32>,
    home: Small,
}

impl BoundedSemaphore {
    /// The most permits that there can be.
    pub const MAX: u32 = RawBounded::MOST;

    /// A new semaphore without a name, with `permits` permits, 1 to [`MAX`](BoundedSemaphore::MAX).
    ///
    /// It takes 40 bytes and 2 for each permit, rounded up to a power of two, in an arena that all unnamed semaphores of
    /// the process share; more than 2,028 permits take a file descriptor of their own.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](ErrorKind::NoSpace) when there is no memory for it, [`InvalidInput`](ErrorKind::InvalidInput) for
    /// another number of permits.
    pub fn new(permits: u32) -> Result<Self> {
        let form = form(checked(permits)?);
        let init = |s: &Segment, place| prepare(s, place, permits);
        Self::on(Small::anonymous(&form, init)?)
    }

    /// A new semaphore called `name`, which other programs of the same user can [`open`](BoundedSemaphore::open).
    ///
    /// It exists until its last user is gone, or until it is [removed](BoundedSemaphore::remove).
    ///
    /// # Errors
    ///
    /// [`AlreadyExists`](ErrorKind::AlreadyExists), [`InvalidInput`](ErrorKind::InvalidInput) for a name that cannot be
    /// one or a number of permits as for [`new`](BoundedSemaphore::new), [`NoSpace`](ErrorKind::NoSpace).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::BoundedSemaphore;
    ///
    /// let name = format!("licences-{}", std::process::id());
    /// let licences = BoundedSemaphore::create(&name, 5)?;
    /// let same = BoundedSemaphore::open(&name)?;
    /// let three = same.acquire_many(3);
    /// assert_eq!((licences.available(), licences.permits()), (2, 5));
    /// # drop(three);
    /// BoundedSemaphore::remove(&name)
    /// # }
    /// ```
    pub fn create(name: &str, permits: u32) -> Result<Self> {
        let form = form(checked(permits)?);
        let init = |s: &Segment, place| prepare(s, place, permits);
        Self::on(Small::create(name, &form, init)?)
    }

    /// The semaphore called `name`. See [`create`](BoundedSemaphore::create).
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound), [`WrongType`](ErrorKind::WrongType),
    /// [`PermissionDenied`](ErrorKind::PermissionDenied).
    pub fn open(name: &str) -> Result<Self> {
        Self::on(Small::open(name, &form(1))?)
    }

    /// The semaphore called `name`, however many permits it has; if there is none, a new one with `permits`.
    ///
    /// # Errors
    ///
    /// Those of [`open`](BoundedSemaphore::open) but `NotFound`, and those of [`create`](BoundedSemaphore::create) but
    /// `AlreadyExists`.
    pub fn open_or_create(name: &str, permits: u32) -> Result<Self> {
        let (least, form) = (form(1), form(checked(permits)?));
        let init = |s: &Segment, place| prepare(s, place, permits);
        Self::on(Small::open_or_create_sized(name, &least, &form, init)?)
    }

    /// Removes the name. Those who have the semaphore open keep it; the name is free for a new one.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound), [`PermissionDenied`](ErrorKind::PermissionDenied).
    pub fn remove(name: &str) -> Result<()> {
        Small::remove(name)
    }

    fn on(home: Small) -> Result<Self> {
        membarrier::register();
        let segment = home.tenant().segment();
        let head = Place::<BoundedHead>::new(segment, home.place());
        // Looked at once: what shared memory says later widens nothing.
        let count = head.get().count();
        let fits = permits_len(count) <= home.len() && checked(count).is_ok();
        let permits = Places::new(segment, home.data(), count).filter(|_| fits);
        let permits = permits.ok_or_else(outside)?;
        let hint = u32::from(home.tenant().seat()?.get()) % count;
        Ok(BoundedSemaphore {
            head,
            permits,
            hint: Arc::new(AtomicU32::new(hint)),
            home,
        })
    }

    #[inline]
    fn raw(&self) -> RawBounded<'_> {
        self.head.get().with(self.permits.get())
    }

    #[inline]
    fn tenant(&self) -> &Tenant {
        self.home.tenant()
    }

    /// How many permits there are, free or not.
    #[must_use]
    pub fn permits(&self) -> u32 {
        self.permits.get().len() as u32
    }

    /// How many permits are free now; those of the dead are not before somebody has looked for them.
    #[must_use]
    #[doc(alias = "get_value")]
    pub fn available(&self) -> u32 {
        self.raw().available()
    }

    /// Waits for a permit and takes it.
    #[inline]
    pub fn acquire(&self) -> Permit<'_> {
        loop {
            if let Ok(permit) = self.take(Deadline::NEVER.into()) {
                return permit;
            }
        }
    }

    /// Takes a permit if one is free, or held by a process that is dead.
    ///
    /// # Errors
    ///
    /// [`TimedOut`] if none is, or all are kept for [another](crate::Semaphore#whose-turn-it-is).
    #[inline]
    pub fn try_acquire(&self) -> std::result::Result<Permit<'_>, TimedOut> {
        self.take(Deadline::NOW.into()).map_err(|_| TimedOut)
    }

    /// Waits for a permit for as long as `timeout`.
    ///
    /// # Errors
    ///
    /// [`TimedOut`] if none was free in that time.
    pub fn acquire_timeout(&self, timeout: Duration) -> std::result::Result<Permit<'_>, TimedOut> {
        self.take(Until::timeout(timeout)).map_err(|_| TimedOut)
    }

    /// Waits for a permit until `deadline`.
    ///
    /// # Errors
    ///
    /// As [`acquire_timeout`](BoundedSemaphore::acquire_timeout).
    pub fn acquire_deadline(&self, deadline: Instant) -> std::result::Result<Permit<'_>, TimedOut> {
        self.take(Until::deadline(deadline)).map_err(|_| TimedOut)
    }

    /// Waits for a permit until `until` is over.
    ///
    /// # Errors
    ///
    /// [`WaitError`] says which of its ends came first.
    pub fn acquire_until(&self, until: Until<'_>) -> std::result::Result<Permit<'_>, WaitError> {
        Ok(self.take(until)?)
    }

    /// Waits for `n` permits and takes them together; for 0 none, at once.
    ///
    /// While it waits it holds none of them.
    ///
    /// # Panics
    ///
    /// For more than there are, which would wait for ever.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let seats = multiproc::BoundedSemaphore::new(4)?;
    /// let table = seats.acquire_many(3);
    /// assert!(seats.try_acquire_many(2).is_err());
    /// assert_eq!(table.count(), 3);
    /// drop(table);
    /// assert!(seats.try_acquire_many(4).is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn acquire_many(&self, n: u32) -> Permits<'_> {
        loop {
            if let Ok(permits) = self.take_many(n, Deadline::NEVER.into()) {
                return permits;
            }
        }
    }

    /// Takes `n` permits if so many are free, or held by processes that are dead.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](BoundedSemaphore::try_acquire); nothing is taken.
    ///
    /// # Panics
    ///
    /// As [`acquire_many`](BoundedSemaphore::acquire_many).
    pub fn try_acquire_many(&self, n: u32) -> std::result::Result<Permits<'_>, TimedOut> {
        self.take_many(n, Deadline::NOW.into())
            .map_err(|_| TimedOut)
    }

    /// Waits for `n` permits for as long as `timeout`.
    ///
    /// # Errors
    ///
    /// [`TimedOut`] if there were not so many at once in that time; nothing is taken.
    ///
    /// # Panics
    ///
    /// As [`acquire_many`](BoundedSemaphore::acquire_many).
    pub fn acquire_many_timeout(
        &self,
        n: u32,
        timeout: Duration,
    ) -> std::result::Result<Permits<'_>, TimedOut> {
        self.take_many(n, Until::timeout(timeout))
            .map_err(|_| TimedOut)
    }

    /// Waits for `n` permits until `deadline`.
    ///
    /// # Errors
    ///
    /// As [`acquire_many_timeout`](BoundedSemaphore::acquire_many_timeout).
    ///
    /// # Panics
    ///
    /// As [`acquire_many`](BoundedSemaphore::acquire_many).
    pub fn acquire_many_deadline(
        &self,
        n: u32,
        deadline: Instant,
    ) -> std::result::Result<Permits<'_>, TimedOut> {
        self.take_many(n, Until::deadline(deadline))
            .map_err(|_| TimedOut)
    }

    /// Waits for `n` permits until `until` is over.
    ///
    /// # Errors
    ///
    /// [`WaitError`] says which of its ends came first; nothing is taken.
    ///
    /// # Panics
    ///
    /// As [`acquire_many`](BoundedSemaphore::acquire_many).
    pub fn acquire_many_until(
        &self,
        n: u32,
        until: Until<'_>,
    ) -> std::result::Result<Permits<'_>, WaitError> {
        Ok(self.take_many(n, until)?)
    }

    /// Gives `n` permits back that were [leaked](Permit::leak), by whomever.
    ///
    /// # Errors
    ///
    /// [`OverRelease`], and none is given back, if fewer are nobody's.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let slots = multiproc::BoundedSemaphore::new(1)?;
    /// assert!(slots.release(1).is_err());
    /// slots.acquire().leak();
    /// let elsewhere = slots.clone();
    /// std::thread::spawn(move || elsewhere.release(1)).join().unwrap()?;
    /// assert_eq!(slots.available(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn release(&self, n: u32) -> std::result::Result<(), OverRelease> {
        let given = self.raw().give_back(n, self.tenant().me());
        given.map_err(|NotLeaked| OverRelease::new(n))
    }

    #[inline]
    fn take(&self, until: Until<'_>) -> std::result::Result<Permit<'_>, Over> {
        let me = self.tenant().me();
        match self.raw().try_acquire(me, self.hint.load(Relaxed)) {
            Some(index) => Ok(Permit::new(self, me, index)),
            None => self.wait_for_one(me, until),
        }
    }

    #[cold]
    fn wait_for_one(
        &self,
        me: Participant,
        until: Until<'_>,
    ) -> std::result::Result<Permit<'_>, Over> {
        let taken = self.wait_for(1, me, until)?;
        Ok(Permit::new(self, me, taken[0]))
    }

    fn take_many(&self, n: u32, until: Until<'_>) -> std::result::Result<Permits<'_>, Over> {
        let there = self.permits();
        assert!(
            n <= there,
            "{n} permits of {there} would be waited for for ever"
        );
        let me = self.tenant().me();
        let taken = match n {
            0 => Vec::new(),
            n => self.wait_for(n, me, until)?,
        };
        Ok(Permits::new(self, me, taken))
    }

    fn wait_for(
        &self,
        n: u32,
        me: Participant,
        until: Until<'_>,
    ) -> std::result::Result<Vec<u32>, Over> {
        let hint = self.hint.load(Relaxed);
        self.raw().acquire(n, until, me, hint, self.tenant())
    }

    /// Whether `who`, who took a permit, is this process: what a fork copied into a child is not the child's.
    #[inline]
    pub(super) fn is_ours(&self, who: Participant) -> bool {
        self.tenant().is_me(who)
    }

    #[inline]
    pub(super) fn give_back(&self, index: u32) {
        self.hint.store(index, Relaxed);
        self.raw().release(index);
    }

    pub(super) fn give_all_back(&self, taken: &[u32]) {
        if let Some(&index) = taken.first() {
            self.hint.store(index, Relaxed);
            self.raw().release_all(taken);
        }
    }

    pub(super) fn leak(&self, index: u32) {
        self.raw().leak(index);
    }
}

impl fmt::Debug for BoundedSemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundedSemaphore")
            .field("available", &self.available())
            .field("permits", &self.permits())
            .finish_non_exhaustive()
    }
}

impl Handle for BoundedSemaphore {
    fn to_raw(&self) -> RawHandle {
        self.home.to_raw()
    }

    fn attach(raw: &RawHandle) -> Result<Self> {
        Self::on(Small::attach(raw, &form(1))?)
    }
}

handle_message!([] BoundedSemaphore, "BoundedSemaphore", []);

impl SharedField for BoundedSemaphore {
    /// How many permits there are: 1 to 1,000.
    type Init = u32;

    fn plan(plan: &mut Plan) {
        plan.noun(&form(PERMITS_IN_STRUCT));
    }

    fn make(&permits: &u32, maker: &mut Maker<'_>) -> Result<()> {
        let permits = within(permits, PERMITS_IN_STRUCT, " in a struct")?;
        let init = |s: &Segment, place| prepare(s, place, permits);
        maker.noun(&form(PERMITS_IN_STRUCT), init)
    }

    fn open(opener: &mut Opener<'_>) -> Result<Self> {
        Self::on(opener.noun(&form(PERMITS_IN_STRUCT))?)
    }
}

fn form(permits: u32) -> Form {
    Form {
        kind: Kind::BoundedSemaphore,
        fingerprint: fingerprint(b"BoundedSemaphore"),
        type_name: "owned permits".to_owned(),
        data: Some((2 * u64::from(permits), 2)),
    }
}

fn prepare(segment: &Segment, data: u64, permits: u32) -> Result<()> {
    let head = data - size_of::<BoundedHead>() as u64;
    segment
        .at(Offset::<BoundedHead>::new(head))
        .prepare(permits);
    Ok(())
}

fn checked(permits: u32) -> Result<u32> {
    within(permits, BoundedSemaphore::MAX, "")
}

fn within(permits: u32, max: u32, place: &str) -> Result<u32> {
    if (1..=max).contains(&permits) {
        return Ok(permits);
    }
    let text = format!("a bounded semaphore{place} has 1 to {max} permits, not {permits}");
    Err(Error::new(ErrorKind::InvalidInput, text))
}

#[cold]
fn outside() -> Error {
    let text = "the permits lie outside of their object";
    Error::new(ErrorKind::Corrupt, text)
}
