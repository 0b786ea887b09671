//! A list as a transaction sees it.

use super::Transaction;
use super::item::Target;
use crate::manager::error::StoreError;
use crate::manager::list::List;
use crate::message::{Encode, Message};
use std::fmt;

/// A [`List`] as a [`Transaction`] sees it: its elements, and its end.
pub struct ListIn<'t, 'm, T: Message> {
    transaction: &'t mut Transaction<'m>,
    list: &'t List<T>,
}

impl<'t, 'm, T: Message> ListIn<'t, 'm, T> {
    pub(super) fn new(transaction: &'t mut Transaction<'m>, list: &'t List<T>) -> Self {
        ListIn { transaction, list }
    }

    fn item(&mut self, index: u64) -> Result<usize, StoreError> {
        self.transaction.item_of_element(&self.list.sequence, index)
    }

    /// A copy of an element, as an ordinary value; handles in it are attached. `None` if there are not so many.
    ///
    /// # Errors
    ///
    /// Those of [`CellIn::get`](crate::CellIn::get).
    pub fn get(&mut self, index: usize) -> Result<Option<T>, StoreError> {
        let at = self.item(index as u64)?;
        self.transaction.lend(at, |bytes| {
            // SAFETY: a writer of the same type wrote it: the type's fingerprint was compared when the list was opened.
            T::to_owned(unsafe { T::view(bytes) })
        })
    }

    /// Stores a value in the place of an element.
    ///
    /// # Errors
    ///
    /// Those of [`CellIn::set`](crate::CellIn::set); [`StoreError::OutOfRange`] if there is no such element.
    pub fn set(&mut self, index: usize, value: impl Encode<T>) -> Result<(), StoreError> {
        let at = self.item(index as u64)?;
        if !self.transaction.has(at) {
            let len = self.len()?;
            return Err(StoreError::OutOfRange { index, len });
        }
        self.put(at, value)
    }

    /// Adds an element behind the last one.
    ///
    /// # Errors
    ///
    /// Those of [`CellIn::set`](crate::CellIn::set).
    pub fn push(&mut self, value: impl Encode<T>) -> Result<(), StoreError> {
        let len = *self.transaction.length_of(&self.list.sequence)?;
        let at = self.item(len)?;
        self.put(at, value)?;
        *self.transaction.length_of(&self.list.sequence)? = len + 1;
        Ok(())
    }

    /// Takes the last element away and returns it; `None` if there is none.
    ///
    /// # Errors
    ///
    /// Those of [`CellIn::get`](crate::CellIn::get).
    pub fn pop(&mut self) -> Result<Option<T>, StoreError> {
        let len = *self.transaction.length_of(&self.list.sequence)?;
        let Some(last) = len.checked_sub(1) else {
            return Ok(None);
        };
        let value = self.get(last as usize)?;
        let at = self.item(last)?;
        self.transaction.take_away(at);
        *self.transaction.length_of(&self.list.sequence)? = last;
        Ok(value)
    }

    /// How many elements there are.
    ///
    /// # Errors
    ///
    /// Those of [`CellIn::get`](crate::CellIn::get).
    pub fn len(&mut self) -> Result<usize, StoreError> {
        Ok(*self.transaction.length_of(&self.list.sequence)? as usize)
    }

    /// Whether there is none.
    ///
    /// # Errors
    ///
    /// Those of [`CellIn::get`](crate::CellIn::get).
    pub fn is_empty(&mut self) -> Result<bool, StoreError> {
        Ok(self.len()? == 0)
    }

    fn put(&mut self, at: usize, value: impl Encode<T>) -> Result<(), StoreError> {
        let core = self.transaction.core;
        let (fresh, len) = core.write::<T>(self.transaction.me, &value)?;
        self.transaction.aim(at, Target::Block(fresh, len));
        Ok(())
    }
}

impl<T: Message> fmt::Debug for ListIn<'_, '_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.list.fmt(f)
    }
}
