//! [`ReentrantGuard`]: one of the guards that a thread has of a reentrant lock.

use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::thread::panicking;

use super::ReentrantLock;
use crate::message::{Plain, Room};
use crate::sync::{Damage, RawHold, RawLock};

/// One of the guards that a thread has of a [`ReentrantLock`].
///
/// When the last of them is dropped the lock is given up, in whatever order they are dropped. As there may be several, none
/// of them gives a reference to the data: they are read and written as a whole, like those of a [`Cell`](std::cell::Cell).
/// A guard stays in its thread:
///
/// ```compile_fail
/// let lock = multiproc::ReentrantLock::new(0).unwrap();
/// let guard = lock.lock().unwrap();
/// std::thread::scope(|scope| { scope.spawn(|| drop(guard)); });
/// ```
///
/// Dropping a guard in a panic marks the lock when the last guard is dropped, unless the data are
/// [declared whole](ReentrantGuard::mark_consistent) before. In a child of [`fork`](crate::process::fork()) the copies of
/// its parent's guards hold nothing and give nothing up; they must not be used there.
#[must_use = "a guard that is dropped at once gives the lock up at once"]
pub struct ReentrantGuard<'a, T: Plain> {
    lock: &'a ReentrantLock<T>,
    /// Not 0: what is dropped while unwinding is not torn by that panic. A whole word: a struct with a gap at its end, or
    /// of more words than two, is copied through memory and not in registers.
    unwinding: u64,
    stays: PhantomData<*const ()>,
}

impl<'a, T: Plain> ReentrantGuard<'a, T> {
    /// A guard of a lock that the calling thread holds, and that counts it already.
    #[inline]
    pub(super) fn new(lock: &'a ReentrantLock<T>) -> Self {
        Self::dropped_by(lock, panicking())
    }

    /// The same; dropped while `unwinding` for another reason, or not.
    #[inline]
    pub(super) fn dropped_by(lock: &'a ReentrantLock<T>, unwinding: bool) -> Self {
        ReentrantGuard {
            lock,
            unwinding: unwinding.into(),
            stays: PhantomData,
        }
    }

    #[inline]
    fn raw(&self) -> &RawLock {
        self.lock.lock.bare()
    }

    #[inline]
    fn hold(&self) -> &RawHold {
        self.lock.hold.get()
    }

    #[inline]
    fn data(&self) -> Room<T> {
        self.lock.lock.room()
    }

    /// A copy of the data.
    #[inline]
    #[must_use]
    pub fn get(&self) -> T
    where
        T: Copy,
    {
        *self.copy()
    }

    /// Overwrites the data.
    #[inline]
    pub fn set(&self, value: T) {
        // SAFETY: checked and aligned, and mapped by the handle. This thread holds the lock, and no reference to the data is
        // ever given out.
        unsafe { self.data().as_ptr().write(value) };
    }

    /// Overwrites the data and returns what they were.
    pub fn replace(&self, value: T) -> T {
        let before = ManuallyDrop::into_inner(self.copy());
        self.set(value);
        before
    }

    /// Lets `change` change a copy of the data, which then replaces them.
    ///
    /// The data stay as they were if `change` panics, or the process dies in it. What `change` does to them through another
    /// guard is overwritten.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let lock = multiproc::ReentrantLock::new([1, 2])?;
    /// let guard = lock.lock()?;
    /// let sum = guard.update(|pair| {
    ///     pair.swap(0, 1);
    ///     pair[0] + pair[1]
    /// });
    /// assert_eq!((sum, guard.get()), (3, [2, 1]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn update<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let mut copy = self.copy();
        let result = change(&mut copy);
        self.set(ManuallyDrop::into_inner(copy));
        result
    }

    /// Lets `look` see a copy of the data.
    pub fn with<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.copy())
    }

    /// The bytes of the data once more; plain values need no drop, and any number of them may be made of the same bytes.
    #[inline]
    fn copy(&self) -> ManuallyDrop<T> {
        // SAFETY: as for `set`; the bytes were checked to be a value when the lock was taken, and only values were put
        // there since.
        ManuallyDrop::new(unsafe { self.data().as_ptr().read() })
    }

    /// How many guards of the lock this thread has.
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.hold().depth()
    }

    /// Declares the data whole again: a lock that was marked, or that a panic would mark, is not when the last guard is
    /// dropped.
    pub fn mark_consistent(&self) {
        self.hold().mend();
    }

    /// Whether the data may be half changed, and [`mark_consistent`](ReentrantGuard::mark_consistent) has not been called
    /// since.
    #[must_use]
    pub fn is_marked(&self) -> bool {
        self.hold().damage().is_some()
    }

    #[cold]
    fn drop_with_care(&self) {
        if !self.raw().is_mine() {
            return; // copied by a fork
        }
        if panicking() && self.unwinding == 0 {
            self.hold().tear();
        }
        if self.hold().rise() {
            return;
        }
        match self.hold().damage() {
            None => self.raw().unlock(),
            Some(Damage::Torn) => self.raw().unlock_marked(None),
            Some(Damage::Marked(origin)) => self.raw().unlock_marked(Some(origin)),
        }
    }
}

impl<T: Plain> Drop for ReentrantGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.hold().is_simple() && !panicking() {
            self.raw().unlock(); // does nothing to a lock of another thread, such as the parent's of a forked child
        } else {
            self.drop_with_care();
        }
    }
}

impl<T: Plain + fmt::Debug> fmt::Debug for ReentrantGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with(|data| fmt::Debug::fmt(data, f))
    }
}

impl<T: Plain + fmt::Display> fmt::Display for ReentrantGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with(|data| fmt::Display::fmt(data, f))
    }
}
