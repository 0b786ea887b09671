//! New elements that no cell leads to yet.

use super::super::core::Core;
use super::super::error::StoreError;
use crate::heap::Fresh;
use crate::message::{Encode, Message};
use crate::sys::identity::Participant;

/// Blocks with the elements that are to be added; those that are not are given back when this is dropped.
pub(in crate::manager) struct Drafts<'a> {
    core: &'a Core,
    me: Participant,
    blocks: Vec<(Fresh, usize)>,
    added: usize,
}

impl<'a> Drafts<'a> {
    /// Writes each of the values into a block of its own.
    pub(in crate::manager) fn write<T: Message, V: Encode<T>>(
        core: &'a Core,
        values: impl IntoIterator<Item = V>,
    ) -> Result<Self, StoreError> {
        let mut drafts = Drafts {
            core,
            me: core.me().map_err(StoreError::refused)?,
            blocks: Vec::new(),
            added: 0,
        };
        for value in values {
            let block = core.write::<T>(drafts.me, &value)?;
            drafts.blocks.push(block);
        }
        Ok(drafts)
    }

    pub(in crate::manager) fn is_empty(&self) -> bool {
        self.blocks().is_empty()
    }

    pub(super) fn blocks(&self) -> &[(Fresh, usize)] {
        &self.blocks[self.added..]
    }

    /// So many of them are somebody else's affair now.
    pub(super) fn have_added(&mut self, count: usize) {
        self.added += count;
    }
}

impl Drop for Drafts<'_> {
    fn drop(&mut self) {
        for (fresh, _) in self.blocks() {
            self.core.heap.give_back(self.me, *fresh);
        }
    }
}
