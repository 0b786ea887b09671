//! [`ReentrantLock`]: a lock that the thread which holds it may take again.

mod guard;

use std::fmt;
use std::mem::{ManuallyDrop, forget};
use std::time::{Duration, Instant};

use crate::lock::{Lock, LockError, LockGuard, LockTimeoutError, TryLockError, put};
use crate::message::{Handle, Plain, handle_message, plain_fingerprint, plain_name};
use crate::segment::{Kind, Place, Segment};
use crate::sync::{Damage, RawHold};
use crate::tenancy::{Form, Maker, Opener, Plan, RawHandle, SharedField, Small};
use crate::{Result, Until};
pub use guard::ReentrantGuard;

/// A lock with data that the thread which holds it may take again, as often as it likes.
///
/// Each [`lock`](ReentrantLock::lock) gives a [`ReentrantGuard`]; the lock is given up when the last of them is dropped. A
/// function can so take the lock for itself, whether its caller holds it or not. As a thread may have several guards, they
/// read and write the data as a whole; where that is not needed, [`Lock`] gives references and costs less.
///
/// A `ReentrantLock` is a handle. Cloning it, sending it in a message or passing it to a process gives another handle on the
/// same lock and the same data. The owner is the thread, not the handle.
///
/// # When a holder dies
///
/// As with a [`Lock`]: however many guards it had, the lock is *marked*, and those who come get
/// [`LockError::OwnerDied`], until one of them has called [`recover`](ReentrantLock::recover), mended the data and called
/// [`mark_consistent`](ReentrantGuard::mark_consistent); or [`reset`](ReentrantLock::reset). The depth begins again at one.
///
/// # Waiting and cost
///
/// As with a [`Lock`], and a look at whether the thread holds it already. Taking it once more costs a load and a store.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// use multiproc::{Process, ReentrantLock};
///
/// fn deposit(account: &ReentrantLock<i64>, amount: i64) -> multiproc::Result<()> {
///     let account = account.lock()?;
///     account.set(account.get() + amount);
///     Ok(())
/// }
///
/// fn deposit_twice(account: ReentrantLock<i64>) -> multiproc::Result<()> {
///     let both = account.lock()?; // nobody sees one of the two
///     deposit(&account, 10)?;
///     deposit(&account, 10)?;
///     assert_eq!(both.depth(), 1);
///     Ok(())
/// }
///
/// let account = ReentrantLock::new(100)?;
/// Process::spawn(deposit_twice, (account.clone(),))?.join()?;
/// assert_eq!(account.lock()?.get(), 120);
/// # Ok(())
/// # }
/// ```
pub struct ReentrantLock<T: Plain> {
    lock: Lock<T>,
    hold: Place<RawHold>,
}

impl<T: Plain> ReentrantLock<T> {
    /// A new lock without a name, around `value`.
    ///
    /// It takes 56 bytes and the value's, rounded up to a power of two, in an arena that all unnamed objects of the process
    /// share; more than 4 KiB take a file descriptor of their own.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](crate::ErrorKind::NoSpace) when there is no memory for it.
    pub fn new(value: T) -> Result<Self> {
        let value = ManuallyDrop::new(value);
        let init = |s: &Segment, place| init(s, place, &*value);
        Self::on(Small::anonymous(&form::<T>(), init)?)
    }

    /// A new lock called `name`, which other programs of the same user can [`open`](ReentrantLock::open).
    ///
    /// It exists until its last user is gone, or until it is [removed](ReentrantLock::remove).
    ///
    /// # Errors
    ///
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists), [`InvalidInput`](crate::ErrorKind::InvalidInput) for a name
    /// that cannot be one, [`NoSpace`](crate::ErrorKind::NoSpace).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::ReentrantLock;
    ///
    /// let name = format!("tally-{}", std::process::id());
    /// let tally = ReentrantLock::create(&name, 1_u32)?;
    /// ReentrantLock::<u32>::open(&name)?.lock()?.update(|tally| *tally += 1);
    /// assert_eq!(tally.lock()?.get(), 2);
    /// ReentrantLock::<u32>::remove(&name)
    /// # }
    /// ```
    pub fn create(name: &str, value: T) -> Result<Self> {
        let value = ManuallyDrop::new(value);
        let init = |s: &Segment, place| init(s, place, &*value);
        Self::on(Small::create(name, &form::<T>(), init)?)
    }

    /// The lock called `name`. See [`create`](ReentrantLock::create).
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound), [`WrongType`](crate::ErrorKind::WrongType),
    /// [`PermissionDenied`](crate::ErrorKind::PermissionDenied).
    pub fn open(name: &str) -> Result<Self> {
        Self::on(Small::open(name, &form::<T>())?)
    }

    /// The lock called `name`; if there is none, a new one around `value`.
    ///
    /// # Errors
    ///
    /// Those of [`open`](ReentrantLock::open) but `NotFound`, and those of [`create`](ReentrantLock::create) but
    /// `AlreadyExists`.
    pub fn open_or_create(name: &str, value: T) -> Result<Self> {
        let value = ManuallyDrop::new(value);
        let init = |s: &Segment, place| init(s, place, &*value);
        Self::on(Small::open_or_create(name, &form::<T>(), init)?)
    }

    /// Removes the name. Those who have the lock open keep it; the name is free for a new one.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound), [`PermissionDenied`](crate::ErrorKind::PermissionDenied).
    pub fn remove(name: &str) -> Result<()> {
        Small::remove(name)
    }

    fn on(small: Small) -> Result<Self> {
        let hold = small.data();
        Ok(ReentrantLock {
            hold: Place::new(small.tenant().segment(), hold),
            lock: Lock::within(small, hold + before_data::<T>())?,
        })
    }

    /// The first guard of the thread, if nothing is out of the ordinary; [`is_mine`](Self::is_mine) must follow if not.
    #[inline]
    fn at_once(&self) -> Option<ReentrantGuard<'_, T>> {
        let taken = self.lock.at_once()?; // unmarked, and given up so: there is nothing to note
        Some(self.first(taken))
    }

    /// Whether the calling thread holds the lock that it could not take at once.
    #[cold]
    fn is_mine(&self) -> bool {
        self.lock.bare().turns_out_mine()
    }

    /// The first guard of a thread, whatever the lock was.
    fn begin(&self, taken: LockGuard<'_, T>) -> ReentrantGuard<'_, T> {
        self.hold.get().begin(taken.marked_by());
        self.first(taken)
    }

    #[inline]
    fn first(&self, taken: LockGuard<'_, T>) -> ReentrantGuard<'_, T> {
        let unwinding = taken.is_of_unwinding();
        forget(taken); // the guards together are what it was
        ReentrantGuard::dropped_by(self, unwinding)
    }

    /// One more guard of the thread that holds the lock, if the data are whole.
    fn again(&self) -> std::result::Result<ReentrantGuard<'_, T>, LockError> {
        match self.hold.get().damage() {
            None => self.again_anyway(),
            Some(Damage::Torn) => Err(LockError::OwnerDied {
                pid: std::process::id(),
            }),
            Some(Damage::Marked(origin)) => Err(LockError::OwnerDied {
                pid: self.lock.pid(origin),
            }),
        }
    }

    fn again_anyway(&self) -> std::result::Result<ReentrantGuard<'_, T>, LockError> {
        match self.hold.get().deepen() {
            true => Ok(ReentrantGuard::new(self)),
            false => Err(LockError::Deadlock),
        }
    }

    fn again_in_time(&self) -> std::result::Result<ReentrantGuard<'_, T>, LockTimeoutError> {
        self.again().map_err(|why| match why {
            LockError::OwnerDied { pid } => LockTimeoutError::OwnerDied { pid },
            LockError::Deadlock => LockTimeoutError::Deadlock,
            LockError::Invalid => LockTimeoutError::Invalid,
        })
    }

    /// Waits for the lock and takes it; at once if the calling thread holds it.
    ///
    /// # Errors
    ///
    /// [`LockError::OwnerDied`] if the lock is marked, also where the calling thread holds it by
    /// [`recover`](ReentrantLock::recover) or has panicked with it, and has not called
    /// [`mark_consistent`](ReentrantGuard::mark_consistent) yet. [`LockError::Invalid`] if the data are no value of their
    /// type. [`LockError::Deadlock`] if the thread has 2³² - 1 guards already, all it can have. In each case nothing has
    /// changed.
    #[inline]
    pub fn lock(&self) -> std::result::Result<ReentrantGuard<'_, T>, LockError> {
        match self.at_once() {
            Some(guard) => Ok(guard),
            None => self.in_turn(),
        }
    }

    #[cold]
    fn in_turn(&self) -> std::result::Result<ReentrantGuard<'_, T>, LockError> {
        if self.is_mine() {
            return self.again();
        }
        Ok(self.begin(self.lock.lock()?))
    }

    /// Takes the lock if it is free, or the calling thread's.
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`] if another thread holds it, or the calling one as often as it can; the others as for
    /// [`lock`](ReentrantLock::lock).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let lock = multiproc::ReentrantLock::new(())?;
    /// let guard = lock.try_lock()?;
    /// assert_eq!(lock.try_lock()?.depth(), 2);
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| assert!(lock.try_lock().is_err()));
    /// });
    /// # drop(guard);
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn try_lock(&self) -> std::result::Result<ReentrantGuard<'_, T>, TryLockError> {
        match self.at_once() {
            Some(guard) => Ok(guard),
            None => self.now_or_never(),
        }
    }

    #[cold]
    fn now_or_never(&self) -> std::result::Result<ReentrantGuard<'_, T>, TryLockError> {
        if self.is_mine() {
            return self.again().map_err(|why| match why {
                LockError::OwnerDied { pid } => TryLockError::OwnerDied { pid },
                LockError::Deadlock => TryLockError::WouldBlock,
                LockError::Invalid => TryLockError::Invalid,
            });
        }
        Ok(self.begin(self.lock.try_lock()?))
    }

    /// Waits for the lock for as long as `timeout`; takes it at once if the calling thread holds it.
    ///
    /// # Errors
    ///
    /// [`LockTimeoutError::Timeout`] if another thread still holds it then; the others as for
    /// [`lock`](ReentrantLock::lock).
    pub fn lock_timeout(
        &self,
        timeout: Duration,
    ) -> std::result::Result<ReentrantGuard<'_, T>, LockTimeoutError> {
        if let Some(guard) = self.at_once() {
            return Ok(guard);
        }
        if self.is_mine() {
            return self.again_in_time();
        }
        Ok(self.begin(self.lock.lock_timeout(timeout)?))
    }

    /// Waits for the lock until `deadline`; takes it at once if the calling thread holds it.
    ///
    /// # Errors
    ///
    /// As [`lock_timeout`](ReentrantLock::lock_timeout).
    pub fn lock_deadline(
        &self,
        deadline: Instant,
    ) -> std::result::Result<ReentrantGuard<'_, T>, LockTimeoutError> {
        if let Some(guard) = self.at_once() {
            return Ok(guard);
        }
        if self.is_mine() {
            return self.again_in_time();
        }
        Ok(self.begin(self.lock.lock_deadline(deadline)?))
    }

    /// Waits for the lock until a moment, or until another process has ended; takes it at once if the calling thread holds
    /// it.
    ///
    /// # Errors
    ///
    /// [`LockTimeoutError::Ended`], and those of [`lock_timeout`](ReentrantLock::lock_timeout).
    pub fn lock_until(
        &self,
        until: Until<'_>,
    ) -> std::result::Result<ReentrantGuard<'_, T>, LockTimeoutError> {
        if let Some(guard) = self.at_once() {
            return Ok(guard);
        }
        if self.is_mine() {
            return self.again_in_time();
        }
        Ok(self.begin(self.lock.lock_until(until)?))
    }

    /// Waits for the lock and takes it even if it is marked.
    ///
    /// If it was marked, it is marked again when the last guard is dropped, unless one of them has
    /// [declared the data whole](ReentrantGuard::mark_consistent). If it was not, this is [`lock`](ReentrantLock::lock).
    ///
    /// # Errors
    ///
    /// [`LockError::Invalid`] if the data are no value of their type, which [`reset`](ReentrantLock::reset) mends;
    /// [`LockError::Deadlock`] as for [`lock`](ReentrantLock::lock).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{LockError, ReentrantLock};
    ///
    /// let lock = ReentrantLock::new(0)?;
    /// let other = lock.clone();
    /// let torn = std::thread::spawn(move || {
    ///     let (_outer, inner) = (other.lock().unwrap(), other.lock().unwrap());
    ///     inner.set(1);
    ///     panic!("with both guards in hand");
    /// });
    /// assert!(torn.join().is_err());
    ///
    /// assert!(matches!(lock.lock(), Err(LockError::OwnerDied { .. })));
    /// let guard = lock.recover()?;
    /// assert_eq!((guard.depth(), guard.get()), (1, 1));
    /// guard.mark_consistent();
    /// drop(guard);
    /// assert!(lock.lock().is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn recover(&self) -> std::result::Result<ReentrantGuard<'_, T>, LockError> {
        if let Some(guard) = self.at_once() {
            return Ok(guard);
        }
        if self.is_mine() {
            return self.again_anyway();
        }
        Ok(self.begin(self.lock.recover()?))
    }

    /// Waits for the lock, takes it even if it is marked, and overwrites the data with `value`. They are then declared
    /// whole.
    ///
    /// # Errors
    ///
    /// [`LockError::Deadlock`] as for [`lock`](ReentrantLock::lock).
    pub fn reset(&self, value: T) -> std::result::Result<ReentrantGuard<'_, T>, LockError> {
        let mine = match self.at_once() {
            Some(guard) => Some(guard),
            None if self.is_mine() => Some(self.again_anyway()?),
            None => None,
        };
        let Some(guard) = mine else {
            return Ok(self.begin(self.lock.reset(value)?));
        };
        guard.set(value);
        guard.mark_consistent();
        Ok(guard)
    }
}

impl<T: Plain> Clone for ReentrantLock<T> {
    fn clone(&self) -> Self {
        ReentrantLock {
            lock: self.lock.clone(),
            hold: self.hold.clone(),
        }
    }
}

impl<T: Plain> fmt::Debug for ReentrantLock<T> {
    /// Says whether the lock is held or marked; never waits for it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReentrantLock")
            .field("lock", &self.lock)
            .finish_non_exhaustive()
    }
}

impl<T: Plain> Handle for ReentrantLock<T> {
    fn to_raw(&self) -> RawHandle {
        self.lock.to_raw()
    }

    fn attach(raw: &RawHandle) -> Result<Self> {
        Self::on(Small::attach(raw, &form::<T>())?)
    }
}

handle_message!([T: Plain] ReentrantLock<T>, "ReentrantLock", []);

impl<T: Plain> SharedField for ReentrantLock<T> {
    type Init = T;

    fn plan(plan: &mut Plan) {
        plan.noun(&form::<T>());
    }

    fn make(value: &T, maker: &mut Maker<'_>) -> Result<()> {
        maker.noun(&form::<T>(), |segment, place| init(segment, place, value))
    }

    fn open(opener: &mut Opener<'_>) -> Result<Self> {
        Self::on(opener.noun(&form::<T>())?)
    }
}

/// How far the data are behind the holder's notes.
const fn before_data<T: Plain>() -> u64 {
    size_of::<RawHold>().next_multiple_of(align_of::<T>()) as u64
}

fn init<T: Plain>(segment: &Segment, place: u64, value: &T) -> Result<()> {
    put(value, segment, place + before_data::<T>())
}

fn form<T: Plain>() -> Form {
    let align = align_of::<T>().max(align_of::<RawHold>()) as u64;
    Form {
        kind: Kind::ReentrantLock,
        fingerprint: plain_fingerprint::<T>(),
        type_name: plain_name::<T>(),
        data: Some((before_data::<T>() + size_of::<T>() as u64, align)),
    }
}
