//! Readers of a lock that nobody writes, alone and beside each other.

use multiproc::RwLock;

use crate::harness::{
    Bench, Crew, Goal, Meeting, Report, Unit, contender, nanos, rate, sized, ticks,
};

/// Pairs per second of `readers` processes, all together.
fn together(readers: u32, each: u64) -> f64 {
    let lock = RwLock::new(7_u64).expect("a lock");
    let lock = &lock;
    let mut crew = Crew::new();
    for _ in 0..readers {
        crew.hire(move |meeting: &Meeting| {
            let look = || *lock.read().expect("nobody writes");
            look();
            meeting.meet();
            let begin = ticks();
            let sum = (0..each).fold(0, |sum: u64, _| sum.wrapping_add(look()));
            Report {
                begin,
                end: ticks(),
                count: each,
                sum,
                ..Report::default()
            }
        });
    }
    rate(&crew.run(), each * u64::from(readers))
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
        contender("2 readers", sized(span, |each| together(2, each))),
        contender("1 reader", sized(span, |each| together(1, each))),
    ];
    let goal = Goal::must(1.9);
    bench.row("2 readers on 2 processors", Unit::PerSecond, goal, row);
}
