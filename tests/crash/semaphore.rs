//! Semaphores: taken, given, waited for, leaked, made and found, crashed at every step.
//!
//! The value of a plain one is what was taken and given, whoever has died. Of a bounded one all permits come back but
//! those that are nobody's.

use std::thread;
use std::time::Duration;

use multiproc::{BoundedSemaphore, Queue, Semaphore};

use crate::engine::{PATIENCE, Scenario, Stage, scenarios};

const NAME: &str = "semaphore";
const PERMITS: u32 = 3;

/// Every verb of the plain semaphore that stores anything.
pub const SCENARIOS: &[Scenario] = scenarios! {
    "semaphore: acquire and release": keep pass_through pass_through;
    "semaphore: give by stores": keep give_often give_often;
    "semaphore: give by stores, swept": keep give_often sweep;
    "semaphore: release for sleepers": keep_sleeping give give;
    "semaphore: wait and acquire": keep_empty wait wait;
    "semaphore: come first": keep_too_few wait_for_all pass_if_there;
    "semaphore: come first and give up": keep_too_few give_up pass_if_there;
    "semaphore: create": keep_none create create;
};

/// Every verb of the bounded semaphore that stores anything.
pub const BOUNDED: &[Scenario] = scenarios! {
    "bounded: acquire and release": keep_owned pass_owned pass_owned;
    "bounded: acquire and hold": keep_owned hold pass_owned;
    "bounded: acquire many and hold": keep_owned hold_all pass_all;
    "bounded: acquire many and hold, swept": keep_owned hold_all sweep;
    "bounded: leak and release": keep_owned leak_and_release leak_and_release;
    "bounded: wait for what is held": keep_held wait_owned pass_owned;
    "bounded: come first": keep_one_held wait_for_all_owned pass_owned;
    "bounded: release for sleepers": keep_waiting give_owned sweep;
    "bounded: create": keep_no_owned create_owned create_owned;
    "bounded: attach a handle and hold": keep_owned_handle hold_by_handle pass_by_handle;
};

fn open() -> Semaphore {
    Semaphore::open(NAME).expect("open")
}

fn take(semaphore: &Semaphore, n: u32, stage: &Stage) {
    stage.ledger().putting(TAKEN);
    let taken = semaphore.acquire_many_timeout(n, PATIENCE / 2);
    taken.expect("permits come");
    stage.ledger().accepted(TAKEN);
}

fn put(semaphore: &Semaphore, n: u32, stage: &Stage) {
    stage.ledger().putting(GIVEN);
    semaphore.release(n).expect("room");
    stage.ledger().accepted(GIVEN);
}

/// What the books count: calls that took, and calls that gave.
const TAKEN: u64 = 0;
const GIVEN: u64 = 1;

/// The value is exact, taking `n` with each call that took, and everything that is there can be taken.
fn check(semaphore: &Semaphore, first: u32, n: u64, stage: &Stage) {
    let (taken, taking) = stage.ledger().counts(TAKEN);
    let (given, giving) = stage.ledger().counts(GIVEN);
    let value = i64::from(semaphore.available());
    let at = |taken: u64, given: u64| i64::from(first) - (n * taken) as i64 + (n * given) as i64;
    let (least, most) = (at(taking, given), at(taken, giving));
    assert!(
        (least..=most).contains(&value),
        "{value} is not {least} to {most}"
    );
    let all = semaphore.acquire_many_timeout(semaphore.available(), PATIENCE / 2);
    all.expect("kept for the dead");
    assert_eq!(semaphore.available(), 0);
    semaphore.release(1).expect("room");
    semaphore.try_acquire().expect("the one just given");
}

fn keep(stage: &Stage) {
    let semaphore = Semaphore::create(NAME, PERMITS).expect("create");
    stage.stand_by();
    check(&semaphore, PERMITS, 1, stage);
}

/// Actor and recoverer alike: attach, take, give, leave.
fn pass_through(stage: &Stage) {
    stage.armed();
    let semaphore = open();
    take(&semaphore, 1, stage);
    put(&semaphore, 1, stage);
}

/// The first to give does so by stores from then on; the recoverer too, once the dead are swept.
fn give_often(stage: &Stage) {
    stage.armed();
    let semaphore = open();
    put(&semaphore, 1, stage);
    put(&semaphore, 1, stage);
    take(&semaphore, 1, stage);
    put(&semaphore, 1, stage);
}

/// Two threads sleep for one permit and for two. What the dead gave counts; the keeper gives what is missing.
fn keep_sleeping(stage: &Stage) {
    let semaphore = Semaphore::create(NAME, 0).expect("create");
    thread::scope(|scope| {
        let sleepers = [1, 2].map(|n| {
            let semaphore = &semaphore;
            scope.spawn(move || semaphore.acquire_many(n))
        });
        stage.ready();
        stage.until_dead();
        let (given, _) = stage.ledger().counts(GIVEN);
        semaphore.release(3 - given as u32).expect("room");
        for sleeper in sleepers {
            sleeper.join().expect("served");
        }
    });
    let (given, giving) = stage.ledger().counts(GIVEN);
    assert!(
        u64::from(semaphore.available()) <= giving - given,
        "what was given twice"
    );
}

fn give(stage: &Stage) {
    let semaphore = open();
    thread::sleep(Duration::from_millis(1)); // either order is right; this makes the rarer one frequent
    stage.armed();
    put(&semaphore, 1, stage);
}

/// A permit comes when the actor has come to wait for it, and another for whoever comes later.
fn keep_empty(stage: &Stage) {
    let semaphore = Semaphore::create(NAME, 0).expect("create");
    stage.ready();
    stage.until_at_it();
    thread::sleep(Duration::from_millis(1)); // either order is right; this makes the rarer one frequent
    (0..2).for_each(|_| put(&semaphore, 1, stage));
    stage.until_dead();
    check(&semaphore, 0, 1, stage);
}

fn wait(stage: &Stage) {
    let semaphore = open();
    stage.armed();
    stage.at_it();
    take(&semaphore, 1, stage);
}

/// The actor wants one more than there are, and gets it when it has slept for a slice.
fn keep_too_few(stage: &Stage) {
    let semaphore = Semaphore::create(NAME, PERMITS - 1).expect("create");
    stage.ready();
    stage.until_at_it();
    thread::sleep(Duration::from_millis(10)); // time it is: that the actor has slept for a slice
    semaphore.release(1).expect("room");
    stage.until_dead();
    let all = semaphore.available();
    assert!([0, PERMITS - 1, PERMITS].contains(&all), "{all} permits");
    let taken = semaphore.acquire_many_timeout(all, PATIENCE / 2);
    taken.expect("kept for the dead");
    assert!(semaphore.try_acquire().is_err());
}

fn wait_for_all(stage: &Stage) {
    let semaphore = open();
    stage.armed();
    stage.at_it();
    let taken = semaphore.acquire_many_timeout(PERMITS, PATIENCE / 2);
    taken.expect("permits come");
    semaphore.release(PERMITS).expect("room");
}

/// The recoverer of an actor that may have died with all permits, which are then gone for good.
fn pass_if_there(stage: &Stage) {
    stage.armed();
    let semaphore = open();
    let soon = Duration::from_millis(12); // longer than a slice
    if semaphore.acquire_timeout(soon).is_ok() {
        semaphore.release(1).expect("room");
    }
}

fn give_up(stage: &Stage) {
    let semaphore = open();
    stage.armed();
    stage.at_it();
    let short = Duration::from_millis(12); // longer than a slice
    assert!(semaphore.acquire_many_timeout(PERMITS + 1, short).is_err());
}

/// Whoever died making it: the name works for the next one, and nothing is left when that one leaves.
fn keep_none(stage: &Stage) {
    stage.stand_by();
    let semaphore = Semaphore::open_or_create(NAME, PERMITS).expect("open or create");
    // What the dead have left behind is taken over, without what they had taken.
    let there = semaphore.available();
    assert!((PERMITS - 2..=PERMITS).contains(&there), "{there} permits");
    semaphore.try_acquire_many(there).expect("all are there");
    drop(semaphore);
    assert_eq!(
        stage.leftovers(),
        0,
        "the last one left and something remains"
    );
}

fn create(stage: &Stage) {
    stage.armed();
    let semaphore = Semaphore::open_or_create(NAME, PERMITS).expect("open or create");
    semaphore
        .acquire_timeout(PATIENCE / 2)
        .expect("permits are there");
}

fn open_owned() -> BoundedSemaphore {
    BoundedSemaphore::open(NAME).expect("open")
}

/// Everything comes back but what is nobody's, and that can be given back; once.
fn check_owned(semaphore: &BoundedSemaphore) {
    while semaphore.release(1).is_ok() {}
    let all = semaphore.acquire_many_timeout(PERMITS, PATIENCE / 2);
    let all = all.expect("all permits come back");
    assert_eq!(semaphore.available(), 0, "more permits than there are");
    assert!(semaphore.try_acquire().is_err());
    drop(all);
    assert_eq!(semaphore.available(), PERMITS);
}

fn keep_owned(stage: &Stage) {
    let semaphore = BoundedSemaphore::create(NAME, PERMITS).expect("create");
    stage.stand_by();
    check_owned(&semaphore);
}

fn pass_owned(stage: &Stage) {
    stage.armed();
    let semaphore = open_owned();
    drop(
        semaphore
            .acquire_timeout(PATIENCE / 2)
            .expect("a permit comes"),
    );
}

fn pass_all(stage: &Stage) {
    stage.armed();
    let semaphore = open_owned();
    let all = semaphore.acquire_many_timeout(PERMITS, PATIENCE / 2);
    drop(all.expect("the dead's permits come back"));
}

fn hold(stage: &Stage) {
    stage.armed();
    let semaphore = open_owned();
    std::mem::forget(semaphore.acquire_timeout(PATIENCE / 2).expect("free"));
    std::mem::forget(semaphore);
}

fn hold_all(stage: &Stage) {
    stage.armed();
    let semaphore = open_owned();
    let all = semaphore.acquire_many_timeout(PERMITS, PATIENCE / 2);
    std::mem::forget(all.expect("free"));
    std::mem::forget(semaphore);
}

fn sweep(stage: &Stage) {
    stage.armed();
    multiproc::gc().expect("gc");
}

fn leak_and_release(stage: &Stage) {
    stage.armed();
    let semaphore = open_owned();
    let one = semaphore.acquire_timeout(PATIENCE / 2).expect("free");
    one.leak();
    semaphore.release(1).expect("what was leaked");
}

/// All permits are held when the actor comes to wait for one.
fn keep_held(stage: &Stage) {
    let semaphore = BoundedSemaphore::create(NAME, PERMITS).expect("create");
    let all = semaphore.acquire_many(PERMITS);
    stage.ready();
    stage.until_at_it();
    thread::sleep(Duration::from_millis(1)); // either order is right; this makes the rarer one frequent
    drop(all);
    stage.until_dead();
    check_owned(&semaphore);
}

fn wait_owned(stage: &Stage) {
    let semaphore = open_owned();
    stage.armed();
    stage.at_it();
    drop(
        semaphore
            .acquire_timeout(PATIENCE / 2)
            .expect("a permit comes"),
    );
}

/// The actor wants all, and gets them when it has slept for a slice.
fn keep_one_held(stage: &Stage) {
    let semaphore = BoundedSemaphore::create(NAME, PERMITS).expect("create");
    let one = semaphore.acquire();
    stage.ready();
    stage.until_at_it();
    thread::sleep(Duration::from_millis(10)); // time it is: that the actor has slept for a slice
    drop(one);
    stage.until_dead();
    check_owned(&semaphore);
}

fn wait_for_all_owned(stage: &Stage) {
    let semaphore = open_owned();
    stage.armed();
    stage.at_it();
    let all = semaphore.acquire_many_timeout(PERMITS, PATIENCE / 2);
    std::mem::forget(all.expect("permits come"));
    std::mem::forget(semaphore);
}

/// Two threads of the keeper sleep for what the actor holds, and gives back or dies with.
fn keep_waiting(stage: &Stage) {
    let semaphore = BoundedSemaphore::create(NAME, PERMITS).expect("create");
    stage.ready();
    stage.until_at_it();
    thread::scope(|scope| {
        let sleepers = [1, 2].map(|n| {
            let semaphore = &semaphore;
            scope.spawn(move || semaphore.acquire_many(n).count())
        });
        let served: u32 = sleepers.map(|s| s.join().expect("served")).iter().sum();
        assert_eq!(served, 3);
    });
    stage.until_dead();
    check_owned(&semaphore);
}

fn give_owned(stage: &Stage) {
    let semaphore = open_owned();
    let all = semaphore.acquire_many(PERMITS);
    stage.at_it();
    thread::sleep(Duration::from_millis(1)); // either order is right; this makes the rarer one frequent
    stage.armed();
    drop(all);
}

fn keep_no_owned(stage: &Stage) {
    stage.stand_by();
    let semaphore = BoundedSemaphore::open_or_create(NAME, PERMITS).expect("open or create");
    check_owned(&semaphore);
    drop(semaphore);
    assert_eq!(
        stage.leftovers(),
        0,
        "the last one left and something remains"
    );
}

fn create_owned(stage: &Stage) {
    stage.armed();
    let semaphore = BoundedSemaphore::open_or_create(NAME, PERMITS).expect("open or create");
    std::mem::forget(semaphore.acquire_timeout(PATIENCE / 2).expect("a permit"));
}

/// A semaphore without a name, found by the handle in a message.
fn keep_owned_handle(stage: &Stage) {
    let semaphore = BoundedSemaphore::new(PERMITS).expect("new");
    let post = Queue::<BoundedSemaphore>::builder()
        .name("post")
        .capacity(4);
    let post = post.create().expect("create");
    for _ in 0..2 {
        post.put(&semaphore).expect("room");
    }
    stage.stand_by();
    check_owned(&semaphore);
}

fn by_handle() -> BoundedSemaphore {
    let post = Queue::<BoundedSemaphore>::open("post").expect("open");
    let message = post.lease_timeout(PATIENCE / 2).expect("a message");
    message.to_owned().expect("attach")
}

fn hold_by_handle(stage: &Stage) {
    stage.armed();
    let semaphore = by_handle();
    let two = semaphore.acquire_many_timeout(2, PATIENCE / 2);
    std::mem::forget(two.expect("free"));
    std::mem::forget(semaphore);
}

fn pass_by_handle(stage: &Stage) {
    stage.armed();
    let semaphore = by_handle();
    drop(
        semaphore
            .acquire_timeout(PATIENCE / 2)
            .expect("a permit comes"),
    );
}
