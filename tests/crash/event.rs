//! The event and the latch: set, cleared, counted, waited for, made and found, crashed at every step.
//!
//! The keeper has waiters of its own, threads that wait without an end: one that is forgotten hangs its world.

use std::thread;
use std::time::Duration;

use multiproc::{Event, Latch, Queue};

use crate::engine::{PATIENCE, Scenario, Stage, scenarios};

const NAME: &str = "event";

/// Every verb of event and latch that stores anything.
pub const SCENARIOS: &[Scenario] = scenarios! {
    "event: set for sleepers": keep_sleeping set set;
    "event: set and clear for sleepers": keep_sleeping pulse pulse;
    "event: clear what was set for sleepers": keep_sleeping pulse clear;
    "event: wait": keep_unset wait wait;
    "event: create": keep_none create create;
    "event: attach a handle and set": keep_handle set_by_handle set_by_handle;
    "latch: count down for sleepers": keep_counting count_down count_down;
    "latch: wait": keep_closed pass pass;
    "latch: create": keep_no_latch create_latch create_latch;
};

fn open() -> Event {
    Event::open(NAME).expect("open")
}

/// Two threads sleep. Whoever sets the flag, or dies at it, lets both through, and so does the keeper in the end.
fn keep_sleeping(stage: &Stage) {
    let event = Event::create(NAME).expect("create");
    thread::scope(|scope| {
        let sleepers = [(); 2].map(|()| scope.spawn(|| event.wait()));
        stage.ready();
        stage.until_dead();
        if !event.is_set() {
            event.set();
        }
        for sleeper in sleepers {
            sleeper.join().expect("let through");
        }
    });
    check(&event);
}

/// Whatever the dead left in it, the event does what an event does.
fn check(event: &Event) {
    event.set();
    event.wait();
    event.clear();
    assert!(event.wait_timeout(Duration::ZERO).is_err());
    thread::scope(|scope| {
        let sleeper = scope.spawn(|| event.wait_timeout(PATIENCE / 2));
        event.set();
        sleeper.join().expect("no panic").expect("let through");
    });
}

/// Gives the sleepers a moment to fall asleep.
fn arrive(stage: &Stage) -> Event {
    let event = open();
    thread::sleep(Duration::from_millis(1)); // either order is right; this makes the rarer one frequent
    stage.armed();
    event
}

fn set(stage: &Stage) {
    let event = arrive(stage);
    event.set();
    assert!(event.is_set());
}

fn pulse(stage: &Stage) {
    let event = arrive(stage);
    event.set();
    event.clear();
    assert!(!event.is_set());
}

fn clear(stage: &Stage) {
    let event = arrive(stage);
    event.clear();
    assert!(!event.is_set());
}

/// The flag is set when the actor has come to wait for it.
fn keep_unset(stage: &Stage) {
    let event = Event::create(NAME).expect("create");
    stage.ready();
    stage.until_at_it();
    thread::sleep(Duration::from_millis(1)); // either order is right; this makes the rarer one frequent
    event.set();
    stage.until_dead();
    assert!(event.is_set());
    check(&event);
}

fn wait(stage: &Stage) {
    let event = open();
    stage.armed();
    stage.at_it();
    event.wait_timeout(PATIENCE / 2).expect("let through");
}

/// Whoever died making it: the name works for the next one, and nothing is left when that one leaves.
fn keep_none(stage: &Stage) {
    stage.stand_by();
    let event = Event::open_or_create(NAME).expect("open or create");
    check(&event);
    drop(event);
    assert_eq!(
        stage.leftovers(),
        0,
        "the last one left and something remains"
    );
}

fn create(stage: &Stage) {
    stage.armed();
    let event = Event::open_or_create(NAME).expect("open or create");
    event.set();
    event.wait();
}

/// An event without a name, found by the handle in a message.
fn keep_handle(stage: &Stage) {
    let event = Event::new().expect("new");
    let post = Queue::<Event>::builder().name("post").capacity(4);
    let post = post.create().expect("create");
    for _ in 0..2 {
        post.put(&event).expect("room");
    }
    stage.stand_by();
    assert!(event.is_set() || !stage.completed());
    check(&event);
}

fn set_by_handle(stage: &Stage) {
    stage.armed();
    let post = Queue::<Event>::open("post").expect("open");
    let message = post.lease_timeout(PATIENCE / 2).expect("a message");
    message.to_owned().expect("attach").set();
}

/// The steps of a latch that the keeper leaves to the others.
const STEPS: u32 = 2;

fn keep_counting(stage: &Stage) {
    let latch = Latch::create(NAME, STEPS + 1).expect("create");
    thread::scope(|scope| {
        let sleepers = [(); 2].map(|()| scope.spawn(|| latch.wait()));
        stage.ready();
        stage.until_dead();
        let (finished, begun) = stage.ledger().counts(0);
        let counted = u64::from(STEPS + 1 - latch.count());
        assert!((finished..=begun).contains(&counted), "{counted} counted");
        latch.count_down_by(latch.count()).expect("what is left");
        for sleeper in sleepers {
            sleeper.join().expect("let through");
        }
    });
    assert!(latch.count_down().is_err());
}

fn count_down(stage: &Stage) {
    let latch = Latch::open(NAME).expect("open");
    thread::sleep(Duration::from_millis(1)); // either order is right; this makes the rarer one frequent
    stage.armed();
    step_down(&latch, stage);
}

fn step_down(latch: &Latch, stage: &Stage) {
    stage.ledger().putting(0);
    latch.count_down().expect("enough is left");
    stage.ledger().accepted(0);
}

/// The last step is made when the actor has come to wait for it.
fn keep_closed(stage: &Stage) {
    let latch = Latch::create(NAME, 1).expect("create");
    stage.ready();
    stage.until_at_it();
    thread::sleep(Duration::from_millis(1)); // either order is right; this makes the rarer one frequent
    latch.count_down().expect("one is left");
    stage.until_dead();
    latch.wait();
}

fn pass(stage: &Stage) {
    let latch = Latch::open(NAME).expect("open");
    stage.armed();
    stage.at_it();
    latch.wait_timeout(PATIENCE / 2).expect("let through");
}

fn keep_no_latch(stage: &Stage) {
    stage.stand_by();
    let latch = Latch::open_or_create(NAME, STEPS + 1).expect("open or create");
    // What the dead have left behind is taken over, with what they have counted.
    step_down(&latch, stage);
    assert!(latch.count() <= STEPS);
    drop(latch);
    assert_eq!(
        stage.leftovers(),
        0,
        "the last one left and something remains"
    );
}

fn create_latch(stage: &Stage) {
    stage.armed();
    let latch = Latch::open_or_create(NAME, STEPS + 1).expect("open or create");
    step_down(&latch, stage);
}
