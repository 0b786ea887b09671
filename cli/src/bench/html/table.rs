//! Tables: all that is known of a row, and what it is as a multiple of what stands beside it.

use super::escaped;
use crate::bench::row::{Beside, Row};
use crate::bench::stats::digits;
use crate::bench::text::{ratio, time};

/// Figures, their spread, and percentiles where single times were taken.
pub fn full(rows: &[&Row]) -> String {
    let timed = rows.iter().any(|row| row.ours.percentiles().is_some());
    let mut head = vec!["", "median", "least - most"];
    if timed {
        head.extend(["p90", "p99", "p99.9", "max"]);
    }
    head.extend(["beside", "ratio"]);
    let lines = rows.iter().map(|row| {
        let (unit, summary) = (row.about.unit, row.ours.summary);
        let mut line = vec![
            row.about.name(),
            unit.show(summary.median),
            format!("{} - {}", unit.show(summary.min), unit.show(summary.max)),
        ];
        if timed {
            let tail = row.ours.tail();
            line.extend((0..4).map(|at| tail.map_or(String::new(), |tail| time(tail[at]))));
        }
        let of =
            |text: fn(&Beside) -> String| row.beside.iter().map(text).next().unwrap_or_default();
        line.push(of(|beside| beside.figure.name.clone()));
        line.push(of(|beside| digits(beside.ratio.median)));
        line
    });
    table(&head, lines.collect())
}

/// A line for each row and each that stands beside it.
pub fn ratios(rows: &[&Row]) -> String {
    let head = ["", "figure", "beside", "its figure", "ratio (least - most)"];
    let pairs = rows
        .iter()
        .flat_map(|row| row.beside.iter().map(move |beside| (row, beside)));
    let lines = pairs.map(|(row, beside)| {
        let unit = row.about.unit;
        vec![
            row.about.name(),
            unit.show(row.ours.summary.median),
            beside.figure.name.clone(),
            unit.show(beside.figure.summary.median),
            ratio(beside.ratio),
        ]
    });
    table(&head, lines.collect())
}

/// The first cell of a line is its heading; columns of numbers keep to the right.
fn table(head: &[&str], lines: Vec<Vec<String>>) -> String {
    let class = |name: &str| match name {
        "" | "beside" => "",
        _ => " class=\"n\"",
    };
    let heads = head
        .iter()
        .map(|name| format!("<th{} scope=\"col\">{}</th>", class(name), escaped(name)));
    let mut out = format!(
        "<table><thead><tr>{}</tr></thead><tbody>",
        heads.collect::<String>()
    );
    for line in lines {
        let cells = line.iter().zip(head).enumerate().map(|(at, (text, name))| {
            let text = escaped(text);
            match at {
                0 => format!("<th scope=\"row\">{text}</th>"),
                _ => format!("<td{}>{text}</td>", class(name)),
            }
        });
        out += &format!("<tr>{}</tr>", cells.collect::<String>());
    }
    out + "</tbody></table>"
}
