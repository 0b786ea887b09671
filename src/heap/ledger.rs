//! How several cells come to lead elsewhere at one instant, whoever dies on the way.
//!
//! A transaction has a number and a *ledger*: a block that says which cells it changes, from what and to what. A cell that it
//! changes is *tied* meanwhile: it says the number in place of a handle, and what it leads to is in the ledger. One word, the
//! *verdict*, says the number of the last transaction and what has become of it; its exchange is the commit. There is one
//! transaction at a time, by a lock that its writer holds from `open` to `settle`.
//!
//! | step | verdict | cells | blocks new |
//! |---|---|---|---|
//! | 1 open: the number, the ledger | `Open(n)` | old | `Owned(me)` |
//! | 2 enter: note a cell in the ledger, and tie it | `Open(n)` | old -> tied, which means old | `Owned(me)` |
//! | 3 decide | `Open(n)` -> `Happened(n)` | tied, which means new | `Owned(me)` |
//! | 4 settle: lead each cell there, retire and link | `Happened(n)` | tied -> new | `Owned(me)` -> `Linked` |
//! | 5 | `Settled(n)` | new | `Linked` |
//!
//! | dies after | repair, by the sweep and by whoever takes one of the dead one's locks |
//! |---|---|
//! | 1, 2 | `Open(n)` -> `Dropped(n)`; each cell back to the old; the new blocks are the dead one's, and freed |
//! | 3, 4 | steps 4 and 5 |
//!
//! Every step of the repair is an exchange from exactly what the transaction left, so that any number may do it, one after the
//! other and at once. What somebody reads in a ledger counts if the verdict says its number *afterwards*: a block is another's
//! only when the next transaction has changed that.

use super::hazard::{clear, protect, say};
use super::protocol::{Memory, complete, note_down, retire};
use super::word::{Handle, tie_in, tied};
use crate::sys::atomic::{
    AtomicU64,
    Ordering::{Acquire, Release, SeqCst},
};
use crate::sys::identity::Participant;
use crate::sys::seeded::seeded;
use crate::sys::step::step;

/// What a verdict says behind its number.
const OPEN: u64 = 0;
const HAPPENED: u64 = 1;
const DROPPED: u64 = 2;
const SETTLED: u64 = 3;
const SHIFT: u32 = 2;

/// The words of a ledger: number, writer, and for each entry the cell, what it led to and what it shall lead to.
const NUMBER: usize = 0;
const WRITER: usize = 1;
const ENTRIES: usize = 2;
const ENTRY: usize = 3;

/// The bytes of a ledger with so many entries.
pub(super) fn ledger_len(entries: usize) -> usize {
    (ENTRIES + ENTRY * entries) * size_of::<u64>()
}

/// A cell in a transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    pub(crate) home: u64,
    /// What the cell says.
    pub(crate) old: u64,
    /// What it shall say; the same if it must only stay.
    pub(crate) new: u64,
    /// The bytes of the new content, if there is one.
    pub(crate) len: u64,
}

/// A transaction that is open, or being settled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number(u64);

impl Number {
    fn verdict(self, said: u64) -> u64 {
        self.0 << SHIFT | said
    }
}

/// Begins a transaction of which `words` is to be the ledger; the caller leads the root there behind this.
pub(super) fn open(memory: &impl Memory, me: Participant, words: &[AtomicU64]) -> Number {
    // Acquire: pairs with the exchanges below. Only the holder of the transactions' lock changes the number.
    let number = Number((memory.verdict().load(Acquire) >> SHIFT) + 1);
    for (at, word) in words.iter().enumerate() {
        let first = match at {
            NUMBER => number.0,
            WRITER => u64::from(me.get()),
            _ => 0,
        };
        word.store(first, Release); // no step: the block is nobody else's. Who reads it late looks at the verdict then
    }
    step("ledger.open");
    // SeqCst: before the root leads to the ledger, and so before the last one is used again.
    memory.verdict().store(number.verdict(OPEN), SeqCst);
    number
}

/// Notes a change in an empty entry and ties its cell; `false` if the cell says something else by now.
pub(super) fn enter(
    memory: &impl Memory,
    me: Participant,
    (number, words): (Number, &[AtomicU64]),
    change: Change,
    retired: &mut impl FnMut(Handle),
) -> bool {
    let mut entries = words[ENTRIES..].chunks_exact(ENTRY);
    let free = entries.find(|entry| entry[0].load(Acquire) == 0); // this writer's own stores
    let (Some(entry), Some(cell)) = (free, memory.cell(change.home)) else {
        return false;
    };
    if let Some(old) = Handle::from_bits(change.old) {
        complete(memory, Some(me), old, retired);
    }
    if change.new != change.old
        && let Some(new) = Handle::from_bits(change.new)
    {
        let old = Handle::from_bits(change.old);
        note_down(memory, new, old, (change.len, change.home));
    }
    step("ledger.entry");
    // Release: pairs with `entries`, as the tie does. No steps between: without its home it is none.
    entry[1].store(change.old, Release);
    entry[2].store(change.new, Release); // no step: as above
    entry[0].store(change.home, Release); // no step: as above
    step("ledger.tie.cas");
    // SeqCst: as the commit of a single cell; who finds the tie finds the entry.
    let won = cell.compare_exchange(change.old, tied(number.0), SeqCst, Acquire);
    won.is_ok()
}

/// Says that the transaction has happened; from here on its cells mean the new. The commit.
pub(super) fn happen(memory: &impl Memory, number: Number) -> bool {
    decide(memory, number, HAPPENED)
}

/// Says that it has not; `false` if it has.
pub(super) fn drop_out(memory: &impl Memory, number: Number) -> bool {
    decide(memory, number, DROPPED)
}

fn decide(memory: &impl Memory, number: Number, said: u64) -> bool {
    step("ledger.decide.cas");
    let (open, decided) = (number.verdict(OPEN), number.verdict(said));
    // SeqCst: between the ties and what is done about them; readers look at this one word.
    let won = memory
        .verdict()
        .compare_exchange(open, decided, SeqCst, SeqCst);
    won.is_ok()
}

/// Takes the last steps of the last transaction if it is decided; whoever wrote it.
pub(super) fn settle(
    memory: &impl Memory,
    by: Option<Participant>,
    retired: &mut impl FnMut(Handle),
) {
    let seen = memory.verdict().load(SeqCst); // pairs with `decide`
    let (number, said) = (Number(seen >> SHIFT), seen & SETTLED);
    let Some(words) = words_of(memory, number) else {
        return;
    };
    if said != HAPPENED && said != DROPPED {
        return;
    }
    for entry in words[ENTRIES..].chunks_exact(ENTRY) {
        let [home, old, new] = [0, 1, 2].map(|at| entry[at].load(Acquire)); // pairs with `enter`
        if memory.verdict().load(SeqCst) != seen {
            return; // somebody has done all this, and the ledger may be no ledger any more
        }
        let to = if said == HAPPENED { new } else { old };
        untie(memory, number, (home, to));
        if said == HAPPENED && new != old {
            finish(memory, by, (old, new), retired);
        }
    }
    step("ledger.settled.cas");
    // From exactly the decision. Release: all of it is done before the next transaction begins.
    let _ = memory
        .verdict()
        .compare_exchange(seen, number.verdict(SETTLED), SeqCst, Acquire);
}

/// Leads a tied cell to what it means.
fn untie(memory: &impl Memory, number: Number, (home, to): (u64, u64)) {
    if let Some(cell) = memory.cell(home).filter(|_| home != 0) {
        step("ledger.untie.cas");
        // SeqCst: as the commit of a single cell.
        let _ = cell.compare_exchange(tied(number.0), to, SeqCst, Acquire);
    }
}

/// What follows when a cell leads from `old` to `new`, as behind the change of a single cell.
fn finish(
    memory: &impl Memory,
    by: Option<Participant>,
    (old, new): (u64, u64),
    retired: &mut impl FnMut(Handle),
) {
    match Handle::from_bits(new) {
        Some(new) => complete(memory, by, new, retired),
        None => {
            if let Some(old) = Handle::from_bits(old)
                && retire(memory, by, old)
            {
                retired(old);
            }
        }
    }
}

/// Decides and settles the last transaction if `is_gone` says that its writer is.
pub(super) fn settle_for(
    memory: &impl Memory,
    by: Option<Participant>,
    is_gone: impl Fn(u64) -> bool,
    retired: &mut impl FnMut(Handle),
) {
    let seen = memory.verdict().load(SeqCst); // pairs with `decide`
    let number = Number(seen >> SHIFT);
    let Some(words) = words_of(memory, number) else {
        // Its writer has tied nothing: the root does not lead to its ledger.
        return;
    };
    let writer = words[WRITER].load(Acquire); // pairs with `open`
    let is_same = memory.verdict().load(SeqCst) == seen;
    if seen & SETTLED == SETTLED || !is_same || !is_gone(writer) {
        return;
    }
    if seen & SETTLED == OPEN {
        let dropped = if seeded("transaction-happens-anyhow") {
            HAPPENED
        } else {
            DROPPED
        };
        decide(memory, number, dropped);
    }
    settle(memory, by, retired);
}

/// The words of the ledger, if the root leads to the one of this number.
fn words_of(memory: &impl Memory, number: Number) -> Option<&[AtomicU64]> {
    // Acquire: pairs with the exchange that led there.
    let ledger = Handle::from_bits(memory.cell(memory.root())?.load(Acquire))?;
    let words = memory.words(ledger)?;
    let said = words.get(NUMBER)?.load(Acquire); // pairs with `open`
    (said == number.0 && words.len() >= ENTRIES).then_some(words)
}

/// What a tied cell means, for a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// This block, which the slot keeps.
    Block(Handle),
    /// It leads nowhere.
    Nothing,
    /// It is tied no more: to be looked at again.
    Changed,
}

/// Keeps what `cell` means, which said `bits`, as [`protect`] keeps what a cell says.
#[cold]
pub(super) fn protect_tied(
    memory: &impl Memory,
    slot: &AtomicU64,
    cell: &AtomicU64,
    bits: u64,
) -> Meaning {
    let meaning = look(memory, slot, cell, bits).unwrap_or(Meaning::Changed);
    if !matches!(meaning, Meaning::Block(_)) {
        clear(slot);
    }
    meaning
}

fn look(memory: &impl Memory, slot: &AtomicU64, cell: &AtomicU64, bits: u64) -> Option<Meaning> {
    let number = Number(tie_in(bits)?);
    let ledger = protect(slot, memory.cell(memory.root())?)?;
    // SeqCst: behind the store to the slot. Tied still, so the root led to its ledger before and does so yet.
    if cell.load(SeqCst) != bits {
        return None;
    }
    let words = memory.words(ledger)?;
    if words.get(NUMBER)?.load(Acquire) != number.0 {
        return None;
    }
    let verdict = memory.verdict().load(SeqCst); // pairs with `decide`
    let entries = words.get(ENTRIES..)?.chunks_exact(ENTRY);
    let mut own = entries.filter(|entry| is_at(memory, entry[0].load(Acquire), cell)); // pairs with `enter`
    let entry = own.next()?;
    let meant = match verdict == number.verdict(HAPPENED) {
        true => entry[2].load(Acquire), // as above
        false => entry[1].load(Acquire),
    };
    let Some(block) = Handle::from_bits(meant) else {
        return Some(Meaning::Nothing);
    };
    step("ledger.protect");
    say(slot, meant);
    // SeqCst: behind the store to the slot. As long as the cell is tied and the verdict the same, nobody has retired what it
    // means; and who does so later sees the slot.
    let is_same = memory.verdict().load(SeqCst) == verdict && cell.load(SeqCst) == bits;
    (is_same || seeded("transaction-unseen-reader")).then_some(Meaning::Block(block))
}

/// Whether the cell at `home` is this very one.
fn is_at(memory: &impl Memory, home: u64, cell: &AtomicU64) -> bool {
    memory.cell(home).is_some_and(|at| std::ptr::eq(at, cell))
}
