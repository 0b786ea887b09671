//! The context: made and sent, received and read, crashed at every step.

use multiproc::{Context, ErrorKind, Queue};

use crate::engine::{Scenario, Stage};

const NAME: &str = "contexts";

/// Making one, and reading one.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "context: make",
        keeper: keep_queue,
        actor: make,
        recoverer: recover_nothing,
    },
    Scenario {
        name: "context: read",
        keeper: keep_context,
        actor: read,
        recoverer: read,
    },
];

fn numbers() -> impl Iterator<Item = u64> {
    7..700
}

fn open() -> Queue<Context<Vec<u64>>> {
    Queue::open(NAME).expect("open")
}

fn check(context: &Context<Vec<u64>>) {
    assert!(context.iter().map(|n| n.to_native()).eq(numbers()));
}

/// What a dead maker has sent is gone, and never a part of it there.
fn keep_queue(stage: &Stage) {
    let queue = Queue::<Context<Vec<u64>>>::create(NAME).expect("create");
    stage.stand_by();
    while let Ok(message) = queue.try_get() {
        match message.to_owned() {
            Ok(context) => check(&context),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Gone),
        }
    }
}

fn make(stage: &Stage) {
    let queue = open();
    stage.armed();
    let context = Context::new(numbers().collect::<Vec<_>>()).expect("room");
    queue.put(&context).expect("room");
    check(&context);
}

/// There is nothing to recover: nobody else has seen it.
fn recover_nothing(stage: &Stage) {
    stage.armed();
}

/// Whoever died while he read it, it is there for others, and goes with its maker.
fn keep_context(stage: &Stage) {
    let queue = Queue::<Context<Vec<u64>>>::create(NAME).expect("create");
    let context = Context::new(numbers().collect::<Vec<_>>()).expect("room");
    for _ in 0..3 {
        queue.put(&context).expect("room");
    }
    stage.stand_by();
    check(&context);
    check(&queue.get_owned().expect("one is left"));
}

fn read(stage: &Stage) {
    let queue = open();
    let message = queue.get().expect("one is there");
    stage.armed();
    let context = message.to_owned().expect("it is kept");
    check(&context);
}
