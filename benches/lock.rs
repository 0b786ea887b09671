//! The robust lock: what it costs alone, and what it yields under contention.
//!
//! `cargo bench --bench lock -- [--quick] [--rounds N] [TEXT]`. The goals bind the first of a row against the second.
//! How soon the death of a holder is known is the bench `recovery`; parking_lot runs in `benches/peers`.

use std::sync::Mutex;

use multiproc::Lock;

mod harness;

use harness::baseline::mutex::{Counter, count, pthread};
use harness::{
    Bench, Contender, Crew, Goal, Meeting, Report, Shared, Unit, contender, nanos, sized, ticks,
};

fn main() {
    let mut bench = Bench::start("lock");
    alone(&mut bench);
    together(&mut bench);
    waits(&mut bench);
}

/// A peer: the name of the comparison, its own, its lock and unlock by so many processes, and the goal.
type Row = (&'static str, &'static str, fn(usize, u64) -> f64, Goal);

fn alone(bench: &mut Bench) {
    bench.section("lock + unlock, alone");
    let span = bench.options.span;
    let per_pair = move |run: fn(usize, u64) -> f64| {
        let mut rate = sized(span, move |each| run(1, each));
        move || 1e9 / rate()
    };
    let rows: [Row; 3] = [
        (
            "against std",
            "std Mutex †",
            std_mutex,
            Goal::must(1.15).aim(1.05),
        ),
        (
            "against pthread robust",
            "pthread robust",
            robust,
            Goal::must(0.65),
        ),
        ("against pthread", "pthread", plain, Goal::NONE),
    ];
    for (row, name, other, goal) in rows {
        let contenders = vec![
            contender("multiproc Lock", per_pair(ours)),
            contender(name, per_pair(other)),
        ];
        bench.row(row, Unit::Nanos, goal, contenders);
    }
}

fn together(bench: &mut Bench) {
    bench.section("one counter");
    let span = bench.options.span;
    for workers in [2, 4] {
        let rate = move |run: fn(usize, u64) -> f64| sized(span, move |each| run(workers, each));
        let contenders: Vec<Contender<'_>> = vec![
            contender("multiproc Lock", rate(ours)),
            contender("pthread robust", rate(robust)),
            contender("pthread", rate(plain)),
            contender("std Mutex †", rate(std_mutex)),
        ];
        let name = format!("{workers} processes");
        bench.row(&name, Unit::PerSecond, Goal::must(1.0).aim(1.2), contenders);
    }
}

fn ours(workers: usize, each: u64) -> f64 {
    let lock = Lock::new(0_u64).expect("a lock");
    let add = || *lock.lock().expect("nobody died") += 1;
    let total = || *lock.lock().expect("nobody died");
    count(workers, each, false, add, total)
}

fn robust(workers: usize, each: u64) -> f64 {
    pthread(true, workers, each)
}

fn plain(workers: usize, each: u64) -> f64 {
    pthread(false, workers, each)
}

fn std_mutex(workers: usize, each: u64) -> f64 {
    let counter = Mutex::new(0);
    let add = || *counter.lock().expect("nobody panicked") += 1;
    let total = || *counter.lock().expect("nobody panicked");
    count(workers, each, true, add, total)
}

/// The longest that any of four processes, two on each processor, waited for the lock. Being off the processor while
/// the other one there has its turn counts as waiting, here as in life.
fn waits(bench: &mut Bench) {
    const EACH: u64 = 400_000;
    bench.section("longest wait");
    let ours = || {
        let lock = Lock::new(0_u64).expect("a lock");
        longest_of(4, EACH, &|| *lock.lock().expect("nobody died") += 1)
    };
    let robust = || {
        let shared = Shared::new(4096);
        // SAFETY: zeroed memory is a valid counter, initialised before anybody uses it.
        let counter: &Counter = unsafe { shared.at(0) };
        counter.init(true);
        longest_of(4, EACH, &|| counter.add())
    };
    let contenders = vec![
        contender("multiproc Lock", ours),
        contender("pthread robust", robust),
    ];
    bench.row("4 processes", Unit::Nanos, Goal::NONE, contenders);
}

fn longest_of(workers: usize, each: u64, add: &(dyn Fn() + Sync)) -> f64 {
    let mut crew = Crew::new();
    for _ in 0..workers {
        crew.hire(move |meeting: &Meeting| {
            add();
            meeting.meet();
            let (begin, mut last, mut longest) = (ticks(), ticks(), 0);
            for _ in 0..each {
                add();
                let now = ticks();
                longest = longest.max(now - last);
                last = now;
            }
            let values = [nanos(longest), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
            Report {
                begin,
                end: last,
                count: each,
                values,
                ..Report::default()
            }
        });
    }
    crew.run()
        .iter()
        .map(|report| report.values[0])
        .fold(0.0, f64::max)
}
