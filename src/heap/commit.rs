//! A transaction over cells of a heap, as its writer has it.

use super::core::{Fresh, Heap};
use super::ledger::{self, Change, Number};
use super::room::stray;
use super::word::{Handle, VACATED};
use crate::error::Result;
use crate::sys::atomic::AtomicU64;
use crate::sys::identity::Participant;

/// A transaction that is open; the caller holds the transactions' lock until it is decided and settled.
///
/// Dropped undecided, it has not happened.
pub(crate) struct Commit<'a> {
    heap: &'a Heap,
    me: Participant,
    number: Number,
    words: &'a [AtomicU64],
    is_decided: bool,
}

/// What a cell shall come to say.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// This block, with so many bytes of content.
    Block(Fresh, usize),
    /// Nothing any more.
    Nothing,
    /// What it says.
    Same,
}

impl Heap {
    /// The length of the ledger of a transaction with so many changes.
    pub(crate) fn ledger_len(changes: usize) -> usize {
        ledger::ledger_len(changes)
    }

    /// Begins a transaction, of which `fresh` is to be the ledger.
    ///
    /// # Errors
    ///
    /// `Corrupt` if the heap is damaged.
    pub(crate) fn begin(
        &self,
        me: Participant,
        (fresh, len): (Fresh, usize),
    ) -> Result<Commit<'_>> {
        let words = self.words_for(fresh, len).ok_or_else(stray)?;
        let number = ledger::open(self.room(), me, words);
        let root = self.root();
        match self.replace(me, root, self.current(root), (fresh, len)) {
            true => Ok(Commit {
                heap: self,
                me,
                number,
                words,
                is_decided: false,
            }),
            false => Err(stray()),
        }
    }

    /// Settles the last transaction. The caller has the transactions' lock, so its writer has settled it, or is dead.
    pub(crate) fn settle(&self, me: Participant) {
        self.retiring_all(me, |retired| {
            let mut note = |block| retired.push(block);
            ledger::settle_for(self.room(), Some(me), |_writer| true, &mut note);
        });
    }
}

impl Commit<'_> {
    /// Ties a cell that says `old`; `false` if it says something else by now.
    pub(crate) fn enter(&self, home: u64, old: u64, target: Target) -> bool {
        let (new, len) = match target {
            Target::Block(fresh, len) => (fresh.handle().to_bits(), len as u64),
            Target::Nothing => (VACATED, 0),
            Target::Same => (old, 0),
        };
        let change = Change {
            home,
            old,
            new,
            len,
        };
        let mut won = false;
        self.heap.retiring_all(self.me, |retired| {
            let mut note = |block: Handle| retired.push(block);
            won = ledger::enter(
                self.heap.room(),
                self.me,
                (self.number, self.words),
                change,
                &mut note,
            );
        });
        won
    }

    /// Has all of it happen, at this instant.
    pub(crate) fn happen(mut self) {
        ledger::happen(self.heap.room(), self.number);
        self.is_decided = true;
    }
}

impl Drop for Commit<'_> {
    fn drop(&mut self) {
        if !self.is_decided {
            ledger::drop_out(self.heap.room(), self.number);
        }
        self.heap.retiring_all(self.me, |retired| {
            ledger::settle(self.heap.room(), Some(self.me), &mut |block| {
                retired.push(block)
            });
        });
    }
}
