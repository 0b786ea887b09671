//! Transactions: whoever changes several objects at once is killed, while others do the same, and look.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use multiproc::{Cell as OneCell, Dict, Manager, Result};

use crate::cell::{Books, Cell, Gates, run};
use crate::common::board::Zeroed;
use crate::common::numbers::Random;
use crate::witness;

const NAME: &str = "manager";
/// Small, so that what is not used again is missed.
const LIMIT: u64 = 8 << 20;
/// Accounts, of which those that are empty are not there.
const ACCOUNTS: u64 = 8;

/// The books of one round.
#[derive(Debug)]
pub struct Ledger {
    gates: Gates,
    /// Transfers that have returned, and that were begun.
    done: AtomicU64,
    begun: AtomicU64,
}

// SAFETY: gates and atomics.
unsafe impl Zeroed for Ledger {}

impl Books for Ledger {
    const COUNTED: [&'static str; 2] = ["transfers", "transfers begun"];

    fn gates(&self) -> &Gates {
        &self.gates
    }

    fn counts(&self) -> [u64; 2] {
        [self.done.load(SeqCst), self.begun.load(SeqCst)]
    }
}

/// Who is in the middle of a transaction is killed at any instant.
pub fn writers_killed() {
    run(&Cell {
        name: "transaction writers",
        auditor: audit,
        victims: transfer,
        others: transfer,
        pause: 1000,
        creation: false,
        aim: |_: &Ledger, _| true,
    });
}

struct Bank {
    manager: Manager,
    accounts: Dict<u64, i64>,
    /// Each transfer adds one to both.
    counts: [OneCell<u64>; 2],
}

fn open() -> Bank {
    let manager = Manager::builder().name(NAME).limit(LIMIT);
    let manager = manager.open_or_create().expect("open or create");
    let count = |name| manager.cell(name, 0_u64).expect("a cell");
    Bank {
        accounts: manager.dict("accounts").expect("the dictionary"),
        counts: ["first", "second"].map(count),
        manager,
    }
}

fn move_some(bank: &Bank, [from, to]: [u64; 2], amount: i64) -> Result<()> {
    bank.manager.transaction(|t| {
        for (key, change) in [(from, -amount), (to, amount)] {
            let now = t.dict(&bank.accounts).get(&key)?.unwrap_or(0) + change;
            match now {
                0 => drop(t.dict(&bank.accounts).remove(&key)?),
                _ => drop(t.dict(&bank.accounts).insert(&key, now)?),
            }
        }
        for count in &bank.counts {
            let now = t.cell(count).get()?;
            t.cell(count).set(now + 1)?;
        }
        Ok(())
    })
}

fn transfer(ledger: &Ledger) {
    assert!(ledger.gates.joined.wait());
    let bank = open();
    let mut random = Random::new(std::process::id().into());
    while !ledger.gates.stop.is_open() {
        let between = [random.below(ACCOUNTS), random.below(ACCOUNTS)];
        let amount = random.below(3) as i64;
        ledger.begun.fetch_add(1, SeqCst);
        move_some(&bank, between, amount).expect("a transfer");
        ledger.done.fetch_add(1, SeqCst);
        look(&bank);
        witness::moved();
    }
}

/// Without a lock: who sees the one count sees the other, or a later one.
fn look(bank: &Bank) {
    let [first, second] = &bank.counts;
    let one = first.get_owned().expect("get");
    let two = second.get_owned().expect("get");
    let again = first.get_owned().expect("get");
    assert!((one..=again).contains(&two), "half of it");
}

/// Every transfer that returned has happened, and none that was not begun; none by halves.
fn audit(ledger: &Ledger) {
    let bank = open();
    ledger.gates.until_audit();
    let [done, begun] = ledger.counts();
    let [first, second] = bank
        .counts
        .each_ref()
        .map(|count| count.get_owned().expect("get"));
    assert_eq!(first, second, "half of it");
    assert!(
        (done..=begun).contains(&first),
        "{first} of {done} to {begun}"
    );
    let all = bank.accounts.snapshot().expect("snapshot");
    assert_eq!(all.iter().map(|(_, amount)| amount).sum::<i64>(), 0);
    assert_eq!(bank.accounts.len().expect("len"), all.len());
    assert!(all.iter().all(|(_, amount)| *amount != 0));
}
