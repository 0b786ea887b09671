//! Messages per second, and the age of messages that come at a pace.

use multiproc::{Error, ErrorKind};

use crate::bench::limits;
use crate::bench::report::Report;
use crate::bench::row::{About, Contender, Plan, Sample};
use crate::bench::settings::{Kind, Mode};
use crate::bench::stage::{Place, Stage};
use crate::bench::stats::Unit;
use crate::bench::transport::{Ends, Transport, Visitor, visit};
use crate::bench::work::{Beat, Errand, Flow, Pace, carry};
use crate::job::Ended;

/// From so many bytes on, how fast a line comes and goes limits nothing.
const LONG: usize = 1024;
/// Messages of a burst, and how often one comes.
const BURST: u64 = 64;
const BURST_PERIOD_NS: u64 = 1_000_000;
/// The slow rates, a second.
const SLOW: [u64; 4] = [1, 10, 100, 1000];

/// What a row is about beside its transport.
#[derive(Clone, Copy, Debug)]
enum Load {
    /// As fast as they go, at so many ends in such a place.
    Steady(Ends, Place),
    /// So many together, every so often.
    Beats(u64, u64),
}

/// Every payload as fast as it goes; the shortest in a crowd, on one processor, in bursts and slowly.
pub fn plans(stage: &Stage<'_>) -> Vec<Plan> {
    let settings = stage.settings;
    let shortest = settings.payloads.iter().min().copied().unwrap_or(8);
    let steady = |processes, place| Load::Steady(split(processes), place);
    let mut cases: Vec<(usize, Load)> = Vec::new();
    for len in &settings.payloads {
        cases.push((*len, steady(settings.processes, Place::Apart)));
    }
    cases.push((shortest, steady(2, Place::One)));
    cases.push((shortest, steady(2 * stage.crowded(), Place::Crowded)));
    cases.push((shortest, Load::Beats(BURST, BURST_PERIOD_NS)));
    let slowest = if settings.quick { 100 } else { 1 };
    for rate in SLOW.into_iter().filter(|rate| *rate >= slowest) {
        cases.push((shortest, Load::Beats(1, 1_000_000_000 / rate)));
    }
    let mut rows = Rows::default();
    for (len, load) in cases {
        for mode in &settings.modes {
            rows.case = Some((len, load, *mode));
            visit(len, &mut rows);
        }
    }
    rows.plans
}

/// So many processes as senders and receivers.
fn split(processes: usize) -> Ends {
    let receivers = processes / 2;
    Ends {
        senders: processes - receivers,
        receivers,
    }
}

/// Adds the row of each transport.
#[derive(Default)]
struct Rows {
    plans: Vec<Plan>,
    case: Option<(usize, Load, Mode)>,
}

impl Visitor for Rows {
    fn visit<T: Transport>(&mut self) {
        let (len, load, mode) = self.case.expect("a case is set before each visit");
        match load {
            Load::Steady(ends, _) if !T::MANY && ends != split(2) => {}
            Load::Steady(ends, place) => self.plans.push(steady::<T>(len, mode, ends, place)),
            Load::Beats(burst, period) => self.plans.push(beats::<T>(len, mode, burst, period)),
        }
    }
}

fn steady<T: Transport>(len: usize, mode: Mode, ends: Ends, place: Place) -> Plan {
    let about = About {
        payload: Some(len),
        mode: Some(mode),
        place,
        processes: ends.senders + ends.receivers,
        unit: Unit::PerSecond,
        ..About::new(Kind::Throughput, T::NAME)
    };
    let ours = Contender::new(T::NAME, move |stage| {
        stream::<T>(stage, len, mode, ends, place)
    });
    let mut beside = vec![limits::copies_per_second(len)];
    if len < LONG && place == Place::Apart {
        beside.push(limits::round_trips_per_second());
    }
    Plan::new(about, ours, beside)
}

fn stream<T: Transport>(
    stage: &Stage<'_>,
    len: usize,
    mode: Mode,
    ends: Ends,
    place: Place,
) -> Result<Sample, Ended> {
    let (senders, receivers) = T::open(len, ends)?;
    let flow = Flow {
        len: len as u64,
        senders: ends.senders as u32,
        warm: T::warm_up(len),
        span_ns: stage.span_ns(),
        spin: mode == Mode::Spin,
    };
    let mut crew = stage.crew(place, 0, ends.senders + ends.receivers)?;
    for end in senders {
        crew.hire(carry::<T>, |s| {
            (s, Errand::Produce { flow }, Some(end), None)
        })?;
    }
    for end in receivers {
        crew.hire(carry::<T>, |s| {
            (s, Errand::Consume { flow }, None, Some(end))
        })?;
    }
    let reports = crew.join(stage.signals)?;
    let (sent, received) = reports.split_at(ends.senders);
    if total(sent) != total(received) {
        let text = "messages were lost, doubled or damaged";
        return Err(Ended::Failed(Error::new(ErrorKind::Corrupt, text)));
    }
    // From the first sender's begin to the last receiver's end; each message counts once.
    let begin = sent.iter().map(|report| report.begin).min().unwrap_or(0);
    let end = received.iter().map(|report| report.end).max().unwrap_or(0);
    let whole = Report {
        begin,
        end,
        count: total(sent).0,
        ..Report::default()
    };
    Ok(Sample::of_rate(&[whole]))
}

fn total(side: &[Report]) -> (u64, u64, u64) {
    let sum = |of: fn(&Report) -> u64| side.iter().map(of).fold(0, u64::wrapping_add);
    (sum(|r| r.count), sum(|r| r.sum), sum(|r| r.check))
}

fn beats<T: Transport>(len: usize, mode: Mode, burst: u64, period_ns: u64) -> Plan {
    let load = match burst {
        1 => format!("{} a second", 1_000_000_000 / period_ns),
        n => format!("bursts of {n}"),
    };
    let about = About {
        payload: Some(len),
        mode: Some(mode),
        load: Some(load),
        ..About::new(Kind::Throughput, T::NAME)
    };
    let ours = Contender::new(T::NAME, move |stage| {
        let beat = Beat {
            len: len as u64,
            period_ns,
            burst,
            beats: how_many(stage, period_ns),
            warm: T::warm_up(len),
            spin: mode == Mode::Spin,
        };
        paced::<T>(stage, beat)
    });
    let limit = limits::wake_up(mode, Place::Apart, move |stage| Pace {
        samples: how_many(stage, period_ns),
        warm: 0,
        limit_ns: u64::MAX,
        gap_ns: period_ns,
        rest: true,
        spin: mode == Mode::Spin,
    });
    Plan::new(about, ours, vec![limit])
}

/// The beats of a run: as many as fit into a few spans, and one at least.
fn how_many(stage: &Stage<'_>, period_ns: u64) -> u64 {
    (6 * stage.span_ns() / period_ns).clamp(1, 200)
}

fn paced<T: Transport>(stage: &Stage<'_>, beat: Beat) -> Result<Sample, Ended> {
    let (mut senders, mut receivers) = T::open(beat.len as usize, split(2))?;
    let mut crew = stage.crew(Place::Apart, 0, 2)?;
    crew.hire(carry::<T>, |s| {
        (s, Errand::Beat { beat }, senders.pop(), None)
    })?;
    crew.hire(carry::<T>, |s| {
        (s, Errand::Hear { beat }, None, receivers.pop())
    })?;
    Ok(Sample::of_times(&crew.join(stage.signals)?))
}
