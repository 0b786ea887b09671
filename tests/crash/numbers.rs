//! The numbers in a manager's own memory: an array with its lock, and a counter, made and changed, crashed at every step.

use multiproc::{Counter, Manager};

use crate::engine::{Scenario, Stage, scenarios};

const NAME: &str = "manager";

/// Making them, and whatever stores anything.
pub const SCENARIOS: &[Scenario] = scenarios! {
    "array: make": keep_none make_array make_array;
    "array: write": keep_array write write;
    "array: fill and hold": keep_array fill write;
    "counter: make": keep_none make_counter make_counter;
    "counter: change": keep_counter change change;
};

/// Whoever died making one: it is there, as it begins, or not.
fn keep_none(stage: &Stage) {
    let manager = Manager::create(NAME).expect("create");
    stage.stand_by();
    let made = manager.names().expect("names");
    assert!(
        !made.is_empty() || !stage.completed(),
        "what was made is gone"
    );
    let array = manager.array("array", 4, 7_u32).expect("the array");
    assert_eq!(array.lock().expect("lock").read(..).expect("all"), [7; 4]);
    let counter = counter(&manager);
    let added = counter.get();
    assert!((0..=2).contains(&added), "a counter begins at 0");
    assert_eq!(counter.add(1), added + 1);
    drop((array, counter, manager));
    let left = stage.leftovers();
    assert_eq!(left, 0, "the last one left and something remains");
}

fn make_array(stage: &Stage) {
    let manager = Manager::open(NAME).expect("open");
    stage.armed();
    let array = manager.array("array", 4, 7_u32).expect("the array");
    assert_eq!(array.at(3).expect("the last").load(), 7);
    std::mem::forget(manager);
}

fn counter(manager: &Manager) -> Counter {
    manager.counter("counter").expect("the counter")
}

fn make_counter(stage: &Stage) {
    let manager = Manager::open(NAME).expect("open");
    stage.armed();
    counter(&manager).add(1);
    std::mem::forget(manager);
}

/// A holder's death is told, what it wrote is there number by number, and a single number is changed or not.
fn keep_array(stage: &Stage) {
    let manager = Manager::create(NAME).expect("create");
    let array = manager.array("array", 4, 0_u32).expect("the array");
    let counter = manager.counter("counter").expect("the counter");
    stage.stand_by();
    let mut guard = array.recover().expect("recover");
    let all = guard.read(..).expect("all");
    assert!(
        all[2..] == [0; 2] && all[..2].iter().all(|&n| n <= 1),
        "{all:?}"
    );
    let whole = all[0] == all[1];
    assert!(whole || guard.is_marked(), "half changed, and not marked");
    assert!(!stage.completed() || all[..2] == [1, 1]);
    guard.mark_consistent();
    drop(guard);
    drop(array.lock().expect("mended"));
    let added = counter.get();
    assert!((0..=2).contains(&added) && (added > 0 || !stage.completed()));
    assert_eq!(counter.add(1), added + 1);
}

fn write(stage: &Stage) {
    let manager = Manager::open(NAME).expect("open");
    let array = manager.array("array", 4, 0_u32).expect("the array");
    let counter = manager.counter("counter").expect("the counter");
    stage.armed();
    counter.add(1);
    let mut guard = array.recover().expect("recover");
    guard.write(0, &[1, 1]).expect("within");
    guard.mark_consistent();
    drop(guard);
    std::mem::forget(manager);
}

/// Dies with the lock, at the latest when all is done.
fn fill(stage: &Stage) {
    let manager = Manager::open(NAME).expect("open");
    let array = manager.array("array", 4, 0_u32).expect("the array");
    let counter = counter(&manager);
    stage.armed();
    counter.add(1);
    let mut guard = array.lock().expect("lock");
    guard.fill(..2, 1).expect("within");
    std::mem::forget((guard, manager.clone()));
}

const FIRST: i64 = 5;

/// Each call has happened or not.
fn keep_counter(stage: &Stage) {
    let manager = Manager::create(NAME).expect("create");
    let counter = counter(&manager);
    counter.set(FIRST);
    stage.stand_by();
    let found = counter.get();
    let begins = [FIRST, FIRST - 2, 9, 0];
    let again = begins.map(|begin| begin - 2);
    assert!(begins.contains(&found) || again.contains(&found), "{found}");
    assert!(!stage.completed() || found != FIRST, "nothing happened");
    assert_eq!(counter.add(1), found + 1);
    assert_eq!((counter.reset(), counter.get()), (found + 1, 0));
}

fn change(stage: &Stage) {
    let manager = Manager::open(NAME).expect("open");
    let counter = counter(&manager);
    stage.armed();
    counter.sub(2);
    counter.set(9);
    assert_eq!(counter.reset(), 9);
    std::mem::forget(manager);
}
