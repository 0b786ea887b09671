//! The dictionary of a manager: who changes it is killed, and who reads, while it grows and shrinks.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use multiproc::{Dict, Manager};

use crate::cell::{Books, Cell, Gates, run};
use crate::common::board::Zeroed;
use crate::common::numbers::Random;
use crate::witness;

const NAME: &str = "manager";
/// Small, so that what is not used again is missed.
const LIMIT: u64 = 8 << 20;
/// Keys with sums; those above come and go.
const SUMS: u64 = 64;
const KEYS: u64 = 4000;

/// The books of one round.
#[derive(Debug)]
pub struct Ledger {
    gates: Gates,
    /// Additions that have returned, and that were begun.
    done: AtomicU64,
    begun: AtomicU64,
}

// SAFETY: gates and atomics.
unsafe impl Zeroed for Ledger {}

impl Books for Ledger {
    const COUNTED: [&'static str; 2] = ["additions", "additions begun"];

    fn gates(&self) -> &Gates {
        &self.gates
    }

    fn counts(&self) -> [u64; 2] {
        [self.done.load(SeqCst), self.begun.load(SeqCst)]
    }
}

const CELL: Cell<Ledger> = Cell {
    name: "dict writers",
    auditor: audit,
    victims: change,
    others: change,
    pause: 1000,
    creation: false,
    aim: |_: &Ledger, _| true,
};

/// Who changes entries is killed at any instant.
pub fn writers_killed() {
    run(&CELL);
}

/// Who reads is killed, with a guard in hand or not.
pub fn readers_killed() {
    run(&Cell {
        name: "dict readers",
        victims: read,
        ..CELL
    });
}

/// A number, and copies of it of any number, so that half a value shows.
type Value = (u64, Vec<u64>);

fn value(number: u64) -> Value {
    (number, vec![number; number as usize % 50])
}

fn open() -> Dict<u64, Value> {
    let manager = Manager::builder().name(NAME).limit(LIMIT);
    let manager = manager.open_or_create().expect("open or create");
    manager.dict("dict").expect("the dictionary")
}

fn look(dict: &Dict<u64, Value>, key: u64) -> u64 {
    let Some(seen) = dict.get(&key).expect("get") else {
        return 0;
    };
    let (number, copies) = (seen.0.to_native(), &seen.1);
    assert_eq!(copies.len(), number as usize % 50, "torn");
    assert!(copies.iter().all(|&copy| copy == number), "torn");
    number
}

fn add(dict: &Dict<u64, Value>, key: u64, ledger: &Ledger) {
    ledger.begun.fetch_add(1, SeqCst);
    let sum = |old: Option<&<Value as multiproc::Message>::View>| {
        value(old.map_or(0, |old| old.0.to_native()) + 1)
    };
    dict.upsert(&key, sum).expect("upsert");
    ledger.done.fetch_add(1, SeqCst);
}

fn change(ledger: &Ledger) {
    assert!(ledger.gates.joined.wait());
    let dict = open();
    let mut random = Random::new(std::process::id().into());
    while !ledger.gates.stop.is_open() {
        add(&dict, random.below(SUMS), ledger);
        let key = SUMS + random.below(KEYS);
        match random.below(2) {
            0 => drop(dict.insert(&key, value(key)).expect("insert")),
            _ => drop(dict.remove(&key).expect("remove")),
        }
        witness::moved();
    }
}

fn read(ledger: &Ledger) {
    assert!(ledger.gates.joined.wait());
    let dict = open();
    let mut random = Random::new(std::process::id().into());
    while !ledger.gates.stop.is_open() {
        let key = random.below(SUMS + KEYS);
        let number = look(&dict, key);
        assert!(
            key < SUMS || number == 0 || number == key,
            "another's value"
        );
        witness::moved();
    }
}

/// Every addition that returned has happened, and none that was not begun; what is counted is there.
fn audit(ledger: &Ledger) {
    let dict = open();
    ledger.gates.until_audit();
    let [done, begun] = ledger.counts();
    let sum = (0..SUMS).map(|key| look(&dict, key)).sum();
    assert!((done..=begun).contains(&sum), "{sum} of {done} to {begun}");
    let all = dict.snapshot().expect("snapshot");
    assert_eq!(dict.len().expect("len"), all.len());
    assert!(
        all.iter()
            .all(|(key, value)| *key < SUMS || value.0 == *key)
    );
    for key in SUMS..SUMS + KEYS {
        dict.insert(&key, value(key)).expect("insert");
    }
}
