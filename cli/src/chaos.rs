//! Chaos: when to kill a worker, and which.

use std::time::{Duration, Instant};

use crate::clock::now_ns;

/// Kills at an interval.
#[derive(Debug)]
pub struct Chaos {
    every: Duration,
    next: Instant,
    state: u64,
}

impl Chaos {
    /// The first kill is due after one interval.
    pub fn new(every: Duration) -> Self {
        Chaos {
            every,
            next: Instant::now() + every,
            state: now_ns() ^ u64::from(std::process::id()) << 32,
        }
    }

    /// How long until the next kill.
    pub fn pause(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    /// The victim among so many, if it is time, or at once when it is `now` or never.
    pub fn victim(&mut self, of: usize, now: bool) -> Option<usize> {
        if !now && !self.pause().is_zero() {
            return None;
        }
        self.next = Instant::now() + self.every;
        Some((self.random() % of as u64) as usize)
    }

    /// A number nobody could have told before (splitmix64).
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.state ^ self.state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}
