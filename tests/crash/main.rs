//! A crash at every step: each shared-memory store, compare-and-swap and futex call of each operation ends its
//! process once, then every step of the recovery does too; the survivors go on and every promise is checked.
//!
//! `MULTIPROC_CASE='fixed queue: put/5/12'` runs one world, in which the actor dies before its step 5 and the
//! recoverer before its step 12, and prints where that was. One in eight of these
//! pairs is tried; `MULTIPROC_CRASH_PAIRS=1` tries all, `MULTIPROC_CRASH_PAIRS=0` none.

#[cfg(debug_assertions)]
mod annex;
#[cfg(debug_assertions)]
mod asleep;
#[cfg(debug_assertions)]
mod barrier;
#[cfg(debug_assertions)]
mod cell;
#[path = "../common/mod.rs"]
mod common;
#[cfg(debug_assertions)]
mod condition;
#[cfg(debug_assertions)]
mod context;
#[cfg(debug_assertions)]
mod deque;
#[cfg(debug_assertions)]
mod dict;
#[cfg(debug_assertions)]
mod driver;
#[cfg(debug_assertions)]
mod endings;
#[cfg(debug_assertions)]
mod engine;
#[cfg(debug_assertions)]
mod event;
#[cfg(debug_assertions)]
mod ledger;
#[cfg(debug_assertions)]
mod letter;
#[cfg(debug_assertions)]
mod list;
#[cfg(debug_assertions)]
mod load;
#[cfg(debug_assertions)]
mod lock;
#[cfg(debug_assertions)]
mod manager;
#[cfg(debug_assertions)]
mod names;
#[cfg(debug_assertions)]
mod namespace;
#[cfg(debug_assertions)]
mod numbers;
#[cfg(debug_assertions)]
mod once;
#[cfg(debug_assertions)]
mod pipe;
#[cfg(debug_assertions)]
mod pipe_keeper;
#[cfg(debug_assertions)]
mod queue;
#[cfg(debug_assertions)]
mod reentrant;
#[cfg(debug_assertions)]
mod rwlock;
#[cfg(debug_assertions)]
mod semaphore;
#[cfg(debug_assertions)]
mod service;
#[cfg(debug_assertions)]
mod shared;
#[cfg(debug_assertions)]
mod transaction;

#[cfg(debug_assertions)]
mod watch;

#[cfg(debug_assertions)]
fn main() -> std::process::ExitCode {
    common::runner::run(&[("a_crash_at_every_step", driver::every_step)])
}

#[cfg(not(debug_assertions))]
fn main() {
    println!("skipped: release builds have no crash points");
}
