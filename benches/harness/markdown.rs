//! The same figures as tables for a page: one table for each section, a column for each row, a line for each contender.

use std::fmt::Write;

use super::record::{Entry, Row};
use super::report::Unit;

/// One table for each section of `rows`, in their order.
pub fn tables(rows: &[Row]) -> String {
    let mut text = String::new();
    rows.chunk_by(|one, next| one.section == next.section)
        .for_each(|rows| section(&mut text, rows));
    text
}

fn section(text: &mut String, rows: &[Row]) {
    let mut names: Vec<&str> = Vec::new();
    for entry in rows.iter().flat_map(|row| &row.entries) {
        if !names.contains(&entry.name.as_str()) {
            names.push(&entry.name);
        }
    }
    let mut line = |head: &str, cell: &dyn Fn(&Row) -> String| {
        let cells: Vec<String> = rows.iter().map(cell).collect();
        writeln!(text, "| {head} | {} |", cells.join(" | ")).expect("a string");
    };
    let mut entries = rows.iter().flat_map(|row| &row.entries);
    let tails = entries.any(|entry| entry.p99.is_some());
    let head = if tails { ": p50 / p99" } else { "" };
    line(&format!("{}{head}", rows[0].section), &|row| {
        row.name.clone()
    });
    line("---", &|_| "---:".to_owned());
    for name in names {
        line(name, &|row| {
            let mut entries = row.entries.iter();
            let entry = entries.find(|entry| entry.name == name);
            entry.map_or("–".to_owned(), |entry| cell(row.unit, entry))
        });
    }
    line("*limit: raw line*", &|row| Unit::Nanos.show(row.line));
    line("*limit: raw futex*", &|row| Unit::Nanos.show(row.futex));
    text.push('\n');
}

fn cell(unit: Unit, entry: &Entry) -> String {
    let value = unit.show(entry.value.median);
    match entry.p99 {
        Some(p99) => format!("{value} / {}", unit.show(p99)),
        None => value,
    }
}
