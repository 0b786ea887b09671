//! A critical section that counts, under each lock.

use std::sync::Mutex;

use multiproc::Lock;

use crate::harness::baseline::mutex::{count, pthread as shared_pthread};
use crate::harness::ours::fresh_name;
use crate::harness::{
    Bench, Contender, Crew, Goal, Meeting, Report, Unit, contender, rate, sized, ticks,
};

/// All rows about locks.
pub fn rows(bench: &mut Bench) {
    bench.section("lock");
    let span = bench.options.span;
    let alone = |run: fn(usize, u64) -> f64| {
        let mut rate = sized(span, move |each| run(1, each));
        move || 1e9 / rate()
    };
    let contenders = vec![
        contender("multiproc Lock", alone(ours)),
        contender("pthread robust", alone(robust)),
        contender("pthread", alone(pthread)),
        contender("std Mutex †", alone(std_mutex)),
        contender("parking_lot Mutex †", alone(parking_lot_mutex)),
    ];
    bench.row("uncontended", Unit::Nanos, Goal::NONE, contenders);
    for workers in [2, 4] {
        let together = |run: fn(usize, u64) -> f64| sized(span, move |each| run(workers, each));
        let contenders: Vec<Contender<'_>> = vec![
            contender("multiproc Lock", together(ours)),
            contender("pthread robust", together(robust)),
            contender("pthread", together(pthread)),
            contender("std Mutex †", together(std_mutex)),
            contender("parking_lot Mutex †", together(parking_lot_mutex)),
        ];
        let name = format!("{workers} processes on one counter");
        bench.row(&name, Unit::PerSecond, Goal::NONE, contenders);
    }
}

/// The library's lock, opened by name in each worker.
fn ours(workers: usize, each: u64) -> f64 {
    let name = &fresh_name();
    let mut crew = Crew::new();
    for worker in 0..workers {
        crew.hire(move |meeting| {
            let lock = open(name, worker, meeting);
            meeting.meet();
            let begin = ticks();
            (0..each).for_each(|_| *lock.lock().expect("a living holder") += 1);
            let end = ticks();
            meeting.meet();
            let count = *lock.lock().expect("a living holder");
            meeting.meet();
            Report {
                begin,
                end,
                count,
                ..Report::default()
            }
        });
    }
    let reports = crew.run();
    let total = workers as u64 * each;
    assert!(
        reports.iter().all(|report| report.count == total),
        "additions were lost"
    );
    rate(&reports, total)
}

fn open(name: &str, worker: usize, meeting: &Meeting) -> Lock<u64> {
    if worker == 0 {
        let lock = Lock::create(name, 0).expect("a lock");
        meeting.meet();
        lock
    } else {
        meeting.meet();
        Lock::open(name).expect("the lock of worker 0")
    }
}

fn std_mutex(workers: usize, each: u64) -> f64 {
    let counter = Mutex::new(0);
    let add = || *counter.lock().expect("nobody panicked") += 1;
    count(workers, each, true, add, || {
        *counter.lock().expect("nobody panicked")
    })
}

fn parking_lot_mutex(workers: usize, each: u64) -> f64 {
    let counter = parking_lot::Mutex::new(0);
    count(
        workers,
        each,
        true,
        || *counter.lock() += 1,
        || *counter.lock(),
    )
}

fn robust(workers: usize, each: u64) -> f64 {
    shared_pthread(true, workers, each)
}

fn pthread(workers: usize, each: u64) -> f64 {
    shared_pthread(false, workers, each)
}
