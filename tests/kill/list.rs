//! The list and the queue with two ends of a manager: who changes them is killed.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use multiproc::{Deque, List, Manager};

use crate::cell::{Books, Cell, Gates, run};
use crate::common::board::Zeroed;
use crate::common::numbers::Random;
use crate::witness;

const NAME: &str = "manager";
/// Small, so that what is not used again is missed.
const LIMIT: u64 = 8 << 20;
/// How long the deque gets.
const MOST: usize = 400;
/// How long the list is, whose elements are sums; behind them come and go others.
const SUMS: u64 = 16;

/// The books of one round.
#[derive(Debug)]
pub struct Ledger {
    gates: Gates,
    /// The number of the last element that anybody has begun to push.
    begun: AtomicU64,
    /// Those whose push has returned, and which a pop has returned.
    pushed: Numbers,
    popped: Numbers,
    /// Pops that were begun, and that have returned.
    popping: AtomicU64,
    returned: AtomicU64,
    /// Additions in the list.
    adding: AtomicU64,
    added: AtomicU64,
}

// SAFETY: gates and atomics.
unsafe impl Zeroed for Ledger {}

/// So many pushes have numbers in one round.
const NUMBERS: u64 = 1 << 18;

/// A bit for each number.
#[derive(Debug)]
struct Numbers([AtomicU64; NUMBERS as usize / 64]);

impl Numbers {
    /// Says whether it was there already.
    fn add(&self, number: u64) -> bool {
        let bit = 1 << (number % 64);
        self.0[number as usize / 64].fetch_or(bit, SeqCst) & bit != 0
    }

    fn has(&self, number: u64) -> bool {
        self.0[number as usize / 64].load(SeqCst) >> (number % 64) & 1 == 1
    }

    fn count(&self) -> u64 {
        let words = self.0.iter().map(|word| word.load(SeqCst).count_ones());
        words.map(u64::from).sum()
    }
}

impl Books for Ledger {
    const COUNTED: [&'static str; 2] = ["pushes", "pops"];

    fn gates(&self) -> &Gates {
        &self.gates
    }

    fn counts(&self) -> [u64; 2] {
        [self.pushed.count(), self.popped.count()]
    }
}

/// Who changes either is killed at any instant.
pub fn writers_killed() {
    run(&Cell {
        name: "list writers",
        auditor: audit,
        victims: change,
        others: change,
        pause: 1000,
        creation: false,
        aim: |_: &Ledger, _| true,
    });
}

/// A number, and copies of it of any number, so that half a value shows.
type Value = (u64, Vec<u64>);

fn value(number: u64) -> Value {
    (number, vec![number; number as usize % 50])
}

fn number(value: &Value) -> u64 {
    assert_eq!(*value, self::value(value.0), "torn");
    value.0
}

fn open() -> (List<Value>, Deque<Value>) {
    let manager = Manager::builder().name(NAME).limit(LIMIT);
    let manager = manager.open_or_create().expect("open or create");
    let sums = (0..SUMS).map(|_| value(0));
    let list = manager.list_from("list", sums).expect("the list");
    (list, manager.deque("deque").expect("the deque"))
}

fn push(deque: &Deque<Value>, ledger: &Ledger, front: bool) {
    let number = ledger.begun.fetch_add(1, SeqCst) + 1;
    match front {
        true => deque.push_front(value(number)).expect("push"),
        false => deque.push_back(value(number)).expect("push"),
    }
    ledger.pushed.add(number);
}

fn pop(deque: &Deque<Value>, ledger: &Ledger, front: bool) {
    ledger.popping.fetch_add(1, SeqCst);
    let taken = match front {
        true => deque.pop_front().expect("pop"),
        false => deque.pop_back().expect("pop"),
    };
    if let Some(taken) = taken {
        assert!(!ledger.popped.add(number(&taken)), "popped twice");
    }
    ledger.returned.fetch_add(1, SeqCst);
}

/// Adds one to a sum, and moves all behind the sums.
fn add(list: &List<Value>, ledger: &Ledger, random: &mut Random) {
    ledger.adding.fetch_add(1, SeqCst);
    let at = random.below(SUMS) as usize;
    list.update(at, |sum| value(sum.0.to_native() + 1))
        .expect("update");
    ledger.added.fetch_add(1, SeqCst);
    let behind = SUMS as usize;
    match random.below(5) {
        0 => list.insert(behind, value(7)).expect("insert"),
        1 => drop(list.remove(behind).expect("remove")),
        2 => list.push(value(9)).expect("push"),
        3 => list
            .truncate(behind + random.below(8) as usize)
            .expect("truncate"),
        _ => assert!(
            list.get(at).expect("get").is_some(),
            "a sum is always there"
        ),
    }
}

fn change(ledger: &Ledger) {
    assert!(ledger.gates.joined.wait());
    let (list, deque) = open();
    let mut random = Random::new(std::process::id().into());
    while !ledger.gates.stop.is_open() {
        let front = random.below(2) == 0;
        let grows = deque.len().expect("len") < MOST && ledger.begun.load(SeqCst) < NUMBERS - 8;
        match grows && random.below(5) < 3 {
            true => push(&deque, ledger, front),
            false => pop(&deque, ledger, front),
        }
        add(&list, ledger, &mut random);
        witness::moved();
    }
}

/// Nothing that was pushed is lost or there twice, but for what the dead were at; sums are exact, and memory is used again.
fn audit(ledger: &Ledger) {
    let (list, deque) = open();
    ledger.gates.until_audit();
    let all = deque.snapshot().expect("snapshot");
    assert_eq!(deque.len().expect("len"), all.len());
    let begun = ledger.begun.load(SeqCst);
    let there: BTreeSet<u64> = all.iter().map(number).collect();
    assert_eq!(there.len(), all.len(), "one is there twice");
    for &number in &there {
        assert!(number <= begun, "{number} was never pushed");
        assert!(
            !ledger.popped.has(number),
            "{number} was popped, and is there"
        );
    }
    let is_gone = |&number: &u64| !ledger.popped.has(number) && !there.contains(&number);
    let gone = (1..=begun).filter(|&number| ledger.pushed.has(number));
    let gone = gone.filter(is_gone).count() as u64;
    // A pop whose process was killed may have taken one with it.
    let died = ledger.popping.load(SeqCst) - ledger.returned.load(SeqCst);
    assert!(gone <= died, "{gone} are gone, {died} died taking one");
    let elements = list.snapshot().expect("snapshot");
    assert_eq!(list.len().expect("len"), elements.len());
    let (sums, others) = elements.split_at(SUMS as usize);
    let sum = sums.iter().map(number).sum();
    let (added, adding) = (ledger.added.load(SeqCst), ledger.adding.load(SeqCst));
    assert!(
        (added..=adding).contains(&sum),
        "{sum} of {added} to {adding}"
    );
    assert!(others.iter().all(|other| [7, 9].contains(&number(other))));
    for number in 0..8000 {
        deque.push_back(value(number)).expect("push");
    }
}
