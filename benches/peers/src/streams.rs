//! Messages per second through queues with several senders and receivers.

use crossbeam_queue::ArrayQueue;
use multiproc::{Message, Queue, QueueBuilder};

use crate::harness::baseline::{PlainRing, Words};
use crate::harness::ours::{Fixed, fresh_name, join};
use crate::harness::{Bench, Contender, Endpoint, Goal, Shape, Unit, contender, sized, stream};
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
