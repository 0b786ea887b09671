//! The report for people.

use std::fmt::Write;
use std::time::Duration;

use crate::outcome::{Outcome, Share};
use crate::say;

/// The report, line by line.
pub fn render(outcome: &Outcome, top: usize) -> String {
    let mut out = String::new();
    totals(&mut out, outcome).expect("a string takes all");
    processes(&mut out, outcome).expect("a string takes all");
    words(&mut out, outcome, top).expect("a string takes all");
    out
}

fn totals(out: &mut String, outcome: &Outcome) -> std::fmt::Result {
    let tally = &outcome.tally;
    let unreadable = match outcome.failed() {
        0 => String::new(),
        n => format!(", {} of them unreadable", grouped(n)),
    };
    let skipped = grouped(outcome.skipped());
    writeln!(
        out,
        "files    {:>15}   {skipped} skipped{unreadable}",
        grouped(outcome.produced.files)
    )?;
    writeln!(out, "lines    {:>15}", grouped(tally.lines))?;
    writeln!(
        out,
        "words    {:>15}   {} different",
        grouped(tally.words),
        grouped(outcome.table.len() as u64)
    )?;
    let megabytes = outcome.rate(tally.bytes) / 1e6;
    writeln!(
        out,
        "bytes    {:>15}   {megabytes:.1} MB/s",
        grouped(tally.bytes)
    )?;
    let records = outcome.rate(tally.records);
    writeln!(
        out,
        "records  {:>15}   {} records/s",
        grouped(tally.records),
        grouped(records as u64)
    )?;
    writeln!(out, "seconds  {:>15.3}", outcome.elapsed.as_secs_f64())
}

/// What only a job of several processes has to say.
fn processes(out: &mut String, outcome: &Outcome) -> std::fmt::Result {
    if outcome.workers.is_empty() {
        return Ok(());
    }
    let latency = &outcome.latency;
    match outcome.tally.records {
        0 => writeln!(out, "\nput to take   nothing was put")?,
        _ => writeln!(
            out,
            "\nput to take   p50 {}   p99 {}   p99.9 {}",
            nanoseconds(latency.p50),
            nanoseconds(latency.p99),
            nanoseconds(latency.p999),
        )?,
    }
    writeln!(
        out,
        "in the queue  {:.1} % of the workers' time",
        100.0 * outcome.queue_share
    )?;
    for (seat, share) in outcome.workers.iter().enumerate() {
        worker(out, outcome, seat, share)?;
    }
    let killed = counted(outcome.kills, "worker");
    let redelivered = counted(outcome.redelivered, "record");
    writeln!(out, "killed        {killed}, {redelivered} delivered again")
}

fn worker(out: &mut String, outcome: &Outcome, seat: usize, share: &Share) -> std::fmt::Result {
    let part = 100.0 * outcome.share(share);
    let records = counted(share.tally.records, "record");
    let killed = match share.kills {
        0 => String::new(),
        n => format!(", killed {}", counted(n, "time")),
    };
    writeln!(
        out,
        "worker {seat:<6} {part:.1} % of the bytes, {records}{killed}"
    )
}

fn words(out: &mut String, outcome: &Outcome, top: usize) -> std::fmt::Result {
    let top = outcome.table.top(top);
    if !top.is_empty() {
        out.push('\n');
    }
    for (word, count) in top {
        writeln!(out, "{:>15}  {}", grouped(count), say::printable(word))?;
    }
    Ok(())
}

/// A number with its thousands set apart.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number of things, with the plural where it belongs.
pub fn counted(n: u64, thing: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{} {thing}{s}", grouped(n))
}

/// A time in the unit that suits it.
fn nanoseconds(ns: u64) -> String {
    format!("{:.1?}", Duration::from_nanos(ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let cases = [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ];
        for (n, text) in cases {
            assert_eq!(grouped(n), text);
        }
    }

    #[test]
    fn one_is_not_a_plural() {
        let texts = [0, 1, 2000].map(|n| counted(n, "record"));
        assert_eq!(texts, ["0 records", "1 record", "2,000 records"]);
    }
}
