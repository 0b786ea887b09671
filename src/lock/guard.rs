//! [`LockGuard`]: the right to the data of a lock.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::thread::panicking;

use super::Lock;
use crate::message::Plain;
use crate::sync::Owner;

/// The right to the data of a [`Lock`], for as long as it is kept.
///
/// Dropping it gives the lock up. Dropping it in a panic marks the lock, as the holder's death does. It stays in its
/// thread.
#[must_use = "a guard that is dropped at once gives the lock up at once"]
pub struct LockGuard<'a, T: Plain> {
    lock: &'a Lock<T>,
    /// Who held the lock last, if it was marked and is not consistent yet.
    origin: Option<Owner>,
    /// Whether the thread was panicking already: what it drops while unwinding is not torn by that panic.
    panicking: bool,
    stays: PhantomData<*const ()>,
}

// SAFETY: through a shared guard the data can only be read, and plain data are Sync.
unsafe impl<T: Plain> Sync for LockGuard<'_, T> {}

impl<'a, T: Plain> LockGuard<'a, T> {
    #[inline]
    pub(super) fn new(lock: &'a Lock<T>, origin: Option<Owner>) -> Self {
        LockGuard {
            lock,
            origin,
            panicking: panicking(),
            stays: PhantomData,
        }
    }

    /// The guard, if the data are a value of their type; else it gives the lock up as it found it.
    #[inline]
    pub(super) fn checked(self) -> Option<Self> {
        // SAFETY: the guard keeps others out, and its handle keeps the data mapped.
        unsafe { self.lock.data.is_valid() }.then_some(self)
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
        self.origin = None;
    }

    /// Whether the lock was marked, and [`mark_consistent`](LockGuard::mark_consistent) has not been called yet.
    #[must_use]
    pub fn is_marked(&self) -> bool {
        self.origin.is_some()
    }
}

impl<T: Plain> Deref for LockGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: a checked, aligned value that the handle keeps mapped; the guard is the only one in all processes.
        unsafe { &*self.lock.data.as_ptr() }
    }
}

impl<T: Plain> DerefMut for LockGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as for `deref`, and this guard is borrowed exclusively.
        unsafe { &mut *self.lock.data.as_ptr() }
    }
}

impl<T: Plain> Drop for LockGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.origin.is_some() || !self.panicking && panicking() {
            self.lock.raw().unlock_marked(self.origin);
        } else {
            self.lock.raw().unlock();
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
