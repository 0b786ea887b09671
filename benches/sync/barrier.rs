//! Rounds of a barrier.

use multiproc::Barrier;

use crate::harness::baseline::pthread;
use crate::harness::{
    Bench, Crew, Goal, Meeting, Report, Shared, Unit, contender, rate, sized, ticks,
};

/// Rounds per second of `parties` processes that do nothing but meet.
fn rounds(parties: u32, each: u64, wait: impl Fn() + Sync) -> f64 {
    let wait = &wait;
    let mut crew = Crew::new();
    for _ in 0..parties {
        crew.hire(move |meeting: &Meeting| {
            wait();
            meeting.meet();
            let begin = ticks();
            (0..each).for_each(|_| wait());
            Report {
                begin,
                end: ticks(),
                count: each,
                ..Report::default()
            }
        });
    }
    rate(&crew.run(), each)
}

fn ours(parties: u32, each: u64) -> f64 {
    let barrier = Barrier::new(parties).expect("a barrier");
    rounds(parties, each, || {
        barrier.wait().expect("nobody dies");
    })
}

fn pthread(parties: u32, each: u64) -> f64 {
    let shared = Shared::new(4096);
    // SAFETY: zeroed memory, initialised before anybody uses it.
    let barrier: &pthread::Barrier = unsafe { shared.at(0) };
    barrier.init(parties);
    rounds(parties, each, || barrier.wait())
}

fn spinning(parties: u32, each: u64) -> f64 {
    let shared = Shared::new(4096);
    // SAFETY: atomics are valid for any bytes.
    let barrier: &pthread::Spinning = unsafe { shared.at(0) };
    rounds(parties, each, || barrier.wait(parties))
}

/// The rows of this part.
pub fn rows(bench: &mut Bench) {
    let span = bench.options.span;
    bench.section("barrier");
    let rate = |parties: u32, run: fn(u32, u64) -> f64| sized(span, move |each| run(parties, each));
    let two = vec![
        contender("Barrier", rate(2, ours)),
        contender("pthread", rate(2, pthread)),
        contender("spinning", rate(2, spinning)),
    ];
    bench.row("2 parties", Unit::PerSecond, Goal::must(20.0), two);
    let two = vec![
        contender("Barrier", rate(2, ours)),
        contender("spinning", rate(2, spinning)),
    ];
    bench.row(
        "2 parties, against spinning",
        Unit::PerSecond,
        Goal::NONE.aim(0.5),
        two,
    );
    let four = vec![
        contender("Barrier", rate(4, ours)),
        contender("pthread", rate(4, pthread)),
    ];
    bench.row(
        "4 parties on 2 processors",
        Unit::PerSecond,
        Goal::must(1.0),
        four,
    );
}
