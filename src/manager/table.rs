//! A dictionary without types: shards of open addressing, with keys and values as bytes.
//!
//! A shard is a cell that leads to a table, in which each slot is a cell that leads to an entry, and the hash of its key. Readers
//! take no lock: a hazard keeps the table, another the entry, and the shard's cell must still lead to the table when the second
//! stands, because from there on its entries may be replaced by way of another table. Who changes a shard holds its lock, which
//! the kernel takes from the dead; each change is one exchange of one cell, so whoever takes the lock over finds the shard
//! whole.
//!
//! | dies | left | the next with the lock |
//! |---|---|---|
//! | before an entry is led to, or another table | a block of the dead | nothing: the sweep frees it |
//! | after it | the change, and a count that is wrong | counts again, as the lock is marked |
//! | taking an entry away | what was noted in the shard before | finishes it |

mod held;

pub(super) use self::held::{Held, Spot};
use super::core::Core;
use super::directory::{Sort, Unlock};
use super::error::StoreError;
use super::siphash;
use crate::heap::{Handle, Reading, VACATED};
use crate::message::bytes_at;
use crate::segment::layout::{Layout, Offset, assert_offsets};
use crate::segment::{Place, Places};
use crate::sync::{Claimant, RawLock};
use crate::sys::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed},
};
use crate::sys::clock::Deadline;
use crate::sys::identity::{self, Participant};
use crate::sys::seeded::seeded;
use crate::sys::step::step;
use crate::{Error, ErrorKind, Result};
use std::sync::Arc;

/// One place of a table.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Slot {
    cell: AtomicU64,
    /// Of the key; as it was where the entry was taken away.
    hash: AtomicU64,
}

const _: () = assert!(size_of::<Slot>() == 16);
assert_offsets!(Slot { cell: 0, hash: 8 });

// SAFETY: repr(C), nothing but atomics.
unsafe impl Layout for Slot {}

/// The beginning of a dictionary.
#[derive(Debug)]
#[repr(C)]
struct DictHead {
    secret: [AtomicU64; 2],
}

const _: () = assert!(size_of::<DictHead>() == 16);
assert_offsets!(DictHead { secret: 0 });

// SAFETY: repr(C), nothing but atomics.
unsafe impl Layout for DictHead {}

/// One shard; all but the cell is its lock's.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Shard {
    table: AtomicU64,
    /// Entries.
    len: AtomicU64,
    /// Slots that are not as they were at first.
    used: AtomicU64,
    /// The entry that is being taken away, or 0, and the number of its cell.
    vacating: AtomicU64,
    vacating_at: AtomicU64,
    pad: [AtomicU64; 3],
}

const _: () = assert!(size_of::<Shard>() == 64);
assert_offsets!(Shard {
    table: 0,
    len: 8,
    used: 16,
    vacating: 24,
    vacating_at: 32,
});

// SAFETY: repr(C), nothing but atomics.
unsafe impl Layout for Shard {}

const SHARDS: u32 = 32;
const HEAD_LEN: usize = size_of::<DictHead>() + SHARDS as usize * size_of::<Shard>();

/// The locks of a manager but the directory's and that of transactions, which all its dictionaries share.
const LOCKS: u64 = 62;

/// A dictionary as one process has it.
pub(super) struct Table {
    pub(super) core: Arc<Core>,
    pub(super) index: u32,
    secret: [u64; 2],
    claimant: Claimant,
    /// Where the first shard lies.
    first: u64,
    shards: Places<Shard>,
}

/// A key as bytes, and its hash.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name<'a> {
    pub(super) bytes: &'a [u8],
    hash: u64,
}

/// The bytes of an entry: the value, the key, and the key's length.
pub(super) fn split(entry: &[u8]) -> (&[u8], &[u8]) {
    let Some((rest, len)) = entry.split_last_chunk::<4>() else {
        return (&[], &[]);
    };
    let key = (u32::from_le_bytes(*len) as usize).min(rest.len());
    rest.split_at(rest.len() - key)
}

impl Table {
    /// Makes the head of a new dictionary, to which the cell in its row leads then.
    pub(super) fn init(core: &Core, place: u64) -> Result<()> {
        let me = core.me()?;
        let fresh = core.alloc(me, HEAD_LEN)?;
        let head = core.heap.place_of(fresh.handle());
        let words = core
            .tenant
            .segment()
            .slice(Offset::<AtomicU64>::new(head), HEAD_LEN as u64 / 8);
        let words = words.ok_or_else(damaged)?;
        step("dict.head");
        for (at, word) in words.iter().enumerate() {
            let value = if at < 2 { identity::random_u64() } else { 0 };
            word.store(value, Relaxed); // no step: one for all of them, the block is nobody else's
        }
        core.begin(me, place, (fresh, HEAD_LEN)).ok_or_else(damaged)
    }

    /// The dictionary in that row of the directory.
    pub(super) fn at(core: Arc<Core>, index: u32) -> Result<Self> {
        let place = core.heap.room().object_row(index)?;
        let home = core.heap.home_at(place).ok_or_else(damaged)?;
        let head = core.heap.current(home).ok_or_else(damaged)?;
        let head = core.heap.place_of(head);
        let segment = core.tenant.segment();
        let secret = Place::<DictHead>::new(segment, head);
        let secret = secret
            .get()
            .secret
            .each_ref()
            .map(|word| word.load(Relaxed)); // never changes
        let first = head + size_of::<DictHead>() as u64;
        let shards = Places::new(segment, first, SHARDS).ok_or_else(damaged)?;
        Ok(Table {
            claimant: Claimant::new(core.me()?, &*core.tenant),
            core,
            index,
            secret,
            first,
            shards,
        })
    }

    /// Whether it is the same dictionary by another handle.
    pub(super) fn is_same(&self, other: &Table) -> bool {
        Arc::ptr_eq(&self.core, &other.core) && self.index == other.index
    }

    #[inline]
    pub(super) fn name<'a>(&self, bytes: &'a [u8]) -> Name<'a> {
        let hash = siphash::hash(self.secret, bytes);
        Name { bytes, hash }
    }

    fn slots(&self, table: Handle) -> Option<(u64, &[Slot])> {
        let len = self.core.heap.bytes(table)?.len() as u64;
        let place = self.core.heap.place_of(table);
        let slots = self
            .core
            .tenant
            .segment()
            .slice(Offset::<Slot>::new(place), len / 16)?;
        slots.len().is_power_of_two().then_some((place, slots))
    }

    /// The entry of a key, kept as long as the result lives.
    #[inline]
    pub(super) fn find(&self, name: Name<'_>) -> Result<Option<Reading<'_>>> {
        let shard = &self.shards.get()[Self::shard_of(name) as usize];
        loop {
            let Some(table) = self.core.heap.read(|| self.core.me(), &shard.table)? else {
                return Ok(None);
            };
            let (_, slots) = self.slots(table.block()).ok_or_else(damaged)?;
            if let Some(found) = self.find_in(shard, table.block(), slots, name)? {
                return Ok(found);
            }
        }
    }

    /// The same in one table; `None` if another has come in its place.
    #[inline]
    fn find_in(
        &self,
        shard: &Shard,
        table: Handle,
        slots: &[Slot],
        name: Name<'_>,
    ) -> Result<Option<Option<Reading<'_>>>> {
        for slot in probe(slots, name.hash).map(|at| &slots[at]) {
            // Acquire: pairs with the exchange that led the cell to its entry; the hash was stored before.
            if slot.cell.load(Acquire) == 0 {
                return Ok(Some(None));
            }
            if slot.hash.load(Relaxed) != name.hash {
                continue;
            }
            let under = (&shard.table, table);
            let entry = match self
                .core
                .heap
                .read_under(|| self.core.me(), &slot.cell, under)?
            {
                Ok(Some(entry)) => entry,
                Ok(None) => continue,
                Err(_moved) => return Ok(None),
            };
            // SAFETY: a cell led to the entry, and the hazard keeps it as it is.
            if split(unsafe { bytes_at(entry.bytes) }).1 == name.bytes {
                return Ok(Some(Some(entry)));
            }
        }
        Ok(Some(None))
    }

    /// Which shard a key belongs to.
    pub(super) fn shard_of(name: Name<'_>) -> u32 {
        (name.hash >> 59) as u32
    }

    /// Which of the manager's locks is a shard's.
    pub(super) fn lock_of(&self, shard: u32) -> u64 {
        1 + (u64::from(self.index) * 31 + u64::from(shard)) % LOCKS
    }

    /// Takes the lock of a key's shard.
    #[inline(always)]
    pub(super) fn hold(&self, name: Name<'_>) -> Result<Held<'_>, StoreError> {
        self.hold_shard(Self::shard_of(name))
    }

    #[inline(always)]
    fn hold_shard(&self, number: u32) -> Result<Held<'_>, StoreError> {
        let me = self.core.me().map_err(StoreError::refused)?;
        let lock = self.core.lock(self.lock_of(number));
        let is_marked = match lock.claim(&self.claimant) {
            true => false,
            false => self.wait_for(me, lock)?,
        };
        let held = self.held(me, number, Some(Unlock(lock)));
        if is_marked {
            self.core.take_over(me, self.lock_of(number))?;
        }
        held.finish();
        Ok(held)
    }

    /// A shard of which the caller has the lock, and has done what there is to do if it was marked.
    pub(super) fn hold_within(&self, me: Participant, number: u32) -> Held<'_> {
        let held = self.held(me, number, None);
        held.finish();
        held
    }

    #[inline(always)]
    fn held<'a>(&'a self, me: Participant, number: u32, unlock: Option<Unlock<'a>>) -> Held<'a> {
        Held {
            table: self,
            shard: &self.shards.get()[number as usize],
            place: self.shard_place(number),
            me,
            _unlock: unlock,
        }
    }

    /// Takes a lock that somebody has, or had when he died; says whether it is marked.
    #[cold]
    fn wait_for(&self, me: Participant, lock: &RawLock) -> Result<bool, StoreError> {
        self.claimant.renew(me, &*self.core.tenant);
        let taken = lock.recover(me, &*self.core.tenant, Deadline::NEVER);
        taken
            .map(|last| last.is_some())
            .map_err(StoreError::from_lock)
    }

    fn shard_place(&self, number: u32) -> u64 {
        self.first + u64::from(number) * size_of::<Shard>() as u64
    }

    /// Takes the locks of all shards: nobody changes anything until they are dropped.
    pub(super) fn hold_all(&self) -> Result<Vec<Held<'_>>, StoreError> {
        let mut numbers: Vec<u32> = (0..SHARDS).collect();
        // In the order of the locks, as everybody takes them who takes more than one.
        numbers.sort_by_key(|&number| self.lock_of(number));
        numbers
            .into_iter()
            .map(|number| self.hold_shard(number))
            .collect()
    }
}

/// The places at which a key may lie, in their order.
#[inline(always)]
fn probe(slots: &[Slot], hash: u64) -> impl Iterator<Item = usize> + use<> {
    let mask = slots.len() - 1;
    (0..=mask).map(move |step| (hash as usize).wrapping_add(step) & mask)
}

impl Core {
    /// Settles what somebody has left who died with this lock, which the caller has: a transaction, and the counts of all
    /// shards whose lock it is.
    #[cold]
    pub(super) fn take_over(
        self: &Arc<Self>,
        me: Participant,
        lock: u64,
    ) -> Result<(), StoreError> {
        self.settle_for_the_dead(me)?;
        match seeded("dict-keeps-counts") {
            true => Ok(()),
            false => self.recount(lock).map_err(StoreError::refused),
        }
    }

    fn recount(self: &Arc<Self>, lock: u64) -> Result<()> {
        let rows = [self.rows_of(Sort::Dict)?, self.rows_of(Sort::Namespace)?];
        for index in rows.concat() {
            let table = Table::at(Arc::clone(self), index)?;
            for number in (0..SHARDS).filter(|&number| table.lock_of(number) == lock) {
                table.recount(&table.shards.get()[number as usize]);
            }
        }
        Ok(())
    }
}

impl Table {
    fn recount(&self, shard: &Shard) {
        // Acquire: pairs with the exchange that led there. All of this is the lock's.
        let table = Handle::from_bits(shard.table.load(Acquire));
        let slots = table.and_then(|table| self.slots(table));
        let (_, slots) = slots.unwrap_or_default();
        let cells = || slots.iter().map(|slot| slot.cell.load(Relaxed));
        let used = cells().filter(|&bits| bits != 0).count();
        let vacated = cells().filter(|&bits| bits == VACATED).count();
        step("dict.recount.len");
        shard.len.store((used - vacated) as u64, Relaxed);
        step("dict.recount.used");
        shard.used.store(used as u64, Relaxed);
    }
}

#[cold]
pub(super) fn damaged() -> Error {
    let text = "a dictionary leads nowhere: the manager is damaged";
    Error::new(ErrorKind::Corrupt, text)
}
