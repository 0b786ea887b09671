//! The report as one JSON object.

use std::fmt::Write;

use crate::outcome::{Outcome, Share};

/// The object, with a newline at its end.
pub fn render(outcome: &Outcome, top: usize) -> String {
    let Outcome { tally, latency, .. } = outcome;
    let workers = outcome.workers.iter().enumerate();
    let workers: Vec<_> = workers
        .map(|(seat, share)| worker(outcome, seat, share))
        .collect();
    let top: Vec<_> = outcome.table.top(top).into_iter().map(word).collect();
    format!(
        "{{\"records\":{},\"bytes\":{},\"words\":{},\"lines\":{},\"files\":{},\"skipped\":{},\"seconds\":{:.6},\
         \"records_per_s\":{:.1},\"mb_per_s\":{:.3},\"latency_ns\":{{\"p50\":{},\"p99\":{},\"p999\":{}}},\
         \"queue_share\":{:.6},\"workers\":[{}],\"kills\":{},\"redelivered\":{},\"verified\":{},\"top\":[{}]}}\n",
        tally.records,
        tally.bytes,
        tally.words,
        tally.lines,
        outcome.produced.files,
        outcome.skipped(),
        outcome.elapsed.as_secs_f64(),
        outcome.rate(tally.records),
        outcome.rate(tally.bytes) / 1e6,
        latency.p50,
        latency.p99,
        latency.p999,
        outcome.queue_share,
        workers.join(","),
        outcome.kills,
        outcome.redelivered,
        outcome.verified,
        top.join(","),
    )
}

fn worker(outcome: &Outcome, seat: usize, share: &Share) -> String {
    let tally = &share.tally;
    format!(
        "{{\"worker\":{seat},\"records\":{},\"bytes\":{},\"words\":{},\"lines\":{},\"share\":{:.6},\"kills\":{}}}",
        tally.records,
        tally.bytes,
        tally.words,
        tally.lines,
        outcome.share(share),
        share.kills,
    )
}

fn word((word, count): (&[u8], u64)) -> String {
    format!(
        "{{\"word\":{},\"count\":{count}}}",
        string(&String::from_utf8_lossy(word))
    )
}

/// A JSON string.
pub fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c < ' ' => write!(out, "\\u{:04x}", c as u32).expect("a string takes all"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped() {
        assert_eq!(string("a\"b\\c\u{1}é"), "\"a\\\"b\\\\c\\u0001é\"");
    }
}
