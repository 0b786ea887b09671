//! What the command line of `multiproc bench` asks for.

use std::path::PathBuf;
use std::time::Duration;

/// A part of the bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Latency,
    Throughput,
    Counter,
    Lock,
    Manager,
    Wake,
    Spawn,
}

impl Kind {
    /// All of them, in the order of the report.
    pub const ALL: [Kind; 7] = [
        Kind::Latency,
        Kind::Throughput,
        Kind::Counter,
        Kind::Lock,
        Kind::Manager,
        Kind::Wake,
        Kind::Spawn,
    ];

    /// Its name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Latency => "latency",
            Kind::Throughput => "throughput",
            Kind::Counter => "counter",
            Kind::Lock => "lock",
            Kind::Manager => "manager",
            Kind::Wake => "wake",
            Kind::Spawn => "spawn",
        }
    }

    /// What it measures.
    pub fn about(self) -> &'static str {
        match self {
            Kind::Latency => {
                "one message to another process and one back: the time of the round trip"
            }
            Kind::Throughput => {
                "messages from process to process: how many a second, and how old they arrive"
            }
            Kind::Counter => "additions to one shared number",
            Kind::Lock => "lock, add one, unlock",
            Kind::Manager => {
                "values in a manager: read, stored, several changed at once; what they take of memory"
            }
            Kind::Wake => {
                "from one process's call until the process that waits for it is running again"
            }
            Kind::Spawn => "a process that does nothing: started, and waited for",
        }
    }
}

/// Whether those who wait stay awake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They do, and never sleep.
    Spin,
    /// They sleep in the kernel.
    Block,
}

impl Mode {
    /// Both, in the order of the report.
    pub const ALL: [Mode; 2] = [Mode::Spin, Mode::Block];

    /// Its name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Spin => "spin",
            Mode::Block => "block",
        }
    }
}

/// All that was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub kinds: Vec<Kind>,
    pub modes: Vec<Mode>,
    /// Bytes of a message.
    pub payloads: Vec<usize>,
    pub processes: usize,
    /// How many times each contender runs, where that was said.
    pub rounds: Option<usize>,
    pub quick: bool,
    pub json: Option<PathBuf>,
    pub html: Option<PathBuf>,
}

impl Settings {
    /// The longest message.
    pub const LONGEST: usize = 16 << 20;

    /// Everything that these kinds measure.
    pub fn of(kinds: Vec<Kind>) -> Self {
        Settings {
            kinds,
            modes: Mode::ALL.to_vec(),
            payloads: vec![8, 64, 1 << 10, 64 << 10, 1 << 20],
            processes: 2,
            rounds: None,
            quick: false,
            json: None,
            html: None,
        }
    }

    /// How many times each contender runs.
    pub fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 3 } else { 7 })
    }

    /// How long the part of a run that counts takes, about.
    pub fn span(&self) -> Duration {
        Duration::from_millis(if self.quick { 8 } else { 40 })
    }

    /// At most so many single times are taken in a run, where they are short.
    pub fn samples(&self) -> u64 {
        if self.quick { 2_000 } else { 20_000 }
    }

    /// Whether standard output is the JSON report's.
    pub fn json_is_printed(&self) -> bool {
        self.json.as_deref().is_some_and(|path| path == "-")
    }
}
