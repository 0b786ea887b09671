//! `procspawn`: a pool of processes, which are given every task by way of `ipc-channel`.
//!
//! It is not asked for long arguments: a worker that is done waits for its result to be joined, and nobody reads what the
//! caller, still giving tasks, writes to its socket.

use std::collections::{BTreeSet, VecDeque};

use ::procspawn::JoinHandle;

use super::pool::{Pool, WORKERS, processor, square, windowed};
use crate::harness::pin_other;

/// A task that waits to be joined has four descriptors.
const WINDOW: u64 = 64;

/// A pool.
#[derive(Debug)]
pub struct Procspawn(::procspawn::Pool);

/// The workers, who are asked until all of them have answered.
fn pids(pool: &::procspawn::Pool) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    while found.len() < WORKERS {
        let ask = |_| pool.spawn((), |()| std::process::id());
        let asked: Vec<JoinHandle<u32>> = (0..2 * WORKERS).map(ask).collect();
        found.extend(asked.into_iter().map(|pid| pid.join().expect("a number")));
    }
    found
}

impl Pool for Procspawn {
    const NAME: &'static str = "procspawn";

    fn start() -> Self {
        let pool = ::procspawn::Pool::new(WORKERS).expect("two processes");
        for (worker, pid) in pids(&pool).into_iter().enumerate() {
            pin_other(pid as libc::pid_t, processor(worker));
        }
        Self(pool)
    }

    fn squares(&mut self, tasks: u64) -> Vec<u64> {
        let mut outstanding = VecDeque::new();
        windowed(
            &mut outstanding,
            (tasks, WINDOW),
            |outstanding, x| outstanding.push_back((x, self.0.spawn(x, square))),
            |outstanding| {
                let (x, task) = outstanding.pop_front().expect("a task");
                (x, task.join().expect("a result"))
            },
        )
    }

    fn apply(&mut self, x: u64) -> u64 {
        self.0.spawn(x, square).join().expect("a result")
    }
}
