//! How a cell comes to lead to another block, whoever dies on the way.
//!
//! A cell is a word with the handle of a block, or 0. What lies in a block never changes as long as a cell leads to it: a
//! change is a new block, to which one exchange leads the cell. That exchange is the commit word.
//!
//! | step | block new | block old | cell |
//! |---|---|---|---|
//! | 1 take | `Free` -> `Owned(me)` | `Linked` | old |
//! | 2 write it, and note in it what it replaces, and where | `Owned(me)` | `Linked` | old |
//! | 3 lead the cell there | `Owned(me)` | `Linked` | old -> new |
//! | 4 retire what was replaced | `Owned(me)` | `Linked` -> `Retired(me)` | new |
//! | 5 say that it is linked | `Owned(me)` -> `Linked` | `Retired(me)` | new |
//! | 6 nobody reads it any more | `Linked` | `Retired(me)` -> `Free`, or `Owned(me)` for its next use | new |
//!
//! One rule makes this whole: *nobody leads a cell away from a block before the block says that it is linked*. Whoever finds
//! a block that does not say so takes steps 4 and 5 first, on behalf of its writer. So a block that says `Owned` of the dead
//! has never been replaced: either its cell leads there now, or none ever did.
//!
//! | dies after | left | repair |
//! |---|---|---|
//! | 1, 2 | `Owned(dead)`, its cell leads elsewhere | free it, bare |
//! | 3 | `Owned(dead)`, its cell leads to it | steps 4 and 5 |
//! | 4 | the same, and `Retired(dead)` | the same, and step 6 |
//! | 5 | `Retired(dead)` | step 6 |
//! | 6 | `Free`; or `Owned(dead)`, as after 1 | nothing; free it, bare |
//! | reading | a row of hazards | it is freed |

use super::hazard::{HazardRow, hazards};
#[cfg(not(loom))]
use super::word::VACATED;
use super::word::{Handle, State, UNIT_BITS, Word};
use crate::sys::atomic::{
    AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst},
};
use crate::sys::identity::Participant;
use crate::sys::seeded::seeded;
use crate::sys::step::step;

/// The words of a heap, wherever they lie.
pub(crate) trait Memory {
    /// The word of the block that begins at `unit`, if one can begin there.
    fn word(&self, unit: u64) -> Option<&AtomicU64>;

    /// What the block at `unit` notes about itself, for who has found its word.
    fn note(&self, unit: u64) -> Option<&Note>;

    /// The cell at `home`, if one can be there.
    fn cell(&self, home: u64) -> Option<&AtomicU64>;

    /// The home of the cell that leads to the ledger of the last transaction.
    fn root(&self) -> u64;

    /// Its number, and what has become of it; see [`super::ledger`].
    fn verdict(&self) -> &AtomicU64;

    /// The content of a block as words.
    fn words(&self, block: Handle) -> Option<&[AtomicU64]>;

    /// The rows of all readers.
    fn rows(&self) -> impl Iterator<Item = &HazardRow>;
}

/// The beginning of a block.
#[derive(Debug)]
#[cfg_attr(not(loom), repr(C))]
pub(crate) struct Note {
    /// The handle of the block in whose place this one comes, or 0.
    replaces: AtomicU64,
    /// `length:30 | home:34`: the bytes of the content, and the cell that is to lead here.
    place: AtomicU64,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Note>() == 16);
#[cfg(not(loom))]
crate::segment::layout::assert_offsets!(Note {
    replaces: 0,
    place: 8,
});

// SAFETY: repr(C), nothing but atomics.
#[cfg(not(loom))]
unsafe impl crate::segment::layout::Layout for Note {}

/// The most bytes that a block can say it has.
#[cfg(not(loom))]
pub(crate) const LONGEST: u64 = (1 << (u64::BITS - UNIT_BITS)) - 1;

impl Note {
    #[cfg(loom)]
    pub(super) fn new() -> Self {
        Note {
            replaces: AtomicU64::new(0),
            place: AtomicU64::new(0),
        }
    }

    /// What the block is to replace, how many bytes it has, and where it is to go.
    #[inline(always)]
    pub(super) fn write(&self, old: Option<Handle>, (len, home): (u64, u64)) {
        step("heap.note.replaces");
        // Relaxed: both are published by the exchange that leads there, or ties the cell.
        self.replaces.store(old.map_or(0, Handle::to_bits), Relaxed);
        step("heap.note.place");
        self.place.store(len << UNIT_BITS | home, Relaxed); // as above
    }

    fn home(&self) -> u64 {
        self.place.load(Relaxed) & ((1 << UNIT_BITS) - 1) // ordered by the word or the cell that led here
    }

    /// The bytes of the content, for who came here by a cell.
    #[cfg(not(loom))]
    #[inline(always)]
    pub(super) fn len(&self) -> u64 {
        self.place.load(Relaxed) >> UNIT_BITS // ordered by the cell
    }
}

/// A new block, and the cell that is to lead to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draft {
    pub(crate) block: Handle,
    /// The bytes of its content.
    pub(crate) len: u64,
    pub(crate) home: u64,
}

/// A block that was taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub(super) block: Handle,
    /// Whether memory is to be asked for before it is used.
    pub(super) is_bare: bool,
}

/// Takes the block at `unit` for `me`, if it is free.
#[inline]
pub(super) fn take(memory: &impl Memory, me: Participant, unit: u64) -> Option<Taken> {
    let word = memory.word(unit)?;
    let seen = Word(word.load(Relaxed));
    if !matches!(seen.state(), State::Free | State::Bare) {
        return None;
    }
    let mine = seen.owned_by(me);
    step("heap.take.cas");
    // Acquire: pairs with the Release of `free`: the last readers have gone before this writes.
    let won = word.compare_exchange(seen.0, mine.0, Acquire, Relaxed);
    won.is_ok().then(|| Taken {
        block: mine.handle(unit),
        is_bare: seen.state() == State::Bare,
    })
}

/// Gives back a block of `me`'s to which no cell has led.
pub(super) fn give_back(memory: &impl Memory, me: Participant, block: Handle) -> bool {
    exchange(memory, block, "heap.give-back.cas", |word| {
        (word.state() == State::Owned(me.get())).then(|| word.freed())
    })
}

/// Gives back a block of `me`'s for which there was no memory.
#[cfg(not(loom))]
pub(super) fn give_back_bare(memory: &impl Memory, me: Participant, block: Handle) {
    exchange(memory, block, "heap.give-back.cas", |word| {
        (word.state() == State::Owned(me.get())).then(|| word.bared())
    });
}

/// What the cell at `home` leads to at the moment; looked at by who will replace it.
#[cfg(not(loom))]
pub(super) fn current(memory: &impl Memory, home: u64) -> Option<Handle> {
    // Acquire: pairs with the exchange in `replace`; the block's note is seen.
    memory
        .cell(home)
        .and_then(|cell| Handle::from_bits(cell.load(Acquire)))
}

/// Leads the cell from what it says, `old_bits`, to the draft, whose content is written. `retired` is told of every block that is `me`'s to free
/// now, which may be more than the one replaced.
///
/// # Errors
///
/// What the cell leads to if that is something else; nothing has happened then, and the draft is still `me`'s.
#[inline]
pub(super) fn replace(
    memory: &impl Memory,
    me: Participant,
    old_bits: u64,
    draft: Draft,
    retired: &mut impl FnMut(Handle),
) -> Result<(), Option<Handle>> {
    let old = Handle::from_bits(old_bits);
    let (Some(cell), Some(note)) = (memory.cell(draft.home), memory.note(draft.block.unit()))
    else {
        return Err(None);
    };
    if let Some(old) = old
        && !seeded("heap-replaces-unlinked")
    {
        complete(memory, Some(me), old, retired);
    }
    note.write(old, (draft.len, draft.home));
    step("heap.replace.cas");
    // The commit. Release: pairs with the looks at the cell; the content and the note are seen. SeqCst: before the look
    // at the hazards, see `HazardRow::hazards`.
    let won = cell.compare_exchange(old_bits, draft.block.to_bits(), SeqCst, Acquire);
    if let Err(now) = won {
        return Err(Handle::from_bits(now));
    }
    if let Some(old) = old
        && retire(memory, Some(me), old)
    {
        retired(old);
    }
    exchange(memory, draft.block, "heap.link.cas", |word| {
        (word.state() == State::Owned(me.get())).then(|| word.linked())
    });
    Ok(())
}

/// Says of a block of `me`'s that it is linked, before any cell leads to it: what the caller has noted knows of it from here on.
/// Its home is a cell that never leads to it.
#[cfg(not(loom))]
pub(super) fn link(memory: &impl Memory, me: Participant, draft: Draft) {
    if let Some(note) = memory.note(draft.block.unit()) {
        step("heap.link.note");
        // Relaxed: both are published by the exchange below.
        note.replaces.store(0, Relaxed);
        note.place
            .store(draft.len << UNIT_BITS | draft.home, Relaxed); // no step: as good as the one before
    }
    exchange(memory, draft.block, "heap.link.cas", |word| {
        (word.state() == State::Owned(me.get())).then(|| word.linked())
    });
}

/// Takes a block away from its cell, which says `VACATED` then. There is no new block to tell of this: the caller has noted it
/// where [`finish_vacating`] is called from, and keeps everybody else from changing the cell.
#[cfg(not(loom))]
pub(super) fn vacate(
    memory: &impl Memory,
    me: Participant,
    home: u64,
    old: Handle,
    retired: &mut impl FnMut(Handle),
) {
    complete(memory, Some(me), old, retired);
    if let Some(cell) = memory.cell(home) {
        step("heap.vacate.cas");
        // As in `replace`.
        let _ = cell.compare_exchange(old.to_bits(), VACATED, SeqCst, Acquire);
    }
    finish_vacating(memory, me, home, old, retired);
}

/// Retires a block that somebody took away from its cell, if he got as far.
#[cfg(not(loom))]
pub(super) fn finish_vacating(
    memory: &impl Memory,
    me: Participant,
    home: u64,
    old: Handle,
    retired: &mut impl FnMut(Handle),
) {
    let cell = memory.cell(home);
    // Acquire: pairs with the exchange of the dead.
    let is_gone = cell.is_some_and(|cell| cell.load(Acquire) != old.to_bits());
    if is_gone && retire(memory, Some(me), old) {
        retired(old);
    }
}

/// Takes the last two steps for whoever led a cell to `block`, if they were not taken yet. The caller has seen the cell lead
/// there.
#[inline]
pub(super) fn complete(
    memory: &impl Memory,
    by: Option<Participant>,
    block: Handle,
    retired: &mut impl FnMut(Handle),
) {
    if let Some(word) = memory.word(block.unit()) {
        complete_at(memory, by, (block, word), retired);
    }
}

/// [`complete`] for a block whose word was found.
#[inline(always)]
pub(super) fn complete_at(
    memory: &impl Memory,
    by: Option<Participant>,
    (block, word): (Handle, &AtomicU64),
    retired: &mut impl FnMut(Handle),
) {
    // Acquire: pairs with `exchange`; what is retired here was linked before.
    let seen = Word(word.load(Acquire));
    if seen.is_of(block) && matches!(seen.state(), State::Owned(_)) {
        complete_owned(memory, by, (block, word, seen), retired);
    }
}

/// [`complete`] for a block that says whose it is.
#[cold]
fn complete_owned(
    memory: &impl Memory,
    by: Option<Participant>,
    (block, word, seen): (Handle, &AtomicU64, Word),
    retired: &mut impl FnMut(Handle),
) {
    let Some(note) = memory.note(block.unit()) else {
        return;
    };
    // Acquire: before the second look at the word. As long as that says `Owned` nobody has used the block again, so this is
    // what it replaces.
    let replaced = note.replaces.load(Acquire);
    if word.load(Acquire) != seen.0 {
        return;
    }
    if let Some(old) = Handle::from_bits(replaced)
        && retire(memory, by, old)
    {
        retired(old);
    }
    step("heap.complete.cas");
    // AcqRel: between the writer's stores and who replaces the block next.
    let _ = word.compare_exchange(seen.0, seen.linked().0, AcqRel, Relaxed);
}

/// Has a block note what it is to replace, and the length of its content and its home.
pub(super) fn note_down(
    memory: &impl Memory,
    block: Handle,
    old: Option<Handle>,
    place: (u64, u64),
) {
    if let Some(note) = memory.note(block.unit()) {
        note.write(old, place);
    }
}

/// Retires the block that another has replaced, or to which no cell leads any more, unless somebody did so before.
pub(super) fn retire(memory: &impl Memory, by: Option<Participant>, block: Handle) -> bool {
    exchange(memory, block, "heap.retire.cas", |word| {
        (word.state() == State::Linked).then(|| word.retired_by(by))
    })
}

/// Frees what `by` has retired and nobody reads. What is freed for the dead is bare: they may have given its memory away.
pub(super) fn free(memory: &impl Memory, by: Option<Participant>, block: Handle) -> bool {
    let owner = by.map_or(0, Participant::get);
    exchange(memory, block, "heap.free.cas", |word| {
        let freed = || by.map_or(word.bared(), |_| word.freed());
        (word.state() == State::Retired(owner)).then(freed)
    })
}

/// Frees what `me` has retired and nobody reads, and whose memory may be gone.
#[cfg(not(loom))]
fn free_bare(memory: &impl Memory, me: Participant, block: Handle) -> bool {
    exchange(memory, block, "heap.free.cas", |word| {
        (word.state() == State::Retired(me.get())).then(|| word.bared())
    })
}

/// Changes the word of one use of a block from exactly what it says; `false` if there is nothing to change.
fn exchange(
    memory: &impl Memory,
    block: Handle,
    name: &'static str,
    change: impl Fn(Word) -> Option<Word>,
) -> bool {
    let Some(word) = memory.word(block.unit()) else {
        return false;
    };
    // Acquire: pairs with the Release below.
    let mut seen = Word(word.load(Acquire));
    loop {
        let Some(next) = change(seen).filter(|_| seen.is_of(block)) else {
            return false;
        };
        step(name);
        // Release: what was done with the block comes before what is done with it in its next state.
        match word.compare_exchange(seen.0, next.0, AcqRel, Acquire) {
            Ok(_) => return true,
            Err(now) => seen = Word(now),
        }
    }
}

/// Frees those of `retired` that nobody reads, all of them `by`'s, and says which; what is read stays.
pub(super) fn reclaim(
    memory: &impl Memory,
    by: Option<Participant>,
    retired: &mut Vec<Handle>,
    freed: &mut impl FnMut(Handle),
) {
    unread(memory, retired, |block| {
        if free(memory, by, block) {
            freed(block);
        }
    });
}

/// [`reclaim`] of blocks that will not be needed soon: `punch` gives the memory of each away before it is free.
#[cfg(not(loom))]
pub(super) fn reclaim_memory(
    memory: &impl Memory,
    me: Participant,
    retired: &mut Vec<Handle>,
    punch: &mut impl FnMut(Handle),
) -> Vec<Handle> {
    let mut freed = Vec::new();
    unread(memory, retired, |block| {
        punch(block);
        if free_bare(memory, me, block) {
            freed.push(block);
        }
    });
    freed
}

/// Hands on those of `retired` that nobody reads.
pub(super) fn unread(memory: &impl Memory, retired: &mut Vec<Handle>, mut act: impl FnMut(Handle)) {
    if retired.is_empty() {
        return;
    }
    let read = hazards(memory.rows());
    retired.retain(|&block| {
        let is_read = read.binary_search(&block.to_bits()).is_ok();
        if !is_read {
            act(block);
        }
        is_read
    });
}

/// Settles one block of a dead participant's. What it had retired waits for whoever comes; `retired` is told.
pub(super) fn settle(
    memory: &impl Memory,
    dead: Participant,
    unit: u64,
    retired: &mut impl FnMut(Handle),
) {
    let (Some(word), Some(note)) = (memory.word(unit), memory.note(unit)) else {
        return;
    };
    // Acquire: pairs with `exchange` and `take`.
    let seen = Word(word.load(Acquire));
    let block = seen.handle(unit);
    match seen.state() {
        State::Owned(owner) if owner == dead.get() => {
            let cell = memory.cell(note.home());
            // Acquire: pairs with the exchange in `replace`.
            if cell.is_some_and(|cell| cell.load(Acquire) == block.to_bits()) {
                return complete(memory, None, block, retired);
            }
            step("heap.settle.cas");
            if seeded("heap-sweep-frees-twice") {
                return word.store(seen.bared().0, Release);
            }
            // From exactly the dead word: while it says so, no cell has led away from the block.
            let _ = word.compare_exchange(seen.0, seen.bared().0, AcqRel, Relaxed);
        }
        State::Retired(owner) if owner == dead.get() => {
            step("heap.adopt.cas");
            // From exactly the dead word. Release and Acquire as in `exchange`.
            let orphan = seen.retired_by(None);
            let won = word.compare_exchange(seen.0, orphan.0, AcqRel, Relaxed);
            if won.is_ok() {
                retired(block);
            }
        }
        State::Retired(0) => retired(block),
        _ => {}
    }
}

/// Whether the block at `unit` is retired and waits for whoever comes.
pub(super) fn orphan(memory: &impl Memory, unit: u64) -> Option<Handle> {
    // Acquire: pairs with `exchange`; no cell leads there.
    let word = Word(memory.word(unit)?.load(Acquire));
    (word.state() == State::Retired(0)).then(|| word.handle(unit))
}

/// Whether the block at `unit` is free, for the moment.
pub(super) fn is_free(memory: &impl Memory, unit: u64) -> bool {
    let word = memory.word(unit);
    let state = word.map(|word| Word(word.load(Relaxed)).state()); // a hint
    matches!(state, Some(State::Free | State::Bare))
}

/// Whether the block at `unit` is free and perhaps without memory, for the moment.
#[cfg(not(loom))]
pub(super) fn is_bare(memory: &impl Memory, unit: u64) -> bool {
    let word = memory.word(unit);
    word.is_some_and(|word| Word(word.load(Relaxed)).state() == State::Bare) // a hint
}
