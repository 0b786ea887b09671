//! What every dictionary offers, to be compared with the others.

/// What is done with the entries.
#[derive(Clone, Copy, Debug)]
pub enum Access {
    /// They are read.
    Get,
    /// They are given other values.
    Set,
}

impl Access {
    /// Its name in the tables.
    pub fn name(self) -> &'static str {
        match self {
            Access::Get => "get",
            Access::Set => "set",
        }
    }
}

/// A dictionary that several workers share.
pub trait Dict: Sync + Sized + 'static {
    /// The name in the tables; one with a dagger works between threads.
    const NAME: &'static str;
    /// Whether the workers are threads of one process.
    const THREADS: bool = false;

    /// The dictionary as one worker has it.
    type Entries<'a>: Entries;

    /// Made before the workers start, without entries.
    fn new() -> Self;

    /// Opened by each worker, by the first one before the others.
    fn open(&self) -> Self::Entries<'_>;
}

/// Names and values.
pub trait Entries {
    /// The value of `key`, which another worker may have given it before.
    fn get(&mut self, key: &str) -> Option<u64>;

    /// Gives `key` a value, which another worker finds there afterwards.
    fn set(&mut self, key: &str, value: u64);
}
