//! The dictionary of a manager: changed, grown, emptied, read, made, crashed at every step.

use std::collections::BTreeMap;

use multiproc::{Dict, Manager};

use crate::engine::{Scenario, Stage, scenarios};

const NAME: &str = "manager";
const DICT: &str = "dict";

/// Every verb that stores anything.
pub const SCENARIOS: &[Scenario] = scenarios! {
    "dict: insert": keep insert insert;
    "dict: insert, grown": keep_full insert_many sweep;
    "dict: grown twice": keep_full insert_one_shard insert;
    "dict: replace": keep replace replace;
    "dict: remove": keep remove remove;
    "dict: remove, swept": keep remove sweep;
    "dict: update": keep update update;
    "dict: insert what is new": keep insert_new sweep;
    "dict: upsert": keep upsert sweep;
    "dict: replace if": keep replace_if sweep;
    "dict: take a snapshot": keep snapshot nobody;
    "dict: get": keep get sweep;
    "dict: clear": keep_few clear nobody;
    "dict: make": keep_none make make;
};

type Words = Dict<u64, Vec<u64>>;

/// A value that says its key, so that half of one shows.
fn value(key: u64, turn: u64) -> Vec<u64> {
    vec![key * 1000 + turn; 2 + (key + turn) as usize % 5]
}

fn open() -> Words {
    let manager = Manager::open(NAME).expect("open");
    manager.open_dict(DICT).expect("open the dictionary")
}

fn is_whole(key: u64, found: &[u64]) -> bool {
    found.len() >= 2 && found[0] / 1000 == key && found.iter().all(|&part| part == found[0])
}

/// Everything in it, whole; found by its key, and counted.
fn all(dict: &Words) -> BTreeMap<u64, Vec<u64>> {
    let all: BTreeMap<_, _> = dict.snapshot().expect("snapshot").into_iter().collect();
    assert_eq!(dict.len().expect("len"), all.len(), "the count is wrong");
    for (key, value) in &all {
        assert!(is_whole(*key, value), "half a value");
        assert_eq!(dict.get_owned(key).expect("get").as_ref(), Some(value));
    }
    all
}

/// Whoever died where: what was there is there, but for what they were at; the dictionary works on, and memory is used again.
fn check(dict: &Words, manager: &Manager, kept: u64, touched: std::ops::Range<u64>) {
    let now = all(dict);
    for key in (0..kept).filter(|key| !touched.contains(key)) {
        assert_eq!(now.get(&key), Some(&value(key, 0)), "{key} was not touched");
    }
    for key in 0..40 {
        dict.insert(&key, value(key, 9)).expect("insert");
    }
    for key in (0..40).filter(|key| key % 3 == 0) {
        assert!(dict.remove(&key).expect("remove"));
    }
    assert_eq!(dict.get_owned(&1).expect("get"), Some(value(1, 9)));
    assert_eq!(dict.get_owned(&3).expect("get"), None);
    let size = manager.size();
    for turn in 0..60 {
        dict.insert(&1, value(1, turn % 2)).expect("insert");
        dict.insert(&2, value(2, turn)).expect("insert");
        dict.remove(&2).expect("remove");
    }
    assert!(
        manager.size() <= size + (192 << 10),
        "memory is not used again"
    );
    all(dict);
}

fn made(entries: u64) -> (Manager, Words) {
    let manager = Manager::create(NAME).expect("create");
    let dict = manager.dict(DICT).expect("make the dictionary");
    for key in 0..entries {
        dict.insert(&key, value(key, 0)).expect("insert");
    }
    (manager, dict)
}

fn keep(stage: &Stage) {
    let (manager, dict) = made(20);
    stage.stand_by();
    check(&dict, &manager, 20, 7..8);
}

fn keep_few(stage: &Stage) {
    let (manager, dict) = made(4);
    stage.stand_by();
    check(&dict, &manager, 4, 0..4);
}

/// So many that the next ones make tables grow.
fn keep_full(stage: &Stage) {
    let (manager, dict) = made(200);
    stage.stand_by();
    let now = all(&dict);
    assert!(
        !stage.completed() || now.contains_key(&1000),
        "what was inserted is gone"
    );
    check(&dict, &manager, 200, 0..0);
}

fn keep_none(stage: &Stage) {
    let manager = Manager::create(NAME).expect("create");
    stage.stand_by();
    let dict = manager.dict(DICT).expect("make the dictionary");
    check(&dict, &manager, 0, 0..0);
}

fn insert(stage: &Stage) {
    let dict = open();
    stage.armed();
    dict.insert(&100, value(100, 0)).expect("insert");
}

fn insert_many(stage: &Stage) {
    let dict = open();
    stage.armed();
    for key in 1000..1012 {
        dict.insert(&key, value(key, 0)).expect("insert");
    }
}

/// With as many before that other tables grow.
fn insert_one_shard(stage: &Stage) {
    let dict = open();
    for key in 2000..2060 {
        dict.insert(&key, value(key, 0)).expect("insert");
    }
    stage.armed();
    for key in 1000..1003 {
        dict.insert(&key, value(key, 0)).expect("insert");
    }
}

fn replace(stage: &Stage) {
    let dict = open();
    stage.armed();
    dict.insert(&7, value(7, 1)).expect("insert");
}

fn remove(stage: &Stage) {
    let dict = open();
    stage.armed();
    dict.remove(&7).expect("remove");
}

fn update(stage: &Stage) {
    let dict = open();
    stage.armed();
    dict.update(&7, |_| value(7, 2)).expect("update");
}

fn insert_new(stage: &Stage) {
    let dict = open();
    stage.armed();
    assert!(dict.insert_new(&100, value(100, 0)).expect("insert"));
}

fn upsert(stage: &Stage) {
    let dict = open();
    stage.armed();
    dict.upsert(&7, |_| value(7, 2)).expect("upsert");
}

fn replace_if(stage: &Stage) {
    let dict = open();
    let seen = dict.get(&7).expect("get").expect("the value");
    stage.armed();
    assert!(dict.replace_if(&7, &seen, value(7, 1)).expect("replace"));
}

fn snapshot(stage: &Stage) {
    let dict = open();
    stage.armed();
    assert_eq!(dict.snapshot().expect("snapshot").len(), 20);
}

fn get(stage: &Stage) {
    let dict = open();
    stage.armed();
    assert_eq!(dict.get_owned(&8).expect("get"), Some(value(8, 0)));
    assert!(!dict.contains_key(&50).expect("get"));
}

fn clear(stage: &Stage) {
    let dict = open();
    stage.armed();
    dict.clear().expect("clear");
}

/// Leaves all to the keeper: what holds all shards has so many steps that pairs of them would take minutes.
fn nobody(stage: &Stage) {
    stage.armed();
}

fn make(stage: &Stage) {
    let manager = Manager::open(NAME).expect("open");
    stage.armed();
    let dict: Words = manager.dict(DICT).expect("make the dictionary");
    dict.insert(&5, value(5, 0)).expect("insert");
}

fn sweep(stage: &Stage) {
    stage.armed();
    multiproc::gc().expect("gc");
}
