//! `multiproc`: processes that take tasks from a queue and answer on a pipe each.

use std::ops::Range;
use std::sync::OnceLock;

use multiproc::{Bytes, In};

use super::pool::{Bulk, Pool, WORKERS, processor, square, steps};
use crate::harness::{Payload, pin_other};

/// The name in the tables.
pub const NAME: &str = "multiproc Pool";

/// A pool.
#[derive(Debug)]
pub struct Ours(multiproc::Pool);

fn start() -> multiproc::Pool {
    let pool = multiproc::Pool::new(WORKERS).expect("two processes");
    for (worker, pid) in pool.pids().into_iter().enumerate() {
        pin_other(pid, processor(worker));
    }
    pool
}

/// What a worker does with a long argument, which it reads where its caller has put it.
fn sum(argument: In<'_, Bytes>) -> u64 {
    static PAYLOAD: OnceLock<Payload> = OnceLock::new();
    let payload = PAYLOAD.get_or_init(|| Payload::touched(argument.len()));
    payload.read(&argument).1
}

/// A pool, and the buffers from which long arguments are given.
#[derive(Debug)]
pub struct OursBulk {
    pool: multiproc::Pool,
    buffers: Vec<Vec<u8>>,
    payload: Payload,
}

impl Ours {
    /// The squares of `0..tasks`, in chunks as the library likes.
    pub fn chunked(&mut self, tasks: u64) -> Vec<u64> {
        self.0.map(square, 0..tasks).expect("results")
    }

    /// Tasks of so many steps each, in chunks as the library likes.
    pub fn uneven(&mut self, tasks: &[u64]) -> Vec<u64> {
        let tasks = tasks.iter().copied();
        self.0.map(steps, tasks).expect("results")
    }
}

impl Bulk for OursBulk {
    const NAME: &'static str = NAME;

    fn start(payload: &Payload) -> Self {
        Self {
            pool: start(),
            buffers: vec![vec![0; payload.len()]; super::OUTSTANDING as usize],
            payload: payload.clone(),
        }
    }

    fn sums(&mut self, seqs: Range<u64>) -> Vec<u64> {
        let payload = &self.payload;
        let arguments = seqs.zip(&mut self.buffers).map(|(seq, buffer)| {
            payload.write(buffer, seq);
            &buffer[..]
        });
        self.pool.map(sum, arguments).expect("sums")
    }
}

impl Pool for Ours {
    const NAME: &'static str = NAME;
    /// Long messages lie in blocks of memory that are used in turn.
    const WARM: usize = 32;

    fn start() -> Self {
        Self(start())
    }

    fn squares(&mut self, tasks: u64) -> Vec<u64> {
        let alone = self.0.chunk(1);
        alone.map(square, 0..tasks).expect("results")
    }

    fn apply(&mut self, x: u64) -> u64 {
        self.0.apply(square, (x,)).get().expect("a result")
    }
}
