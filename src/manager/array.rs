//! [`Array`]: so many numbers in a manager, changed one by one without a lock, or many at once with one.

mod element;
mod guard;

pub use self::element::{Element, OutOfRange};
pub use self::guard::ArrayGuard;
use super::Manager;
use super::core::Core;
use super::directory::{Form, Sort};
use super::named::Named;
use crate::heap::Fresh;
use crate::lock::attempt_until;
use crate::message::{Handle, handle_message};
use crate::segment::layout::fingerprint;
use crate::sync::{Claimant, RawLock};
use crate::sys::clock::Deadline;
use crate::sys::step::step;
use crate::tenancy::{RawHandle, Tenant};
use crate::{Error, ErrorKind, LockError, LockTimeoutError, Result, Scalar, TryLockError, Until};
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// So many numbers in a [`Manager`](crate::Manager), each of which is its own atomic; with a lock for who changes many of them
/// together.
///
/// [`at`](Array::at) leads to one of them, with the operations of a [`Value`](crate::Value): they take no lock and never wait.
/// [`lock`](Array::lock) gives an [`ArrayGuard`], which reads and writes ranges while nobody else holds a guard. The lock keeps
/// nobody from the single numbers: who looks at them without it may see a part of what a guard is writing, number by number.
///
/// Its length is fixed when it is made. An `Array` is a handle. Cloning it, sending it in a message or passing it to a process
/// gives another handle on the same numbers.
///
/// # When a process dies
///
/// Operations on single numbers have happened or not. When a holder of the lock dies, or panics with the guard in hand, the
/// lock is *marked*, as that of a [`Lock`](crate::Lock) is: [`lock`](Array::lock) says [`LockError::OwnerDied`] and holds
/// nothing, [`recover`](Array::recover) takes it all the same, and [`ArrayGuard::mark_consistent`] clears the mark.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// use multiproc::{Array, Manager, Process};
///
/// fn count(histogram: Array<u64>) -> multiproc::Result<()> {
///     for value in [0, 1, 1, 3] {
///         histogram.at(value)?.fetch_add(1);
///     }
///     Ok(())
/// }
///
/// let manager = Manager::new()?;
/// let histogram = manager.array("histogram", 4, 0_u64)?;
/// let workers = [(); 2].map(|()| Process::spawn(count, (histogram.clone(),)));
/// for worker in workers {
///     worker?.join()?;
/// }
/// let mut all = histogram.lock()?;
/// assert_eq!(all.read(..)?, [2, 4, 0, 2]);
/// all.fill(.., 0)?;
/// assert!(histogram.at(4).is_err());
/// # Ok(())
/// # }
/// ```
pub struct Array<T: Scalar> {
    core: Arc<Core>,
    index: u32,
    first: NonNull<T::Cell>,
    len: usize,
    lock: NonNull<RawLock>,
    /// This process in the manager.
    claimant: Claimant,
}

// SAFETY: the numbers and the lock are atomics, mapped for as long as `core` lives, which every handle keeps.
unsafe impl<T: Scalar> Send for Array<T> {}
// SAFETY: as above; atomics are for sharing.
unsafe impl<T: Scalar> Sync for Array<T> {}

fn form<T: Scalar>() -> Form {
    Form {
        sort: Sort::Array,
        fingerprint: fingerprint(T::NAME.as_bytes()),
    }
}

impl Manager {
    /// The array called `name`; if there is none, a new one of `len` numbers that begin as `first`.
    ///
    /// One that is there already has the length with which it was made. The numbers take one piece of the manager's memory,
    /// a gibibyte at most.
    ///
    /// # Errors
    ///
    /// Those of [`cell`](Manager::cell).
    pub fn array<T: Scalar>(&self, name: &str, len: usize, first: T) -> Result<Array<T>> {
        self.array_by(name, len, |_| first)
    }

    /// The array called `name`; if there is none, a new one with these numbers.
    ///
    /// # Errors
    ///
    /// Those of [`cell`](Manager::cell).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let manager = multiproc::Manager::new()?;
    /// let weights = manager.array_of("weights", &[0.5, 0.25])?;
    /// assert_eq!((weights.len(), weights.at(1)?.load()), (2, 0.25));
    /// # Ok(())
    /// # }
    /// ```
    pub fn array_of<T: Scalar>(&self, name: &str, numbers: &[T]) -> Result<Array<T>> {
        self.array_by(name, numbers.len(), |at| numbers[at])
    }

    fn array_by<T: Scalar>(
        &self,
        name: &str,
        len: usize,
        first: impl Fn(usize) -> T,
    ) -> Result<Array<T>> {
        let init = |place| Array::init(&self.core, place, len, first);
        let index = self.core.find_or_make(name, form::<T>(), init)?;
        Array::at_row(Arc::clone(&self.core), index)
    }
}

impl<T: Scalar> Named for Array<T> {
    fn find_in(manager: &Manager, name: &str) -> Result<Self> {
        let index = manager.core.find(name, form::<T>())?;
        Array::at_row(Arc::clone(&manager.core), index)
    }
}

const fn size<T: Scalar>() -> usize {
    size_of::<T::Cell>()
}

impl<T: Scalar> Array<T> {
    /// Has the cell of a row that nobody else sees yet lead to the first numbers.
    fn init(core: &Core, place: u64, len: usize, first: impl Fn(usize) -> T) -> Result<()> {
        let me = core.me()?;
        let bytes = len.saturating_mul(size::<T>());
        let fresh = core.alloc(me, bytes)?;
        step("array.numbers");
        let cells = cells::<T>(fresh);
        for at in 0..len {
            // SAFETY: the block has room for `len` of them, is aligned to 16, stays mapped, and is ours alone.
            T::put(unsafe { cells.add(at).as_ref() }, first(at)); // published by the row's sort
        }
        core.begin(me, place, (fresh, bytes)).ok_or_else(damaged)
    }

    /// The array in that row of the directory.
    fn at_row(core: Arc<Core>, index: u32) -> Result<Self> {
        let place = core.heap.room().object_row(index)?;
        let home = core.heap.home_at(place).ok_or_else(damaged)?;
        let block = core.heap.current(home).ok_or_else(damaged)?;
        let bytes = core.heap.bytes(block).ok_or_else(damaged)?;
        Ok(Array {
            first: bytes.cast::<T::Cell>(),
            len: bytes.len() / size::<T>(),
            lock: NonNull::from(core.lock_of(index)?.get()),
            claimant: Claimant::new(core.me()?, &*core.tenant),
            core,
            index,
        })
    }

    /// How many numbers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number at `index`, to be read and changed without a lock.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`].
    #[inline]
    pub fn at(&self, index: usize) -> std::result::Result<Element<'_, T>, OutOfRange> {
        match index < self.len {
            true => Ok(Element::new(self.cell(index))),
            false => Err(OutOfRange::new(index..index.saturating_add(1), self.len)),
        }
    }

    /// The number at `index`, which is less than the length.
    #[inline]
    fn cell(&self, index: usize) -> &T::Cell {
        debug_assert!(index < self.len);
        // SAFETY: the block has `len` of them, aligned, mapped for as long as `core` lives, and no cell leads away from it.
        unsafe { self.first.add(index).as_ref() }
    }

    #[inline]
    fn raw(&self) -> &RawLock {
        // SAFETY: it lies in a row of the directory, which `core` keeps mapped, and is a Layout.
        unsafe { self.lock.as_ref() }
    }

    fn tenant(&self) -> &Tenant {
        &self.core.tenant
    }

    fn at_once(&self) -> Option<ArrayGuard<'_, T>> {
        let claimed = self.raw().claim(&self.claimant);
        claimed.then(|| ArrayGuard::new(self, None))
    }

    /// The lock, whatever it takes.
    #[cold]
    fn in_time(
        &self,
        deadline: Deadline,
    ) -> std::result::Result<ArrayGuard<'_, T>, LockTimeoutError> {
        let tenant = self.tenant();
        self.claimant.renew(tenant.me(), tenant);
        match self.raw().lock(tenant.me(), tenant, deadline) {
            Ok(()) => Ok(ArrayGuard::new(self, None)),
            Err(why) => Err(LockTimeoutError::of(why, tenant)),
        }
    }

    /// Waits for the lock and takes it. See [`Lock`](crate::Lock#waiting-and-cost) for how it waits.
    ///
    /// # Errors
    ///
    /// [`LockError::OwnerDied`] if the lock is marked, [`LockError::Deadlock`] if the calling thread holds it already. In both
    /// cases nothing is held.
    #[inline]
    pub fn lock(&self) -> std::result::Result<ArrayGuard<'_, T>, LockError> {
        match self.at_once() {
            Some(guard) => Ok(guard),
            None => self.in_turn(),
        }
    }

    #[cold]
    fn in_turn(&self) -> std::result::Result<ArrayGuard<'_, T>, LockError> {
        let taken = self.in_time(Deadline::NEVER);
        taken.map_err(LockTimeoutError::in_no_time)
    }

    /// Takes the lock if it is free.
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`] if somebody holds it, the calling thread included; [`TryLockError::OwnerDied`].
    pub fn try_lock(&self) -> std::result::Result<ArrayGuard<'_, T>, TryLockError> {
        if let Some(guard) = self.at_once() {
            return Ok(guard);
        }
        self.in_time(Deadline::NOW)
            .map_err(LockTimeoutError::at_once)
    }

    /// Waits for the lock for as long as `timeout`.
    ///
    /// # Errors
    ///
    /// [`LockTimeoutError::Timeout`] if somebody still holds it then; the others as for [`lock`](Array::lock).
    pub fn lock_timeout(
        &self,
        timeout: Duration,
    ) -> std::result::Result<ArrayGuard<'_, T>, LockTimeoutError> {
        match self.at_once() {
            Some(guard) => Ok(guard),
            None => self.in_time(Deadline::after(timeout)),
        }
    }

    /// Waits for the lock until `deadline`.
    ///
    /// # Errors
    ///
    /// As [`lock_timeout`](Array::lock_timeout).
    pub fn lock_deadline(
        &self,
        deadline: Instant,
    ) -> std::result::Result<ArrayGuard<'_, T>, LockTimeoutError> {
        match self.at_once() {
            Some(guard) => Ok(guard),
            None => self.in_time(Deadline::at(deadline)),
        }
    }

    /// Waits for the lock until a moment, or until another process has ended.
    ///
    /// # Errors
    ///
    /// [`LockTimeoutError::Ended`], and those of [`lock_timeout`](Array::lock_timeout).
    pub fn lock_until(
        &self,
        until: Until<'_>,
    ) -> std::result::Result<ArrayGuard<'_, T>, LockTimeoutError> {
        match self.at_once() {
            Some(guard) => Ok(guard),
            None => attempt_until(until, |end| self.in_time(end)),
        }
    }

    /// Waits for the lock and takes it even if it is marked.
    ///
    /// If it was marked, it is marked again when the guard is dropped, unless
    /// [`mark_consistent`](ArrayGuard::mark_consistent) has been called. If it was not, this is [`lock`](Array::lock).
    ///
    /// # Errors
    ///
    /// [`LockError::Deadlock`].
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{LockError, Manager};
    ///
    /// let halves = Manager::new()?.array("halves", 2, 5)?;
    /// let other = halves.clone();
    /// let torn = std::thread::spawn(move || {
    ///     let mut guard = other.lock().unwrap();
    ///     guard.write(0, &[9]).unwrap();
    ///     panic!("before the second half");
    /// });
    /// assert!(torn.join().is_err());
    ///
    /// assert!(matches!(halves.lock(), Err(LockError::OwnerDied { .. })));
    /// let mut mended = halves.recover()?;
    /// mended.write(1, &[1])?;
    /// mended.mark_consistent();
    /// drop(mended);
    /// assert_eq!(halves.lock()?.read(..)?, [9, 1]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn recover(&self) -> std::result::Result<ArrayGuard<'_, T>, LockError> {
        let tenant = self.tenant();
        match self.raw().recover(tenant.me(), tenant, Deadline::NEVER) {
            Ok(origin) => Ok(ArrayGuard::new(self, origin)),
            Err(_) => Err(LockError::Deadlock), // marks are taken, and there is no deadline
        }
    }
}

fn cells<T: Scalar>(fresh: Fresh) -> NonNull<T::Cell> {
    fresh.room.cast::<T::Cell>()
}

impl<T: Scalar> Clone for Array<T> {
    fn clone(&self) -> Self {
        Array {
            core: Arc::clone(&self.core),
            index: self.index,
            first: self.first,
            len: self.len,
            lock: self.lock,
            claimant: self.claimant.clone(),
        }
    }
}

impl<T: Scalar> fmt::Debug for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (len, segment) = (self.len, self.core.tenant.segment());
        write!(f, "Array<{}>({len} in {segment:?})", T::NAME)
    }
}

impl<T: Scalar> Handle for Array<T> {
    fn to_raw(&self) -> RawHandle {
        self.core.handle(self.index)
    }

    fn attach(raw: &RawHandle) -> Result<Self> {
        let (core, index) = Core::attach(raw, form::<T>())?;
        Array::at_row(core, index)
    }
}

handle_message!([T: Scalar] Array<T>, "Array", []);

#[cold]
fn damaged() -> Error {
    let text = "an array leads nowhere: the manager is damaged";
    Error::new(ErrorKind::Corrupt, text)
}
