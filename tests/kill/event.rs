//! The event's cells: those who wait and clear, those who set, and its creator are killed.
//!
//! The flag is set only where it is clear, and cleared only by those who were let through. So a single wake-up that is lost
//! leaves the waiters asleep until a slice ends, which the witnesses see.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use multiproc::{Event, TimedOut};

use crate::cell::{Books, Cell, Gates, run};
use crate::common::board::Zeroed;
use crate::witness;

const NAME: &str = "event";

/// The books of one round.
#[derive(Debug)]
pub struct Ledger {
    gates: Gates,
    set: AtomicU64,
    let_through: AtomicU64,
}

// SAFETY: gates and atomics.
unsafe impl Zeroed for Ledger {}

impl Books for Ledger {
    const COUNTED: [&'static str; 2] = ["times set", "times let through"];

    fn gates(&self) -> &Gates {
        &self.gates
    }

    fn counts(&self) -> [u64; 2] {
        [self.set.load(SeqCst), self.let_through.load(SeqCst)]
    }
}

fn cell(name: &'static str, victims: fn(&Ledger), others: fn(&Ledger), creation: bool) {
    run(&Cell {
        name,
        auditor: audit,
        victims,
        others,
        pause: if creation { 2000 } else { 1000 },
        creation,
        aim: |_, _| true,
    });
}

/// Those who wait, and who clear the flag.
pub fn waiters_killed() {
    cell("event waiters", wait, set, false);
}

/// Those who set the flag, often between that and the wake-up.
pub fn setters_killed() {
    cell("event setters", set, wait, false);
}

/// The first process of each event dies, often while it makes it.
pub fn creators_killed() {
    cell("event creators", set, wait, true);
}

fn open() -> Event {
    Event::open_or_create(NAME).expect("open or create")
}

fn wait(ledger: &Ledger) {
    let event = open();
    while !ledger.gates.stop.is_open() {
        event.wait();
        ledger.let_through.fetch_add(1, SeqCst);
        event.clear();
        witness::moved();
    }
}

fn set(ledger: &Ledger) {
    let event = open();
    while !ledger.gates.stop.is_open() {
        if !event.is_set() {
            ledger.set.fetch_add(1, SeqCst);
            event.set();
        }
        witness::moved();
        std::thread::sleep(Duration::from_micros(20)); // the pace of this cell; nothing is waited for
    }
    event.set(); // lets the last ones go, each of whom was waiting or sees the stop
}

/// In the end it does what an event does.
fn audit(ledger: &Ledger) {
    let event = open();
    ledger.gates.until_audit();
    event.set();
    event.wait();
    event.clear();
    assert_eq!(event.wait_timeout(Duration::ZERO), Err(TimedOut));
}
