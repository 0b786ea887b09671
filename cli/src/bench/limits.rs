//! What no library can beat: bare cache lines, bare futexes, bare copies, bare additions.

use super::row::{Contender, Sample};
use super::settings::Mode;
use super::stage::{Place, Stage};
use super::work::{Bare, Pace, bare};
use crate::job::Ended;

/// Bare round trips that do not count.
const WARM: u64 = 1000;

/// The name of what those who wait in this mode stand on.
fn word(mode: Mode) -> &'static str {
    match mode {
        Mode::Spin => "bare line",
        Mode::Block => "bare futex",
    }
}

/// A word there and one back between two processes, or between the two of so many pairs: nanoseconds.
pub fn round_trip(mode: Mode, place: Place, pairs: usize) -> Contender {
    Contender::new(word(mode), move |stage| {
        let pace = stage.pace(mode, place, WARM);
        bare_round_trip(stage, place, pairs, pace)
    })
}

fn bare_round_trip(
    stage: &Stage<'_>,
    place: Place,
    pairs: usize,
    pace: Pace,
) -> Result<Sample, Ended> {
    let mut crews = Vec::new();
    for pair in 0..pairs {
        let mut crew = stage.crew(place, pair, 2)?;
        crew.hire(bare, |seat| (seat, Bare::Ask { pace }))?;
        crew.hire(bare, |seat| (seat, Bare::Answer { pace }))?;
        crews.push(crew);
    }
    let mut reports = Vec::new();
    for crew in crews {
        reports.append(&mut crew.join(stage.signals)?);
    }
    Ok(Sample::of_times(&reports))
}

/// The same of one pair that stays awake, as round trips per second.
pub fn round_trips_per_second() -> Contender {
    Contender::new("line round trips", |stage| {
        let pace = stage.pace(Mode::Spin, Place::Apart, WARM);
        Ok(bare_round_trip(stage, Place::Apart, 1, pace)?.map(|ns| 1e9 / ns))
    })
}

/// A word from one process to another who waits for it: nanoseconds. `pace` gives the breaks.
pub fn wake_up(mode: Mode, place: Place, pace: impl Fn(&Stage<'_>) -> Pace + 'static) -> Contender {
    Contender::new(word(mode), move |stage| {
        let pace = pace(stage);
        let mut crew = stage.crew(place, 0, 2)?;
        let spin = pace.spin;
        crew.hire(bare, |seat| (seat, Bare::Wait { spin }))?;
        crew.hire(bare, |seat| (seat, Bare::Wake { pace }))?;
        Ok(Sample::of_times(&crew.join(stage.signals)?))
    })
}

/// Copies of so many bytes per second by one process.
pub fn copies_per_second(len: usize) -> Contender {
    Contender::new("memcpy", move |stage| copies(stage, len))
}

/// So many bytes copied there and back, in nanoseconds.
pub fn copied_twice(len: usize) -> Contender {
    Contender::new("2 x memcpy", move |stage| {
        Ok(copies(stage, len)?.map(|rate| 2e9 / rate))
    })
}

fn copies(stage: &Stage<'_>, len: usize) -> Result<Sample, Ended> {
    let mut crew = stage.crew(Place::Apart, 0, 1)?;
    let errand = Bare::Copy {
        span_ns: stage.span_ns() / 4,
        len: len as u64,
    };
    crew.hire(bare, |seat| (seat, errand))?;
    Ok(Sample::of_rate(&crew.join(stage.signals)?))
}

/// Additions to a bare word by so many processes, per second.
pub fn additions_per_second(place: Place, processes: usize) -> Contender {
    Contender::new("bare fetch_add", move |stage| {
        additions(stage, place, processes)
    })
}

/// One addition to a bare word that nobody else uses, in nanoseconds.
pub fn addition() -> Contender {
    Contender::new("bare fetch_add", |stage| {
        Ok(additions(stage, Place::Apart, 1)?.map(|rate| 1e9 / rate))
    })
}

/// One load of a bare word that nobody else uses, in nanoseconds.
pub fn load() -> Contender {
    Contender::new("bare load", |stage| {
        let mut crew = stage.crew(Place::Apart, 0, 1)?;
        let span_ns = stage.span_ns();
        crew.hire(bare, |seat| (seat, Bare::Load { span_ns }))?;
        Ok(Sample::of_rate(&crew.join(stage.signals)?).map(|rate| 1e9 / rate))
    })
}

fn additions(stage: &Stage<'_>, place: Place, processes: usize) -> Result<Sample, Ended> {
    let mut crew = stage.crew(place, 0, processes)?;
    for _ in 0..processes {
        crew.hire(bare, |seat| {
            (
                seat,
                Bare::Add {
                    span_ns: stage.span_ns(),
                },
            )
        })?;
    }
    Ok(Sample::of_rate(&crew.join(stage.signals)?))
}
