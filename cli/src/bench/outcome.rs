//! Everything that the reports show.

use super::machine::Machine;
use super::row::Row;
use super::settings::{Kind, Settings};

/// A run of the bench.
#[derive(Debug)]
pub struct Outcome {
    pub machine: Machine,
    pub settings: Settings,
    pub rows: Vec<Row>,
    /// How long it took.
    pub seconds: f64,
    /// The share of it that other machines on the same host took, from 0 to 1.
    pub stolen: f64,
}

impl Outcome {
    /// The rows of a kind.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.about.kind == kind)
    }

    /// The kinds that were measured.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> {
        let asked = |kind: &Kind| self.settings.kinds.contains(kind);
        Kind::ALL.into_iter().filter(asked)
    }

    /// What a reader should have in mind before trusting the figures.
    pub fn remarks(&self) -> Vec<String> {
        let machine = &self.machine;
        let mut remarks = Vec::new();
        let load: f64 = machine.load.parse().unwrap_or(0.0);
        if load > 0.5 {
            remarks.push(format!(
                "the machine was busy in the minute before (load {load}): figures and ratios may scatter"
            ));
        }
        if self.stolen > 0.02 {
            remarks.push(
                "the host gave some of the time to other machines: tails say more about it".into(),
            );
        }
        if !["tsc", "arch_sys_counter"].contains(&machine.clocksource.as_str()) {
            remarks.push(format!(
                "reading the clock costs {:.0} ns here, a part of every single time",
                machine.clock_ns
            ));
        }
        if machine.used.len() < 2 {
            remarks.push("there is one processor only: nothing runs apart".into());
        }
        remarks
    }
}
