//! Small objects: a lock, a value. Without a name they share the arena of the process that made them; with a name, or
//! too large for a block, they have a segment of their own.
//!
//! | bytes of the object | what is there |
//! |---|---|
//! | 0..48 | the noun's own words |
//! | 48..64 | [`Tag`]: which noun, and a fingerprint of its type |
//! | 64.. | the noun's data, aligned as it needs |
//!
//! A block belongs to its maker until a handle of it is written or the process forks; until then dropping the last
//! handle frees it, and so does the maker's death. After that it lasts as long as the arena, which lasts as long as
//! anybody who is attached to it.

use crate::error::{Error, ErrorKind, Result};
use crate::segment::arena::{Arena, Block, LARGEST};
use crate::segment::layout::{Layout, Offset, assert_offsets};
use crate::segment::name::Name;
use crate::segment::{Expect, Kind, Segment, Spec};
use crate::sync::RawLock;
use crate::sys::atfork::{ForkMutex, before_forks};
use crate::sys::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use crate::sys::identity::Participant;
use crate::sys::step::step;
use crate::tenancy::{RawHandle, Repair, Tenant};
use std::fmt;
use std::sync::{Arc, Once};

/// Where the noun's data begin, unless they need more alignment.
pub(crate) const HEAD: u64 = 64;

/// The most that one process's unnamed objects can take together.
const ARENA_BYTES: u64 = 32 << 20;

/// Tells what lies in a block.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Tag {
    kind: AtomicU32,
    reserved: AtomicU32,
    fingerprint: AtomicU64,
}

const TAG: u64 = 48;

const _: () = assert!(size_of::<Tag>() == 16);
assert_offsets!(Tag {
    kind: 0,
    reserved: 4,
    fingerprint: 8
});

// SAFETY: repr(C), nothing but atomics.
unsafe impl Layout for Tag {}

/// What a small object is: enough to make one, and to recognise one.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    pub(crate) kind: Kind,
    pub(crate) fingerprint: u64,
    pub(crate) type_name: String,
    /// Size and alignment of the data behind the head; `None` where the head is all.
    pub(crate) data: Option<(u64, u64)>,
}

impl Form {
    fn data_offset(&self) -> u64 {
        self.data
            .map_or(0, |(_, align)| HEAD.next_multiple_of(align))
    }

    fn len(&self) -> u64 {
        self.data
            .map_or(HEAD, |(size, _)| self.data_offset() + size)
    }

    /// What to ask of the arena, whose blocks are aligned to their size.
    fn block_len(&self) -> u64 {
        self.data.map_or(HEAD, |(_, align)| self.len().max(align))
    }

    fn spec(&self) -> Spec {
        Spec {
            fingerprint: self.fingerprint,
            type_name: self.type_name.clone(),
            body_len: self.len(),
            ..Spec::new(self.kind)
        }
    }

    fn expect(&self) -> Expect {
        Expect::from(&self.spec())
    }
}

/// One process's hold on a small object; its handles share it.
pub(crate) struct Small {
    tenant: Arc<Tenant>,
    place: u64,
    data: u64,
    block: Option<(Arc<Arena>, Block)>,
}

impl Small {
    /// A new object without a name; `init` fills in the data at the place it is given.
    ///
    /// # Errors
    ///
    /// `NoSpace` when the arena or the memory is full.
    pub(crate) fn anonymous(
        form: &Form,
        init: impl Fn(&Segment, u64) -> Result<()>,
    ) -> Result<Self> {
        if form.block_len() > LARGEST {
            let init = |segment: &Segment| complete(form, segment, segment.body().0, &init);
            let tenant = Tenant::create(None, &form.spec(), init, Arc::new(RepairSmall))?;
            return Ok(Self::alone(tenant, form));
        }
        let Own { tenant, arena } = own_arena()?;
        let block = arena.alloc(tenant.seat()?, form.block_len())?;
        let (place, _) = arena.locate(block)?;
        complete(form, tenant.segment(), place, &init)?;
        Ok(Self::within(tenant, form, place, (arena, block)))
    }

    /// A new object called `name`.
    ///
    /// # Errors
    ///
    /// See [`Tenant::create`].
    pub(crate) fn create(
        name: &str,
        form: &Form,
        init: impl Fn(&Segment, u64) -> Result<()>,
    ) -> Result<Self> {
        let init = |segment: &Segment| complete(form, segment, segment.body().0, &init);
        let name = Name::parse(name)?;
        let tenant = Tenant::create(Some(&name), &form.spec(), init, Arc::new(RepairSmall))?;
        Ok(Self::alone(tenant, form))
    }

    /// The object called `name`.
    ///
    /// # Errors
    ///
    /// See [`Tenant::open`].
    pub(crate) fn open(name: &str, form: &Form) -> Result<Self> {
        let name = Name::parse(name)?;
        let tenant = Tenant::open(&name, &form.expect(), Arc::new(RepairSmall))?;
        Self::checked(tenant, form)
    }

    /// The object called `name`, made if there is none.
    ///
    /// # Errors
    ///
    /// See [`Tenant::open_or_create`].
    pub(crate) fn open_or_create(
        name: &str,
        form: &Form,
        init: impl Fn(&Segment, u64) -> Result<()>,
    ) -> Result<Self> {
        let init = |segment: &Segment| complete(form, segment, segment.body().0, &init);
        let name = Name::parse(name)?;
        let repair = Arc::new(RepairSmall);
        let tenant = Tenant::open_or_create(&name, &form.spec(), init, repair)?;
        Self::checked(tenant, form)
    }

    /// Removes the name; who has the object open keeps it.
    ///
    /// # Errors
    ///
    /// See [`Tenant::remove`].
    pub(crate) fn remove(name: &str) -> Result<()> {
        Tenant::remove(&Name::parse(name)?)
    }

    /// The object that a handle leads to.
    ///
    /// # Errors
    ///
    /// `Gone` if it is no more, `WrongType` if something else is there.
    pub(crate) fn attach(raw: &RawHandle, form: &Form) -> Result<Self> {
        if raw.kind != Kind::Arena.number() {
            let tenant = Tenant::attach(raw, &form.expect(), Arc::new(RepairSmall))?;
            return Self::checked(tenant, form);
        }
        let tenant = Tenant::attach(raw, &Expect::from(&arena_spec()), Arc::new(RepairSmall))?;
        let arena = Arena::new(Arc::clone(tenant.segment()));
        let block = Block {
            unit: raw.offset,
            generation: raw.generation,
        };
        let (place, len) = arena.locate(block)?;
        if len < form.len() || !tag(tenant.segment(), place).is_some_and(|tag| tag.says(form)) {
            return Err(other_type(form));
        }
        Ok(Self::within(tenant, form, place, (Arc::new(arena), block)))
    }

    fn alone(tenant: Arc<Tenant>, form: &Form) -> Self {
        let place = tenant.segment().body().0;
        Small {
            tenant,
            place,
            data: place + form.data_offset(),
            block: None,
        }
    }

    fn checked(tenant: Arc<Tenant>, form: &Form) -> Result<Self> {
        let (place, len) = tenant.segment().body();
        if len < form.len() || !tag(tenant.segment(), place).is_some_and(|tag| tag.says(form)) {
            return Err(other_type(form));
        }
        Ok(Self::alone(tenant, form))
    }

    fn within(tenant: Arc<Tenant>, form: &Form, place: u64, block: (Arc<Arena>, Block)) -> Self {
        Small {
            tenant,
            place,
            data: place + form.data_offset(),
            block: Some(block),
        }
    }

    /// The tenancy that keeps the object mapped.
    #[inline]
    pub(crate) fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }

    /// Where the object begins in its segment.
    pub(crate) fn place(&self) -> u64 {
        self.place
    }

    /// Where its data begin.
    pub(crate) fn data(&self) -> u64 {
        self.data
    }

    /// The handle to send; from here on the object is not this process's alone.
    pub(crate) fn to_raw(&self) -> RawHandle {
        let Some((arena, block)) = &self.block else {
            return self.tenant.handle(0, 0);
        };
        if let Some(me) = self.tenant.who() {
            arena.share(me, *block);
        }
        self.tenant.handle(block.unit, block.generation)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Frees the block unless it was shared, or is another process's.
        if let Some((arena, block)) = &self.block
            && let Some(me) = self.tenant.who()
        {
            arena.give_up(me, *block);
        }
    }
}

impl fmt::Debug for Small {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {:#x}", self.tenant.segment(), self.place)
    }
}

impl Tag {
    fn says(&self, form: &Form) -> bool {
        // Relaxed: written before the handle or the name by which the caller came here.
        self.kind.load(Relaxed) == u32::from(form.kind.number())
            && self.fingerprint.load(Relaxed) == form.fingerprint
    }
}

/// The tag of the object at `place`, if its head is memory that can be looked at.
fn tag(segment: &Segment, place: u64) -> Option<&Tag> {
    segment.get(Offset::<Tag>::new(place.checked_add(TAG)?))
}

/// Fills in the data and then the tag of a new object, whose bytes are all zero.
fn complete(
    form: &Form,
    segment: &Segment,
    place: u64,
    init: &impl Fn(&Segment, u64) -> Result<()>,
) -> Result<()> {
    init(segment, place + form.data_offset())?;
    let tag = segment.at(Offset::<Tag>::new(place + TAG));
    step("small.tag");
    // Relaxed: whoever comes, comes by a handle or a name that is published later.
    tag.fingerprint.store(form.fingerprint, Relaxed);
    step("small.kind");
    tag.kind.store(u32::from(form.kind.number()), Relaxed);
    Ok(())
}

#[cold]
fn other_type(form: &Form) -> Error {
    let Form {
        kind, type_name, ..
    } = form;
    let text = format!("the shared object is not a {kind} of {type_name}");
    Error::new(ErrorKind::WrongType, text)
}

fn arena_spec() -> Spec {
    let (body_len, reserve_len) = Arena::lengths(ARENA_BYTES);
    Spec {
        body_len,
        reserve_len,
        type_name: "small objects".to_owned(),
        ..Spec::new(Kind::Arena)
    }
}

/// The arena that this process makes its unnamed objects in.
#[derive(Clone)]
struct Own {
    tenant: Arc<Tenant>,
    arena: Arc<Arena>,
}

/// A forked child goes on using its parent's, with a seat of its own.
static OWN: ForkMutex<Option<Own>> = ForkMutex::new(None, || None);

fn own_arena() -> Result<Own> {
    let mut own = OWN.lock();
    if let Some(own) = &*own {
        return Ok(own.clone());
    }
    let tenant = Tenant::create(None, &arena_spec(), |_| Ok(()), Arc::new(RepairSmall))?;
    let arena = Arc::new(Arena::new(Arc::clone(tenant.segment())));
    static HOOK: Once = Once::new();
    HOOK.call_once(|| before_forks(share_all));
    Ok(own.insert(Own { tenant, arena }).clone())
}

/// A forked child has every object of its parent without having received a handle: none may be freed any more.
extern "C" fn share_all() {
    let own = OWN.lock().clone();
    if let Some(Own { tenant, arena }) = own
        && let Some(me) = tenant.who()
    {
        arena.each(|block, _| {
            arena.share(me, block);
        });
    }
}

/// What cleans up in a segment of small objects; `None` for segments of other kinds.
pub(crate) fn small_repair(segment: &Arc<Segment>) -> Option<Arc<dyn Repair>> {
    let ours = [Kind::Arena, Kind::Lock, Kind::Value].contains(&segment.geometry().kind);
    ours.then(|| Arc::new(RepairSmall) as Arc<dyn Repair>)
}

/// Locks that the dead held are marked, and blocks that they had not shared are free again.
struct RepairSmall;

impl Repair for RepairSmall {
    fn repair(&self, segment: &Arc<Segment>, dead: Participant) {
        if segment.geometry().kind != Kind::Arena {
            repair_lock(segment, segment.body().0, dead);
            return;
        }
        let arena = Arena::new(Arc::clone(segment));
        arena.sweep(dead);
        arena.each(|_, place| repair_lock(segment, place, dead));
    }
}

fn repair_lock(segment: &Segment, place: u64, dead: Participant) {
    let is_lock = |tag: &Tag| tag.kind.load(Relaxed) == u32::from(Kind::Lock.number());
    if tag(segment, place).is_some_and(is_lock)
        && let Some(lock) = segment.get(Offset::<RawLock>::new(place))
    {
        lock.repair(dead);
    }
}
