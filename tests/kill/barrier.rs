//! The barrier's cells: those who wait at it, those on their way, who runs its action, and its creator are killed.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use multiproc::{Barrier, BarrierError};

use crate::cell::{Books, Cell, Gates, HANG, run};
use crate::common::board::Zeroed;
use crate::witness;

const NAME: &str = "barrier";

/// The books of one round.
#[derive(Debug)]
pub struct Ledger {
    gates: Gates,
    begun: AtomicU64,
    ended: AtomicU64,
    /// Turns by index.
    passed: [AtomicU64; 2],
    told: AtomicU64,
    /// Who came to the barrier last, set off for it last, and acts, by process id.
    here: AtomicU32,
    away: AtomicU32,
    acting: AtomicU32,
}

// SAFETY: gates and atomics.
unsafe impl Zeroed for Ledger {}

impl Books for Ledger {
    const COUNTED: [&'static str; 2] = ["turns", "broken rounds"];

    fn gates(&self) -> &Gates {
        &self.gates
    }

    fn counts(&self) -> [u64; 2] {
        let passed = self.passed.iter().map(|n| n.load(SeqCst)).sum();
        [passed, self.told.load(SeqCst)]
    }
}

const CELL: Cell<Ledger> = Cell {
    name: "barrier",
    auditor: audit,
    victims: work,
    others: work,
    pause: 1000,
    creation: false,
    aim: |_, _| true,
};

/// Every kill hits somebody who has arrived, or is about to.
pub fn waiters_killed() {
    run(&Cell {
        name: "barrier waiters",
        aim: |ledger: &Ledger, pid| ledger.here.load(SeqCst) == pid,
        ..CELL
    });
}

/// Every kill hits somebody whom the others wait for.
pub fn latecomers_killed() {
    run(&Cell {
        name: "barrier latecomers",
        aim: |ledger: &Ledger, pid| ledger.away.load(SeqCst) == pid,
        ..CELL
    });
}

/// Every kill hits the one that runs the action.
pub fn actors_killed() {
    run(&Cell {
        name: "barrier actors",
        victims: act,
        others: act,
        aim: |ledger: &Ledger, pid| ledger.acting.load(SeqCst) == pid,
        ..CELL
    });
}

/// The first process of each barrier dies, often while it makes it.
pub fn creators_killed() {
    run(&Cell {
        name: "barrier creators",
        pause: 2000,
        creation: true,
        ..CELL
    });
}

fn open() -> Barrier {
    Barrier::open_or_create(NAME, 2).expect("open or create")
}

fn spin(time: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// One round, which is passed or broken; whoever hears that it is broken begins anew.
fn meet(barrier: &Barrier, ledger: &Ledger) {
    ledger.begun.fetch_add(1, SeqCst);
    ledger.here.store(std::process::id(), SeqCst);
    match barrier.wait_timeout(HANG) {
        Ok(turn) => {
            ledger.passed[turn.index() as usize].fetch_add(1, SeqCst);
        }
        Err(BarrierError::Timeout) => panic!("waited for the dead"),
        Err(_) => {
            ledger.told.fetch_add(1, SeqCst);
            // Somebody else may have done so; once more would break it for those who wait again.
            if barrier.is_broken() {
                barrier.reset();
            }
        }
    }
    ledger.ended.fetch_add(1, SeqCst);
    witness::moved();
}

/// Pairs of the processes meet, whoever comes first.
fn work(ledger: &Ledger) {
    let barrier = open();
    while !ledger.gates.stop.is_open() {
        ledger.away.store(std::process::id(), SeqCst);
        spin(Duration::from_micros(50));
        meet(&barrier, ledger);
    }
    leave(&barrier);
}

/// Who waits still is told: for all that the barrier knows, the auditor is one who may come to meet him.
fn leave(barrier: &Barrier) {
    barrier.abort();
}

/// The same, with an action that takes its time.
fn act(ledger: &Ledger) {
    // The books outlive everybody; a closure that is kept by a handle may borrow nothing shorter.
    // SAFETY: the board is mapped until this process ends.
    let books: &'static Ledger = unsafe { &*std::ptr::from_ref(ledger) };
    let barrier = open().with_action(|| {
        books.acting.store(std::process::id(), SeqCst);
        spin(Duration::from_micros(100));
        books.acting.store(0, SeqCst);
    });
    while !ledger.gates.stop.is_open() {
        meet(&barrier, ledger);
    }
    leave(&barrier);
}

/// In the end the barrier works, and nobody passed alone but beside somebody who was killed.
fn audit(ledger: &Ledger) {
    let barrier = open();
    ledger.gates.until_audit();
    let [first, last] = ledger.passed.each_ref().map(|n| n.load(SeqCst));
    let killed = ledger.begun.load(SeqCst) - ledger.ended.load(SeqCst);
    assert!(
        first.abs_diff(last) <= killed,
        "{first} came first and {last} last, {killed} killed"
    );
    barrier.reset();
    let turns = std::thread::scope(|scope| {
        let other = scope.spawn(|| barrier.wait_timeout(HANG));
        [barrier.wait_timeout(HANG), other.join().expect("a turn")]
    });
    assert!(turns.iter().all(Result::is_ok), "{turns:?}");
}
