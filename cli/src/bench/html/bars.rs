//! Ratios as bars that begin at one: to the right of it slower than what stands beside, to the left faster.

use std::fmt::Write;

use super::escaped;
use super::plot::{Axis, open, span};
use crate::bench::row::Row;
use crate::bench::stats::digits;

const WIDTH: f64 = 360.0;
const LEFT: f64 = 10.0;
const RIGHT: f64 = 46.0;
/// The height of a bar with its text above, and of the axis under all.
const STEP: f64 = 30.0;
const AXIS: f64 = 24.0;

/// A bar for each row and each that stands beside it.
pub fn plot(title: &str, rows: &[&Row]) -> String {
    let bars: Vec<(String, f64)> = rows
        .iter()
        .flat_map(|row| row.beside.iter().map(move |beside| (row, beside)))
        .map(|(row, beside)| {
            let name = format!("{} / {}", row.about.name(), beside.figure.name);
            (name, row.about.unit.times_slower(beside.ratio.median))
        })
        .collect();
    let (low, high) = span(bars.iter().map(|bar| bar.1).chain([1.0]));
    let axis = Axis::new((low.min(0.8), high.max(2.0)), LEFT, WIDTH - RIGHT);
    let bottom = STEP * bars.len() as f64;
    let mut out = open(title, WIDTH, bottom + AXIS);
    for mark in axis.marks() {
        let at = axis.at(mark);
        let class = if mark == 1.0 { "one" } else { "grid" };
        write!(
            out,
            "<line class=\"{class}\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"0\" y2=\"{bottom}\"/>\
             <text class=\"soft\" text-anchor=\"middle\" x=\"{at:.1}\" y=\"{:.1}\">{}</text>",
            bottom + 15.0,
            plain(mark)
        )
        .expect("a string takes all");
    }
    for (place, (name, ratio)) in bars.iter().enumerate() {
        bar(&mut out, axis, STEP * place as f64, name, *ratio);
    }
    out + "</svg><figcaption>Right of 1: slower than what stands beside it; left: faster. For rates, one over the \
           ratio of the table.</figcaption>"
}

fn bar(out: &mut String, axis: Axis, top: f64, name: &str, ratio: f64) {
    let (one, at) = (axis.at(1.0), axis.at(ratio));
    let class = if ratio > 1.0 { "slower" } else { "faster" };
    write!(
        out,
        "<text x=\"{LEFT}\" y=\"{:.1}\">{}</text>\
         <rect class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"9\" rx=\"1\"/>\
         <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
        top + 13.0,
        escaped(name),
        one.min(at),
        top + 17.0,
        (one - at).abs().max(1.0),
        one.max(at) + 4.0,
        top + 25.0,
        digits(ratio)
    )
    .expect("a string takes all");
}

/// A mark of the axis: 0.1, 1, 10.
fn plain(value: f64) -> String {
    let places = (-value.log10().floor()).max(0.0) as usize;
    format!("{value:.places$}")
}
