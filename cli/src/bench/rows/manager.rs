//! Values in a [`Manager`](multiproc::Manager): cells, a dictionary, a list, transactions.

use multiproc::{Error, ErrorKind};

use super::counter::checked;
use super::lock::mutex;
use super::memory;
use crate::bench::limits;
use crate::bench::report::Report;
use crate::bench::row::{About, Contender, Plan, Sample};
use crate::bench::settings::Kind;
use crate::bench::stage::{Place, Stage};
use crate::bench::stats::Unit;
use crate::bench::work::{Bare, Deed, KEYS, Kept, bare, keep};
use crate::job::Ended;

/// Cells alone; the dictionary, the list and transactions alone and by the processes asked for; what an entry takes.
pub fn plans(stage: &Stage<'_>) -> Vec<Plan> {
    let processes = stage.settings.processes;
    let mut plans = vec![
        plan("Cell::get", Deed::CellGet, 1, limits::load()),
        plan("Cell::set", Deed::CellSet, 1, limits::addition()),
    ];
    for (what, deed) in [
        ("Dict::get", Deed::DictGet),
        ("Dict::insert", Deed::DictSet),
        ("List::get", Deed::ListGet),
        ("List::set", Deed::ListSet),
    ] {
        for processes in [1, processes] {
            plans.push(plan(what, deed, processes, under_mutex(deed, processes)));
        }
    }
    for processes in [1, processes] {
        let beside = Contender::new("std Mutex, threads", move |stage| {
            let rate = mutex(stage, Place::Apart, processes)?;
            Ok(in_unit(rate, processes))
        });
        let what = "transaction of two cells";
        plans.push(plan(what, Deed::Transaction, processes, beside));
    }
    plans.extend(memory::plans());
    plans
}

/// A row of one deed: nanoseconds alone, and a rate of several.
fn plan(what: &str, deed: Deed, processes: usize, beside: Contender) -> Plan {
    let about = About {
        processes,
        unit: match processes {
            1 => Unit::Nanos,
            _ => Unit::PerSecond,
        },
        ..About::new(Kind::Manager, what)
    };
    let ours = Contender::new(what, move |stage| {
        Ok(in_unit(ours(stage, deed, processes)?, processes))
    });
    Plan::new(about, ours, vec![beside])
}

/// A rate, in the unit of a row of so many.
fn in_unit(rate: Sample, processes: usize) -> Sample {
    match processes {
        1 => rate.map(|rate| 1e9 / rate),
        _ => rate,
    }
}

fn ours(stage: &Stage<'_>, deed: Deed, processes: usize) -> Result<Sample, Ended> {
    let kept = Kept::new()?;
    let mut crew = stage.crew(Place::Apart, 0, processes)?;
    for _ in 0..processes {
        crew.hire(keep, |seat| (seat, stage.span_ns(), deed, kept.clone()))?;
    }
    let reports = crew.join(stage.signals)?;
    match deed {
        Deed::CellSet | Deed::Transaction => checked(&reports, stored(&kept, deed)?),
        Deed::DictSet => entries(&kept, &reports),
        Deed::ListSet => elements(&kept, &reports),
        Deed::CellGet | Deed::DictGet | Deed::ListGet => Ok(Sample::of_rate(&reports)),
    }
}

/// What the cells say: both the same, after transactions.
fn stored(kept: &Kept, deed: Deed) -> Result<u64, Error> {
    let [one, two] = &kept.cells;
    let (one, two) = (one.get_owned()?, two.get_owned()?);
    match deed == Deed::Transaction && one != two {
        true => Err(wrong(format!("{one} in one cell and {two} in the other"))),
        false => Ok(one),
    }
}

/// The sample of a run, if each entry has its value.
fn entries(kept: &Kept, reports: &[Report]) -> Result<Sample, Ended> {
    let all = kept.dict.snapshot()?;
    let is_right =
        |(key, value): &(String, u64)| key.strip_prefix("key:") == Some(&value.to_string());
    match all.iter().all(is_right) {
        true => Ok(Sample::of_rate(reports)),
        false => Err(Ended::Failed(wrong(
            "an entry has the value of another".into(),
        ))),
    }
}

/// The sample of a run, if each element is the number of its place.
fn elements(kept: &Kept, reports: &[Report]) -> Result<Sample, Ended> {
    let all = kept.list.snapshot()?;
    match all.into_iter().eq(0..KEYS) {
        true => Ok(Sample::of_rate(reports)),
        false => Err(Ended::Failed(wrong(
            "an element has the value of another".into(),
        ))),
    }
}

fn wrong(text: String) -> Error {
    Error::new(ErrorKind::Corrupt, text)
}

/// The same with a map or a vector under a mutex, among threads.
fn under_mutex(deed: Deed, threads: usize) -> Contender {
    let is_map = [Deed::DictGet, Deed::DictSet].contains(&deed);
    let name = match is_map {
        true => "std Mutex of HashMap, threads",
        false => "std Mutex of Vec, threads",
    };
    Contender::new(name, move |stage| {
        let mut crew = stage.crew(Place::Apart, 0, 1)?;
        let errand = Bare::Keep {
            span_ns: stage.span_ns(),
            cpus: stage.cpus(Place::Apart, 0, threads),
            is_map,
            sets: [Deed::DictSet, Deed::ListSet].contains(&deed),
        };
        crew.hire(bare, |seat| (seat, errand))?;
        let rate = Sample::of_rate(&crew.join(stage.signals)?);
        Ok(in_unit(rate, threads))
    })
}
