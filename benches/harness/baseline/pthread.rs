//! The C library's condition variable and barrier, and a barrier that only spins, in shared memory.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU32, Ordering};

/// A mutex, a condition variable and two numbers under them.
#[derive(Debug)]
#[repr(C)]
pub struct Monitor {
    mutex: UnsafeCell<libc::pthread_mutex_t>,
    changed: UnsafeCell<libc::pthread_cond_t>,
    numbers: UnsafeCell<[u64; 2]>,
}

// SAFETY: mutex and condition synchronise by themselves, and the numbers are only touched under the mutex.
unsafe impl Sync for Monitor {}

impl Monitor {
    /// Makes zeroed memory a monitor that processes share.
    pub fn init(&self) {
        // SAFETY: all-zero attribute objects are overwritten by their initialisers before use; nothing is in use yet.
        unsafe {
            let mut of_mutex: libc::pthread_mutexattr_t = std::mem::zeroed();
            libc::pthread_mutexattr_init(&raw mut of_mutex);
            libc::pthread_mutexattr_setpshared(&raw mut of_mutex, libc::PTHREAD_PROCESS_SHARED);
            libc::pthread_mutex_init(self.mutex.get(), &raw const of_mutex);
            let mut of_cond: libc::pthread_condattr_t = std::mem::zeroed();
            libc::pthread_condattr_init(&raw mut of_cond);
            libc::pthread_condattr_setpshared(&raw mut of_cond, libc::PTHREAD_PROCESS_SHARED);
            libc::pthread_cond_init(self.changed.get(), &raw const of_cond);
        }
    }

    /// Has `change` work on the numbers under the mutex.
    pub fn with<R>(&self, change: impl FnOnce(&mut [u64; 2]) -> R) -> R {
        // SAFETY: the mutex was initialised; the numbers are touched between lock and unlock only.
        unsafe {
            libc::pthread_mutex_lock(self.mutex.get());
            let result = change(&mut *self.numbers.get());
            libc::pthread_mutex_unlock(self.mutex.get());
            result
        }
    }

    /// Waits under the mutex, after `first`, until `enough` says so.
    pub fn wait_until(
        &self,
        first: impl FnOnce(&mut [u64; 2]),
        enough: impl Fn(&[u64; 2]) -> bool,
    ) {
        // SAFETY: as for `with`; the condition gives the mutex up while it waits and takes it again.
        unsafe {
            libc::pthread_mutex_lock(self.mutex.get());
            first(&mut *self.numbers.get());
            while !enough(&*self.numbers.get()) {
                libc::pthread_cond_wait(self.changed.get(), self.mutex.get());
            }
            libc::pthread_mutex_unlock(self.mutex.get());
        }
    }

    /// Wakes one waiter.
    pub fn signal(&self) {
        // SAFETY: the condition was initialised.
        unsafe { libc::pthread_cond_signal(self.changed.get()) };
    }

    /// Wakes every waiter.
    pub fn broadcast(&self) {
        // SAFETY: the condition was initialised.
        unsafe { libc::pthread_cond_broadcast(self.changed.get()) };
    }
}

/// A barrier of the C library.
#[derive(Debug)]
#[repr(C)]
pub struct Barrier(UnsafeCell<libc::pthread_barrier_t>);

// SAFETY: it synchronises by itself.
unsafe impl Sync for Barrier {}

impl Barrier {
    /// Makes zeroed memory a barrier that processes share.
    pub fn init(&self, parties: u32) {
        // SAFETY: an all-zero attribute object is overwritten by its initialiser; the barrier is not in use yet.
        unsafe {
            let mut attributes: libc::pthread_barrierattr_t = std::mem::zeroed();
            libc::pthread_barrierattr_init(&raw mut attributes);
            libc::pthread_barrierattr_setpshared(&raw mut attributes, libc::PTHREAD_PROCESS_SHARED);
            libc::pthread_barrier_init(self.0.get(), &raw const attributes, parties);
        }
    }

    /// Waits for the others.
    pub fn wait(&self) {
        // SAFETY: the barrier was initialised.
        unsafe { libc::pthread_barrier_wait(self.0.get()) };
    }
}

/// A barrier of two words that survives nothing and never sleeps.
#[derive(Debug)]
#[repr(C)]
pub struct Spinning {
    arrived: AtomicU32,
    round: AtomicU32,
}

impl Spinning {
    /// Waits for the others of `parties`.
    pub fn wait(&self, parties: u32) {
        let round = self.round.load(Ordering::Acquire);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == parties {
            self.arrived.store(0, Ordering::Relaxed);
            self.round.store(round + 1, Ordering::Release); // pairs with the loads of those who wait
            return;
        }
        while self.round.load(Ordering::Acquire) == round {
            std::hint::spin_loop();
        }
    }
}
