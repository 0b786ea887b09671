//! Additions under a [`Lock`].

use multiproc::{Error, Lock};

use super::counter::{adding, checked};
use crate::bench::limits;
use crate::bench::row::{Contender, Plan, Sample};
use crate::bench::settings::Kind;
use crate::bench::stage::{Place, Stage};
use crate::bench::work::{Bare, add_locked, bare};
use crate::job::Ended;

/// As the counter's rows, beside a mutex of the standard library among threads.
pub fn plans(stage: &Stage<'_>) -> Vec<Plan> {
    let alone = Contender::new(MUTEX, |stage| {
        Ok(mutex(stage, Place::Apart, 1)?.map(|rate| 1e9 / rate))
    });
    let beside = |place, threads| {
        let mutex = Contender::new(MUTEX, move |stage| mutex(stage, place, threads));
        vec![mutex, limits::additions_per_second(place, threads)]
    };
    let alone = vec![alone, limits::addition()];
    adding(stage, Kind::Lock, "Lock", add, alone, beside)
}

const MUTEX: &str = "std Mutex, threads";

fn add(stage: &Stage<'_>, place: Place, processes: usize) -> Result<Sample, Ended> {
    let lock = Lock::new(0)?;
    let mut crew = stage.crew(place, 0, processes)?;
    for _ in 0..processes {
        crew.hire(add_locked, |seat| (seat, stage.span_ns(), lock.clone()))?;
    }
    let reports = crew.join(stage.signals)?;
    let found = *lock.lock().map_err(Error::from)?;
    checked(&reports, found)
}

/// Additions under a mutex of the standard library by so many threads, per second.
pub fn mutex(stage: &Stage<'_>, place: Place, threads: usize) -> Result<Sample, Ended> {
    let mut crew = stage.crew(place, 0, 1)?;
    let errand = Bare::Mutex {
        span_ns: stage.span_ns(),
        cpus: stage.cpus(place, 0, threads),
    };
    crew.hire(bare, |seat| (seat, errand))?;
    Ok(Sample::of_rate(&crew.join(stage.signals)?))
}
