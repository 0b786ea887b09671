//! The one way in which everything here is measured: real processes, pinned, started together, several rounds, and
//! the machine's own limits beside every figure.
//!
//! A bench is a list of rows; a row is a list of contenders that are run in turn, round after round, so that whatever
//! the machine does to one of them it does to all. What counts is the ratio within a round.

#![allow(dead_code, reason = "every bench uses its own part of the harness")]
#![allow(
    unused_imports,
    reason = "every bench uses its own part of the harness"
)]

mod backoff;
pub mod baseline;
mod clock;
mod crew;
mod instructions;
mod lined;
mod machine;
mod markdown;
mod options;
pub mod ours;
mod payload;
mod ping_pong;
mod probe;
mod record;
mod report;
mod shared;
mod stats;
mod workload;

pub use backoff::Backoff;
pub use clock::{busy_wait, nanos, ticks};
pub use crew::{Crew, Meeting, Report, Victim};
pub use instructions::instructions;
pub use lined::Lined;
pub use machine::{cpus, pin, pin_other, prefer};
pub use options::Options;
pub use payload::Payload;
pub use ping_pong::{Duplex, Pace, paced, ping_pong, round_trip};
pub use probe::Probe;
pub use record::Figure;
pub use report::{Bench, Contender, Goal, Unit, contender};
pub use shared::Shared;
pub use stats::{Percentiles, Summary, human};
pub use workload::{Batch, END, Endpoint, Shape, pair, rate, sized, stream};
