//! The condition: waited for, notified, left in time, made and found, crashed at every step.
//!
//! In most worlds the keeper has waiters of its own, threads that wait without an end: one that is forgotten hangs its
//! world. The data are permits, which waiters take and notifiers give.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use multiproc::{
    Condition, ConditionError, ConditionGuard, ConditionTimeoutError, Lock, LockError, Queue,
    wait_any,
};

use crate::common::board::eventually;
use crate::engine::{PATIENCE, Scenario, Stage, scenarios};

const NAME: &str = "condition";

/// How many permits there are, and how many were taken.
type Permits = [u32; 2];

/// Every verb of the condition that stores anything.
pub const SCENARIOS: &[Scenario] = scenarios! {
    "condition: wait in front of another": keep_second_waiter wait sweep;
    "condition: wait for a moment in front of another": keep_second_waiter wait_shortly sweep;
    "condition: notify all": keep_waiters give give;
    "condition: notify all, swept": keep_waiters give sweep;
    "condition: watch in front of another": keep_second_waiter watch sweep;
    "condition: resign in front of another": keep_second_waiter resign sweep;
    "condition: notify all watchers": keep_watchers give give;
    "condition: notify all watchers, swept": keep_watchers give sweep;
    "condition: hold while others wait": keep_waiters_of_holder hold sweep;
    "condition: change while others wait": keep_waiters_of_mended hold sweep;
    "condition: wait, and recover": keep_dying_holder wait_and_mend sweep;
    "condition: create": keep_none create create;
    "condition: attach handles and wait": keep_handle wait_by_handle sweep;
};

fn open() -> Condition<Permits> {
    Condition::open(NAME).expect("open")
}

/// Takes the lock whatever happened to its last holder. Whoever dies in here has changed all or nothing.
fn enter(condition: &Condition<Permits>) -> ConditionGuard<'_, Permits> {
    match condition.lock() {
        Ok(guard) => guard,
        Err(LockError::OwnerDied { .. }) => {
            let mut guard = condition.recover().expect("recover");
            guard.mark_consistent();
            guard
        }
        Err(other) => panic!("{other}"),
    }
}

/// Waits without an end until there is a permit, and takes it.
fn take(mut guard: ConditionGuard<'_, Permits>) {
    loop {
        match guard.wait_while(|permits| permits[0] == 0) {
            Ok(()) => break,
            Err(ConditionError::OwnerDied { .. }) => guard.mark_consistent(),
            Err(other) => panic!("{other}"),
        }
    }
    *guard = [guard[0] - 1, guard[1] + 1];
}

/// The same, registered and asleep elsewhere.
fn take_watching<'c>(condition: &'c Condition<Permits>, guard: ConditionGuard<'c, Permits>) {
    let mut guard = watch_for_permit(condition, guard);
    *guard = [guard[0] - 1, guard[1] + 1];
}

fn watch_for_permit<'c>(
    condition: &'c Condition<Permits>,
    mut guard: ConditionGuard<'c, Permits>,
) -> ConditionGuard<'c, Permits> {
    while guard[0] == 0 {
        let waiter = guard.register().expect("room");
        wait_any(&[&waiter]).expect("a bell");
        guard = match waiter.lock() {
            Err(LockError::OwnerDied { .. }) => enter(condition),
            other => other.expect("only deaths"),
        };
    }
    guard
}

fn give_one(condition: &Condition<Permits>) {
    enter(condition)[0] += 1;
    condition.notify_one();
}

/// Nobody is left in the queue who lives.
fn check_empty(condition: &Condition<Permits>) {
    condition.notify_all(); // the dead, of whom nobody has needed anything yet
    assert_eq!(condition.notify_all(), 0, "somebody is left in the queue");
    let mut guard = enter(condition);
    let timeout = Err(ConditionTimeoutError::Timeout);
    assert_eq!(guard.wait_timeout(Duration::ZERO), timeout);
}

fn sweep(stage: &Stage) {
    stage.armed();
    multiproc::gc().expect("gc");
}

/// The keeper waits behind the actor, and gives one permit: if the actor does not live to take it, it is the keeper's.
fn keep_second_waiter(stage: &Stage) {
    let condition = Condition::create(NAME, [0, 0]).expect("create");
    let waiting = AtomicU32::new(0);
    stage.ready();
    thread::scope(|scope| {
        let second = scope.spawn(|| {
            stage.until_at_it();
            let guard = enter(&condition);
            waiting.store(1, SeqCst);
            take(guard);
        });
        // It waits for the lock at most, and will have given it up when this has it.
        assert!(eventually(PATIENCE, || waiting.load(SeqCst) == 1));
        give_one(&condition);
        stage.until_dead();
        let [_, taken] = *enter(&condition);
        if taken == 1 && stage.ledger().counts(0).1 > 0 {
            give_one(&condition); // the actor had the first one
        }
        second.join().expect("the second waiter");
    });
    check_empty(&condition);
}

fn wait(stage: &Stage) {
    let condition = open();
    let mut guard = enter(&condition);
    stage.at_it();
    stage.armed();
    guard
        .wait_while(|permits| permits[0] == 0)
        .expect("nobody else dies");
    stage.ledger().putting(0);
    *guard = [guard[0] - 1, guard[1] + 1];
}

fn wait_shortly(stage: &Stage) {
    let condition = open();
    let mut guard = enter(&condition);
    stage.at_it();
    stage.armed();
    let shortly = Duration::from_millis(1); // whichever comes first, the notification or the end, is right
    match guard.wait_while_timeout(shortly, |permits| permits[0] == 0) {
        Ok(()) => {
            stage.ledger().putting(0);
            *guard = [guard[0] - 1, guard[1] + 1];
        }
        Err(why) => assert_eq!(why, ConditionTimeoutError::Timeout),
    }
}

fn watch(stage: &Stage) {
    let condition = open();
    let guard = enter(&condition);
    stage.at_it();
    stage.armed();
    let mut guard = watch_for_permit(&condition, guard);
    stage.ledger().putting(0);
    *guard = [guard[0] - 1, guard[1] + 1];
}

/// Is notified, and has no use for it.
fn resign(stage: &Stage) {
    let condition = open();
    let guard = enter(&condition);
    stage.at_it();
    stage.armed();
    let waiter = guard.register().expect("room");
    wait_any(&[&waiter]).expect("a bell");
    assert!(waiter.is_notified());
}

/// Two threads of the keeper wait. Once the actor has returned nobody has to do anything more for them.
fn keep_waiters(stage: &Stage) {
    keep_two(stage, |_, guard| take(guard));
}

fn keep_watchers(stage: &Stage) {
    keep_two(stage, take_watching);
}

fn keep_two(stage: &Stage, take: for<'c> fn(&'c Condition<Permits>, ConditionGuard<'c, Permits>)) {
    let condition = Condition::create(NAME, [0, 0]).expect("create");
    let waiting = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let guard = enter(&condition);
                waiting.fetch_add(1, SeqCst);
                take(&condition, guard);
            });
        }
        assert!(eventually(PATIENCE, || waiting.load(SeqCst) == 2));
        drop(enter(&condition)); // both have given the lock up by now
        stage.stand_by();
        if !stage.completed() {
            let mut guard = enter(&condition);
            guard[0] = 2 - guard[1];
            drop(guard);
            condition.notify_all();
        }
    });
    check_empty(&condition);
}

fn give(stage: &Stage) {
    stage.armed();
    let condition = open();
    let mut guard = enter(&condition);
    guard[0] = 2 - guard[1];
    drop(guard);
    condition.notify_all();
}

/// The actor dies with the lock, or without it: who waits hears of the one, and is notified of the other.
fn keep_waiters_of_holder(stage: &Stage) {
    keep_waiter(stage, |_| {});
}

/// Somebody else is faster to mend what the actor has left, and does not know what was new in it.
fn keep_waiters_of_mended(stage: &Stage) {
    keep_waiter(stage, |condition| drop(enter(condition)));
}

fn keep_waiter(stage: &Stage, mend: impl Fn(&Condition<Permits>)) {
    let condition = Condition::create(NAME, [0, 0]).expect("create");
    let waiting = AtomicU32::new(0);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let guard = enter(&condition);
            waiting.store(1, SeqCst);
            take(guard);
        });
        assert!(eventually(PATIENCE, || waiting.load(SeqCst) == 1));
        drop(enter(&condition)); // it has given the lock up by now
        stage.stand_by();
        if stage.completed() {
            mend(&condition);
        } else {
            give_one(&condition);
        }
        waiter.join().expect("the waiter");
    });
    check_empty(&condition);
}

/// Gives a permit, and dies before it has notified anybody.
fn hold(stage: &Stage) {
    stage.armed();
    let condition = open();
    let mut guard = enter(&condition);
    guard[0] += 1;
    std::mem::forget(guard);
    std::mem::forget(condition);
}

/// A thread of the keeper gives its guard to a panic while the actor waits, who mends and goes on.
fn keep_dying_holder(stage: &Stage) {
    let condition = Condition::create(NAME, [0, 0]).expect("create");
    stage.ready();
    stage.until_at_it();
    let torn = thread::scope(|scope| {
        let torn = scope.spawn(|| {
            let _guard = enter(&condition);
            std::panic::resume_unwind(Box::new("with the guard in hand"));
        });
        torn.join()
    });
    assert!(torn.is_err());
    stage.until_dead();
    check_empty(&condition);
}

fn wait_and_mend(stage: &Stage) {
    let condition = open();
    let mut guard = enter(&condition);
    stage.at_it();
    stage.armed();
    match guard.wait() {
        Err(ConditionError::OwnerDied { .. }) if guard.is_marked() => guard.mark_consistent(),
        other => panic!("nobody notified: {other:?}"),
    }
}

/// Whoever died making it: the name works for the next one, and nothing is left when that one leaves.
fn keep_none(stage: &Stage) {
    stage.stand_by();
    use_once();
    assert_eq!(
        stage.leftovers(),
        0,
        "the last one left and something remains"
    );
}

fn use_once() {
    let condition = Condition::open_or_create(NAME, [0, 0]).expect("open or create");
    check_empty(&condition);
}

fn create(stage: &Stage) {
    stage.armed();
    use_once();
}

/// A condition without a name that shares a lock, found by the handles in a message.
fn keep_handle(stage: &Stage) {
    let lock = Lock::new([0, 0]).expect("new");
    let condition = Condition::with_lock(&lock).expect("with lock");
    let post = Queue::<Condition<Permits>>::builder()
        .name("post")
        .capacity(4)
        .create()
        .expect("create");
    post.put(&condition).expect("room");
    stage.stand_by();
    check_empty(&condition);
    drop(enter(&condition));
    assert!(lock.try_lock().is_ok());
}

fn wait_by_handle(stage: &Stage) {
    stage.armed();
    let post = Queue::<Condition<Permits>>::open("post").expect("open");
    let message = post.lease_timeout(PATIENCE / 2).expect("a message");
    check_empty(&message.to_owned().expect("attach"));
}
