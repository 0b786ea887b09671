//! Processes that do nothing.

use std::process::{Command, Stdio};

use multiproc::{Error, ErrorKind, Process, Result};

use crate::bench::report::Report;
use crate::bench::row::{About, Contender, Plan, Sample};
use crate::bench::settings::Kind;
use crate::bench::stage::Stage;
use crate::clock::now_ns;
use crate::job::Ended;

/// The argument that makes this program end at once.
pub const NOTHING: &str = "nothing";

/// Started and joined, beside the same program run and waited for.
pub fn plans() -> Vec<Plan> {
    let about = About::new(Kind::Spawn, "Process");
    let ours = Contender::new("Process", |stage| timed(stage, spawn_and_join));
    let limit = Contender::new("exec + wait", |stage| timed(stage, exec_and_wait));
    vec![Plan::new(about, ours, vec![limit])]
}

fn timed(stage: &Stage<'_>, action: fn() -> Result<()>) -> std::result::Result<Sample, Ended> {
    let mut times = Vec::new();
    action()?;
    for _ in 0..if stage.settings.quick { 10 } else { 100 } {
        let begin = now_ns();
        action()?;
        times.push(now_ns() - begin);
        if let Some(status) = stage.signals.status() {
            return Err(Ended::Interrupted(status));
        }
    }
    Ok(Sample::of_times(&[Report::of_times(&times)]))
}

fn nothing() {}

fn spawn_and_join() -> Result<()> {
    Process::spawn(nothing, ())?.join()
}

fn exec_and_wait() -> Result<()> {
    let failed = |text: String| Error::new(ErrorKind::Failed, format!("exec + wait: {text}"));
    let mut command = Command::new("/proc/self/exe");
    let ended = command
        .args(["bench", NOTHING])
        .stdin(Stdio::inherit())
        .status();
    match ended {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(failed(status.to_string())),
        Err(error) => Err(failed(error.to_string())),
    }
}
