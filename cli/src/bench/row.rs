//! A row: one figure of the library, and the machine's limits and its peers beside it, measured in turn.

use std::fmt;

use hdrhistogram::Histogram;

use super::report::{Bin, Report, histogram, rate, record};
use super::settings::{Kind, Mode};
use super::stage::{Place, Stage};
use super::stats::{Summary, Unit};
use crate::job::Ended;

/// What is measured, where and how.
#[derive(Clone, Debug)]
pub struct About {
    pub kind: Kind,
    pub what: String,
    /// Bytes of a message, where there are messages.
    pub payload: Option<usize>,
    pub mode: Option<Mode>,
    /// How messages come, where not as fast as they go.
    pub load: Option<String>,
    pub place: Place,
    pub processes: usize,
    pub unit: Unit,
}

impl About {
    /// The usual: two processes apart, single times.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        About {
            kind,
            what: what.into(),
            payload: None,
            mode: None,
            load: None,
            place: Place::Apart,
            processes: 2,
            unit: Unit::Nanos,
        }
    }

    /// The row's name within its kind.
    pub fn name(&self) -> String {
        let mut name = self.what.clone();
        let payload = self.payload.map(super::stats::bytes);
        let mode = self.mode.map(|mode| mode.name().to_string());
        for part in [payload, mode].into_iter().flatten() {
            name = format!("{name} {part}");
        }
        let place = (self.place != Place::Apart).then(|| self.place.name().to_string());
        // Memory is no matter of processes.
        let is_usual = self.processes == 2 || self.unit == Unit::Bytes;
        let processes = (!is_usual).then(|| counted(self.processes));
        for part in [self.load.clone(), processes, place].into_iter().flatten() {
            name = format!("{name}, {part}");
        }
        name
    }
}

fn counted(processes: usize) -> String {
    match processes {
        1 => "alone".into(),
        n => format!("{n} processes"),
    }
}

/// What came of one run.
#[derive(Debug)]
pub struct Sample {
    figure: f64,
    times: Vec<Bin>,
}

impl Sample {
    /// A figure that was counted, in the row's unit.
    pub fn of(figure: f64) -> Self {
        Sample {
            figure,
            times: Vec::new(),
        }
    }

    /// Operations per second.
    pub fn of_rate(reports: &[Report]) -> Self {
        Sample::of(rate(reports))
    }

    /// Single times; the figure is their median.
    pub fn of_times(reports: &[Report]) -> Self {
        let times: Vec<Bin> = reports.iter().flat_map(|r| r.times.clone()).collect();
        let mut all = histogram();
        add(&mut all, &times);
        Sample {
            figure: all.value_at_quantile(0.5) as f64,
            times,
        }
    }

    /// The same in another unit.
    pub fn map(self, change: impl FnOnce(f64) -> f64) -> Self {
        Sample {
            figure: change(self.figure),
            ..self
        }
    }
}

fn add(to: &mut Histogram<u64>, times: &[Bin]) {
    for bin in times {
        record(to, bin.ns, bin.count);
    }
}

/// A run of one contender.
type Run = Box<dyn FnMut(&Stage<'_>) -> Result<Sample, Ended>>;

/// Something that is run in turn with others.
pub struct Contender {
    name: String,
    run: Run,
}

impl fmt::Debug for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Contender").field(&self.name).finish()
    }
}

impl Contender {
    /// Names it.
    pub fn new(
        name: impl Into<String>,
        run: impl FnMut(&Stage<'_>) -> Result<Sample, Ended> + 'static,
    ) -> Self {
        Contender {
            name: name.into(),
            run: Box::new(run),
        }
    }
}

/// A row that is to be measured; the first contender is the library.
#[derive(Debug)]
pub struct Plan {
    pub about: About,
    contenders: Vec<Contender>,
}

/// The figures of one contender.
#[derive(Debug)]
pub struct Figure {
    pub name: String,
    pub runs: Vec<f64>,
    pub summary: Summary,
    /// Single times of all runs together, in nanoseconds; empty where they were not taken.
    pub times: Histogram<u64>,
}

/// A limit or a peer, and the first contender's figure as a multiple of its.
#[derive(Debug)]
pub struct Beside {
    pub figure: Figure,
    pub ratio: Summary,
}

/// A row that was measured.
#[derive(Debug)]
pub struct Row {
    pub about: About,
    pub ours: Figure,
    pub beside: Vec<Beside>,
}

impl Plan {
    /// A row of these; the first one is the library.
    pub fn new(about: About, ours: Contender, beside: Vec<Contender>) -> Self {
        let mut contenders = vec![ours];
        contenders.extend(beside);
        Plan { about, contenders }
    }

    /// Runs all in turn, forwards and backwards, so that nobody is always the one behind the other.
    ///
    /// # Errors
    ///
    /// When a run failed or a signal came.
    pub fn measure(mut self, stage: &Stage<'_>, step: &dyn Fn()) -> Result<Row, Ended> {
        let mut samples: Vec<Vec<Sample>> = self.contenders.iter().map(|_| Vec::new()).collect();
        for round in 0..stage.settings.rounds() {
            for place in order(round, self.contenders.len()) {
                samples[place].push((self.contenders[place].run)(stage)?);
            }
            step();
        }
        let names = self.contenders.into_iter().map(|c| c.name);
        let mut figures = names.zip(&samples).map(|(name, runs)| figure(name, runs));
        let ours = figures.next().expect("a row has a first contender");
        let beside = figures.map(|figure| Beside {
            ratio: Summary::of_ratios(&ours.runs, &figure.runs),
            figure,
        });
        Ok(Row {
            beside: beside.collect(),
            about: self.about,
            ours,
        })
    }
}

fn figure(name: String, samples: &[Sample]) -> Figure {
    let runs: Vec<f64> = samples.iter().map(|sample| sample.figure).collect();
    let mut times = histogram();
    samples
        .iter()
        .for_each(|sample| add(&mut times, &sample.times));
    Figure {
        name,
        summary: Summary::of(&runs),
        runs,
        times,
    }
}

/// Who runs when: forwards and backwards in turn.
fn order(round: usize, contenders: usize) -> impl Iterator<Item = usize> {
    (0..contenders).map(move |place| match round % 2 {
        0 => place,
        _ => contenders - 1 - place,
    })
}

impl Figure {
    /// Percentiles with their names, where single times were taken.
    pub fn percentiles(&self) -> Option<[(&'static str, u64); 5]> {
        let at = |quantile| self.times.value_at_quantile(quantile);
        (!self.times.is_empty()).then(|| {
            [
                ("p50", at(0.5)),
                ("p90", at(0.9)),
                ("p99", at(0.99)),
                ("p999", at(0.999)),
                ("max", self.times.max()),
            ]
        })
    }

    /// Percentiles above the median, as far as there are times enough to tell: p90, p99, p99.9, and the largest.
    pub fn tail(&self) -> Option<[Option<u64>; 4]> {
        let percentiles = self.percentiles()?;
        let needed = [10, 100, 1000, 1];
        Some(std::array::from_fn(|place| {
            let (_, ns) = percentiles[place + 1];
            (self.times.len() >= needed[place]).then_some(ns)
        }))
    }

    /// Percentiles for a curve: the share of times that are longer, and the time; as far as there are times enough.
    pub fn curve(&self) -> Vec<(f64, f64)> {
        let count = self.times.len() as f64;
        let shares = (0..=24).map(|step| 10_f64.powf(-f64::from(step) / 6.0));
        let known = shares.filter(|share| share * count >= 1.0);
        known
            .map(|share| (share, self.times.value_at_quantile(1.0 - share) as f64))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timed(times: impl Iterator<Item = u64>) -> Figure {
        let bins = times.map(|ns| Bin { ns, count: 1 });
        let sample = Sample {
            figure: 1.0,
            times: bins.collect(),
        };
        figure("times".into(), &[sample])
    }

    #[test]
    fn rounds_go_forwards_and_backwards() {
        let rounds = [0, 1, 2].map(|round| order(round, 3).collect::<Vec<_>>());
        assert_eq!(rounds, [[0, 1, 2], [2, 1, 0], [0, 1, 2]]);
    }

    #[test]
    fn few_times_have_no_rare_percentiles() {
        let hundred = timed(1..=100);
        assert_eq!(hundred.tail(), Some([Some(90), Some(99), None, Some(100)]));
        assert!(hundred.curve().iter().all(|(share, _)| *share >= 0.01));
        assert_eq!(timed(std::iter::empty()).tail(), None);
    }

    #[test]
    fn names_say_what_is_not_usual() {
        let about = About {
            payload: Some(1 << 16),
            mode: Some(Mode::Spin),
            place: Place::Crowded,
            processes: 4,
            ..About::new(Kind::Latency, "queue")
        };
        assert_eq!(
            about.name(),
            "queue 64 KiB spin, 4 processes, oversubscribed"
        );
        assert_eq!(About::new(Kind::Wake, "Event").name(), "Event");
    }
}
