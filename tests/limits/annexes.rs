//! The primitives of a manager lie beside it in the directory: what is left of them there, however everybody ends.

use std::time::Duration;

use multiproc::{Event, Manager, Queue};

use crate::common::board::{Board, Gate, Zeroed};
use crate::common::child::{Child, End};
use crate::common::folder::Folder;

const PATIENCE: Duration = Duration::from_secs(20);

/// How far the child is, and how far it may go.
#[derive(Debug)]
struct Gates {
    made: Gate,
    go_on: Gate,
}

// SAFETY: gates only.
unsafe impl Zeroed for Gates {}

/// Makes two primitives, of which nobody keeps a handle.
fn fill(manager: &Manager) {
    manager
        .queue("jobs", 4)
        .expect("a queue")
        .put(7_u32)
        .expect("room");
    manager.event("done").expect("an event").set();
}

fn is_filled(manager: &Manager) {
    let jobs = manager.find::<Queue<u32>>("jobs").expect("the queue");
    assert_eq!(jobs.try_get().map(|job| *job).expect("the message"), 7);
    assert!(manager.find::<Event>("done").expect("the event").is_set());
}

/// What a child does.
type Body = fn(&Gates);

/// What remains in the folder after a child has run and ended, or was killed where it waits.
fn child(folder: &Folder, killed: bool, body: Body) -> usize {
    let gates = Board::<Gates>::new();
    let mut child = Child::fork(|| {
        body(&gates);
        0
    });
    match killed {
        true => {
            assert!(gates.made.wait());
            assert!(child.kill().killed());
        }
        false => {
            gates.go_on.open();
            assert_eq!(child.wait(PATIENCE), End::Exited(0));
        }
    }
    folder.entries().len()
}

fn anonymous(gates: &Gates) {
    let manager = Manager::new().expect("a manager");
    fill(&manager);
    gates.made.open();
    assert!(gates.go_on.wait());
    is_filled(&manager);
}

fn named(gates: &Gates) {
    let manager = Manager::open_or_create("manager").expect("a manager");
    fill(&manager);
    gates.made.open();
    assert!(gates.go_on.wait());
    is_filled(&manager);
}

fn persisting(gates: &Gates) {
    let manager = Manager::builder().name("manager").persist(true);
    let manager = manager.open_or_create().expect("a manager");
    fill(&manager);
    gates.made.open();
    assert!(gates.go_on.wait());
}

fn removed(gates: &Gates) {
    let manager = Manager::builder().name("manager").persist(true);
    let manager = manager.create().expect("a manager");
    fill(&manager);
    Manager::remove("manager").expect("removed");
    is_filled(&manager);
    gates.made.open();
    assert!(gates.go_on.wait());
}

/// In a process of its own, so that the driver stays without threads and memberships.
fn apart(body: fn()) {
    let mut child = Child::fork(|| {
        body();
        0
    });
    assert_eq!(child.wait(PATIENCE), End::Exited(0));
}

fn gc() {
    let report = multiproc::gc().expect("gc");
    assert!(report.faults.is_empty(), "{report:?}");
}

pub fn end_with_their_manager() {
    nothing_is_left_behind_the_last_member();
    what_the_killed_leave_is_removed_later();
    a_living_manager_keeps_what_nobody_uses();
    a_forked_child_keeps_what_its_parent_had();
}

fn nothing_is_left_behind_the_last_member() {
    let folder = Folder::enter();
    assert_eq!(child(&folder, false, anonymous), 0);
    assert_eq!(child(&folder, false, named), 0);
    assert_eq!(child(&folder, false, removed), 0);
    assert_eq!(child(&folder, false, persisting), 3, "it was to stay");
    apart(|| {
        gc();
        is_filled(&Manager::open("manager").expect("it stayed"));
    });
    assert_eq!(folder.entries().len(), 3);
    apart(|| Manager::remove("manager").expect("removed"));
    assert_eq!(folder.entries().len(), 0);
}

fn what_the_killed_leave_is_removed_later() {
    let folder = Folder::enter();
    let killed: [(Body, usize); 3] = [(anonymous, 2), (named, 3), (removed, 2)];
    for (body, left) in killed {
        assert_eq!(child(&folder, true, body), left);
        apart(gc);
        assert_eq!(folder.entries().len(), 0, "gc");
        assert_eq!(child(&folder, true, body), left);
        apart(|| {
            if Manager::open("manager").is_err() {
                drop(
                    Manager::new()
                        .expect("a manager")
                        .event("x")
                        .expect("an event"),
                );
            }
        });
        assert_eq!(folder.entries().len(), 0, "the next manager");
    }
    assert_eq!(child(&folder, true, named), 3);
    apart(|| is_filled(&Manager::open("manager").expect("taken over")));
    assert_eq!(folder.entries().len(), 0, "the next member");
    assert_eq!(child(&folder, true, persisting), 3);
    apart(|| {
        gc();
        is_filled(&Manager::open("manager").expect("it stayed"));
        Manager::remove("manager").expect("removed");
    });
    assert_eq!(folder.entries().len(), 0);
}

/// However often others tidy up, nobody loses what his manager has, with a name or without.
fn a_living_manager_keeps_what_nobody_uses() {
    let folder = Folder::enter();
    for body in [anonymous, named, removed] {
        let gates = Board::<Gates>::new();
        let mut user = Child::fork(|| {
            body(&gates);
            0
        });
        assert!(gates.made.wait());
        let before = folder.entries().len();
        apart(|| {
            gc();
            drop(
                Manager::new()
                    .expect("a manager")
                    .event("x")
                    .expect("an event"),
            );
        });
        assert_eq!(folder.entries().len(), before);
        gates.go_on.open();
        assert_eq!(user.wait(PATIENCE), End::Exited(0));
        assert_eq!(folder.entries().len(), 0);
    }
}

/// Also where the child has not touched the manager when its parent gives it up.
fn a_forked_child_keeps_what_its_parent_had() {
    let folder = Folder::enter();
    apart(|| {
        let gates = Board::<Gates>::new();
        let manager = Manager::new().expect("a manager");
        fill(&manager);
        let mut child = Child::fork(|| {
            gates.made.open();
            assert!(gates.go_on.wait());
            gc();
            is_filled(&manager);
            drop(manager.clone());
            0
        });
        assert!(gates.made.wait());
        drop(manager);
        gates.go_on.open();
        assert_eq!(child.wait(PATIENCE), End::Exited(0));
        gc();
    });
    assert_eq!(folder.entries().len(), 0);
}
