//! How those wait who cannot wait by themselves: as one who wants the lowest latency would write it.

/// Looks again after every pause, and yields only after a good part of a millisecond.
#[derive(Debug)]
pub struct Looks(u32);

impl Looks {
    const BEFORE_YIELDING: u32 = 10_000;

    /// A waiter that has not waited yet.
    pub fn new() -> Self {
        Self(Self::BEFORE_YIELDING)
    }

    /// Waits until the next look.
    #[inline]
    pub fn wait(&mut self) {
        match self.0.checked_sub(1) {
            Some(left) => {
                self.0 = left;
                std::hint::spin_loop();
            }
            None => std::thread::yield_now(),
        }
    }
}
