//! The command line of `multiproc bench`.

use lexopt::prelude::*;

use super::rows::NOTHING;
use super::settings::{Kind, Mode, Settings};
use crate::args::{Command, Wrong, number, text};

/// Reads the arguments after `bench`.
///
/// # Errors
///
/// When one is not understood.
pub fn parse(mut parser: lexopt::Parser) -> Result<Command, Wrong> {
    let mut settings = Settings::of(Vec::new());
    while let Some(argument) = parser.next().map_err(text)? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Show(HELP.into())),
            Short('q') | Long("quick") => settings.quick = true,
            Short('r') | Long("rounds") => {
                settings.rounds = Some(number(&mut parser, "--rounds", 1, 1001)?);
            }
            Short('n') | Long("processes") => {
                settings.processes = number(&mut parser, "--processes", 2, 256)?;
            }
            Short('p') | Long("payload") => settings.payloads = payloads(&mut parser)?,
            Short('m') | Long("mode") => settings.modes = modes(&mut parser)?,
            Long("json") => settings.json = Some(parser.value().map_err(text)?.into()),
            Long("html") => settings.html = Some(parser.value().map_err(text)?.into()),
            Value(name) if name == NOTHING => return Ok(Command::Show(String::new())),
            Value(name) => settings.kinds.append(&mut kinds(&name)?),
            other => return Err(text(other.unexpected())),
        }
    }
    finish(settings)
}

/// Checks what single arguments cannot know.
fn finish(mut settings: Settings) -> Result<Command, Wrong> {
    if settings.kinds.is_empty() {
        return Err(format!("nothing to measure: {} (see `--help`)", KINDS));
    }
    if settings.html.as_deref().is_some_and(|path| path == "-") {
        return Err("--html wants a file".into());
    }
    settings.kinds = Kind::ALL
        .into_iter()
        .filter(|kind| settings.kinds.contains(kind))
        .collect();
    Ok(Command::Bench(settings))
}

const KINDS: &str = "there are latency, throughput, counter, lock, manager, wake, spawn and all";

/// The kinds that a name means.
fn kinds(name: &std::ffi::OsStr) -> Result<Vec<Kind>, Wrong> {
    if name == "all" {
        return Ok(Kind::ALL.to_vec());
    }
    let found = Kind::ALL.into_iter().find(|kind| name == kind.name());
    match found {
        Some(kind) => Ok(vec![kind]),
        None => Err(format!("no such measurement: {} ({KINDS})", name.display())),
    }
}

fn modes(parser: &mut lexopt::Parser) -> Result<Vec<Mode>, Wrong> {
    let value = parser.value().map_err(text)?;
    match value.to_str() {
        Some("spin") => Ok(vec![Mode::Spin]),
        Some("block") => Ok(vec![Mode::Block]),
        Some("both") => Ok(Mode::ALL.to_vec()),
        _ => Err(format!(
            "--mode wants spin, block or both, not '{}'",
            value.display()
        )),
    }
}

fn payloads(parser: &mut lexopt::Parser) -> Result<Vec<usize>, Wrong> {
    let value = parser.value().map_err(text)?;
    let listed = value.to_str().unwrap_or_default().split(',').map(size);
    let found: Option<Vec<usize>> = listed.collect();
    let mut found = found.ok_or_else(|| {
        format!(
            "--payload wants sizes such as 8,64,1k,64k,1m: multiples of 8, at most 16m, not '{}'",
            value.display()
        )
    })?;
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Reads `8`, `64k`, `1m`.
fn size(text: &str) -> Option<usize> {
    let (digits, shift) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 10),
        None => text
            .strip_suffix(['m', 'M'])
            .map_or((text, 0), |digits| (digits, 20)),
    };
    let size = digits.parse::<usize>().ok()?.checked_mul(1 << shift)?;
    let fits = (8..=Settings::LONGEST).contains(&size) && size.is_multiple_of(8);
    fits.then_some(size)
}

/// What `--help` shows.
pub const HELP: &str = include_str!("../help/bench.txt");

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, Wrong> {
        parse(lexopt::Parser::from_args(line.split_whitespace()))
    }

    #[test]
    fn every_option_is_understood() {
        let line =
            "wake all -q --rounds 3 -n 4 --payload 1k,8,8 --mode block --json - --html x.html";
        let expected = Settings {
            modes: vec![Mode::Block],
            payloads: vec![8, 1024],
            processes: 4,
            rounds: Some(3),
            quick: true,
            json: Some("-".into()),
            html: Some("x.html".into()),
            ..Settings::of(Kind::ALL.to_vec())
        };
        assert_eq!(parsed(line), Ok(Command::Bench(expected)));
    }

    #[test]
    fn wrong_arguments_are_one_line() {
        for line in [
            "",
            "speed",
            "all --mode fast",
            "all --payload 7",
            "all --payload 8,",
            "all --payload 17m",
            "all --payload 99999999999999999999k",
            "all --rounds 0",
            "all --processes 1",
            "all --html -",
            "all --json",
            "all --nope",
        ] {
            let wrong = parsed(line).expect_err(line);
            assert!(
                !wrong.is_empty() && !wrong.contains('\n'),
                "{line}: {wrong}"
            );
        }
    }

    #[test]
    fn sizes() {
        let cases = [
            ("8", 8),
            ("64k", 64 << 10),
            ("1M", 1 << 20),
            ("16m", 16 << 20),
        ];
        for (text, bytes) in cases {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for wrong in ["", "0", "k", "12", "-8", "8b"] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }
}
