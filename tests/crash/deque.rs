//! The queue with two ends of a manager: changed at both, turned, emptied, crashed at every step.

use multiproc::{Deque, Manager};

use crate::engine::{Scenario, Stage, scenarios};

const NAME: &str = "manager";
const DEQUE: &str = "deque";

/// Small, so that an element that is lost to everybody is missed.
const LIMIT: u64 = 512 << 10;

/// Every verb that stores anything.
pub const SCENARIOS: &[Scenario] = scenarios! {
    "deque: push at the back": keep push_back pop_front;
    "deque: push at the front": keep push_front count;
    "deque: push, grown": keep_full push_front sweep;
    "deque: pop at the back": keep pop_back count;
    "deque: pop at the front": keep pop_front push_back;
    "deque: extend": keep extend nobody;
    "deque: rotate": keep rotate nobody;
    "deque: rotate to the right": keep rotate_right nobody;
    "deque: clear": keep clear nobody;
    "deque: reserve": keep reserve nobody;
    "deque: make": keep_none make nobody;
};

/// An element that says what it is, and so large that few have room.
fn value(number: u8) -> Vec<u8> {
    vec![number; 16_000 + usize::from(number)]
}

fn open() -> Deque<Vec<u8>> {
    let manager = Manager::open(NAME).expect("open");
    manager.open_deque(DEQUE).expect("open the deque")
}

/// What the elements are, if each is whole.
fn all(deque: &Deque<Vec<u8>>) -> Vec<u8> {
    let all = deque.snapshot().expect("snapshot");
    assert_eq!(deque.len().expect("len"), all.len(), "the count is wrong");
    let whole = all.iter().all(|element| *element == value(element[0]));
    assert!(whole, "half an element");
    all.iter().map(|element| element[0]).collect()
}

/// How many elements there is room for; the deque is empty then.
fn fits(deque: &Deque<Vec<u8>>) -> usize {
    while deque.push_front(value(9)).is_ok() {}
    let count = deque.len().expect("len");
    while deque.pop_back().expect("pop").is_some() {}
    count
}

/// The deque works on at both ends, and memory is used again.
fn goes_on(deque: &Deque<Vec<u8>>, room: usize) {
    let count = deque.len().expect("len");
    deque.push_front(value(20)).expect("push");
    deque.push_back(value(21)).expect("push");
    assert_eq!(deque.pop_front().expect("pop"), Some(value(20)));
    assert_eq!(deque.pop_back().expect("pop"), Some(value(21)));
    assert_eq!(deque.len().expect("len"), count);
    while deque.pop_front().expect("pop").is_some() {}
    let count = fits(deque);
    assert!(count >= room, "memory is lost: room for {count} of {room}");
}

/// What the head and tables leave of it.
const ROOM: usize = 12;

/// A deque around the end of its table, in a manager without room for other sizes than those that are needed, and how many
/// elements there is room for.
fn made(last: &[Vec<u8>]) -> (Deque<Vec<u8>>, usize) {
    let manager = Manager::builder().name(NAME).limit(LIMIT);
    let manager = manager.create().expect("create");
    let deque = manager.deque(DEQUE).expect("make the deque");
    deque.extend([1, 2, 3].map(value)).expect("extend");
    deque.push_back(Vec::new()).expect("push");
    deque.reserve(32).expect("reserve");
    deque.clear().expect("clear");
    let room = fits(&deque);
    deque.extend([1, 2, 3].map(value)).expect("extend");
    deque.clear().expect("clear"); // and with it the large table
    deque.push_front(value(1)).expect("push");
    deque.extend(last).expect("extend");
    (deque, room)
}

/// Elements are in their order, whatever came or went at either end.
fn keep(stage: &Stage) {
    let (deque, room) = made(&[2, 3].map(value));
    stage.stand_by();
    let now = all(&deque);
    let is_turned = now.starts_with(&[2, 3, 1]) || now == [3, 1];
    let known = [&[][..], &[5], &[2], &[1, 2], &[2, 3], &[1, 2, 3]];
    let without = |first: u8, last: &[u8]| {
        let rest = now.strip_prefix(&[first][..]).unwrap_or(&now);
        rest.strip_suffix(last).unwrap_or(rest).to_vec()
    };
    let lasts: [&[u8]; 4] = [&[], &[5], &[7], &[7, 8]];
    let is_known = lasts
        .iter()
        .any(|last| known.contains(&&without(6, last)[..]));
    assert!(is_turned || is_known, "{now:?}");
    assert!(!stage.completed() || now != [1, 2, 3], "nothing happened");
    goes_on(&deque, room);
}

/// The next element needs another table.
fn keep_full(stage: &Stage) {
    let (deque, room) = made(&[(); 30].map(|()| Vec::new()));
    stage.stand_by();
    let now = deque.snapshot().expect("snapshot");
    let first = now.len() - 31;
    assert!(first == 1 || first == 0 && !stage.completed());
    assert!(now[first] == value(1) && now[..first].iter().all(|n| *n == value(6)));
    assert!(now[first + 1..].iter().all(Vec::is_empty));
    goes_on(&deque, room);
}

fn keep_none(stage: &Stage) {
    let manager = Manager::builder().name(NAME).limit(LIMIT);
    let manager = manager.create().expect("create");
    stage.stand_by();
    let deque = manager.deque(DEQUE).expect("make the deque");
    let now = all(&deque);
    assert!(now == [6] || now.is_empty() && !stage.completed());
    goes_on(&deque, ROOM);
}

fn push_back(stage: &Stage) {
    let deque = open();
    stage.armed();
    deque.push_back(value(5)).expect("push");
}

fn push_front(stage: &Stage) {
    let deque = open();
    stage.armed();
    deque.push_front(value(6)).expect("push");
}

fn pop_back(stage: &Stage) {
    let deque = open();
    stage.armed();
    deque.pop_back().expect("pop");
}

fn pop_front(stage: &Stage) {
    let deque = open();
    stage.armed();
    deque.pop_front().expect("pop");
}

fn extend(stage: &Stage) {
    let deque = open();
    stage.armed();
    deque.extend([value(7), value(8)]).expect("extend");
}

fn rotate(stage: &Stage) {
    let deque = open();
    stage.armed();
    deque.rotate_left(1).expect("rotate");
}

fn rotate_right(stage: &Stage) {
    let deque = open();
    stage.armed();
    deque.rotate_right(2).expect("rotate");
}

fn reserve(stage: &Stage) {
    let deque = open();
    deque.push_back(value(5)).expect("push");
    stage.armed();
    deque.reserve(32).expect("reserve");
}

fn make(stage: &Stage) {
    let manager = Manager::open(NAME).expect("open");
    stage.armed();
    let deque: Deque<Vec<u8>> = manager.deque(DEQUE).expect("make the deque");
    deque.push_front(value(6)).expect("push");
}

fn clear(stage: &Stage) {
    let deque = open();
    stage.armed();
    deque.clear().expect("clear");
}

fn sweep(stage: &Stage) {
    stage.armed();
    multiproc::gc().expect("gc");
}

/// Takes the lock, and has nothing else to do: what is recovered is recovered here.
fn count(stage: &Stage) {
    let deque = open();
    stage.armed();
    deque.len().expect("len");
}

/// Leaves all to the keeper.
fn nobody(stage: &Stage) {
    stage.armed();
}
