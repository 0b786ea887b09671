//! Names: creating, finding and removing an object, each crashed at every step.

use multiproc::{ErrorKind, Queue};

use crate::engine::{Scenario, Stage};
use crate::load::{Fixed, Load, NAME};

/// Create, open or create, remove.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "name: create",
        keeper: keep_nothing,
        actor: create,
        recoverer: open_or_create,
    },
    Scenario {
        name: "name: open or create",
        keeper: keep_nothing,
        actor: open_or_create,
        recoverer: create,
    },
    Scenario {
        name: "name: remove",
        keeper: keep_one,
        actor: remove,
        recoverer: remove_and_create,
    },
    Scenario {
        name: "name: last one leaves",
        keeper: keep_nothing,
        actor: come_and_go,
        recoverer: come_and_go,
    },
];

type Words = [u64; 4];

/// The name works again for the next user, whatever was left of it; and in the end nothing is left.
fn keep_nothing(stage: &Stage) {
    stage.stand_by();
    let queue = Queue::<Words>::open_or_create(NAME).expect("the name works again");
    while let Ok(message) = queue.try_get() {
        assert!(Fixed::read(&message) < 2, "a message that nobody put");
    }
    Fixed::put(&queue, 5, crate::engine::PATIENCE / 2).expect("room");
    assert_eq!(
        Fixed::read(&queue.try_get().expect("the message just put")),
        5
    );
    drop(queue);
    assert_eq!(
        stage.leftovers(),
        0,
        "the last one left and something remains"
    );
}

fn create(stage: &Stage) {
    stage.armed();
    match Queue::<Words>::create(NAME) {
        Ok(queue) => Fixed::put(&queue, 0, crate::engine::PATIENCE / 2).expect("room"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::AlreadyExists),
    }
}

fn open_or_create(stage: &Stage) {
    stage.armed();
    let queue = Queue::<Words>::open_or_create(NAME).expect("open or create");
    Fixed::put(&queue, 1, crate::engine::PATIENCE / 2).expect("room");
    std::mem::forget(queue);
}

fn come_and_go(stage: &Stage) {
    stage.armed();
    drop(Queue::<Words>::open_or_create(NAME).expect("open or create"));
}

/// Who has the object goes on with it; the name is free or still the same object.
fn keep_one(stage: &Stage) {
    let queue = Fixed::create(16);
    Fixed::put(&queue, 0, crate::engine::PATIENCE / 2).expect("room");
    stage.stand_by();
    assert_eq!(
        Fixed::read(&queue.try_get().expect("the message put before")),
        0
    );
    let next = Queue::<Words>::open_or_create(NAME).expect("the name works");
    drop((queue, next));
    assert_eq!(
        stage.leftovers(),
        0,
        "the last one left and something remains"
    );
}

fn remove(stage: &Stage) {
    stage.armed();
    match Queue::<Words>::remove(NAME) {
        Ok(()) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound),
    }
}

fn remove_and_create(stage: &Stage) {
    remove(stage);
    drop(Queue::<Words>::open_or_create(NAME).expect("open or create"));
}
