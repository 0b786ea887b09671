//! What every pool offers, to be compared with the others.

use std::hint::black_box;
use std::ops::Range;

use crate::harness::{Payload, cpus};

/// How many workers every pool has.
pub const WORKERS: usize = 2;

/// A pool of two workers, each on a processor of its own, as its caller has it.
pub trait Pool: Sized {
    /// The name in the tables; one with a dagger works between threads.
    const NAME: &'static str;
    /// Whether a worker can sleep until there is work.
    const SLEEPS: bool = true;

    /// How many maps go before those that count: enough to touch all memory of the pool.
    const WARM: usize = 0;

    /// Starts the workers, in a process of which nobody else wants anything.
    fn start() -> Self;

    /// The squares of `0..tasks`, in order; each of them is a task.
    fn squares(&mut self, tasks: u64) -> Vec<u64>;

    /// The square of `x`, which one worker found.
    fn apply(&mut self, x: u64) -> u64;
}

/// A pool whose tasks have long arguments.
pub trait Bulk: Sized {
    /// The name in the tables; one with a dagger works between threads.
    const NAME: &'static str;

    /// Starts the workers for arguments like `payload`.
    fn start(payload: &Payload) -> Self;

    /// Writes an argument for each number; the sums that the workers found, in order.
    fn sums(&mut self, seqs: Range<u64>) -> Vec<u64>;
}

/// The task.
#[inline]
pub fn square(x: u64) -> u64 {
    black_box(x).wrapping_mul(x)
}

/// A task that takes as long as it has steps.
pub fn steps(count: u64) -> u64 {
    (0..count).fold(count, |x, _| black_box(x.wrapping_mul(3).wrapping_add(1)))
}

/// The processor of a worker: the first one has that which the caller has not.
pub fn processor(worker: usize) -> usize {
    cpus()[(worker + 1) % WORKERS]
}

/// Gives `tasks` tasks, of which at most `window` are outstanding, and takes as many results, each with the number of its
/// task.
#[inline]
pub fn windowed<P>(
    pool: &mut P,
    (tasks, window): (u64, u64),
    mut give: impl FnMut(&mut P, u64),
    mut take: impl FnMut(&mut P) -> (u64, u64),
) -> Vec<u64> {
    let mut results = vec![0; tasks as usize];
    let mut given = 0;
    for taken in 0..tasks {
        while given < tasks.min(taken + window) {
            give(pool, given);
            given += 1;
        }
        let (task, result) = take(pool);
        results[task as usize] = result;
    }
    results
}
