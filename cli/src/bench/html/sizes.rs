//! Throughput by the size of the message.

use super::plot::{Plot, Series, span};
use crate::bench::row::Row;
use crate::bench::settings::Mode;
use crate::bench::stage::Place;
use crate::bench::stats::{Unit, bytes, scaled};

/// Whether a row belongs into the plot.
pub fn shows(row: &Row) -> bool {
    row.about.unit == Unit::PerSecond && row.about.place == Place::Apart
}

/// A line for each transport and mode, and one for copies.
pub fn plot(rows: &[&Row]) -> String {
    let mut series: Vec<Series> = Vec::new();
    for row in rows {
        let Some(len) = row.about.payload else {
            continue;
        };
        let mode = row.about.mode.map_or("", Mode::name);
        let ours = (len as f64, row.ours.summary.median);
        add(
            &mut series,
            format!("{} {mode}", row.about.what),
            ours,
            false,
        );
    }
    for row in rows {
        let Some(len) = row.about.payload else {
            continue;
        };
        let copies = row.beside.iter().find(|b| b.figure.name == "memcpy");
        if let Some(beside) = copies.filter(|_| row.about.mode == rows[0].about.mode) {
            let point = (len as f64, beside.figure.summary.median);
            add(&mut series, "memcpy".into(), point, true);
        }
    }
    let sizes: Vec<usize> = rows.iter().filter_map(|row| row.about.payload).collect();
    let mut marks: Vec<(f64, String)> =
        sizes.iter().map(|len| (*len as f64, bytes(*len))).collect();
    marks.dedup();
    Plot {
        title: "Messages a second, by size",
        across: "bytes of a message",
        x: span(sizes.iter().map(|len| *len as f64)),
        marks,
        show: |rate| format!("{}/s", scaled(rate).replace(".00", "").replace(".0", "")),
        series,
    }
    .render()
}

fn add(series: &mut Vec<Series>, name: String, point: (f64, f64), is_limit: bool) {
    match series.iter_mut().find(|series| series.name == name) {
        Some(series) => series.points.push(point),
        None => series.push(Series {
            name,
            points: vec![point],
            is_limit,
        }),
    }
}
