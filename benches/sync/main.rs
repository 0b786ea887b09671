//! Event, Condition, Barrier, semaphores and the other locks, beside bare words, the bare futex and pthread.
//!
//! `cargo bench --bench sync -- [--quick] [--rounds N] [TEXT]`. How soon a death is known is the bench `recovery`.

#[path = "../harness/mod.rs"]
mod harness;

mod barrier;
mod flag;
mod notify;
mod pairs;
mod readers;
mod wake;

fn main() {
    let mut bench = harness::Bench::of_rounds("sync", 31);
    wake::rows(&mut bench);
    flag::rows(&mut bench);
    notify::rows(&mut bench);
    barrier::rows(&mut bench);
    pairs::rows(&mut bench);
    readers::rows(&mut bench);
}
