//! Objects too small for a segment of their own, and how long they live.
//!
//! Small objects lie in *yards*: anonymous segments with an arena, one sort of object in each, which a family of
//! processes shares. A process that uses a block holds a read lock on the bytes of that block, far beyond the file's
//! end; the locks of neighbouring blocks merge in the kernel, so that ten thousand cost one. Who lets go of a block
//! gives its lock back and then tries to lock the bytes alone: that succeeds only when nobody else uses the block, and
//! who succeeds frees it. A dead user's locks vanish; blocks that only the dead used are freed when room runs out.
//!
//! | dies after | state left | who repairs |
//! |---|---|---|
//! | block allocated, or locked | `OWNED(dead)` | the sweep of the yard |
//! | block shared | `SHARED`, unlocked | the next to run out of room |
//! | read lock given back | the same, or in use by others | the same, or the last of the others |
//! | locked alone | the same | the same |

use crate::error::{Error, ErrorKind, Result};
use crate::segment::arena::{Arena, Block, LARGEST, UNIT, UNITS};
use crate::segment::layout::{Offset, fingerprint};
use crate::segment::{Expect, Kind, Segment, Spec};
use crate::sync::{
    RawCondition, RawLock, RawSemaphore, repair_barrier, repair_permits, repair_readers,
};
use crate::sys::atfork::ForkMutex;
use crate::sys::identity::Participant;
use crate::tenancy::parts::{self, Extent};
use crate::tenancy::{RawHandle, Repair, Tenant, handover};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};

/// Room for blocks in one yard; more yards are added when it is used up. Memory is taken as blocks are.
pub(super) const YARD: u64 = if cfg!(test) { 1 << 20 } else { 16 << 20 };

/// How handles say that the object is the whole body of its segment: this bit, and either which part is meant, in units
/// from the beginning of the object, or all other bits.
const WHOLE: u32 = 1 << 31;

/// A handle of a block in a yard has the block's unit in the low bits, and above them the part, or 0.
const PART_SHIFT: u32 = UNITS.trailing_zeros();

const _: () = assert!(UNITS.is_power_of_two() && LARGEST / UNIT <= (WHOLE >> PART_SHIFT) as u64);

/// Larger objects have a segment of their own, so that what nobody uses gives its memory back.
const LARGEST_IN_YARD: u64 = 4096;

/// How often an allocator yields to who is just looking whether its block is still used.
const YIELDS: usize = 100;

/// A segment for small objects of one sort, as this process knows it.
struct Yard {
    tenant: Arc<Tenant>,
    arena: Arena,
    sort: Kind,
}

/// What this process knows of yards and of the objects in them.
#[derive(Default)]
struct Known {
    yards: Vec<Weak<Yard>>,
    /// The newest yard of each sort stays, so that one object made and dropped again and again does not cost a
    /// segment each time.
    kept: HashMap<Kind, Arc<Yard>>,
    /// By segment and unit. Every block in here is locked by this process.
    objects: HashMap<(u64, u32), Weak<Object>>,
}

static KNOWN: ForkMutex<Option<Known>> = ForkMutex::new(None, || None);

/// A shared object that this process holds: a block of a yard, or the whole body of a segment.
///
/// It stays where it is and keeps its memory until the last process that holds it has dropped it or died.
pub(crate) struct Object {
    tenant: Arc<Tenant>,
    place: u64,
    len: u64,
    /// `None` if the object is a whole segment.
    block: Option<(Arc<Yard>, Block)>,
}

impl Object {
    /// A new object of `len` bytes, all zero, aligned to its size up to a page.
    ///
    /// # Errors
    ///
    /// `NoSpace`.
    pub(crate) fn create(what: &Expect, len: u64) -> Result<Arc<Self>> {
        let sort = what.kind;
        if len > LARGEST_IN_YARD {
            let spec = Spec {
                fingerprint: what.fingerprint.unwrap_or_default(),
                type_name: what.type_name.clone(),
                body_len: len,
                ..Spec::new(sort)
            };
            let tenant = Tenant::create(None, &spec, |_| Ok(()), repair_of(sort))?;
            return Ok(Self::whole(tenant));
        }
        for yard in yards_of(sort) {
            if let Some(object) = yard.alloc(len)? {
                return Ok(object);
            }
        }
        let full = || {
            Error::new(
                ErrorKind::NoSpace,
                "a new segment has no room for its first object",
            )
        };
        Yard::create(sort)?.alloc(len)?.ok_or_else(full)
    }

    /// A new object of `len` bytes, all zero, in the yard that is `tenant`'s segment, and its block.
    ///
    /// # Errors
    ///
    /// `NoSpace`, `InvalidInput` for more than a block can have.
    #[cfg(feature = "compat")]
    pub(super) fn create_in(
        tenant: &Arc<Tenant>,
        sort: Kind,
        len: u64,
    ) -> Result<(Arc<Self>, Block)> {
        let full = || Error::new(ErrorKind::NoSpace, "the adopted memory is full");
        let yard = Yard::of(Arc::clone(tenant), sort);
        let object = yard.alloc(len)?.ok_or_else(full)?;
        let block = object.block.as_ref().map(|(_, block)| *block);
        Ok((object, block.ok_or_else(full)?))
    }

    /// The object in a block of that yard.
    ///
    /// # Errors
    ///
    /// `Gone` if nobody holds it any more, `Corrupt` if there never was such a block.
    #[cfg(feature = "compat")]
    pub(super) fn attach_in(tenant: &Arc<Tenant>, sort: Kind, block: Block) -> Result<Arc<Self>> {
        Yard::of(Arc::clone(tenant), sort).attach(block)
    }

    /// Whether nobody holds the object in a block of that yard; if the dead have left one there, it is freed.
    #[cfg(feature = "compat")]
    pub(super) fn is_abandoned(tenant: &Arc<Tenant>, sort: Kind, block: Block) -> bool {
        Yard::of(Arc::clone(tenant), sort).free_if_abandoned(block)
    }

    /// The object that is the whole body of a segment, a named one for instance.
    pub(crate) fn whole(tenant: Arc<Tenant>) -> Arc<Self> {
        let (place, len) = tenant.segment().body();
        Arc::new(Object {
            tenant,
            place,
            len,
            block: None,
        })
    }

    /// The object that a handle names.
    ///
    /// Of an object in a yard only the sort is checked here; its element type is for the object to note.
    ///
    /// # Errors
    ///
    /// `Gone` if nobody holds it any more, `WrongType` if it is something else, and those of [`Tenant::attach`].
    pub(crate) fn attach(handle: &RawHandle, what: &Expect) -> Result<Arc<Self>> {
        let sort = what.kind;
        if handle.offset & WHOLE != 0 {
            return Ok(Self::whole(Tenant::attach(handle, what, repair_of(sort))?));
        }
        let tenant = Tenant::attach(handle, &Expect::from(&yard_spec(sort)), repair_of(sort))?;
        let block = Block {
            unit: handle.offset % UNITS,
            generation: handle.generation,
        };
        Yard::of(tenant, sort).attach(block)
    }

    /// The handle by which other processes attach: to the object itself, or to the noun at the distance `part` in it.
    pub(crate) fn handle(self: &Arc<Self>, part: u64) -> RawHandle {
        handover::record_object(self);
        let part = (part / UNIT) as u32;
        match &self.block {
            Some((_, block)) => {
                let offset = block.unit | part << PART_SHIFT;
                self.tenant.handle(offset, block.generation)
            }
            None if part == 0 => self.tenant.handle(u32::MAX, 0),
            None => self.tenant.handle(WHOLE | part, 0),
        }
    }

    /// Whether the object is a struct in which a noun of that kind lies at the distance `part`.
    pub(super) fn has_part(&self, kind: Kind, part: u64) -> bool {
        let wanted = self.place.checked_add(part).map(|place| (kind, place));
        let mut parts = parts::of(self.segment(), self.place());
        parts.any(|(kind, (place, _))| Some((kind, place)) == wanted)
    }

    /// The tenant of the segment in which the object lies: who we are there, and who lives.
    #[inline]
    pub(crate) fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }

    /// The segment in which the object lies.
    #[inline]
    pub(crate) fn segment(&self) -> &Arc<Segment> {
        self.tenant.segment()
    }

    /// Frees what only the dead used beside this object.
    #[cfg(test)]
    pub(super) fn reclaim(&self) -> usize {
        self.block.as_ref().map_or(0, |(yard, _)| yard.reclaim())
    }

    /// Offset of the object in its segment, and its length, which may be more than was asked for.
    #[inline]
    pub(crate) fn place(&self) -> (u64, u64) {
        (self.place, self.len)
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        let Some((yard, block)) = &self.block else {
            return;
        };
        if yard.is_locked_by_us(self.place()) {
            // By a guard that was forgotten: its links stay in its thread's list, so the block must stay a lock.
            std::mem::forget(Arc::clone(yard));
            return;
        }
        // Under the lock, so that attaching to the same block finds it either held or let go.
        let mut known = KNOWN.lock();
        let objects = &mut known.get_or_insert_default().objects;
        let key = yard.key(*block);
        if objects
            .get(&key)
            .is_some_and(|it| std::ptr::eq(it.as_ptr(), self))
        {
            objects.remove(&key);
            yard.let_go(*block, self.len);
        }
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Object({:?} at {:#x})",
            self.tenant.segment(),
            self.place
        )
    }
}

impl Yard {
    fn create(sort: Kind) -> Result<Arc<Self>> {
        let tenant = Tenant::create(None, &yard_spec(sort), |_| Ok(()), repair_of(sort))?;
        let yard = Self::of(tenant, sort);
        let before = KNOWN
            .lock()
            .get_or_insert_default()
            .kept
            .insert(sort, Arc::clone(&yard));
        drop(before); // outside of the lock, which its objects take when they are dropped
        Ok(yard)
    }

    /// The yard in a tenant's segment; one per process.
    fn of(tenant: Arc<Tenant>, sort: Kind) -> Arc<Self> {
        let mut known = KNOWN.lock();
        let yards = &mut known.get_or_insert_default().yards;
        yards.retain(|yard| yard.strong_count() > 0);
        let same = |yard: &Arc<Yard>| Arc::ptr_eq(&yard.tenant, &tenant);
        if let Some(yard) = yards.iter().filter_map(Weak::upgrade).find(same) {
            return yard;
        }
        let yard = Arc::new(Yard {
            arena: Arena::new(Arc::clone(tenant.segment())),
            tenant,
            sort,
        });
        yards.push(Arc::downgrade(&yard));
        yard
    }

    fn key(&self, block: Block) -> (u64, u32) {
        (self.tenant.segment().id(), block.unit)
    }

    /// A new object, or `None` if there is no room.
    fn alloc(self: &Arc<Self>, len: u64) -> Result<Option<Arc<Object>>> {
        match self.try_alloc(len) {
            Err(full) if full.kind() == ErrorKind::NoSpace && self.reclaim() > 0 => {}
            done => return done.map(Some).or_else(none_if_full),
        }
        self.try_alloc(len).map(Some).or_else(none_if_full)
    }

    fn try_alloc(self: &Arc<Self>, len: u64) -> Result<Arc<Object>> {
        let me = self.tenant.seat()?;
        let block = self.arena.alloc(me, len)?;
        let (place, len) = self.arena.locate(block)?;
        let mut known = KNOWN.lock();
        // Somebody who let go of the block's last use may still be looking whether he was the last.
        let mut attempts = (0..YIELDS).inspect(|_| std::thread::yield_now());
        let locked = self.hold(block, len) || attempts.any(|_| self.hold(block, len));
        if !locked || !self.arena.share(me, block) {
            drop(known);
            self.arena.free(block);
            return Err(Error::new(
                ErrorKind::NoSpace,
                "a block of shared memory cannot be locked",
            ));
        }
        Ok(self.enter(&mut known, block, (place, len)))
    }

    fn attach(self: &Arc<Self>, block: Block) -> Result<Arc<Object>> {
        let mut known = KNOWN.lock();
        let objects = &known.get_or_insert_default().objects;
        let found = objects.get(&self.key(block)).and_then(Weak::upgrade);
        if let Some(object) = found {
            drop(known); // before the object, should it be another use of the block
            self.arena.locate(block)?;
            return Ok(object);
        }
        let (_, len) = self.arena.locate(block)?;
        // Who sent the handle holds the block, so nobody can have it locked alone; or the sender has let go.
        if !self.hold(block, len) {
            return Err(Error::new(
                ErrorKind::Gone,
                "the object behind this handle no longer exists",
            ));
        }
        match self.arena.locate(block) {
            Ok(place) => Ok(self.enter(&mut known, block, place)),
            Err(gone) => {
                self.tenant.unlock_block(units(block, len));
                Err(gone)
            }
        }
    }

    fn enter(
        self: &Arc<Self>,
        known: &mut Option<Known>,
        block: Block,
        (place, len): (u64, u64),
    ) -> Arc<Object> {
        let object = Arc::new(Object {
            tenant: Arc::clone(&self.tenant),
            place,
            len,
            block: Some((Arc::clone(self), block)),
        });
        let objects = &mut known.get_or_insert_default().objects;
        objects.insert(self.key(block), Arc::downgrade(&object));
        object
    }

    /// Whether the object, or a part of it, is a lock that a thread of this process holds.
    fn is_locked_by_us(&self, object: Extent) -> bool {
        let held = |me| has_lock_of(self.sort, self.tenant.segment(), object, me);
        self.tenant.who().is_some_and(held)
    }

    fn hold(&self, block: Block, len: u64) -> bool {
        self.tenant.lock_block(units(block, len))
    }

    /// Gives the block back, and frees it if nobody else uses it.
    fn let_go(&self, block: Block, len: u64) {
        let units = units(block, len);
        self.tenant.unlock_block(units);
        self.free_if_unused(block, units);
    }

    fn free_if_unused(&self, block: Block, units: (u32, u32)) -> bool {
        self.tenant
            .with_block_alone(units, || self.arena.free(block))
            == Some(true)
    }

    /// Whether nobody uses the block, after freeing it if only the dead have.
    #[cfg(feature = "compat")]
    fn free_if_abandoned(&self, block: Block) -> bool {
        self.tenant.sweep();
        let mut known = KNOWN.lock();
        let objects = &known.get_or_insert_default().objects;
        let Ok((_, len)) = self.arena.locate(block) else {
            return true;
        };
        // The kernel does not tell a description of its own locks.
        !objects.contains_key(&self.key(block)) && self.free_if_unused(block, units(block, len))
    }

    /// Frees the blocks that only the dead have used; returns how many.
    fn reclaim(&self) -> usize {
        self.tenant.sweep();
        // Blocks of this process are in the table, which nobody changes meanwhile; its own locks would not stop it.
        let mut known = KNOWN.lock();
        let objects = &known.get_or_insert_default().objects;
        let shared = self.arena.shared();
        let foreign = shared.filter(|block| !objects.contains_key(&self.key(*block)));
        let unused = foreign.filter(|&block| {
            let Ok((_, len)) = self.arena.locate(block) else {
                return false;
            };
            self.free_if_unused(block, units(block, len))
        });
        unused.count()
    }
}

impl fmt::Debug for Yard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Yard({} in {:?})", self.sort, self.tenant.segment())
    }
}

fn none_if_full(error: Error) -> Result<Option<Arc<Object>>> {
    match error.kind() {
        ErrorKind::NoSpace => Ok(None),
        _ => Err(error),
    }
}

/// The units of a block: the first, and how many.
fn units(block: Block, len: u64) -> (u32, u32) {
    (block.unit, (len / UNIT) as u32)
}

/// The yards of a sort that this process knows, its own and those of its relatives.
fn yards_of(sort: Kind) -> Vec<Arc<Yard>> {
    let known = KNOWN.lock();
    let yards = known
        .iter()
        .flat_map(|known| known.yards.iter().filter_map(Weak::upgrade));
    let ours = |yard: &Arc<Yard>| yard.sort == sort && !yard.tenant.segment().is_adopted();
    yards.filter(ours).collect()
}

pub(super) fn yard_spec(sort: Kind) -> Spec {
    let (body_len, reserve_len) = Arena::lengths(YARD);
    Spec {
        fingerprint: fingerprint(b"multiproc yard") ^ u64::from(sort.number()),
        type_name: sort.to_string(),
        body_len,
        reserve_len,
        params: [u64::from(sort.number()), 0, 0, 0, 0, 0, 0, 0],
        ..Spec::new(Kind::Arena)
    }
}

/// How the dead are cleaned up after where objects of `sort` lie, in a yard or alone.
pub(crate) fn repair_of(sort: Kind) -> Arc<dyn Repair> {
    Arc::new(ObjectRepair { sort })
}

/// The sort of objects in a segment of small or single objects.
pub(super) fn sort_in(segment: &Segment) -> Option<Kind> {
    match segment.geometry().kind {
        Kind::Arena => Kind::from_number(u16::try_from(segment.params()[0]).ok()?),
        alone => alone.is_small().then_some(alone),
    }
}

#[derive(Debug)]
struct ObjectRepair {
    sort: Kind,
}

/// The sorts that begin with a raw lock.
const LOCKS: &[Kind] = &[
    Kind::Lock,
    Kind::Condition,
    Kind::ReentrantLock,
    Kind::RwLock,
    Kind::OnceValue,
];

/// The lock at `place`, if that is what lies there.
fn lock_at(sort: Kind, segment: &Segment, place: u64) -> Option<&RawLock> {
    LOCKS
        .contains(&sort)
        .then(|| segment.get(Offset::new(place)))
        .flatten()
}

/// Whether the object is a lock that `me` holds, or a struct in which there is one.
fn has_lock_of(sort: Kind, segment: &Segment, object: Extent, me: Participant) -> bool {
    let nouns = nouns_in(sort, segment, object);
    let mut locks = nouns.filter_map(|(sort, (place, _))| lock_at(sort, segment, place));
    locks.any(|lock| lock.is_held_by(me))
}

/// What there is to repair in an object: itself, or the parts of a struct; each with its extent.
fn nouns_in(sort: Kind, segment: &Segment, object: Extent) -> impl Iterator<Item = (Kind, Extent)> {
    let parts = (sort == Kind::Shared).then(|| parts::of(segment, object));
    let itself = (sort != Kind::Shared).then_some((sort, object));
    itself.into_iter().chain(parts.into_iter().flatten())
}

/// How far from the beginning of its object a handle leads, if to a part of it.
pub(super) fn part_in(handle: &RawHandle) -> Option<u64> {
    let part = match handle.offset {
        u32::MAX => 0,
        whole if whole & WHOLE != 0 => whole & !WHOLE,
        block => block >> PART_SHIFT,
    };
    (part != 0).then_some(u64::from(part) * UNIT)
}

impl ObjectRepair {
    fn repair_in(&self, segment: &Segment, object: Extent, dead: Participant) {
        for (sort, noun) in nouns_in(self.sort, segment, object) {
            ObjectRepair { sort }.repair_noun(segment, noun, dead);
        }
    }

    /// Touches nothing outside of `noun`, whatever its words say.
    fn repair_noun(&self, segment: &Segment, noun: Extent, dead: Participant) {
        let (place, _) = noun;
        if let Some(lock) = lock_at(self.sort, segment, place) {
            lock.repair(dead);
        }
        if self.sort == Kind::Condition {
            RawCondition::repair(segment, noun, dead);
        }
        if self.sort == Kind::Barrier {
            repair_barrier(segment, noun, dead);
        }
        if self.sort == Kind::RwLock {
            repair_readers(segment, noun, dead);
        }
        if self.sort == Kind::BoundedSemaphore {
            repair_permits(segment, noun, dead);
        }
        if self.sort == Kind::Semaphore {
            let semaphore = segment.get(Offset::<RawSemaphore>::new(place));
            semaphore.inspect(|semaphore| semaphore.repair(dead));
        }
    }
}

impl Repair for ObjectRepair {
    fn repair(&self, segment: &Arc<Segment>, dead: Participant) {
        if segment.geometry().kind != Kind::Arena {
            return self.repair_in(segment, segment.body(), dead);
        }
        let arena = Arena::new(Arc::clone(segment));
        for block in arena.shared() {
            if let Ok(object) = arena.locate(block) {
                self.repair_in(segment, object, dead);
            }
        }
        arena.sweep(dead);
    }

    /// A lock that is still held is so by a guard that was forgotten: its links stay in its thread's list, so the
    /// segment stays mapped.
    fn is_pinned(&self, segment: &Arc<Segment>, me: Participant) -> bool {
        let alone = segment.geometry().kind == self.sort;
        alone && has_lock_of(self.sort, segment, segment.body(), me)
    }
}

/// Forgets every yard and object, as a process that was started by exec knows none.
#[cfg(test)]
pub(super) fn forget_all() {
    std::mem::forget(KNOWN.lock().take());
}
