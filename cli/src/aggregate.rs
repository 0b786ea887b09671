//! The aggregator: partial results become totals, each record exactly once.
//!
//! A worker sends a partial that names the records it covers, and acknowledges them afterwards. When it is killed in
//! between, the records are delivered again although they were counted. Merging stays exact by two rules:
//!
//! 1. A worker puts only records delivered *for the first time* into a common partial. A record delivered again gets
//!    a partial of its own.
//! 2. A partial is merged if none of its ids was merged before, and dropped if all of them were.
//!
//! No partial is ever in between, with some ids merged and others not. Take a record and two partials that name it. It
//! was delivered for the first time once, so at most one of them is a common partial, and all others name this record
//! alone. A lone partial is never in between. The common one is if a lone one was merged before it; but the lone one was
//! written after a second delivery, that after the death (or the giving back) of the first holder, and that after the
//! common partial was sent, for a dead process sends nothing. The results are one queue, first in first out, read
//! by one process: the common partial comes first. And a partial that was not sent whole is not in the queue at all.
//!
//! Should rule 2 ever find a partial in between, the job fails ([`Overlap`]) instead of printing a wrong number.

use hdrhistogram::Histogram;

use crate::count::Counter;
use crate::ids::Ids;
use crate::outcome::{Latency, Share};
use crate::record::{ArchivedPartial, ArchivedTally, Tally};
use crate::table::{Span, WordTable};

/// Longer waits from put to take are shown as this.
const LONGEST_WAIT_NS: u64 = 3_600_000_000_000;

/// Everything merged so far.
#[derive(Debug)]
pub struct Aggregate {
    pub tally: Tally,
    pub table: WordTable,
    pub shares: Vec<Share>,
    /// Partials dropped because their records had been merged.
    pub dropped: u64,
    merged: Ids,
    waits: Histogram<u64>,
}

/// A partial with some records merged before and others not: a broken promise of the queue's.
#[derive(Debug, PartialEq, Eq)]
pub struct Overlap;

impl Aggregate {
    /// Nothing yet, for so many places in the crew.
    pub fn new(seats: usize) -> Self {
        Aggregate {
            tally: Tally::default(),
            table: WordTable::new(),
            shares: vec![Share::default(); seats],
            dropped: 0,
            merged: Ids::default(),
            waits: Histogram::new_with_max(LONGEST_WAIT_NS, 3).expect("the bounds are in range"),
        }
    }

    /// How many records were merged.
    pub fn merged(&self) -> u64 {
        self.merged.len()
    }

    /// Merges a partial unless its records were merged before; returns the bytes that it brought.
    ///
    /// # Errors
    ///
    /// [`Overlap`] when only some of its records were.
    pub fn merge(&mut self, partial: &ArchivedPartial) -> Result<u64, Overlap> {
        let ids = partial.ids.iter().map(|id| id.to_native());
        let before = ids.clone().filter(|&id| self.merged.contains(id)).count();
        if before > 0 {
            self.dropped += 1;
            return if before == partial.ids.len() {
                Ok(0)
            } else {
                Err(Overlap)
            };
        }
        ids.for_each(|id| _ = self.merged.insert(id));
        self.add_words(partial);
        self.add_times(partial);
        let tally = native(&partial.tally);
        self.tally.add(tally);
        Ok(tally.bytes)
    }

    /// Counts a record here, under an id that was not merged before: what no worker survives.
    pub fn count_here(&mut self, id: u64, block: &[u8]) -> u64 {
        if !self.merged.insert(id) {
            return 0;
        }
        let mut counter = Counter::new();
        counter.count(block);
        self.table.extend(counter.table.spans());
        self.tally.add(counter.tally);
        block.len() as u64
    }

    /// Put-to-take latency of all records merged.
    pub fn latency(&self) -> Latency {
        Latency {
            p50: self.waits.value_at_quantile(0.5),
            p99: self.waits.value_at_quantile(0.99),
            p999: self.waits.value_at_quantile(0.999),
        }
    }

    /// The part of the workers' time spent in queue calls.
    pub fn queue_share(&self) -> f64 {
        let sum = |part: fn(&Share) -> u64| self.shares.iter().map(part).sum::<u64>() as f64;
        sum(|share| share.queue_ns) / sum(|share| share.wall_ns).max(1.0)
    }

    fn add_words(&mut self, partial: &ArchivedPartial) {
        let text = partial.words.text.as_slice();
        let spans = partial.words.entries.iter().map(|entry| Span {
            hash: entry.hash.to_native(),
            word: &text[entry.start.to_native() as usize..][..entry.len.to_native() as usize],
            count: entry.count.to_native(),
        });
        self.table.extend(spans);
    }

    fn add_times(&mut self, partial: &ArchivedPartial) {
        for wait in partial.waits_ns.iter() {
            self.waits.saturating_record(wait.to_native());
        }
        let share = &mut self.shares[partial.seat.to_native() as usize];
        share.tally.add(native(&partial.tally));
        share.wall_ns += partial.wall_ns.to_native();
        share.queue_ns += partial.queue_ns.to_native();
    }
}

fn native(tally: &ArchivedTally) -> Tally {
    Tally {
        records: tally.records.to_native(),
        bytes: tally.bytes.to_native(),
        words: tally.words.to_native(),
        lines: tally.lines.to_native(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Partial;
    use multiproc::Message;
    use std::mem::MaybeUninit;

    /// Merges what a worker would have sent for these records.
    fn merge(aggregate: &mut Aggregate, records: &[(u64, &str)]) -> Result<u64, Overlap> {
        let mut counter = Counter::new();
        let mut partial = Partial::default();
        for (id, text) in records {
            partial.ids.push(*id);
            partial.waits_ns.push(1000);
            counter.count(text.as_bytes());
        }
        partial.tally = counter.tally;
        partial.words = counter.table.take();
        let mut room = vec![MaybeUninit::<u128>::uninit(); 1 << 12];
        // SAFETY: the room's memory as bytes, which may be uninitialised.
        let room = unsafe { room.align_to_mut::<MaybeUninit<u8>>().1 };
        let len = partial.write(room).unwrap();
        // SAFETY: the first `len` bytes were written.
        let bytes = unsafe { std::slice::from_raw_parts(room.as_ptr().cast::<u8>(), len) };
        aggregate.merge(Partial::check(bytes).unwrap())
    }

    #[test]
    fn a_common_partial_and_late_lone_ones_count_each_record_once() {
        let mut aggregate = Aggregate::new(1);
        assert_eq!(merge(&mut aggregate, &[(7, "a b\n"), (8, "b\n")]), Ok(6));
        assert_eq!(merge(&mut aggregate, &[(8, "b\n")]), Ok(0));
        assert_eq!(merge(&mut aggregate, &[(9, "c\n")]), Ok(2));
        assert_eq!((aggregate.tally.words, aggregate.merged()), (4, 3));
        assert_eq!((aggregate.table.count(b"b"), aggregate.dropped), (2, 1));
        assert_eq!(aggregate.shares[0].tally, aggregate.tally);
    }

    #[test]
    fn the_same_partial_twice_counts_once() {
        let mut aggregate = Aggregate::new(1);
        assert!(merge(&mut aggregate, &[(1, "x\n"), (2, "y\n")]).is_ok());
        assert_eq!(merge(&mut aggregate, &[(1, "x\n"), (2, "y\n")]), Ok(0));
        assert_eq!(aggregate.tally.records, 2);
    }

    #[test]
    fn a_partial_in_between_fails_the_job() {
        let mut aggregate = Aggregate::new(1);
        assert!(merge(&mut aggregate, &[(1, "x\n")]).is_ok());
        assert_eq!(
            merge(&mut aggregate, &[(1, "x\n"), (2, "y\n")]),
            Err(Overlap)
        );
    }

    #[test]
    fn a_record_counted_here_is_counted_once() {
        let mut aggregate = Aggregate::new(1);
        assert_eq!(aggregate.count_here(5, b"one two\n"), 8);
        assert_eq!(aggregate.count_here(5, b"one two\n"), 0);
        assert_eq!(merge(&mut aggregate, &[(5, "one two\n")]), Ok(0));
        assert_eq!(aggregate.tally.words, 2);
    }
}
