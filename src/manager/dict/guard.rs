//! [`DictGuard`]: a value of a dictionary or of a namespace, where it lies.

use crate::Result;
use crate::heap::{Handle, Reading};
use crate::manager::table::Table;
use crate::message::{Message, bytes_at};
use std::fmt;
use std::ops::Deref;
use std::ptr::NonNull;

/// A value of a [`Dict`](crate::Dict) or of a [`Namespace`](crate::Namespace), read in place: a guard that derefs to its view.
///
/// It shows the value that was there when it was made. The memory of that entry stays as long as the guard lives; it belongs to
/// the thread that made it.
#[must_use = "the value may be replaced as soon as the guard is dropped"]
pub struct DictGuard<'a, V: Message> {
    entry: Reading<'a>,
    view: NonNull<V::View>,
    table: &'a Table,
}

// SAFETY: a shared guard gives shared access to a view, and nothing else.
unsafe impl<V: Message<View: Sync>> Sync for DictGuard<'_, V> {}

impl<'a, V: Message> DictGuard<'a, V> {
    /// A guard on the value that `view` finds in an entry of that table, if it finds one.
    #[inline(always)]
    pub(in crate::manager) fn of(
        table: &'a Table,
        entry: Reading<'a>,
        view: impl FnOnce(&[u8]) -> Option<&V::View>,
    ) -> Option<Self> {
        // SAFETY: a cell led to the entry, so it is written, and the hazard keeps it as it is.
        let view = NonNull::from(view(unsafe { bytes_at(entry.bytes) })?);
        Some(DictGuard { entry, view, table })
    }

    /// Which entry it shows, if that was found in this table.
    #[inline]
    pub(super) fn found_in(&self, table: &Table) -> Option<Handle> {
        table.is_same(self.table).then(|| self.entry.block())
    }

    /// Copies the value out as an ordinary one; handles in it are attached.
    ///
    /// # Errors
    ///
    /// When a handle cannot be attached because its object is gone.
    pub fn to_owned(&self) -> Result<V> {
        V::to_owned(self)
    }
}

impl<V: Message> Deref for DictGuard<'_, V> {
    type Target = V::View;

    #[inline(always)]
    fn deref(&self) -> &V::View {
        // SAFETY: made from the entry's bytes, which the hazard keeps where and as they are.
        unsafe { self.view.as_ref() }
    }
}

impl<V: Message<View: fmt::Debug>> fmt::Debug for DictGuard<'_, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
