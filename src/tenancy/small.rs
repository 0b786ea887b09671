//! Small objects: a lock, a value. Without a name they share the arena of the process that made them; with a name, or
//! too large for a block, they have a segment of their own.
//!
//! | bytes of the object | what is there |
//! |---|---|
//! | 0..12 | the noun's own words |
//! | 12..24 | which noun, and a fingerprint of its type: see [`Tag`] |
//! | 24..40 | the noun's own words |
//! | 40.. | the noun's data, aligned as it needs |
//!
//! It lasts as long as anybody holds it (see [`object`](super::object)). A noun that is a field of a struct lies there in
//! the same way, and lasts as long as the struct (see [`field`](super::field)).

use crate::error::{Error, ErrorKind, Result};
use crate::segment::layout::{Layout, Offset, assert_offsets};
use crate::segment::name::Name;
use crate::segment::{Expect, Kind, Segment, Spec};
use crate::sys::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use crate::sys::step::step;
use crate::tenancy::object::{part_in, repair_of};
use crate::tenancy::{Object, RawHandle, Tenant, parts};
use std::fmt;
use std::sync::Arc;

/// Where the noun's data begin, unless they need more alignment: up to 24 bytes share the noun's cache line.
const DATA: u64 = 40;

/// The beginning of an object: tells what it is.
#[derive(Debug)]
#[repr(C)]
struct Tag {
    /// The noun's.
    own: [AtomicU32; 3],
    kind: AtomicU32,
    fingerprint: AtomicU64,
}

const _: () = assert!(size_of::<Tag>() == 24);
assert_offsets!(Tag {
    own: 0,
    kind: 12,
    fingerprint: 16
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
            .map_or(0, |(_, align)| DATA.next_multiple_of(align))
    }

    /// The bytes that the object takes, head and data.
    pub(super) fn len(&self) -> u64 {
        self.data
            .map_or(DATA, |(size, _)| self.data_offset() + size)
    }

    /// What to ask of the arena, whose blocks are aligned to their size.
    pub(super) fn block_len(&self) -> u64 {
        self.data.map_or(DATA, |(_, align)| self.len().max(align))
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

/// One process's hold on a small object, or on a struct of which the object is a part; its handles share it.
#[derive(Clone)]
pub(crate) struct Small {
    object: Arc<Object>,
    place: u64,
    len: u64,
    data: u64,
}

impl Small {
    /// A new object without a name; `init` fills in the data at the place it is given.
    ///
    /// # Errors
    ///
    /// `NoSpace` when the memory is full.
    pub(crate) fn anonymous(
        form: &Form,
        init: impl Fn(&Segment, u64) -> Result<()>,
    ) -> Result<Self> {
        let object = Object::create(&form.expect(), form.block_len())?;
        complete(form, object.segment(), object.place().0, &init)?;
        Ok(Self::around(object, form))
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
        let tenant = Tenant::create(Some(&name), &form.spec(), init, repair_of(form.kind))?;
        Ok(Self::around(Object::whole(tenant), form))
    }

    /// The object called `name`.
    ///
    /// # Errors
    ///
    /// See [`Tenant::open`].
    pub(crate) fn open(name: &str, form: &Form) -> Result<Self> {
        let name = Name::parse(name)?;
        let tenant = Tenant::open(&name, &form.expect(), repair_of(form.kind))?;
        Self::checked(Object::whole(tenant), form)
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
        Self::open_or_create_sized(name, form, form, init)
    }

    /// The object called `name`, which may be as small as `least`; made in `form` if there is none.
    ///
    /// # Errors
    ///
    /// See [`Tenant::open_or_create`].
    pub(crate) fn open_or_create_sized(
        name: &str,
        least: &Form,
        form: &Form,
        init: impl Fn(&Segment, u64) -> Result<()>,
    ) -> Result<Self> {
        let init = |segment: &Segment| complete(form, segment, segment.body().0, &init);
        let name = Name::parse(name)?;
        let tenant = Tenant::open_or_create(&name, &form.spec(), init, repair_of(form.kind))?;
        Self::checked(Object::whole(tenant), least)
    }

    /// Removes the name; who has the object open keeps it.
    ///
    /// # Errors
    ///
    /// See [`Tenant::remove`].
    pub(crate) fn remove(name: &str) -> Result<()> {
        Tenant::remove(&Name::parse(name)?)
    }

    /// The object that a handle leads to, or that part of a struct.
    ///
    /// # Errors
    ///
    /// `Gone` if it is no more, `WrongType` if something else is there.
    pub(crate) fn attach(raw: &RawHandle, form: &Form) -> Result<Self> {
        let Some(part) = part_in(raw) else {
            return Self::checked(Object::attach(raw, &form.expect())?, form);
        };
        let whole = Object::attach(raw, &Expect::any(Kind::Shared))?;
        if !whole.has_part(form.kind, part) {
            return Err(other_type(form));
        }
        Self::at(whole, part, form)
    }

    /// The noun that lies at the distance `part` in this struct.
    ///
    /// # Errors
    ///
    /// `WrongType` if something else is there.
    pub(super) fn part(&self, part: u64, form: &Form) -> Result<Self> {
        Self::at(Arc::clone(&self.object), part, form)
    }

    /// Completes a new object that was made for it.
    #[cfg(feature = "compat")]
    pub(super) fn made(
        object: Arc<Object>,
        form: &Form,
        init: impl Fn(&Segment, u64) -> Result<()>,
    ) -> Result<Self> {
        complete(form, object.segment(), object.place().0, &init)?;
        Ok(Self::around(object, form))
    }

    /// An object that was found by other means than a handle or a name.
    ///
    /// # Errors
    ///
    /// `WrongType` if it is something else.
    #[cfg(feature = "compat")]
    pub(super) fn found(object: Arc<Object>, form: &Form) -> Result<Self> {
        Self::checked(object, form)
    }

    fn around(object: Arc<Object>, form: &Form) -> Self {
        let (place, len) = object.place();
        Small {
            data: place + form.data_offset(),
            place,
            len,
            object,
        }
    }

    fn checked(object: Arc<Object>, form: &Form) -> Result<Self> {
        Self::at(object, 0, form)
    }

    /// What lies at the distance `part` in the object, if it is what it should be.
    fn at(object: Arc<Object>, part: u64, form: &Form) -> Result<Self> {
        let (whole, len) = object.place();
        let place = whole.saturating_add(part);
        let fits = part.checked_add(form.len()).is_some_and(|end| end <= len);
        if !fits || !tag(object.segment(), place).is_some_and(|tag| tag.says(form)) {
            return Err(other_type(form));
        }
        Ok(Small {
            data: place + form.data_offset(),
            place,
            len: match part {
                0 => len,
                part => parts::room(form.kind, len - part),
            },
            object,
        })
    }

    /// The tenancy that keeps the object mapped.
    #[inline]
    pub(crate) fn tenant(&self) -> &Arc<Tenant> {
        self.object.tenant()
    }

    /// Where it begins in its segment.
    pub(crate) fn place(&self) -> u64 {
        self.place
    }

    /// How many bytes there are from its beginning, at least as many as were asked for.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Where its data begin.
    pub(crate) fn data(&self) -> u64 {
        self.data
    }

    /// The handle to send.
    pub(crate) fn to_raw(&self) -> RawHandle {
        self.object.handle(self.place - self.object.place().0)
    }
}

impl fmt::Debug for Small {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.object.fmt(f)
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
    segment.get(Offset::<Tag>::new(place))
}

/// Fills in the data and then the tag of a new object, whose bytes are all zero.
pub(super) fn complete(
    form: &Form,
    segment: &Segment,
    place: u64,
    init: &impl Fn(&Segment, u64) -> Result<()>,
) -> Result<()> {
    init(segment, place + form.data_offset())?;
    let tag = segment.at(Offset::<Tag>::new(place));
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
