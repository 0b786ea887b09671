//! [`Condition`]: data behind a lock, and processes that wait for them to change.

mod error;
mod guard;
mod waiter;

use std::fmt;
use std::mem::ManuallyDrop;
use std::time::{Duration, Instant};

use crate::lock::{Lock, LockError, LockGuard, LockTimeoutError, TryLockError, put};
use crate::message::Handle;
use crate::message::{HandlePair, Plain, handle_pair_message, plain_fingerprint, plain_name};
use crate::segment::layout::fingerprint;
use crate::segment::{Kind, Place, Segment};
use crate::sync::{Outcome, Parts, RawCondition, Ticket, WaiterRing, Waiters};
use crate::tenancy::{Form, Maker, Opener, Plan, RawHandle, SharedField, Small, Tenant};
use crate::{Result, Until};
pub use error::{ConditionError, ConditionTimeoutError, RegisterError};
pub use guard::ConditionGuard;
pub use waiter::Waiter;

/// Data behind a lock, and processes that wait for them to change.
///
/// A lock and a condition in one: [`lock`](Condition::lock) gives a [`ConditionGuard`], through which the data are read
/// and written, and which [waits](ConditionGuard::wait_while) for somebody else to change them.
/// [`notify_one`](Condition::notify_one), [`notify`](Condition::notify) and [`notify_all`](Condition::notify_all) let
/// waiters through, those first who have waited for longest. Notifying is allowed with the lock and without it, and waits
/// for nobody. Who changes the data first and notifies then has nobody miss it.
///
/// Several conditions can share one lock: see [`with_lock`](Condition::with_lock). Who waits for other things as well
/// [registers](ConditionGuard::register), and waits with [`wait_any`](crate::wait_any).
///
/// A `Condition` is a handle. Cloning it, sending it in a message or passing it to a process gives another handle on the
/// same lock, the same data and the same waiters.
///
/// # When a process dies
///
/// A waiter that is killed is as one that never came. If it had been notified and had not got the lock yet, the next
/// waiter is notified in its place. A notifier that is killed has notified those whom it had come to.
///
/// The data may be half changed when their holder is killed, or panics with the guard in hand. As with a
/// [`Lock`], the lock is then *marked*, and those who come get [`LockError::OwnerDied`]. Those who wait get
/// [`ConditionError::OwnerDied`], also without a notification, for the dead may be the one who would have notified them;
/// they keep the guard, so that one of them can mend the data and go on, or drop it and leave the lock marked. If somebody
/// else is faster to [`recover`](Condition::recover), that one notifies them.
///
/// Nobody waits for the dead for longer than 100 ms.
///
/// # Waiting and cost
///
/// Lock and unlock cost what they cost with a [`Lock`]. A waiter spins for some microseconds and then sleeps in the
/// kernel; notifying costs two loads if nobody waits, one exchange for each waiter, and a system call for each that sleeps.
/// Up to 1,024 can wait at once. A condition takes about 8 KiB of shared memory and a file descriptor.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// use multiproc::{Condition, Process};
///
/// fn wait(ready: Condition<bool>) -> multiproc::Result<()> {
///     let mut guard = ready.lock()?;
///     guard.wait_while(|ready| !*ready)?;
///     Ok(())
/// }
///
/// let ready = Condition::new(false)?;
/// let waiter = Process::spawn(wait, (ready.clone(),))?;
/// *ready.lock()? = true;
/// ready.notify_all();
/// waiter.join()
/// # }
/// ```
///
/// A process that dies in the middle of a change, and one that waits for it:
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// use multiproc::{Condition, ConditionError, Process};
///
/// fn fill(pair: Condition<[u32; 2]>) {
///     let mut pair = pair.lock().unwrap();
///     pair[0] = 1;
///     std::process::abort(); // before the other half, and before any notification
/// }
///
/// let pair = Condition::new([0, 0])?;
/// let mut guard = pair.lock()?;
/// let filler = Process::spawn(fill, (pair.clone(),))?;
/// assert!(matches!(guard.wait_while(|pair| pair[0] == 0), Err(ConditionError::OwnerDied { .. })));
/// guard[1] = guard[0];
/// guard.mark_consistent();
/// assert_eq!(*guard, [1, 1]);
/// # let _ = filler.join();
/// # Ok(())
/// # }
/// ```
pub struct Condition<T: Plain> {
    lock: Lock<T>,
    raw: Place<RawCondition>,
    ring: Place<WaiterRing>,
    /// Where the waiters are: the lock's own home, unless the lock is one that conditions share.
    home: Small,
}

/// Where the data of a small object begin if they need no more alignment than its words.
const DATA: u64 = 40;

impl<T: Plain> Condition<T> {
    /// A new condition without a name, around `value`.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](crate::ErrorKind::NoSpace) when there is no memory for it.
    pub fn new(value: T) -> Result<Self> {
        let value = ManuallyDrop::new(value);
        Self::alone(Small::anonymous(&form::<T>(), |s, data| {
            init(s, data, &*value)
        })?)
    }

    /// A new condition called `name`, which other programs of the same user can [`open`](Condition::open).
    ///
    /// It exists until its last user is gone, or until it is [removed](Condition::remove).
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
    /// use multiproc::Condition;
    ///
    /// let name = format!("stock-{}", std::process::id());
    /// let stock = Condition::create(&name, 0_u32)?;
    /// *Condition::<u32>::open(&name)?.lock()? += 1;
    /// assert_eq!(*stock.lock()?, 1);
    /// Condition::<u32>::remove(&name)
    /// # }
    /// ```
    pub fn create(name: &str, value: T) -> Result<Self> {
        let value = ManuallyDrop::new(value);
        let small = Small::create(name, &form::<T>(), |s, data| init(s, data, &*value))?;
        Self::alone(small)
    }

    /// The condition called `name`. See [`create`](Condition::create).
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound), [`WrongType`](crate::ErrorKind::WrongType),
    /// [`PermissionDenied`](crate::ErrorKind::PermissionDenied).
    pub fn open(name: &str) -> Result<Self> {
        Self::alone(Small::open(name, &form::<T>())?)
    }

    /// The condition called `name`; if there is none, a new one around `value`.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Condition::open) but `NotFound`, and those of [`create`](Condition::create) but
    /// `AlreadyExists`.
    pub fn open_or_create(name: &str, value: T) -> Result<Self> {
        let value = ManuallyDrop::new(value);
        let init = |s: &Segment, data| init(s, data, &*value);
        Self::alone(Small::open_or_create(name, &form::<T>(), init)?)
    }

    /// Removes the name. Those who have the condition open keep it; the name is free for a new one.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound), [`PermissionDenied`](crate::ErrorKind::PermissionDenied).
    pub fn remove(name: &str) -> Result<()> {
        Small::remove(name)
    }

    /// A new condition without a name for the data behind `lock`, beside others for the same data.
    ///
    /// Each condition has waiters of its own; the lock is the same, taken through any of them or by itself. Recovering it
    /// through one of them notifies the waiters of that one; who has mended the data notifies those of the others.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](crate::ErrorKind::NoSpace) when there is no memory for it.
    ///
    /// # Examples
    ///
    /// A shelf of ten, with those who wait for room apart from those who wait for goods:
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// # multiproc::init();
    /// use multiproc::{Condition, Lock, Process};
    ///
    /// fn fill(room: Condition<u32>, goods: Condition<u32>) -> multiproc::Result<()> {
    ///     for _ in 0..100 {
    ///         let mut shelf = room.lock()?;
    ///         shelf.wait_while(|shelf| *shelf == 10)?;
    ///         *shelf += 1;
    ///         drop(shelf);
    ///         goods.notify_one();
    ///     }
    ///     Ok(())
    /// }
    ///
    /// let shelf = Lock::new(0)?;
    /// let (room, goods) = (Condition::with_lock(&shelf)?, Condition::with_lock(&shelf)?);
    /// let filler = Process::spawn(fill, (room.clone(), goods.clone()))?;
    /// for _ in 0..100 {
    ///     let mut shelf = goods.lock()?;
    ///     shelf.wait_while(|shelf| *shelf == 0)?;
    ///     *shelf -= 1;
    ///     drop(shelf);
    ///     room.notify_one();
    /// }
    /// filler.join()?;
    /// assert_eq!(*shelf.lock()?, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_lock(lock: &Lock<T>) -> Result<Self> {
        let small = Small::anonymous(&form_beside_lock(), |s, data| init(s, data, &()))?;
        Ok(Self::beside(lock.clone(), small))
    }

    /// The condition that has a lock of its own.
    fn alone(small: Small) -> Result<Self> {
        let data = small.place() + parts::<T>().data;
        let lock = Lock::within(small.clone(), data)?;
        Ok(Self::at(lock, small, parts::<T>()))
    }

    /// The condition whose lock is elsewhere.
    fn beside(lock: Lock<T>, small: Small) -> Self {
        Self::at(lock, small, parts::<()>())
    }

    fn at(lock: Lock<T>, home: Small, parts: Parts) -> Self {
        let segment = home.tenant().segment();
        Condition {
            lock,
            raw: Place::new(segment, home.place()),
            ring: Place::new(segment, home.place() + parts.ring),
            home,
        }
    }

    #[inline]
    fn waiters(&self) -> Waiters<'_> {
        self.raw.get().waiters(self.ring.get())
    }

    /// Puts this thread, which holds the lock, at the end of the queue.
    fn enter(&self) -> Option<Ticket> {
        let tenant = self.home.tenant();
        let enter = || self.waiters().enter(tenant.me());
        enter().or_else(|| {
            tenant.sweep(); // some of them may be dead
            enter()
        })
    }

    fn wait(&self, ticket: Ticket, until: Until<'_>) -> Outcome {
        let peers: &Tenant = self.home.tenant();
        self.waiters()
            .wait(ticket, until, peers, &|| self.lock.is_orphaned())
    }

    /// Waits for the lock and takes it.
    ///
    /// # Errors
    ///
    /// [`LockError::OwnerDied`] if the lock is marked, [`LockError::Deadlock`] if the calling thread holds it already,
    /// [`LockError::Invalid`] if the data are no value of their type. In each case nothing is held.
    #[inline]
    pub fn lock(&self) -> std::result::Result<ConditionGuard<'_, T>, LockError> {
        Ok(ConditionGuard::new(self, self.lock.lock()?))
    }

    /// Takes the lock if it is free.
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`] if somebody holds it, the calling thread included; the others as for
    /// [`lock`](Condition::lock).
    #[inline]
    pub fn try_lock(&self) -> std::result::Result<ConditionGuard<'_, T>, TryLockError> {
        Ok(ConditionGuard::new(self, self.lock.try_lock()?))
    }

    /// Waits for the lock for as long as `timeout`.
    ///
    /// # Errors
    ///
    /// [`LockTimeoutError::Timeout`] if somebody still holds it then; the others as for [`lock`](Condition::lock).
    pub fn lock_timeout(
        &self,
        timeout: Duration,
    ) -> std::result::Result<ConditionGuard<'_, T>, LockTimeoutError> {
        Ok(ConditionGuard::new(self, self.lock.lock_timeout(timeout)?))
    }

    /// Waits for the lock until `deadline`.
    ///
    /// # Errors
    ///
    /// As [`lock_timeout`](Condition::lock_timeout).
    pub fn lock_deadline(
        &self,
        deadline: Instant,
    ) -> std::result::Result<ConditionGuard<'_, T>, LockTimeoutError> {
        Ok(ConditionGuard::new(
            self,
            self.lock.lock_deadline(deadline)?,
        ))
    }

    /// Waits for the lock until a moment, or until another process has ended.
    ///
    /// # Errors
    ///
    /// [`LockTimeoutError::Ended`], and those of [`lock_timeout`](Condition::lock_timeout).
    pub fn lock_until(
        &self,
        until: Until<'_>,
    ) -> std::result::Result<ConditionGuard<'_, T>, LockTimeoutError> {
        Ok(ConditionGuard::new(self, self.lock.lock_until(until)?))
    }

    /// Waits for the lock and takes it even if it is marked; see [`Lock::recover`].
    ///
    /// If it was marked everybody is notified who waits, for the dead may have changed the data and not come to say so.
    /// They come when the guard is dropped, and look again.
    ///
    /// # Errors
    ///
    /// Those of [`Lock::recover`].
    pub fn recover(&self) -> std::result::Result<ConditionGuard<'_, T>, LockError> {
        let held = self.lock.recover()?;
        self.tell_of_mark(&held);
        Ok(ConditionGuard::new(self, held))
    }

    /// A marked lock was just taken: who is about to mend the data leaves nobody asleep who would have to hear of it.
    fn tell_of_mark(&self, held: &LockGuard<'_, T>) {
        if held.is_marked() {
            self.notify_all();
        }
    }

    /// Waits for the lock, takes it even if it is marked, and overwrites the data with `value`. The lock is then no
    /// longer marked. Everybody is notified who waits.
    ///
    /// # Errors
    ///
    /// [`LockError::Deadlock`].
    pub fn reset(&self, value: T) -> std::result::Result<ConditionGuard<'_, T>, LockError> {
        let held = self.lock.reset(value)?;
        self.notify_all();
        Ok(ConditionGuard::new(self, held))
    }

    /// Lets the one through who has waited for longest; returns whether anybody waited.
    #[inline]
    #[doc(alias = "signal")]
    pub fn notify_one(&self) -> bool {
        self.notify(1) == 1
    }

    /// Lets those `most` through who have waited for longest; returns how many it were, which may be less.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let ready = multiproc::Condition::new(())?;
    /// assert_eq!(ready.notify(3), 0); // nobody waits, and nobody will who comes later
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn notify(&self, most: u32) -> u32 {
        let peers: &Tenant = self.home.tenant();
        self.waiters().notify(most, peers)
    }

    /// Lets everybody through who waits; returns how many it were.
    #[inline]
    #[doc(alias = "broadcast")]
    pub fn notify_all(&self) -> u32 {
        self.notify(u32::MAX)
    }
}

impl<T: Plain> Clone for Condition<T> {
    fn clone(&self) -> Self {
        Condition {
            lock: self.lock.clone(),
            raw: self.raw.clone(),
            ring: self.ring.clone(),
            home: self.home.clone(),
        }
    }
}

impl<T: Plain> fmt::Debug for Condition<T> {
    /// Says whether the lock is held or marked; never waits for it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condition")
            .field("lock", &self.lock)
            .finish_non_exhaustive()
    }
}

/// The lock and the waiters; twice the same where they are one object.
impl<T: Plain> HandlePair for Condition<T> {
    fn to_raw(&self) -> [RawHandle; 2] {
        [self.lock.to_raw(), self.home.to_raw()]
    }

    fn attach([lock, waiters]: [RawHandle; 2]) -> Result<Self> {
        if lock == waiters {
            return Self::alone(Small::attach(&waiters, &form::<T>())?);
        }
        let lock = Lock::attach(&lock)?;
        let small = Small::attach(&waiters, &form_beside_lock())?;
        Ok(Self::beside(lock, small))
    }
}

handle_pair_message!([T: Plain] Condition<T>, "Condition", []);

impl<T: Plain> SharedField for Condition<T> {
    type Init = T;

    fn plan(plan: &mut Plan) {
        plan.noun(&form::<T>());
    }

    fn make(value: &T, maker: &mut Maker<'_>) -> Result<()> {
        maker.noun(&form::<T>(), |segment, data| init(segment, data, value))
    }

    fn open(opener: &mut Opener<'_>) -> Result<Self> {
        Self::alone(opener.noun(&form::<T>())?)
    }
}

fn parts<T: Plain>() -> Parts {
    RawCondition::parts(size_of::<T>() as u64, align_of::<T>() as u64)
}

fn init<T: Plain>(segment: &Segment, data: u64, value: &T) -> Result<()> {
    let place = data - DATA;
    put(value, segment, place + parts::<T>().data)?;
    RawCondition::init(segment, place, parts::<T>());
    Ok(())
}

fn form<T: Plain>() -> Form {
    Form {
        kind: Kind::Condition,
        fingerprint: plain_fingerprint::<T>(),
        type_name: plain_name::<T>(),
        data: Some((parts::<T>().end - DATA, align_of::<u64>() as u64)),
    }
}

fn form_beside_lock() -> Form {
    Form {
        fingerprint: fingerprint(b"Condition of a Lock"),
        type_name: "a lock elsewhere".to_owned(),
        ..form::<()>()
    }
}
