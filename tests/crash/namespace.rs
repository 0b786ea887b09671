//! The namespace of a manager: made, set to another type, changed, emptied, crashed at every step.

use multiproc::{ErrorKind, Manager, Namespace};

use crate::engine::{Scenario, Stage, scenarios};

const NAME: &str = "manager";

/// Every verb that stores anything.
pub const SCENARIOS: &[Scenario] = scenarios! {
    "namespace: make": keep_none make nobody;
    "namespace: set another type": keep set set;
    "namespace: set a new name": keep set_new sweep;
    "namespace: update": keep update set;
    "namespace: remove": keep remove sweep;
};

fn space(manager: &Manager) -> Namespace {
    manager.namespace("namespace").expect("the namespace")
}

/// What `x` is: a number, a text, or nothing; whole.
#[derive(Debug, PartialEq)]
enum X {
    Number(u64),
    Text,
    Nothing,
}

fn look(space: &Namespace) -> X {
    match space.get_owned::<u64>("x") {
        Ok(Some(number)) => X::Number(number),
        Ok(None) => X::Nothing,
        Err(other) => {
            assert_eq!(other.kind(), ErrorKind::WrongType);
            let text = space.get_owned::<String>("x").expect("a text");
            assert_eq!(text.as_deref(), Some("a text"));
            X::Text
        }
    }
}

/// The value is of the one type or the other, whole; the names are those that have one.
fn check(space: &Namespace) {
    let mut names = space.names().expect("names");
    names.sort_unstable();
    assert_eq!(names.len(), space.len().expect("len"));
    let is_there = |name: &&str| space.contains(name).expect("look");
    let found: Vec<_> = ["new", "x", "y"].into_iter().filter(is_there).collect();
    assert_eq!(names, found, "the names are others");
    space.set("x", 3_u16).expect("set");
    space.set("new", 4_u16).expect("set");
    assert_eq!(space.get_owned::<u16>("x").expect("x"), Some(3));
    assert!(space.remove("new").expect("remove"));
    assert!(!space.contains("new").expect("look"));
}

fn keep(stage: &Stage) {
    let manager = Manager::create(NAME).expect("create");
    let space = space(&manager);
    space.set("x", 1_u64).expect("set");
    space.set("y", 2_u8).expect("set");
    stage.stand_by();
    let x = look(&space);
    assert!(
        [X::Number(1), X::Number(2), X::Text, X::Nothing].contains(&x),
        "{x:?}"
    );
    let new = space.get_owned::<u64>("new").expect("new");
    assert!(new.is_none_or(|new| new == 5));
    let same = x == X::Number(1) && new.is_none();
    assert!(!(same && stage.completed()), "nothing happened");
    assert_eq!(space.get_owned::<u8>("y").expect("y"), Some(2));
    check(&space);
}

fn keep_none(stage: &Stage) {
    let manager = Manager::create(NAME).expect("create");
    stage.stand_by();
    let made = manager.names().expect("names");
    assert!(
        !made.is_empty() || !stage.completed(),
        "what was made is gone"
    );
    let space = space(&manager);
    assert!(look(&space) == X::Text || !stage.completed());
    check(&space);
}

fn make(stage: &Stage) {
    let manager = Manager::open(NAME).expect("open");
    stage.armed();
    space(&manager).set::<String>("x", "a text").expect("set");
    std::mem::forget(manager);
}

/// The namespace of a process that does not leave.
fn open() -> Namespace {
    let manager = Manager::open(NAME).expect("open");
    let space = space(&manager);
    std::mem::forget(manager);
    space
}

fn set(stage: &Stage) {
    let space = open();
    stage.armed();
    space.set::<String>("x", "a text").expect("set");
}

fn set_new(stage: &Stage) {
    let space = open();
    stage.armed();
    assert!(space.set("new", 5_u64).expect("set"));
}

fn update(stage: &Stage) {
    let space = open();
    stage.armed();
    let done = space.update::<u64, u64>("x", |x| x.to_native() + 1);
    assert!(done.expect("update"));
}

fn remove(stage: &Stage) {
    let space = open();
    stage.armed();
    assert!(space.remove("x").expect("remove"));
}

fn sweep(stage: &Stage) {
    stage.armed();
    multiproc::gc().expect("gc");
}

/// Leaves all to the keeper.
fn nobody(stage: &Stage) {
    stage.armed();
}
