//! Watchers, who wait for several things at once: put and set for, enrolled, announced, rung and gone, crashed at every step.
//!
//! The keeper has watchers of its own, threads that wait without an end: one that is forgotten hangs its world.

use std::thread;
use std::time::Duration;

use multiproc::{Event, Queue, Watch, wait_any, wait_any_timeout};

use crate::engine::{PATIENCE, Scenario, Stage, scenarios};

const FLAG: &str = "flag";
const QUEUE: &str = "queue";

/// Both sides: who changes a thing that is watched, and who watches.
pub const SCENARIOS: &[Scenario] = scenarios! {
    "watch: put for watchers": keep_watching put put;
    "watch: set for watchers": keep_watching set set;
    "watch: set and clear for watchers": keep_watching pulse pulse;
    "watch: close for watchers": keep_watching close close;
    "watch: wait for any": keep_silent wait wait;
    "watch: a descriptor": keep_silent watch watch;
};

fn things() -> (Event, Queue<u64>) {
    (
        Event::open(FLAG).expect("open"),
        Queue::open(QUEUE).expect("open"),
    )
}

fn make() -> (Event, Queue<u64>) {
    let queue = Queue::builder().name(QUEUE).capacity(8);
    (
        Event::create(FLAG).expect("create"),
        queue.create().expect("create"),
    )
}

/// Two threads watch both things. Whoever changes one of them, or dies at it, lets both through, and so does the keeper.
fn keep_watching(stage: &Stage) {
    let (event, queue) = make();
    thread::scope(|scope| {
        let watchers = [(); 2].map(|()| scope.spawn(|| wait_any(&[&event, &queue])));
        stage.ready();
        stage.until_dead();
        if !queue.is_closed() {
            queue.put(0).expect("room");
        }
        for watcher in watchers {
            watcher.join().expect("no panic").expect("something");
        }
    });
    check(&event, &queue);
}

/// Whatever the dead left, who watches is told.
fn check(event: &Event, queue: &Queue<u64>) {
    while queue.try_get().is_ok() {}
    event.clear();
    let never = Event::new().expect("new");
    thread::scope(|scope| {
        let watcher = scope.spawn(|| wait_any_timeout(&[&never, event], PATIENCE / 2));
        event.set();
        let found = watcher.join().expect("no panic").expect("a result");
        assert_eq!(found, Some(1));
    });
}

/// Gives the watchers a moment to fall asleep.
fn arrive(stage: &Stage) -> (Event, Queue<u64>) {
    let things = things();
    thread::sleep(Duration::from_millis(1)); // either order is right; this makes the rarer one frequent
    stage.armed();
    things
}

fn put(stage: &Stage) {
    let (_event, queue) = arrive(stage);
    queue.put(7).expect("room");
}

fn set(stage: &Stage) {
    let (event, _queue) = arrive(stage);
    event.set();
}

fn pulse(stage: &Stage) {
    let (event, _queue) = arrive(stage);
    event.set();
    event.clear();
}

fn close(stage: &Stage) {
    let (_event, queue) = arrive(stage);
    queue.close();
}

/// Something is there when the actor has come to wait for it.
fn keep_silent(stage: &Stage) {
    let (event, queue) = make();
    stage.ready();
    stage.until_at_it();
    thread::sleep(Duration::from_millis(1)); // either order is right; this makes the rarer one frequent
    queue.put(1).expect("room");
    stage.until_dead();
    check(&event, &queue);
}

fn wait(stage: &Stage) {
    let (event, queue) = things();
    stage.armed();
    stage.at_it();
    let found = wait_any_timeout(&[&event, &queue], PATIENCE / 2).expect("a result");
    assert_eq!(found, Some(1));
}

fn watch(stage: &Stage) {
    let (_event, queue) = things();
    stage.armed();
    let watch = Watch::new(queue).expect("a watch");
    stage.at_it();
    while !watch.rearm().expect("a result") {
        let found = wait_any_timeout(&[&watch_fd(&watch)], PATIENCE / 2).expect("a result");
        assert_eq!(found, Some(0));
    }
}

fn watch_fd<W: multiproc::Waitable>(watch: &Watch<W>) -> std::os::fd::BorrowedFd<'_> {
    std::os::fd::AsFd::as_fd(watch)
}
