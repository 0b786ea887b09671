//! The objects of a manager as a transaction sees them.

use super::Transaction;
use super::item::Target;
use crate::heap::Handle;
use crate::manager::cell::Cell;
use crate::manager::dict::{self, Dict};
use crate::manager::error::StoreError;
use crate::manager::key::Key;
use crate::message::{Encode, Message, bytes_at};
use std::fmt;
use std::ptr::NonNull;

/// A [`Cell`] as a [`Transaction`] sees it.
pub struct CellIn<'t, 'm, T: Message> {
    transaction: &'t mut Transaction<'m>,
    cell: &'t Cell<T>,
}

impl<'t, 'm, T: Message> CellIn<'t, 'm, T> {
    pub(super) fn new(transaction: &'t mut Transaction<'m>, cell: &'t Cell<T>) -> Self {
        CellIn { transaction, cell }
    }

    /// A copy of the value, as an ordinary one; handles in it are attached.
    ///
    /// # Errors
    ///
    /// [`StoreError::Outdated`] if somebody has changed what the transaction has seen: return it, and the transaction begins
    /// again. [`StoreError::Foreign`] for a cell of another manager; [`StoreError::Refused`] as [`Cell::get`].
    pub fn get(&mut self) -> Result<T, StoreError> {
        let at = self.transaction.item_of_cell(self.cell)?;
        self.transaction
            .lend(at, |bytes| {
                // SAFETY: a writer of the same type wrote it: the type's fingerprint was compared when the cell was opened.
                T::to_owned(unsafe { T::view(bytes) })
            })?
            .ok_or(StoreError::Outdated)
    }

    /// Stores a value.
    ///
    /// # Errors
    ///
    /// Those of [`get`](CellIn::get), [`StoreError::NoSpace`], [`StoreError::Unwritable`]; the transaction has what it had
    /// before then.
    pub fn set(&mut self, value: impl Encode<T>) -> Result<(), StoreError> {
        let at = self.transaction.item_of_cell(self.cell)?;
        let core = self.transaction.core;
        let (fresh, len) = core.write::<T>(self.transaction.me, &value)?;
        self.transaction.aim(at, Target::Block(fresh, len));
        Ok(())
    }
}

/// A [`Dict`] as a [`Transaction`] sees it.
pub struct DictIn<'t, 'm, K: Key, V: Message> {
    transaction: &'t mut Transaction<'m>,
    dict: &'t Dict<K, V>,
}

impl<'t, 'm, K: Key, V: Message> DictIn<'t, 'm, K, V> {
    pub(super) fn new(transaction: &'t mut Transaction<'m>, dict: &'t Dict<K, V>) -> Self {
        DictIn { transaction, dict }
    }

    fn item(&mut self, key: &K::Borrowed) -> Result<usize, StoreError> {
        let table = &self.dict.table;
        K::lend(key, |bytes| self.transaction.item_of_key(table, bytes))
    }

    /// A copy of the value of a key, as an ordinary one; handles in it are attached.
    ///
    /// # Errors
    ///
    /// Those of [`CellIn::get`].
    pub fn get(&mut self, key: &K::Borrowed) -> Result<Option<V>, StoreError> {
        let at = self.item(key)?;
        self.transaction
            .lend(at, |bytes| V::to_owned(dict::view::<V>(bytes)))
    }

    /// Whether the key has a value.
    ///
    /// # Errors
    ///
    /// Those of [`CellIn::get`].
    pub fn contains_key(&mut self, key: &K::Borrowed) -> Result<bool, StoreError> {
        let at = self.item(key)?;
        Ok(self.transaction.has(at))
    }

    /// Gives a key a value, in place of the one that it has; says whether it had none.
    ///
    /// # Errors
    ///
    /// Those of [`CellIn::set`].
    pub fn insert(&mut self, key: &K::Borrowed, value: impl Encode<V>) -> Result<bool, StoreError> {
        let at = self.item(key)?;
        let is_new = !self.transaction.has(at);
        let me = self.transaction.me;
        let (fresh, len) = K::lend(key, |bytes| self.dict.write(me, bytes, &value))?;
        self.transaction.aim(at, Target::Block(fresh, len));
        Ok(is_new)
    }

    /// Takes a key and its value away; says whether it was there.
    ///
    /// # Errors
    ///
    /// Those of [`CellIn::get`].
    pub fn remove(&mut self, key: &K::Borrowed) -> Result<bool, StoreError> {
        let at = self.item(key)?;
        let was_there = self.transaction.has(at);
        self.transaction.take_away(at);
        Ok(was_there)
    }
}

impl Transaction<'_> {
    /// Has nothing be at an item's place.
    pub(super) fn take_away(&mut self, at: usize) {
        let target = match self.items[at].seen {
            Some(_) => Target::Nothing,
            None => Target::Same,
        };
        self.aim(at, target);
    }

    /// Whether there is a value at an item's place, or will be.
    pub(super) fn has(&self, at: usize) -> bool {
        match self.items[at].target {
            Target::Block(..) => true,
            Target::Nothing => false,
            Target::Same => self.items[at].seen.is_some(),
        }
    }

    /// Lends the bytes at an item's place: what is to come there, or what was seen.
    pub(super) fn lend<R>(
        &mut self,
        at: usize,
        act: impl FnOnce(&[u8]) -> crate::Result<R>,
    ) -> Result<Option<R>, StoreError> {
        let done = match self.items[at].target {
            Target::Nothing => return Ok(None),
            Target::Block(fresh, len) => {
                // SAFETY: the block is ours, and as many bytes of it were written.
                let bytes = unsafe { bytes_at(fresh.room) };
                act(&bytes[..len])
            }
            Target::Same => match self.items[at].seen {
                Some(seen) => return self.lend_seen(at, seen, act),
                None => return Ok(None),
            },
        };
        done.map(Some).map_err(StoreError::refused)
    }

    /// Lends what was seen, if it is there yet.
    fn lend_seen<R>(
        &mut self,
        at: usize,
        seen: Handle,
        act: impl FnOnce(&[u8]) -> crate::Result<R>,
    ) -> Result<Option<R>, StoreError> {
        let reading = self.items[at].place.read()?;
        let Some(reading) = reading.filter(|reading| reading.block() == seen) else {
            self.is_outdated = true;
            return Err(StoreError::Outdated);
        };
        let bytes: NonNull<[u8]> = reading.bytes;
        // SAFETY: a cell led to the block, so it is written, and the hazard keeps it as it is.
        let done = act(unsafe { bytes_at(bytes) });
        done.map(Some).map_err(StoreError::refused)
    }
}

impl<T: Message> fmt::Debug for CellIn<'_, '_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cell.fmt(f)
    }
}

impl<K: Key, V: Message> fmt::Debug for DictIn<'_, '_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.dict.fmt(f)
    }
}
