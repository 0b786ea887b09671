//! A manager itself: opened and left, made to stay, made with all its memory, crashed at every step.

use multiproc::Manager;

use crate::engine::{Scenario, Stage, scenarios};

const NAME: &str = "manager";

/// Coming and going; `cell: create a manager` and `annex: remove` are the other verbs.
pub const SCENARIOS: &[Scenario] = scenarios! {
    "manager: open and leave": keep come_and_go sweep;
    "manager: create one that stays": keep_persistent create_to_stay sweep;
    "manager: create it with its memory": keep_absent create_prefaulted sweep;
};

fn cell(manager: &Manager) -> u64 {
    let cell = manager.cell("cell", 5_u64).expect("the cell");
    cell.get_owned().expect("get")
}

/// Whoever died coming or going: nobody else notices.
fn keep(stage: &Stage) {
    let manager = Manager::create(NAME).expect("create");
    let cell = manager.cell("cell", 5_u64).expect("the cell");
    stage.stand_by();
    assert_eq!(manager.names().expect("names"), ["cell"]);
    cell.update(|now| now.to_native() + 1).expect("update");
    let other = Manager::open(NAME).expect("open");
    assert_eq!(self::cell(&other), 6);
    drop((other, cell, manager));
    let left = stage.leftovers();
    assert_eq!(left, 0, "the last one left and something remains");
}

fn come_and_go(stage: &Stage) {
    stage.armed();
    let manager = Manager::open(NAME).expect("open");
    assert_eq!(cell(&manager), 5);
    drop(manager);
}

/// It stays with what was in it, or it was never made; removed, it is gone.
fn keep_persistent(stage: &Stage) {
    stage.stand_by();
    multiproc::gc().expect("gc");
    match Manager::open(NAME) {
        Ok(manager) => {
            let made = manager.names().expect("names");
            assert!(made == ["cell"] || !stage.completed(), "{made:?}");
            assert_eq!(cell(&manager), 5);
        }
        Err(absent) => assert!(!stage.completed(), "it did not stay: {absent}"),
    }
    let manager = builder().open_or_create().expect("the name works");
    assert_eq!(cell(&manager), 5);
    drop(manager);
    Manager::remove(NAME).expect("it has stayed");
    assert_eq!(stage.leftovers(), 0, "removed, and something remains");
}

fn builder() -> multiproc::ManagerBuilder {
    Manager::builder().name(NAME).persist(true)
}

fn create_to_stay(stage: &Stage) {
    stage.armed();
    let manager = builder().open_or_create().expect("open or create");
    assert_eq!(cell(&manager), 5);
    drop(manager);
}

/// The name works for the next one, and nothing is left when that one leaves.
fn keep_absent(stage: &Stage) {
    stage.stand_by();
    let manager = Manager::open_or_create(NAME).expect("open or create");
    assert_eq!(cell(&manager), 5);
    drop(manager);
    let left = stage.leftovers();
    assert_eq!(left, 0, "the last one left and something remains");
}

fn create_prefaulted(stage: &Stage) {
    stage.armed();
    let manager = Manager::builder().name(NAME).limit(1 << 20).prefault(true);
    let manager = manager.create().expect("create");
    assert_eq!(cell(&manager), 5);
    std::mem::forget(manager);
}

fn sweep(stage: &Stage) {
    stage.armed();
    multiproc::gc().expect("gc");
}
