//! Verbs that change how a queue's story ends: closing it, and delivering a message too often.

use multiproc::{GetTimeoutError, PutTimeoutError, Queue, Received, TryGetError};
use std::time::{Duration, Instant};

use crate::common::board::eventually;
use crate::engine::{PATIENCE, Scenario, Stage};
use crate::load::{CAPACITY, Fixed, Load, Spilled};
use crate::queue::put_one;

/// Close, and the ways of a dead letter.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "fixed queue: close",
        keeper: keep_closed::<Fixed>,
        actor: close::<Fixed>,
        recoverer: look::<Fixed>,
    },
    Scenario {
        name: "fixed queue: die reading what a closed one has",
        keeper: keep_closed_early::<Fixed>,
        actor: read_and_die::<Fixed>,
        recoverer: read_on::<Fixed>,
    },
    Scenario {
        name: "fixed queue: die reading what a deserted one has",
        keeper: keep_deserted::<Fixed>,
        actor: read_and_die::<Fixed>,
        recoverer: read_on::<Fixed>,
    },
    Scenario {
        name: "fixed queue: bury",
        keeper: keep_poison::<Fixed>,
        actor: poisoned::<Fixed>,
        recoverer: survive_poison::<Fixed>,
    },
    Scenario {
        name: "spilled queue: bury",
        keeper: keep_poison::<Spilled>,
        actor: poisoned::<Spilled>,
        recoverer: survive_poison::<Spilled>,
    },
    Scenario {
        name: "fixed queue: acknowledge a dead letter",
        keeper: keep_letter::<Fixed>,
        actor: take_letter::<Fixed>,
        recoverer: look::<Fixed>,
    },
    Scenario {
        name: "spilled queue: acknowledge a dead letter",
        keeper: keep_letter::<Spilled>,
        actor: take_letter::<Spilled>,
        recoverer: look::<Spilled>,
    },
];

/// Joins, looks at everything, changes nothing, leaves.
fn look<L: Load>(stage: &Stage) {
    stage.armed();
    let queue = L::open();
    queue
        .dead_letters()
        .iter()
        .for_each(|letter| _ = L::read(letter));
    let _ = (queue.len(), queue.stats(), queue.is_closed());
}

fn close<L: Load>(stage: &Stage) {
    let queue = L::open();
    stage.armed();
    queue.close();
}

/// A closed queue gives what it has and then ends; one that was not closed goes on.
fn keep_closed<L: Load>(stage: &Stage) {
    let queue = L::create(16);
    (0..2).for_each(|id| put_one::<L>(&queue, stage, id));
    stage.stand_by();
    let closed = queue.is_closed();
    assert!(
        closed || !stage.completed(),
        "close returned and had no effect"
    );
    for id in 0..2 {
        let message = queue
            .get_timeout(PATIENCE / 2)
            .expect("a message put before");
        assert_eq!(L::read(&message), id);
    }
    if closed {
        assert_eq!(
            queue.get_timeout(PATIENCE).err(),
            Some(GetTimeoutError::Closed)
        );
        assert_eq!(L::put(&queue, 20, PATIENCE), Err(PutTimeoutError::Closed));
    } else {
        assert_eq!(queue.try_get().err(), Some(TryGetError::Empty));
        (20..20 + CAPACITY as u64).for_each(|id| put_one::<L>(&queue, stage, id));
    }
}

/// The queue has ended, but not for what it still has, in its slots or in the hands of the dead.
fn keep_what_is_left<L: Load>(stage: &Stage, end: fn(&Queue<L::Message>)) {
    let queue = L::create(16);
    (0..2).for_each(|id| put_one::<L>(&queue, stage, id));
    end(&queue);
    stage.stand_by();
    loop {
        stage.ledger().getting();
        match queue.get_timeout(PATIENCE / 2) {
            Ok(message) => account::<L>(message, stage),
            Err(GetTimeoutError::Closed | GetTimeoutError::Disconnected) => break,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(
        stage.ledger().lost(),
        None,
        "the queue ended before all was read"
    );
}

fn account<L: Load>(message: Received<'_, L::Message>, stage: &Stage) {
    let id = L::read(&message);
    stage.ledger().taken(id, message.delivery_count());
    stage.ledger().acking(id);
    message.ack();
    stage.ledger().acked(id);
}

fn keep_closed_early<L: Load>(stage: &Stage) {
    keep_what_is_left::<L>(stage, Queue::close);
}

fn keep_deserted<L: Load>(stage: &Stage) {
    keep_what_is_left::<L>(stage, |queue| drop(queue.producer().expect("a role")));
}

fn read_and_die<L: Load>(stage: &Stage) {
    let queue = L::open();
    stage.armed();
    stage.ledger().getting();
    let message = queue.try_get().expect("a message put before");
    stage
        .ledger()
        .taken(L::read(&message), message.delivery_count());
    std::mem::forget(message);
    std::mem::forget(queue);
}

fn read_on<L: Load>(stage: &Stage) {
    stage.armed();
    let queue = L::open();
    stage.ledger().getting();
    if let Ok(message) = queue.try_get() {
        account::<L>(message, stage);
    }
}

/// Takes one message as its one and only delivery, and acknowledges it.
fn take_once<L: Load>(queue: &Queue<L::Message>, stage: &Stage) -> Option<u64> {
    stage.ledger().getting();
    let message = queue.try_get().ok()?;
    let id = L::read(&message);
    assert_eq!(
        message.delivery_count(),
        1,
        "message {id} was delivered too often"
    );
    stage.ledger().taken(id, 1);
    stage.ledger().acking(id);
    message.ack();
    stage.ledger().acked(id);
    Some(id)
}

/// Gives a message back that may be delivered once only, and goes on to the next.
fn poisoned<L: Load>(stage: &Stage) {
    let queue = L::open();
    stage.armed();
    stage.ledger().getting();
    let message = queue.try_get().expect("a message was put before");
    stage
        .ledger()
        .taken(L::read(&message), message.delivery_count());
    message.give_back();
    take_once::<L>(&queue, stage);
}

fn survive_poison<L: Load>(stage: &Stage) {
    stage.armed();
    let queue = L::open();
    take_once::<L>(&queue, stage);
    bury_all::<L>(&queue, stage);
}

/// Acknowledges every dead letter there is.
fn bury_all<L: Load>(queue: &Queue<L::Message>, stage: &Stage) {
    for letter in queue.dead_letters() {
        let id = L::read(&letter);
        stage.ledger().burying(id);
        letter.ack();
        stage.ledger().buried(id);
    }
}

/// Every message ends exactly once: acknowledged, or as a dead letter after its one delivery.
fn keep_poison<L: Load>(stage: &Stage) {
    let queue = L::create(1);
    (0..3).for_each(|id| put_one::<L>(&queue, stage, id));
    stage.stand_by();
    let begin = Instant::now();
    loop {
        while take_once::<L>(&queue, stage).is_some() {}
        bury_all::<L>(&queue, stage);
        match stage.ledger().lost() {
            None => break,
            Some(id) if begin.elapsed() > PATIENCE / 2 => panic!("message {id} is lost: {queue:?}"),
            // The pace of a poll: what the dead held is offered again after at most a slice.
            Some(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    (20..20 + CAPACITY as u64).for_each(|id| put_one::<L>(&queue, stage, id));
    assert_eq!(
        L::put(&queue, 63, Duration::ZERO),
        Err(PutTimeoutError::Timeout),
        "more room than capacity"
    );
    (20..20 + CAPACITY as u64).for_each(|id| assert_eq!(take_once::<L>(&queue, stage), Some(id)));
    assert!(queue.dead_letters().is_empty());
    queue
        .join_timeout(PATIENCE / 2)
        .expect("everything is done with");
}

/// One dead letter and nothing else.
fn keep_letter<L: Load>(stage: &Stage) {
    let queue = L::create(1);
    put_one::<L>(&queue, stage, 0);
    stage.ledger().getting();
    queue.try_get().expect("the message just put").give_back();
    assert_eq!(
        queue.try_get().err(),
        Some(TryGetError::Empty),
        "delivered more often than allowed"
    );
    stage.stand_by();
    assert_eq!(
        queue.try_get().err(),
        Some(TryGetError::Empty),
        "a dead letter came back to life"
    );
    // A letter in the hands of a dead reader is found again when somebody looks for the dead.
    let found = eventually(PATIENCE / 2, || {
        bury_all::<L>(&queue, stage);
        assert_eq!(
            queue.try_get().err(),
            Some(TryGetError::Empty),
            "a dead letter came back to life"
        );
        stage.ledger().lost().is_none()
    });
    assert!(found, "the dead letter is lost");
    assert!(queue.dead_letters().is_empty());
    (20..20 + CAPACITY as u64).for_each(|id| put_one::<L>(&queue, stage, id));
    (20..20 + CAPACITY as u64).for_each(|id| assert_eq!(take_once::<L>(&queue, stage), Some(id)));
    queue
        .join_timeout(PATIENCE / 2)
        .expect("everything is done with");
}

fn take_letter<L: Load>(stage: &Stage) {
    let queue = L::open();
    stage.armed();
    bury_all::<L>(&queue, stage);
}
