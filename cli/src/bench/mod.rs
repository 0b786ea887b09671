//! `multiproc bench`: what the library costs on this machine, beside what the machine itself costs.
//!
//! | file | what lives there |
//! |---|---|
//! | `settings`, `args` | what was asked for |
//! | `stage`, `crew`, `page` | the processors, the processes of a run, the memory in which they meet |
//! | `transport/` | what carries messages: a trait, and a file for each that does |
//! | `work/` | what the processes do |
//! | `limits` | what the machine can do at all: a line, a futex, a copy, an addition |
//! | `rows/` | what is measured, row by row, and against what |
//! | `row` | a row: contenders in turn, round after round |
//! | `report`, `stats` | single times, medians, spreads, ratios |
//! | `machine`, `outcome` | what the reports show |
//! | `text`, `json`, `html/`, `output` | the reports |
//! | `sys` | pinning, a bare futex, a bare page: all that needs `libc` |

mod args;
mod backoff;
mod crew;
mod html;
mod json;
mod limits;
mod machine;
mod outcome;
mod output;
mod page;
mod payload;
mod progress;
mod report;
mod row;
mod rows;
mod settings;
mod stage;
mod stats;
mod sys;
mod text;
mod transport;
mod work;

use std::process::ExitCode;
use std::time::Instant;

pub use args::{HELP, parse};
pub use settings::Settings;

use crate::interrupt::{Deferred, Interrupt};
use crate::job::Ended;
use crate::say;
use machine::{Machine, Stolen};
use outcome::Outcome;
use output::Output;
use progress::Progress;
use row::Plan;
use stage::Stage;

/// Measures, and writes the reports; the error is an exit status whose reason has been said.
pub fn run(settings: &Settings) -> Result<ExitCode, u8> {
    let interrupt = Interrupt::listen().map_err(failed)?;
    let to_file = |path: &_| Output::at(path);
    let printed = settings.json_is_printed();
    let json = settings.json.as_deref().filter(|_| !printed).map(to_file);
    let html = settings.html.as_deref().map(to_file);
    let (json, html) = (json.transpose(), html.transpose());
    let (json, html) = (json.map_err(failed)?, html.map_err(failed)?);
    let signals = interrupt.defer();
    let measured = measure(settings, &signals);
    // Ctrl-C reaches the children as well, and their death may be noticed first.
    if let Some(status) = signals.status() {
        return Err(status);
    }
    let outcome = measured.map_err(|ended| match ended {
        Ended::Interrupted(status) => status,
        Ended::Failed(error) => failed(error),
    })?;
    let reports = [(json, json::render as Render), (html, html::render)];
    for (output, render) in reports {
        if let Some(output) = output {
            output.write(&render(&outcome)).map_err(failed)?;
        }
    }
    Ok(say::print(&match printed {
        true => json::render(&outcome),
        false => text::render(&outcome),
    }))
}

type Render = fn(&Outcome) -> String;

fn measure(settings: &Settings, signals: &Deferred<'_>) -> Result<Outcome, Ended> {
    let begin = Instant::now();
    let stolen = Stolen::so_far();
    let stage = Stage::new(settings, signals);
    let machine = Machine::describe(&stage.cpus);
    let kinds = settings.kinds.iter();
    let plans: Vec<Plan> = kinds.flat_map(|kind| rows::plans(*kind, &stage)).collect();
    let progress = Progress::new(plans.len() * settings.rounds());
    let measured = plans.into_iter().map(|plan| {
        let about = &plan.about;
        progress.show(format!("{}: {}", about.kind.name(), about.name()));
        plan.measure(&stage, &|| progress.step())
    });
    Ok(Outcome {
        rows: measured.collect::<Result<_, _>>()?,
        machine,
        settings: settings.clone(),
        seconds: begin.elapsed().as_secs_f64(),
        stolen: stolen.since(),
    })
}

fn failed(error: impl std::fmt::Display) -> u8 {
    say::warning(&error);
    1
}
