//! A critical section that counts, and the C library's mutexes around one.

use std::cell::UnsafeCell;

use crate::harness::{Crew, Meeting, Report, Shared, rate, ticks};

/// Has `workers` workers call `add` `each` times; returns calls per second, after checking the counter.
pub fn count(
    workers: usize,
    each: u64,
    threads: bool,
    add: impl Fn() + Sync,
    counter: impl Fn() -> u64,
) -> f64 {
    let add = &add;
    let work = move |meeting: &Meeting| {
        add();
        meeting.meet();
        let begin = ticks();
        (0..each).for_each(|_| add());
        Report {
            begin,
            end: ticks(),
            count: each,
            ..Report::default()
        }
    };
    let mut crew = Crew::new();
    (0..workers).for_each(|_| crew.hire(work));
    let reports = if threads {
        crew.run_as_threads()
    } else {
        crew.run()
    };
    let total = workers as u64 * each;
    assert_eq!(counter(), total + workers as u64, "additions were lost");
    rate(&reports, total)
}

/// A pthread mutex and the counter under it, in shared memory.
#[derive(Debug)]
#[repr(C)]
pub struct Counter {
    mutex: UnsafeCell<libc::pthread_mutex_t>,
    count: UnsafeCell<u64>,
}

// SAFETY: the mutex synchronises by itself, and the count is only touched under it.
unsafe impl Sync for Counter {}

impl Counter {
    /// Makes zeroed memory an unlocked mutex of its kind around 0.
    pub fn init(&self, robust: bool) {
        // SAFETY: an all-zero attribute object is overwritten by its initialiser before use.
        let mut attributes: libc::pthread_mutexattr_t = unsafe { std::mem::zeroed() };
        let attributes = &raw mut attributes;
        // SAFETY: the attribute object is initialised first, and the mutex is not in use yet.
        unsafe {
            libc::pthread_mutexattr_init(attributes);
            libc::pthread_mutexattr_setpshared(attributes, libc::PTHREAD_PROCESS_SHARED);
            if robust {
                libc::pthread_mutexattr_setrobust(attributes, libc::PTHREAD_MUTEX_ROBUST);
            }
            libc::pthread_mutex_init(self.mutex.get(), attributes);
        }
    }

    /// Adds one under the mutex.
    #[inline]
    pub fn add(&self) {
        // SAFETY: the mutex was initialised; the count is touched between lock and unlock only.
        unsafe {
            libc::pthread_mutex_lock(self.mutex.get());
            *self.count.get() += 1;
            libc::pthread_mutex_unlock(self.mutex.get());
        }
    }
}

/// Has `workers` processes add to one [`Counter`]; returns additions per second.
pub fn pthread(robust: bool, workers: usize, each: u64) -> f64 {
    let shared = Shared::new(4096);
    // SAFETY: zeroed memory is a valid counter, initialised before anybody uses it.
    let counter: &Counter = unsafe { shared.at(0) };
    counter.init(robust);
    // SAFETY: read after all workers have ended.
    let total = || unsafe { *counter.count.get() };
    count(workers, each, false, || counter.add(), total)
}
