//! The cells of the lock for readers and writers: readers, writers and those who wait for either are killed.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use multiproc::{LockError, RwLock, WriteGuard};

use crate::cell::{Books, Cell, Gates, run};
use crate::common::board::Zeroed;
use crate::witness;

const NAME: &str = "rwlock";

/// All equal whenever nobody writes.
type Counts = [u64; 4];

/// The books of one round.
#[derive(Debug)]
pub struct Ledger {
    gates: Gates,
    begun: AtomicU64,
    finished: AtomicU64,
    deaths: AtomicU64,
    /// Who changes the data, by its process id.
    writing: AtomicU32,
    /// One of those who look, by its process id.
    reading: AtomicU32,
}

// SAFETY: gates and atomics.
unsafe impl Zeroed for Ledger {}

impl Books for Ledger {
    const COUNTED: [&'static str; 2] = ["changes", "owner deaths"];

    fn gates(&self) -> &Gates {
        &self.gates
    }

    fn counts(&self) -> [u64; 2] {
        [self.finished.load(SeqCst), self.deaths.load(SeqCst)]
    }
}

const CELL: Cell<Ledger> = Cell {
    name: "",
    auditor: audit,
    victims: work,
    others: work,
    pause: 1000,
    creation: false,
    aim: |_, _| true,
};

/// Every kill hits one who looks.
pub fn readers_killed() {
    run(&Cell {
        name: "rwlock readers",
        victims: look_on,
        aim: |ledger: &Ledger, pid| ledger.reading.load(SeqCst) == pid,
        ..CELL
    });
}

/// Every kill hits the one who changes the data.
pub fn writers_killed() {
    run(&Cell {
        name: "rwlock writers",
        aim: |ledger: &Ledger, pid| ledger.writing.load(SeqCst) == pid,
        ..CELL
    });
}

/// Every kill hits somebody while another changes the data, and therefore nearly always one who waits.
pub fn waiters_killed() {
    run(&Cell {
        name: "rwlock waiters",
        aim: |ledger: &Ledger, pid| ![0, pid].contains(&ledger.writing.load(SeqCst)),
        ..CELL
    });
}

/// The first to make the lock is killed.
pub fn creators_killed() {
    run(&Cell {
        name: "rwlock creators",
        creation: true,
        ..CELL
    });
}

fn open() -> RwLock<Counts> {
    RwLock::open_or_create(NAME, [0; 4]).expect("open or create")
}

/// Takes the lock for changing, from the living or the dead, and checks what it finds.
fn enter<'l>(lock: &'l RwLock<Counts>, ledger: &Ledger) -> WriteGuard<'l, Counts> {
    loop {
        match lock.write() {
            Ok(guard) => {
                let before = ledger.writing.swap(std::process::id(), SeqCst);
                assert_eq!(before, 0, "two processes write");
                assert_eq!(*guard, [guard[0]; 4], "half changed, and not marked");
                return guard;
            }
            Err(LockError::OwnerDied { .. }) => {}
            Err(other) => panic!("{other}"),
        }
        let mut guard = lock.recover().expect("recover");
        // Somebody else may have been faster, mended it and left.
        if guard.is_marked() {
            ledger.deaths.fetch_add(1, SeqCst);
            ledger.writing.store(std::process::id(), SeqCst);
            *guard = [guard[0]; 4];
            guard.mark_consistent();
            return guard;
        }
        drop(guard);
    }
}

fn look(lock: &RwLock<Counts>, ledger: &Ledger) {
    match lock.read() {
        Ok(guard) => {
            ledger.reading.store(std::process::id(), SeqCst);
            let first = guard[0];
            linger();
            assert_eq!(*guard, [first; 4], "read beside a writer");
            ledger.reading.store(0, SeqCst);
        }
        Err(LockError::OwnerDied { .. }) => {}
        Err(other) => panic!("{other}"),
    }
}

fn change(lock: &RwLock<Counts>, ledger: &Ledger) {
    ledger.begun.fetch_add(1, SeqCst);
    let mut guard = enter(lock, ledger);
    for n in 0..4 {
        guard[n] += 1;
        linger();
    }
    ledger.writing.store(0, SeqCst);
    drop(guard);
    ledger.finished.fetch_add(1, SeqCst);
}

fn linger() {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_micros(15) {
        std::hint::spin_loop();
    }
}

fn work(ledger: &Ledger) {
    let lock = open();
    while !ledger.gates.stop.is_open() {
        look(&lock, ledger);
        change(&lock, ledger);
        witness::moved();
        std::thread::sleep(Duration::from_micros(20)); // the pace of this cell; nothing is waited for
    }
}

fn look_on(ledger: &Ledger) {
    let lock = open();
    while !ledger.gates.stop.is_open() {
        look(&lock, ledger);
        witness::moved();
    }
}

/// In the end the lock is free or marked, and holds every change that was finished.
fn audit(ledger: &Ledger) {
    let lock = open();
    ledger.gates.until_audit();
    let guard = enter(&lock, ledger);
    let (finished, begun) = (ledger.finished.load(SeqCst), ledger.begun.load(SeqCst));
    assert!(
        (finished..=begun).contains(&guard[0]),
        "{} of {finished} to {begun} changes",
        guard[0]
    );
}
