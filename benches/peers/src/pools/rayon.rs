//! `rayon`: two threads of the calling process, who steal each other's work.

use std::ops::Range;

use ::rayon::iter::{IntoParallelIterator, IntoParallelRefIterator, ParallelIterator};
use ::rayon::{ThreadPool, ThreadPoolBuilder};

use super::pool::{Bulk, Pool, WORKERS, processor, square, steps};
use crate::harness::{Payload, pin};

/// The name in the tables.
pub const NAME: &str = "rayon †";

/// A pool, and what it needs for long arguments: each has a buffer.
#[derive(Debug)]
pub struct Rayon {
    pool: ThreadPool,
    arguments: Vec<Vec<u8>>,
    payload: Payload,
}

impl Rayon {
    fn of(payload: Payload, arguments: usize) -> Self {
        let builder = ThreadPoolBuilder::new().num_threads(WORKERS);
        let pool = builder.start_handler(|worker| pin(processor(worker)));
        Self {
            pool: pool.build().expect("two threads"),
            arguments: vec![vec![0; payload.len()]; arguments],
            payload,
        }
    }

    /// The squares of `0..tasks`, divided as the library likes.
    pub fn chunked(&mut self, tasks: u64) -> Vec<u64> {
        self.pool
            .install(|| (0..tasks).into_par_iter().map(square).collect())
    }

    /// Tasks of so many steps each, divided as the library likes.
    pub fn uneven(&mut self, tasks: &[u64]) -> Vec<u64> {
        let tasks = tasks.par_iter().copied();
        self.pool.install(|| tasks.map(steps).collect())
    }
}

impl Pool for Rayon {
    const NAME: &'static str = NAME;

    fn start() -> Self {
        Self::of(Payload::touched(8), 0)
    }

    fn squares(&mut self, tasks: u64) -> Vec<u64> {
        let mut results = vec![0; tasks as usize];
        self.pool.scope(|scope| {
            for (x, result) in (0..).zip(&mut results) {
                scope.spawn(move |_| *result = square(x));
            }
        });
        results
    }

    fn apply(&mut self, x: u64) -> u64 {
        self.pool.install(|| square(x))
    }
}

impl Bulk for Rayon {
    const NAME: &'static str = NAME;

    fn start(payload: &Payload) -> Self {
        Self::of(payload.clone(), super::OUTSTANDING as usize)
    }

    fn sums(&mut self, seqs: Range<u64>) -> Vec<u64> {
        let mut sums = vec![0; self.arguments.len()];
        let payload = &self.payload;
        // The caller writes the arguments, as it does everywhere.
        self.pool.in_place_scope(|scope| {
            for ((seq, argument), sum) in seqs.zip(&mut self.arguments).zip(&mut sums) {
                payload.write(argument, seq);
                scope.spawn(move |_| *sum = payload.read(argument).1);
            }
        });
        sums
    }
}
