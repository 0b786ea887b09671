//! The lock for readers and writers: looked at, changed, waited for, held, downgraded, recovered, crashed at every step.

use std::thread;
use std::time::Duration;

use multiproc::{LockTimeoutError, RwLock, WriteGuard};

use crate::engine::{PATIENCE, Scenario, Stage, scenarios};

const NAME: &str = "rwlock";

/// Two fields that belong together: they differ only while somebody is at work on them.
type Pair = [u64; 2];

/// Every verb of the lock that stores anything.
pub const SCENARIOS: &[Scenario] = scenarios! {
    "rwlock: read": keep look look_and_work;
    "rwlock: read, swept": keep hold_look sweep;
    "rwlock: read and hold": keep hold_look look_and_work;
    "rwlock: read and hold while a writer waits": keep_writing hold_look_slowly sweep;
    "rwlock: write": keep work look_and_work;
    "rwlock: write and hold": keep hold look_and_work;
    "rwlock: write and hold, swept": keep hold sweep;
    "rwlock: write while others read": keep_reading work look_and_work;
    "rwlock: read while another writes": keep_changing look_and_work look_and_work;
    "rwlock: write and read on": keep downgrade look_and_work;
    "rwlock: give up writing": keep_reading give_up look;
    "rwlock: recover": keep_torn recover recover;
    "rwlock: read without a row": keep_few look_without_row look_and_work;
    "rwlock: create": keep_none look_and_work look_and_work;
};

fn open() -> RwLock<Pair> {
    RwLock::open_or_create(NAME, [0, 0]).expect("open or create")
}

/// Takes the lock whatever happened to its last writer, and mends what that one left.
fn take(lock: &RwLock<Pair>) -> WriteGuard<'_, Pair> {
    match lock.write_timeout(PATIENCE / 2) {
        Ok(guard) => {
            assert_eq!(guard[0], guard[1], "half changed, and not marked");
            guard
        }
        Err(LockTimeoutError::OwnerDied { .. }) => {
            let mut guard = lock.recover().expect("recover");
            guard[1] = guard[0];
            guard.mark_consistent();
            guard
        }
        Err(other) => panic!("{other}"),
    }
}

/// Looks, whatever happened to the last writer.
fn see(lock: &RwLock<Pair>) {
    match lock.read_timeout(PATIENCE / 2) {
        Ok(guard) => assert_eq!(guard[0], guard[1], "half changed, and not marked"),
        Err(LockTimeoutError::OwnerDied { .. }) => drop(take(lock)),
        Err(other) => panic!("{other}"),
    }
}

/// Adds one to each half, as work that a death may interrupt anywhere.
fn step_up(lock: &RwLock<Pair>, stage: &Stage) {
    stage.ledger().putting(0);
    let mut guard = take(lock);
    guard[0] += 1;
    guard[1] += 1;
    drop(guard);
    stage.ledger().accepted(0);
}

/// After all deaths the lock works, and no finished change is lost.
fn check(lock: &RwLock<Pair>, stage: &Stage) {
    let guard = take(lock);
    let (finished, begun) = stage.ledger().counts(0);
    assert!(
        (finished..=begun).contains(&guard[0]),
        "{} of {finished} to {begun} increments",
        guard[0]
    );
    drop(guard);
    drop(lock.try_read().expect("nobody writes"));
    drop(lock.try_write().expect("free and mended"));
}

fn keep(stage: &Stage) {
    let lock = RwLock::create(NAME, [0, 0]).expect("create");
    stage.stand_by();
    check(&lock, stage);
}

fn look(stage: &Stage) {
    stage.armed();
    let lock = open();
    see(&lock);
    see(&lock); // by the row that the first took
}

fn look_and_work(stage: &Stage) {
    stage.armed();
    let lock = open();
    see(&lock);
    step_up(&lock, stage);
    see(&lock);
}

fn work(stage: &Stage) {
    let lock = open();
    stage.armed();
    stage.at_it();
    step_up(&lock, stage);
}

fn hold_look(stage: &Stage) {
    stage.armed();
    let lock = open();
    let outer = lock.read_timeout(PATIENCE / 2).expect("nobody writes");
    let inner = lock.read_timeout(PATIENCE / 2).expect("this thread reads");
    std::mem::forget([outer, inner]);
    std::mem::forget(lock);
}

fn hold(stage: &Stage) {
    stage.armed();
    let lock = open();
    stage.ledger().putting(0);
    let mut guard = take(&lock);
    guard[0] += 1;
    std::mem::forget(guard);
    std::mem::forget(lock);
}

fn sweep(stage: &Stage) {
    stage.armed();
    multiproc::gc().expect("gc");
}

fn downgrade(stage: &Stage) {
    stage.armed();
    let lock = open();
    stage.ledger().putting(0);
    let mut guard = take(&lock);
    guard[0] += 1;
    guard[1] += 1;
    stage.ledger().accepted(0);
    let look = guard.downgrade().expect("mended");
    assert_eq!(look[0], look[1]);
}

/// A thread of the keeper writes while the actor comes, reads and dies.
fn keep_writing(stage: &Stage) {
    let lock = RwLock::create(NAME, [0, 0]).expect("create");
    thread::scope(|scope| {
        stage.ready();
        stage.until_at_it();
        let writer = scope.spawn(|| step_up(&lock, stage));
        writer.join().expect("no dead reader is in the way");
        stage.until_dead();
    });
    check(&lock, stage);
}

fn hold_look_slowly(stage: &Stage) {
    let lock = open();
    stage.armed();
    let look = lock.read_timeout(PATIENCE / 2).expect("nobody writes");
    stage.at_it();
    thread::sleep(Duration::from_millis(1)); // either order is right; this makes the rarer one frequent
    drop(look);
    std::mem::forget(lock.read_timeout(PATIENCE / 2).expect("the writer is done"));
    std::mem::forget(lock);
}

/// The keeper reads when the actor comes to write, and for a while after.
fn keep_reading(stage: &Stage) {
    let lock = RwLock::create(NAME, [0, 0]).expect("create");
    let look = lock.read().expect("nobody writes");
    stage.ready();
    stage.until_at_it();
    thread::sleep(Duration::from_millis(6)); // time it is: that the actor has slept for a slice
    drop(look);
    stage.until_dead();
    check(&lock, stage);
}

fn give_up(stage: &Stage) {
    let lock = open();
    stage.armed();
    stage.at_it();
    let short = Duration::from_millis(5); // longer than a slice
    let _ = lock.write_timeout(short).map(drop);
}

/// The keeper changes the data when the actor comes, and for a while after.
fn keep_changing(stage: &Stage) {
    let lock = RwLock::create(NAME, [0, 0]).expect("create");
    let change = lock.write().expect("new");
    stage.ready();
    thread::sleep(Duration::from_millis(2)); // either order is right; this makes the rarer one frequent
    drop(change);
    stage.until_dead();
    check(&lock, stage);
}

/// A writer has died in the middle.
fn keep_torn(stage: &Stage) {
    let lock = RwLock::create(NAME, [0, 0]).expect("create");
    stage.ledger().putting(0);
    let torn = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut guard = lock.write().expect("new");
        guard[0] += 1;
        std::panic::resume_unwind(Box::new(()));
    }));
    assert!(torn.is_err());
    stage.stand_by();
    check(&lock, stage);
}

fn recover(stage: &Stage) {
    stage.armed();
    let lock = open();
    let mut guard = lock.recover().expect("recover");
    guard[1] = guard[0];
    guard.mark_consistent();
}

/// There is one row, and the keeper has it.
fn keep_few(stage: &Stage) {
    let lock = RwLock::create_for_readers(NAME, [0, 0], 1).expect("create");
    drop(lock.read().expect("nobody writes"));
    stage.stand_by();
    check(&lock, stage);
}

fn look_without_row(stage: &Stage) {
    stage.armed();
    let lock = open();
    see(&lock);
    std::mem::forget(lock.read_timeout(PATIENCE / 2).expect("nobody writes"));
    std::mem::forget(lock);
}

/// Whoever died making it: the name works for the next one, and nothing is left when that one leaves.
fn keep_none(stage: &Stage) {
    stage.stand_by();
    let lock = open();
    step_up(&lock, stage);
    drop(lock);
    assert_eq!(
        stage.leftovers(),
        0,
        "the last one left and something remains"
    );
}
