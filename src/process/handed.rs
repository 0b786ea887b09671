//! The shared objects that a child was given, for as long as they matter to the parent.

use std::os::fd::RawFd;

/// Kept alive until the child holds them itself, and repaired when it dies.
#[derive(Debug, Default)]
pub(super) struct Handed {}

impl Handed {
    /// Runs `archive` and returns, beside its result, the objects whose handles it wrote.
    pub(super) fn collect<T>(archive: impl FnOnce() -> T) -> (T, Self) {
        (archive(), Handed {})
    }

    /// The descriptors that the child must inherit, with the segments they are of.
    pub(super) fn descriptors(&self) -> Vec<(u64, RawFd)> {
        Vec::new()
    }

    /// Whether something is still kept alive for the child.
    pub(super) fn is_kept(&self) -> bool {
        false
    }

    /// Gives up what was kept; the caller drops it outside of its locks.
    pub(super) fn release(&mut self) -> Handed {
        Handed {}
    }

    /// Lets the survivors go on at once after the death of the child.
    pub(super) fn sweep(self) {}
}
