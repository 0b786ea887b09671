//! Time as all processes see it.

pub use multiproc::__private::now_ns;

/// Measures a period, and how much of it was spent in queue calls.
#[derive(Debug)]
pub struct Meter {
    start: u64,
    queue: u64,
}

impl Meter {
    /// A period that starts now.
    pub fn new() -> Self {
        Meter {
            start: now_ns(),
            queue: 0,
        }
    }

    /// Does something that counts as queue time.
    #[inline]
    pub fn queue<T>(&mut self, call: impl FnOnce() -> T) -> T {
        let before = now_ns();
        let result = call();
        self.queue += now_ns() - before;
        result
    }

    /// Ends the period and starts the next one: the nanoseconds in all, and those in queue calls.
    pub fn lap(&mut self) -> (u64, u64) {
        let now = now_ns();
        let lap = (now - self.start, self.queue);
        *self = Meter {
            start: now,
            queue: 0,
        };
        lap
    }
}
