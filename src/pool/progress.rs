//! How far a pool is.

/// How many tasks of a pool are in which state, counted since the pool was made; see [`Pool::progress`](super::Pool::progress).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Tasks that were taken.
    pub submitted: u64,
    /// Tasks that have a result.
    pub done: u64,
    /// Tasks that will have none.
    pub failed: u64,
    /// Times that a task was begun again, because its worker had died.
    pub retried: u64,
    /// Workers that took the place of another one.
    pub replaced: u64,
}

impl Progress {
    /// Tasks that were taken and are not over.
    #[must_use]
    pub fn outstanding(&self) -> u64 {
        self.submitted.saturating_sub(self.done + self.failed)
    }
}
