//! Additions to one number, by processes and by threads.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Barrier, Mutex, PoisonError};

use multiproc::{Error, ErrorKind, Lock, Result, Value};

use crate::bench::crew::Seat;
use crate::bench::report::Report;
use crate::bench::sys;
use crate::clock::now_ns;

/// Additions between two looks at the clock.
const BATCH: u64 = 1024;

/// Adds for so long.
fn adds(span_ns: u64, mut add: impl FnMut() -> Result<()>) -> Result<Report> {
    let mut report = Report {
        begin: now_ns(),
        ..Report::default()
    };
    while now_ns() - report.begin < span_ns {
        for _ in 0..BATCH {
            add()?;
        }
        report.count += BATCH;
    }
    report.end = now_ns();
    Ok(report)
}

/// Warms up, starts with the others, and adds.
pub(super) fn together(
    span_ns: u64,
    meet: impl Fn(),
    mut add: impl FnMut() -> Result<()>,
) -> Result<Report> {
    let warm = adds(span_ns / 8, &mut add)?;
    meet();
    let mut report = adds(span_ns, add)?;
    // Whoever checks the number wants all additions; `count` are those that were timed.
    report.sum = warm.count + report.count;
    Ok(report)
}

/// Adds to a [`Value`].
pub fn add_value(seat: Seat, span_ns: u64, value: Value<u64>) -> Result<Report> {
    let page = seat.take()?;
    let meet = || page.meet(seat.parties);
    together(span_ns, meet, || {
        value.fetch_add(1);
        Ok(())
    })
}

/// Adds to the number under a [`Lock`].
pub fn add_locked(seat: Seat, span_ns: u64, lock: Lock<u64>) -> Result<Report> {
    let page = seat.take()?;
    let meet = || page.meet(seat.parties);
    together(span_ns, meet, || {
        *lock.lock()? += 1;
        Ok(())
    })
}

/// Adds to a bare word of the shared page.
pub fn add_bare(seat: Seat, span_ns: u64) -> Result<Report> {
    let page = seat.take()?;
    let meet = || page.meet(seat.parties);
    let count: &AtomicU64 = &page.count;
    together(span_ns, meet, || {
        count.fetch_add(1, Ordering::SeqCst);
        Ok(())
    })
}

/// Reads a bare word of the shared page.
pub fn load_bare(seat: Seat, span_ns: u64) -> Result<Report> {
    let page = seat.take()?;
    let meet = || page.meet(seat.parties);
    let count: &AtomicU64 = &page.count;
    together(span_ns, meet, || {
        black_box(count.load(Ordering::Relaxed));
        Ok(())
    })
}

/// Adds to the number under a [`Mutex`], with a thread of this process for each processor given.
pub fn add_on_threads(span_ns: u64, cpus: Vec<u32>) -> Result<Report> {
    let number = Mutex::new(0_u64);
    on_threads(span_ns, &cpus, |_| {
        || {
            *number.lock().unwrap_or_else(PoisonError::into_inner) += 1;
            Ok(())
        }
    })
}

/// Does what `work` makes for each thread, with a thread of this process for each processor given.
pub(super) fn on_threads<A: FnMut() -> Result<()>>(
    span_ns: u64,
    cpus: &[u32],
    work: impl Fn(u32) -> A + Sync,
) -> Result<Report> {
    let start = Barrier::new(cpus.len());
    let run = |worker, cpu| {
        let refused = |error: std::io::Error| Error::new(ErrorKind::Os, error.to_string());
        sys::pin(cpu).map_err(refused)?;
        let meet = || {
            start.wait();
        };
        together(span_ns, meet, work(worker))
    };
    let run = &run;
    let reports: Result<Vec<Report>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..)
            .zip(cpus)
            .map(|(worker, &cpu)| scope.spawn(move || run(worker, cpu)))
            .collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined.map(|ended| ended.expect("no panic")).collect()
    });
    let reports = reports?;
    Ok(Report {
        begin: reports.iter().map(|report| report.begin).min().unwrap_or(0),
        end: reports.iter().map(|report| report.end).max().unwrap_or(0),
        count: reports.iter().map(|report| report.count).sum(),
        sum: reports.iter().map(|report| report.sum).sum(),
        ..Report::default()
    })
}
