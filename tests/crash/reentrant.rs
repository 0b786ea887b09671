//! The reentrant lock: taken again and again, held, recovered, made and found, crashed at every step.

use multiproc::{LockTimeoutError, ReentrantGuard, ReentrantLock};

use crate::engine::{PATIENCE, Scenario, Stage, scenarios};

const NAME: &str = "reentrant";

/// Two fields that belong together: they differ only while somebody is at work on them.
type Pair = [u64; 2];

/// Every verb of the reentrant lock that stores anything.
pub const SCENARIOS: &[Scenario] = scenarios! {
    "reentrant lock: lock deeper and unlock": keep work work;
    "reentrant lock: lock deeper and hold": keep hold work;
    "reentrant lock: lock deeper and hold, swept": keep hold sweep;
    "reentrant lock: recover deeper": keep recover recover;
    "reentrant lock: create": keep_none work work;
};

fn open() -> ReentrantLock<Pair> {
    ReentrantLock::open_or_create(NAME, [0, 0]).expect("open or create")
}

/// Takes the lock whatever happened to its last holder, and mends what that one left.
fn take(lock: &ReentrantLock<Pair>) -> ReentrantGuard<'_, Pair> {
    match lock.lock_timeout(PATIENCE / 2) {
        Ok(guard) => {
            let [first, second] = guard.get();
            assert_eq!(first, second, "half changed, and not marked");
            assert_eq!(guard.depth(), 1, "a depth of the dead");
            guard
        }
        Err(LockTimeoutError::OwnerDied { .. }) => {
            let guard = lock.recover().expect("recover");
            assert_eq!(guard.depth(), 1, "a depth of the dead");
            guard.update(|pair| pair[1] = pair[0]);
            guard.mark_consistent();
            guard
        }
        Err(other) => panic!("{other}"),
    }
}

/// Adds one to each half under a guard of its own, as work that a death may interrupt anywhere.
fn step_up(lock: &ReentrantLock<Pair>, stage: &Stage) {
    stage.ledger().putting(0);
    let outer = take(lock);
    for half in 0..2 {
        let inner = lock.lock().expect("this thread's");
        inner.update(|pair| pair[half] += 1);
        assert_eq!(outer.depth(), 2);
    }
    drop(outer);
    stage.ledger().accepted(0);
}

fn keep(stage: &Stage) {
    let lock = ReentrantLock::create(NAME, [0, 0]).expect("create");
    stage.stand_by();
    let guard = take(&lock);
    let (finished, begun) = stage.ledger().counts(0);
    let [value, _] = guard.get();
    assert!(
        (finished..=begun).contains(&value),
        "{value} of {finished} to {begun} increments"
    );
    drop(guard);
    drop(lock.try_lock().expect("free and mended"));
}

fn work(stage: &Stage) {
    stage.armed();
    step_up(&open(), stage);
}

fn hold(stage: &Stage) {
    stage.armed();
    let lock = open();
    stage.ledger().putting(0);
    let outer = take(&lock);
    outer.update(|pair| pair[0] += 1);
    std::mem::forget([lock.lock().expect("this thread's"), outer]);
    std::mem::forget(lock);
}

fn sweep(stage: &Stage) {
    stage.armed();
    multiproc::gc().expect("gc");
}

fn recover(stage: &Stage) {
    stage.armed();
    let lock = open();
    let outer = lock.recover().expect("recover");
    let inner = lock.recover().expect("recover");
    assert_eq!(inner.depth(), 2);
    inner.update(|pair| pair[1] = pair[0]);
    outer.mark_consistent();
}

/// Whoever died making it: the name works for the next one, and nothing is left when that one leaves.
fn keep_none(stage: &Stage) {
    stage.stand_by();
    step_up(&open(), stage);
    assert_eq!(
        stage.leftovers(),
        0,
        "the last one left and something remains"
    );
}
