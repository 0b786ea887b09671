//! What a pair of workers can have between them: round trips and streams of all sizes over every kind of link.
//!
//! A new contender is a type that is a [`Link`], in a file of its own, and a line in [`everyone`].

mod bytes;
mod crossbeam;
mod event;
mod eventfd;
mod iceoryx;
mod ipc;
mod line;
mod link;
mod looks;
mod mq;
mod ours;
mod pipe;
mod plain;
mod rtrb;
mod seats;
mod shaq;

use std::time::Duration;

use raw_sync::events::{BusyEvent, Event};

use crate::harness::baseline::Words;
use crate::harness::{
    Bench, Contender, Goal, Meeting, Pace, Percentiles, Shape, Unit, contender, cpus, paced, pin,
    ping_pong, sized, stream,
};
use crate::python;
use crossbeam::Passed;
use link::{Job, Link};

const AWAKE: Job = Job {
    touched: true,
    asleep: false,
    shared: None,
};
const ASLEEP: Job = Job {
    asleep: true,
    ..AWAKE
};
const FIRST_WORD: Job = Job {
    touched: false,
    ..AWAKE
};

/// A kibibyte, in words.
const KIB: usize = 1024 / 8;
const KIB_64: usize = 64 * KIB;
const MIB: usize = 1024 * KIB;

type Boxed<const N: usize> = Box<Words<N>>;

/// All rows about links.
pub fn rows(bench: &mut Bench) {
    bench.section("round trip");
    trips::<ours::Typed<1>, pipe::Typed<1>, Words<1>, 1>(bench, "8 B", AWAKE);
    trips::<ours::Typed<8>, pipe::Typed<8>, Words<8>, 8>(bench, "64 B", AWAKE);
    trips::<ours::Claimed<KIB_64>, pipe::Claimed<KIB_64>, Boxed<KIB_64>, KIB_64>(
        bench, "64 KiB", AWAKE,
    );
    trips::<ours::Claimed<KIB_64>, pipe::Claimed<KIB_64>, Boxed<KIB_64>, KIB_64>(
        bench,
        "64 KiB, first word",
        FIRST_WORD,
    );
    trips::<ours::Claimed<MIB>, pipe::Claimed<MIB>, Boxed<MIB>, MIB>(bench, "1 MiB", AWAKE);
    trips::<ours::Claimed<MIB>, pipe::Claimed<MIB>, Boxed<MIB>, MIB>(
        bench,
        "1 MiB, first word",
        FIRST_WORD,
    );
    bench.section("round trip, asleep");
    trips::<ours::Typed<1>, pipe::Typed<1>, Words<1>, 1>(bench, "8 B", ASLEEP);
    trips::<ours::Claimed<KIB_64>, pipe::Claimed<KIB_64>, Boxed<KIB_64>, KIB_64>(
        bench, "64 KiB", ASLEEP,
    );
    bench.section("stream");
    streams::<ours::Typed<1>, pipe::Typed<1>, Words<1>, 1>(bench, "8 B");
    batches(bench);
    streams::<ours::Typed<8>, pipe::Typed<8>, Words<8>, 8>(bench, "64 B");
    streams::<ours::Claimed<KIB>, pipe::Claimed<KIB>, Words<KIB>, KIB>(bench, "1 KiB");
    streams::<ours::Claimed<KIB_64>, pipe::Claimed<KIB_64>, Boxed<KIB_64>, KIB_64>(bench, "64 KiB");
    streams::<ours::Claimed<MIB>, pipe::Claimed<MIB>, Boxed<MIB>, MIB>(bench, "1 MiB");
    beside(bench);
}

/// What the kernel's pipe is best at: two workers who take turns on one processor.
fn beside(bench: &mut Bench) {
    bench.section("on one processor");
    let job = Job {
        shared: Some(cpus()[0]),
        ..AWAKE
    };
    let trip = Lineup::trips(bench, job);
    trip.against_the_kernel::<pipe::Typed<1>, 1>(bench, "8 B there and back");
    let stream = |bench: &mut Bench| Lineup::streams(bench, job, 1);
    stream(bench).against_the_kernel::<pipe::Typed<1>, 1>(bench, "stream of 8 B");
    stream(bench).against_the_kernel::<pipe::Claimed<KIB>, KIB>(bench, "stream of 1 KiB");
    stream(bench).against_the_kernel::<pipe::Claimed<KIB_64>, KIB_64>(bench, "stream of 64 KiB");
}

/// Every kind of link, in the order of the tables: the library's own first, then what copies nothing, then the kernel's.
fn everyone<O: Link<N>, W: Link<N>, P: Passed<N>, const N: usize>(lineup: &mut Lineup) {
    lineup.add::<W, N>();
    lineup.add::<O, N>();
    lineup.add::<plain::Plain<N>, N>();
    lineup.add::<iceoryx::Iceoryx<N>, N>();
    lineup.add::<shaq::Shaq<N>, N>();
    lineup.add::<rtrb::Rtrb<N>, N>();
    lineup.add::<crossbeam::Array<P, N>, N>();
    lineup.add::<crossbeam::Channel<P, N>, N>();
    lineup.add::<event::Signalled<BusyEvent, N>, N>();
    lineup.add::<event::Signalled<Event, N>, N>();
    lineup.add::<bytes::Pipe<N>, N>();
    lineup.add::<bytes::Socket<N>, N>();
    lineup.add::<mq::MessageQueue<N>, N>();
    lineup.add::<ipc::Ipc<N>, N>();
}

/// The contenders of one row.
struct Lineup {
    job: Job,
    /// How many messages of a stream are sent and received in one call, if it is one.
    batch: Option<u64>,
    span: Duration,
    contenders: Vec<Contender<'static>>,
}

impl Lineup {
    fn trips(bench: &Bench, job: Job) -> Self {
        Self {
            job,
            batch: None,
            span: bench.options.span,
            contenders: Vec::new(),
        }
    }

    fn streams(bench: &Bench, job: Job, batch: u64) -> Self {
        Self {
            batch: Some(batch),
            ..Self::trips(bench, job)
        }
    }

    /// A row of the library's own link and those that the kernel copies by.
    fn against_the_kernel<L: Link<N>, const N: usize>(mut self, bench: &mut Bench, name: &str) {
        self.add::<L, N>();
        self.add::<bytes::Pipe<N>, N>();
        self.add::<bytes::Socket<N>, N>();
        let unit = match self.batch {
            Some(_) => Unit::PerSecond,
            None => Unit::Nanos,
        };
        bench.row(name, unit, Goal::NONE, self.contenders);
    }

    /// Adds a kind of link, if it can do the job.
    fn add<L: Link<N>, const N: usize>(&mut self) {
        let Self {
            job, span, batch, ..
        } = *self;
        let able = (L::SLEEPS || !job.asleep)
            && (L::STREAMS || batch.is_none())
            && (L::FIRST_WORD || job.touched)
            && N <= L::LONGEST;
        if !able || !L::is_there() {
            return;
        }
        self.contenders.push(if let Some(batch) = batch {
            let stream = move |messages| run_stream::<L, N>(job, batch, messages);
            contender(L::NAME, sized(span, stream))
        } else {
            let trip = move |rounds| run_trip::<L, N>(job, rounds);
            contender(L::NAME, paced(span, trip))
        });
    }
}

fn trips<O: Link<N>, W: Link<N>, P: Passed<N>, const N: usize>(
    bench: &mut Bench,
    name: &str,
    job: Job,
) {
    let mut lineup = Lineup::trips(bench, job);
    everyone::<O, W, P, N>(&mut lineup);
    if N == 1 {
        lineup.add::<line::Line, 1>();
        lineup.add::<eventfd::EventFd, 1>();
    }
    if job.touched && python::is_there() {
        let gap = if job.asleep { GAP } else { Duration::ZERO };
        let trip = move || python::pipe_trip(8 * N, gap);
        lineup.contenders.push(contender(python::PIPE, trip));
    }
    bench.row(name, Unit::Nanos, Goal::NONE, lineup.contenders);
}

fn streams<O: Link<N>, W: Link<N>, P: Passed<N>, const N: usize>(bench: &mut Bench, name: &str) {
    let mut lineup = Lineup::streams(bench, AWAKE, 1);
    everyone::<O, W, P, N>(&mut lineup);
    if python::is_there() {
        let stream = move || python::pipe_stream(8 * N);
        lineup.contenders.push(contender(python::PIPE, stream));
    }
    bench.row(name, Unit::PerSecond, Goal::NONE, lineup.contenders);
}

/// Many messages in a call, for those that have such calls, beside those that pass messages by one.
fn batches(bench: &mut Bench) {
    let mut lineup = Lineup::streams(bench, AWAKE, 64);
    lineup.add::<pipe::Typed<1>, 1>();
    lineup.add::<ours::Typed<1>, 1>();
    lineup.add::<rtrb::Rtrb<1>, 1>();
    lineup.add::<rtrb::Chunks<1>, 1>();
    bench.row(
        "8 B, 64 in a call",
        Unit::PerSecond,
        Goal::NONE,
        lineup.contenders,
    );
}

const GAP: Duration = Pace::asleep(0).gap;

fn run_trip<L: Link<N>, const N: usize>(job: Job, rounds: u64) -> Percentiles {
    let pace = match job.asleep {
        false => Pace::spinning(rounds),
        true => Pace::asleep(rounds),
    };
    let pace = Pace {
        threads: L::THREADS,
        ..pace.warmed(L::WARM)
    };
    let link = L::new(job);
    ping_pong(pace, |worker, meeting| open(&link, job, worker, meeting))
}

fn run_stream<L: Link<N>, const N: usize>(job: Job, batch: u64, messages: u64) -> f64 {
    let shape = Shape {
        threads: L::THREADS,
        ..Shape::of(1, 1).warmed(L::WARM).batched(batch)
    };
    let link = L::new(job);
    stream(shape, messages, |worker, meeting| {
        open(&link, job, worker, meeting)
    })
}

/// The end of a worker, who is on its processor by then.
fn open<'a, L: Link<N>, const N: usize>(
    link: &'a L,
    job: Job,
    worker: usize,
    meeting: &Meeting,
) -> L::End<'a> {
    if let Some(processor) = job.shared {
        pin(processor);
    }
    link.open(worker, meeting)
}
