//! [`Transaction`]: changes of several objects that happen together or not at all.

mod commit;
mod faces;
mod item;
mod list;

pub use self::faces::{CellIn, DictIn};
use self::item::{Item, Spotted, Target};
pub use self::list::ListIn;
use super::cell::Cell;
use super::core::{Core, is_changing};
use super::dict::Dict;
use super::error::StoreError;
use super::key::Key;
use super::list::List;
use super::{Manager, Sequence, Table};
use crate::message::Message;
use crate::sys::identity::Participant;
use std::fmt;
use std::sync::Arc;

/// Changes of several objects of one manager that happen together or not at all; lent to the function that
/// [`Manager::transaction`] calls.
///
/// What it reads is of one instant, and what it has stored it reads itself; nobody else sees any of it before all of it has
/// happened.
pub struct Transaction<'m> {
    core: &'m Arc<Core>,
    me: Participant,
    /// What it has seen and is to store, each place once, in the order in which it came to them.
    items: Vec<Item>,
    is_outdated: bool,
}

impl Manager {
    /// Has all changes that `run` makes by way of the [`Transaction`] happen at one instant, or none of them.
    ///
    /// `run` is called again if another process has changed meanwhile what it has seen, until nobody has; so it should do
    /// nothing else that cannot be done twice. If it returns an error, or panics, nothing has happened. Other verbs than those
    /// of the transaction, called in `run`, act at once and by themselves.
    ///
    /// # When a process dies
    ///
    /// Killed at any instruction, in `run` or behind it, all has happened or nothing. Nobody sees anything in between, also
    /// those who only read and take no lock.
    ///
    /// # Waiting and cost
    ///
    /// `run` holds no lock. The transactions of a manager are committed one after the other; a commit takes the locks of the
    /// lists and of the dictionaries' shards that it changes: 0.8 us to look at two cells and store in them. Readers never wait.
    /// Who stores in a cell that is being changed waits for the commit: a process that is *stopped* within one holds him up.
    ///
    /// # Errors
    ///
    /// What `run` returns; [`StoreError::NoSpace`] when the manager's limit is reached, [`StoreError::Deadlock`] within a
    /// function that was given to [`Dict::update`] and its like, which is called with a lock held.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{Manager, Result};
    ///
    /// let manager = Manager::new()?;
    /// let accounts = manager.dict::<String, i64>("accounts")?;
    /// let transfers = manager.cell("transfers", 0_u64)?;
    /// accounts.insert("alice", 100)?;
    ///
    /// manager.transaction(|t| -> Result<()> {
    ///     let alice = t.dict(&accounts).get("alice")?.unwrap_or(0);
    ///     let bob = t.dict(&accounts).get("bob")?.unwrap_or(0);
    ///     t.dict(&accounts).insert("alice", alice - 30)?;
    ///     t.dict(&accounts).insert("bob", bob + 30)?;
    ///     let count = t.cell(&transfers).get()?;
    ///     t.cell(&transfers).set(count + 1)?;
    ///     Ok(())
    /// })?;
    /// assert_eq!(accounts.get_owned("alice")?, Some(70));
    /// assert_eq!((accounts.get_owned("bob")?, transfers.get_owned()?), (Some(30), 1));
    /// # Ok(())
    /// # }
    /// ```
    pub fn transaction<R, E: From<StoreError>>(
        &self,
        mut run: impl FnMut(&mut Transaction<'_>) -> Result<R, E>,
    ) -> Result<R, E> {
        loop {
            let mut transaction = Transaction::new(&self.core)?;
            let done = run(&mut transaction);
            if transaction.is_outdated {
                continue;
            }
            let done = done?;
            if transaction.commit()? {
                return Ok(done);
            }
        }
    }
}

impl<'m> Transaction<'m> {
    fn new(core: &'m Arc<Core>) -> Result<Self, StoreError> {
        if is_changing() {
            return Err(StoreError::Deadlock);
        }
        Ok(Transaction {
            me: core.me().map_err(StoreError::refused)?,
            core,
            items: Vec::new(),
            is_outdated: false,
        })
    }

    /// A cell, as the transaction sees it.
    pub fn cell<'t, T: Message>(&'t mut self, cell: &'t Cell<T>) -> CellIn<'t, 'm, T> {
        CellIn::new(self, cell)
    }

    /// A dictionary, as the transaction sees it.
    pub fn dict<'t, K: Key, V: Message>(
        &'t mut self,
        dict: &'t Dict<K, V>,
    ) -> DictIn<'t, 'm, K, V> {
        DictIn::new(self, dict)
    }

    /// A list, as the transaction sees it.
    pub fn list<'t, T: Message>(&'t mut self, list: &'t List<T>) -> ListIn<'t, 'm, T> {
        ListIn::new(self, list)
    }

    /// Refuses objects of another manager.
    fn admit(&self, core: &Arc<Core>) -> Result<(), StoreError> {
        match Arc::ptr_eq(self.core, core) {
            true => Ok(()),
            false => Err(StoreError::Foreign),
        }
    }

    /// Which item is about a cell, which is looked at now unless it was before.
    fn item_of_cell<T: Message>(&mut self, cell: &Cell<T>) -> Result<usize, StoreError> {
        self.admit(&cell.core)?;
        let known = self.items.iter().position(|item| item.is_cell(cell.home));
        match known {
            Some(at) => Ok(at),
            None => self.add(Item::cell(cell)?),
        }
    }

    /// Which item is about a key of a dictionary, likewise.
    fn item_of_key(&mut self, table: &Arc<Table>, key: &[u8]) -> Result<usize, StoreError> {
        self.admit(&table.core)?;
        let known = self.items.iter().position(|item| item.is_key(table, key));
        match known {
            Some(at) => Ok(at),
            None => self.add(Item::key(table, key)?),
        }
    }

    /// Which item is about an element of a list, likewise.
    fn item_of_element(&mut self, sequence: &Arc<Sequence>, at: u64) -> Result<usize, StoreError> {
        self.admit(&sequence.core)?;
        let mut known = self.items.iter();
        match known.position(|item| item.is_element(sequence, at)) {
            Some(at) => Ok(at),
            None => self.add(Item::element(sequence, at)?),
        }
    }

    /// How many elements a list has, as far as the transaction has come.
    fn length_of(&mut self, sequence: &Arc<Sequence>) -> Result<&mut u64, StoreError> {
        self.admit(&sequence.core)?;
        let mut known = self.items.iter();
        let at = match known.position(|item| item.is_length(sequence)) {
            Some(at) => at,
            None => self.add(Item::length(sequence)?)?,
        };
        match &mut self.items[at].place {
            Spotted::Length { now, .. } => Ok(now),
            _ => Err(StoreError::Outdated),
        }
    }

    /// Notes what was seen, if all that was seen before is so yet: then it is of one instant.
    fn add(&mut self, item: Item) -> Result<usize, StoreError> {
        for seen in &self.items {
            if !seen.is_current()? {
                self.is_outdated = true;
                return Err(StoreError::Outdated);
            }
        }
        self.items.push(item);
        Ok(self.items.len() - 1)
    }

    /// Has an item store something else than it was to store before.
    fn aim(&mut self, at: usize, target: Target) {
        let before = std::mem::replace(&mut self.items[at].target, target);
        self.forget(before);
    }

    fn forget(&self, target: Target) {
        if let Target::Block(fresh, _) = target {
            self.core.heap.give_back(self.me, fresh);
        }
    }

    /// Commits; `false` if somebody has changed what was seen.
    fn commit(mut self) -> Result<bool, StoreError> {
        if !self.items.iter().any(Item::is_change) {
            return Ok(true); // what was seen was of one instant
        }
        let done = commit::commit(self.core, self.me, &self.items)?;
        if done {
            self.items.clear(); // the blocks are the objects' now
        }
        Ok(done)
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        for item in std::mem::take(&mut self.items) {
            self.forget(item.target);
        }
    }
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transaction({} places)", self.items.len())
    }
}
