//! Messages per second, and round trips.

use crossbeam_queue::ArrayQueue;
use multiproc::{Message, Queue, QueueBuilder};

use crate::harness::baseline::{PlainRing, Words};
use crate::harness::ours::{Fixed, fresh_name, join};
use crate::harness::{
    Bench, Contender, Endpoint, Goal, Meeting, Pace, Shape, Unit, contender, round_trip, sized,
    stream,
};
use crate::ipc::{Ends, Ipc, Pipe};
use crate::python;
use crate::threads::{Array, CAPACITY, Channel};

/// All rows about queues.
pub fn rows(bench: &mut Bench) {
    bench.section("queue");
    for shape in Shape::ALL {
        size::<1>(bench, "8 B", shape);
        size::<8>(bench, "64 B", shape);
    }
    bench.section("round trip");
    latency(bench);
}

fn size<const N: usize>(bench: &mut Bench, name: &str, shape: Shape)
where
    Words<N>: Message,
    Fixed<N>: Endpoint,
{
    let span = bench.options.span;
    let many = |run: fn(Shape, u64) -> f64| sized(span, move |count| run(shape, count));
    let mut contenders: Vec<Contender<'_>> = vec![
        contender("multiproc Queue", many(ours::<N>)),
        contender("plain ring", many(plain::<N>)),
        contender("crossbeam ArrayQueue †", many(array::<N>)),
        contender("crossbeam channel †", many(channel::<N>)),
    ];
    if shape.consumers == 1 {
        contenders.push(contender("ipc-channel", many(ipc_channel::<N>)));
    }
    contenders.push(contender("pipe", many(pipe::<N>)));
    if python::is_there() {
        contenders.push(contender("CPython Queue", move || {
            python::queue(8 * N, shape)
        }));
    }
    bench.row(
        &format!("{name} {}", shape.name()),
        Unit::PerSecond,
        Goal::NONE,
        contenders,
    );
}

fn ours<const N: usize>(shape: Shape, count: u64) -> f64
where
    Words<N>: Message,
    Fixed<N>: Endpoint,
{
    let name = fresh_name();
    stream(shape, count, |worker, meeting| {
        Fixed(join(knobs(&name), worker, meeting))
    })
}

fn knobs<T: Message>(name: &str) -> QueueBuilder<T> {
    Queue::builder().name(name).capacity(CAPACITY)
}

fn plain<const N: usize>(shape: Shape, count: u64) -> f64 {
    let ring = PlainRing::<Words<N>>::new(CAPACITY as u64);
    stream(shape, count, |_, _| &ring)
}

fn array<const N: usize>(shape: Shape, count: u64) -> f64 {
    let queue = ArrayQueue::<Words<N>>::new(CAPACITY);
    stream(shape.threaded(), count, |_, _| Array(&queue))
}

fn channel<const N: usize>(shape: Shape, count: u64) -> f64 {
    let channel = Channel::<N>::new();
    stream(shape.threaded(), count, |_, _| channel.clone())
}

fn ipc_channel<const N: usize>(shape: Shape, count: u64) -> f64 {
    let ends = Ends::new();
    stream(shape.warmed(64), count, |_, _| Ipc::<N>(&ends))
}

fn pipe<const N: usize>(shape: Shape, count: u64) -> f64 {
    let ends = std::io::pipe().expect("a pipe");
    stream(shape.warmed(64), count, |_, _| Pipe::<N>::new(&ends))
}

fn latency(bench: &mut Bench) {
    let spinning = Pace::spinning(10_000);
    let contenders = vec![
        contender("multiproc Queue", || {
            let [there, back] = [(); 2].map(|()| fresh_name());
            let open = |worker, meeting: &Meeting| {
                let first = Fixed::<1>(join(knobs(&there), worker, meeting));
                (first, Fixed(join(knobs(&back), worker, meeting)))
            };
            round_trip(spinning, open).p50
        }),
        contender("plain ring", || {
            let [there, back] = [(); 2].map(|()| PlainRing::<Words<1>>::new(CAPACITY as u64));
            round_trip(spinning, |_, _| (&there, &back)).p50
        }),
        contender("crossbeam ArrayQueue †", || {
            let [there, back] = [(); 2].map(|()| ArrayQueue::<Words<1>>::new(CAPACITY));
            round_trip(spinning.threaded(), |_, _| (Array(&there), Array(&back))).p50
        }),
        contender("crossbeam channel †", || {
            let [there, back] = [(); 2].map(|()| Channel::<1>::new());
            round_trip(spinning.threaded(), |_, _| (there.clone(), back.clone())).p50
        }),
        contender("pipe", || {
            let [there, back] = [(); 2].map(|()| std::io::pipe().expect("a pipe"));
            round_trip(Pace::spinning(300), |_, _| {
                (Pipe::<1>::new(&there), Pipe::<1>::new(&back))
            })
            .p50
        }),
        contender("ipc-channel", || {
            let [there, back] = [(); 2].map(|()| Ends::new());
            round_trip(Pace::spinning(300), |_, _| {
                (Ipc::<1>(&there), Ipc::<1>(&back))
            })
            .p50
        }),
    ];
    bench.row("8 B", Unit::Nanos, Goal::NONE, contenders);
}
