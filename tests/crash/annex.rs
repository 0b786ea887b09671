//! The primitives and the numbers of a manager: made beside it or in it, changed, and removed with it, crashed at every step.

use multiproc::{ErrorKind, Event, Manager};

use crate::engine::{Scenario, Stage, scenarios};

const NAME: &str = "manager";
const EVENT: &str = "event";

/// Making one, leaving as the last one, taking the name away; and the memory of those that need no segment.
pub const SCENARIOS: &[Scenario] = scenarios! {
    "annex: make": keep make make_other;
    "annex: last one leaves": keep_nothing come_and_go sweep;
    "annex: last one leaves, named": keep_nothing come_and_go_by_name sweep;
    "annex: remove": keep_removed remove sweep;
    "array: make": keep make_array make_array;
    "array: write": keep_array write write;
    "namespace: set another type": keep_namespace set set;
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

fn make_array(stage: &Stage) {
    let manager = Manager::open(NAME).expect("open");
    stage.armed();
    let array = manager.array("array", 4, 7_u32).expect("the array");
    assert_eq!(array.at(3).expect("the last").load(), 7);
    std::mem::forget(manager);
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

/// The value is of the one type or the other, whole.
fn keep_namespace(stage: &Stage) {
    let manager = Manager::create(NAME).expect("create");
    let namespace = manager.namespace("namespace").expect("the namespace");
    namespace.set("x", 1_u64).expect("set");
    namespace.set("y", 2_u8).expect("set");
    stage.stand_by();
    let is_text = match namespace.get_owned::<u64>("x") {
        Ok(number) => {
            assert_eq!(number, Some(1));
            false
        }
        Err(other) => {
            assert_eq!(other.kind(), ErrorKind::WrongType);
            namespace.get_owned::<String>("x").expect("a text") == Some("a text".into())
        }
    };
    assert!(is_text || !stage.completed());
    assert_eq!(namespace.get_owned::<u8>("y").expect("y"), Some(2));
    namespace.set("x", 3_u16).expect("set");
    assert_eq!(namespace.get_owned::<u16>("x").expect("x"), Some(3));
    assert_eq!(namespace.len().expect("len"), 2);
}

fn set(stage: &Stage) {
    let manager = Manager::open(NAME).expect("open");
    let namespace = manager.namespace("namespace").expect("the namespace");
    stage.armed();
    namespace.set::<String>("x", "a text").expect("set");
    std::mem::forget((namespace, manager));
}
