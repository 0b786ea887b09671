//! What one process of a run brings home.

use hdrhistogram::Histogram;

multiproc::message! {
    /// So many observations of so many nanoseconds.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct Bin {
        pub ns: u64,
        pub count: u64,
    }

    /// When it worked, what it handled, and what it observed.
    #[derive(Clone, Debug, Default)]
    pub struct Report {
        /// When its work began, by the clock that all processes share.
        pub begin: u64,
        /// When its work ended.
        pub end: u64,
        /// How many messages or operations it handled.
        pub count: u64,
        /// The sum of the messages' first words.
        pub sum: u64,
        /// The sum of all their words.
        pub check: u64,
        /// Single times, in nanoseconds.
        pub times: Vec<Bin>,
    }
}

impl Report {
    /// A report of single times only, the first tenth of which was warm-up.
    pub fn of_times(times: &[u64]) -> Self {
        let warm = &times[times.len() / 10..];
        Report {
            count: warm.len() as u64,
            times: bins(warm),
            ..Report::default()
        }
    }
}

/// An empty histogram of nanoseconds: three digits, as long as needed.
pub fn histogram() -> Histogram<u64> {
    Histogram::new(3).expect("three digits")
}

/// So many observations of so long; there is none of less than a nanosecond.
pub fn record(to: &mut Histogram<u64>, ns: u64, count: u64) {
    to.record_n(ns.max(1), count)
        .expect("a histogram without bounds grows");
}

/// Observations in ascending order, equal ones together, as few as three digits allow.
fn bins(times: &[u64]) -> Vec<Bin> {
    let mut found = histogram();
    for ns in times {
        record(&mut found, *ns, 1);
    }
    let recorded = found.iter_recorded();
    recorded
        .map(|step| Bin {
            ns: step.value_iterated_to(),
            count: step.count_at_value(),
        })
        .collect()
}

/// Operations per second from the first begin to the last end.
pub fn rate(reports: &[Report]) -> f64 {
    let begin = reports.iter().map(|report| report.begin).min();
    let end = reports.iter().map(|report| report.end).max();
    let count: u64 = reports.iter().map(|report| report.count).sum();
    let span = end.unwrap_or(0).saturating_sub(begin.unwrap_or(0));
    count as f64 / span.max(1) as f64 * 1e9
}
