//! The waiting that all spinning contenders share: the library's own, as far as one goes who never sleeps.

/// Pauses for some 6 us, in batches that double up to 16, then yields the processor at every further step.
#[derive(Debug)]
pub struct Backoff {
    pauses_left: u32,
    batch: u32,
}

impl Backoff {
    /// A pause takes about 50 ns here; the library measures it.
    const PAUSES: u32 = 120;
    const LONGEST_BATCH: u32 = 16;

    /// A waiter that has not waited yet.
    pub fn new() -> Self {
        Self {
            pauses_left: Self::PAUSES,
            batch: 1,
        }
    }

    /// Waits one step.
    #[inline]
    pub fn wait(&mut self) {
        if self.pauses_left == 0 {
            return std::thread::yield_now();
        }
        let batch = self.batch.min(self.pauses_left);
        (0..batch).for_each(|_| std::hint::spin_loop());
        self.pauses_left -= batch;
        self.batch = (2 * self.batch).min(Self::LONGEST_BATCH);
    }
}
