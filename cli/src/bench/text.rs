//! The report for people: an aligned table.

use std::fmt::Write;

use super::outcome::Outcome;
use super::row::{Figure, Row};
use super::settings::Kind;
use super::stats::{Summary, Unit, digits, nanos};

/// The headings of the columns.
const HEAD: [&str; 9] = [
    "",
    "median",
    "(least - most)",
    "p90",
    "p99",
    "p99.9",
    "max",
    "beside",
    "ratio (least - most)",
];

type Line = [String; 9];

/// The report, line by line.
pub fn render(outcome: &Outcome) -> String {
    let mut out = String::new();
    for (name, value) in outcome.machine.parts() {
        writeln!(out, "{name:<12} {value}").expect("a string takes all");
    }
    for kind in outcome.kinds() {
        section(&mut out, outcome, kind);
    }
    writeln!(
        out,
        "\n{} rounds of each, forwards and backwards in turn; {:.0} s; other machines on this host took {:.1} % of the time\n\
         ratio: the figure as a multiple of the one beside it, within a round; medians of all rounds",
        outcome.settings.rounds(),
        outcome.seconds,
        100.0 * outcome.stolen,
    )
    .expect("a string takes all");
    for remark in outcome.remarks() {
        writeln!(out, "mind: {remark}").expect("a string takes all");
    }
    out
}

fn section(out: &mut String, outcome: &Outcome, kind: Kind) {
    writeln!(out, "\n{}: {}", kind.name(), kind.about()).expect("a string takes all");
    let mut lines = vec![HEAD.map(String::from)];
    outcome.of(kind).for_each(|row| add(&mut lines, row));
    out.push_str(&table(&lines));
}

/// A line for the row, with the first limit at its end, and one more for each other limit.
fn add(lines: &mut Vec<Line>, row: &Row) {
    let mut line = figures(row.about.name(), row.about.unit, &row.ours);
    for beside in &row.beside {
        line[7] = format!(
            "{} {}",
            beside.figure.name,
            row.about.unit.show(beside.figure.summary.median)
        );
        line[8] = ratio(beside.ratio);
        lines.push(std::mem::take(&mut line));
    }
}

fn figures(name: String, unit: Unit, figure: &Figure) -> Line {
    let Summary { median, min, max } = figure.summary;
    let spread = format!("({} - {})", unit.show(min), unit.show(max));
    let tail = figure.tail();
    let at = |place: usize| tail.map_or(String::new(), |tail| time(tail[place]));
    [
        name,
        unit.show(median),
        spread,
        at(0),
        at(1),
        at(2),
        at(3),
        String::new(),
        String::new(),
    ]
}

/// A time, or a sign that there were too few to tell.
pub fn time(ns: Option<u64>) -> String {
    ns.map_or("-".into(), |ns| nanos(ns as f64))
}

/// A ratio with its spread.
pub fn ratio(ratio: Summary) -> String {
    let Summary { median, min, max } = ratio;
    format!("{} ({} - {})", digits(median), digits(min), digits(max))
}

/// Lines in columns, the figures against their right edge.
fn table(lines: &[Line]) -> String {
    let width = |column: usize| lines.iter().map(|l| l[column].chars().count()).max();
    let widths: [usize; 9] = std::array::from_fn(|column| width(column).unwrap_or(0));
    let used = |column: &usize| widths[*column] > 0;
    let mut out = String::new();
    for line in lines {
        let cells = (0..line.len()).filter(used).map(|column| {
            let (text, width) = (&line[column], widths[column]);
            match column {
                1 | 3..=6 => format!("{text:>width$}"),
                _ => format!("{text:<width$}"),
            }
        });
        out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        out.push('\n');
    }
    out
}
