//! From a notification to the last waiter being through.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use multiproc::Condition;

use crate::harness::baseline::pthread::Monitor;
use crate::harness::baseline::raw::spin_until;
use crate::harness::{
    Bench, Crew, Goal, Meeting, Percentiles, Report, Shared, Unit, busy_wait, contender, nanos,
    ticks,
};

/// Under the lock: the round that may begin, and how many wait for it.
const ROUND: usize = 0;
const WAITING: usize = 1;

const ROUNDS: u64 = 1000;
/// Long enough for the waiters to have fallen asleep.
const ASLEEP: Duration = Duration::from_micros(60);

/// Nanoseconds from the call of `notify` until `waiters` have all passed; each waits by `wait(round)`.
fn latency(
    waiters: u64,
    wait: &(dyn Fn(u64) + Sync),
    all_wait: &(dyn Fn() -> bool + Sync),
    notify: &(dyn Fn(u64) + Sync),
) -> Percentiles {
    let shared = Shared::new(4096);
    // SAFETY: an atomic is valid for any bytes.
    let passed: &AtomicU64 = unsafe { shared.at(0) };
    let mut crew = Crew::new();
    crew.hire(move |meeting: &Meeting| {
        meeting.meet();
        let mut observed = Vec::with_capacity(ROUNDS as usize);
        for round in 1..=ROUNDS {
            while !all_wait() {
                std::thread::yield_now();
            }
            busy_wait(ASLEEP);
            let begin = ticks();
            notify(round);
            spin_until(passed, round * waiters);
            observed.push(nanos(ticks() - begin));
        }
        let found = Percentiles::of(&mut observed[ROUNDS as usize / 10..]);
        Report {
            values: [
                found.p50, found.p99, found.p999, found.max, 0.0, 0.0, 0.0, 0.0,
            ],
            ..Report::default()
        }
    });
    for _ in 0..waiters {
        crew.hire(move |meeting: &Meeting| {
            meeting.meet();
            for round in 1..=ROUNDS {
                wait(round);
                // Release: pairs with the look of the notifier.
                passed.fetch_add(1, Ordering::Release);
            }
            Report::default()
        });
    }
    let [p50, p99, p999, max, ..] = crew.run()[0].values;
    Percentiles {
        p50,
        p99,
        p999,
        max,
    }
}

fn ours(waiters: u64) -> Percentiles {
    let condition = Condition::new([0_u64; 2]).expect("a condition");
    let wait = |round| {
        let mut guard = condition.lock().expect("nobody dies");
        guard[WAITING] += 1;
        guard
            .wait_while(|numbers| numbers[ROUND] < round)
            .expect("nobody dies");
    };
    let all_wait = || condition.lock().expect("nobody dies")[WAITING] == waiters;
    let notify = |round| {
        *condition.lock().expect("nobody dies") = [round, 0];
        match waiters {
            1 => drop(condition.notify_one()),
            _ => drop(condition.notify_all()),
        }
    };
    latency(waiters, &wait, &all_wait, &notify)
}

fn pthread(waiters: u64) -> Percentiles {
    let shared = Shared::new(4096);
    // SAFETY: zeroed memory, initialised before anybody uses it.
    let monitor: &Monitor = unsafe { shared.at(0) };
    monitor.init();
    let wait = |round| monitor.wait_until(|n| n[WAITING] += 1, |n| n[ROUND] >= round);
    let all_wait = || monitor.with(|n| n[WAITING] == waiters);
    let notify = |round| {
        monitor.with(|n| *n = [round, 0]);
        match waiters {
            1 => monitor.signal(),
            _ => monitor.broadcast(),
        }
    };
    latency(waiters, &wait, &all_wait, &notify)
}

/// The rows of this part.
pub fn rows(bench: &mut Bench) {
    bench.section("notify");
    for (name, waiters) in [("one waiter", 1), ("all of three waiters", 3)] {
        let row = vec![
            contender("Condition", move || ours(waiters).p50),
            contender("pthread", move || pthread(waiters).p50),
        ];
        bench.row(name, Unit::Nanos, Goal::must(1.05), row);
    }
}
