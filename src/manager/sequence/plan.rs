//! Changes of several elements, or in the middle: another table, and what is to be done about the elements that only one of the
//! two leads to.
//!
//! A *plan* is a block to which a cell of the head leads as long as something is under way. It says to which table the head led
//! before, and which elements are added or taken away.
//!
//! | step | added | taken away |
//! |---|---|---|
//! | 1 | the plan's cell leads to the plan | the same |
//! | 2 | each element says that it is linked | |
//! | 3 | the head leads to the new table: the commit | the same |
//! | 4 | | each element is retired |
//! | 5 | the plan is taken away from its cell | the same |
//!
//! Whoever finds a plan takes steps 4 and 5; of elements that were to be added step 4 is to retire those that are linked, if
//! step 3 was not taken. What the dead had not linked, the sweep frees.

use super::super::error::StoreError;
use super::held::{End, Held};
use super::{Drafts, damaged};
use crate::heap::Handle;
use crate::segment::layout::Offset;
use crate::sys::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sys::step::step;

/// What becomes of the elements of a plan; its number is part of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
enum Change {
    /// They are retired if the head still leads to the table to which it led before.
    Added = 0,
    /// They are retired if it does not.
    Removed = 1,
}

/// The words before the elements: the table that was, and the [`Change`].
const BEFORE: usize = 2;

impl Held<'_> {
    /// Puts elements before the one with index `at`, which is not more than there are: all of them in one step, or none.
    pub(in crate::manager) fn insert(
        &self,
        at: u64,
        mut drafts: Drafts<'_>,
    ) -> Result<(), StoreError> {
        let (heap, home) = (&self.sequence.core.heap, self.plan_home());
        let blocks = drafts.blocks();
        let added: Vec<Handle> = blocks.iter().map(|(fresh, _)| fresh.handle()).collect();
        self.make_plan(Change::Added, &added)?;
        for &fresh in blocks {
            heap.link(self.me, home, fresh);
        }
        drafts.have_added(added.len());
        let len = self.len();
        let all = self.elements(0, at);
        let all = all.chain(added.iter().copied());
        let all = all.chain(self.elements(at, len));
        let len = len + added.len() as u64;
        let done = self.draw(len, all).and_then(|table| self.lead(table, len));
        self.finish_plan();
        done
    }

    /// Takes elements away: all of them in one step, or none.
    pub(in crate::manager) fn remove(&self, from: u64, count: u64) -> Result<(), StoreError> {
        let removed: Vec<Handle> = self.elements(from, count).collect();
        for &element in &removed {
            self.sequence.core.heap.complete(self.me, element); // so that it can be retired
        }
        self.make_plan(Change::Removed, &removed)?;
        let len = self.len();
        let rest = self.elements(0, from);
        let rest = rest.chain(self.elements(from + removed.len() as u64, len));
        let len = len - removed.len() as u64;
        let done = self.draw(len, rest).and_then(|table| self.lead(table, len));
        self.finish_plan();
        done
    }

    /// Takes all elements away but the first `keep`: in one step, or where there is no memory for that, one by one from the back.
    pub(in crate::manager) fn truncate(&self, keep: u64) -> Result<(), StoreError> {
        let more = self.len().saturating_sub(keep);
        let done = match more {
            0 => Ok(()),
            1 => Err(None),
            _ => self.remove(keep, more).map_err(Some),
        };
        match done {
            Err(None | Some(StoreError::NoSpace(_))) => {
                while self.len() > keep
                    && let Some(last) = self.last(End::Back)
                {
                    self.pop(End::Back, last);
                }
                Ok(())
            }
            Err(Some(refused)) => Err(refused),
            Ok(()) => Ok(()),
        }
    }

    /// Puts the elements, all of them, into another order.
    pub(in crate::manager) fn arrange(
        &self,
        elements: impl Iterator<Item = Handle>,
    ) -> Result<(), StoreError> {
        let len = self.len();
        self.lead(self.draw(len, elements)?, len)
    }

    fn make_plan(&self, change: Change, elements: &[Handle]) -> Result<(), StoreError> {
        let core = &self.sequence.core;
        let count = BEFORE + elements.len();
        let fresh = core.alloc(self.me, count * 8)?;
        let place = core.heap.place_of(fresh.handle());
        let words = Offset::<AtomicU64>::new(place);
        let words = core.tenant.segment().slice(words, count as u64);
        let elements = elements.iter().map(|element| element.to_bits());
        step("list.plan");
        for (word, bits) in words
            .unwrap_or_default()
            .iter()
            .zip([self.table(), change as u64].into_iter().chain(elements))
        {
            word.store(bits, Relaxed); // no step: one for all of them, the block is nobody else's
        }
        let before = core.heap.said(&self.head().plan);
        match core
            .heap
            .lead(self.me, self.plan_home(), before, (fresh, count * 8))
        {
            true => Ok(()),
            false => {
                core.heap.give_back(self.me, fresh);
                Err(StoreError::refused(damaged()))
            }
        }
    }

    /// Takes the steps behind the commit, or takes a plan back that did not come so far.
    pub(super) fn finish_plan(&self) {
        let core = &self.sequence.core;
        let Some(plan) = Handle::from_bits(core.heap.said(&self.head().plan)) else {
            return;
        };
        let len = core.heap.bytes(plan).map_or(0, |bytes| bytes.len() as u64);
        let words = Offset::<AtomicU64>::new(core.heap.place_of(plan));
        let words = core.tenant.segment().slice(words, len / 8);
        let mut words = words
            .unwrap_or_default()
            .iter()
            .map(|word| word.load(Relaxed)); // ordered by the plan's cell
        let (before, change) = (words.next(), words.next());
        let has_moved = before != Some(self.table());
        let is_removal = change == Some(Change::Removed as u64);
        if has_moved == is_removal {
            words
                .filter_map(Handle::from_bits)
                .for_each(|element| core.heap.retire(self.me, element));
        }
        self.vacate(self.plan_home(), plan);
    }
}
