//! Hazards: what a thread reads at the moment, so that nobody uses its memory again meanwhile.
//!
//! A reader stores the handle that a cell says into a slot of its own and looks at the cell once more: where it still says
//! the same, the block stays until the slot is cleared. Who takes blocks back has all processors pass a barrier, so that each
//! reader has seen that the cell leads elsewhere or its slot is seen, and leaves what stands in any slot.
//!
//! A stopped reader keeps what it reads and nothing else.
//!
//! | word of a row | meaning |
//! |---|---|
//! | 0 | the row is free, whatever its slots say |
//! | `participant:12 \| serial:52` | that thread's, which alone stores to its slots |
//!
//! Who takes a row clears its slots before it uses them. So the dead lose their rows by one exchange, and a sweeper that was
//! stopped halfway has nothing to do to a row that is somebody else's by now.

use super::word::Handle;
use crate::sys::atomic::{
    AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst},
    publish_then_look,
};
use crate::sys::identity::Participant;
use crate::sys::membarrier;
use crate::sys::seeded::seeded;
use crate::sys::step::step;

/// How many blocks one row keeps.
#[cfg(not(loom))]
pub(crate) const SLOTS: usize = 15;
#[cfg(loom)]
pub(crate) const SLOTS: usize = 1;

/// The row of one thread; a thread that reads more at once has several.
#[derive(Debug)]
#[cfg_attr(not(loom), repr(C, align(128)))]
pub(crate) struct HazardRow {
    owner: AtomicU64,
    slots: [AtomicU64; SLOTS],
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<HazardRow>() == 128);
#[cfg(not(loom))]
crate::segment::layout::assert_offsets!(HazardRow { owner: 0, slots: 8 });

// SAFETY: repr(C), nothing but atomics.
#[cfg(not(loom))]
unsafe impl crate::segment::layout::Layout for HazardRow {}

const PARTICIPANT_SHIFT: u32 = 52;

/// Who has a row: a thread of a participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keeper(u64);

impl Keeper {
    /// The thread with this serial.
    pub(crate) fn new(who: Participant, serial: u64) -> Self {
        let serial = serial & ((1 << PARTICIPANT_SHIFT) - 1);
        Keeper(u64::from(who.get()) << PARTICIPANT_SHIFT | serial)
    }
}

impl HazardRow {
    #[cfg(loom)]
    pub(super) fn new() -> Self {
        HazardRow {
            owner: AtomicU64::new(0),
            slots: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// Takes the row, if it is nobody's.
    pub(crate) fn claim(&self, keeper: Keeper) -> bool {
        if self.owner.load(Relaxed) != 0 {
            return false; // spares the lines of others an exchange
        }
        step("hazard.row.claim");
        // SeqCst: before this thread's looks at cells, as its slots are.
        let won = self.owner.compare_exchange(0, keeper.0, SeqCst, Relaxed);
        if won.is_ok() {
            self.slots.iter().for_each(clear);
        }
        won.is_ok()
    }

    /// Whether it is the row of `keeper`.
    #[cfg(not(loom))]
    pub(crate) fn is_of(&self, keeper: Keeper) -> bool {
        self.owner.load(Relaxed) == keeper.0 // its own store, or somebody else's row
    }

    /// Gives the row of `keeper` up; `false` if something is still read by it, or it is another's.
    #[cfg(not(loom))]
    pub(crate) fn give_up(&self, keeper: Keeper) -> bool {
        let mut slots = self.slots.iter();
        if slots.any(|slot| slot.load(Relaxed) != 0) {
            return false; // a guard was forgotten: what it refers to stays
        }
        step("hazard.row.free");
        // Release: pairs with `claim`.
        let given = self.owner.compare_exchange(keeper.0, 0, Release, Relaxed);
        given.is_ok()
    }

    /// Frees the row if it is of a dead participant.
    pub(super) fn bury(&self, dead: Participant) {
        let seen = self.owner.load(Acquire); // pairs with `claim`
        let is_theirs = seen >> PARTICIPANT_SHIFT == u64::from(dead.get());
        if is_theirs && !seeded("heap-keeps-hazards") {
            step("hazard.row.bury");
            // From exactly the dead word: a row that was taken anew says something else.
            let _ = self.owner.compare_exchange(seen, 0, AcqRel, Relaxed);
        }
    }

    /// A slot of this row in which nothing stands; the row is the calling thread's.
    #[inline(always)]
    pub(crate) fn free_slot(&self) -> Option<&AtomicU64> {
        let mut slots = self.slots.iter();
        slots.find(|slot| slot.load(Relaxed) == 0) // nobody else stores anything but 0
    }

    /// What its owner reads, if anybody has it.
    pub(super) fn hazards(&self) -> impl Iterator<Item = u64> {
        // SeqCst: behind the exchange that led the cell elsewhere; pairs with `say_alone`.
        let taken = self.owner.load(SeqCst) != 0;
        let slots = self.slots.iter().filter(move |_| taken);
        // SeqCst as above, and so Acquire: pairs with `clear`; what was read was read before the block is used again.
        slots
            .map(|slot| slot.load(SeqCst))
            .filter(|&bits| bits != 0)
    }
}

/// Keeps what `cell` leads to from being used again, for as long as the own `slot` is not cleared.
#[inline(always)]
pub(crate) fn protect(slot: &AtomicU64, cell: &AtomicU64) -> Option<Handle> {
    // Acquire: pairs with the exchange in `replace`; the block was written before.
    let mut seen = cell.load(Acquire);
    loop {
        let block = Handle::from_bits(seen)?;
        if !seeded("heap-unseen-reader") {
            step("hazard.protect");
            say(slot, seen);
        }
        // SeqCst: behind the store to the slot, where `say` makes that an exchange.
        let now = cell.load(SeqCst);
        if now == seen {
            return Some(block);
        }
        seen = now;
        if Handle::from_bits(now).is_none() {
            clear(slot);
        }
    }
}

/// [`protect`] for a cell that lies in what `root` leads to, `table`: `Err` if `root` leads elsewhere by the time that the slot
/// says what is read. From elsewhere on, the block may have been retired before.
#[inline(always)]
pub(crate) fn protect_under(
    slot: &AtomicU64,
    cell: &AtomicU64,
    (root, table): (&AtomicU64, Handle),
) -> Result<Option<Handle>, Moved> {
    let found = protect(slot, cell);
    // SeqCst: as the second look in `protect`, behind the store to the slot.
    let is_there = root.load(SeqCst) == table.to_bits();
    if found.is_some() && !is_there && !seeded("dict-trusts-old-tables") {
        clear(slot);
        return Err(Moved);
    }
    Ok(found)
}

/// Another table has come in the place of the one that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moved;

/// The slot says what is read before the cell is looked at again.
#[inline(always)]
pub(super) fn say(slot: &AtomicU64, bits: u64) {
    if membarrier::is_ready() {
        slot.store(bits, Relaxed); // no step: `protect` passes one
        membarrier::light(); // pairs with the barrier in `hazards`
    } else {
        say_alone(slot, bits);
    }
}

/// [`say`] where the barriers of others are not passed.
#[cold]
fn say_alone(slot: &AtomicU64, bits: u64) {
    slot.swap(bits, SeqCst); // no step: `protect` passes one
    publish_then_look();
}

/// Nothing is read by way of this slot any more.
#[inline(always)]
pub(crate) fn clear(slot: &AtomicU64) {
    step("hazard.clear");
    slot.store(0, Release); // pairs with `hazards`: what was read was read before
}

/// What anybody reads at the moment, in order. A block that no cell led to before the call and that is not in here is read
/// by nobody, and will not be.
pub(super) fn hazards<'a>(rows: impl Iterator<Item = &'a HazardRow>) -> Vec<u64> {
    if !seeded("heap-missing-barrier") {
        membarrier::heavy(); // pairs with `say`
    }
    let mut all: Vec<u64> = rows.flat_map(HazardRow::hazards).collect();
    all.sort_unstable();
    all
}
