//! A struct with two locks and a counter: who holds both locks is killed.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use multiproc::{Lock, LockError, LockGuard, Shared, Value};

use crate::cell::{Books, Cell, Gates, run};
use crate::common::board::Zeroed;
use crate::witness;

const NAME: &str = "struct";

type Pair = [u64; 2];

multiproc::shared! {
    struct Job from JobInit {
        outer: Lock<Pair>,
        limit: u64,
        inner: Lock<Pair>,
        rounds: Value<u64>,
    }
}

const LIMIT: u64 = 0x1122_3344_5566_7788;

/// The books of one round.
#[derive(Debug)]
pub struct Ledger {
    gates: Gates,
    begun: AtomicU64,
    finished: AtomicU64,
    deaths: AtomicU64,
    /// Who holds both locks, by its process id.
    inside: AtomicU32,
}

// SAFETY: gates and atomics.
unsafe impl Zeroed for Ledger {}

impl Books for Ledger {
    const COUNTED: [&'static str; 2] = ["rounds", "owner deaths"];

    fn gates(&self) -> &Gates {
        &self.gates
    }

    fn counts(&self) -> [u64; 2] {
        [self.finished.load(SeqCst), self.deaths.load(SeqCst)]
    }
}

/// Every kill hits the holder of two fields, which are marked one by one.
pub fn holders_killed() {
    run(&Cell {
        name: "struct holders",
        auditor: audit,
        victims: work,
        others: work,
        pause: 1000,
        creation: false,
        aim: |ledger, pid| ledger.inside.load(SeqCst) == pid,
    });
}

/// The first process of each struct dies, often while it makes it.
pub fn creators_killed() {
    run(&Cell {
        name: "struct creators",
        auditor: audit,
        victims: work,
        others: work,
        pause: 2000,
        creation: true,
        aim: |_, _| true,
    });
}

fn open() -> Shared<Job> {
    let init = JobInit {
        outer: [0, 0],
        limit: LIMIT,
        inner: [0, 0],
        rounds: 0,
    };
    let job = Shared::<Job>::open_or_create(NAME, init).expect("open or create");
    assert_eq!(job.limit, LIMIT, "half a struct");
    job
}

/// Takes a field's lock, from the living or the dead, and makes its halves equal.
fn enter<'l>(lock: &'l Lock<Pair>, ledger: &Ledger) -> LockGuard<'l, Pair> {
    match lock.lock() {
        Ok(guard) => {
            assert_eq!(guard[0], guard[1], "half changed, and not marked");
            return guard;
        }
        Err(LockError::OwnerDied { .. }) => {}
        Err(other) => panic!("{other}"),
    }
    let mut guard = lock.recover().expect("recover");
    ledger
        .deaths
        .fetch_add(u64::from(guard.is_marked()), SeqCst);
    guard[1] = guard[0];
    guard.mark_consistent();
    guard
}

fn round(job: &Job, ledger: &Ledger, inside: Duration) {
    ledger.begun.fetch_add(1, SeqCst);
    let mut outer = enter(&job.outer, ledger);
    outer[0] += 1;
    let mut inner = enter(&job.inner, ledger);
    inner[0] += 1;
    ledger.inside.store(std::process::id(), SeqCst);
    let begin = Instant::now();
    while begin.elapsed() < inside {
        std::hint::spin_loop();
    }
    ledger.inside.store(0, SeqCst);
    inner[1] += 1;
    drop(inner);
    outer[1] += 1;
    drop(outer);
    job.rounds.fetch_add(1);
    ledger.finished.fetch_add(1, SeqCst);
    witness::moved();
}

fn work(ledger: &Ledger) {
    let job = open();
    while !ledger.gates.stop.is_open() {
        round(&job, ledger, Duration::from_micros(100));
        std::thread::sleep(Duration::from_micros(20)); // the pace of this cell; nothing is waited for
    }
}

/// In the end both locks can be had, and every field holds what was finished.
fn audit(ledger: &Ledger) {
    let job = open();
    ledger.gates.until_audit();
    let (finished, begun) = (ledger.finished.load(SeqCst), ledger.begun.load(SeqCst));
    let values = [
        enter(&job.outer, ledger)[0],
        enter(&job.inner, ledger)[0],
        job.rounds.load(),
    ];
    for value in values {
        assert!(
            (finished..=begun).contains(&value),
            "{value} of {finished} to {begun} rounds"
        );
    }
}
