//! The once: made, waited for, made again, crashed at every step.

use multiproc::OnceValue;

use crate::common::child::Child;
use crate::engine::{PATIENCE, Scenario, Stage, scenarios};

const NAME: &str = "once";

/// Two halves of one value: no reader sees only one.
type Pair = [u64; 2];

/// Every verb that stores anything.
pub const SCENARIOS: &[Scenario] = scenarios! {
    "once: make": keep make make;
    "once: make, swept": keep make sweep;
    "once: make after a death": keep_marked make make;
    "once: wait for an initialiser": keep_making wait make;
    "once: create": keep_none create create;
};

fn open() -> OnceValue<Pair> {
    OnceValue::open(NAME).expect("open")
}

/// Gets the value, which the first to come makes; `who` tells the values of different makers apart.
fn get(once: &OnceValue<Pair>, who: u64) -> Pair {
    let value = once.get_or_init_timeout(PATIENCE / 2, || [who; 2]);
    let value = *value.expect("waited for the dead");
    assert_eq!(value[0], value[1], "half a value");
    value
}

/// Whoever died where: there is one value, and it stays.
fn check(once: &OnceValue<Pair>, stage: &Stage) {
    let before = once.get().copied();
    let value = get(once, 99);
    assert!(before.is_none_or(|before| before == value));
    assert!(!stage.completed() || value != [99, 99], "made twice");
    assert_eq!(get(once, 98), value);
    assert!(once.set([97; 2]).is_err());
}

fn keep(stage: &Stage) {
    let once = OnceValue::create(NAME).expect("create");
    stage.stand_by();
    check(&once, stage);
}

fn make(stage: &Stage) {
    let once = open();
    stage.armed();
    get(&once, u64::from(std::process::id()));
}

/// Comes while the keeper makes the value, which goes on now or then.
fn wait(stage: &Stage) {
    let once = open();
    stage.armed();
    stage.at_it();
    get(&once, 3);
}

fn sweep(stage: &Stage) {
    stage.armed();
    multiproc::gc().expect("gc");
}

/// An initialiser has died already when the actor comes.
fn keep_marked(stage: &Stage) {
    let mut initialiser = Child::fork(|| {
        stage.until_prepared();
        let _ = open().get_or_init(|| {
            // SAFETY: kill and getpid have no memory preconditions.
            unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
            [0; 2]
        });
        1
    });
    let once = OnceValue::create(NAME).expect("create");
    stage.prepared();
    assert!(initialiser.wait(PATIENCE).killed());
    assert_eq!(once.get(), None);
    stage.stand_by();
    check(&once, stage);
}

/// The keeper makes the value while the actor waits for it.
fn keep_making(stage: &Stage) {
    let once = OnceValue::create(NAME).expect("create");
    let made = once.get_or_init(|| {
        stage.ready();
        stage.until_at_it();
        [5; 2]
    });
    assert_eq!(made, Ok(&[5; 2]));
    stage.until_dead();
    check(&once, stage);
}

/// Whoever died making it: the name works for the next one, and nothing is left when that one leaves.
fn keep_none(stage: &Stage) {
    stage.stand_by();
    let once = OnceValue::open_or_create(NAME).expect("open or create");
    get(&once, 1);
    drop(once);
    assert_eq!(
        stage.leftovers(),
        0,
        "the last one left and something remains"
    );
}

fn create(stage: &Stage) {
    stage.armed();
    let once = OnceValue::open_or_create(NAME).expect("open or create");
    get(&once, 2);
}
