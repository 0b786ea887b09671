//! The queue: every verb crashed at every step, for each way a message lies in it.

use std::time::{Duration, Instant};

use multiproc::{Lease, PutTimeoutError, Queue};

use crate::engine::{PATIENCE, Scenario, Stage};
use crate::load::{CAPACITY, Fixed, Inline, Load, Spilled};

/// Messages that the keeper puts before the actor comes.
const BEFORE: u64 = 2;
/// The actor's message, the recoverer's, and the first of the keeper's own at the end.
pub const ACTORS: u64 = 8;
const RECOVERERS: u64 = 9;
const KEEPERS: u64 = 16;
/// Never accepted: the queue is full when it is tried.
const PROBE: u64 = 63;
/// Messages that the keeper holds at once in the end: more than anybody held before.
const HELD: u64 = 10;

macro_rules! scenarios {
    ($recoverer:ident: $($load:ident $name:literal: $($verb:literal $act:ident)*);* $(;)?) => {
        &[$($(Scenario {
            name: concat!($name, " queue: ", $verb),
            keeper: keep::<$load>,
            actor: $act::<$load>,
            recoverer: $recoverer::<$load>,
        },)*)*]
    };
}

/// Every verb of the queue that stores anything.
pub const SCENARIOS: &[Scenario] = scenarios!(
    recover:
    Fixed "fixed":
        "attach and detach" attach "put" put "get and ack" get_ack "get and hold" get_hold
        "give back" give_back "lease and ack" lease_ack "lease and hold" lease_hold
        "lease and give back" lease_give_back "get and detach" detach "claim and abort" abort
        "get owned" get_owned "roles" roles "put and die" put_and_die;
    Inline "inline":
        "put" put "lease and hold" lease_hold "give back" give_back "claim and abort" abort;
    Spilled "spilled":
        "put" put "get and ack" get_ack "get and hold" get_hold "give back" give_back
        "lease and ack" lease_ack "lease and hold" lease_hold "get owned" get_owned
        "claim and abort" abort;
);

/// Deaths after which the recoverer does nothing but sweep.
pub const SWEPT: &[Scenario] = scenarios!(
    sweep:
    Fixed "fixed": "get, swept" get_hold "lease, swept" lease_hold "put, swept" put_and_die;
    Spilled "spilled": "put, swept" put "lease, swept" lease_hold "lease and ack, swept" lease_ack;
);

/// Puts message `id` and keeps the ledger.
pub fn put_one<L: Load>(queue: &Queue<L::Message>, stage: &Stage, id: u64) {
    stage.ledger().putting(id);
    L::put(queue, id, PATIENCE / 2).unwrap_or_else(|e| panic!("message {id}: {e}: {queue:?}"));
    stage.ledger().accepted(id);
}

/// Takes one message in place, if there is one, and acknowledges it.
pub fn take_one<L: Load>(queue: &Queue<L::Message>, stage: &Stage) -> Option<u64> {
    stage.ledger().getting();
    let message = queue.try_get().ok()?;
    let id = L::read(&message);
    stage.ledger().taken(id, message.delivery_count());
    stage.ledger().acking(id);
    message.ack();
    stage.ledger().acked(id);
    Some(id)
}

fn keep<L: Load>(stage: &Stage) {
    let queue = L::create(16);
    (0..BEFORE).for_each(|id| put_one::<L>(&queue, stage, id));
    stage.stand_by();
    drain::<L>(&queue, stage);
    refill::<L>(&queue, stage);
    hold_many::<L>(&queue, stage);
    assert!(
        queue.dead_letters().is_empty(),
        "nothing was delivered often enough to be a dead letter"
    );
    queue
        .join_timeout(PATIENCE / 2)
        .expect("everything is acknowledged");
    assert!(queue.is_empty());
}

/// Takes everything there is, and waits for what the dead still seem to hold.
fn drain<L: Load>(queue: &Queue<L::Message>, stage: &Stage) {
    let begin = Instant::now();
    loop {
        while take_one::<L>(queue, stage).is_some() {}
        match stage.ledger().lost() {
            None => return,
            Some(id) if begin.elapsed() > PATIENCE / 2 => {
                panic!("message {id} was accepted and is lost: {queue:?}")
            }
            // The pace of a poll: what the dead held is offered again after at most a slice.
            Some(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// The queue takes exactly as many messages as it has room for, and gives them back in order.
fn refill<L: Load>(queue: &Queue<L::Message>, stage: &Stage) {
    let ids = KEEPERS..KEEPERS + CAPACITY as u64;
    ids.clone().for_each(|id| put_one::<L>(queue, stage, id));
    assert_eq!(queue.len(), CAPACITY);
    assert!(
        is_full::<L>(queue),
        "the queue takes more than its capacity"
    );
    for id in ids {
        assert_eq!(take_one::<L>(queue, stage), Some(id), "out of order");
    }
    assert_eq!(take_one::<L>(queue, stage), None);
}

fn is_full<L: Load>(queue: &Queue<L::Message>) -> bool {
    L::put(queue, PROBE, Duration::ZERO) == Err(PutTimeoutError::Timeout)
}

/// Holds more messages at once than anybody did before: what a death leaked would be missing now, or be taken anew.
fn hold_many<L: Load>(queue: &Queue<L::Message>, stage: &Stage) {
    // What the dead kept for themselves alone, such as a block for a message never put, is freed when they are swept.
    multiproc::gc().expect("gc");
    let mut held = Vec::new();
    for id in KEEPERS + CAPACITY as u64..KEEPERS + CAPACITY as u64 + HELD {
        put_one::<L>(queue, stage, id);
        stage.ledger().getting();
        let lease = queue.try_lease().expect("the message just put");
        assert_eq!(L::read(&lease), id);
        held.push(lease);
        assert!(queue.is_empty(), "a lease keeps its slot");
    }
    stage.measure();
    held.into_iter().for_each(|lease| lease.ack());
}

// ---- the recoverer of most scenarios: joins, takes, leases, puts, leaves

pub fn recover<L: Load>(stage: &Stage) {
    stage.armed();
    let queue = L::open();
    take_one::<L>(&queue, stage);
    stage.ledger().getting();
    if let Ok(lease) = queue.try_lease() {
        let id = L::read(&lease);
        stage.ledger().taken(id, lease.delivery_count());
        lease.give_back();
    }
    put_one::<L>(&queue, stage, RECOVERERS);
}

/// Cleans up after the dead without joining.
fn sweep<L: Load>(stage: &Stage) {
    stage.armed();
    multiproc::gc().expect("gc");
}

// ---- the actors

fn attach<L: Load>(stage: &Stage) {
    stage.armed();
    drop(L::open());
}

fn put<L: Load>(stage: &Stage) {
    let queue = L::open();
    stage.armed();
    put_one::<L>(&queue, stage, ACTORS);
}

/// Dies with the handle still open, so that nothing is ever detached.
fn put_and_die<L: Load>(stage: &Stage) {
    let queue = L::open();
    stage.armed();
    put_one::<L>(&queue, stage, ACTORS);
    std::mem::forget(queue);
}

fn get_ack<L: Load>(stage: &Stage) {
    let queue = L::open();
    stage.armed();
    take_one::<L>(&queue, stage).expect("a message was put before");
}

fn get_hold<L: Load>(stage: &Stage) {
    let queue = L::open();
    stage.armed();
    stage.ledger().getting();
    let message = queue.try_get().expect("a message was put before");
    stage
        .ledger()
        .taken(L::read(&message), message.delivery_count());
    std::mem::forget(message);
    std::mem::forget(queue);
}

fn get_owned<L: Load>(stage: &Stage) {
    let queue = L::open();
    stage.armed();
    stage.ledger().getting();
    // Acknowledged at once: the caller learns which message it was only when it is gone.
    stage.ledger().acking(0);
    queue.try_get_owned().expect("a message was put before");
    stage.ledger().acked(0);
}

fn give_back<L: Load>(stage: &Stage) {
    let queue = L::open();
    stage.armed();
    stage.ledger().getting();
    let message = queue.try_get().expect("a message was put before");
    stage
        .ledger()
        .taken(L::read(&message), message.delivery_count());
    message.give_back();
}

fn leased<L: Load>(queue: &Queue<L::Message>, stage: &Stage) -> (u64, Lease<L::Message>) {
    stage.ledger().getting();
    let lease = queue.try_lease().expect("a message was put before");
    let id = L::read(&lease);
    stage.ledger().taken(id, lease.delivery_count());
    (id, lease)
}

fn lease_ack<L: Load>(stage: &Stage) {
    let queue = L::open();
    stage.armed();
    let (id, lease) = leased::<L>(&queue, stage);
    stage.ledger().acking(id);
    lease.ack();
    stage.ledger().acked(id);
}

fn lease_hold<L: Load>(stage: &Stage) {
    let queue = L::open();
    stage.armed();
    std::mem::forget(leased::<L>(&queue, stage));
    std::mem::forget(queue);
}

fn lease_give_back<L: Load>(stage: &Stage) {
    let queue = L::open();
    stage.armed();
    leased::<L>(&queue, stage).1.give_back();
}

fn detach<L: Load>(stage: &Stage) {
    let queue = L::open();
    stage.armed();
    stage.ledger().getting();
    let message = queue.try_get().expect("a message was put before");
    let lease = message.detach();
    stage
        .ledger()
        .taken(L::read(&lease), lease.delivery_count());
    drop(lease);
}

/// A claim that is never committed, as a panic of the writer leaves it.
fn abort<L: Load>(stage: &Stage) {
    let queue = L::open();
    stage.armed();
    L::abort(&queue);
}

fn roles<L: Load>(stage: &Stage) {
    let queue = L::open();
    stage.armed();
    let producer = queue.producer().expect("a role");
    drop(producer);
    // From now on the end of the producers is known to everybody: take it back.
    std::mem::forget(queue.producer().expect("a role"));
    std::mem::forget(queue);
}
