//! A sequence whose lock is held: finding, leading and vacating single cells, and counting them.

use super::super::directory::Unlock;
use super::super::error::StoreError;
use super::{Drafts, HEAD_LEN, Head, PLAN, Sequence, Slot, damaged};
use crate::heap::{Fresh, Handle};
use crate::message::bytes_at;
use crate::segment::layout::Offset;
use crate::sys::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::sys::identity::Participant;
use crate::sys::seeded::seeded;
use crate::sys::step::step;

/// The smallest table.
const LEAST_SLOTS: u64 = 8;
/// So many that no block has room for them: asking for them is the error.
const MOST_SLOTS: u64 = 1 << 40;

/// A sequence whose lock is held, until this is dropped.
pub(in crate::manager) struct Held<'a> {
    pub(super) sequence: &'a Sequence,
    pub(in crate::manager) me: Participant,
    _unlock: Option<Unlock<'a>>,
}

/// A cell of the table, and what it says.
#[derive(Clone, Copy, Debug)]
pub(in crate::manager) struct Spot {
    pub(in crate::manager) home: u64,
    pub(in crate::manager) bits: u64,
}

impl Spot {
    /// The element, if there is one.
    #[inline]
    pub(in crate::manager) fn element(self) -> Option<Handle> {
        Handle::from_bits(self.bits)
    }
}

/// Where elements are added or taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::manager) enum End {
    Front,
    Back,
}

impl<'a> Held<'a> {
    pub(super) fn new(sequence: &'a Sequence, me: Participant, unlock: Option<Unlock<'a>>) -> Self {
        Held {
            sequence,
            me,
            _unlock: unlock,
        }
    }

    #[inline]
    pub(super) fn head(&self) -> &'a Head {
        self.sequence.head.get()
    }

    /// What the cell says that leads to the table.
    #[inline]
    pub(super) fn table(&self) -> u64 {
        self.sequence.core.heap.said(&self.head().table)
    }

    /// Where the table lies, and its slots.
    #[inline]
    pub(super) fn slots(&self) -> (u64, &'a [Slot]) {
        let table = Handle::from_bits(self.table());
        let slots = table.and_then(|table| self.sequence.slots(table));
        slots.unwrap_or_default()
    }

    /// Whether there was no table yet, and so never an element.
    pub(in crate::manager) fn is_untouched(&self) -> bool {
        self.table() == 0
    }

    /// How many elements there are.
    #[inline]
    pub(in crate::manager) fn len(&self) -> u64 {
        self.head().len.load(Relaxed) // the lock's
    }

    /// Says how many elements there are, after the cells of some have been changed at the back.
    pub(in crate::manager) fn have(&self, len: u64) {
        self.count(self.start(), len);
    }

    #[inline]
    fn start(&self) -> u64 {
        self.head().start.load(Relaxed) // the lock's
    }

    /// The place of the element with this index, or where it would be; `None` where the table is too small for it.
    #[inline]
    pub(in crate::manager) fn spot(&self, at: u64) -> Option<Spot> {
        let (place, slots) = self.slots();
        if at >= slots.len() as u64 {
            return None;
        }
        self.slot_at(self.start().wrapping_add(at), (place, slots))
    }

    /// The slot at a position, which counts on around the table.
    #[inline]
    fn slot_at(&self, position: u64, (place, slots): (u64, &[Slot])) -> Option<Spot> {
        let at = position & (slots.len() as u64).wrapping_sub(1);
        let slot = slots.get(at as usize)?;
        Some(Spot {
            home: place / 16 + at,
            bits: self.sequence.core.heap.said(&slot.cell),
        })
    }

    /// The elements from one index on, in their order, at most `count` of them.
    pub(in crate::manager) fn elements(
        &self,
        from: u64,
        count: u64,
    ) -> impl Iterator<Item = Handle> + '_ {
        let (start, slots) = (self.start(), self.slots());
        let all = from..self.len().min(from.saturating_add(count));
        all.filter_map(move |at| self.slot_at(start.wrapping_add(at), slots)?.element())
    }

    /// The bytes of an element, which stays as it is while the lock is held.
    pub(in crate::manager) fn bytes(&self, element: Handle) -> &[u8] {
        let bytes = self.sequence.core.heap.bytes(element);
        // SAFETY: a cell leads to the element, and nobody leads it away without the lock.
        bytes.map_or(&[], |bytes| unsafe { bytes_at(bytes) })
    }

    /// Leads the cell that was found to a new element; does not count it.
    #[inline]
    pub(in crate::manager) fn put(
        &self,
        spot: Spot,
        fresh: (Fresh, usize),
    ) -> Result<(), StoreError> {
        let heap = &self.sequence.core.heap;
        match heap.lead_alone(self.me, spot.home, spot.bits, fresh) {
            true => Ok(()),
            false => Err(StoreError::refused(damaged())),
        }
    }

    /// Adds an element at one end; without room for it nothing has happened.
    #[inline]
    pub(in crate::manager) fn push(
        &self,
        end: End,
        fresh: (Fresh, usize),
    ) -> Result<(), StoreError> {
        let len = self.len();
        let mut slots = self.slots();
        if len + 1 >= slots.1.len() as u64 {
            self.grow(1)?;
            slots = self.slots();
        }
        let start = self.start();
        let (position, start) = match end {
            End::Back => (start.wrapping_add(len), start),
            End::Front => (start.wrapping_sub(1), start.wrapping_sub(1)),
        };
        let spot = self.slot_at(position, slots);
        let spot = spot.ok_or_else(|| StoreError::refused(damaged()))?;
        self.put(spot, fresh)?;
        self.count(start, len + 1);
        Ok(())
    }

    /// [`push`](Held::push) of one; gives its block back where it was not added.
    #[inline]
    pub(in crate::manager) fn push_one(
        &self,
        end: End,
        fresh: (Fresh, usize),
    ) -> Result<(), StoreError> {
        let pushed = self.push(end, fresh);
        if pushed.is_err() {
            self.sequence.core.heap.give_back(self.me, fresh.0);
        }
        pushed
    }

    /// Adds all of them behind the last one, or none where there is no room.
    pub(in crate::manager) fn push_all(&self, mut drafts: Drafts<'_>) -> Result<(), StoreError> {
        self.reserve(drafts.blocks().len() as u64)?;
        while let Some(&fresh) = drafts.blocks().first() {
            self.push(End::Back, fresh)?;
            drafts.have_added(1);
        }
        Ok(())
    }

    /// The place of the element at one end, and the element.
    pub(in crate::manager) fn last(&self, end: End) -> Option<(Spot, Handle)> {
        let at = match end {
            End::Front => 0,
            End::Back => self.len().checked_sub(1)?,
        };
        let spot = self.spot(at)?;
        Some((spot, spot.element()?))
    }

    /// Takes the element at one end away.
    pub(in crate::manager) fn pop(&self, end: End, (spot, element): (Spot, Handle)) {
        self.vacate(spot.home, element);
        let (start, len) = (self.start(), self.len().saturating_sub(1));
        match end {
            End::Front => self.count(start.wrapping_add(1), len),
            End::Back => self.count(start, len),
        }
    }

    /// Takes a block away from its cell; does not count it.
    pub(super) fn vacate(&self, home: u64, block: Handle) {
        let head = self.head();
        step("list.vacating.at");
        head.vacating_at.store(home, Relaxed); // published by the next
        step("list.vacating");
        head.vacating.store(block.to_bits(), Release); // pairs with `take_over`; before the block goes
        self.sequence.core.heap.vacate(self.me, home, block);
        self.clear_note();
    }

    fn clear_note(&self) {
        step("list.vacated");
        self.head().vacating.store(0, Release); // behind what it stands for
    }

    /// Says where the elements begin, and how many there are; after a death in here they are counted again.
    #[inline]
    fn count(&self, start: u64, len: u64) {
        step("list.count");
        self.head().len.store(len, Relaxed); // the lock's, as the next
        self.head().start.store(start, Relaxed); // no step: as good as the one before
    }

    /// Makes room for so many elements more, unless there is.
    pub(in crate::manager) fn reserve(&self, more: u64) -> Result<(), StoreError> {
        let slots = self.slots().1.len() as u64;
        match self.len().saturating_add(more) >= slots {
            true => self.grow(more),
            false => Ok(()),
        }
    }

    #[cold]
    fn grow(&self, more: u64) -> Result<(), StoreError> {
        let len = self.len();
        let table = self.draw(len.saturating_add(more), self.elements(0, len))?;
        self.lead(table, len)
    }

    /// Writes a table with room for so many elements, in which these are the first. They say that they are linked by then: what
    /// they note of their cells is of no use any more.
    pub(super) fn draw(
        &self,
        room: u64,
        elements: impl Iterator<Item = Handle>,
    ) -> Result<(Fresh, usize), StoreError> {
        let core = &self.sequence.core;
        let least = room.clamp(LEAST_SLOTS - 1, MOST_SLOTS - 1) + 1;
        let least = least.next_power_of_two();
        // As many as there were, so that nothing is given back that will be needed again, unless that is far too many.
        let slots = (self.slots().1.len() as u64).clamp(least, least.saturating_mul(4));
        let bytes = slots as usize * size_of::<Slot>();
        let fresh = core.alloc(self.me, bytes)?;
        let place = Offset::<Slot>::new(core.heap.place_of(fresh.handle()));
        let Some(table) = core.tenant.segment().slice(place, slots) else {
            core.heap.give_back(self.me, fresh);
            return Err(StoreError::refused(damaged()));
        };
        step("list.table");
        let mut table = table.iter();
        for (element, slot) in elements.zip(table.by_ref()) {
            core.heap.complete(self.me, element);
            slot.cell.store(element.to_bits(), Relaxed); // no step: one for all of them, the block is nobody else's
        }
        for slot in table {
            slot.cell.store(0, Relaxed); // no step: as above
        }
        Ok((fresh, bytes))
    }

    /// Leads the sequence to a table that [`draw`](Held::draw) has written, with so many elements. This is the commit of all
    /// that it differs in.
    pub(super) fn lead(&self, table: (Fresh, usize), len: u64) -> Result<(), StoreError> {
        let heap = &self.sequence.core.heap;
        let home = self.sequence.place / 16;
        let before = Handle::from_bits(self.table());
        if !heap.outgrow(self.me, home, before, table) {
            heap.give_back(self.me, table.0);
            return Err(StoreError::refused(damaged()));
        }
        self.count(0, len);
        Ok(())
    }

    /// Where the plan's cell is, by its number.
    pub(super) fn plan_home(&self) -> u64 {
        const { assert!(PLAN.is_multiple_of(16) && PLAN < HEAD_LEN as u64) };
        (self.sequence.place + PLAN) / 16
    }

    /// Finishes what somebody had begun who died with the lock, a transaction too, and counts again.
    #[cold]
    pub(super) fn take_over(&self) -> Result<(), StoreError> {
        self.sequence.core.settle_for_the_dead(self.me)?;
        let head = self.head();
        let vacating = head.vacating.load(Acquire); // pairs with `vacate`
        if let Some(block) = Handle::from_bits(vacating)
            && !seeded("list-unfinished-vacating")
        {
            let home = head.vacating_at.load(Relaxed); // ordered by the above
            let heap = &self.sequence.core.heap;
            heap.finish_vacating(self.me, home, block);
            self.clear_note();
        }
        if !seeded("list-unfinished-plan") {
            self.finish_plan();
        }
        if !seeded("list-keeps-counts") {
            self.recount();
        }
        Ok(())
    }

    /// The elements are in a row, around the end of the table or not, and a slot is vacant: the first is the one with a vacant one
    /// before it.
    fn recount(&self) {
        let (_, slots) = self.slots();
        let heap = &self.sequence.core.heap;
        let leads = |slot: &Slot| Handle::from_bits(heap.said(&slot.cell)).is_some();
        let len = slots.iter().filter(|slot| leads(slot)).count() as u64;
        let mut before = slots.last().is_some_and(leads);
        let start = slots.iter().position(|slot| {
            let here = leads(slot);
            let was_there = std::mem::replace(&mut before, here);
            here && !was_there
        });
        self.count(start.unwrap_or(0) as u64, len);
    }
}
