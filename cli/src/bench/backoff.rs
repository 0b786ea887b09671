//! How those wait who are measured without ever sleeping.

/// Pauses for some microseconds, then lets others have the processor at every further step.
#[derive(Debug, Default)]
pub struct Backoff {
    pauses: u32,
}

impl Backoff {
    /// Pauses take 17 to 45 ns each, by processor.
    const PAUSES: u32 = 200;

    /// A waiter that has not waited yet.
    pub fn new() -> Self {
        Backoff::default()
    }

    /// Waits one step.
    #[inline]
    pub fn wait(&mut self) {
        if self.pauses < Backoff::PAUSES {
            self.pauses += 1;
            std::hint::spin_loop();
        } else {
            std::thread::yield_now();
        }
    }
}
