//! The `multiproc` command: a crash-proof pipeline of real processes, a bench, and tools for named shared objects.
//!
//! | file | what lives there |
//! |---|---|
//! | `args`, `help/` | the command line |
//! | `walk`, `feed`, `spool` | which files there are, and in which order they are read |
//! | `ignore`, `glob` | the rules of `.gitignore` files |
//! | `split`, `reader` | files become records: blocks of whole lines |
//! | `count`, `table` | words, lines and bytes of a block |
//! | `record` | what travels between the processes |
//! | `job` | the main job: starts the processes, merges, ends them |
//! | `producer`, `worker` | what runs in the other processes |
//! | `aggregate`, `ids` | partial results become totals, each record exactly once: why that holds |
//! | `crew`, `chaos` | the workers' processes, and who kills them |
//! | `single`, `verify` | the same in one process: the baseline, and the independent recount |
//! | `outcome`, `report`, `json` | what comes out |
//! | `bench/` | what the library costs on this machine, beside what the machine costs |
//! | `ls`, `gc` | the named objects: shown, swept |
//! | `progress`, `interrupt`, `say` | the terminal |
//! | `clock` | time as all processes see it |

mod aggregate;
mod args;
mod bench;
mod chaos;
mod clock;
mod count;
mod crew;
mod feed;
mod gc;
mod glob;
mod ids;
mod ignore;
mod interrupt;
mod job;
mod json;
mod ls;
mod outcome;
mod producer;
mod progress;
mod reader;
mod record;
mod report;
mod say;
mod single;
mod split;
mod spool;
mod table;
mod verify;
mod walk;
mod worker;

use std::process::ExitCode;

use args::{Command, Options};
use interrupt::Interrupt;
use job::Ended;
use outcome::Outcome;
use spool::Spool;

fn main() -> ExitCode {
    multiproc::init();
    match args::parse(std::env::args_os().skip(1)) {
        Ok(Command::Show(text)) => say::print(&text),
        Ok(Command::Pipeline(options)) => pipeline(&options).unwrap_or_else(ExitCode::from),
        Ok(Command::Bench(settings)) => bench::run(&settings).unwrap_or_else(ExitCode::from),
        Ok(Command::Ls) => ls::render().map_or_else(|e| failed(e).into(), |text| say::print(&text)),
        Ok(Command::Gc) => gc::run().map_or_else(|e| failed(e).into(), |text| say::print(&text)),
        Err(wrong) => {
            say::warning(&wrong);
            ExitCode::from(2)
        }
    }
}

/// Runs the main job; the error is an exit status whose reason has been said.
fn pipeline(options: &Options) -> Result<ExitCode, u8> {
    let interrupt = Interrupt::listen().map_err(failed)?;
    let again = options.repeat > 1 || options.verify;
    let spool = Spool::new(&options.paths, again).map_err(failed)?;
    let mut outcome = if options.single {
        single::run(&spool.named, options)
    } else {
        job::run(&spool.named, options, &interrupt).map_err(|ended| match ended {
            Ended::Interrupted(status) => status,
            Ended::Failed(error) => failed(error),
        })?
    };
    let differences = match options.verify {
        true => verify::differences(&outcome, options.repeat),
        false => Vec::new(),
    };
    outcome.verified = options.verify && differences.is_empty();
    let printed = show(&outcome, options);
    differences.iter().for_each(|line| say::warning(line));
    if differences.is_empty() && outcome.failed() == 0 {
        Ok(printed)
    } else {
        Err(1)
    }
}

/// Prints what was asked for.
fn show(outcome: &Outcome, options: &Options) -> ExitCode {
    if options.json {
        return say::print(&json::render(outcome, options.top));
    }
    if options.quiet {
        return ExitCode::SUCCESS;
    }
    let mut text = report::render(outcome, options.top);
    if outcome.verified {
        text.push('\n');
        if !options.single {
            text += &format!("{} killed, ", report::counted(outcome.kills, "worker"));
        }
        text += "counts identical\n";
    }
    say::print(&text)
}

/// Says what failed, and returns the exit status.
fn failed(error: impl std::fmt::Display) -> u8 {
    say::warning(&error);
    1
}
