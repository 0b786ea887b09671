//! `multiproc ls`: the named shared objects of this user.

use std::fmt::Write;

use multiproc::{ObjectInfo, QueueInfo, Result};

use crate::report::grouped;

/// The headings of the columns.
const HEAD: [&str; 5] = ["NAME", "KIND", "SIZE", "MEMBERS", "STATE"];

/// The table, or a sentence when there is nothing to show.
///
/// # Errors
///
/// When the directory of named objects belongs to another user.
pub fn render() -> Result<String> {
    let rows: Vec<_> = multiproc::objects()?.iter().map(row).collect();
    if rows.is_empty() {
        return Ok("no named objects\n".into());
    }
    Ok(table(&rows))
}

fn row(object: &ObjectInfo) -> [String; 5] {
    [
        object.name.clone(),
        kind(object),
        size(object.bytes),
        members(object),
        state(object),
    ]
}

/// `queue<String>`, as one would write it.
fn kind(object: &ObjectInfo) -> String {
    match (object.kind.as_str(), object.type_name.as_str()) {
        ("", _) => "unknown".into(),
        (kind, "") => kind.into(),
        (kind, of) => format!("{kind}<{of}>"),
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_000_000 => format!("{} kB", grouped(bytes.div_ceil(1000))),
        _ => format!("{} MB", grouped(bytes.div_ceil(1_000_000))),
    }
}

/// The living by number and name, the dead by number.
fn members(object: &ObjectInfo) -> String {
    let mut text = object.members.len().to_string();
    let mut separator = " (";
    for member in object.members.iter().take(SHOWN) {
        write!(text, "{separator}{} {}", member.pid, member.name).expect("a string takes all");
        separator = ", ";
    }
    if object.members.len() > SHOWN {
        text.push_str(", ...");
    }
    if !object.members.is_empty() {
        text.push(')');
    }
    if object.dead > 0 {
        write!(text, " and {} dead", object.dead).expect("a string takes all");
    }
    text
}

/// Members that are named.
const SHOWN: usize = 3;

/// What the object says of itself.
fn state(object: &ObjectInfo) -> String {
    if let Some(fault) = &object.fault {
        return fault.clone();
    }
    if object.kind != "queue" {
        return String::new();
    }
    // It may be gone by now, or be replaced.
    QueueInfo::of(&object.name).map_or_else(|error| error.to_string(), |info| queue(&info))
}

fn queue(info: &QueueInfo) -> String {
    let stats = &info.stats;
    let closed = if info.closed { ", closed" } else { "" };
    format!(
        "{} of {} waiting{closed}; {} put, {} taken, {} delivered again, {} waits for room, at most {} waiting",
        grouped(info.len as u64),
        grouped(info.capacity as u64),
        grouped(stats.puts),
        grouped(stats.gets),
        grouped(stats.redelivered),
        grouped(stats.blocked),
        grouped(stats.high_water),
    )
}

/// Rows under their headings, every column as wide as its widest entry.
fn table(rows: &[[String; 5]]) -> String {
    let mut widths = HEAD.map(str::len);
    for row in rows {
        for (width, text) in widths.iter_mut().zip(row) {
            *width = text.chars().count().max(*width);
        }
    }
    let mut out = String::new();
    let head = HEAD.map(String::from);
    for row in std::iter::once(&head).chain(rows) {
        let cells = row
            .iter()
            .zip(widths)
            .map(|(text, width)| format!("{text:width$}"));
        out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_not_padded() {
        let row = ["jobs", "queue<u64>", "8 kB", "0", ""].map(String::from);
        let lines = table(&[row]);
        assert_eq!(
            lines,
            "NAME  KIND        SIZE  MEMBERS  STATE\njobs  queue<u64>  8 kB  0\n"
        );
    }

    #[test]
    fn sizes_are_rounded_up() {
        let cases = [
            (0, "0 kB"),
            (4096, "5 kB"),
            (9_999_999, "10,000 kB"),
            (10_000_001, "11 MB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(size(bytes), text);
        }
    }
}
