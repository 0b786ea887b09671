//! A served object: who serves it, and who calls it, ends at every step. No caller waits for the dead, no call is run
//! twice, and the next one can serve.
//!
//! A server has threads, and the step at which it ends is that of whichever comes to it: the same number may be another place
//! in the next run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use multiproc::{CallError, Manager, Proxy, Served};

use crate::common::board::eventually;
use crate::engine::{PATIENCE, Scenario, Stage, scenarios};

const NAME: &str = "manager";
const OBJECT: &str = "object";

/// Both sides of a call, and how a server begins and ends.
pub const SCENARIOS: &[Scenario] = scenarios! {
    "service: serve and stop": keep_served serve nobody;
    "service: answer a call": keep_calling answer nobody;
    "service: call": keep_serving call nobody;
    "service: call again": keep_serving call_again sweep;
};

multiproc::service! {
    trait Tally {
        fn add(&mut self, amount: u64) -> u64;
    }
}

/// Counts what it was asked, where its process sees it.
struct Sum(Arc<AtomicU64>);

impl Tally for Sum {
    fn add(&mut self, amount: u64) -> u64 {
        self.0.fetch_add(amount, SeqCst) + amount
    }
}

fn create() -> Manager {
    Manager::create(NAME).expect("create")
}

fn open() -> Manager {
    Manager::open(NAME).expect("open")
}

/// A server, and what it was asked.
fn served(manager: &Manager) -> (Served, Arc<AtomicU64>) {
    let asked = Arc::new(AtomicU64::new(0));
    let sum = Box::new(Sum(Arc::clone(&asked)));
    let served = manager.serve::<dyn Tally>(OBJECT, sum);
    (served.expect("nobody serves who lives"), asked)
}

/// Calls, for less than anything healthy may take.
fn proxy(manager: &Manager) -> multiproc::Result<Proxy<dyn Tally>> {
    let proxy = manager.proxy::<dyn Tally>(OBJECT)?;
    Ok(proxy.with_timeout(PATIENCE / 2))
}

/// Serves behind the dead: who comes now finds this one, and so does who knew the dead, once he was told.
fn goes_on(manager: &Manager, before: Option<&Proxy<dyn Tally>>) {
    let (served, asked) = served(manager);
    let sum = proxy(manager).expect("it is served");
    assert_eq!(sum.add(3).expect("an answer"), 3);
    if let Some(before) = before {
        let answer = before.add(4).or_else(|refused| {
            is_end(&refused);
            before.add(4)
        });
        assert_eq!(answer.expect("an answer"), 7);
    }
    drop(served); // and waits for its threads
    let refused = sum.add(1).expect_err("nobody serves");
    assert!(matches!(refused, CallError::Closed), "{refused:?}");
    let all = if before.is_some() { 7 } else { 3 };
    assert_eq!(asked.load(SeqCst), all, "run again, or stopped and run");
}

fn keep_served(stage: &Stage) {
    let manager = create();
    stage.stand_by();
    if let Ok(sum) = proxy(&manager) {
        let refused = sum.add(1).expect_err("nobody serves");
        is_end(&refused);
    }
    goes_on(&manager, None);
}

/// What a caller is told whose server has ended.
fn is_end(refused: &CallError) {
    let is_end = matches!(refused, CallError::ServerDied { .. } | CallError::Closed);
    assert!(is_end, "{refused:?}");
}

fn serve(stage: &Stage) {
    let manager = open();
    stage.armed();
    drop(served(&manager));
}

/// Calls while the actor serves: there is an answer, or it is told that the server has ended.
fn keep_calling(stage: &Stage) {
    let manager = create();
    stage.ready();
    stage.until_at_it();
    let sum = proxy(&manager).ok();
    let answer = sum.as_ref().map(|sum| sum.add(2));
    stage.until_dead();
    match answer {
        Some(Ok(sum)) => assert_eq!(sum, 2),
        Some(Err(refused)) => {
            is_end(&refused);
            assert!(!stage.completed(), "it has answered: {refused:?}");
        }
        None => assert!(!stage.is_at_it(), "there is no object"),
    }
    goes_on(&manager, sum.as_ref());
}

/// Ends when it was called, or nobody calls any more.
fn answer(stage: &Stage) {
    let manager = open();
    let (served, asked) = served(&manager);
    stage.at_it();
    stage.armed();
    let called = eventually(PATIENCE / 2, || asked.load(SeqCst) > 0);
    assert!(called, "nobody calls");
    drop(served);
}

/// Serves while the actor calls, and is not held up by its end.
fn keep_serving(stage: &Stage) {
    let manager = create();
    let (served, asked) = served(&manager);
    stage.stand_by();
    let runs = asked.load(SeqCst);
    assert!(runs <= 20 && (runs >= 10 || !stage.completed()), "{runs}");
    let sum = proxy(&manager).expect("it is served");
    let found = sum.add(100).expect("an answer");
    assert!(found >= runs + 100 && found <= 120, "{found} after {runs}");
    drop(served);
    goes_on(&manager, Some(&sum));
}

fn call(stage: &Stage) {
    let sum = proxy(&open()).expect("it is served");
    stage.armed();
    assert!(sum.add(10).expect("an answer") >= 10);
}

/// On a connection that is there.
fn call_again(stage: &Stage) {
    let sum = proxy(&open()).expect("it is served");
    sum.add(0).expect("an answer");
    stage.armed();
    assert!(sum.add(10).expect("an answer") >= 10);
}

fn sweep(stage: &Stage) {
    stage.armed();
    multiproc::gc().expect("gc");
}

/// Leaves all to the keeper.
fn nobody(stage: &Stage) {
    stage.armed();
}
