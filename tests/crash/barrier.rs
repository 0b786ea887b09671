//! The barrier: attached, waited at, acted at, aborted and reset, crashed at every step.

use std::time::Duration;

use multiproc::{Barrier, BarrierError, BarrierTurn, BrokenBy, Queue};

use crate::common::board::eventually;
use crate::engine::{PATIENCE, Scenario, Stage, scenarios};

const NAME: &str = "barrier";

type Waited = Result<BarrierTurn, BarrierError>;

/// Every verb that stores anything, with somebody who waits and without.
pub const SCENARIOS: &[Scenario] = scenarios! {
    "barrier: attach and leave": keep come_and_go come_and_go;
    "barrier: arrive first": keep arrive_first arrive;
    "barrier: arrive first, swept": keep arrive_first sweep;
    "barrier: give up": keep give_up give_up;
    "barrier: arrive last": keep_waiting arrive arrive;
    "barrier: arrive last, swept": keep_waiting arrive sweep;
    "barrier: act": keep_waiting act act;
    "barrier: abort": keep_waiting abort reset;
    "barrier: reset": keep_waiting reset reset;
    "barrier: reset a broken one": keep_broken reset reset;
    "barrier: reset beside a sleeper": keep_waiting abort_and_reset abort_and_reset;
    "barrier: create": keep_none create create;
    "barrier: attach a handle": keep_handle arrive_by_handle sweep;
};

fn open() -> Barrier {
    Barrier::open(NAME).expect("open")
}

/// A wait that nobody may leave hanging.
fn wait(barrier: &Barrier) -> Waited {
    let turn = barrier.wait_timeout(PATIENCE / 2);
    assert_ne!(turn, Err(BarrierError::Timeout), "waited for the dead");
    turn
}

/// Two threads meet; what they said.
fn meet(barrier: &Barrier) -> [Waited; 2] {
    std::thread::scope(|scope| {
        let other = scope.spawn(|| wait(barrier));
        let mine = wait(barrier);
        [mine, other.join().expect("the other thread")]
    })
}

/// Whoever died where: those who meet pass, or are told; and after a reset they pass.
fn check(barrier: &Barrier) {
    let first = meet(barrier);
    if let [Ok(one), Ok(other)] = first {
        assert_eq!(one.index() + other.index(), 1, "one index for two");
    }
    barrier.reset();
    assert!(!barrier.is_broken());
    assert_eq!(barrier.waiting(), 0);
    for _ in 0..2 {
        let again = meet(barrier);
        assert!(again.iter().all(Result::is_ok), "{again:?}");
    }
}

fn keep(stage: &Stage) {
    let barrier = Barrier::create(NAME, 2).expect("create");
    stage.stand_by();
    check(&barrier);
}

fn come_and_go(stage: &Stage) {
    stage.armed();
    drop(open());
}

/// Sleeps at the barrier until it is killed, at a step or while it sleeps.
fn arrive_first(stage: &Stage) {
    let barrier = open();
    stage.armed();
    let _ = barrier.wait_timeout(Duration::from_millis(20)); // nobody comes: asleep for some slices, then it gives up
}

fn give_up(stage: &Stage) {
    let barrier = open();
    stage.armed();
    match barrier.wait_timeout(Duration::ZERO) {
        // A recoverer completes the round of the actor that died in it.
        Ok(_) | Err(BarrierError::Timeout | BarrierError::PeerDied { .. }) => {}
        Err(BarrierError::Broken { by, .. }) => assert_eq!(by, BrokenBy::Timeout),
        Err(other) => panic!("{other}"),
    }
}

/// The keeper sleeps at the barrier while the actor is at it.
fn keep_waiting(stage: &Stage) {
    let barrier = Barrier::create(NAME, 2).expect("create");
    stage.ready();
    stage.until_at_it();
    if stage.is_at_it() {
        match wait(&barrier) {
            Ok(_) | Err(BarrierError::Broken { .. } | BarrierError::PeerDied { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
    stage.until_dead();
    check(&barrier);
}

/// Has the keeper wait, and comes when it does.
fn late(stage: &Stage, barrier: &Barrier) {
    stage.at_it();
    eventually(Duration::from_millis(5), || barrier.waiting() > 0);
}

fn arrive(stage: &Stage) {
    let barrier = open();
    late(stage, &barrier);
    stage.armed();
    // Both the keeper and an actor that died may have been there before.
    let _ = wait_a_little(&barrier);
}

/// As long as a healthy round takes; whom to wait for may be dead, and already replaced by the caller.
fn wait_a_little(barrier: &Barrier) -> Waited {
    barrier.wait_timeout(Duration::from_millis(10))
}

fn act(stage: &Stage) {
    let barrier = open().with_action(|| {});
    late(stage, &barrier);
    stage.armed();
    let _ = wait_a_little(&barrier);
}

fn abort(stage: &Stage) {
    let barrier = open();
    late(stage, &barrier);
    stage.armed();
    barrier.abort();
}

fn reset(stage: &Stage) {
    let barrier = open();
    late(stage, &barrier);
    stage.armed();
    barrier.reset();
    // The keeper may begin to wait only now.
    barrier.abort();
}

fn abort_and_reset(stage: &Stage) {
    let barrier = open();
    late(stage, &barrier);
    stage.armed();
    barrier.abort();
    barrier.reset();
    barrier.abort();
}

fn sweep(stage: &Stage) {
    stage.armed();
    multiproc::gc().expect("gc");
}

fn keep_broken(stage: &Stage) {
    let barrier = Barrier::create(NAME, 2).expect("create");
    barrier.abort();
    stage.stand_by();
    check(&barrier);
}

/// Whoever died making it: the name works for the next one, and nothing is left when that one leaves.
fn keep_none(stage: &Stage) {
    stage.stand_by();
    let barrier = Barrier::open_or_create(NAME, 2).expect("open or create");
    check(&barrier);
    drop(barrier);
    assert_eq!(
        stage.leftovers(),
        0,
        "the last one left and something remains"
    );
}

fn create(stage: &Stage) {
    stage.armed();
    let barrier = Barrier::open_or_create(NAME, 2).expect("open or create");
    let _ = barrier.wait_timeout(Duration::ZERO);
}

/// A barrier without a name, found by the handle in a message.
fn keep_handle(stage: &Stage) {
    let barrier = Barrier::new(2).expect("new");
    let post = Queue::<Barrier>::builder()
        .name("post")
        .capacity(4)
        .create()
        .expect("create");
    for _ in 0..2 {
        post.put(&barrier).expect("room");
    }
    stage.stand_by();
    check(&barrier);
}

fn arrive_by_handle(stage: &Stage) {
    stage.armed();
    let post = Queue::<Barrier>::open("post").expect("open");
    let message = post.lease_timeout(PATIENCE / 2).expect("a message");
    let barrier: Barrier = message.to_owned().expect("attach");
    let _ = barrier.wait_timeout(Duration::ZERO);
}
