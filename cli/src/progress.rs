//! The progress bar: on a terminal only.

use std::io::{IsTerminal, stderr};

use indicatif::{ProgressBar, ProgressStyle};

use crate::args::Options;
use crate::record::Task;
use crate::walk::STDIN;

/// A bar on standard error, or nothing.
#[derive(Clone, Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// A bar, if there is somebody to see it.
    pub fn new(options: &Options) -> Self {
        let wanted = !options.quiet && stderr().is_terminal();
        let endless = options.paths.iter().any(|path| path.as_os_str() == STDIN);
        Progress {
            bar: wanted.then(|| bar(if endless { UNKNOWN } else { KNOWN })),
        }
    }

    /// A file is to come, so many times over.
    pub fn expect(&self, task: &Task, repeat: u64) {
        if let Some(bar) = self.bar.as_ref().filter(|_| task.first) {
            bar.inc_length(task.size() * repeat);
        }
    }

    /// Bytes are counted.
    pub fn add(&self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(bytes);
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The bar when it is known how much there is, and when it is not.
const KNOWN: &str =
    "{wide_bar} {decimal_bytes}/{decimal_total_bytes}  {decimal_bytes_per_sec}  {elapsed}";
const UNKNOWN: &str = "{decimal_bytes}  {decimal_bytes_per_sec}  {elapsed}";

fn bar(template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).expect("a constant template");
    ProgressBar::new(0).with_style(style)
}
