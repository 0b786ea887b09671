//! Somebody sleeps before the queue while the actor dies: the sleeper must wake, for what was done or for the next.

use std::time::Duration;

use multiproc::{PutTimeoutError, Queue};

use crate::common::child::{Child, End};
use crate::engine::{PATIENCE, Scenario, Stage};
use crate::load::{CAPACITY, Fixed, Load, Spilled};
use crate::queue::{ACTORS, put_one, recover, take_one};

/// The last message of a world, put by somebody who comes when all the others are dead.
const LAST: u64 = 50;

/// Sleepers on either side, and actors that sleep themselves.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "fixed queue: put for a sleeper",
        keeper: keep_sleeping_for_messages::<Fixed>,
        actor: put::<Fixed>,
        recoverer: put_more::<Fixed>,
    },
    Scenario {
        name: "spilled queue: put for a sleeper",
        keeper: keep_sleeping_for_messages::<Spilled>,
        actor: put::<Spilled>,
        recoverer: put_more::<Spilled>,
    },
    Scenario {
        name: "fixed queue: get for a sleeper",
        keeper: keep_sleeping_for_room::<Fixed>,
        actor: get::<Fixed>,
        recoverer: get::<Fixed>,
    },
    Scenario {
        name: "fixed queue: sleep for a message",
        keeper: keep_late::<Fixed>,
        actor: sleep_and_get::<Fixed>,
        recoverer: recover::<Fixed>,
    },
];

/// A process of its own that does `last` when actor and recoverer are dead; forked before the keeper joins.
fn afterwards(stage: &Stage, last: fn(&Stage)) -> Child {
    Child::fork(|| {
        stage.until_dead();
        last(stage);
        0
    })
}

/// Sleeps in `get` all the time; the last message must wake it, if no other does.
fn keep_sleeping_for_messages<L: Load>(stage: &Stage) {
    let mut helper = afterwards(stage, |stage| put_one::<L>(&L::open(), stage, LAST));
    let queue = L::create(16);
    stage.ready();
    let mut awake = true;
    while awake || stage.ledger().lost().is_some() {
        stage.ledger().getting();
        let message = queue
            .get_timeout(PATIENCE / 2)
            .expect("the last message at the latest");
        let id = L::read(&message);
        stage.ledger().taken(id, message.delivery_count());
        stage.ledger().acking(id);
        message.ack();
        stage.ledger().acked(id);
        awake &= id != LAST;
    }
    assert_eq!(helper.wait(PATIENCE), End::Exited(0));
    queue
        .join_timeout(PATIENCE / 2)
        .expect("everything is acknowledged");
}

fn put<L: Load>(stage: &Stage) {
    let queue = L::open();
    std::thread::sleep(Duration::from_millis(1)); // either order is right; this makes the rarer one frequent
    stage.armed();
    put_one::<L>(&queue, stage, ACTORS);
}

fn put_more<L: Load>(stage: &Stage) {
    stage.armed();
    put_one::<L>(&L::open(), stage, ACTORS + 1);
}

/// Sleeps in `put` before a full queue; the last taker must wake it, if no other does.
fn keep_sleeping_for_room<L: Load>(stage: &Stage) {
    let mut helper = afterwards(
        stage,
        |stage| {
            while take_one::<L>(&L::open(), stage).is_some() {}
        },
    );
    let queue = L::create(16);
    (0..CAPACITY as u64).for_each(|id| put_one::<L>(&queue, stage, id));
    stage.ready();
    put_one::<L>(&queue, stage, LAST);
    assert_eq!(helper.wait(PATIENCE), End::Exited(0));
    while take_one::<L>(&queue, stage).is_some() {}
    assert_eq!(stage.ledger().lost(), None);
    fill::<L>(&queue, stage);
}

/// Exactly the capacity fits.
fn fill<L: Load>(queue: &Queue<L::Message>, stage: &Stage) {
    (20..20 + CAPACITY as u64).for_each(|id| put_one::<L>(queue, stage, id));
    assert_eq!(
        L::put(queue, LAST + 1, Duration::ZERO),
        Err(PutTimeoutError::Timeout)
    );
}

fn get<L: Load>(stage: &Stage) {
    let queue = L::open();
    std::thread::sleep(Duration::from_millis(1)); // either order is right; this makes the rarer one frequent
    stage.armed();
    take_one::<L>(&queue, stage);
}

/// The actor comes to an empty queue and sleeps; then a message is put.
fn keep_late<L: Load>(stage: &Stage) {
    let queue = L::create(16);
    stage.ready();
    stage.until_at_it();
    std::thread::sleep(Duration::from_millis(1)); // either order is right; this makes the rarer one frequent
    put_one::<L>(&queue, stage, 0);
    stage.until_dead();
    let begin = std::time::Instant::now();
    while begin.elapsed() < PATIENCE / 2 {
        while take_one::<L>(&queue, stage).is_some() {}
        if stage.ledger().lost().is_none() {
            return fill::<L>(&queue, stage);
        }
    }
    panic!("{:?} is lost", stage.ledger().lost());
}

fn sleep_and_get<L: Load>(stage: &Stage) {
    let queue = L::open();
    stage.armed();
    stage.at_it();
    stage.ledger().getting();
    let message = queue.get_timeout(PATIENCE / 2).expect("a message comes");
    let id = L::read(&message);
    stage.ledger().taken(id, message.delivery_count());
    stage.ledger().acking(id);
    message.ack();
    stage.ledger().acked(id);
}
