//! [`ReadGuard`] and [`WriteGuard`]: the right to look at the data of a lock, and to change them.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::thread::panicking;

use super::RwLock;
use crate::message::{Plain, Room};
use crate::sync::{Owner, RawRwLock, ReaderRow};
use crate::sys::serial;

/// The right to look at the data of a [`RwLock`]; dropping it gives the right up.
///
/// It belongs to the thread that took the lock. One that is forgotten (`mem::forget`) keeps writers out until the process
/// ends.
#[must_use = "a guard that is dropped at once gives the lock up at once"]
pub struct ReadGuard<'a, T: Plain> {
    lock: &'a RwLock<T>,
    /// The row by which the thread reads; without one it has the lock.
    row: Option<&'a ReaderRow>,
    /// A guard ends on the thread on which it began.
    stays: PhantomData<*const ()>,
}

// SAFETY: through a shared guard the data can only be read, and plain data are Sync.
unsafe impl<T: Plain> Sync for ReadGuard<'_, T> {}

impl<'a, T: Plain> ReadGuard<'a, T> {
    #[inline(always)]
    pub(super) fn new(lock: &'a RwLock<T>, row: Option<&'a ReaderRow>) -> Self {
        ReadGuard {
            lock,
            row,
            stays: PhantomData,
        }
    }

    /// It read with the lock.
    #[cold]
    fn leave_without_row(&self) {
        self.lock.raw().lock.unlock();
    }

    /// Itself, if the data are a value.
    #[inline(always)]
    pub(super) fn checked(self) -> Option<Self> {
        // SAFETY: the guard keeps writers out, and its handle keeps the data mapped.
        unsafe { self.lock.data.is_valid() }.then_some(self)
    }
}

impl<T: Plain> Deref for ReadGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: a checked, aligned value that the handle keeps mapped, and nobody changes as long as this thread reads.
        unsafe { &*self.lock.data.as_ptr() }
    }
}

impl<T: Plain> Drop for ReadGuard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        match self.row {
            Some(row) => self.lock.gate.get().leave(row, serial::here()),
            None => self.leave_without_row(),
        }
    }
}

/// The right to change the data of a [`RwLock`]; dropping it gives the right up.
///
/// Dropped in a panic that began after it was taken, it marks the lock: the change may be half done. See
/// [`RwLock`](RwLock#when-a-holder-dies).
#[must_use = "a guard that is dropped at once gives the lock up at once"]
pub struct WriteGuard<'a, T: Plain> {
    lock: &'a RwLock<T>,
    /// Whether a panic was under way when the lock was taken.
    unwinding: bool,
    /// In whose name the lock is marked.
    marked: Option<Owner>,
    stays: PhantomData<*const ()>,
}

// SAFETY: through a shared guard the data can only be read, and plain data are Sync.
unsafe impl<T: Plain> Sync for WriteGuard<'_, T> {}

impl<'a, T: Plain> WriteGuard<'a, T> {
    pub(super) fn new(lock: &'a RwLock<T>, marked: Option<Owner>) -> Self {
        WriteGuard {
            lock,
            unwinding: panicking(),
            marked,
            stays: PhantomData,
        }
    }

    /// Itself, if the data are a value.
    pub(super) fn checked(self) -> Option<Self> {
        // SAFETY: the guard keeps all others out, and its handle keeps the data mapped.
        unsafe { self.lock.data.is_valid() }.then_some(self)
    }

    pub(super) fn room(&self) -> Room<T> {
        self.lock.data
    }

    /// Says that the data are whole again: dropping the guard then gives up a lock that is not marked.
    pub fn mark_consistent(&mut self) {
        self.marked = None;
    }

    /// Whether the guard came from a lock whose holder died or panicked, and nobody has said since that the data are
    /// whole.
    #[must_use]
    pub fn is_marked(&self) -> bool {
        self.marked.is_some()
    }

    /// Goes on reading: others may read at once, and no writer comes in between.
    ///
    /// A marked lock is given up marked, and `None` returned.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let table = multiproc::RwLock::new([0_u32; 4])?;
    /// let mut change = table.write()?;
    /// change[0] = 7;
    /// let look = change.downgrade().expect("nobody has died");
    /// assert_eq!((look[0], table.read()?[0]), (7, 7));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "a guard that is dropped at once gives the lock up at once"]
    pub fn downgrade(self) -> Option<ReadGuard<'a, T>> {
        if self.marked.is_some() {
            return None;
        }
        let lock = self.lock;
        std::mem::forget(self);
        Some(lock.go_on_reading())
    }
}

impl<T: Plain> Deref for WriteGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: a checked, aligned value that the handle keeps mapped; this guard is the only one in all processes.
        unsafe { &*self.lock.data.as_ptr() }
    }
}

impl<T: Plain> DerefMut for WriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as for `deref`, and this guard is borrowed exclusively.
        unsafe { &mut *self.lock.data.as_ptr() }
    }
}

impl<T: Plain> Drop for WriteGuard<'_, T> {
    fn drop(&mut self) {
        let raw: RawRwLock<'_> = self.lock.raw();
        if !raw.lock.is_mine() {
            return; // copied by a fork
        }
        let torn = panicking() && !self.unwinding;
        match self.marked {
            None if !torn => raw.finish(),
            origin => raw.lock.unlock_marked(origin),
        }
    }
}

impl<T: Plain + fmt::Debug> fmt::Debug for ReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: Plain + fmt::Display> fmt::Display for ReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

impl<T: Plain + fmt::Debug> fmt::Debug for WriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: Plain + fmt::Display> fmt::Display for WriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}
