//! What came out of a job, by several processes or by one.

use std::time::Duration;

use crate::feed::Fed;
use crate::record::{Produced, Tally};
use crate::table::WordTable;

/// Everything that the report shows.
#[derive(Debug)]
pub struct Outcome {
    pub tally: Tally,
    pub table: WordTable,
    pub produced: Produced,
    pub fed: Fed,
    pub elapsed: Duration,
    pub latency: Latency,
    pub queue_share: f64,
    pub workers: Vec<Share>,
    pub kills: u64,
    pub redelivered: u64,
    /// Whether a recount found the same.
    pub verified: bool,
}

/// Put-to-take latency in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    pub p50: u64,
    pub p99: u64,
    pub p999: u64,
}

/// What one place in the crew did; workers that were killed and their successors count as one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Share {
    pub tally: Tally,
    pub kills: u64,
    pub wall_ns: u64,
    pub queue_ns: u64,
}

impl Outcome {
    /// Files seen but not counted.
    pub fn skipped(&self) -> u64 {
        self.fed.left_out.skipped + self.produced.binary + self.failed()
    }

    /// Files and directories that could not be read.
    pub fn failed(&self) -> u64 {
        self.fed.left_out.failed + self.produced.failed
    }

    /// So many a second.
    pub fn rate(&self, amount: u64) -> f64 {
        amount as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// A worker's part of all bytes, 0 to 1.
    pub fn share(&self, worker: &Share) -> f64 {
        worker.tally.bytes as f64 / self.tally.bytes.max(1) as f64
    }
}
