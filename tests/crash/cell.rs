//! The cell of a manager: stored, updated, read, made, crashed at every step.

use multiproc::{Cell, Manager};

use crate::engine::{Scenario, Stage, scenarios};

const NAME: &str = "manager";
const CELL: &str = "cell";

/// Every verb that stores anything.
pub const SCENARIOS: &[Scenario] = scenarios! {
    "cell: set": keep set set;
    "cell: update, swept": keep update sweep;
    "cell: set, updated": keep set update;
    "cell: replace if": keep replace_if sweep;
    "cell: set a large value": keep set_large set_large;
    "cell: set until much is retired": keep set_many sweep;
    "cell: get": keep get get;
    "cell: get in a thread that ends": keep end_thread sweep;
    "cell: leave": keep leave sweep;
    "cell: make an object": keep_none make make;
    "cell: create a manager": keep_absent create create;
};

/// A number and as many copies of it as its lower digits say, so that half a value shows.
type Value = (u64, Vec<u64>);

fn value(number: u64) -> Value {
    (number, vec![number; number as usize % 100])
}

fn open() -> Manager {
    Manager::open(NAME).expect("open")
}

fn cell(manager: &Manager) -> Cell<Value> {
    manager.open_cell(CELL).expect("open the cell")
}

/// What the cell says, if that is whole.
fn number(cell: &Cell<Value>) -> u64 {
    let seen = cell.get_owned().expect("get");
    assert_eq!(seen, value(seen.0), "half a value");
    seen.0
}

/// Whoever died where: the value is whole, the cell works on, and memory is used again.
fn check(manager: &Manager, stage: &Stage) {
    let cell = cell(manager);
    let before = number(&cell);
    assert!(!stage.completed() || before != 1, "what was stored is gone");
    assert_eq!(number(&cell), before);
    cell.set(value(7)).expect("set");
    assert_eq!(number(&cell), 7);
    cell.update(|now| value(now.0.to_native() + 1))
        .expect("update");
    assert_eq!(number(&cell), 8);
    let size = manager.size();
    for turn in 0..1000 {
        cell.set(value(100 + turn % 2)).expect("set");
    }
    assert!(
        manager.size() <= size + (128 << 10),
        "memory is not used again"
    );
}

fn keep(stage: &Stage) {
    let manager = Manager::create(NAME).expect("create");
    manager.cell(CELL, value(1)).expect("make the cell");
    stage.stand_by();
    check(&manager, stage);
}

fn set(stage: &Stage) {
    let manager = open();
    let cell = cell(&manager);
    stage.armed();
    cell.set(value(2)).expect("set");
}

fn set_large(stage: &Stage) {
    let manager = open();
    let cell = cell(&manager);
    stage.armed();
    cell.set((2, vec![2; 2])).expect("set");
    cell.set((99, vec![99; 99])).expect("set");
    cell.set(value(50_099)).expect("set");
}

fn update(stage: &Stage) {
    let manager = open();
    let cell = cell(&manager);
    stage.armed();
    cell.update(|now| value(now.0.to_native() + 1))
        .expect("update");
}

fn replace_if(stage: &Stage) {
    let manager = open();
    let cell = cell(&manager);
    let seen = cell.get().expect("get");
    stage.armed();
    assert!(cell.replace_if(&seen, value(2)).expect("replace"));
}

/// So many that retired blocks are freed on the way.
fn set_many(stage: &Stage) {
    let manager = open();
    let cell = cell(&manager);
    for turn in 0..5 {
        cell.set(value(300 + turn)).expect("set");
    }
    stage.armed();
    for turn in 0..4 {
        cell.set(value(400 + turn)).expect("set");
    }
}

fn get(stage: &Stage) {
    let manager = open();
    let cell = cell(&manager);
    cell.set(value(3)).expect("set");
    stage.armed();
    number(&cell);
}

/// Another thread reads, and its row is given up; the next one takes it again.
fn end_thread(stage: &Stage) {
    let manager = open();
    let cell = cell(&manager);
    cell.set(value(3)).expect("set");
    stage.armed();
    for _ in 0..2 {
        let cell = cell.clone();
        let reader = std::thread::spawn(move || number(&cell));
        assert_eq!(reader.join().expect("no panic"), 3);
    }
}

/// Leaves with retired blocks, and a guard that was forgotten.
fn leave(stage: &Stage) {
    let manager = open();
    let cell = cell(&manager);
    std::mem::forget(cell.clone().get().map(drop));
    cell.set(value(4)).expect("set");
    stage.armed();
    drop((cell, manager));
}

fn sweep(stage: &Stage) {
    stage.armed();
    multiproc::gc().expect("gc");
}

fn keep_none(stage: &Stage) {
    let manager = Manager::create(NAME).expect("create");
    stage.stand_by();
    let made = manager.names().expect("names");
    assert!(made.is_empty() && !stage.completed() || made == [CELL]);
    manager.cell(CELL, value(5)).expect("make the cell");
    check(&manager, stage);
}

fn make(stage: &Stage) {
    let manager = open();
    stage.armed();
    let cell = manager.cell(CELL, value(6)).expect("make the cell");
    number(&cell);
}

/// Whoever died making it: the name works for the next one, and nothing is left when that one leaves.
fn keep_absent(stage: &Stage) {
    stage.stand_by();
    let manager = Manager::open_or_create(NAME).expect("open or create");
    manager.cell(CELL, value(5)).expect("make the cell");
    check(&manager, stage);
    drop(manager);
    assert_eq!(
        stage.leftovers(),
        0,
        "the last one left and something remains"
    );
}

fn create(stage: &Stage) {
    stage.armed();
    let manager = Manager::open_or_create(NAME).expect("open or create");
    manager.cell(CELL, value(2)).expect("make the cell");
}
