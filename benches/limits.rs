//! What the machine and the plain structures reach: the figures that everything else is held against.

use std::time::Duration;

mod harness;

use harness::baseline::{PlainRing, Record, Records, Words, raw};
use harness::{
    Bench, Contender, Goal, Pace, Payload, Shape, Unit, contender, pair, round_trip, sized, stream,
};

fn main() {
    let mut bench = Bench::start("limits");
    raw_limits(&mut bench);
    fixed(&mut bench);
    variable(&mut bench);
    latency(&mut bench);
}

fn raw_limits(bench: &mut Bench) {
    bench.section("raw round trip");
    bench.row(
        "line",
        Unit::Nanos,
        Goal::NONE,
        vec![contender("line", || raw::line_round_trip(10_000).p50)],
    );
    let futex = |gap| move || raw::futex_round_trip(200, gap).p50;
    bench.row(
        "futex",
        Unit::Nanos,
        Goal::NONE,
        vec![
            contender("futex", futex(Duration::ZERO)),
            contender("futex, 100 us apart", futex(Duration::from_micros(100))),
        ],
    );
    bench.section("fetch_add");
    let span = bench.options.span;
    for workers in [1, 2, 4] {
        let run = sized(span, move |each| raw::fetch_add(workers, each));
        bench.row(
            &format!("{workers} processes"),
            Unit::PerSecond,
            Goal::NONE,
            vec![contender("fetch_add", run)],
        );
    }
}

fn fixed(bench: &mut Bench) {
    bench.section("plain ring, fixed size");
    let span = bench.options.span;
    for shape in Shape::ALL {
        let contenders = vec![
            contender("8 B", sized(span, move |count| plain::<1>(shape, count))),
            contender("64 B", sized(span, move |count| plain::<8>(shape, count))),
        ];
        bench.row(&shape.name(), Unit::PerSecond, Goal::NONE, contenders);
    }
    let alone = vec![contender("8 B", || {
        let ring = PlainRing::<Words<1>>::new(1024);
        pair(200_000, |_, _| &ring)
    })];
    bench.row("pair in one process", Unit::Nanos, Goal::NONE, alone);
}

fn plain<const N: usize>(shape: Shape, count: u64) -> f64 {
    let ring = PlainRing::<Words<N>>::new(1024);
    stream(shape, count, |_, _| &ring)
}

fn variable(bench: &mut Bench) {
    bench.section("plain ring, records");
    let span = bench.options.span;
    let row = |bench: &mut Bench, name: &str, contenders: Vec<Contender<'_>>| {
        bench.row(name, Unit::PerSecond, Goal::NONE, contenders);
    };
    for shape in Shape::ALL {
        let contenders = vec![
            contender(
                "64 B",
                sized(span, move |count| records::<64>(shape, 1024, count)),
            ),
            contender(
                "1 KiB",
                sized(span, move |count| records::<1024>(shape, 1024, count)),
            ),
            contender(
                "64 KiB",
                sized(span, move |count| {
                    records::<65_536>(shape.warmed(128), 64, count)
                }),
            ),
            contender(
                "1 MiB",
                sized(span, move |count| {
                    records::<1_048_576>(shape.warmed(16), 8, count)
                }),
            ),
        ];
        row(bench, &shape.name(), contenders);
    }
}

fn records<const MAX: usize>(shape: Shape, capacity: u64, count: u64) -> f64 {
    let ring = PlainRing::<Record<MAX>>::new(capacity);
    let payload = Payload::touched(MAX);
    stream(shape, count, |_, _| Records::new(&ring, payload.clone()))
}

fn latency(bench: &mut Bench) {
    bench.section("plain ring, round trip");
    let spinning = vec![contender("8 B", || {
        let (there, back) = (
            PlainRing::<Words<1>>::new(1024),
            PlainRing::<Words<1>>::new(1024),
        );
        round_trip(Pace::spinning(10_000), |_, _| (&there, &back)).p50
    })];
    bench.row("spinning", Unit::Nanos, Goal::NONE, spinning);
}
