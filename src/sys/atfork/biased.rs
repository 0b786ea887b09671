//! [`BiasedMutex`]: a [`ForkMutex`] that costs its first user next to nothing.

use super::{ForkGuard, ForkMutex, pause, token};
use crate::sys::bias::{Bias, SHARED};
use crate::sys::membarrier;
use std::fmt;
use std::ops::{Deref, DerefMut};

/// A lock inside one process, as [`ForkMutex`], for what mostly one thread uses: that thread takes it without an exchange. As
/// soon as another one does, which takes some microseconds once, it is an ordinary one.
pub(crate) struct BiasedMutex<T> {
    bias: Bias,
    inner: ForkMutex<T>,
}

/// The right to the value of a [`BiasedMutex`].
pub(crate) struct BiasedGuard<'a, T> {
    lock: &'a BiasedMutex<T>,
    /// None where the bias did.
    ordinary: Option<ForkGuard<'a, T>>,
}

impl<T> BiasedMutex<T> {
    /// As [`ForkMutex::new`].
    pub(crate) const fn new(value: T, fresh: fn() -> T) -> Self {
        BiasedMutex {
            bias: Bias::new(),
            inner: ForkMutex::new(value, fresh),
        }
    }

    /// Waits for the lock.
    ///
    /// # Panics
    ///
    /// The calling thread holds the lock already.
    #[inline]
    pub(crate) fn lock(&self) -> BiasedGuard<'_, T> {
        let ordinary = match self.bias.enter(token()) {
            true => None,
            false => self.lock_ordinary(),
        };
        BiasedGuard {
            lock: self,
            ordinary,
        }
    }

    #[inline(never)]
    fn lock_ordinary(&self) -> Option<ForkGuard<'_, T>> {
        let guard = self.inner.lock();
        let (me, owner) = (token(), self.bias.owner());
        assert!(owner != me, "a process-wide lock was taken twice");
        if owner == SHARED {
            return Some(guard);
        }
        let is_nobodys = owner == 0 || owner >> 32 != me >> 32; // or of a thread of the parent's, which is not here
        if is_nobodys && membarrier::is_ready() {
            if self.bias.give(me) {
                // SAFETY: the guard is the only one. The old value may be torn, so it is overwritten and not dropped.
                unsafe { self.inner.value.get().write((self.inner.fresh)()) };
            }
            return None;
        }
        let mut tries = 0;
        self.bias.share(|| pause(&mut tries));
        Some(guard)
    }
}

impl<T> Deref for BiasedGuard<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: the guard is the only one, so no other reference to the value exists.
        unsafe { &*self.lock.inner.value.get() }
    }
}

impl<T> DerefMut for BiasedGuard<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard is the only one and is borrowed exclusively.
        unsafe { &mut *self.lock.inner.value.get() }
    }
}

impl<T> Drop for BiasedGuard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.ordinary.is_none() {
            self.lock.bias.leave();
        }
    }
}

impl<T> fmt::Debug for BiasedMutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BiasedMutex").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::actor::Actor;

    #[test]
    fn threads_take_turns_with_its_first_user() {
        membarrier::register();
        static SUM: BiasedMutex<u64> = BiasedMutex::new(0, || 0);
        for _ in 0..20 {
            let lock = BiasedMutex::new(0_u64, || 0);
            let add = || {
                for _ in 0..1000 {
                    *lock.lock() += 1;
                    *SUM.lock() += 1;
                }
            };
            std::thread::scope(|scope| {
                scope.spawn(add);
                scope.spawn(add);
            });
            assert_eq!(*lock.lock(), 2000);
        }
        assert_eq!(*SUM.lock(), 40_000);
    }

    #[test]
    fn who_is_alone_takes_it_by_its_bias() {
        membarrier::register();
        let lock = BiasedMutex::new(1, || 0);
        *lock.lock() += 1;
        *lock.lock() += 1;
        let guard = lock.lock();
        assert_eq!(
            (*guard, guard.ordinary.is_none()),
            (3, membarrier::is_ready())
        );
    }

    #[test]
    #[should_panic(expected = "taken twice")]
    fn nobody_takes_it_twice() {
        let lock = BiasedMutex::new((), || ());
        let _guard = lock.lock();
        let _twice = lock.lock();
    }

    #[test]
    fn a_child_takes_over_what_a_thread_of_its_parents_had() {
        membarrier::register();
        let lock = BiasedMutex::new(1, || 7);
        drop(lock.lock());
        let child = |torn: bool| {
            let guard = torn.then(|| lock.lock());
            let wanted = if torn && membarrier::is_ready() { 7 } else { 1 };
            let child = Actor::start(|_| assert!(*lock.lock() == wanted && *lock.lock() == wanted));
            drop(guard);
            child.join()
        };
        assert_eq!(child(false), 0);
        if membarrier::is_ready() {
            assert_eq!(child(true), 0);
        }
    }
}
