//! From the wake-up of one process to the other one running.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use multiproc::Event;

use crate::harness::baseline::raw::{post, sleep_until, spin_until};
use crate::harness::{
    Bench, Crew, Goal, Meeting, Percentiles, Report, Shared, Unit, busy_wait, contender, nanos,
    ticks,
};

/// What waker and waiter tell each other, on lines of their own.
#[derive(Debug)]
#[repr(C, align(256))]
struct Line<T>(T);

#[derive(Debug)]
#[repr(C)]
struct Scene {
    /// The round in which the waiter is about to wait.
    waiting: Line<AtomicU64>,
    /// When the waker began to wake.
    begun: Line<AtomicU64>,
    /// What the bare contenders wait for.
    word: Line<AtomicU32>,
    line: Line<AtomicU64>,
}

/// Nanoseconds from the call of `wake` to the return of `wait`, which has lasted for `gap` by then.
fn latency(
    rounds: u64,
    gap: Duration,
    scene: &Scene,
    wait: impl Fn(u64) + Send + Sync,
    wake: impl Fn(u64) + Send + Sync,
) -> Percentiles {
    let mut crew = Crew::new();
    crew.hire(|meeting: &Meeting| {
        meeting.meet();
        let mut observed = Vec::with_capacity(rounds as usize);
        for round in 1..=rounds {
            scene.waiting.0.store(round, Ordering::Release);
            wait(round);
            let now = ticks();
            observed.push(nanos(now - scene.begun.0.load(Ordering::Acquire)));
        }
        let found = Percentiles::of(&mut observed[rounds as usize / 10..]);
        Report {
            values: [
                found.p50, found.p99, found.p999, found.max, 0.0, 0.0, 0.0, 0.0,
            ],
            ..Report::default()
        }
    });
    crew.hire(|meeting: &Meeting| {
        meeting.meet();
        for round in 1..=rounds {
            spin_until(&scene.waiting.0, round);
            busy_wait(gap);
            scene.begun.0.store(ticks(), Ordering::Release);
            wake(round);
        }
        Report::default()
    });
    let [p50, p99, p999, max, ..] = crew.run()[0].values;
    Percentiles {
        p50,
        p99,
        p999,
        max,
    }
}

fn event(rounds: u64, gap: Duration) -> Percentiles {
    let (shared, event) = (Shared::new(4096), Event::new().expect("an event"));
    // SAFETY: atomics are valid for any bytes.
    let scene: &Scene = unsafe { shared.at(0) };
    let wait = |_| {
        event.wait();
        event.clear();
    };
    latency(rounds, gap, scene, wait, |_| event.set())
}

fn futex(rounds: u64, gap: Duration) -> Percentiles {
    let shared = Shared::new(4096);
    // SAFETY: atomics are valid for any bytes.
    let scene: &Scene = unsafe { shared.at(0) };
    let wait = |round| sleep_until(&scene.word.0, round as u32);
    latency(rounds, gap, scene, wait, |round| {
        post(&scene.word.0, round as u32)
    })
}

fn line(rounds: u64, gap: Duration) -> Percentiles {
    let shared = Shared::new(4096);
    // SAFETY: atomics are valid for any bytes.
    let scene: &Scene = unsafe { shared.at(0) };
    // Tighter than the harness's own waiting: nothing else is going on.
    let wait = |round| {
        while scene.line.0.load(Ordering::Acquire) != round {
            std::hint::spin_loop();
        }
    };
    let wake = |round| scene.line.0.store(round, Ordering::Release);
    latency(rounds, gap, scene, wait, wake)
}

/// A way to wake, one percentile of it.
type Run = fn(u64, Duration) -> Percentiles;

/// The rows of this part.
pub fn rows(bench: &mut Bench) {
    let waits = [("20 us", 20, 2000), ("1 ms", 1000, 200)];
    for (name, micros, rounds) in waits {
        bench.section(&format!("wake-up of who has waited for {name}"));
        let gap = Duration::from_micros(micros);
        let p50 = |run: Run| move || run(rounds, gap).p50;
        let p99 = |run: Run| move || run(rounds, gap).p99;
        let row = vec![
            contender("Event", p50(event)),
            contender("raw futex", p50(futex)),
        ];
        bench.row("p50", Unit::Nanos, Goal::must(1.05), row);
        let row = vec![
            contender("Event", p99(event)),
            contender("raw futex", p99(futex)),
        ];
        bench.row("p99", Unit::Nanos, Goal::NONE.aim(1.1), row);
    }
    bench.section("wake-up of who still spins, one way");
    let gap = Duration::from_micros(2);
    let p50 = |run: Run| move || run(4000, gap).p50;
    let row = vec![
        contender("Event", p50(event)),
        contender("raw line", p50(line)),
    ];
    bench.row("p50", Unit::Nanos, Goal::must(2.0), row);
}
