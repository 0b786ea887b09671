//! Leases: a message moved out of its slot, so that long work does not hold up the ring.
//!
//! The move must not lose or double the message whoever dies where. The record names the position it came from; as
//! long as that slot still says `Taken` by the same owner, the slot has the message and the record is nothing.

use super::core::Ring;
use super::geometry::Fit;
use super::taken::Taken;
use super::word::{State, Word};
use crate::segment::copy;
use crate::segment::layout::Layout;
use crate::sys::atomic::AtomicU64;
use crate::sys::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use crate::sys::identity::Participant;
use crate::sys::step::step;
use std::ptr::NonNull;

/// Bytes of a record before its payload.
pub(super) const RECORD_HEAD: usize = size_of::<RecordHead>();

/// The head of a lease record; the payload follows.
///
/// | word | the record |
/// |---|---|
/// | `Free` | may be claimed; the lap field is its generation |
/// | `Filling(owner)` | the owner copies a message that still lies in its slot |
/// | `Taken(owner)` | leased |
/// | `Returned` | may be taken again |
/// | `Dead` | among the dead letters |
#[repr(C)]
#[derive(Debug)]
pub(crate) struct RecordHead {
    pub(super) word: AtomicU64,
    /// The position from which the message came.
    pub(super) id: AtomicU64,
    /// `{spilled:1 | length:63}`.
    pub(super) meta: AtomicU64,
    /// The block, when spilled.
    pub(super) block: AtomicU64,
}

// SAFETY: repr(C), only atomics, every bit pattern is valid, no pointers.
unsafe impl Layout for RecordHead {}

const _: () = assert!(RECORD_HEAD == 32);

/// Records are backed by memory in steps of about so many bytes.
const GROWTH: usize = 16 * 1024;

impl Ring {
    /// Moves a message from its slot to a lease record and frees the slot; when no record can be had, the message
    /// stays where it is, which is correct and only costs the slot.
    #[inline]
    pub(crate) fn detach(&self, me: Participant, taken: Taken, fit: Fit) -> Taken {
        self.move_out(me, taken, fit).unwrap_or(taken)
    }

    /// Moves a message out of its slot into a record; `None` when no record can be had.
    #[inline]
    pub(super) fn move_out(&self, me: Participant, taken: Taken, fit: Fit) -> Option<Taken> {
        if taken.is_detached() {
            return Some(taken);
        }
        let (index, filling) = self.claim_record(me)?;
        self.fill_record(index, &taken, fit);
        let word = filling.counted(taken.deliveries()).owned(State::Taken, me);
        step("lease.settle");
        // Release: publishes what was filled in; pairs with the Acquire of whoever reads the record's word.
        self.records.row(index).word.store(word.0, Release);
        self.free_slot(taken, fit);
        self.control().not_full.wake_after_release(self.bells());
        Some(Taken::in_record(index, word))
    }

    #[inline]
    fn fill_record(&self, index: u32, taken: &Taken, fit: Fit) {
        let record = self.records.row(index);
        step("lease.fill");
        // All three are published by the Release store of the record's word.
        record.id.store(taken.position().0, Relaxed);
        record.meta.store(self.meta(taken, fit), Relaxed);
        if let Some(block) = self.spilled(taken, fit) {
            record.block.store(block.to_bits(), Relaxed);
        } else {
            // SAFETY: both ranges lie in the mapping (bounded by `Table`) and do not overlap: slot and record are rows
            // of different tables. Both belong to this process: the slot is `Taken` by us, the record `Filling`.
            unsafe {
                let source = self.fresh_payload(taken, self.words_of(fit), fit);
                copy(source, self.record_room(index));
            }
        }
    }

    /// The payload bytes of a record.
    #[inline]
    pub(super) fn record_room(&self, index: u32) -> NonNull<[u8]> {
        self.records.bytes(index, RECORD_HEAD)
    }

    #[inline]
    fn claim_record(&self, me: Participant) -> Option<(u32, Word)> {
        // First where this process freed one last: that one is warm.
        let from = self.local.record_from.load(Relaxed);
        if from < self.backed_records()
            && let Some(found) = self.try_claim_record(from, me)
        {
            // no step: private to this process
            self.local.record_from.store(from + 1, Relaxed);
            return Some(found);
        }
        self.search_record(me)
    }

    #[cold]
    fn search_record(&self, me: Participant) -> Option<(u32, Word)> {
        loop {
            // Pairs with the Release in `grow_records`: the rows below it are backed by memory.
            let backed = self.backed_records();
            let from = self.local.record_from.load(Relaxed).min(backed);
            let found = (from..backed)
                .chain(0..from)
                .find_map(|index| self.try_claim_record(index, me));
            if let Some((index, word)) = found {
                // no step: private to this process
                self.local.record_from.store(index + 1, Relaxed);
                return Some((index, word));
            }
            self.grow_records(backed)?;
        }
    }

    #[inline]
    fn try_claim_record(&self, index: u32, me: Participant) -> Option<(u32, Word)> {
        let cell = &self.records.row(index).word;
        let seen = Word(cell.load(Relaxed));
        if seen.state() != State::Free {
            return None;
        }
        step("lease.claim");
        let mine = seen.owned(State::Filling, me);
        // Acquire: pairs with `free_record`, whose reader is done with the bytes.
        cell.compare_exchange(seen.0, mine.0, AcqRel, Relaxed)
            .ok()?;
        Some((index, mine))
    }

    /// How many records are backed by memory, as far as private geometry allows.
    #[inline]
    pub(super) fn backed_records(&self) -> u32 {
        self.control()
            .records
            .load(Acquire)
            .min(self.records.rows().count())
    }

    #[cold]
    fn grow_records(&self, backed: u32) -> Option<()> {
        let stride = self.geometry.record_stride();
        let more = (GROWTH / stride).max(1) as u32;
        let target = backed.saturating_add(more).min(self.geometry.records());
        if target == backed {
            return None;
        }
        let len = stride as u64 * u64::from(target);
        self.segment().ensure_allocated(self.records_at, len).ok()?;
        step("lease.grow");
        // Release: the memory is there; pairs with `backed_records`. Never shrinks, whoever comes late.
        self.control().records.fetch_max(target, Release);
        Some(())
    }

    /// The records that are not free, with their words.
    pub(super) fn open_records(&self) -> impl Iterator<Item = (u32, Word)> + '_ {
        (0..self.backed_records()).filter_map(|index| {
            // Acquire: pairs with the Release that settled the record. SeqCst for the look after arming a gate.
            let word = Word(self.records.row(index).word.load(SeqCst));
            (word.state() != State::Free).then_some((index, word))
        })
    }

    /// Frees a record of our own for its next generation: as its living holder nobody else changes it.
    #[inline]
    pub(super) fn free_own_record(&self, index: u32, mine: Word) {
        step("lease.free-own");
        // Release: we are done with the bytes; pairs with `try_claim_record`.
        let cell = &self.records.row(index).word;
        cell.store(Word::free(mine.lap() + 1).0, Release);
        // no step: private to this process
        self.local.record_from.store(index, Relaxed);
    }

    /// Frees a record for its next generation, from the exact word seen.
    pub(super) fn free_record(&self, index: u32, seen: Word) -> bool {
        step("lease.free");
        let next = Word::free(seen.lap() + 1);
        // Release: we are done with the bytes; pairs with `try_claim_record`. SeqCst: before the look at a gate.
        let cell = &self.records.row(index).word;
        cell.compare_exchange(seen.0, next.0, SeqCst, Relaxed)
            .is_ok()
    }

    /// Takes a record that is up for grabs in state `seen`; `count` more deliveries.
    pub(super) fn take_record(&self, index: u32, seen: Word, mine: Word) -> Option<Taken> {
        step("lease.retake");
        let record = self.records.row(index);
        // Acquire: pairs with the Release that settled the record.
        record
            .word
            .compare_exchange(seen.0, mine.0, SeqCst, Relaxed)
            .ok()?;
        let taken = Taken::in_record(index, mine);
        if let (Some(block), Some(owner)) = (self.spilled(&taken, Fit::Any), mine.owner()) {
            self.own_block(owner, block);
        }
        Some(taken)
    }

    /// Takes one of the dead letters.
    pub(crate) fn take_dead(&self, me: Participant) -> Option<Taken> {
        self.bury_the_undeliverable(me);
        self.open_records()
            .filter(|(_, word)| word.state() == State::Dead)
            .find_map(|(index, seen)| self.take_record(index, seen, seen.owned(State::Taken, me)))
    }
}
