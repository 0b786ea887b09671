//! The steps of [`protocol`](super::protocol) for who alone may take them: stores in place of exchanges.
//!
//! | word | while it says | is changed by nobody but |
//! |---|---|---|
//! | a cell under a lock | anything | who holds the lock |
//! | a block | `Linked`, and such a cell leads there | the same |
//! | a block | `Owned(me)`, and no other cell was to lead there | the thread of `me`'s that has it |
//! | a block | `Retired(me)` | the thread of `me`'s that has it in its list |
//!
//! A lock passes to the next only when its holder has died, and `me` is repaired only when it has: then it stores no more. Who
//! was stopped in the midst of a repair makes exchanges, later, from exactly what the dead had left. By then that has been
//! settled, or the cell would not have been led on, and no word says it again.
//!
//! The stores come in the order of the steps, each a Release. So what the dead leave is what they leave there.

use super::protocol::{Draft, Memory, complete_at};
use super::word::{Handle, State, Word};
use crate::sys::atomic::{
    AtomicU64,
    Ordering::{Acquire, Release},
    store_among_exchanges,
};
use crate::sys::identity::Participant;
use crate::sys::seeded::seeded;
use crate::sys::step::step;

/// [`replace`](super::protocol::replace) of a cell under a lock, which the caller holds.
///
/// # Errors
///
/// As there; the caller was mistaken about the cell then.
#[inline]
pub(super) fn replace(
    memory: &impl Memory,
    me: Participant,
    old_bits: u64,
    draft: Draft,
    retired: &mut impl FnMut(Handle),
) -> Result<(), Option<Handle>> {
    let unit = draft.block.unit();
    let (Some(cell), Some(word), Some(note)) = (
        memory.cell(draft.home),
        memory.word(unit),
        memory.note(unit),
    ) else {
        return Err(None);
    };
    // Acquire: pairs with the commit of who held the lock before, as the lock itself does.
    let now = cell.load(Acquire);
    if now != old_bits {
        return Err(Handle::from_bits(now));
    }
    let old = Handle::from_bits(old_bits);
    let left = old.and_then(|old| Some((old, memory.word(old.unit())?)));
    if let Some(left) = left
        && !seeded("heap-replaces-unlinked")
    {
        complete_at(memory, Some(me), left, retired);
    }
    note.write(old, (draft.len, draft.home));
    step("heap.replace.store");
    // The commit. Release: pairs with the looks at the cell; the content and the note are seen. Before the look at the hazards
    // there is a fence, see `hazards`.
    store_among_exchanges(cell, draft.block.to_bits(), Release);
    if let Some((old, word)) = left
        && change(word, old, State::Linked, "heap.retire.store", |word| {
            word.retired_by(Some(me))
        })
        .is_some()
    {
        retired(old);
    }
    let owned = State::Owned(me.get());
    change(word, draft.block, owned, "heap.link.store", Word::linked);
    Ok(())
}

/// Makes a block that `me` has retired `me`'s again, for its next use. Nobody reads it, and the caller had it in its list.
///
/// Whoever dies with it leaves a block to which no cell leads.
#[inline]
pub(super) fn keep(word: &AtomicU64, me: Participant, block: Handle) -> Option<Handle> {
    let retired = State::Retired(me.get());
    let next = change(word, block, retired, "heap.keep.store", |word| {
        word.freed().owned_by(me)
    });
    next.map(|next| next.handle(block.unit()))
}

/// Whether a block is still what [`keep`] made it: a child of a fork finds its parent's in its list.
#[inline]
pub(super) fn is_kept(word: &AtomicU64, me: Participant, block: Handle) -> bool {
    // Acquire: pairs with `keep`, as the list's lock does.
    let seen = Word(word.load(Acquire));
    seen.is_of(block) && seen.state() == State::Owned(me.get())
}

/// Changes the word of one use of a block that is in this state; what it says then.
#[inline(always)]
fn change(
    word: &AtomicU64,
    block: Handle,
    from: State,
    name: &'static str,
    to: impl Fn(Word) -> Word,
) -> Option<Word> {
    // Acquire: pairs with the Release of whoever brought it there.
    let seen = Word(word.load(Acquire));
    if !seen.is_of(block) || seen.state() != from {
        return None;
    }
    let next = to(seen);
    step(name);
    // Release: what was done with the block comes before what is done with it in its next state.
    store_among_exchanges(word, next.0, Release);
    Some(next)
}
