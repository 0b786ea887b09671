//! Additions to a [`Value`].

use multiproc::{Error, ErrorKind, Value};

use crate::bench::limits;
use crate::bench::report::Report;
use crate::bench::row::{About, Contender, Plan, Sample};
use crate::bench::settings::Kind;
use crate::bench::stage::{Place, Stage};
use crate::bench::stats::Unit;
use crate::bench::work::add_value;
use crate::job::Ended;

/// Alone, by the processes asked for, on one processor, in a crowd.
pub fn plans(stage: &Stage<'_>) -> Vec<Plan> {
    let beside = |place, processes| vec![limits::additions_per_second(place, processes)];
    let alone = limits::addition();
    adding(
        stage,
        Kind::Counter,
        "Value::fetch_add",
        add,
        vec![alone],
        beside,
    )
}

/// Adds in so many processes, per second.
pub type Add = fn(&Stage<'_>, Place, usize) -> Result<Sample, Ended>;

/// The rows of something that adds.
pub fn adding(
    stage: &Stage<'_>,
    kind: Kind,
    what: &str,
    add: Add,
    alone: Vec<Contender>,
    beside: impl Fn(Place, usize) -> Vec<Contender>,
) -> Vec<Plan> {
    let about = About {
        processes: 1,
        ..About::new(kind, what)
    };
    let single = move |stage: &Stage<'_>| Ok(add(stage, Place::Apart, 1)?.map(|rate| 1e9 / rate));
    let mut plans = vec![Plan::new(about, Contender::new(what, single), alone)];
    let processes = stage.settings.processes;
    for (place, processes) in [
        (Place::Apart, processes),
        (Place::One, processes),
        (Place::Crowded, 2 * stage.crowded()),
    ] {
        let about = About {
            place,
            processes,
            unit: Unit::PerSecond,
            ..About::new(kind, what)
        };
        let ours = Contender::new(what, move |stage| add(stage, place, processes));
        plans.push(Plan::new(about, ours, beside(place, processes)));
    }
    plans
}

/// The sample of a run, if `found` is what all additions together make.
pub fn checked(reports: &[Report], found: u64) -> Result<Sample, Ended> {
    let wanted: u64 = reports.iter().map(|report| report.sum).sum();
    if wanted != found {
        let text = format!("{wanted} were added and {found} found");
        return Err(Ended::Failed(Error::new(ErrorKind::Corrupt, text)));
    }
    Ok(Sample::of_rate(reports))
}

fn add(stage: &Stage<'_>, place: Place, processes: usize) -> Result<Sample, Ended> {
    let value = Value::new(0)?;
    let mut crew = stage.crew(place, 0, processes)?;
    for _ in 0..processes {
        crew.hire(add_value, |seat| (seat, stage.span_ns(), value.clone()))?;
    }
    checked(&crew.join(stage.signals)?, value.load())
}
