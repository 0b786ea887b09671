//! The report as a page: one file, without scripts, that loads nothing.

mod bars;
mod curves;
mod plot;
mod sizes;
mod table;

use super::outcome::Outcome;
use super::row::Row;
use super::settings::{Kind, Mode};
use super::stage::Place;
use super::stats::Unit;

/// The page.
pub fn render(outcome: &Outcome) -> String {
    let machine = &outcome.machine;
    let parts = machine.parts().map(|(name, value)| {
        let value = escaped(&value);
        format!("<dt>{name}</dt><dd>{value}</dd>")
    });
    let sections: Vec<String> = outcome.kinds().map(|kind| section(outcome, kind)).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>multiproc bench, {date}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <h1>multiproc bench</h1>\n<dl>\n{}\n</dl>\n{}\n{}</body>\n</html>\n",
        parts.join("\n"),
        how(outcome),
        sections.concat(),
        date = escaped(&machine.date),
    )
}

const STYLE: &str = include_str!("style.css");

/// How it was measured, in a few sentences.
fn how(outcome: &Outcome) -> String {
    let remarks = outcome.remarks().into_iter();
    let remarks = remarks.map(|remark| format!("<p><b>Mind</b>: {}.</p>\n", escaped(&remark)));
    let remarks: String = remarks.collect();
    let text = format!(
        "<p>Every figure comes from real processes, tied to processors of their own where there are so many, that write \
         and read every byte of what they send and compare what arrives with what was sent. Beside each stands what the \
         machine can do at all, measured in the same {} rounds, forwards and backwards in turn, so that whatever the \
         machine does meanwhile it does to both. A ratio is the median of the ratios within a round. Compare ratios: \
         figures alone do not survive a move to another machine.</p>\n\
         <p class=\"soft\"><b>spin</b>: those who wait stay awake. <b>block</b>: messages come after a break of 200 us, in \
         which those who wait have fallen asleep; as fast as they go, receivers wait as the library does. Each run begins \
         with a warm-up. All took {:.0} s, of which other machines on this host took {:.1}&nbsp;%.</p>\n",
        outcome.settings.rounds(),
        outcome.seconds,
        100.0 * outcome.stolen,
    );
    text + &remarks
}

fn section(outcome: &Outcome, kind: Kind) -> String {
    let rows: Vec<&Row> = outcome.of(kind).collect();
    let mut out = format!(
        "<h2 id=\"{0}\">{0}</h2>\n<p>{1}.</p>\n",
        kind.name(),
        capital(kind.about())
    );
    if kind == Kind::Throughput {
        let steady: Vec<&Row> = rows
            .iter()
            .copied()
            .filter(|row| sizes::shows(row))
            .collect();
        out += &pair(
            "Messages a second, by size",
            &sizes::plot(&steady),
            &table::full(&steady),
        );
    }
    for (title, shown) in groups(kind, &rows) {
        if !shown.is_empty() {
            out += &pair(
                &title,
                &curves::plot(&title, &apart(&shown)),
                &table::full(&shown),
            );
        }
    }
    let title = "Time of an operation, as a multiple of what stands beside it";
    let is_timed = |row: &&Row| row.about.unit != Unit::Bytes;
    let timed: Vec<&Row> = rows.iter().copied().filter(is_timed).collect();
    out += &pair(title, &bars::plot(title, &timed), &table::ratios(&rows));
    out
}

/// Rows with single times, in groups that are drawn together.
fn groups<'a>(kind: Kind, rows: &[&'a Row]) -> Vec<(String, Vec<&'a Row>)> {
    let title = match kind {
        Kind::Latency => "Round trip",
        Kind::Throughput => "Age of a message on arrival",
        Kind::Wake => "Wake-up",
        _ => "Start and end",
    };
    let timed = |row: &&&Row| row.ours.percentiles().is_some();
    let rows: Vec<&Row> = rows.iter().filter(timed).copied().collect();
    let of = |mode: Option<Mode>| {
        rows.iter()
            .copied()
            .filter(move |row| row.about.mode == mode)
    };
    let modes = [None, Some(Mode::Spin), Some(Mode::Block)];
    modes
        .map(|mode| {
            let suffix = mode.map_or(String::new(), |mode| format!(", {}", mode.name()));
            (format!("{title}{suffix}"), of(mode).collect())
        })
        .into()
}

/// Those rows whose processes have processors of their own: as many lines as can be told apart.
fn apart<'a>(rows: &[&'a Row]) -> Vec<&'a Row> {
    let apart = rows.iter().filter(|row| row.about.place == Place::Apart);
    apart.copied().collect()
}

/// A plot, and the table beside it.
fn pair(title: &str, plot: &str, table: &str) -> String {
    let title = escaped(title);
    format!(
        "<h3>{title}</h3>\n<div class=\"pair\">\n<figure>{plot}</figure>\n<div class=\"scroll\">{table}</div>\n</div>\n"
    )
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}

/// Text as it means nothing to a browser.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        assert_eq!(
            escaped("<a href=\"x\">&"),
            "&lt;a href=&quot;x&quot;&gt;&amp;"
        );
    }
}
