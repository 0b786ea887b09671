//! The lock's cells: its holder, those who wait for it, and its creator are killed.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use multiproc::{Lock, LockError, LockGuard};

use crate::cell::{Books, Cell, Gates, HANG, run};
use crate::common::board::{Zeroed, eventually};
use crate::witness;

const NAME: &str = "lock";

type Pair = [u64; 2];

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

/// Every kill hits the holder, in the middle of its work.
pub fn holders_killed() {
    run(&Cell {
        name: "lock holders",
        auditor: audit,
        victims: work,
        others: work,
        pause: 1000,
        creation: false,
        aim: holds,
    });
}

/// Every kill hits somebody who does not hold the lock, and therefore nearly always waits for it.
pub fn waiters_killed() {
    run(&Cell {
        name: "lock waiters",
        auditor: audit,
        victims: work,
        others: work,
        pause: 1000,
        creation: false,
        aim: waits,
    });
}

/// Kills at random instants of a loop that does nothing but lock and unlock.
pub fn hurried_killed() {
    run(&Cell {
        name: "lock users at random",
        auditor: audit,
        victims: hurry,
        others: hurry,
        pause: 1000,
        creation: false,
        aim: |_, _| true,
    });
}

/// The first process of each lock dies, often while it makes it.
pub fn creators_killed() {
    run(&Cell {
        name: "lock creators",
        auditor: audit,
        victims: work,
        others: work,
        pause: 2000,
        creation: true,
        aim: |_, _| true,
    });
}

fn holds(ledger: &Ledger, pid: u32) -> bool {
    ledger.inside.load(SeqCst) == pid
}

fn waits(ledger: &Ledger, pid: u32) -> bool {
    let inside = ledger.inside.load(SeqCst);
    inside != 0 && inside != pid
}

fn open() -> Lock<Pair> {
    Lock::open_or_create(NAME, [0, 0]).expect("open or create")
}

/// Takes the lock, from the living or the dead, and checks what it finds.
fn enter<'l>(lock: &'l Lock<Pair>, ledger: &Ledger) -> LockGuard<'l, Pair> {
    loop {
        match lock.lock() {
            Ok(guard) => {
                let before = ledger.inside.swap(std::process::id(), SeqCst);
                assert_eq!(before, 0, "two processes hold the lock");
                assert_eq!(guard[0], guard[1], "half changed, and not marked");
                return guard;
            }
            Err(LockError::OwnerDied { .. }) => {}
            Err(other) => panic!("{other}"),
        }
        let mut guard = lock.recover().expect("recover");
        // Somebody else may have been faster, mended it and left.
        if guard.is_marked() {
            ledger.deaths.fetch_add(1, SeqCst);
            ledger.inside.store(std::process::id(), SeqCst);
            guard[1] = guard[0];
            guard.mark_consistent();
            return guard;
        }
        drop(guard);
    }
}

fn add(lock: &Lock<Pair>, ledger: &Ledger, inside: Duration) {
    ledger.begun.fetch_add(1, SeqCst);
    let mut guard = enter(lock, ledger);
    guard[0] += 1;
    let begin = Instant::now();
    while begin.elapsed() < inside {
        std::hint::spin_loop();
    }
    guard[1] += 1;
    ledger.inside.store(0, SeqCst);
    drop(guard);
    ledger.finished.fetch_add(1, SeqCst);
    witness::moved();
}

/// Stays inside for a while, so that others wait, and then lets them in.
fn work(ledger: &Ledger) {
    let lock = open();
    while !ledger.gates.stop.is_open() {
        add(&lock, ledger, Duration::from_micros(100));
        std::thread::sleep(Duration::from_micros(20)); // the pace of this cell; nothing is waited for
    }
}

fn hurry(ledger: &Ledger) {
    let lock = open();
    while !ledger.gates.stop.is_open() {
        add(&lock, ledger, Duration::ZERO);
    }
}

/// In the end the lock is free or marked, and holds every increment that was finished.
fn audit(ledger: &Ledger) {
    let lock = open();
    ledger.gates.until_audit();
    let mut value = 0;
    let taken = eventually(HANG, || {
        let guard = enter(&lock, ledger);
        value = guard[0];
        ledger.inside.store(0, SeqCst);
        true
    });
    assert!(taken);
    let (finished, begun) = (ledger.finished.load(SeqCst), ledger.begun.load(SeqCst));
    assert!(
        (finished..=begun).contains(&value),
        "{value} of {finished} to {begun} increments"
    );
}
