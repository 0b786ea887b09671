//! The progress bar: on a terminal only.

use std::io::{IsTerminal, stderr};

use indicatif::{ProgressBar, ProgressStyle};

use crate::args::Options;

/// A bar on standard error, or nothing.
#[derive(Clone, Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// A bar, if there is somebody to see it.
    pub fn new(options: &Options) -> Self {
        let wanted = !options.quiet && stderr().is_terminal();
        Progress {
            bar: wanted.then(bar),
        }
    }

    /// Whether a total is worth finding out.
    pub fn is_shown(&self) -> bool {
        self.bar.is_some()
    }

    /// More bytes are to come.
    pub fn expect(&self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.inc_length(bytes);
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

fn bar() -> ProgressBar {
    let template = "{bar:40} {decimal_bytes}/{decimal_total_bytes}  {decimal_bytes_per_sec}  {elapsed_precise}";
    let style = ProgressStyle::with_template(template).expect("a constant template");
    ProgressBar::new(0).with_style(style)
}
