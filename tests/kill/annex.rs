//! What a manager has beside cells: the holders of an array's lock are killed, and those who make its primitives.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

use multiproc::{Array, ArrayGuard, Counter, LockError, Manager, Queue};

use crate::cell::{Books, Cell, Gates, run};
use crate::common::board::Zeroed;
use crate::witness;

const NAME: &str = "manager";
const LIMIT: u64 = 4 << 20;

/// The books of one round.
#[derive(Debug)]
pub struct Ledger {
    gates: Gates,
    begun: AtomicU64,
    finished: AtomicU64,
    /// Who is between lock and unlock, by its process id.
    inside: AtomicU32,
}

// SAFETY: gates and atomics.
unsafe impl Zeroed for Ledger {}

impl Books for Ledger {
    const COUNTED: [&'static str; 2] = ["turns", "turns begun"];

    fn gates(&self) -> &Gates {
        &self.gates
    }

    fn counts(&self) -> [u64; 2] {
        [self.finished.load(SeqCst), self.begun.load(SeqCst)]
    }
}

/// Every kill hits the holder of an array's lock, in the middle of its work; others count in a counter.
pub fn array_holders_killed() {
    run(&Cell {
        name: "array holders",
        auditor: audit,
        victims: add,
        others: add,
        pause: 1000,
        creation: false,
        aim: |ledger: &Ledger, pid| ledger.inside.load(SeqCst) == pid,
    });
}

/// The first process dies at any instant, often while it makes a primitive of the manager.
pub fn creators_killed() {
    run(&Cell {
        name: "annex creators",
        auditor: audit_creation,
        victims: create,
        others: create,
        pause: 3000,
        creation: true,
        aim: |_: &Ledger, _| true,
    });
}

fn manager() -> Manager {
    let manager = Manager::builder().name(NAME).limit(LIMIT);
    manager.open_or_create().expect("open or create")
}

fn open() -> (Array<u64>, Counter) {
    let manager = manager();
    let array = manager.array("pair", 2, 0_u64).expect("the array");
    (array, manager.counter("counter").expect("the counter"))
}

/// Takes the lock, from the living or the dead, and checks what it finds.
fn enter<'a>(array: &'a Array<u64>, ledger: &Ledger) -> ArrayGuard<'a, u64> {
    let mut guard = match array.lock() {
        Ok(guard) => guard,
        Err(LockError::OwnerDied { .. }) => array.recover().expect("recover"),
        Err(other) => panic!("{other}"),
    };
    ledger.inside.store(std::process::id(), SeqCst);
    let pair = guard.read(..).expect("both");
    assert!(
        pair[0] == pair[1] || guard.is_marked(),
        "half changed, and not marked"
    );
    guard.write(1, &pair[..1]).expect("within");
    guard.mark_consistent();
    guard
}

fn add(ledger: &Ledger) {
    assert!(ledger.gates.joined.wait());
    let (array, counter) = open();
    while !ledger.gates.stop.is_open() {
        ledger.begun.fetch_add(1, SeqCst);
        counter.add(1);
        let mut guard = enter(&array, ledger);
        let next = guard.at(0).expect("the first").load() + 1;
        guard.write(0, &[next]).expect("within");
        guard.write(1, &[next]).expect("within");
        ledger.inside.store(0, SeqCst);
        drop(guard);
        ledger.finished.fetch_add(1, SeqCst);
        witness::moved();
    }
}

/// Every turn that was finished counts, and none that was not begun.
fn audit(ledger: &Ledger) {
    let (array, counter) = open();
    ledger.gates.until_audit();
    let [finished, begun] = ledger.counts();
    let guard = enter(&array, ledger);
    let sum = guard.at(0).expect("the first").load();
    assert!(
        (finished..=begun).contains(&sum),
        "{sum} of {finished} to {begun}"
    );
    let sum = counter.get() as u64;
    assert!(
        (finished..=begun).contains(&sum),
        "{sum} of {finished} to {begun}"
    );
}

fn create(ledger: &Ledger) {
    let manager = manager();
    let mut turn = 0;
    while !ledger.gates.stop.is_open() {
        ledger.begun.fetch_add(1, SeqCst);
        turn = (turn + 1) % 8;
        let queue: Queue<u64> = manager.queue(&format!("queue {turn}"), 2).expect("a queue");
        let _full = queue.try_put(turn);
        let event = manager.event(&format!("event {turn}"));
        event.expect("an event").set();
        ledger.finished.fetch_add(1, SeqCst);
        witness::moved();
    }
}

fn audit_creation(ledger: &Ledger) {
    let manager = manager();
    ledger.gates.until_audit();
    for name in manager.names().expect("names") {
        match name.split_once(' ') {
            Some(("queue", turn)) => {
                let queue = manager.find::<Queue<u64>>(&name).expect("the queue");
                let turn: u64 = turn.parse().expect("a number");
                assert!(queue.try_iter().all(|message| *message == turn));
            }
            _ => assert!(manager.event(&name).is_ok()),
        }
    }
}
