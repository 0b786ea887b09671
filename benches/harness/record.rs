//! What a row found, kept for the tables at the end of a run.

use super::report::Unit;
use super::stats::{Percentiles, Summary};

/// What one run of a contender says.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// What the row compares.
    pub value: f64,
    /// The slowest hundredth of the same, where single operations were timed.
    pub p99: Option<f64>,
}

impl From<f64> for Figure {
    fn from(value: f64) -> Self {
        Self { value, p99: None }
    }
}

impl From<Percentiles> for Figure {
    fn from(found: Percentiles) -> Self {
        Self {
            value: found.p50,
            p99: Some(found.p99),
        }
    }
}

/// One contender's runs, summed up.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The contender.
    pub name: String,
    /// What the row compares.
    pub value: Summary,
    /// The median of the runs' p99, where there is one.
    pub p99: Option<f64>,
}

impl Entry {
    /// Sums up at least one run.
    pub fn of(name: &str, runs: &[Figure]) -> Self {
        let values: Vec<f64> = runs.iter().map(|run| run.value).collect();
        let tails: Option<Vec<f64>> = runs.iter().map(|run| run.p99).collect();
        Self {
            name: name.to_owned(),
            value: Summary::of(&values),
            p99: tails.map(|tails| Summary::of(&tails).median),
        }
    }
}

/// A row: who was how fast, beside the machine's own limits at that time.
#[derive(Clone, Debug)]
pub struct Row {
    /// The group of rows that it belongs to.
    pub section: String,
    /// Its name within the group.
    pub name: String,
    /// What its figures count.
    pub unit: Unit,
    /// Nanoseconds for a bare line to go there and back.
    pub line: f64,
    /// Nanoseconds for a bare futex to wake there and back.
    pub futex: f64,
    /// The contenders, in their order.
    pub entries: Vec<Entry>,
}
