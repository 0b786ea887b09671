//! Cells, dictionaries, namespaces, lists, queues with two ends, arrays, counters and transactions do what they do at one
//! instant: several processes do it to the same few things at the same time, note when each call began and ended and what
//! came of it, and a checker looks for an order.
//!
//! Short histories and many of them: `MULTIPROC_HISTORIES=100000 cargo test --release --test linear -- --nocapture`. Without
//! it there are a few hundred of each.

use std::sync::{Mutex, MutexGuard, PoisonError};

mod attributes;
mod checker;
mod numbers;
mod record;
mod rounds;
mod rows;
mod several;
mod single;

/// Processes that take part in a history: as many as run at a time, so that they are beside each other.
fn workers() -> u64 {
    let processors = std::thread::available_parallelism();
    processors.map_or(2, |n| n.get() as u64).clamp(2, 3)
}

/// One test at a time, for the same reason.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Histories that the same processes make one after the other.
const BATCH: u64 = 200;

/// How many batches of histories there are.
fn batches() -> u64 {
    let asked = std::env::var("MULTIPROC_HISTORIES").ok();
    let histories = asked.map_or(2 * BATCH, |text| text.parse().expect("a number"));
    histories.div_ceil(BATCH)
}

/// A number to begin with, for the random choices of a batch.
fn seed(batch: u64, worker: u64) -> u64 {
    let asked = std::env::var("MULTIPROC_SEED").ok();
    let base: u64 = asked.map_or(1, |text| text.parse().expect("a number"));
    (base * 1_000_003 + batch) * 16 + worker
}
