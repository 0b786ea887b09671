//! The cells of the once: who makes a value, and who made the object, are killed.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use multiproc::OnceValue;

use crate::cell::{Books, Cell, Gates, HANG, run};
use crate::common::board::Zeroed;
use crate::witness;

/// Values that a round makes one after the other, at most.
const VALUES: usize = 400;

type Pair = [u64; 2];

/// The books of one round.
#[derive(Debug)]
pub struct Ledger {
    gates: Gates,
    /// Which value is being made.
    current: AtomicU64,
    begun: AtomicU64,
    made: AtomicU64,
    /// Who makes it, by its process id.
    maker: AtomicU32,
    /// What the first to read a value found in it.
    seen: [AtomicU64; VALUES],
}

// SAFETY: gates and atomics.
unsafe impl Zeroed for Ledger {}

impl Books for Ledger {
    const COUNTED: [&'static str; 2] = ["values", "initialisers that ended"];

    fn gates(&self) -> &Gates {
        &self.gates
    }

    fn counts(&self) -> [u64; 2] {
        let made = self.made.load(SeqCst);
        [self.current.load(SeqCst), made]
    }
}

const CELL: Cell<Ledger> = Cell {
    name: "once initialisers",
    auditor: audit,
    victims: work,
    others: work,
    pause: 1000,
    creation: false,
    aim: |ledger: &Ledger, pid| ledger.maker.load(SeqCst) == pid,
};

/// Every kill hits the one that makes a value.
pub fn initialisers_killed() {
    run(&CELL);
}

/// The first process dies at any instant, often while it makes the object.
pub fn creators_killed() {
    run(&Cell {
        name: "once creators",
        auditor: audit_one,
        victims: work_at_one,
        others: work_at_one,
        pause: 2000,
        creation: true,
        aim: |_: &Ledger, _| true,
    });
}

fn open(n: u64) -> OnceValue<Pair> {
    OnceValue::open_or_create(&format!("once-{n}")).expect("open or create")
}

/// A pair that only this call makes, in some time.
fn make(ledger: &Ledger) -> Pair {
    let ticket = ledger.begun.fetch_add(1, SeqCst) + 1;
    ledger.maker.store(std::process::id(), SeqCst);
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_micros(200) {
        std::hint::spin_loop();
    }
    ledger.maker.store(0, SeqCst);
    ledger.made.fetch_add(1, SeqCst);
    [ticket; 2]
}

/// Gets value `n`, which everybody finds to be the same.
fn get(once: &OnceValue<Pair>, ledger: &Ledger, n: u64) {
    let value = once.get_or_init_timeout(HANG, || make(ledger));
    let [one, two] = *value.expect("waited for the dead");
    assert_eq!(one, two, "half a value");
    let seen = ledger.seen[n as usize].compare_exchange(0, one, SeqCst, SeqCst);
    assert!(seen.is_ok() || seen == Err(one), "made twice");
    witness::moved();
}

/// Everybody makes or reads one value after the other.
fn work(ledger: &Ledger) {
    assert!(ledger.gates.joined.wait());
    while !ledger.gates.stop.is_open() {
        let n = ledger.current.load(SeqCst).min(VALUES as u64 - 1);
        get(&open(n), ledger, n);
        let _ = ledger.current.compare_exchange(n, n + 1, SeqCst, SeqCst);
        std::thread::sleep(Duration::from_millis(1)); // the pace of this cell; nothing is waited for
    }
}

/// All values are there to the end, so that whoever comes late finds what the first one made.
fn audit(ledger: &Ledger) {
    let values: Vec<_> = (0..VALUES as u64).map(open).collect();
    ledger.gates.until_audit();
    for (n, value) in (0..).zip(&values) {
        get(value, ledger, n);
    }
}

/// One value, which is there from the first to the last.
fn work_at_one(ledger: &Ledger) {
    let once = open(0);
    while !ledger.gates.stop.is_open() {
        let value = once.get_or_init_timeout(HANG, || make(ledger));
        let [one, two] = *value.expect("waited for the dead");
        assert_eq!(one, two, "half a value");
        std::thread::sleep(Duration::from_micros(50)); // the pace of this cell; nothing is waited for
        witness::moved();
    }
}

fn audit_one(ledger: &Ledger) {
    let once = open(0);
    ledger.gates.until_audit();
    get(&once, ledger, 0);
}
