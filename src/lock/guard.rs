//! [`LockGuard`]: the right to the data of a lock.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::thread::panicking;

use super::Lock;
use crate::message::{Plain, Room};
use crate::sync::{Owner, RawLock};

/// The right to the data of a [`Lock`], for as long as it is kept.
///
/// Dropping it gives the lock up. Dropping it in a panic marks the lock, as the holder's death does. It stays in its
/// thread.
#[must_use = "a guard that is dropped at once gives the lock up at once"]
pub struct LockGuard<'a, T: Plain> {
    /// Lock and data by themselves, so that nothing is looked up in the handle once the lock is held.
    raw: &'a RawLock,
    data: Room<T>,
    note: Note,
    stays: PhantomData<*const ()>,
}

/// What a guard has to remember until it is dropped; one word, so that a guard travels in registers.
///
/// | bits | meaning |
/// |---|---|
/// | 33 | the thread was panicking already: what it drops while unwinding is not torn by that panic |
/// | 32 | the lock was marked, and the data are not declared whole yet |
/// | 31..0 | who held it last, if bit 32 is set |
#[derive(Clone, Copy, PartialEq, Eq)]
struct Note(u64);

const UNWINDING: u64 = 1 << 33;
const MARKED: u64 = 1 << 32;

impl Note {
    fn new() -> Self {
        Note(if panicking() { UNWINDING } else { 0 })
    }

    fn with_origin(self, origin: Owner) -> Self {
        Note(self.0 | MARKED | u64::from(origin.0))
    }

    fn origin(self) -> Option<Owner> {
        (self.0 & MARKED != 0).then_some(Owner(self.0 as u32))
    }

    fn consistent(self) -> Self {
        Note(self.0 & UNWINDING)
    }
}

// SAFETY: through a shared guard the data can only be read, and plain data are Sync.
unsafe impl<T: Plain> Sync for LockGuard<'_, T> {}

impl<'a, T: Plain> LockGuard<'a, T> {
    /// The guard of a lock that was just taken, by a thread that is not panicking.
    #[inline]
    pub(super) fn unremarkable(lock: &'a Lock<T>) -> Self {
        LockGuard {
            raw: lock.raw(),
            data: lock.data,
            note: Note(0),
            stays: PhantomData,
        }
    }

    /// The guard of a lock that was just taken.
    pub(super) fn new(lock: &'a Lock<T>) -> Self {
        LockGuard {
            raw: lock.raw(),
            data: lock.data,
            note: Note::new(),
            stays: PhantomData,
        }
    }

    /// The guard of a lock that was taken although it was marked in the name of `origin`.
    pub(super) fn of_marked(lock: &'a Lock<T>, origin: Owner) -> Self {
        let mut guard = Self::new(lock);
        guard.note = guard.note.with_origin(origin);
        guard
    }

    /// The guard, if the data are a value of their type; else it gives the lock up as it found it.
    #[inline]
    pub(super) fn checked(self) -> Option<Self> {
        // SAFETY: the guard keeps others out, and its handle keeps the data mapped.
        unsafe { self.data.is_valid() }.then_some(self)
    }

    /// Declares the data whole again: a lock that was marked will not be when this guard is dropped.
    ///
    /// Does nothing to a guard of a lock that was not marked.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{Lock, LockError};
    ///
    /// let lock = Lock::new(0)?;
    /// let other = lock.clone();
    /// let _ = std::thread::spawn(move || {
    ///     let _guard = other.lock();
    ///     panic!("with the guard in hand");
    /// })
    /// .join();
    ///
    /// drop(lock.recover()?);                          // looked, and did not mend: still marked
    /// assert!(matches!(lock.lock(), Err(LockError::OwnerDied { .. })));
    ///
    /// lock.recover()?.mark_consistent();
    /// assert!(lock.lock().is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn mark_consistent(&mut self) {
        self.note = self.note.consistent();
    }

    /// Leaves the lock to this process, for any thread of any process to [`adopt`](Lock::adopt).
    ///
    /// Nobody else gets in meanwhile. The lock is this process's: when it dies before anybody has adopted the lock, the
    /// lock is marked, which those who wait find out within 100 ms. A guard of a marked lock comes back marked.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let lock = multiproc::Lock::new(())?;
    /// lock.lock()?.leak();
    /// std::thread::scope(|scope| scope.spawn(|| lock.adopt().map(drop)).join().unwrap())?;
    /// assert!(lock.try_lock().is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn leak(self) {
        self.raw.leak(self.is_marked());
        std::mem::forget(self);
    }

    /// Whether the thread was panicking already when it took the lock.
    #[inline]
    pub(crate) fn is_of_unwinding(&self) -> bool {
        self.note.0 & UNWINDING != 0
    }

    /// Who held the lock last if it was marked, and is not mended yet.
    #[inline]
    pub(crate) fn marked_by(&self) -> Option<Owner> {
        self.note.origin()
    }

    /// Whether the lock was marked, and [`mark_consistent`](LockGuard::mark_consistent) has not been called yet.
    #[must_use]
    pub fn is_marked(&self) -> bool {
        self.note.origin().is_some()
    }
}

/// Gives the lock up: marked, if its guard is dropped by the panic that tore the data, or by who did not mend them.
#[cold]
fn give_up_with_care(raw: &RawLock, note: Note) {
    let torn = panicking() && note.0 & UNWINDING == 0;
    match note.origin() {
        None if !torn => raw.unlock(),
        origin => raw.unlock_marked(origin),
    }
}

impl<T: Plain> Deref for LockGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: a checked, aligned value that the handle keeps mapped; the guard is the only one in all processes.
        unsafe { &*self.data.as_ptr() }
    }
}

impl<T: Plain> DerefMut for LockGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as for `deref`, and this guard is borrowed exclusively.
        unsafe { &mut *self.data.as_ptr() }
    }
}

impl<T: Plain> Drop for LockGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let (raw, note) = (self.raw, self.note);
        if note == Note(0) && !panicking() {
            raw.unlock();
        } else {
            give_up_with_care(raw, note);
        }
    }
}

impl<T: Plain + fmt::Debug> fmt::Debug for LockGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: Plain + fmt::Display> fmt::Display for LockGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}
