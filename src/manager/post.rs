//! Cells of which the directory says that they are no cells: where a served object is found.

use super::Manager;
use super::cell::Cell;
use super::directory::{Form, Sort};
use crate::Result;
use crate::message::{Encode, Message};
use crate::tenancy::RawHandle;
use std::sync::Arc;

/// What a row must be; `fingerprint` also stands for the type of what its cell holds.
fn form(fingerprint: u64) -> Form {
    Form {
        sort: Sort::Served,
        fingerprint,
    }
}

impl Manager {
    /// The post called `name`; if there is none, a new one that says `first`.
    ///
    /// # Errors
    ///
    /// As [`cell`](Manager::cell).
    pub(crate) fn post<T: Message>(
        &self,
        name: &str,
        fingerprint: u64,
        first: impl Encode<T>,
    ) -> Result<Cell<T>> {
        let init = |place| Cell::<T>::init(&self.core, place, &first);
        let index = self.core.find_or_make(name, form(fingerprint), init)?;
        Cell::at(Arc::clone(&self.core), index)
    }

    /// The post called `name`.
    ///
    /// # Errors
    ///
    /// As [`open_cell`](Manager::open_cell).
    pub(crate) fn open_post<T: Message>(&self, name: &str, fingerprint: u64) -> Result<Cell<T>> {
        let index = self.core.find(name, form(fingerprint))?;
        Cell::at(Arc::clone(&self.core), index)
    }

    /// The post that a handle names.
    ///
    /// # Errors
    ///
    /// As for the handle of a cell.
    pub(crate) fn post_at<T: Message>(raw: &RawHandle, fingerprint: u64) -> Result<Cell<T>> {
        Cell::found(raw, form(fingerprint))
    }
}
