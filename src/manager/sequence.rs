//! A sequence without types, for lists and for queues with two ends: a table of cells, each of which leads to an element.
//!
//! The row of a sequence leads to its head for good, whose first cell leads to the table: a power of two of slots, taken as a
//! ring, of which at least one is vacant. Readers take no lock: a hazard keeps the table, another the element, and the head must
//! still lead to the table when the second stands, because from there on its elements may be replaced by way of another table.
//! Who changes anything holds the lock of the row, which the kernel takes from the dead.
//!
//! | change | by |
//! |---|---|
//! | of one element, at an end | its cell: one exchange |
//! | of several, or of their order | another table, to which the head is led: one exchange; see [`plan`] |
//!
//! | dies | left | the next with the lock, which is marked |
//! |---|---|---|
//! | before an element is led to, or another table | a block of the dead | nothing: the sweep frees it |
//! | after it | the change, and counts that are wrong | counts again |
//! | taking an element away | what was noted in the head before | finishes it |
//! | after a plan was made | the plan | finishes it, or takes it back |

mod drafts;
mod held;
mod plan;

pub(super) use self::drafts::Drafts;
pub(super) use self::held::{End, Held, Spot};
use super::core::Core;
use super::directory::Unlock;
use super::error::StoreError;
use crate::heap::{Fresh, Handle, Reading};
use crate::segment::Place;
use crate::segment::layout::{Layout, Offset, assert_offsets};
use crate::sync::{Claimant, RawLock};
use crate::sys::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sys::clock::Deadline;
use crate::sys::identity::Participant;
use crate::sys::step::step;
use crate::{Error, ErrorKind, Result};
use std::sync::Arc;

/// One place of a table. The number of a cell counts in steps of 16 bytes, so there is nothing beside it.
#[derive(Debug)]
#[repr(C)]
struct Slot {
    cell: AtomicU64,
    pad: AtomicU64,
}

const _: () = assert!(size_of::<Slot>() == 16);
assert_offsets!(Slot { cell: 0 });

// SAFETY: repr(C), nothing but atomics.
unsafe impl Layout for Slot {}

/// The beginning of a sequence; all but the first cell is the lock's.
#[derive(Debug)]
#[repr(C)]
struct Head {
    /// A cell: leads to the table. On a line that who adds and takes away does not write.
    table: AtomicU64,
    pad: [AtomicU64; 15],
    /// A cell: leads to what is under way, see [`plan`].
    plan: AtomicU64,
    /// Elements.
    len: AtomicU64,
    /// The slot of the first one.
    start: AtomicU64,
    /// The block that is being taken away, or 0, and the number of its cell.
    vacating: AtomicU64,
    vacating_at: AtomicU64,
    rest: [AtomicU64; 3],
}

const HEAD_LEN: usize = size_of::<Head>();

/// Where in the head the plan's cell lies.
const PLAN: u64 = 128;

const _: () = assert!(HEAD_LEN == 192);
assert_offsets!(Head {
    table: 0,
    plan: 128,
    len: 136,
    start: 144,
    vacating: 152,
    vacating_at: 160,
});

// SAFETY: repr(C), nothing but atomics.
unsafe impl Layout for Head {}

/// A sequence as one process has it.
pub(super) struct Sequence {
    pub(super) core: Arc<Core>,
    pub(super) index: u32,
    /// Where the head lies.
    place: u64,
    head: Place<Head>,
    lock: Place<RawLock>,
    claimant: Claimant,
}

impl Sequence {
    /// Makes the head of a new sequence, to which the cell in its row leads then.
    pub(super) fn init(core: &Core, place: u64) -> Result<()> {
        let me = core.me()?;
        let fresh = core.alloc(me, HEAD_LEN)?;
        let head = core.heap.place_of(fresh.handle());
        let words = Offset::<AtomicU64>::new(head);
        let words = core.tenant.segment().slice(words, HEAD_LEN as u64 / 8);
        step("list.head");
        for word in words.ok_or_else(damaged)? {
            word.store(0, Relaxed); // no step: one for all of them, the block is nobody else's
        }
        core.begin(me, place, (fresh, HEAD_LEN)).ok_or_else(damaged)
    }

    /// The sequence in that row of the directory.
    pub(super) fn at(core: Arc<Core>, index: u32) -> Result<Self> {
        let row = core.heap.room().object_row(index)?;
        let home = core.heap.home_at(row).ok_or_else(damaged)?;
        let head = core.heap.current(home).ok_or_else(damaged)?;
        let place = core.heap.place_of(head);
        let segment = core.tenant.segment();
        Ok(Sequence {
            head: Place::new(segment, place),
            lock: core.lock_of(index)?,
            claimant: Claimant::new(core.me()?, &*core.tenant),
            core,
            index,
            place,
        })
    }

    /// The cell by which its elements are found.
    pub(super) fn root(&self) -> &AtomicU64 {
        &self.head.get().table
    }

    /// Where a table lies, and its slots.
    #[inline]
    fn slots(&self, table: Handle) -> Option<(u64, &[Slot])> {
        let len = self.core.heap.bytes(table)?.len() as u64;
        let place = self.core.heap.place_of(table);
        let slots = Offset::<Slot>::new(place);
        let slots = self.core.tenant.segment().slice(slots, len / 16)?;
        slots.len().is_power_of_two().then_some((place, slots))
    }

    /// The element in that slot, kept as long as the result lives: of a list, whose first slot is its first element's.
    #[inline]
    pub(super) fn find(&self, at: usize) -> Result<Option<Reading<'_>>> {
        let heap = &self.core.heap;
        let root = self.root();
        loop {
            let Some(table) = heap.read(|| self.core.me(), root)? else {
                return Ok(None);
            };
            let (_, slots) = self.slots(table.block()).ok_or_else(damaged)?;
            let Some(slot) = slots.get(at) else {
                return Ok(None);
            };
            let under = (root, table.block());
            if let Ok(found) = heap.read_under(|| self.core.me(), &slot.cell, under)? {
                return Ok(found);
            }
        }
    }

    /// Takes the lock.
    ///
    /// # Errors
    ///
    /// `Deadlock` if the calling thread has it; `Refused`.
    #[inline(always)]
    pub(super) fn hold(&self) -> Result<Held<'_>, StoreError> {
        let me = self.core.me().map_err(StoreError::refused)?;
        let is_marked = match self.lock.get().claim(&self.claimant) {
            true => false,
            false => self.wait_for(me)?,
        };
        let held = Held::new(self, me, Some(Unlock(self.lock.get())));
        if is_marked {
            held.take_over()?;
        }
        Ok(held)
    }

    /// Takes the lock apart from what it guards, for a transaction, which takes several.
    pub(super) fn lock(&self, me: Participant) -> Result<Unlock<'_>, StoreError> {
        let is_marked = self.wait_for(me)?;
        let unlock = Unlock(self.lock.get());
        if is_marked {
            self.hold_within(me).take_over()?;
        }
        Ok(unlock)
    }

    /// The sequence for somebody who has the lock.
    pub(super) fn hold_within(&self, me: Participant) -> Held<'_> {
        Held::new(self, me, None)
    }

    /// Whether it is the same sequence by another handle.
    pub(super) fn is_same(&self, other: &Sequence) -> bool {
        Arc::ptr_eq(&self.core, &other.core) && self.index == other.index
    }

    /// [`hold`](Sequence::hold), or gives the block back in which a new element is.
    #[inline(always)]
    pub(super) fn hold_for(&self, fresh: (Fresh, usize)) -> Result<Held<'_>, StoreError> {
        // Not by a closure: through a result that is handed on, the parts of what is held go by way of memory.
        match self.hold() {
            Ok(held) => Ok(held),
            Err(refused) => Err(self.give_back(fresh, refused)),
        }
    }

    #[cold]
    fn give_back(&self, fresh: (Fresh, usize), refused: StoreError) -> StoreError {
        if let Ok(me) = self.core.me() {
            self.core.heap.give_back(me, fresh.0);
        }
        refused
    }

    /// Takes a lock that somebody has, or had when he died; says whether it is marked.
    #[cold]
    fn wait_for(&self, me: Participant) -> Result<bool, StoreError> {
        self.claimant.renew(me, &*self.core.tenant);
        let lock = self.lock.get();
        let taken = lock.recover(me, &*self.core.tenant, Deadline::NEVER);
        taken
            .map(|last| last.is_some())
            .map_err(StoreError::from_lock)
    }
}

#[cold]
pub(super) fn damaged() -> Error {
    let text = "a list leads nowhere: the manager is damaged";
    Error::new(ErrorKind::Corrupt, text)
}
