//! The reentrant lock's cells: its holder, at any depth, those who wait for it, and its creator are killed.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use multiproc::{LockError, ReentrantGuard, ReentrantLock};

use crate::cell::{Books, Cell, Gates, run};
use crate::common::board::Zeroed;
use crate::witness;

const NAME: &str = "reentrant";
const DEPTH: usize = 3;

/// One number for each depth; they are equal whenever nobody is inside.
type Counts = [u64; DEPTH];

/// The books of one round.
#[derive(Debug)]
pub struct Ledger {
    gates: Gates,
    begun: AtomicU64,
    finished: AtomicU64,
    deaths: AtomicU64,
    /// Who is between lock and unlock, by its process id.
    inside: AtomicU32,
}

// SAFETY: gates and atomics.
unsafe impl Zeroed for Ledger {}

impl Books for Ledger {
    const COUNTED: [&'static str; 2] = ["increments", "owner deaths"];

    fn gates(&self) -> &Gates {
        &self.gates
    }

    fn counts(&self) -> [u64; 2] {
        [self.finished.load(SeqCst), self.deaths.load(SeqCst)]
    }
}

/// Every kill hits the holder, at some depth.
pub fn holders_killed() {
    run(&Cell {
        name: "reentrant lock holders",
        auditor: audit,
        victims: work,
        others: work,
        pause: 1000,
        creation: false,
        aim: |ledger, pid| ledger.inside.load(SeqCst) == pid,
    });
}

/// Every kill hits somebody who does not hold the lock, and therefore nearly always waits for it.
pub fn waiters_killed() {
    run(&Cell {
        name: "reentrant lock waiters",
        auditor: audit,
        victims: work,
        others: work,
        pause: 1000,
        creation: false,
        aim: |ledger, pid| ![0, pid].contains(&ledger.inside.load(SeqCst)),
    });
}

/// The first process of each lock dies, often while it makes it.
pub fn creators_killed() {
    run(&Cell {
        name: "reentrant lock creators",
        auditor: audit,
        victims: work,
        others: work,
        pause: 2000,
        creation: true,
        aim: |_, _| true,
    });
}

fn open() -> ReentrantLock<Counts> {
    ReentrantLock::open_or_create(NAME, [0; DEPTH]).expect("open or create")
}

/// Takes the lock, from the living or the dead, and checks what it finds.
fn enter<'l>(lock: &'l ReentrantLock<Counts>, ledger: &Ledger) -> ReentrantGuard<'l, Counts> {
    loop {
        match lock.lock() {
            Ok(guard) => {
                let before = ledger.inside.swap(std::process::id(), SeqCst);
                assert_eq!(before, 0, "two processes hold the lock");
                let [first, rest @ ..] = guard.get();
                assert_eq!(rest, [first; DEPTH - 1], "half changed, and not marked");
                assert_eq!(guard.depth(), 1, "a depth of the dead");
                return guard;
            }
            Err(LockError::OwnerDied { .. }) => {}
            Err(other) => panic!("{other}"),
        }
        let guard = lock.recover().expect("recover");
        // Somebody else may have been faster, mended it and left.
        if guard.is_marked() {
            ledger.deaths.fetch_add(1, SeqCst);
            ledger.inside.store(std::process::id(), SeqCst);
            assert_eq!(guard.depth(), 1, "a depth of the dead");
            guard.update(|counts| *counts = [counts[0]; DEPTH]);
            guard.mark_consistent();
            return guard;
        }
        drop(guard);
    }
}

/// Adds to one number at each depth.
fn add(lock: &ReentrantLock<Counts>, depth: usize) {
    if depth == DEPTH {
        return;
    }
    let guard = lock.lock().expect("this thread's");
    guard.update(|counts| counts[depth] += 1);
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_micros(30) {
        std::hint::spin_loop();
    }
    add(lock, depth + 1);
}

fn work(ledger: &Ledger) {
    let lock = open();
    while !ledger.gates.stop.is_open() {
        ledger.begun.fetch_add(1, SeqCst);
        let guard = enter(&lock, ledger);
        add(&lock, 0);
        ledger.inside.store(0, SeqCst);
        drop(guard);
        ledger.finished.fetch_add(1, SeqCst);
        witness::moved();
        std::thread::sleep(Duration::from_micros(20)); // the pace of this cell; nothing is waited for
    }
}

/// In the end the lock is free or marked, and holds every increment that was finished.
fn audit(ledger: &Ledger) {
    let lock = open();
    ledger.gates.until_audit();
    let guard = enter(&lock, ledger);
    let (finished, begun) = (ledger.finished.load(SeqCst), ledger.begun.load(SeqCst));
    let [value, ..] = guard.get();
    assert!(
        (finished..=begun).contains(&value),
        "{value} of {finished} to {begun} increments"
    );
}
