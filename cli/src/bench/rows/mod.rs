//! What is measured, row by row, and against what.

mod counter;
mod latency;
mod lock;
mod manager;
mod memory;
mod spawn;
mod throughput;
mod wake;

pub use spawn::NOTHING;

use super::row::Plan;
use super::settings::Kind;
use super::stage::Stage;

/// The rows of a kind.
pub fn plans(kind: Kind, stage: &Stage<'_>) -> Vec<Plan> {
    match kind {
        Kind::Latency => latency::plans(stage),
        Kind::Throughput => throughput::plans(stage),
        Kind::Counter => counter::plans(stage),
        Kind::Lock => lock::plans(stage),
        Kind::Manager => manager::plans(stage),
        Kind::Wake => wake::plans(stage),
        Kind::Spawn => spawn::plans(),
    }
}
