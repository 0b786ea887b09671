//! The list of a manager: changed at its end, in the middle, as a whole, made, crashed at every step.

use multiproc::{List, Manager};

use crate::engine::{Scenario, Stage, scenarios};

const NAME: &str = "manager";
const LIST: &str = "list";

/// Small, so that an element that is lost to everybody is missed.
const LIMIT: u64 = 640 << 10;

/// Every verb that stores anything.
pub const SCENARIOS: &[Scenario] = scenarios! {
    "list: set": keep set nobody;
    "list: update, swept": keep update sweep;
    "list: push": keep push nobody;
    "list: push, grown": keep_full push nobody;
    "list: pop": keep pop count;
    "list: insert": keep insert count;
    "list: remove": keep remove sweep;
    "list: extend": keep extend nobody;
    "list: truncate": keep truncate nobody;
    "list: clear": keep clear nobody;
    "list: sort": keep sort nobody;
    "list: get": keep get nobody;
    "list: replace if": keep replace_if nobody;
    "list: reserve": keep reserve nobody;
    "list: look at all": keep look nobody;
    "list: make with elements": keep_none make nobody;
};

/// An element that says what it is, and so large that few have room.
fn value(number: u8) -> Vec<u8> {
    vec![number; 16_000 + usize::from(number)]
}

fn open() -> List<Vec<u8>> {
    let manager = Manager::open(NAME).expect("open");
    manager.open_list(LIST).expect("open the list")
}

/// What the elements are, if each is whole, and what one finds by index is what all are together.
fn all(list: &List<Vec<u8>>) -> Vec<u8> {
    let all = list.snapshot().expect("snapshot");
    assert_eq!(list.len().expect("len"), all.len(), "the count is wrong");
    let mut numbers = Vec::new();
    for (index, element) in all.into_iter().enumerate() {
        assert_eq!(element, value(element[0]), "half an element");
        let here = list.get(index).expect("get").expect("no hole");
        assert_eq!(*here, *element, "another element");
        numbers.push(element[0]);
    }
    assert!(list.get(numbers.len()).expect("get").is_none());
    numbers
}

/// How many elements there is room for; the list is empty then.
fn fits(list: &List<Vec<u8>>) -> usize {
    while list.push(value(9)).is_ok() {}
    let count = list.len().expect("len");
    while list.pop().expect("pop").is_some() {}
    count
}

/// Whoever died where: the elements are those before or after, the list works on, and memory is used again.
fn check(list: &List<Vec<u8>>, stage: &Stage, room: usize) {
    let now = all(list);
    let before = !stage.completed() && now == FIRST;
    assert!(before || AFTER.contains(&&now[..]), "{now:?}");
    list.push(value(20)).expect("push");
    list.insert(0, value(21)).expect("insert");
    list.set(1, value(22)).expect("set");
    assert_eq!(list.remove(0).expect("remove"), Some(value(21)));
    let last = list.pop().expect("pop");
    assert_eq!(last, Some(value(if now.is_empty() { 22 } else { 20 })));
    assert_eq!(list.len().expect("len"), now.len());
    still_fits(list, room);
}

/// No element is lost to everybody.
fn still_fits(list: &List<Vec<u8>>, room: usize) {
    multiproc::gc().expect("gc"); // else a chunk more may go to elements, and tables find none
    list.clear().expect("clear");
    let count = fits(list);
    assert!(count >= room, "memory is lost: room for {count} of {room}");
}

/// What the head, plans and tables leave of it.
const ROOM: usize = 15;

const FIRST: &[u8] = &[3, 1, 2];

/// A list in a manager without room for other sizes than those that are needed, and how many elements there is room for.
fn made() -> (List<Vec<u8>>, usize) {
    let manager = Manager::builder().name(NAME).limit(LIMIT);
    let manager = manager.create().expect("create");
    let elements = || FIRST.iter().map(|&number| value(number));
    let list = manager.list_from(LIST, elements()).expect("make the list");
    list.remove(0).expect("remove");
    list.insert(0, Vec::new()).expect("insert");
    list.reserve(32).expect("reserve");
    list.clear().expect("clear"); // half of the table stays
    let room = fits(&list);
    list.extend(elements()).expect("extend");
    (list, room)
}

/// What a list may be that was the first three, when each verb was used once or twice.
const AFTER: &[&[u8]] = &[
    &[3, 4, 2],
    &[3, 1, 2, 5],
    &[3, 1, 2, 5, 5],
    &[3, 1],
    &[3],
    &[3, 6, 1, 2],
    &[3, 6, 6, 1, 2],
    &[1, 2],
    &[2],
    &[3, 1, 2, 7],
    &[3, 1, 2, 7, 8],
    &[],
    &[5],
    &[1, 2, 3],
];

fn keep(stage: &Stage) {
    let (list, room) = made();
    stage.stand_by();
    check(&list, stage, room);
}

/// The next element needs another table.
fn keep_full(stage: &Stage) {
    let (list, room) = made();
    list.clear().expect("clear");
    let tiny = [(); 31].map(|()| Vec::new());
    list.extend(&tiny).expect("extend");
    stage.stand_by();
    let now = list.snapshot().expect("snapshot");
    assert!(now.starts_with(&tiny) && (now.len() > 31 || !stage.completed()));
    assert!(now[31..].iter().all(|element| *element == value(5)));
    assert_eq!(list.len().expect("len"), now.len());
    let count = fits(&list);
    assert!(
        count + 1 >= room,
        "memory is lost: room for {count} of {room}"
    );
}

fn keep_none(stage: &Stage) {
    let manager = Manager::builder().name(NAME).limit(LIMIT);
    let manager = manager.create().expect("create");
    stage.stand_by();
    let list = manager.list(LIST).expect("make the list");
    let now = all(&list);
    let before = now.is_empty() && !stage.completed();
    assert!(before || now == [4, 4], "{now:?}");
    still_fits(&list, ROOM);
}

fn set(stage: &Stage) {
    let list = open();
    stage.armed();
    list.set(1, value(4)).expect("set");
}

fn update(stage: &Stage) {
    let list = open();
    stage.armed();
    list.update(1, |_| value(4)).expect("update");
}

fn push(stage: &Stage) {
    let list = open();
    stage.armed();
    list.push(value(5)).expect("push");
}

fn pop(stage: &Stage) {
    let list = open();
    stage.armed();
    list.pop().expect("pop");
}

fn insert(stage: &Stage) {
    let list = open();
    stage.armed();
    list.insert(1, value(6)).expect("insert");
}

fn remove(stage: &Stage) {
    let list = open();
    stage.armed();
    list.remove(0).expect("remove");
}

fn extend(stage: &Stage) {
    let list = open();
    stage.armed();
    list.extend([value(7), value(8)]).expect("extend");
}

fn truncate(stage: &Stage) {
    let list = open();
    stage.armed();
    list.truncate(1).expect("truncate");
}

fn clear(stage: &Stage) {
    let list = open();
    stage.armed();
    list.clear().expect("clear");
}

fn sort(stage: &Stage) {
    let list = open();
    stage.armed();
    list.sort_by_key(|element| element[0]).expect("sort");
}

fn get(stage: &Stage) {
    let list = open();
    list.set(1, value(4)).expect("set");
    stage.armed();
    assert!(list.get(1).expect("get").is_some());
    assert!(list.get(3).expect("get").is_none());
}

fn replace_if(stage: &Stage) {
    let list = open();
    let seen = list.get(1).expect("get").expect("an element");
    stage.armed();
    assert!(list.replace_if(1, &seen, value(4)).expect("replace"));
}

fn reserve(stage: &Stage) {
    let list = open();
    list.set(1, value(4)).expect("set");
    stage.armed();
    list.reserve(32).expect("reserve");
}

fn look(stage: &Stage) {
    let list = open();
    list.set(1, value(4)).expect("set");
    stage.armed();
    let mut count = 0;
    list.for_each(|_, _| count += 1).expect("look");
    assert_eq!(list.snapshot().expect("snapshot").len(), count);
}

fn make(stage: &Stage) {
    let manager = Manager::open(NAME).expect("open");
    stage.armed();
    let made: List<Vec<u8>> = manager.list_from(LIST, [value(4), value(4)]).expect("make");
    drop(made);
}

fn sweep(stage: &Stage) {
    stage.armed();
    multiproc::gc().expect("gc");
}

/// Takes the lock, and has nothing else to do: what is recovered is recovered here.
fn count(stage: &Stage) {
    let manager = Manager::open(NAME).expect("open");
    stage.armed();
    let list = manager.list::<Vec<u8>>(LIST).expect("make the list");
    list.len().expect("len");
}

/// Leaves all to the keeper.
fn nobody(stage: &Stage) {
    stage.armed();
}
