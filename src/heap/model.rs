//! Models of a heap: the real protocol on the model checker's atomics and threads.
//!
//! A block's content is a cell of the checker's, so that it reports whoever reads what is being written.

mod alone;

use super::hazard::{HazardRow, Keeper, clear, protect, protect_under};
use super::ledger::{self, Change, Meaning, settle_for};
use super::protocol::{Draft, Memory, Note, free, reclaim, replace, settle, take};
use super::word::{Handle, State, Word, is_tied};
use crate::sys::atomic::{
    AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed},
};
use crate::sys::identity::Participant;
use crate::sys::step::model::until_step;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

/// One cell, some blocks, and a row for each of two readers.
struct Model {
    cell: AtomicU64,
    /// A cell in the table that comes in the place of that of the first, and what leads to either.
    moved: AtomicU64,
    root: AtomicU64,
    words: Vec<AtomicU64>,
    notes: Vec<Note>,
    /// The same blocks where they are ledgers.
    ledgers: Vec<Vec<AtomicU64>>,
    ledger: AtomicU64,
    verdict: AtomicU64,
    contents: Vec<UnsafeCell<u64>>,
    rows: Vec<HazardRow>,
}

/// The places of the cells.
const HOME: u64 = 3;
const MOVED: u64 = 4;
const ROOT: u64 = 5;

/// What stands for the handles of the two tables.
const TABLES: [u64; 2] = [1000, 2000];

const FIRST: Participant = Participant::FIRST;
const LAST: Participant = Participant::LAST;

impl Memory for Model {
    fn word(&self, unit: u64) -> Option<&AtomicU64> {
        self.words.get(unit.checked_sub(1)? as usize)
    }
    fn note(&self, unit: u64) -> Option<&Note> {
        self.notes.get(unit.checked_sub(1)? as usize)
    }
    fn cell(&self, home: u64) -> Option<&AtomicU64> {
        match home {
            HOME => Some(&self.cell),
            MOVED => Some(&self.moved),
            ROOT => Some(&self.ledger),
            _ => None,
        }
    }
    fn root(&self) -> u64 {
        ROOT
    }
    fn verdict(&self) -> &AtomicU64 {
        &self.verdict
    }
    fn words(&self, block: Handle) -> Option<&[AtomicU64]> {
        let words = self.ledgers.get(block.unit().checked_sub(1)? as usize);
        words.map(Vec::as_slice)
    }
    fn rows(&self) -> impl Iterator<Item = &HazardRow> {
        self.rows.iter()
    }
}

impl Model {
    /// The cell leads to a block that says 0.
    fn new(blocks: usize) -> Arc<Self> {
        let model = Model {
            cell: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            root: AtomicU64::new(TABLES[0]),
            words: (0..blocks).map(|_| AtomicU64::new(0)).collect(),
            notes: (0..blocks).map(|_| Note::new()).collect(),
            ledgers: (0..blocks).map(|_| Vec::new()).collect(),
            ledger: AtomicU64::new(0),
            verdict: AtomicU64::new(0),
            contents: (0..blocks).map(|_| UnsafeCell::new(0)).collect(),
            rows: (0..2).map(|_| HazardRow::new()).collect(),
        };
        let done = model.put(FIRST, None, 0, &mut Vec::new());
        assert_eq!(done, Some(Ok(())));
        Arc::new(model)
    }

    fn units(&self) -> std::ops::RangeInclusive<u64> {
        1..=self.words.len() as u64
    }

    /// Leads the cell from `old` to a block that says `value`; `None` if none is free.
    fn put(
        &self,
        me: Participant,
        old: Option<Handle>,
        value: u64,
        retired: &mut Vec<Handle>,
    ) -> Option<Result<(), Option<Handle>>> {
        self.put_at(HOME, me, old, value, retired)
    }

    fn put_at(
        &self,
        home: u64,
        me: Participant,
        old: Option<Handle>,
        value: u64,
        retired: &mut Vec<Handle>,
    ) -> Option<Result<(), Option<Handle>>> {
        let block = self.units().find_map(|unit| take(self, me, unit))?.block;
        let content = &self.contents[block.unit() as usize - 1];
        // SAFETY: the block is this writer's; the model checker reports any concurrent access.
        content.with_mut(|content| unsafe { *content = value });
        let draft = Draft {
            block,
            len: 1,
            home,
        };
        let old = old.map_or(0, Handle::to_bits);
        let done = replace(self, me, old, draft, &mut |block| retired.push(block));
        if done.is_err() {
            assert!(super::protocol::give_back(self, me, block));
        }
        Some(done)
    }

    fn value(&self, block: Handle) -> u64 {
        let content = &self.contents[block.unit() as usize - 1];
        // SAFETY: a cell led here and a slot keeps it, or nobody else acts; the model checker reports who writes.
        content.with(|content| unsafe { *content })
    }

    fn current(&self) -> Option<Handle> {
        Handle::from_bits(self.cell.load(Acquire))
    }

    /// Reads the cell by the row of this participant.
    fn read(&self, who: Participant, row: usize) -> u64 {
        let row = &self.rows[row];
        let keeper = Keeper::new(who, 1);
        assert!(row.claim(keeper));
        let slot = row.free_slot().unwrap();
        let block = protect(slot, &self.cell).unwrap();
        let value = self.value(block);
        clear(slot);
        value
    }

    /// Adds one to what the cell's block says, by a new block.
    fn add_one(&self, me: Participant, row: usize, retired: &mut Vec<Handle>) {
        let row = &self.rows[row];
        assert!(row.claim(Keeper::new(me, 1)));
        let slot = row.free_slot().unwrap();
        loop {
            let old = protect(slot, &self.cell);
            let value = self.value(old.unwrap()) + 1;
            let done = self.put(me, old, value, retired);
            clear(slot);
            if done == Some(Ok(())) {
                return;
            }
            reclaim(self, Some(me), retired, &mut |_| {});
            thread::yield_now();
        }
    }

    /// Settles what is left of `dead`, as the sweep does.
    fn bury(&self, dead: Participant) {
        self.rows.iter().for_each(|row| row.bury(dead));
        let mut orphans = Vec::new();
        let is_dead = |writer| writer == u64::from(dead.get());
        settle_for(self, None, is_dead, &mut |block| orphans.push(block));
        for unit in self.units() {
            settle(self, dead, unit, &mut |block| orphans.push(block));
        }
        reclaim(self, None, &mut orphans, &mut |_| {});
    }

    /// How many blocks are not free.
    fn used(&self) -> usize {
        let states = self
            .words
            .iter()
            .map(|word| Word(word.load(Relaxed)).state());
        states
            .filter(|state| !matches!(state, State::Free | State::Bare))
            .count()
    }
}

/// Explores with up to two preemptions, or as many as the environment says.
fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(2));
    builder.check(model);
}

#[test]
fn loom_heap_nobody_writes_what_somebody_reads() {
    check(|| {
        let model = Model::new(2);
        let theirs = Arc::clone(&model);
        let reading = thread::spawn(move || theirs.read(LAST, 0));
        let mut retired = Vec::new();
        for value in 1..3 {
            if model
                .put(FIRST, model.current(), value, &mut retired)
                .is_none()
            {
                break; // the reader has the other block
            }
            reclaim(&*model, Some(FIRST), &mut retired, &mut |_| {});
        }
        assert!(reading.join().unwrap() <= 2);
        reclaim(&*model, Some(FIRST), &mut retired, &mut |_| {});
        assert_eq!((retired.len(), model.used()), (0, 1));
    });
}

#[test]
fn loom_heap_two_writers_lose_no_change() {
    check(|| {
        let model = Model::new(3);
        let theirs = Arc::clone(&model);
        let adding = thread::spawn(move || {
            let mut retired = Vec::new();
            theirs.add_one(LAST, 1, &mut retired);
            reclaim(&*theirs, Some(LAST), &mut retired, &mut |_| {});
            retired.len()
        });
        let mut retired = Vec::new();
        model.add_one(FIRST, 0, &mut retired);
        let left = adding.join().unwrap();
        reclaim(&*model, Some(FIRST), &mut retired, &mut |_| {});
        assert_eq!(model.value(model.current().unwrap()), 2);
        assert_eq!(model.used(), 1 + left);
    });
}

/// A writer dies before its step `n`, while another replaces what it may have written: no block is lost, none is free twice,
/// and each change has happened wholly or not at all.
#[test]
fn loom_heap_whoever_dies_writing_leaves_nothing() {
    for n in 0..9 {
        check(move || {
            let model = Model::new(4);
            let theirs = Arc::clone(&model);
            let dying = thread::spawn(move || {
                let put = || theirs.put(LAST, theirs.current(), 1, &mut Vec::new());
                until_step(n, put).flatten() == Some(Ok(()))
            });
            let mut retired = Vec::new();
            let (mut tries, mut before) = (0, None);
            while tries < 3 && before.is_none() {
                let old = model.current();
                if model.put(FIRST, old, 2, &mut retired) == Some(Ok(())) {
                    before = old;
                }
                tries += 1;
            }
            let done = dying.join().unwrap();
            model.bury(LAST);
            let value = model.value(model.current().unwrap());
            assert!(value == 2 || value == 1);
            assert!(!done || value == 1 || before.is_some());
            reclaim(&*model, Some(FIRST), &mut retired, &mut |_| {});
            assert_eq!(
                model.put(FIRST, model.current(), 3, &mut retired),
                Some(Ok(()))
            );
            reclaim(&*model, Some(FIRST), &mut retired, &mut |_| {});
            assert_eq!((retired.len(), model.used()), (0, 1));
            model.bury(LAST);
            assert_eq!(model.used(), 1);
        });
    }
}

/// Two sweepers clean up after the same death while a writer goes on.
#[test]
fn loom_heap_two_sweepers_are_one() {
    for n in 1..8 {
        check(move || {
            let model = Model::new(3);
            until_step(n, || model.put(LAST, model.current(), 1, &mut Vec::new()));
            let theirs = Arc::clone(&model);
            let sweeping = thread::spawn(move || theirs.bury(LAST));
            let mut retired = Vec::new();
            model.put(FIRST, model.current(), 2, &mut retired);
            model.bury(LAST);
            model.put(FIRST, model.current(), 3, &mut retired); // into what was freed, perhaps
            sweeping.join().unwrap();
            reclaim(&*model, Some(FIRST), &mut retired, &mut |_| {});
            model.bury(LAST);
            assert_eq!(model.used(), 1);
        });
    }
}

#[test]
fn loom_heap_the_dead_read_nothing() {
    for n in 0..5 {
        check(move || {
            let model = Model::new(2);
            let theirs = Arc::clone(&model);
            let dying = thread::spawn(move || {
                until_step(n, || theirs.read(LAST, 0));
            });
            let mut retired = Vec::new();
            let done = model.put(FIRST, model.current(), 1, &mut retired);
            assert_eq!(done, Some(Ok(())));
            dying.join().unwrap();
            model.bury(LAST);
            reclaim(&*model, Some(FIRST), &mut retired, &mut |_| {});
            assert_eq!((retired.len(), model.used()), (0, 1));
            assert!(model.rows[0].claim(Keeper::new(FIRST, 1)));
            assert!(!free(&*model, Some(FIRST), model.current().unwrap()));
        });
    }
}

/// A table grows, and an entry is replaced by way of the new one, while a reader is at the old one.
#[test]
fn loom_heap_who_reads_by_an_old_table_finds_the_new_one() {
    check(|| {
        let model = Model::new(2);
        let theirs = Arc::clone(&model);
        let reading = thread::spawn(move || {
            let row = &theirs.rows[0];
            assert!(row.claim(Keeper::new(LAST, 1)));
            let slot = row.free_slot().unwrap();
            loop {
                let table = Handle::from_bits(theirs.root.load(Acquire)).unwrap();
                let cell = match table.to_bits() == TABLES[0] {
                    true => &theirs.cell,
                    false => &theirs.moved,
                };
                if let Ok(found) = protect_under(slot, cell, (&theirs.root, table)) {
                    let value = theirs.value(found.unwrap());
                    clear(slot);
                    return value;
                }
            }
        });
        let entry = model.current().unwrap();
        // no step: the model's own
        model.moved.store(entry.to_bits(), Relaxed);
        model.root.swap(TABLES[1], AcqRel);
        let (mut old, mut retired) = (Some(entry), Vec::new());
        for value in 1..3 {
            if model
                .put_at(MOVED, FIRST, old, value, &mut retired)
                .is_none()
            {
                break; // the reader has the other block
            }
            reclaim(&*model, Some(FIRST), &mut retired, &mut |_| {});
            old = Handle::from_bits(model.moved.load(Acquire));
        }
        assert!(reading.join().unwrap() <= 2);
    });
}

/// The cells of a transaction.
const BOTH: [u64; 2] = [HOME, MOVED];

impl Model {
    /// Both cells lead to blocks that say 0; four blocks more, each of which can be a ledger.
    fn with_ledgers() -> Arc<Self> {
        let blocks = 6;
        let ledger = || (0..8).map(|_| AtomicU64::new(0)).collect();
        let model = Model {
            cell: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            root: AtomicU64::new(0),
            words: (0..blocks).map(|_| AtomicU64::new(0)).collect(),
            notes: (0..blocks).map(|_| Note::new()).collect(),
            ledgers: (0..blocks).map(|_| ledger()).collect(),
            ledger: AtomicU64::new(0),
            verdict: AtomicU64::new(0),
            contents: (0..blocks).map(|_| UnsafeCell::new(0)).collect(),
            rows: (0..2).map(|_| HazardRow::new()).collect(),
        };
        for home in BOTH {
            let done = model.put_at(home, FIRST, None, 0, &mut Vec::new());
            assert_eq!(done, Some(Ok(())));
        }
        Arc::new(model)
    }

    fn fresh(&self, me: Participant, value: u64) -> Handle {
        let free = self.units().find_map(|unit| take(self, me, unit));
        let block = free.expect("there are blocks enough").block;
        let content = &self.contents[block.unit() as usize - 1];
        // SAFETY: the block is this writer's; the model checker reports any concurrent access.
        content.with_mut(|content| unsafe { *content = value });
        block
    }

    /// Has both cells lead to blocks that say `value`, in place of `seen`; `false` if one says something else.
    fn put_both(
        &self,
        me: Participant,
        seen: [u64; 2],
        value: u64,
        retired: &mut Vec<Handle>,
    ) -> bool {
        let mut note = |block| retired.push(block);
        let new = BOTH.map(|_| self.fresh(me, value));
        let block = self.fresh(me, 0);
        let words = self.words(block).unwrap();
        let number = ledger::open(self, me, words);
        let last = self.ledger.load(Acquire);
        let draft = Draft {
            block,
            len: 8,
            home: ROOT,
        };
        assert_eq!(replace(self, me, last, draft, &mut note), Ok(()));
        let change = |at: usize| Change {
            home: BOTH[at],
            old: seen[at],
            new: new[at].to_bits(),
            len: 1,
        };
        let entered =
            (0..2).all(|at| ledger::enter(self, me, (number, words), change(at), &mut note));
        match entered {
            true => assert!(ledger::happen(self, number)),
            false => assert!(ledger::drop_out(self, number)),
        }
        ledger::settle(self, Some(me), &mut note);
        if !entered {
            new.map(|block| assert!(super::protocol::give_back(self, me, block)));
        }
        entered
    }

    fn both(&self) -> [u64; 2] {
        [&self.cell, &self.moved].map(|cell| cell.load(Acquire))
    }

    /// Reads a cell, tied or not, by a slot that is free.
    fn look(&self, slot: &AtomicU64, cell: &AtomicU64) -> u64 {
        let block = loop {
            let bits = cell.load(Acquire);
            let found = match is_tied(bits) {
                true => ledger::protect_tied(self, slot, cell, bits),
                false => protect(slot, cell).map_or(Meaning::Changed, Meaning::Block),
            };
            match found {
                Meaning::Block(block) => break block,
                Meaning::Nothing => panic!("both cells lead somewhere"),
                Meaning::Changed => thread::yield_now(),
            }
        };
        let value = self.value(block);
        clear(slot);
        value
    }

    /// Reads both, one after the other.
    fn look_at_both(&self, who: Participant) -> [u64; 2] {
        let row = &self.rows[0];
        assert!(row.claim(Keeper::new(who, 1)));
        let slot = row.free_slot().unwrap();
        [&self.cell, &self.moved].map(|cell| self.look(slot, cell))
    }

    fn value_at(&self, at: usize) -> u64 {
        self.value(Handle::from_bits(self.both()[at]).expect("not tied any more"))
    }
}

#[test]
fn loom_heap_two_cells_change_at_one_instant() {
    check(|| {
        let model = Model::with_ledgers();
        let theirs = Arc::clone(&model);
        let reading = thread::spawn(move || theirs.look_at_both(LAST));
        let mut retired = Vec::new();
        assert!(model.put_both(FIRST, model.both(), 1, &mut retired));
        reclaim(&*model, Some(FIRST), &mut retired, &mut |_| {});
        let [first, second] = reading.join().unwrap();
        assert!(first <= second, "half of it");
        reclaim(&*model, Some(FIRST), &mut retired, &mut |_| {});
        assert_eq!((retired.len(), model.used()), (0, 3));
        assert_eq!([model.value_at(0), model.value_at(1)], [1, 1]);
    });
}

/// What is replaced and freed meanwhile is not what the reader has.
#[test]
fn loom_heap_a_reader_keeps_what_a_transaction_replaces() {
    check(|| {
        let model = Model::with_ledgers();
        let theirs = Arc::clone(&model);
        let reading = thread::spawn(move || {
            let row = &theirs.rows[0];
            assert!(row.claim(Keeper::new(LAST, 1)));
            theirs.look(row.free_slot().unwrap(), &theirs.moved)
        });
        let mut retired = Vec::new();
        assert!(model.put_both(FIRST, model.both(), 1, &mut retired));
        reclaim(&*model, Some(FIRST), &mut retired, &mut |_| {});
        let unit = model.units().find_map(|unit| take(&*model, FIRST, unit));
        if let Some(taken) = unit {
            let content = &model.contents[taken.block.unit() as usize - 1];
            // SAFETY: the block is this writer's; the model checker reports any concurrent access.
            content.with_mut(|content| unsafe { *content = 9 });
        }
        assert!(reading.join().unwrap() <= 1);
    });
}

#[test]
fn loom_heap_a_transaction_and_a_change_lose_nothing() {
    check(|| {
        let model = Model::with_ledgers();
        let theirs = Arc::clone(&model);
        let seen = model.both();
        let changing = thread::spawn(move || {
            let old = Handle::from_bits(seen[1]);
            theirs.put_at(MOVED, LAST, old, 5, &mut Vec::new()) == Some(Ok(()))
        });
        let won = model.put_both(FIRST, seen, 1, &mut Vec::new());
        let changed = changing.join().unwrap();
        assert!(
            won != changed,
            "one of them, and only one, found what it had seen"
        );
        let now = [model.value_at(0), model.value_at(1)];
        assert_eq!(now, if won { [1, 1] } else { [0, 5] });
    });
}

/// Its writer dies before its step `n` while somebody reads, and two clean up at once: all of it has happened or nothing.
#[test]
fn loom_heap_whoever_dies_in_a_transaction_leaves_all_of_it_or_nothing() {
    for n in 3..30 {
        check(move || {
            let model = Model::with_ledgers();
            let mut retired = Vec::new();
            let put = || model.put_both(LAST, model.both(), 1, &mut Vec::new());
            let done = until_step(n, put) == Some(true);
            let theirs = Arc::clone(&model);
            let sweeping = thread::spawn(move || theirs.bury(LAST));
            let [first, second] = model.look_at_both(FIRST);
            model.bury(LAST);
            sweeping.join().unwrap();
            assert!(first == second && (first == 1 || !done));
            assert_eq!([model.value_at(0), model.value_at(1)], [first, second]);
            assert!(model.put_both(FIRST, model.both(), 2, &mut retired));
            reclaim(&*model, Some(FIRST), &mut retired, &mut |_| {});
            model.bury(LAST);
            assert_eq!((retired.len(), model.used()), (0, 3));
        });
    }
}
