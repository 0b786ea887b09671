//! Readers of a lock that nobody writes, alone and beside each other.

use std::time::Duration;

use multiproc::RwLock;

use crate::harness::{Bench, Crew, Goal, Meeting, Report, Unit, contender, nanos, ticks};

/// Pairs per second of some processes, all together, which read by one lock, or each by its own.
fn together(span: Duration, readers: u32, own: bool) -> f64 {
    let locks = [(); 2].map(|()| RwLock::new(7_u64).expect("a lock"));
    let mut crew = Crew::new();
    for reader in 0..readers {
        let lock = &locks[if own { reader as usize } else { 0 }];
        crew.hire(move |meeting: &Meeting| {
            drop(lock.read());
            meeting.meet();
            until(span, lock)
        });
    }
    crew.run().iter().map(speed).sum()
}

/// How many looks pass in a look at the clock.
const LOOKS: u64 = 1000;

/// Looks for as long as `span`: all stop at the same time, whoever is slower.
fn until(span: Duration, lock: &RwLock<u64>) -> Report {
    let look = || *lock.read().expect("nobody writes");
    let begin = ticks();
    let (mut count, mut sum, mut end) = (0, 0_u64, begin);
    while nanos(end - begin) < span.as_nanos() as f64 {
        sum = (0..LOOKS).fold(sum, |sum, _| sum.wrapping_add(look()));
        count += LOOKS;
        end = ticks();
    }
    Report {
        begin,
        end,
        count,
        sum,
        ..Report::default()
    }
}

fn speed(report: &Report) -> f64 {
    report.count as f64 / nanos(report.end - report.begin) * 1e9
}

fn alone(pairs: u64, look: impl Fn() -> u64) -> f64 {
    let begin = ticks();
    let sum = (0..pairs).fold(0, |sum: u64, _| sum.wrapping_add(look()));
    std::hint::black_box(sum);
    nanos(ticks() - begin) / pairs as f64
}

/// The rows of this part.
pub fn rows(bench: &mut Bench) {
    bench.section("reading, 3 ns at most");
    let lock = RwLock::new(7_u64).expect("a lock");
    let std = std::sync::RwLock::new(7_u64);
    let ours = || alone(1_000_000, || *lock.read().expect("nobody writes"));
    let theirs = || alone(1_000_000, || *std.read().expect("nobody writes"));
    let row = vec![contender("RwLock", ours), contender("std RwLock †", theirs)];
    bench.row("a pair, alone", Unit::Nanos, Goal::NONE, row);
    let span = bench.options.span;
    let row = vec![
        contender("2 readers", || together(span, 2, false)),
        contender("1 reader", || together(span, 1, false)),
        contender("2 readers, a lock each", || together(span, 2, true)),
    ];
    let goal = Goal::must(1.9);
    bench.row("2 readers on 2 processors", Unit::PerSecond, goal, row);
}
