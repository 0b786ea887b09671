//! The queue between real processes, against the plain ring that survives no crash.
//!
//! `cargo bench --bench queue`, or `-- --quick`, or `-- TEXT` for the rows whose name contains it.

use std::time::Duration;

mod harness;

use harness::baseline::{PlainRing, Record, Records, Words, raw};
use harness::ours::{Fixed, InPlace, Leased, Variable, fresh_name, join};
use harness::{
    Bench, Endpoint, Goal, Meeting, Pace, Payload, Shape, Unit, contender, instructions, pair,
    round_trip, sized, stream,
};
use multiproc::{Bytes, Message, Queue};

/// Messages that fit into a ring of small ones.
const CAPACITY: usize = 1024;

fn main() {
    let mut bench = Bench::start("queue");
    for shape in Shape::ALL {
        fixed::<1>(&mut bench, "8 B", shape);
        fixed::<8>(&mut bench, "64 B", shape);
    }
    for shape in Shape::ALL {
        let (small, middle) = (Goal::must(0.3).aim(0.5), Goal::must(0.6).aim(0.9));
        variable::<64>(&mut bench, "64 B", shape, small);
        variable::<1024>(&mut bench, "1 KiB", shape, middle);
    }
    in_place::<65_536>(&mut bench, "64 KiB", 64);
    in_place::<1_048_576>(&mut bench, "1 MiB", 8);
    untouched(&mut bench);
    round_trips(&mut bench);
    pairs(&mut bench);
}

fn fixed<const N: usize>(bench: &mut Bench, size: &str, shape: Shape)
where
    Words<N>: Message,
    Fixed<N>: Endpoint,
{
    let span = bench.options.span;
    let plain = |count| {
        let ring = PlainRing::<Words<N>>::new(CAPACITY as u64);
        stream(shape, count, |_, _| &ring)
    };
    let name = format!("{size} {}", shape.name());
    bench.section("fixed size");
    let single = vec![
        contender("queue", sized(span, |count| ours::<N>(shape, count))),
        contender("plain ring", sized(span, plain)),
    ];
    bench.row(&name, Unit::PerSecond, Goal::must(0.5).aim(0.75), single);
    bench.section("batches of 16");
    let batched = vec![
        contender(
            "queue",
            sized(span, |count| ours::<N>(shape.batched(16), count)),
        ),
        contender("plain ring, one by one", sized(span, plain)),
    ];
    bench.row(&name, Unit::PerSecond, Goal::NONE.aim(1.0), batched);
}

fn ours<const N: usize>(shape: Shape, count: u64) -> f64
where
    Words<N>: Message,
    Fixed<N>: Endpoint,
{
    let name = fresh_name();
    stream(shape, count, |worker, meeting| {
        Fixed(queue(&name, CAPACITY, worker, meeting))
    })
}

fn queue<T: Message>(name: &str, capacity: usize, worker: usize, meeting: &Meeting) -> Queue<T> {
    join(
        Queue::builder().name(name).capacity(capacity),
        worker,
        meeting,
    )
}

fn variable<const MAX: usize>(bench: &mut Bench, size: &str, shape: Shape, goal: Goal) {
    bench.section("variable size");
    let span = bench.options.span;
    let payload = &Payload::touched(MAX);
    let ours = |count| {
        let name = fresh_name();
        stream(shape, count, |worker, meeting| {
            Variable::new(
                bytes(&name, CAPACITY, payload, worker, meeting),
                payload.clone(),
            )
        })
    };
    let plain = |count| plain_records::<MAX>(shape, CAPACITY, count, payload);
    let contenders = vec![
        contender("queue", sized(span, ours)),
        contender("plain ring", sized(span, plain)),
    ];
    bench.row(
        &format!("{size} {}", shape.name()),
        Unit::PerSecond,
        goal,
        contenders,
    );
}

fn in_place<const MAX: usize>(bench: &mut Bench, size: &str, capacity: usize) {
    bench.section("written and read in place");
    let span = 3 * bench.options.span;
    let shape = Shape::of(1, 1).warmed(2 * capacity as u64);
    let payload = &Payload::touched(MAX);
    let ours = |count| claimed(shape, capacity, count, payload);
    let plain = |count| plain_records::<MAX>(shape, capacity, count, payload);
    let contenders = vec![
        contender("queue", sized(span, ours)),
        contender("plain ring", sized(span, plain)),
    ];
    bench.row(
        &format!("{size} 1p1c"),
        Unit::PerSecond,
        Goal::must(0.9),
        contenders,
    );
}

fn claimed(shape: Shape, capacity: usize, count: u64, payload: &Payload) -> f64 {
    let name = fresh_name();
    stream(shape, count, |worker, meeting| {
        InPlace(Variable::new(
            bytes(&name, capacity, payload, worker, meeting),
            payload.clone(),
        ))
    })
}

fn bytes(
    name: &str,
    capacity: usize,
    payload: &Payload,
    worker: usize,
    meeting: &Meeting,
) -> Queue<Bytes> {
    let knobs = Queue::builder()
        .name(name)
        .capacity(capacity)
        .message_size(payload.len());
    join(knobs, worker, meeting)
}

fn plain_records<const MAX: usize>(
    shape: Shape,
    capacity: usize,
    count: u64,
    payload: &Payload,
) -> f64 {
    let ring = PlainRing::<Record<MAX>>::new(capacity as u64);
    stream(shape, count, |_, _| Records::new(&ring, payload.clone()))
}

/// Only the first word of each message is written and read: must not depend on the size.
fn untouched(bench: &mut Bench) {
    bench.section("untouched payload");
    let span = bench.options.span;
    let [small, large, huge] = [64 << 10, 1 << 20, 4 << 20].map(Payload::untouched);
    let shape = Shape::of(1, 1).warmed(32);
    let run = |payload: &Payload, count| claimed(shape, 8, count, payload);
    let contenders = vec![
        contender("1 MiB", sized(span, |count| run(&large, count))),
        contender("64 KiB", sized(span, |count| run(&small, count))),
        contender("4 MiB", sized(span, |count| run(&huge, count))),
    ];
    bench.row("1p1c", Unit::PerSecond, Goal::must(0.8), contenders);
}

fn round_trips(bench: &mut Bench) {
    bench.section("round trip, 8 B");
    let ours = |pace: Pace| {
        move || {
            let [there, back] = [(); 2].map(|()| fresh_name());
            let open = |worker, meeting: &Meeting| {
                let first = Fixed::<1>(queue(&there, CAPACITY, worker, meeting));
                (first, Fixed(queue(&back, CAPACITY, worker, meeting)))
            };
            round_trip(pace, open).p50
        }
    };
    let spinning = vec![
        contender("queue", ours(Pace::spinning(10_000))),
        contender("raw line", || raw::line_round_trip(10_000).p50),
        contender("plain ring", || {
            let [there, back] = [(); 2].map(|()| PlainRing::<Words<1>>::new(CAPACITY as u64));
            round_trip(Pace::spinning(10_000), |_, _| (&there, &back)).p50
        }),
    ];
    bench.row("spinning", Unit::Nanos, Goal::must(2.2).aim(1.6), spinning);
    let gap = Duration::from_micros(200);
    let asleep = vec![
        contender(
            "queue",
            ours(Pace {
                gap,
                ..Pace::spinning(100)
            }),
        ),
        contender("raw futex", move || raw::futex_round_trip(100, gap).p50),
    ];
    bench.row("asleep", Unit::Nanos, Goal::must(1.1), asleep);
}

fn pairs(bench: &mut Bench) {
    bench.section("pair in one process, 8 B");
    let plain = || {
        let ring = PlainRing::<Words<1>>::new(CAPACITY as u64);
        pair(200_000, |_, _| &ring)
    };
    let get = || {
        let name = fresh_name();
        pair(200_000, |worker, meeting| {
            Fixed::<1>(queue(&name, CAPACITY, worker, meeting))
        })
    };
    let lease = || {
        let name = fresh_name();
        pair(200_000, |worker, meeting| {
            Leased(queue(&name, CAPACITY, worker, meeting))
        })
    };
    let contenders = vec![contender("put + get", get), contender("plain ring", plain)];
    bench.row("get", Unit::Nanos, Goal::must(2.5).aim(1.6), contenders);
    let contenders = vec![
        contender("put + lease + ack", lease),
        contender("plain ring", plain),
    ];
    bench.row("lease", Unit::Nanos, Goal::must(4.0), contenders);
    count_instructions(bench);
}

fn count_instructions(bench: &Bench) {
    if !bench
        .options
        .wants("pair in one process, 8 B", "instructions")
    {
        return;
    }
    let queue = || Queue::<Words<1>>::new(CAPACITY).expect("a queue");
    let (mut fixed, mut leased) = (Fixed(queue()), Leased(queue()));
    let ring = PlainRing::<Words<1>>::new(CAPACITY as u64);
    let mut plain = &ring;
    let pair = |end: &mut dyn Endpoint| {
        end.send(1);
        assert_eq!(end.receive(), (1, 1));
    };
    bench.say(&format!(
        "\ninstructions of a pair: put + get {:.0}, put + lease + ack {:.0}, plain ring {:.0}",
        instructions(|| pair(&mut fixed)),
        instructions(|| pair(&mut leased)),
        instructions(|| pair(&mut plain)),
    ));
}
