//! The condition's cells: those who wait, those who notify, its holder and its creator are killed.
//!
//! There is one permit at most, and it is given anew only when it was taken. Whoever notifies does it with the lock held: if
//! it dies in between those who wait hear of it. So a single notification that is lost leaves all takers asleep.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use multiproc::{Condition, ConditionError, ConditionGuard, LockError, wait_any};

use crate::cell::{Books, Cell, Gates, run};
use crate::common::board::Zeroed;
use crate::witness;

const NAME: &str = "condition";

/// How many permits there are, and how many were taken.
type Permits = [u64; 2];

/// The books of one round.
#[derive(Debug)]
pub struct Ledger {
    gates: Gates,
    begun: AtomicU64,
    finished: AtomicU64,
    deaths: AtomicU64,
    /// Who has the lock, by its process id.
    inside: AtomicU32,
    /// Somebody was notified and has not come yet.
    due: AtomicU32,
}

// SAFETY: gates and atomics.
unsafe impl Zeroed for Ledger {}

impl Books for Ledger {
    const COUNTED: [&'static str; 2] = ["permits taken", "owner deaths"];

    fn gates(&self) -> &Gates {
        &self.gates
    }

    fn counts(&self) -> [u64; 2] {
        [self.finished.load(SeqCst), self.deaths.load(SeqCst)]
    }
}

/// Every kill hits one of those who wait, mostly just after one of them was notified.
pub fn waiters_killed() {
    run(&Cell {
        name: "condition waiters",
        auditor: audit,
        victims: take,
        others: give,
        pause: 1000,
        creation: false,
        aim: |ledger, pid| ledger.due.load(SeqCst) == 1 && ledger.inside.load(SeqCst) != pid,
    });
}

/// The same, of those who are registered and sleep elsewhere.
pub fn watchers_killed() {
    run(&Cell {
        name: "condition watchers",
        auditor: audit,
        victims: take_watching,
        others: give,
        pause: 1000,
        creation: false,
        aim: |ledger, pid| ledger.due.load(SeqCst) == 1 && ledger.inside.load(SeqCst) != pid,
    });
}

/// Every kill hits somebody who gives a permit and notifies.
pub fn notifiers_killed() {
    run(&Cell {
        name: "condition notifiers",
        auditor: audit,
        victims: give,
        others: take,
        pause: 1000,
        creation: false,
        aim: holds,
    });
}

/// Every kill hits somebody who was notified and has the lock again.
pub fn holders_killed() {
    run(&Cell {
        name: "condition holders",
        auditor: audit,
        victims: take,
        others: give,
        pause: 1000,
        creation: false,
        aim: holds,
    });
}

/// The first process of each condition dies, often while it makes it.
pub fn creators_killed() {
    run(&Cell {
        name: "condition creators",
        auditor: audit,
        victims: give,
        others: take,
        pause: 2000,
        creation: true,
        aim: |_, _| true,
    });
}

fn holds(ledger: &Ledger, pid: u32) -> bool {
    ledger.inside.load(SeqCst) == pid
}

fn open() -> Condition<Permits> {
    Condition::open_or_create(NAME, [0, 0]).expect("open or create")
}

/// The lock was taken in the ordinary way.
fn arrived(ledger: &Ledger) {
    let me = std::process::id();
    let before = ledger.inside.swap(me, SeqCst);
    assert!(before == 0 || before == me, "two processes hold the lock");
}

/// The lock was taken from the dead, who has changed all or nothing.
fn mend(guard: &mut ConditionGuard<'_, Permits>, ledger: &Ledger) {
    ledger.deaths.fetch_add(1, SeqCst);
    ledger.inside.store(std::process::id(), SeqCst);
    assert!(guard[0] <= 1);
    guard.mark_consistent();
}

fn enter<'c>(condition: &'c Condition<Permits>, ledger: &Ledger) -> ConditionGuard<'c, Permits> {
    loop {
        match condition.lock() {
            Ok(guard) => {
                arrived(ledger);
                return guard;
            }
            Err(LockError::OwnerDied { .. }) => {}
            Err(other) => panic!("{other}"),
        }
        let mut guard = condition.recover().expect("recover");
        // Somebody else may have been faster, mended it and left.
        if guard.is_marked() {
            mend(&mut guard, ledger);
            return guard;
        }
        drop(guard);
    }
}

fn leave(guard: ConditionGuard<'_, Permits>, ledger: &Ledger) {
    ledger.inside.store(0, SeqCst);
    drop(guard);
}

fn stay(time: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// Waits for permits and takes them.
fn take(ledger: &Ledger) {
    let condition = open();
    while !ledger.gates.stop.is_open() {
        let mut guard = enter(&condition, ledger);
        let is_missing = |permits: &mut Permits| {
            arrived(ledger);
            let missing = permits[0] == 0 && !ledger.gates.stop.is_open();
            if missing {
                ledger.inside.store(0, SeqCst); // and gives the lock up
            }
            missing
        };
        match guard.wait_while(is_missing) {
            Ok(()) => {}
            Err(ConditionError::OwnerDied { .. }) => mend(&mut guard, ledger),
            Err(other) => panic!("{other}"),
        }
        take_one(guard, ledger);
    }
}

fn take_one(mut guard: ConditionGuard<'_, Permits>, ledger: &Ledger) {
    if guard[0] > 0 {
        ledger.due.store(0, SeqCst);
        ledger.begun.fetch_add(1, SeqCst);
        *guard = [guard[0] - 1, guard[1] + 1];
        stay(Duration::from_micros(20));
        ledger.finished.fetch_add(1, SeqCst);
    }
    leave(guard, ledger);
    witness::moved();
}

/// Waits for permits among other things, and takes them.
fn take_watching(ledger: &Ledger) {
    let condition = open();
    while !ledger.gates.stop.is_open() {
        let mut guard = enter(&condition, ledger);
        while guard[0] == 0 && !ledger.gates.stop.is_open() {
            ledger.inside.store(0, SeqCst); // and gives the lock up
            let waiter = guard.register().expect("room");
            wait_any(&[&waiter]).expect("a bell");
            guard = match waiter.lock() {
                Err(LockError::OwnerDied { .. }) => enter(&condition, ledger),
                taken => {
                    arrived(ledger);
                    taken.expect("only deaths")
                }
            };
        }
        take_one(guard, ledger);
    }
}

/// Gives a permit whenever there is none, and in the end lets everybody go.
fn give(ledger: &Ledger) {
    let condition = open();
    while !ledger.gates.stop.is_open() {
        let mut guard = enter(&condition, ledger);
        if guard[0] == 0 {
            guard[0] = 1;
            ledger.due.store(1, SeqCst);
            condition.notify_one();
            stay(Duration::from_micros(20));
        }
        leave(guard, ledger);
        witness::moved();
        std::thread::sleep(Duration::from_micros(20)); // the pace of this cell; nothing is waited for
    }
    let guard = enter(&condition, ledger);
    condition.notify_all();
    leave(guard, ledger);
}

/// In the end every permit is accounted for, and nobody is left in the queue.
fn audit(ledger: &Ledger) {
    let condition = open();
    ledger.gates.until_audit();
    let guard = enter(&condition, ledger);
    let (finished, begun) = (ledger.finished.load(SeqCst), ledger.begun.load(SeqCst));
    assert!(
        (finished..=begun).contains(&guard[1]),
        "{} of {finished} to {begun} permits",
        guard[1]
    );
    leave(guard, ledger);
    condition.notify_all(); // the dead, of whom nobody has needed anything yet
    assert_eq!(condition.notify_all(), 0, "somebody is left in the queue");
}
