//! Work handed to two workers: many small tasks, one at a time, and large arguments.
//!
//! The caller and one of the workers share a processor, as nobody has a third one. A new contender is a type that is a
//! [`Pool`], and a [`Bulk`] if it takes large arguments, in a file of its own, and a line in each of the rows here.

mod ours;
mod pipe;
mod plain;
mod pool;
mod procspawn;
mod queue;
mod rayon;

use std::hint::black_box;
use std::time::Duration;

use crate::harness::{
    Bench, Contender, Crew, Goal, Pace, Payload, Percentiles, Report, Unit, busy_wait, contender,
    nanos, paced, rate, ticks,
};
use crate::python;
use pool::{Bulk, Pool, WORKERS, square, steps};

/// How many squares a row asks for.
const TASKS: u64 = 10_000;
/// How many long arguments, and how many of them are on their way or in work.
const ARGUMENTS: u64 = 256;
const OUTSTANDING: u64 = 8;
const MIB: usize = 1 << 20;

/// All rows about pools.
pub fn rows(bench: &mut Bench) {
    bench.section("pool");
    squares(bench);
    chunked(bench);
    for (micros, tasks) in [(1, 10_000), (10, 1_000), (100, 1_000)] {
        uneven(bench, micros, tasks);
    }
    applied(bench, "apply, awake", Duration::ZERO);
    applied(bench, "apply, asleep", Pace::asleep(0).gap);
    large(bench);
}

fn squares(bench: &mut Bench) {
    let span = bench.options.span;
    let mut contenders = vec![
        mapped::<ours::Ours>(span),
        mapped::<queue::Queues>(span),
        mapped::<plain::Plain<1>>(span),
        mapped::<plain::Plain<2>>(span),
        mapped::<rayon::Rayon>(span),
        mapped::<pipe::Pipe>(span),
        mapped::<procspawn::Procspawn>(span),
    ];
    if python::is_there() {
        let map = || python::pool_map(TASKS, Some(1));
        contenders.push(contender(python::POOL, map));
    }
    bench.row(
        "10,000 squares, chunk 1",
        Unit::PerSecond,
        Goal::NONE,
        contenders,
    );
}

/// As many tasks in a message as each one thinks best.
fn chunked(bench: &mut Bench) {
    let span = bench.options.span;
    let ours = move || run_map(span, ours::Ours::chunked);
    let rayon = move || run_map(span, rayon::Rayon::chunked);
    let mut contenders = vec![contender(ours::NAME, ours), contender(rayon::NAME, rayon)];
    if python::is_there() {
        let map = || python::pool_map(TASKS, None);
        contenders.push(contender(python::POOL, map));
    }
    let name = "10,000 squares, automatic chunks";
    bench.row(name, Unit::PerSecond, Goal::NONE, contenders);
}

/// One task in a hundred takes a hundred times as long as the others: the time of a map, as a multiple of the half of what
/// all tasks take one after the other.
fn uneven(bench: &mut Bench, micros: u64, tasks: usize) {
    let span = bench.options.span;
    let ours = move || run_uneven(span, (micros, tasks), ours::Ours::uneven);
    let rayon = move || run_uneven(span, (micros, tasks), rayon::Rayon::uneven);
    let contenders = vec![contender(ours::NAME, ours), contender(rayon::NAME, rayon)];
    let name = format!("uneven, {tasks} of {micros} us");
    bench.row(&name, Unit::Times, Goal::NONE, contenders);
}

fn applied(bench: &mut Bench, name: &str, gap: Duration) {
    let span = bench.options.span;
    let mut contenders: Vec<Contender<'_>> = Vec::new();
    add_apply::<ours::Ours>(&mut contenders, span, gap);
    add_apply::<queue::Queues>(&mut contenders, span, gap);
    add_apply::<plain::Plain<1>>(&mut contenders, span, gap);
    add_apply::<pipe::Pipe>(&mut contenders, span, gap);
    add_apply::<rayon::Rayon>(&mut contenders, span, gap);
    add_apply::<procspawn::Procspawn>(&mut contenders, span, gap);
    if python::is_there() {
        let apply = move || python::pool_apply(gap);
        contenders.push(contender(python::POOL, apply));
    }
    bench.row(name, Unit::Nanos, Goal::NONE, contenders);
}

fn large(bench: &mut Bench) {
    let mut contenders = vec![
        summed::<ours::OursBulk>(),
        summed::<plain::PlainBulk>(),
        summed::<rayon::Rayon>(),
    ];
    if python::is_there() {
        let sums = || python::pool_sums(MIB as u64, ARGUMENTS);
        contenders.push(contender(python::POOL, sums));
    }
    let name = "1 MiB argument, 8 outstanding";
    bench.row(name, Unit::PerSecond, Goal::NONE, contenders);
}

fn mapped<P: Pool>(span: Duration) -> Contender<'static> {
    contender(P::NAME, move || run_map(span, P::squares))
}

/// Adds a pool, if its workers can do so much as fall asleep where they are asked to.
fn add_apply<P: Pool>(contenders: &mut Vec<Contender<'_>>, span: Duration, gap: Duration) {
    if P::SLEEPS || gap.is_zero() {
        let apply = move |rounds| run_apply::<P>(rounds, gap);
        contenders.push(contender(P::NAME, paced(span, apply)));
    }
}

fn summed<B: Bulk + 'static>() -> Contender<'static> {
    contender(B::NAME, run_bulk::<B>)
}

/// Runs the caller in a process of its own, where it may start threads and processes as it likes.
fn call(work: impl FnOnce() -> Report + Send) -> Report {
    let mut crew = Crew::new();
    crew.hire(|_| work());
    crew.run()[0]
}

/// Tasks per second of a pool that has started, from the first task of a map to its last result; as many maps as last for
/// `span` together.
fn run_map<P: Pool>(span: Duration, map: fn(&mut P, u64) -> Vec<u64>) -> f64 {
    let report = call(|| {
        let mut pool = P::start();
        map(&mut pool, TASKS / 10);
        (0..P::WARM).for_each(|_| drop(map(&mut pool, TASKS)));
        let (mut spent, mut count) = (0, 0);
        while nanos(spent) < span.as_nanos() as f64 {
            let begin = ticks();
            let results = black_box(map(&mut pool, TASKS));
            spent += ticks() - begin;
            count += results.len() as u64;
            assert!(
                results.into_iter().eq((0..TASKS).map(square)),
                "results are lost, damaged or out of order"
            );
        }
        Report {
            begin: 0,
            end: spent,
            count,
            ..Report::default()
        }
    });
    rate(&[report], report.count)
}

/// One task in so many takes so many times as long.
const ODD: usize = 100;

/// How many times the least possible time maps of such tasks take. What all tasks take is found out before each map, by the
/// caller alone.
fn run_uneven<P: Pool>(
    span: Duration,
    (micros, count): (u64, usize),
    map: fn(&mut P, &[u64]) -> Vec<u64>,
) -> f64 {
    let report = call(|| {
        let mut pool = P::start();
        let each = micros * steps_in_a_microsecond();
        let long = |at: usize| at % ODD == ODD / 3;
        let tasks = (0..count).map(|at| each * if long(at) { ODD as u64 } else { 1 });
        let tasks: Vec<u64> = tasks.collect();
        drop(map(&mut pool, &tasks));
        let (mut alone, mut spent) = (0, 0);
        while nanos(spent) < span.as_nanos() as f64 {
            let begin = ticks();
            let wanted: Vec<u64> = tasks.iter().map(|&task| steps(task)).collect();
            let middle = ticks();
            let results = map(&mut pool, &tasks);
            spent += ticks() - middle;
            alone += middle - begin;
            assert_eq!(results, wanted, "results are lost, damaged or out of order");
        }
        Report {
            values: [nanos(alone), nanos(spent), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            ..Report::default()
        }
    });
    let [alone, spent, ..] = report.values;
    spent * WORKERS as f64 / alone
}

fn steps_in_a_microsecond() -> u64 {
    const MANY: u64 = 1_000_000;
    let times = (0..3).map(|_| {
        let begin = ticks();
        black_box(steps(MANY));
        nanos(ticks() - begin)
    });
    let least = times.fold(f64::INFINITY, f64::min);
    (MANY as f64 * 1000.0 / least) as u64
}

const APPLY_WARM: u64 = 64;

/// One task there, its result back.
fn run_apply<P: Pool>(rounds: u64, gap: Duration) -> Percentiles {
    let report = call(|| {
        let mut pool = P::start();
        let mut observed = Vec::with_capacity((APPLY_WARM + rounds) as usize);
        for x in 0..APPLY_WARM + rounds {
            busy_wait(gap);
            let begin = ticks();
            let result = pool.apply(x);
            observed.push(nanos(ticks() - begin));
            assert_eq!(result, square(x), "the result of another task");
        }
        let Percentiles { p50, p99, .. } = Percentiles::of(&mut observed[APPLY_WARM as usize..]);
        Report {
            values: [p50, p99, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            ..Report::default()
        }
    });
    let [p50, p99, ..] = report.values;
    Percentiles {
        p50,
        p99,
        ..Percentiles::default()
    }
}

/// Arguments per second, each written whole by the caller and read whole by a worker, by maps of eight.
fn run_bulk<B: Bulk>() -> f64 {
    let report = call(|| {
        let payload = Payload::touched(MIB);
        let mut pool = B::start(&payload);
        let mut results = Vec::with_capacity(ARGUMENTS as usize);
        let mut turn = |first: u64| black_box(pool.sums(first..first + OUTSTANDING));
        (0..4).for_each(|_| drop(turn(0)));
        let begin = ticks();
        for first in (0..ARGUMENTS).step_by(OUTSTANDING as usize) {
            results.extend(turn(first));
        }
        let end = ticks();
        let wanted = (0..ARGUMENTS).map(|seq| payload.check(seq));
        assert!(
            results.iter().copied().eq(wanted),
            "sums are lost, damaged or out of order"
        );
        Report {
            begin,
            end,
            count: results.len() as u64,
            ..Report::default()
        }
    });
    assert_eq!(report.count, ARGUMENTS, "sums");
    rate(&[report], ARGUMENTS)
}
