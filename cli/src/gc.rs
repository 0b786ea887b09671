//! `multiproc gc`: the removal of what crashed processes left.

use multiproc::{GcReport, Result};

use crate::report::grouped;

/// Sweeps, and says what was done.
///
/// # Errors
///
/// When the directory of named objects belongs to another user.
pub fn run() -> Result<String> {
    multiproc::gc().map(|report| render(&report))
}

fn render(report: &GcReport) -> String {
    let mut out = String::new();
    for name in &report.removed {
        out += &format!("removed {name}\n");
    }
    for (name, why) in &report.faults {
        out += &format!("left alone {name}: {why}\n");
    }
    out += &format!(
        "{} removed, {} in use, {} dead members cleaned up after",
        grouped(report.removed.len() as u64),
        grouped(report.living as u64),
        grouped(report.buried as u64),
    );
    if report.persistent > 0 {
        out += &format!(", {} kept on purpose", grouped(report.persistent as u64));
    }
    out + "\n"
}
