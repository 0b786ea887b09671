//! `multiproc`: processes that take tasks from a queue and answer on a pipe each.

use super::pool::{Pool, WORKERS, processor, square};
use crate::harness::pin_other;

/// A pool.
#[derive(Debug)]
pub struct Ours(multiproc::Pool);

impl Pool for Ours {
    const NAME: &'static str = "multiproc Pool";

    fn start() -> Self {
        let pool = multiproc::Pool::new(WORKERS).expect("two processes");
        for (worker, pid) in pool.pids().into_iter().enumerate() {
            pin_other(pid, processor(worker));
        }
        Self(pool)
    }

    fn squares(&mut self, tasks: u64) -> Vec<u64> {
        self.0.map(square, 0..tasks).expect("results")
    }

    fn apply(&mut self, x: u64) -> u64 {
        self.0.apply(square, (x,)).get().expect("a result")
    }
}
