//! The waiting that all spinning contenders share.

/// Pauses 64 times, then yields the processor at every further step.
#[derive(Debug, Default)]
pub struct Backoff {
    steps: u32,
}

impl Backoff {
    const PAUSES: u32 = 64;

    /// A waiter that has not waited yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits one step.
    #[inline]
    pub fn wait(&mut self) {
        if self.steps < Self::PAUSES {
            self.steps += 1;
            std::hint::spin_loop();
        } else {
            std::thread::yield_now();
        }
    }
}
