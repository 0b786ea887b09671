//! The cells of the manager: writers, readers and creators are killed while others store and read.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use multiproc::{Manager, StoreError};

use crate::cell::{Books, Cell, Gates, run};
use crate::common::board::Zeroed;
use crate::witness;

const NAME: &str = "manager";
/// Small, so that what is not used again is missed.
const LIMIT: u64 = 4 << 20;

/// The books of one round.
#[derive(Debug)]
pub struct Ledger {
    gates: Gates,
    /// Updates that have returned, and that were begun.
    done: AtomicU64,
    begun: AtomicU64,
}

// SAFETY: gates and atomics.
unsafe impl Zeroed for Ledger {}

impl Books for Ledger {
    const COUNTED: [&'static str; 2] = ["updates", "updates begun"];

    fn gates(&self) -> &Gates {
        &self.gates
    }

    fn counts(&self) -> [u64; 2] {
        [self.done.load(SeqCst), self.begun.load(SeqCst)]
    }
}

const CELL: Cell<Ledger> = Cell {
    name: "manager writers",
    auditor: audit,
    victims: update,
    others: update,
    pause: 1000,
    creation: false,
    aim: |_: &Ledger, _| true,
};

/// Who changes a value is killed at any instant.
pub fn writers_killed() {
    run(&CELL);
}

/// Who reads is killed, with a guard in hand or not.
pub fn readers_killed() {
    run(&Cell {
        name: "manager readers",
        victims: read,
        ..CELL
    });
}

/// The first process dies at any instant, often while it makes the manager.
pub fn creators_killed() {
    run(&Cell {
        name: "manager creators",
        pause: 2000,
        creation: true,
        auditor: audit_creation,
        victims: create,
        others: create,
        ..CELL
    });
}

/// A sum, and copies of it of any number, so that half a value shows.
type Sum = (u64, Vec<u64>);

fn sum(number: u64) -> Sum {
    (number, vec![number; number as usize % 200])
}

fn open() -> multiproc::Cell<Sum> {
    let manager = Manager::builder().name(NAME).limit(LIMIT);
    let manager = manager.open_or_create().expect("open or create");
    manager.cell("sum", sum(0)).expect("the cell")
}

fn look(cell: &multiproc::Cell<Sum>) -> u64 {
    let seen = cell.get().expect("get");
    let (number, copies) = (seen.0.to_native(), &seen.1);
    assert_eq!(copies.len(), number as usize % 200, "torn");
    assert!(copies.iter().all(|&copy| copy == number), "torn");
    number
}

fn add(cell: &multiproc::Cell<Sum>, ledger: &Ledger) {
    ledger.begun.fetch_add(1, SeqCst);
    let stored = cell.update(|now| sum(now.0.to_native() + 1));
    if let Err(StoreError::NoSpace(full)) = &stored {
        panic!("memory was lost: {full}");
    }
    stored.expect("update");
    ledger.done.fetch_add(1, SeqCst);
}

fn update(ledger: &Ledger) {
    assert!(ledger.gates.joined.wait());
    let cell = open();
    while !ledger.gates.stop.is_open() {
        add(&cell, ledger);
        look(&cell);
        witness::moved();
    }
}

fn read(ledger: &Ledger) {
    assert!(ledger.gates.joined.wait());
    let cell = open();
    while !ledger.gates.stop.is_open() {
        let (one, two) = (cell.get().expect("get"), cell.get().expect("get"));
        assert!(one.0 <= two.0, "a value came back");
        look(&cell);
        witness::moved();
    }
}

/// Every update that returned has happened, and none that was not begun.
fn audit(ledger: &Ledger) {
    let cell = open();
    ledger.gates.until_audit();
    let [done, begun] = ledger.counts();
    let sum = look(&cell);
    assert!((done..=begun).contains(&sum), "{sum} of {done} to {begun}");
    for _ in 0..1000 {
        add(&cell, ledger);
    }
}

fn create(ledger: &Ledger) {
    let cell = open();
    while !ledger.gates.stop.is_open() {
        add(&cell, ledger);
        std::thread::sleep(std::time::Duration::from_micros(50)); // the pace of this cell; nothing is waited for
        witness::moved();
    }
}

/// Comes late: the sum may have been lost with the last of those who had it.
fn audit_creation(ledger: &Ledger) {
    let cell = open();
    ledger.gates.until_audit();
    assert!(look(&cell) <= ledger.counts()[1]);
}
