//! What every process of a world did to every message, so that the keeper can tell lost from never accepted.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use crate::common::board::Zeroed;

/// Messages of a world are numbered below this.
pub const IDS: usize = 64;

/// Counts per message, each written by the process that did it, just before or just after.
#[derive(Debug)]
pub struct Ledger {
    /// `put` was called.
    started: [AtomicU32; IDS],
    /// `put` returned: the message is acknowledged to its producer.
    accepted: [AtomicU32; IDS],
    /// `get` or `lease` returned it.
    taken: [AtomicU32; IDS],
    /// Its acknowledgement was begun.
    acking: [AtomicU32; IDS],
    /// Its acknowledgement returned.
    acked: [AtomicU32; IDS],
    /// It was found among the dead letters.
    buried: [AtomicU32; IDS],
    /// Calls of `get` or `lease`, by anybody.
    attempts: AtomicU32,
}

// SAFETY: atomics and arrays of atomics.
unsafe impl Zeroed for Ledger {}

impl Ledger {
    pub fn putting(&self, id: u64) {
        self.started[id as usize].fetch_add(1, SeqCst);
    }

    pub fn accepted(&self, id: u64) {
        self.accepted[id as usize].fetch_add(1, SeqCst);
    }

    pub fn getting(&self) {
        self.attempts.fetch_add(1, SeqCst);
    }

    /// A message came, for the `deliveries`-th time by its own account.
    pub fn taken(&self, id: u64, deliveries: u32) {
        let n = id as usize;
        assert!(
            n < IDS && self.started[n].load(SeqCst) > 0,
            "message {id} was never put"
        );
        assert_eq!(
            self.acked[n].load(SeqCst),
            0,
            "message {id} came again after it was acknowledged"
        );
        assert_eq!(
            self.buried[n].load(SeqCst),
            0,
            "message {id} came again after it was a dead letter"
        );
        let before = self.taken[n].fetch_add(1, SeqCst);
        assert!(
            deliveries > before,
            "message {id} came {} times and says {deliveries}",
            before + 1
        );
        let attempts = self.attempts.load(SeqCst);
        assert!(
            deliveries <= attempts,
            "message {id} says {deliveries} deliveries after {attempts} attempts"
        );
    }

    pub fn acking(&self, id: u64) {
        self.acking[id as usize].fetch_add(1, SeqCst);
    }

    pub fn acked(&self, id: u64) {
        let before = self.acked[id as usize].fetch_add(1, SeqCst);
        assert_eq!(before, 0, "message {id} was acknowledged twice");
    }

    /// A message of a pipe came: it was sent, was not acknowledged, and those before it, from `first` on, were.
    pub fn in_order(&self, first: u64, id: u64) {
        assert!(
            (first..IDS as u64).contains(&id) && self.started[id as usize].load(SeqCst) > 0,
            "message {id} was never sent here"
        );
        assert_eq!(
            self.acked[id as usize].load(SeqCst),
            0,
            "message {id} came again after it was acknowledged"
        );
        let open = self.lost_from(first).filter(|&open| open < id);
        assert_eq!(open, None, "overtaken by message {id}");
    }

    /// It is a dead letter, and about to be acknowledged as one.
    pub fn burying(&self, id: u64) {
        let n = id as usize;
        assert_eq!(
            self.acked[n].load(SeqCst),
            0,
            "message {id} was acknowledged and is a dead letter too"
        );
        assert_eq!(
            self.buried[n].load(SeqCst),
            0,
            "message {id} is a dead letter twice"
        );
        assert!(
            self.started[n].load(SeqCst) > 0,
            "message {id} was never put"
        );
        self.acking[n].fetch_add(1, SeqCst);
    }

    pub fn buried(&self, id: u64) {
        self.buried[id as usize].fetch_add(1, SeqCst);
    }

    /// How often `id` was finished, and begun.
    pub fn counts(&self, id: u64) -> (u64, u64) {
        let count = |of: &[AtomicU32; IDS]| u64::from(of[id as usize].load(SeqCst));
        (count(&self.accepted), count(&self.started))
    }

    /// A message that its producer was told is accepted, and that nobody has begun to acknowledge.
    pub fn lost(&self) -> Option<u64> {
        self.lost_from(0)
    }

    /// The first such message from `first` on.
    pub fn lost_from(&self, first: u64) -> Option<u64> {
        let ends = |n: usize| [&self.acked[n], &self.acking[n], &self.buried[n]];
        let lost = |n: &usize| {
            self.accepted[*n].load(SeqCst) > 0 && ends(*n).iter().all(|c| c.load(SeqCst) == 0)
        };
        (first as usize..IDS).find(lost).map(|n| n as u64)
    }
}
