//! The lock and the value: taken, waited for, recovered, made and found, crashed at every step.

use std::time::Duration;

use multiproc::{AdoptError, Lock, LockError, LockGuard, LockTimeoutError, Queue, Value};

use crate::common::child::Child;
use crate::engine::{PATIENCE, Scenario, Stage, scenarios};

const NAME: &str = "lock";

/// Two fields that belong together: they differ only while somebody is at work on them.
type Pair = [u64; 2];

/// Every verb of lock and value that stores anything.
pub const SCENARIOS: &[Scenario] = scenarios! {
    "lock: attach and detach": keep attach work;
    "lock: lock and unlock": keep work work;
    "lock: lock and hold": keep hold work;
    "lock: lock and hold, swept": keep hold sweep;
    "lock: wait and lock": keep_busy wait work;
    "lock: unlock for a sleeper": keep_sleeping work_slowly work;
    "lock: recover": keep_marked recover work;
    "lock: recover and hold": keep_marked recover_and_hold work;
    "lock: reset": keep_marked reset work;
    "lock: create": keep_none create create;
    "lock: attach a handle and lock": keep_handle work_by_handle work_by_handle;
    "lock: attach a handle and hold": keep_handle hold_by_handle work_by_handle;
    "lock: leak and adopt": keep hand_over work;
    "lock: leak and end": keep leak work;
    "lock: adopt what another leaked": keep_leaked adopt adopt;
    "lock: make fair": keep make_fair make_fair;
    "fair lock: lock and unlock": keep_fair work work;
    "fair lock: wait and lock": keep_fair_busy wait work;
    "fair lock: unlock for a sleeper": keep_fair_sleeping work_slowly work;
    "value: attach and add": keep_value add add;
    "value: create": keep_no_value create_value create_value;
};

fn open() -> Lock<Pair> {
    Lock::open(NAME).expect("open")
}

/// Adds one to both halves, as work that a death may interrupt anywhere.
fn step_up(mut guard: LockGuard<'_, Pair>, stage: &Stage) {
    stage.ledger().putting(0);
    guard[0] += 1;
    guard[1] = guard[0];
    drop(guard);
    stage.ledger().accepted(0);
}

/// Takes the lock whatever happened to its last holder, and mends what that one left.
fn take<'l>(lock: &'l Lock<Pair>, stage: &Stage) -> LockGuard<'l, Pair> {
    match lock.lock_timeout(PATIENCE / 2) {
        Ok(guard) => {
            assert_eq!(guard[0], guard[1], "half changed, and not marked");
            guard
        }
        Err(LockTimeoutError::OwnerDied { .. }) => mend(lock, stage),
        Err(other) => panic!("{other}"),
    }
}

fn mend<'l>(lock: &'l Lock<Pair>, stage: &Stage) -> LockGuard<'l, Pair> {
    let mut guard = lock.recover().expect("recover");
    guard[1] = guard[0];
    stage.mending();
    guard.mark_consistent();
    guard
}

/// Whoever died where: the lock can be taken, says what happened, and kept every increment that was finished.
fn check(lock: &Lock<Pair>, stage: &Stage) {
    let guard = take(lock, stage);
    let (finished, begun) = stage.ledger().counts(0);
    assert!(
        (finished..=begun).contains(&guard[0]),
        "{} of {finished} to {begun} increments",
        guard[0]
    );
    drop(guard);
    drop(lock.try_lock().expect("free and mended"));
    assert!(matches!(lock.lock(), Ok(guard) if guard[0] == guard[1]));
}

fn keep(stage: &Stage) {
    let lock = Lock::create(NAME, [0, 0]).expect("create");
    stage.stand_by();
    check(&lock, stage);
}

fn attach(stage: &Stage) {
    stage.armed();
    drop(open());
}

/// Actor and recoverer alike: attach, work, leave.
fn work(stage: &Stage) {
    stage.armed();
    let lock = open();
    step_up(take(&lock, stage), stage);
}

fn hold(stage: &Stage) {
    stage.armed();
    let lock = open();
    let mut guard = take(&lock, stage);
    stage.ledger().putting(0);
    guard[0] += 1;
    std::mem::forget(guard);
    std::mem::forget(lock);
}

fn sweep(stage: &Stage) {
    stage.armed();
    multiproc::gc().expect("gc");
}

/// One that leaks its guard and adopts it again, with the work done in between.
fn hand_over(stage: &Stage) {
    stage.armed();
    let lock = open();
    let mut guard = take(&lock, stage);
    stage.ledger().putting(0);
    guard[0] += 1;
    guard.leak();
    let mut guard = lock.adopt().expect("leaked");
    guard[1] = guard[0];
    drop(guard);
    stage.ledger().accepted(0);
}

fn leak(stage: &Stage) {
    stage.armed();
    let lock = open();
    stage.ledger().putting(0);
    let mut guard = take(&lock, stage);
    guard[0] += 1;
    guard.leak();
    std::mem::forget(lock);
}

/// The keeper has leaked its guard, and lives.
fn keep_leaked(stage: &Stage) {
    let lock = Lock::create(NAME, [0, 0]).expect("create");
    lock.lock().expect("free").leak();
    stage.stand_by();
    if let Ok(guard) = lock.adopt() {
        drop(guard); // nobody else has
    }
    check(&lock, stage);
}

fn adopt(stage: &Stage) {
    stage.armed();
    let lock = open();
    match lock.adopt() {
        Ok(guard) => step_up(guard, stage),
        Err(AdoptError::NotLeaked | AdoptError::OwnerDied { .. }) => {
            step_up(take(&lock, stage), stage);
        }
        Err(other) => panic!("{other}"),
    }
}

fn create_fair() -> Lock<Pair> {
    let lock = Lock::create(NAME, [0, 0]).expect("create");
    lock.fair().expect("nobody holds it")
}

/// Whoever died making it fair: it is a lock, fair or not.
fn make_fair(stage: &Stage) {
    stage.armed();
    let lock = open().fair().expect("this thread does not hold it");
    step_up(take(&lock, stage), stage);
}

fn keep_fair(stage: &Stage) {
    let lock = create_fair();
    stage.stand_by();
    check(&lock, stage);
}

fn keep_fair_busy(stage: &Stage) {
    be_busy(create_fair(), stage);
}

fn keep_fair_sleeping(stage: &Stage) {
    sleep_before(create_fair(), stage);
}

/// The keeper holds the lock until the actor has come to wait for it.
fn keep_busy(stage: &Stage) {
    be_busy(Lock::create(NAME, [0, 0]).expect("create"), stage);
}

fn be_busy(lock: Lock<Pair>, stage: &Stage) {
    let guard = lock.lock().expect("free");
    stage.ready();
    stage.until_at_it();
    std::thread::sleep(Duration::from_millis(1)); // either order is right; this makes the rarer one frequent
    drop(guard);
    stage.until_dead();
    check(&lock, stage);
}

fn wait(stage: &Stage) {
    let lock = open();
    stage.armed();
    stage.at_it();
    step_up(take(&lock, stage), stage);
}

/// The keeper sleeps before the lock that the actor holds and gives up.
fn keep_sleeping(stage: &Stage) {
    sleep_before(Lock::create(NAME, [0, 0]).expect("create"), stage);
}

fn sleep_before(lock: Lock<Pair>, stage: &Stage) {
    stage.ready();
    stage.until_at_it();
    drop(take(&lock, stage));
    stage.until_dead();
    check(&lock, stage);
}

fn work_slowly(stage: &Stage) {
    let lock = open();
    let guard = take(&lock, stage);
    stage.at_it();
    std::thread::sleep(Duration::from_millis(1)); // either order is right; this makes the rarer one frequent
    stage.armed();
    step_up(guard, stage);
}

/// A holder has died already when the actor comes.
fn keep_marked(stage: &Stage) {
    let mut holder = Child::fork(|| {
        stage.until_prepared();
        let lock = open();
        let mut guard = lock.lock().expect("free");
        stage.ledger().putting(0);
        guard[0] += 1;
        // SAFETY: kill and getpid have no memory preconditions.
        unsafe { libc::kill(libc::getpid(), libc::SIGKILL) }
    });
    let lock = Lock::create(NAME, [0, 0]).expect("create");
    stage.prepared();
    assert!(holder.wait(PATIENCE).killed());
    stage.stand_by();
    let died = matches!(
        lock.try_lock(),
        Err(multiproc::TryLockError::OwnerDied { .. })
    );
    assert!(
        died || stage.may_be_mended(),
        "the mark is lost, and nobody mended the data"
    );
    check(&lock, stage);
}

fn recover(stage: &Stage) {
    let lock = open();
    stage.armed();
    assert!(
        matches!(lock.lock(), Err(LockError::OwnerDied { .. })),
        "the mark is lost"
    );
    let mut guard = lock.recover().expect("recover");
    guard[1] = guard[0];
    stage.mending();
    guard.mark_consistent();
    drop(guard);
}

/// Dropped without a word that the data are good: the lock stays marked.
fn recover_and_hold(stage: &Stage) {
    let lock = open();
    stage.armed();
    drop(lock.recover().expect("recover"));
    assert!(
        matches!(lock.lock(), Err(LockError::OwnerDied { .. })),
        "the mark is lost"
    );
    std::mem::forget(lock.recover().expect("recover"));
    std::mem::forget(lock);
}

fn reset(stage: &Stage) {
    let lock = open();
    stage.armed();
    stage.mending();
    drop(lock.reset([1, 1]).expect("reset"));
}

/// Whoever died making it: the name works for the next one, and nothing is left when that one leaves.
fn keep_none(stage: &Stage) {
    stage.stand_by();
    let lock = Lock::open_or_create(NAME, [0, 0]).expect("open or create");
    step_up(take(&lock, stage), stage);
    drop(lock);
    assert_eq!(
        stage.leftovers(),
        0,
        "the last one left and something remains"
    );
}

fn create(stage: &Stage) {
    stage.armed();
    let lock = Lock::open_or_create(NAME, [0, 0]).expect("open or create");
    step_up(take(&lock, stage), stage);
}

/// A lock without a name, found by the handle in a message.
fn keep_handle(stage: &Stage) {
    let lock = Lock::new([0, 0]).expect("new");
    let post = Queue::<Lock<Pair>>::builder()
        .name("post")
        .capacity(4)
        .create()
        .expect("create");
    for _ in 0..2 {
        post.put(&lock).expect("room");
    }
    stage.stand_by();
    check(&lock, stage);
}

fn by_handle() -> Lock<Pair> {
    let post = Queue::<Lock<Pair>>::open("post").expect("open");
    let message = post.lease_timeout(PATIENCE / 2).expect("a message");
    message.to_owned().expect("attach")
}

fn work_by_handle(stage: &Stage) {
    stage.armed();
    let lock = by_handle();
    step_up(take(&lock, stage), stage);
}

fn hold_by_handle(stage: &Stage) {
    stage.armed();
    let lock = by_handle();
    let mut guard = take(&lock, stage);
    stage.ledger().putting(0);
    guard[0] += 1;
    std::mem::forget(guard);
    std::mem::forget(lock);
}

fn keep_value(stage: &Stage) {
    let value = Value::create(NAME, 0_u64).expect("create");
    stage.stand_by();
    let (finished, begun) = stage.ledger().counts(0);
    assert!((finished..=begun).contains(&value.load()));
    assert_eq!(value.fetch_add(5) + 5, value.load());
}

fn add_to(value: &Value<u64>, stage: &Stage) {
    stage.ledger().putting(0);
    value.fetch_add(1);
    stage.ledger().accepted(0);
}

fn add(stage: &Stage) {
    stage.armed();
    let value = Value::open(NAME).expect("open");
    add_to(&value, stage);
}

fn keep_no_value(stage: &Stage) {
    stage.stand_by();
    let value = Value::open_or_create(NAME, 0_u64).expect("open or create");
    let before = value.load();
    add_to(&value, stage);
    assert_eq!(value.load(), before + 1);
    drop(value);
    assert_eq!(
        stage.leftovers(),
        0,
        "the last one left and something remains"
    );
}

fn create_value(stage: &Stage) {
    stage.armed();
    let value = Value::open_or_create(NAME, 0_u64).expect("open or create");
    add_to(&value, stage);
}
