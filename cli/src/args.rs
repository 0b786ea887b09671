//! The command line.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use lexopt::prelude::*;

use crate::bench;

/// What to do.
#[derive(Debug, PartialEq)]
pub enum Command {
    Pipeline(Options),
    Bench(bench::Settings),
    Ls,
    Gc,
    /// Print this text.
    Show(String),
}

/// The options of `multiproc pipeline`.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    pub paths: Vec<PathBuf>,
    pub producers: u32,
    pub workers: u32,
    pub capacity: usize,
    pub top: usize,
    pub repeat: u64,
    pub single: bool,
    pub verify: bool,
    pub chaos: Option<Duration>,
    pub json: bool,
    pub quiet: bool,
    pub all: bool,
}

impl Default for Options {
    fn default() -> Self {
        let cpus = std::thread::available_parallelism().map_or(2, |n| n.get() as u32);
        Options {
            paths: Vec::new(),
            producers: 1,
            workers: cpus.max(2),
            capacity: 64,
            top: 10,
            repeat: 1,
            single: false,
            verify: false,
            chaos: None,
            json: false,
            quiet: false,
            all: false,
        }
    }
}

/// What is wrong with the arguments, in one line.
pub type Wrong = String;

/// Reads the arguments after the program's name.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, Wrong> {
    let mut parser = lexopt::Parser::from_args(arguments);
    match parser.next().map_err(text)? {
        None => Err("no command given: pipeline, bench, ls or gc (see `multiproc --help`)".into()),
        Some(Short('h') | Long("help")) => Ok(Command::Show(HELP.into())),
        Some(Short('V') | Long("version")) => Ok(Command::Show(version())),
        Some(Value(name)) => match name.to_str() {
            Some("pipeline") => pipeline(parser),
            Some("bench") => bench::parse(parser),
            Some("ls") => plain(parser, Command::Ls, LS_HELP),
            Some("gc") => plain(parser, Command::Gc, GC_HELP),
            Some("help") => help(parser),
            _ => Err(unknown(&name)),
        },
        Some(other) => Err(text(other.unexpected())),
    }
}

/// The text of an argument error, with the place where help is.
pub fn text(error: lexopt::Error) -> Wrong {
    format!("{error} (see `--help`)")
}

fn unknown(name: &OsStr) -> Wrong {
    format!(
        "no such command: {} (there are pipeline, bench, ls and gc)",
        name.display()
    )
}

fn version() -> String {
    format!("multiproc {}\n", env!("CARGO_PKG_VERSION"))
}

/// `multiproc help [COMMAND]`
fn help(mut parser: lexopt::Parser) -> Result<Command, Wrong> {
    let about = match parser.next().map_err(text)? {
        None => HELP,
        Some(Value(name)) if name == "pipeline" => PIPELINE_HELP,
        Some(Value(name)) if name == "bench" => bench::HELP,
        Some(Value(name)) if name == "ls" => LS_HELP,
        Some(Value(name)) if name == "gc" => GC_HELP,
        Some(Value(name)) => return Err(unknown(&name)),
        Some(other) => return Err(text(other.unexpected())),
    };
    match parser.next().map_err(text)? {
        None => Ok(Command::Show(about.into())),
        Some(other) => Err(text(other.unexpected())),
    }
}

/// A command without arguments.
fn plain(mut parser: lexopt::Parser, command: Command, help: &str) -> Result<Command, Wrong> {
    match parser.next().map_err(text)? {
        None => Ok(command),
        Some(Short('h') | Long("help")) => Ok(Command::Show(help.into())),
        Some(other) => Err(text(other.unexpected())),
    }
}

/// `multiproc pipeline [OPTION]... [PATH]...`
fn pipeline(mut parser: lexopt::Parser) -> Result<Command, Wrong> {
    let mut options = Options::default();
    while let Some(argument) = parser.next().map_err(text)? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Show(PIPELINE_HELP.into())),
            Short('p') | Long("producers") => {
                options.producers = number(&mut parser, "--producers", 1, 1000)?
            }
            Short('w') | Long("workers") => {
                options.workers = number(&mut parser, "--workers", 1, 1000)?
            }
            Short('c') | Long("capacity") => {
                options.capacity = number(&mut parser, "--capacity", 1, 1 << 20)?
            }
            Short('t') | Long("top") => options.top = number(&mut parser, "--top", 0, usize::MAX)?,
            Short('r') | Long("repeat") => {
                options.repeat = number(&mut parser, "--repeat", 1, 1 << 40)?
            }
            Long("chaos") => options.chaos = Some(duration(&mut parser, "--chaos")?),
            Long("single") => options.single = true,
            Long("verify") => options.verify = true,
            Long("json") => options.json = true,
            Short('q') | Long("quiet") => options.quiet = true,
            Short('a') | Long("all") => options.all = true,
            Value(path) => options.paths.push(path.into()),
            other => return Err(text(other.unexpected())),
        }
    }
    finish(options)
}

/// Checks what single options cannot know.
fn finish(mut options: Options) -> Result<Command, Wrong> {
    if options.single && options.chaos.is_some() {
        return Err("--single has no worker that --chaos could kill".into());
    }
    if options
        .paths
        .iter()
        .filter(|p| p.as_os_str() == crate::walk::STDIN)
        .count()
        > 1
    {
        return Err("standard input (-) can be read only once".into());
    }
    if options.paths.is_empty() {
        options.paths.push(".".into());
    }
    Ok(Command::Pipeline(options))
}

/// The value of an option that takes a number.
pub fn number<N>(parser: &mut lexopt::Parser, name: &str, least: N, most: N) -> Result<N, Wrong>
where
    N: FromStr + PartialOrd + std::fmt::Display,
{
    let value = parser.value().map_err(text)?;
    let number = value.to_str().and_then(|v| v.parse().ok());
    match number {
        Some(n) if n >= least && n <= most => Ok(n),
        _ => Err(format!(
            "{name} wants a number from {least} to {most}, not '{}'",
            value.display()
        )),
    }
}

/// The value of an option that takes a duration.
fn duration(parser: &mut lexopt::Parser, name: &str) -> Result<Duration, Wrong> {
    let value = parser.value().map_err(text)?;
    let parsed = value.to_str().and_then(parse_duration);
    parsed.ok_or_else(|| {
        format!(
            "{name} wants a duration such as 50ms, 1.5s or 2m, not '{}'",
            value.display()
        )
    })
}

/// Reads `50ms`, `1.5s`, `200us`, `2m`; the unit is needed, and zero is refused.
fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(digits);
    let scale = match unit {
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    let seconds = number.parse::<f64>().ok()? * scale;
    let duration = Duration::try_from_secs_f64(seconds).ok()?;
    (!duration.is_zero()).then_some(duration)
}

const HELP: &str = include_str!("help/multiproc.txt");
const PIPELINE_HELP: &str = include_str!("help/pipeline.txt");
const LS_HELP: &str = include_str!("help/ls.txt");
const GC_HELP: &str = include_str!("help/gc.txt");

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, Wrong> {
        parse(line.split_whitespace().map(OsString::from))
    }

    fn options(line: &str) -> Options {
        match parsed(line) {
            Ok(Command::Pipeline(options)) => options,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn defaults() {
        let options = options("pipeline");
        assert_eq!(options.paths, [PathBuf::from(".")]);
        assert_eq!((options.producers, options.repeat, options.top), (1, 1, 10));
        assert!(options.workers >= 2);
    }

    #[test]
    fn every_option_is_understood() {
        let options = options(
            "pipeline a --producers 2 -w=3 --capacity=9 --top 0 --repeat 200 --chaos 50ms --verify --json --quiet \
             --all -",
        );
        let expected = Options {
            paths: vec!["a".into(), "-".into()],
            producers: 2,
            workers: 3,
            capacity: 9,
            top: 0,
            repeat: 200,
            single: false,
            verify: true,
            chaos: Some(Duration::from_millis(50)),
            json: true,
            quiet: true,
            all: true,
        };
        assert_eq!(options, expected);
    }

    #[test]
    fn wrong_arguments_are_one_line() {
        for line in [
            "",
            "pipelines",
            "--nope",
            "pipeline --nope",
            "pipeline --workers",
            "pipeline --workers 0",
            "pipeline --workers two",
            "pipeline --repeat -1",
            "pipeline --chaos 50",
            "pipeline --chaos 0ms",
            "pipeline --chaos ms",
            "pipeline --single --chaos 1s",
            "pipeline - -",
            "ls more",
            "gc --x",
            "help pipelines",
            "help ls gc",
        ] {
            let wrong = parsed(line).expect_err(line);
            assert!(
                !wrong.is_empty() && !wrong.contains('\n'),
                "{line}: {wrong}"
            );
        }
    }

    #[test]
    fn durations() {
        let ms = |text| parse_duration(text).map(|d| d.as_micros());
        assert_eq!(ms("50ms"), Some(50_000));
        assert_eq!(ms("1.5s"), Some(1_500_000));
        assert_eq!(ms("200us"), Some(200));
        assert_eq!(ms("2m"), Some(120_000_000));
        for wrong in [
            "",
            "5",
            "s",
            "0s",
            "-1s",
            "1..2s",
            "5 s",
            "1e400s",
            "99999999999999999999h",
        ] {
            assert_eq!(ms(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn help_is_shown_for_every_command() {
        for line in [
            "--help",
            "-h",
            "help",
            "pipeline --help",
            "bench --help",
            "help bench",
            "ls -h",
            "gc --help",
            "help pipeline",
            "--version",
        ] {
            assert!(matches!(parsed(line), Ok(Command::Show(_))), "{line}");
        }
    }
}
