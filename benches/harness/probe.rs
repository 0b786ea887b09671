//! The machine's own limits at this moment: what no queue or lock can beat.

use std::time::Duration;

use super::baseline::raw;
use super::stats::Summary;

/// Round trips of a bare cache line and of a bare futex between the two processors.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    /// Nanoseconds for one line to go there and back.
    pub line: f64,
    /// Nanoseconds for one wake-up there and one back.
    pub futex: f64,
}

impl Probe {
    /// Measures both.
    pub fn take() -> Self {
        Self {
            line: line(),
            futex: raw::futex_round_trip(200, Duration::ZERO).p50,
        }
    }
}

/// The line's round trip that this machine shows most of the time.
///
/// A virtual processor may move: for moments two of them share one core, or sit far apart, and every figure changes
/// several-fold. A run counts only when the line was [usual](Usual::is) before and after it.
#[derive(Clone, Copy, Debug)]
pub struct Usual(f64);

impl Usual {
    const TRIES: usize = 6;

    /// Looks at the line for a third of a second.
    pub fn find() -> Self {
        let seen: Vec<f64> = (0..25)
            .map(|_| {
                std::thread::sleep(Duration::from_millis(10));
                line()
            })
            .collect();
        Self(Summary::of(&seen).median)
    }

    /// The usual round trip, in nanoseconds.
    pub fn line(self) -> f64 {
        self.0
    }

    /// Repeats `run` until the line was usual before and after; returns the last figure, and whether it counts.
    pub fn steady<F>(self, mut run: impl FnMut() -> F) -> (F, bool) {
        let mut before = self.is(line());
        for _ in 1..Self::TRIES {
            let figure = run();
            let after = self.is(line());
            if before && after {
                return (figure, true);
            }
            before = after;
        }
        (run(), false)
    }

    fn is(self, line: f64) -> bool {
        (0.6..1.6).contains(&(line / self.0))
    }
}

fn line() -> f64 {
    raw::line_round_trip(4_000).p50
}
