//! Percentile curves: how long it takes in all but one of ten, of a hundred, of a thousand cases.

use super::plot::{Plot, Series};
use crate::bench::row::{Figure, Row};
use crate::bench::stats::nanos;

/// The curves of these rows, and of what the first of each sort stands beside.
pub fn plot(title: &str, rows: &[&Row]) -> String {
    let mut series: Vec<Series> = rows
        .iter()
        .map(|row| curve(row.about.name(), &row.ours, false))
        .collect();
    let mut limits: Vec<&str> = Vec::new();
    for beside in rows.iter().flat_map(|row| &row.beside) {
        let figure = &beside.figure;
        if figure.percentiles().is_some() && !limits.contains(&figure.name.as_str()) {
            limits.push(&figure.name);
            series.push(curve(figure.name.clone(), figure, true));
        }
    }
    // The steps of the axis: all but one of so many.
    let marks = [1.0, 10.0, 100.0, 1000.0, 10_000.0];
    let texts = ["0 %", "90 %", "99 %", "99.9 %", "99.99 %"];
    let rarest = series.iter().flat_map(|s| &s.points).map(|p| p.0);
    let rarest = rarest.fold(10.0, f64::max);
    let marks = marks
        .iter()
        .zip(texts)
        .filter(|(at, _)| **at <= rarest * 1.01);
    Plot {
        title,
        across: "percentile",
        x: (1.0, rarest),
        marks: marks.map(|(at, text)| (*at, text.into())).collect(),
        show: |ns| nanos(ns).replace(".00", "").replace(".0 ", " "),
        series,
    }
    .render()
}

fn curve(name: String, figure: &Figure, is_limit: bool) -> Series {
    let points = figure.curve().into_iter();
    Series {
        name,
        points: points.map(|(share, ns)| (1.0 / share, ns)).collect(),
        is_limit,
    }
}
