//! Medians, spreads, percentiles, and numbers that people can read.

/// Median and extremes of several runs.
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    /// The middle run.
    pub median: f64,
    /// The smallest run.
    pub min: f64,
    /// The largest run.
    pub max: f64,
}

impl Summary {
    /// Sums up at least one run.
    pub fn of(runs: &[f64]) -> Self {
        let mut sorted = runs.to_vec();
        sorted.sort_by(f64::total_cmp);
        Self {
            median: middle(&sorted),
            min: sorted[0],
            max: sorted[sorted.len() - 1],
        }
    }
}

fn middle(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[half]
    } else {
        (sorted[half - 1] + sorted[half]) / 2.0
    }
}

/// Percentiles of single observations.
#[derive(Clone, Copy, Debug, Default)]
pub struct Percentiles {
    /// Half are below.
    pub p50: f64,
    /// 99 % are below.
    pub p99: f64,
    /// 99.9 % are below.
    pub p999: f64,
    /// The largest.
    pub max: f64,
}

impl Percentiles {
    /// Sorts the observations and picks; zeros without any.
    pub fn of(observed: &mut [f64]) -> Self {
        if observed.is_empty() {
            return Self::default();
        }
        observed.sort_by(f64::total_cmp);
        let last = observed.len() - 1;
        let at = |share: f64| observed[(last as f64 * share).round() as usize];
        Self {
            p50: at(0.5),
            p99: at(0.99),
            p999: at(0.999),
            max: observed[last],
        }
    }
}

/// Three significant digits with a suffix: 0.00123, 4.56, 78.9 k, 12.3 M.
pub fn human(value: f64) -> String {
    let scales = [(1e9, " G"), (1e6, " M"), (1e3, " k"), (1.0, "")];
    let scale = scales.iter().find(|(unit, _)| value.abs() >= *unit);
    let (unit, suffix) = scale.copied().unwrap_or((1.0, ""));
    let scaled = value / unit;
    let digits = match scaled.abs() {
        0.0 => 0,
        small if small < 1.0 => (2 - small.log10().floor() as i32) as usize,
        small if small < 9.995 => 2,
        middle if middle < 99.95 => 1,
        _ => 0,
    };
    format!("{scaled:.digits$}{suffix}")
}
