//! Rows of contenders, run in turn, printed with their ratios and the machine's limits.

use super::clock;
use super::machine::{self, Stolen};
use super::markdown;
use super::options::Options;
use super::probe::{Probe, Usual};
use super::record::{Entry, Figure, Row};
use super::stats::{Summary, human};

/// What a figure counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unit {
    /// Operations per second: more is better.
    PerSecond,
    /// Nanoseconds per operation: less is better.
    Nanos,
    /// Bytes: less is better.
    Bytes,
    /// So many times what it would be at best: less is better.
    Times,
}

impl Unit {
    /// A value of this unit, as people write it.
    pub fn show(self, value: f64) -> String {
        match self {
            Unit::PerSecond => format!("{}/s", human(value)),
            Unit::Nanos if value >= 1e6 => format!("{:.2} ms", value / 1e6),
            Unit::Nanos if value >= 1e4 => format!("{:.1} us", value / 1e3),
            Unit::Nanos => format!("{value:.*} ns", usize::from(value < 1e2)),
            Unit::Bytes => format!("{value:.0} B"),
            Unit::Times => format!("{value:.3} x"),
        }
    }
}

/// What the first contender's figure must be, as a multiple of the second's.
#[derive(Clone, Copy, Debug)]
pub struct Goal {
    must: Option<f64>,
    aim: Option<f64>,
}

impl Goal {
    /// Recorded, nothing asked.
    pub const NONE: Goal = Goal {
        must: None,
        aim: None,
    };

    /// A limit that must be kept.
    pub const fn must(ratio: f64) -> Self {
        Self {
            must: Some(ratio),
            aim: None,
        }
    }

    /// The same, with a limit that would be better.
    pub const fn aim(self, ratio: f64) -> Self {
        Self {
            aim: Some(ratio),
            ..self
        }
    }

    fn verdict(self, unit: Unit, ratio: f64) -> &'static str {
        let kept = |limit: f64| match unit {
            Unit::PerSecond => ratio >= limit,
            Unit::Nanos | Unit::Bytes | Unit::Times => ratio <= limit,
        };
        match (self.must.map(kept), self.aim.map(kept)) {
            (Some(false), _) => "MISSED",
            (_, Some(true)) => "aim",
            (Some(true), _) => "ok",
            _ => "",
        }
    }
}

/// One implementation in a row: its name, and one run of it.
pub struct Contender<'a> {
    name: &'a str,
    run: Box<dyn FnMut() -> Figure + 'a>,
}

impl std::fmt::Debug for Contender<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contender")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Names a contender; a run is one figure, or percentiles of which the middle counts.
pub fn contender<'a, F: Into<Figure>>(
    name: &'a str,
    mut run: impl FnMut() -> F + 'a,
) -> Contender<'a> {
    Contender {
        name,
        run: Box::new(move || run().into()),
    }
}

/// A run of a whole bench.
#[derive(Debug)]
pub struct Bench {
    /// What the command line asks.
    pub options: Options,
    section: String,
    usual: Usual,
    missed: Vec<String>,
    head: String,
    rows: Vec<Row>,
    stolen: Stolen,
}

impl Bench {
    /// Reads the command line, prints the machine.
    pub fn start(name: &str) -> Self {
        Self::of_rounds(name, 15)
    }

    /// The same with more or fewer rounds where the command line says nothing of them: wake-ups differ by a tenth from one
    /// round to the next.
    pub fn of_rounds(name: &str, rounds: usize) -> Self {
        let options = Options::parse(rounds);
        clock::calibrate();
        let head = format!("{}, {} rounds", machine::describe(), options.rounds);
        let (priority, usual) = (machine::prefer(), Usual::find());
        let bench = Self {
            stolen: Stolen::so_far(),
            options,
            section: String::new(),
            usual,
            missed: Vec::new(),
            head,
            rows: Vec::new(),
        };
        bench.say(&format!("{name}: {}", bench.head));
        bench.say(&format!(
            "priority {priority}; median (min - max); ratios are medians of the ratios within a round"
        ));
        bench.say(
            "line, futex: raw round trips between the two processors, measured in the same rounds",
        );
        bench.say(&format!(
            "the line usually takes {:.0} ns here; runs beside another figure are repeated",
            usual.line()
        ));
        bench
    }

    /// Adds to what stands above the tables, such as the versions of what is measured.
    pub fn remark(&mut self, text: &str) {
        self.say(text);
        self.head += &format!("; {text}");
    }

    /// Prints a line for people to read: beside the output where that is to be tables.
    pub fn say(&self, text: &str) {
        if self.options.markdown {
            eprintln!("{text}");
        } else {
            println!("{text}");
        }
    }

    /// Starts a group of rows.
    pub fn section(&mut self, title: &str) {
        self.section = title.to_owned();
    }

    /// Prints a remark under the section's rows.
    pub fn note(&self, text: &str) {
        if self.options.wants(&self.section, "") {
            self.say(&format!("    {text}"));
        }
    }

    /// Runs all contenders in turn, forwards and backwards, round after round; the goal binds the first against the second.
    pub fn row(&mut self, name: &str, unit: Unit, goal: Goal, mut contenders: Vec<Contender<'_>>) {
        if !self.options.wants(&self.section, name) {
            return;
        }
        let mut runs = vec![Vec::new(); contenders.len()];
        let (mut probes, mut unsteady) = (Vec::new(), 0);
        let stolen = Stolen::so_far();
        for round in 0..self.options.rounds {
            probes.push(Probe::take());
            for place in order(round, contenders.len()) {
                let (figure, steady) = self.usual.steady(&mut contenders[place].run);
                runs[place].push(figure);
                unsteady += usize::from(!steady);
            }
        }
        let named = contenders.iter().zip(&runs);
        let median =
            |of: fn(&Probe) -> f64| Summary::of(&probes.iter().map(of).collect::<Vec<_>>()).median;
        let row = Row {
            section: self.section.clone(),
            name: name.to_owned(),
            unit,
            line: median(|probe| probe.line),
            futex: median(|probe| probe.futex),
            entries: named.map(|(one, runs)| Entry::of(one.name, runs)).collect(),
        };
        self.print(&row, goal, &runs);
        self.rows.push(row);
        if unsteady > 0 {
            self.say(&format!("  ({unsteady} runs beside an unusual line)"));
        }
        if stolen.since() > 0.02 {
            self.say(&format!(
                "  ({:.0} % of the time went to other machines)",
                100.0 * stolen.since()
            ));
        }
    }

    fn print(&mut self, row: &Row, goal: Goal, runs: &[Vec<Figure>]) {
        let (unit, entries) = (row.unit, &row.entries);
        self.say(&format!(
            "\n{} / {}   [line {:.0} ns, futex {:.1} us]",
            row.section,
            row.name,
            row.line,
            row.futex / 1e3
        ));
        for (place, (entry, figures)) in entries.iter().zip(runs).enumerate() {
            let own = entry.value;
            let spread = format!("({} - {})", unit.show(own.min), unit.show(own.max));
            let mut text = format!(
                "  {:<34} {:>12} {spread:<27}",
                entry.name,
                unit.show(own.median)
            );
            if let Some(p99) = entry.p99 {
                text += &format!("  p99 {:>8}", unit.show(p99));
            }
            if place == 0 && runs.len() > 1 {
                text += &self.against(row, goal, ratio(figures, &runs[1]));
            } else if place > 1 {
                let ratio = ratio(&runs[0], figures);
                text += &format!("  {} x = {} / this", human(ratio.median), entries[0].name);
            }
            self.say(text.trim_end());
        }
    }

    fn against(&mut self, row: &Row, goal: Goal, ratio: Summary) -> String {
        let base = &row.entries[1].name;
        let verdict = goal.verdict(row.unit, ratio.median);
        if verdict == "MISSED" {
            self.missed.push(format!(
                "{} / {}: {:.2} x {base}",
                row.section, row.name, ratio.median
            ));
        }
        let sign = if row.unit == Unit::PerSecond {
            ">="
        } else {
            "<="
        };
        let limit = |word: &str, limit: Option<f64>| {
            limit.map_or(String::new(), |l| format!(", {word} {sign} {l}"))
        };
        format!(
            "  {:.2} x {base} ({:.2}-{:.2}{}{}) {verdict}",
            ratio.median,
            ratio.min,
            ratio.max,
            limit("must", goal.must),
            limit("aim", goal.aim)
        )
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        machine::restore();
        self.say(&format!(
            "\n{} rows, {} missed; other machines on this host took {:.0} % of the time",
            self.rows.len(),
            self.missed.len(),
            100.0 * self.stolen.since()
        ));
        self.missed
            .iter()
            .for_each(|row| self.say(&format!("  missed: {row}")));
        if self.options.markdown {
            println!("{}: {}\n", machine::today(), self.head);
            print!("{}", markdown::tables(&self.rows));
        }
    }
}

/// Who runs when: forwards and backwards in turn, so that nobody is always the one who runs behind the probe.
fn order(round: usize, contenders: usize) -> impl Iterator<Item = usize> {
    (0..contenders).map(move |place| match round % 2 {
        0 => place,
        _ => contenders - 1 - place,
    })
}

fn ratio(ours: &[Figure], theirs: &[Figure]) -> Summary {
    let ratios: Vec<f64> = ours
        .iter()
        .zip(theirs)
        .map(|(our, their)| our.value / their.value)
        .collect();
    Summary::of(&ratios)
}
