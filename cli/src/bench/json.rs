//! The report as one JSON object; `docs/bench.md` says what each key means.

use super::outcome::Outcome;
use super::row::{Beside, Figure, Row};
use super::stats::Summary;
use crate::json::string;

/// Grows by one with each change that a reader of the last one would trip over.
pub const SCHEMA: u32 = 1;

/// The object, with a newline at its end.
pub fn render(outcome: &Outcome) -> String {
    let machine = &outcome.machine;
    let settings = &outcome.settings;
    let remarks: Vec<String> = outcome.remarks().iter().map(|r| string(r)).collect();
    let rows: Vec<String> = outcome.rows.iter().map(row).collect();
    let kinds: Vec<String> = outcome.kinds().map(|kind| string(kind.name())).collect();
    let modes: Vec<String> = settings.modes.iter().map(|m| string(m.name())).collect();
    format!(
        "{{\"schema\":{SCHEMA},\"multiproc\":{},\"date\":{},\"seconds\":{},\"stolen\":{},\"machine\":{{\"cpu\":{},\
         \"processors\":{},\"used\":[{}],\"caches\":{},\"kernel\":{},\"virtualised\":{},\"load\":{},\
         \"clocksource\":{},\"clock_ns\":{}}},\"settings\":{{\"kinds\":[{}],\"modes\":[{}],\"payloads\":[{}],\
         \"processes\":{},\"rounds\":{},\"quick\":{}}},\"remarks\":[{}],\"rows\":[{}]}}\n",
        string(machine.version),
        string(&machine.date),
        number(outcome.seconds),
        number(outcome.stolen),
        string(&machine.cpu),
        machine.processors,
        list(&machine.used),
        string(&machine.caches),
        string(&machine.kernel),
        string(&machine.virtualised),
        string(&machine.load),
        string(&machine.clocksource),
        number(machine.clock_ns),
        kinds.join(","),
        modes.join(","),
        list(&settings.payloads),
        settings.processes,
        settings.rounds(),
        settings.quick,
        remarks.join(","),
        rows.join(","),
    )
}

fn list<T: ToString>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(T::to_string).collect();
    items.join(",")
}

/// A finite number; JSON has no others.
fn number(value: f64) -> String {
    match value.is_finite() {
        true => format!("{value:.6}"),
        false => "null".into(),
    }
}

fn optional(text: Option<&str>) -> String {
    text.map_or("null".into(), string)
}

fn row(row: &Row) -> String {
    let about = &row.about;
    let limits: Vec<String> = row.beside.iter().map(beside).collect();
    format!(
        "{{\"kind\":{},\"name\":{},\"what\":{},\"payload\":{},\"mode\":{},\"load\":{},\"place\":{},\"processes\":{},\
         \"unit\":{},{},\"beside\":[{}]}}",
        string(about.kind.name()),
        string(&about.name()),
        string(&about.what),
        about.payload.map_or("null".into(), |len| len.to_string()),
        optional(about.mode.map(|mode| mode.name())),
        optional(about.load.as_deref()),
        string(about.place.name()),
        about.processes,
        string(about.unit.name()),
        figure(&row.ours),
        limits.join(","),
    )
}

fn beside(beside: &Beside) -> String {
    format!(
        "{{\"name\":{},{},\"ratio\":{}}}",
        string(&beside.figure.name),
        figure(&beside.figure),
        summary(beside.ratio)
    )
}

/// The keys that every figure has.
fn figure(figure: &Figure) -> String {
    let runs: Vec<String> = figure.runs.iter().map(|run| number(*run)).collect();
    let latency = figure.percentiles().map_or("null".into(), |percentiles| {
        let pairs = percentiles.map(|(name, ns)| format!("\"{name}\":{ns}"));
        format!("{{\"count\":{},{}}}", figure.times.len(), pairs.join(","))
    });
    let Summary { median, min, max } = figure.summary;
    format!(
        "\"median\":{},\"min\":{},\"max\":{},\"runs\":[{}],\"latency_ns\":{latency}",
        number(median),
        number(min),
        number(max),
        runs.join(",")
    )
}

fn summary(of: Summary) -> String {
    let Summary { median, min, max } = of;
    format!(
        "{{\"median\":{},\"min\":{},\"max\":{}}}",
        number(median),
        number(min),
        number(max)
    )
}
