//! [`Lock`]: data that one thread of one process at a time may change.

mod error;
mod guard;
mod inner;
mod refusal;
mod until;

use std::fmt;
use std::mem::ManuallyDrop;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr::NonNull;
use std::thread::panicking;
use std::time::{Duration, Instant};

use crate::message::{Handle, Plain, Room, handle_message, plain_fingerprint, plain_name};
use crate::segment::layout::Offset;
use crate::segment::{Kind, Segment};
use crate::sync::{Adoption, Claimant, RawLock};
use crate::sys::clock::Deadline;
use crate::sys::membarrier;
use crate::tenancy::{Form, Maker, Opener, Plan, RawHandle, SharedField, Small, Tenant};
use crate::{Error, ErrorKind, Result, Until};
pub use error::{AdoptError, LockError, LockTimeoutError, TryLockError};
pub use guard::LockGuard;
pub(crate) use until::attempt_until;

/// A lock together with the data it guards, shared by processes.
///
/// [`lock`](Lock::lock) waits for its turn and gives a [`LockGuard`], through which the data are read and written in
/// place; dropping the guard gives the lock up. `Lock::new(())` is a bare lock, without data. The data are
/// [`Plain`]: of fixed layout, without pointers.
///
/// A `Lock` is a handle. Cloning it, sending it in a message or passing it to a process gives another handle on the
/// same lock and the same data.
///
/// # When a holder dies
///
/// The data may be half changed when their holder is killed, or panics with the guard in hand. Such a lock is *marked*,
/// and nobody gets in unawares: those who wait, and all who come later, get [`LockError::OwnerDied`] and hold nothing.
/// Somebody who knows what the data should look like calls [`recover`](Lock::recover), which takes the lock all the
/// same, mends the data and calls [`LockGuard::mark_consistent`]. A guard of `recover` that is dropped without leaves
/// the lock marked. [`reset`](Lock::reset) does all of it with a new value.
///
/// Death is known from the kernel and never guessed from a time-out: a holder that is stopped, swapped out or slow
/// keeps its lock for as long as it takes.
///
/// # Waiting and cost
///
/// Taking a free lock and giving it up costs an exchange and a few stores, and no system call unless somebody sleeps.
/// Who has to wait spins for some microseconds and then sleeps in the kernel; signals do not end a wait. The verbs that
/// wait come in four forms: [`lock`](Lock::lock), [`try_lock`](Lock::try_lock), [`lock_timeout`](Lock::lock_timeout),
/// [`lock_deadline`](Lock::lock_deadline).
///
/// # What it does not do
///
/// It does not queue, unless it is made [`fair`](Lock::fair): whoever is quickest gets the lock next, sleepers included.
/// It may not be taken twice by one thread ([`LockError::Deadlock`]). A thread that forgets a guard
/// ([`std::mem::forget`]) holds the lock until it ends (without glibc: until its process ends); one that
/// [leaks](LockGuard::leak) it leaves the lock to its process, and to whoever [adopts](Lock::adopt) it.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// use multiproc::{Lock, Process};
///
/// fn deposit(account: Lock<i64>) -> multiproc::Result<()> {
///     *account.lock()? += 10;
///     Ok(())
/// }
///
/// let account = Lock::new(100)?;
/// let workers = [0, 1].map(|_| Process::spawn(deposit, (account.clone(),)));
/// for worker in workers {
///     worker?.join()?;
/// }
/// println!("{}", account.lock()?);
/// assert_eq!(*account.lock()?, 120);
/// # Ok(())
/// # }
/// ```
///
/// Two fields that belong together, and a panic between them:
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// use multiproc::{Lock, LockError};
///
/// let pair = Lock::new([0_u64; 2])?;
/// let other = pair.clone();
/// let torn = std::thread::spawn(move || {
///     let mut guard = other.lock().unwrap();
///     guard[0] = 1;
///     panic!("before the second is written");
/// });
/// assert!(torn.join().is_err());
///
/// assert!(matches!(pair.lock(), Err(LockError::OwnerDied { .. })));
/// let mut guard = pair.recover()?;
/// guard[1] = guard[0];
/// guard.mark_consistent();
/// drop(guard);
/// assert_eq!(*pair.lock()?, [1, 1]);
/// # Ok(())
/// # }
/// ```
pub struct Lock<T: Plain> {
    raw: NonNull<RawLock>,
    data: Room<T>,
    /// This process in the segment of `home`.
    claimant: Claimant,
    home: Small,
}

// SAFETY: the raw lock is made of atomics; the data are reached through a guard only, and are Send.
unsafe impl<T: Plain> Send for Lock<T> {}
// SAFETY: as above; one guard at a time exists in all processes.
unsafe impl<T: Plain> Sync for Lock<T> {}

// A holder that panics marks the lock, so nobody comes upon half a change without being told.
impl<T: Plain> UnwindSafe for Lock<T> {}
impl<T: Plain> RefUnwindSafe for Lock<T> {}

impl<T: Plain> Lock<T> {
    /// A new lock without a name, around `value`.
    ///
    /// It takes 40 bytes and the value's, rounded up to a power of two and at least 64, in an arena that all unnamed
    /// objects of the process share; more than 4 KiB take a file descriptor of their own.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](ErrorKind::NoSpace) when there is no memory for it.
    pub fn new(value: T) -> Result<Self> {
        let value = ManuallyDrop::new(value);
        let put = |s: &Segment, place| put(&*value, s, place);
        Self::on(Small::anonymous(&form::<T>(), put)?)
    }

    /// A new lock called `name`, which other programs of the same user can [`open`](Lock::open).
    ///
    /// It exists until its last user is gone, or until it is [removed](Lock::remove).
    ///
    /// # Errors
    ///
    /// [`AlreadyExists`](ErrorKind::AlreadyExists), [`InvalidInput`](ErrorKind::InvalidInput) for a name that cannot
    /// be one, [`NoSpace`](ErrorKind::NoSpace).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::Lock;
    ///
    /// let name = format!("settings-{}", std::process::id());
    /// let settings = Lock::create(&name, [1_u32, 2, 3])?;
    /// let same = Lock::<[u32; 3]>::open(&name)?;
    /// same.lock()?[0] = 9;
    /// assert_eq!(settings.lock()?[0], 9);
    /// Lock::<[u32; 3]>::remove(&name)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn create(name: &str, value: T) -> Result<Self> {
        let value = ManuallyDrop::new(value);
        let small = Small::create(name, &form::<T>(), |s, place| put(&*value, s, place))?;
        Self::on(small)
    }

    /// The lock called `name`. See [`create`](Lock::create).
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound), [`WrongType`](ErrorKind::WrongType),
    /// [`PermissionDenied`](ErrorKind::PermissionDenied).
    pub fn open(name: &str) -> Result<Self> {
        Self::on(Small::open(name, &form::<T>())?)
    }

    /// The lock called `name`; if there is none, a new one around `value`.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Lock::open) but `NotFound`, and those of [`create`](Lock::create) but `AlreadyExists`.
    pub fn open_or_create(name: &str, value: T) -> Result<Self> {
        let value = ManuallyDrop::new(value);
        let put = |s: &Segment, place| put(&*value, s, place);
        let small = Small::open_or_create(name, &form::<T>(), put)?;
        Self::on(small)
    }

    /// Removes the name. Those who have the lock open keep it; the name is free for a new one.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound), [`PermissionDenied`](ErrorKind::PermissionDenied).
    pub fn remove(name: &str) -> Result<()> {
        Small::remove(name)
    }

    fn on(small: Small) -> Result<Self> {
        let data = small.data();
        Self::within(small, data)
    }

    /// The lock at the beginning of an object whose data begin at `data`.
    pub(crate) fn within(small: Small, data: u64) -> Result<Self> {
        membarrier::register();
        let segment = small.tenant().segment();
        let raw = segment.get(Offset::<RawLock>::new(small.place()));
        let data = Room::at(segment, data);
        let (Some(raw), Some(data)) = (raw, data) else {
            return Err(outside());
        };
        Ok(Lock {
            raw: NonNull::from(raw),
            data,
            claimant: Claimant::new(small.tenant().seat()?, &**small.tenant()),
            home: small,
        })
    }

    #[inline]
    fn raw(&self) -> &RawLock {
        // SAFETY: bounded and aligned when the handle was made, mapped for as long as `home` lives, and a Layout.
        unsafe { self.raw.as_ref() }
    }

    fn tenant(&self) -> &Tenant {
        self.home.tenant()
    }

    /// The lock, if nothing is out of the ordinary: nobody holds it, it is not marked, this thread holds no other lock,
    /// and the data are a value.
    #[inline]
    pub(crate) fn at_once(&self) -> Option<LockGuard<'_, T>> {
        if !self.raw().claim(&self.claimant) {
            return None;
        }
        if panicking() {
            return LockGuard::new(self).checked();
        }
        LockGuard::unremarkable(self).checked()
    }

    /// The lock, whatever it takes; ends what [`at_once`](Lock::at_once) may have begun.
    #[cold]
    fn in_time(
        &self,
        deadline: Deadline,
    ) -> std::result::Result<LockGuard<'_, T>, LockTimeoutError> {
        let tenant = self.tenant();
        self.claimant.renew(tenant.me(), tenant);
        match self.raw().lock(tenant.me(), tenant, deadline) {
            Ok(()) => LockGuard::new(self)
                .checked()
                .ok_or(LockTimeoutError::Invalid),
            Err(why) => Err(LockTimeoutError::of(why, tenant)),
        }
    }

    /// Waits for the lock and takes it.
    ///
    /// # Errors
    ///
    /// [`LockError::OwnerDied`] if the lock is marked, [`LockError::Deadlock`] if the calling thread holds it already,
    /// [`LockError::Invalid`] if the data are no value of their type. In each case nothing is held.
    #[inline]
    pub fn lock(&self) -> std::result::Result<LockGuard<'_, T>, LockError> {
        match self.at_once() {
            Some(guard) => Ok(guard),
            None => self.in_turn(),
        }
    }

    #[cold]
    fn in_turn(&self) -> std::result::Result<LockGuard<'_, T>, LockError> {
        let taken = self.in_time(Deadline::NEVER);
        taken.map_err(LockTimeoutError::in_no_time)
    }

    /// Takes the lock if it is free.
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`] if somebody holds it, the calling thread included; the others as for
    /// [`lock`](Lock::lock).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let lock = multiproc::Lock::new(())?;
    /// let guard = lock.try_lock()?;
    /// assert!(lock.try_lock().is_err());
    /// drop(guard);
    /// assert!(lock.try_lock().is_ok());
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn try_lock(&self) -> std::result::Result<LockGuard<'_, T>, TryLockError> {
        match self.at_once() {
            Some(guard) => Ok(guard),
            None => self.now_or_never(),
        }
    }

    #[cold]
    fn now_or_never(&self) -> std::result::Result<LockGuard<'_, T>, TryLockError> {
        self.in_time(Deadline::NOW)
            .map_err(LockTimeoutError::at_once)
    }

    /// Waits for the lock for as long as `timeout`.
    ///
    /// # Errors
    ///
    /// [`LockTimeoutError::Timeout`] if somebody still holds it then; the others as for [`lock`](Lock::lock).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{Lock, LockTimeoutError};
    /// use std::time::Duration;
    ///
    /// let lock = Lock::new(0)?;
    /// let guard = lock.lock()?;
    /// std::thread::scope(|scope| {
    ///     let other = scope.spawn(|| lock.lock_timeout(Duration::from_millis(1)).map(drop));
    ///     assert_eq!(other.join().unwrap(), Err(LockTimeoutError::Timeout));
    /// });
    /// # drop(guard);
    /// # Ok(())
    /// # }
    /// ```
    pub fn lock_timeout(
        &self,
        timeout: Duration,
    ) -> std::result::Result<LockGuard<'_, T>, LockTimeoutError> {
        match self.at_once() {
            Some(guard) => Ok(guard),
            None => self.in_time(Deadline::after(timeout)),
        }
    }

    /// Waits for the lock until `deadline`.
    ///
    /// # Errors
    ///
    /// As [`lock_timeout`](Lock::lock_timeout).
    pub fn lock_deadline(
        &self,
        deadline: Instant,
    ) -> std::result::Result<LockGuard<'_, T>, LockTimeoutError> {
        match self.at_once() {
            Some(guard) => Ok(guard),
            None => self.in_time(Deadline::at(deadline)),
        }
    }

    /// Waits for the lock until a moment, or until another process has ended.
    ///
    /// # Errors
    ///
    /// [`LockTimeoutError::Ended`], and those of [`lock_timeout`](Lock::lock_timeout).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// # multiproc::init();
    /// use multiproc::{Lock, LockTimeoutError, Process, Until};
    ///
    /// fn gives_no_answer(_: Lock<u32>) {}
    ///
    /// let answer = Lock::new(0_u32)?;
    /// let held = answer.lock()?;
    /// let helper = Process::spawn(gives_no_answer, (answer.clone(),))?;
    /// std::thread::scope(|scope| {
    ///     let waiter = scope.spawn(|| {
    ///         let until = Until::forever().or_end_of(&helper);
    ///         answer.lock_until(until).map(drop)
    ///     });
    ///     assert_eq!(waiter.join().unwrap(), Err(LockTimeoutError::Ended));
    /// });
    /// # drop(held);
    /// # helper.join()
    /// # }
    /// ```
    pub fn lock_until(
        &self,
        until: Until<'_>,
    ) -> std::result::Result<LockGuard<'_, T>, LockTimeoutError> {
        match self.at_once() {
            Some(guard) => Ok(guard),
            None => attempt_until(until, |end| self.in_time(end)),
        }
    }

    /// Waits for the lock and takes it even if it is marked.
    ///
    /// If it was marked, it is marked again when the guard is dropped, unless
    /// [`mark_consistent`](LockGuard::mark_consistent) has been called. If it was not, this is [`lock`](Lock::lock).
    ///
    /// # Errors
    ///
    /// [`LockError::Deadlock`], and [`LockError::Invalid`] if the data are no value of their type, which
    /// [`reset`](Lock::reset) mends.
    pub fn recover(&self) -> std::result::Result<LockGuard<'_, T>, LockError> {
        let guard = self.acquire_anyway()?;
        guard.checked().ok_or(LockError::Invalid)
    }

    /// Waits for the lock, takes it even if it is marked, and overwrites the data with `value`. The lock is then no
    /// longer marked.
    ///
    /// # Errors
    ///
    /// [`LockError::Deadlock`].
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let lock = multiproc::Lock::new(3)?;
    /// drop(lock.reset(0)?);
    /// assert_eq!(*lock.lock()?, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn reset(&self, value: T) -> std::result::Result<LockGuard<'_, T>, LockError> {
        let mut guard = self.acquire_anyway()?;
        self.data.put(value);
        guard.mark_consistent();
        Ok(guard)
    }

    /// Makes the lock fair, from now on and for everybody: while anybody sleeps, it goes to who has slept longest.
    ///
    /// Nobody can then be overtaken for ever, and each change of hands costs a wake-up: several microseconds, in which the
    /// lock rests. Without it whoever comes just in time takes the lock first, which is many times as fast when there is
    /// a crowd; the longest wait of four processes on two processors was 8 ms.
    ///
    /// # Errors
    ///
    /// [`Deadlock`](ErrorKind::Deadlock) if the calling thread holds the lock. Waits while others do.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let lock = multiproc::Lock::new(0)?.fair()?;
    /// *lock.lock()? += 1;
    /// # Ok(())
    /// # }
    /// ```
    pub fn fair(self) -> Result<Self> {
        let guard = self.acquire_anyway()?;
        self.raw().make_fair();
        drop(guard);
        Ok(self)
    }

    /// Takes over the lock from a guard that was [leaked](LockGuard::leak), in this process or in another.
    ///
    /// Does not wait: the lock was either left to be adopted or it was not.
    ///
    /// # Errors
    ///
    /// [`AdoptError::NotLeaked`] if the lock is free, or held by a guard; [`AdoptError::OwnerDied`] if the process that
    /// leaked the guard has died since, which marks the lock; [`AdoptError::Invalid`] as for [`lock`](Lock::lock). In each
    /// case nothing is held.
    ///
    /// # Examples
    ///
    /// One process takes the lock, another gives it up:
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// # multiproc::init();
    /// use multiproc::{Lock, Process};
    ///
    /// fn give_up(lock: Lock<u32>) -> multiproc::Result<()> {
    ///     let mut guard = lock.adopt()?;
    ///     *guard += 1;
    ///     Ok(())
    /// }
    ///
    /// let lock = Lock::new(1)?;
    /// lock.lock()?.leak();
    /// assert!(lock.try_lock().is_err());
    /// Process::spawn(give_up, (lock.clone(),))?.join()?;
    /// assert_eq!(*lock.lock()?, 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn adopt(&self) -> std::result::Result<LockGuard<'_, T>, AdoptError> {
        let tenant = self.tenant();
        let guard = match self.raw().adopt(tenant.me(), tenant) {
            Ok(None) => LockGuard::new(self),
            Ok(Some(origin)) => LockGuard::of_marked(self, origin),
            Err(Adoption::NotLeaked) => return Err(AdoptError::NotLeaked),
            Err(Adoption::Marked(owner)) => {
                let pid = self.tenant().pid_of(owner);
                return Err(AdoptError::OwnerDied { pid });
            }
        };
        guard.checked().ok_or(AdoptError::Invalid)
    }

    fn acquire_anyway(&self) -> std::result::Result<LockGuard<'_, T>, LockError> {
        let tenant = self.tenant();
        match self.raw().recover(tenant.me(), tenant, Deadline::NEVER) {
            Ok(None) => Ok(LockGuard::new(self)),
            Ok(Some(origin)) => Ok(LockGuard::of_marked(self, origin)),
            Err(_) => Err(LockError::Deadlock), // marks are taken, and there is no deadline
        }
    }
}

impl<T: Plain> Clone for Lock<T> {
    fn clone(&self) -> Self {
        Lock {
            raw: self.raw,
            data: self.data,
            claimant: self.claimant.clone(),
            home: self.home.clone(),
        }
    }
}

impl<T: Plain> fmt::Debug for Lock<T> {
    /// Says whether the lock is held or marked; never waits for it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.raw().owner() {
            None => "free".to_owned(),
            Some((owner, true)) => format!("marked by process {}", self.tenant().pid_of(owner)),
            Some((owner, false)) => format!("held by process {}", self.tenant().pid_of(owner)),
        };
        f.debug_struct("Lock")
            .field("state", &format_args!("{state}"))
            .finish_non_exhaustive()
    }
}

impl<T: Plain> Handle for Lock<T> {
    fn to_raw(&self) -> RawHandle {
        self.home.to_raw()
    }

    fn attach(raw: &RawHandle) -> Result<Self> {
        Self::on(Small::attach(raw, &form::<T>())?)
    }
}

handle_message!([T: Plain] Lock<T>, "Lock", []);

impl<T: Plain> SharedField for Lock<T> {
    type Init = T;

    fn plan(plan: &mut Plan) {
        plan.noun(&form::<T>());
    }

    fn make(init: &T, maker: &mut Maker<'_>) -> Result<()> {
        maker.noun(&form::<T>(), |segment, place| put(init, segment, place))
    }

    fn open(opener: &mut Opener<'_>) -> Result<Self> {
        Self::on(opener.noun(&form::<T>())?)
    }
}

/// Puts the value of a new lock in place; more than once if a first attempt at a name finds it taken by the dead.
pub(crate) fn put<T: Plain>(value: &T, segment: &Segment, place: u64) -> Result<()> {
    Room::at(segment, place)
        .ok_or_else(outside)?
        .put_bytes(value);
    Ok(())
}

#[cold]
fn outside() -> Error {
    Error::new(
        ErrorKind::Corrupt,
        "the lock's data lie outside of its segment, or unaligned",
    )
}

fn form<T: Plain>() -> Form {
    Form {
        kind: Kind::Lock,
        fingerprint: plain_fingerprint::<T>(),
        type_name: plain_name::<T>(),
        data: Some((size_of::<T>() as u64, align_of::<T>() as u64)),
    }
}
