//! Medians, spreads, and numbers that people can read.

/// Median and extremes of several runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Summary {
    /// Sums up at least one run.
    pub fn of(runs: &[f64]) -> Self {
        let mut sorted = runs.to_vec();
        sorted.sort_by(f64::total_cmp);
        Summary {
            median: middle(&sorted),
            min: sorted[0],
            max: sorted[sorted.len() - 1],
        }
    }

    /// The ratios of runs that were made in the same rounds.
    pub fn of_ratios(ours: &[f64], theirs: &[f64]) -> Self {
        let pairs = ours.iter().zip(theirs);
        Summary::of(&pairs.map(|(our, their)| our / their).collect::<Vec<_>>())
    }
}

fn middle(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    match sorted.len() % 2 {
        1 => sorted[half],
        _ => (sorted[half - 1] + sorted[half]) / 2.0,
    }
}

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Operations per second: more is better.
    PerSecond,
    /// Nanoseconds per operation: less is better.
    Nanos,
    /// Bytes of memory: less is better.
    Bytes,
}

impl Unit {
    /// Its name in the JSON report.
    pub fn name(self) -> &'static str {
        match self {
            Unit::PerSecond => "per_second",
            Unit::Nanos => "ns",
            Unit::Bytes => "bytes",
        }
    }

    /// A figure for people.
    pub fn show(self, value: f64) -> String {
        match self {
            Unit::PerSecond => format!("{}/s", scaled(value)),
            Unit::Nanos => nanos(value),
            Unit::Bytes => format!("{} B", scaled(value)),
        }
    }

    /// The time that an operation takes, as a multiple of the other's, where `ratio` is figure by figure.
    pub fn times_slower(self, ratio: f64) -> f64 {
        match self {
            Unit::PerSecond => 1.0 / ratio,
            Unit::Nanos | Unit::Bytes => ratio,
        }
    }
}

/// A time, with three digits and its unit.
pub fn nanos(value: f64) -> String {
    let (value, unit) = match value {
        v if v >= 999.5e6 => (v / 1e9, "s"),
        v if v >= 999.5e3 => (v / 1e6, "ms"),
        v if v >= 999.5 => (v / 1e3, "us"),
        v => (v, "ns"),
    };
    format!("{} {unit}", digits(value))
}

/// A number, with three digits and k, M or G behind it.
pub fn scaled(value: f64) -> String {
    let scales = [(1e9, " G"), (1e6, " M"), (1e3, " k")];
    let scale = scales.iter().find(|(unit, _)| value >= 0.9995 * *unit);
    let (unit, suffix) = scale.copied().unwrap_or((1.0, ""));
    format!("{}{suffix}", digits(value / unit))
}

/// Three digits, and no zeros in front of a unit's point but one: 0.00123, 4.56, 78.9, 123.
pub fn digits(value: f64) -> String {
    let places = match value.abs() {
        0.0 => 0,
        small if small < 0.9995 => (2.0 - small.log10().floor()) as usize,
        small if small < 9.995 => 2,
        middle if middle < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.places$}")
}

/// A number of bytes, as the command line takes it.
pub fn bytes(len: usize) -> String {
    match len {
        mib if mib.is_multiple_of(1 << 20) => format!("{} MiB", mib >> 20),
        kib if kib.is_multiple_of(1 << 10) => format!("{} KiB", kib >> 10),
        len => format!("{len} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_an_even_number_of_runs_is_between_two() {
        let found = Summary::of(&[4.0, 1.0, 3.0, 2.0]);
        assert_eq!((found.median, found.min, found.max), (2.5, 1.0, 4.0));
    }

    #[test]
    fn numbers_have_three_digits() {
        let cases = [
            (0.00123, "0.00123"),
            (4.561, "4.56"),
            (78.94, "78.9"),
            (123.4, "123"),
            (999.6, "1.00 k"),
            (12_345_678.0, "12.3 M"),
        ];
        for (value, text) in cases {
            assert_eq!(scaled(value), text);
        }
    }

    #[test]
    fn times_have_units() {
        let cases = [
            (7.0, "7.00 ns"),
            (999.6, "1.00 us"),
            (52_300.0, "52.3 us"),
            (2.5e6, "2.50 ms"),
            (1.0e9, "1.00 s"),
        ];
        for (value, text) in cases {
            assert_eq!(nanos(value), text);
        }
    }
}
