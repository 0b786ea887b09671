//! Repeatable randomness, checksums, and the distribution of a measurement.

use std::fmt;

/// A size of a suite: the environment variable `name`, or `otherwise`.
pub fn size(name: &str, otherwise: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text
            .replace('_', "")
            .parse()
            .unwrap_or_else(|_| panic!("{name}={text}: not a number")),
        Err(_) => otherwise,
    }
}

/// xorshift64*: repeatable, seeded by `MULTIPROC_SEED` where given.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(stream: u64) -> Random {
        let seed = size("MULTIPROC_SEED", 0x9e37_79b9_7f4a_7c15);
        Random((seed ^ stream.wrapping_mul(0xbf58_476d_1ce4_e5b9)) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// FNV-1a of some bytes.
pub fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, &b| {
        (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A repeatable payload of `len` bytes for message `id`.
pub fn payload(id: u64, len: usize) -> Vec<u8> {
    let mut random = Random((id + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    (0..len).map(|_| (random.next() >> 56) as u8).collect()
}

/// Measured times in microseconds.
#[derive(Debug, Default)]
pub struct Times(Vec<u64>);

impl Times {
    pub fn push(&mut self, microseconds: u64) {
        self.0.push(microseconds);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// How many took longer than `microseconds`.
    pub fn over(&self, microseconds: u64) -> usize {
        self.0.iter().filter(|&&t| t > microseconds).count()
    }

    /// The longest one.
    pub fn longest(&self) -> u64 {
        self.0.iter().copied().max().unwrap_or(0)
    }

    /// The time that `permille` of a thousand did not exceed.
    fn at(&self, permille: usize) -> u64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * permille).div_ceil(1000).max(1);
        sorted.get(rank - 1).copied().unwrap_or(0)
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (p50, p99, max) = (self.at(500), self.at(990), self.at(1000));
        write!(
            f,
            "p50 {p50} us, p99 {p99} us, max {max} us (n = {})",
            self.0.len()
        )
    }
}
