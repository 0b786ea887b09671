//! One place that a transaction has seen, and what it is to store there.

pub(super) use crate::heap::Target;
use crate::heap::{Handle, Reading};
use crate::manager::cell::Cell;
use crate::manager::core::Core;
use crate::manager::error::StoreError;
use crate::manager::sequence::Sequence;
use crate::manager::table::{Spot, Table};
use crate::message::Message;
use crate::segment::Place;
use crate::sys::atomic::AtomicU64;
use std::sync::Arc;

/// One place, what was seen there and what is to come there.
pub(super) struct Item {
    pub(super) place: Spotted,
    pub(super) seen: Option<Handle>,
    pub(super) target: Target,
}

/// Where it is.
pub(super) enum Spotted {
    Cell {
        core: Arc<Core>,
        home: u64,
        word: Place<AtomicU64>,
    },
    Key {
        table: Arc<Table>,
        key: Vec<u8>,
    },
    Element {
        sequence: Arc<Sequence>,
        at: u64,
    },
    /// How many elements there were, and shall be.
    Length {
        sequence: Arc<Sequence>,
        seen: u64,
        now: u64,
    },
}

impl Item {
    pub(super) fn cell<T: Message>(cell: &Cell<T>) -> Result<Self, StoreError> {
        let place = Spotted::Cell {
            core: Arc::clone(&cell.core),
            home: cell.home,
            word: cell.word.clone(),
        };
        Item::at(place)
    }

    pub(super) fn key(table: &Arc<Table>, key: &[u8]) -> Result<Self, StoreError> {
        let place = Spotted::Key {
            table: Arc::clone(table),
            key: key.to_vec(),
        };
        Item::at(place)
    }

    pub(super) fn element(sequence: &Arc<Sequence>, at: u64) -> Result<Self, StoreError> {
        let sequence = Arc::clone(sequence);
        Item::at(Spotted::Element { sequence, at })
    }

    pub(super) fn length(sequence: &Arc<Sequence>) -> Result<Self, StoreError> {
        let seen = sequence.hold()?.len();
        Item::at(Spotted::Length {
            sequence: Arc::clone(sequence),
            seen,
            now: seen,
        })
    }

    fn at(place: Spotted) -> Result<Self, StoreError> {
        let seen = place.look()?;
        Ok(Item {
            place,
            seen,
            target: Target::Same,
        })
    }

    pub(super) fn is_cell(&self, wanted: u64) -> bool {
        matches!(self.place, Spotted::Cell { home, .. } if home == wanted)
    }

    pub(super) fn is_key(&self, wanted: &Table, name: &[u8]) -> bool {
        matches!(&self.place, Spotted::Key { table, key } if table.is_same(wanted) && key == name)
    }

    pub(super) fn is_element(&self, wanted: &Sequence, index: u64) -> bool {
        matches!(&self.place, Spotted::Element { sequence, at } if sequence.is_same(wanted) && *at == index)
    }

    pub(super) fn is_length(&self, wanted: &Sequence) -> bool {
        matches!(&self.place, Spotted::Length { sequence, .. } if sequence.is_same(wanted))
    }

    /// Whether what was seen is there yet.
    pub(super) fn is_current(&self) -> Result<bool, StoreError> {
        match &self.place {
            Spotted::Length { sequence, seen, .. } => Ok(sequence.hold()?.len() == *seen),
            place => Ok(place.look()? == self.seen),
        }
    }

    /// Whether something is to come there.
    pub(super) fn is_change(&self) -> bool {
        match self.place {
            Spotted::Length { seen, now, .. } => seen != now,
            _ => !matches!(self.target, Target::Same),
        }
    }
}

impl Spotted {
    /// Which block is there at the moment.
    fn look(&self) -> Result<Option<Handle>, StoreError> {
        Ok(self.read()?.map(|reading| reading.block()))
    }

    /// What is there at the moment.
    pub(super) fn read(&self) -> Result<Option<Reading<'_>>, StoreError> {
        let reading = match self {
            Spotted::Cell { core, word, .. } => core.heap.read(|| core.me(), word.get()),
            Spotted::Key { table, key } => table.find(table.name(key)),
            Spotted::Element { sequence, at } => sequence.find(*at as usize),
            Spotted::Length { .. } => Ok(None),
        };
        reading.map_err(StoreError::from_heap)
    }
}

/// Where a key is among the slots of its shard, whose lock is held: the cell and what it says, if it is as it was seen.
pub(super) fn as_seen(spot: Spot, seen: Option<Handle>) -> Option<(u64, u64)> {
    match (spot, seen) {
        (Spot::Taken(home, entry), Some(seen)) if entry == seen => Some((home, entry.to_bits())),
        (Spot::Vacant(Some((offset, bits))), None) => Some((offset / 16, bits)),
        _ => None,
    }
}
