//! The primitives of a manager: made beside it, found, and removed with it, crashed at every step.

use multiproc::{Barrier, ErrorKind, Event, Manager};

use crate::engine::{Scenario, Stage, scenarios};

const NAME: &str = "manager";
const EVENT: &str = "event";

/// Making one, leaving as the last one, taking the name away; whichever primitive it is.
pub const SCENARIOS: &[Scenario] = scenarios! {
    "annex: make": keep make make_other;
    "annex: last one leaves": keep_nothing come_and_go sweep;
    "annex: last one leaves, named": keep_nothing come_and_go_by_name sweep;
    "annex: remove": keep_removed remove sweep;
    "annex: make a queue": keep make_queue sweep;
    "annex: make a barrier": keep make_barrier find;
};

/// Whoever died making it: it is there or not, the row is used again, and nothing is left in the end.
fn keep(stage: &Stage) {
    let manager = Manager::create(NAME).expect("create");
    stage.stand_by();
    let names = manager.names().expect("names");
    assert!(
        !names.is_empty() || !stage.completed(),
        "what was made is gone"
    );
    if let Err(absent) = manager.find::<Event>(EVENT) {
        assert_eq!(absent.kind(), ErrorKind::NotFound);
    }
    let lock = manager
        .lock("lock", 5_u64)
        .expect("another one in its place");
    assert_eq!(*lock.lock().expect("lock"), 5);
    manager.event(EVENT).expect("the event").set();
    assert!(manager.find::<Event>(EVENT).expect("the event").is_set());
    let array = manager.array("array", 4, 7_u32).expect("the array");
    assert_eq!(array.lock().expect("lock").read(..).expect("all"), [7; 4]);
    drop((lock, array, manager));
    let left = stage.leftovers();
    assert_eq!(left, 0, "the last one left and something remains");
}

fn make(stage: &Stage) {
    let manager = Manager::open(NAME).expect("open");
    stage.armed();
    manager.event(EVENT).expect("the event").set();
    std::mem::forget(manager);
}

/// Something else, in the row where the first has died.
fn make_other(stage: &Stage) {
    let manager = Manager::open(NAME).expect("open");
    stage.armed();
    manager.value("value", 1_u64).expect("the value").store(2);
    std::mem::forget(manager);
}

fn make_queue(stage: &Stage) {
    let manager = Manager::open(NAME).expect("open");
    stage.armed();
    let queue = manager.queue("queue", 2).expect("the queue");
    queue.put(3_u8).expect("room");
    std::mem::forget(manager);
}

fn make_barrier(stage: &Stage) {
    let manager = Manager::open(NAME).expect("open");
    stage.armed();
    let barrier = manager.barrier("barrier", 1).expect("the barrier");
    barrier.wait().expect("alone");
    std::mem::forget(manager);
}

/// Looks for what the actor was making, and leaves.
fn find(stage: &Stage) {
    let manager = Manager::open(NAME).expect("open");
    stage.armed();
    match manager.find::<Barrier>("barrier") {
        Ok(barrier) => assert_eq!(barrier.parties(), 1),
        Err(absent) => assert_eq!(absent.kind(), ErrorKind::NotFound),
    }
}

/// Whatever the others have left, `gc` removes it.
fn keep_nothing(stage: &Stage) {
    stage.stand_by();
    multiproc::gc().expect("gc");
    assert_eq!(stage.leftovers(), 0, "gc has left something");
    let manager = Manager::open_or_create(NAME).expect("the name is free");
    manager.event(EVENT).expect("the event").set();
    drop(manager);
    assert_eq!(
        stage.leftovers(),
        0,
        "the last one left and something remains"
    );
}

/// Whoever was removing it: it is there still, or gone.
fn keep_removed(stage: &Stage) {
    stage.stand_by();
    let removed = Manager::remove(NAME).is_ok();
    assert!(!(removed && stage.completed()), "it was removed before");
    multiproc::gc().expect("gc");
    assert_eq!(stage.leftovers(), 0, "gc has left something");
}

fn come_and_go(stage: &Stage) {
    let manager = Manager::new().expect("a manager");
    manager.event(EVENT).expect("the event").set();
    stage.armed();
    drop(manager);
}

fn come_and_go_by_name(stage: &Stage) {
    let manager = Manager::create(NAME).expect("a manager");
    manager.event(EVENT).expect("the event").set();
    stage.armed();
    drop(manager);
}

/// Of a manager that would stay; nobody has it open.
fn remove(stage: &Stage) {
    let manager = Manager::builder().name(NAME).persist(true);
    let manager = manager.create().expect("a manager");
    manager.event(EVENT).expect("the event").set();
    drop(manager);
    stage.armed();
    Manager::remove(NAME).expect("remove");
}

fn sweep(stage: &Stage) {
    stage.armed();
    multiproc::gc().expect("gc");
}
