//! A shard of a dictionary whose lock is held: finding, leading and vacating cells, and the tables that they lie in.

use super::super::directory::Unlock;
use super::super::error::StoreError;
use super::{Name, Shard, Slot, Table, damaged, probe, split};
use crate::heap::{Fresh, Handle, is_tied};
use crate::message::bytes_at;
use crate::segment::layout::Offset;
use crate::sys::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::sys::identity::Participant;
use crate::sys::seeded::seeded;
use crate::sys::step::step;

/// The smallest table.
const LEAST_SLOTS: u64 = 8;

/// A shard whose lock is held, until this is dropped.
pub(in crate::manager) struct Held<'a> {
    pub(super) table: &'a Table,
    pub(super) shard: &'a Shard,
    /// Where the shard lies.
    pub(super) place: u64,
    pub(in crate::manager) me: Participant,
    pub(super) _unlock: Option<Unlock<'a>>,
}

/// Where a key is, or may come to lie.
#[derive(Clone, Copy, Debug)]
pub(in crate::manager) enum Spot {
    /// The number of the cell, and the entry.
    Taken(u64, Handle),
    /// Offset of the slot, and what its cell says; none where the table is too small.
    Vacant(Option<(u64, u64)>),
}

impl Held<'_> {
    /// Finishes what somebody had begun who died with the lock.
    #[inline]
    pub(super) fn finish(&self) {
        let vacating = self.shard.vacating.load(Acquire); // pairs with `vacate`
        if let Some(entry) = Handle::from_bits(vacating) {
            let home = self.shard.vacating_at.load(Relaxed); // ordered by the above
            self.table.core.heap.finish_vacating(self.me, home, entry);
            self.clear_note();
        }
    }

    fn clear_note(&self) {
        step("dict.vacated");
        self.shard.vacating.store(0, Release); // behind what it stands for
    }

    fn slots(&self) -> Option<(u64, &[Slot])> {
        // Acquire: pairs with the exchange that led there.
        let table = Handle::from_bits(self.shard.table.load(Acquire))?;
        self.table.slots(table)
    }

    /// The entries of the shard, and the cell of each.
    pub(in crate::manager) fn entries(&self) -> impl Iterator<Item = (u64, Handle)> {
        let (place, slots) = self.slots().unwrap_or_default();
        slots.iter().enumerate().filter_map(move |(at, slot)| {
            let entry = Handle::from_bits(slot.cell.load(Acquire))?; // pairs with `replace`
            Some((place / 16 + at as u64, entry))
        })
    }

    /// The bytes of an entry, which stays as it is while the lock is held.
    pub(in crate::manager) fn entry(&self, entry: Handle) -> &[u8] {
        let bytes = self.table.core.heap.bytes(entry);
        // SAFETY: a cell leads to the entry, and nobody leads it away without the lock.
        bytes.map_or(&[], |bytes| unsafe { bytes_at(bytes) })
    }

    /// Where the key is, or may come to lie.
    pub(in crate::manager) fn spot(&self, name: Name<'_>) -> Spot {
        let Some((place, slots)) = self.slots() else {
            return Spot::Vacant(None);
        };
        let mut vacant = None;
        for at in probe(slots, name.hash) {
            let slot = &slots[at];
            let offset = place + at as u64 * 16;
            let bits = slot.cell.load(Acquire); // pairs with `replace`
            match Handle::from_bits(bits) {
                None if bits == 0 => {
                    let fits = (self.shard.used.load(Relaxed) + 1) * 8 <= slots.len() as u64 * 7;
                    let fresh = fits.then_some((offset, 0));
                    return Spot::Vacant(vacant.or(fresh));
                }
                None if is_tied(bits) => {} // another key's, by the same transaction
                None => vacant = vacant.or(Some((offset, bits))),
                Some(entry) => {
                    let same = slot.hash.load(Relaxed) == name.hash;
                    if same && split(self.entry(entry)).1 == name.bytes {
                        return Spot::Taken(offset / 16, entry);
                    }
                }
            }
        }
        Spot::Vacant(vacant)
    }

    /// Leads the key's cell to a new entry, at the spot that was found for it.
    pub(in crate::manager) fn put(
        &self,
        name: Name<'_>,
        spot: Spot,
        fresh: (Fresh, usize),
    ) -> Result<(), StoreError> {
        let done = match spot {
            Spot::Taken(home, old) => self.lead(home, old.to_bits(), fresh),
            Spot::Vacant(Some((offset, bits))) => self.fill(name, offset, bits, fresh),
            Spot::Vacant(None) => {
                if let Err(full) = self.rebuild(0) {
                    self.table.core.heap.give_back(self.me, fresh.0);
                    return Err(full);
                }
                match self.spot(name) {
                    Spot::Vacant(Some((offset, bits))) => self.fill(name, offset, bits, fresh),
                    _ => false,
                }
            }
        };
        match done {
            true => Ok(()),
            false => Err(StoreError::refused(damaged())),
        }
    }

    /// Has a vacant slot say the hash of the key that is to come there.
    pub(in crate::manager) fn say_hash(&self, name: Name<'_>, offset: u64) -> bool {
        let segment = self.table.core.tenant.segment();
        let slot = segment.get(Offset::<Slot>::new(offset));
        if let Some(slot) = slot {
            step("dict.slot.hash");
            slot.hash.store(name.hash, Relaxed); // published by the exchange that leads the cell to the entry
        }
        slot.is_some()
    }

    fn fill(&self, name: Name<'_>, offset: u64, bits: u64, fresh: (Fresh, usize)) -> bool {
        let led = self.say_hash(name, offset) && self.lead(offset / 16, bits, fresh);
        if !led {
            return false;
        }
        self.count(1, u64::from(bits == 0));
        true
    }

    #[inline(always)]
    fn lead(&self, home: u64, bits: u64, fresh: (Fresh, usize)) -> bool {
        let heap = &self.table.core.heap;
        heap.lead_alone(self.me, home, bits, fresh) // by the shard's lock
    }

    /// Counts entries and slots; after a death in here all are counted again.
    pub(in crate::manager) fn count(&self, len: i64, used: u64) {
        let now = self.shard.len.load(Relaxed).wrapping_add_signed(len); // the lock's, as all of this
        step("dict.count");
        self.shard.len.store(now, Relaxed);
        let used = self.shard.used.load(Relaxed) + used;
        self.shard.used.store(used, Relaxed); // no step: as good as the one before
    }

    /// Takes an entry away.
    pub(in crate::manager) fn vacate(&self, home: u64, entry: Handle) {
        step("dict.vacating.at");
        self.shard.vacating_at.store(home, Relaxed); // published by the next
        step("dict.vacating");
        self.shard.vacating.store(entry.to_bits(), Release); // pairs with `finish`; before the entry goes
        self.table.core.heap.vacate(self.me, home, entry);
        self.clear_note();
        self.count(-1, 0);
    }

    /// Makes room for so many entries more, unless there is.
    pub(in crate::manager) fn reserve(&self, more: u64) -> Result<(), StoreError> {
        let slots = self.slots().map_or(0, |(_, slots)| slots.len() as u64);
        match (self.shard.used.load(Relaxed) + more) * 8 > slots * 7 {
            true => self.rebuild(more),
            false => Ok(()),
        }
    }

    /// Leads the shard to a table with room for `more` entries, or for as many as there are, without the places of what was
    /// taken away.
    #[cold]
    fn rebuild(&self, more: u64) -> Result<(), StoreError> {
        let core = &self.table.core;
        let len = self.entries().count() as u64;
        let least = ((len + more) * 8).div_ceil(7).max(len * 3 / 2);
        let slots = (least + 1).next_power_of_two().max(LEAST_SLOTS);
        let bytes = slots as usize * size_of::<Slot>();
        let fresh = core.alloc(self.me, bytes)?;
        let place = core.heap.place_of(fresh.handle());
        let new = core
            .tenant
            .segment()
            .slice(Offset::<Slot>::new(place), slots);
        let new = new.ok_or_else(|| StoreError::refused(damaged()))?;
        step("dict.table.clear");
        for slot in new {
            slot.cell.store(0, Relaxed); // no step: one for all of them, the block is nobody else's
        }
        let (_, old) = self.slots().unwrap_or_default();
        for slot in old {
            self.carry(slot, new);
        }
        let home = self.place / 16;
        let before = Handle::from_bits(self.shard.table.load(Acquire)); // as in `slots`
        if !core.heap.outgrow(self.me, home, before, (fresh, bytes)) {
            return Err(StoreError::refused(damaged()));
        }
        step("dict.recount");
        self.shard.used.store(len, Relaxed);
        Ok(())
    }

    /// Has a slot of the new table lead to the same entry, which says by then that it is linked: what it notes of its cell is
    /// of no use any more.
    fn carry(&self, slot: &Slot, new: &[Slot]) {
        let Some(entry) = Handle::from_bits(slot.cell.load(Acquire)) else {
            return; // pairs with `replace`
        };
        self.table.core.heap.complete(self.me, entry);
        let hash = slot.hash.load(Relaxed);
        let mut places = probe(new, hash).take(if seeded("dict-resize-loses-an-entry") {
            1
        } else {
            new.len()
        });
        let free = places.find(|&at| new[at].cell.load(Relaxed) == 0);
        if let Some(slot) = free.map(|at| &new[at]) {
            slot.hash.store(hash, Relaxed); // no step: the new table is nobody else's yet, as above
            slot.cell.store(entry.to_bits(), Relaxed); // no step: as above
        }
    }

    /// How many entries the shard has.
    pub(in crate::manager) fn len(&self) -> u64 {
        self.shard.len.load(Relaxed) // the lock's
    }
}
