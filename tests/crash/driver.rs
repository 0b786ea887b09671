//! Sends every scenario through the engine, on every processor at once, and adds up.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use crate::common::board::{Board, Zeroed};
use crate::common::child::{Child, End};
use crate::common::numbers::size;
use crate::common::runner::fail_fast;
use crate::engine::{Engine, Plan, Scenario};
use crate::{
    annex, asleep, barrier, cell, condition, context, deque, dict, endings, event, list, lock,
    manager, names, namespace, numbers, once, pipe, queue, reentrant, rwlock, semaphore, service,
    shared, transaction, watch,
};

/// The scenarios still to do, and what was found so far; every worker adds to it.
#[derive(Debug)]
struct Sum {
    next: AtomicU32,
    steps: AtomicU64,
    pairs: AtomicU64,
    failures: AtomicU64,
}

// SAFETY: atomics only.
unsafe impl Zeroed for Sum {}

/// All of them, or those whose names contain what `MULTIPROC_SCENARIOS` says.
fn scenarios() -> Vec<&'static Scenario> {
    let wanted = std::env::var("MULTIPROC_SCENARIOS").unwrap_or_default();
    // The longest ones are among the first, so that all workers end at about the same time.
    [
        lock::SCENARIOS,
        semaphore::BOUNDED,
        semaphore::SCENARIOS,
        condition::SCENARIOS,
        reentrant::SCENARIOS,
        rwlock::SCENARIOS,
        cell::SCENARIOS,
        dict::SCENARIOS,
        transaction::SCENARIOS,
        list::SCENARIOS,
        deque::SCENARIOS,
        service::SCENARIOS,
        context::SCENARIOS,
        shared::SCENARIOS,
        annex::SCENARIOS,
        manager::SCENARIOS,
        numbers::SCENARIOS,
        namespace::SCENARIOS,
        event::SCENARIOS,
        asleep::SCENARIOS,
        barrier::SCENARIOS,
        once::SCENARIOS,
        pipe::SCENARIOS,
        queue::SCENARIOS,
        watch::SCENARIOS,
        queue::SWEPT,
        endings::SCENARIOS,
        names::SCENARIOS,
    ]
    .into_iter()
    .flatten()
    .filter(|scenario| scenario.name.contains(&wanted))
    .collect()
}

/// The whole suite, or what `MULTIPROC_CASE` names.
pub fn every_step() {
    if let Ok(case) = std::env::var("MULTIPROC_CASE") {
        return one_case(&case);
    }
    let begin = Instant::now();
    let sum = Board::<Sum>::new();
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let mut children: Vec<Child> = (0..workers).map(|_| Child::fork(|| work(&sum))).collect();
    for child in &mut children {
        assert_eq!(child.wait(Duration::from_secs(3600)), End::Exited(0));
    }
    println!(
        "crash points: {} scenarios, {} steps crashed, {} pairs of step and recovery step, in {:.1}s",
        scenarios().len(),
        sum.steps.load(SeqCst),
        sum.pairs.load(SeqCst),
        begin.elapsed().as_secs_f64(),
    );
    assert_eq!(
        sum.failures.load(SeqCst),
        0,
        "worlds in which a promise was broken"
    );
}

fn work(sum: &Sum) -> i32 {
    let mut engine = Engine::new();
    let pairs = size("MULTIPROC_CRASH_PAIRS", 8);
    let scenarios = scenarios();
    while let Some(scenario) = scenarios.get(sum.next.fetch_add(1, SeqCst) as usize) {
        let begin = Instant::now();
        let tally = engine.run(scenario, pairs);
        sum.steps.fetch_add(tally.steps, SeqCst);
        sum.pairs.fetch_add(tally.pairs, SeqCst);
        sum.failures.fetch_add(tally.failures, SeqCst);
        if tally.failures > 0 && fail_fast() {
            sum.next.store(u32::MAX / 2, SeqCst);
        }
        println!(
            "  {:44} {:4} steps {:6} pairs {:6.1}s{}",
            scenario.name,
            tally.steps,
            tally.pairs,
            begin.elapsed().as_secs_f64(),
            if tally.failures > 0 { "  FAILED" } else { "" },
        );
    }
    drop(engine); // and with it the folder, before the process ends without destructors
    0
}

/// `name`: all of a scenario; `name/n`: one death; `name/n/m`: two deaths.
fn one_case(case: &str) {
    let mut parts = case.split('/');
    let name = parts.next().unwrap_or_default();
    let scenario = scenarios().into_iter().find(|s| s.name == name);
    let scenario = scenario.expect("MULTIPROC_CASE='scenario[/step[/recovery step]]'");
    let mut number = || {
        parts
            .next()
            .map(|n| n.parse::<u64>().expect("a step number"))
    };
    let Some(actor) = number() else {
        let tally = Engine::new().run(scenario, 1);
        println!("{case}: {tally:?}");
        return assert_eq!(tally.failures, 0);
    };
    // SAFETY: this process has one thread.
    unsafe { std::env::set_var("MULTIPROC_TRACE_CRASH", "1") };
    let plan = Plan {
        actor,
        recoverer: number(),
    };
    let outcome = Engine::new().world(scenario, plan);
    println!("{case}: {outcome:?}");
    assert!(outcome.is_ok());
}
