//! What can be a field of a user's struct in shared memory, and where in the struct it lies.
//!
//! A noun lies in a struct byte by byte as it lies alone, at a multiple of 64, and is listed in the struct's table of
//! [`parts`]; a plain value lies as itself. So whatever can be done with an object can be done with a field: the same
//! handle type leads to it, the sweep repairs it, and it can be sent.

use crate::error::{Error, ErrorKind, Result};
use crate::segment::arena::UNIT;
use crate::segment::layout::{align_up, fingerprint};
use crate::segment::{Kind, Segment};
use crate::tenancy::parts::{self, TABLE};
use crate::tenancy::small::{Form, Small, complete};
use std::fmt::Write;
use std::slice::Iter;

/// What can be a field of a struct that [`shared!`](crate::shared) declares.
///
/// These are the primitives of this crate, [`Plain`](crate::Plain) values that are `Copy`, and structs that `shared!`
/// has declared. Sealed in effect: its functions take what only this crate can make use of.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a shared struct",
    label = "neither a primitive of multiproc nor plain data",
    note = "fields are primitives (`Lock<T>`, `Event`, `Value<T>`, ..), structs declared inside `multiproc::shared! {{ .. }}`, \
            and values that are `multiproc::Plain` and `Copy`",
    note = "what owns memory (`String`, `Vec`, `Box`) or borrows it cannot lie in shared memory"
)]
pub trait SharedField: Sized + Send + Sync + 'static {
    /// What a new one begins with: of a lock the value that it guards, of an event whether it is set, of a number or
    /// plain data the value; a `()` where there is nothing to say.
    type Init;

    #[doc(hidden)]
    fn plan(plan: &mut Plan);

    /// Makes it where the plan has it; may be called again for another attempt.
    #[doc(hidden)]
    fn make(init: &Self::Init, maker: &mut Maker<'_>) -> Result<()>;

    #[doc(hidden)]
    fn open(opener: &mut Opener<'_>) -> Result<Self>;
}

/// Where the fields of a struct lie.
#[derive(Debug)]
pub struct Plan {
    parts: Vec<Part>,
    /// The end of all fields, counted from the first.
    end: u64,
    align: u64,
    /// Names, order, kinds, sizes and alignments of all fields; its hash is the fingerprint.
    text: String,
}

#[derive(Debug)]
struct Part {
    kind: Option<Kind>,
    at: u64,
}

impl Plan {
    fn new() -> Self {
        Plan {
            parts: Vec::new(),
            end: 0,
            align: UNIT,
            text: String::new(),
        }
    }

    /// A struct called `name`, whose fields `fields` adds.
    #[doc(hidden)]
    pub fn structure(&mut self, name: &str, fields: impl FnOnce(&mut Self)) {
        self.note(format_args!("{name}{{"));
        fields(self);
        self.note(format_args!("}}"));
    }

    /// The next field of a struct.
    #[doc(hidden)]
    pub fn field<F: SharedField>(&mut self, name: &str) {
        self.note(format_args!("{name}:"));
        F::plan(self);
        self.note(format_args!(";"));
    }

    /// A noun.
    pub(crate) fn noun(&mut self, form: &Form) {
        let Form {
            kind, fingerprint, ..
        } = form;
        let (size, align) = form.data.unwrap_or_default();
        let number = kind.number();
        self.note(format_args!("{number}/{fingerprint:016x}/{size}/{align}"));
        self.part(Some(*kind), form.len(), align.max(UNIT));
    }

    /// A plain value.
    pub(crate) fn plain(&mut self, name: &str, size: u64, align: u64) {
        self.note(format_args!("{name}/{size}/{align}"));
        self.part(None, size, align);
    }

    fn part(&mut self, kind: Option<Kind>, len: u64, align: u64) {
        let at = align_up(self.end, align);
        self.parts.push(Part { kind, at });
        self.end = at.saturating_add(len);
        self.align = self.align.max(align);
    }

    fn note(&mut self, text: std::fmt::Arguments<'_>) {
        self.text.write_fmt(text).expect("a string takes all");
    }

    fn nouns(&self) -> impl Iterator<Item = (Kind, u64)> {
        let kinds = self.parts.iter();
        kinds.filter_map(|part| Some((part.kind?, part.at)))
    }
}

/// A struct as it lies in shared memory.
#[derive(Debug)]
pub(crate) struct Blueprint {
    plan: Plan,
    /// Where the fields begin, from the beginning of the object.
    base: u64,
    form: Form,
}

impl Blueprint {
    /// The struct with the fields of `F`, called `name`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it has 4 GiB or more.
    pub(crate) fn of<F: SharedField>(name: &str) -> Result<Self> {
        let mut plan = Plan::new();
        F::plan(&mut plan);
        let base = align_up(TABLE + 8 * plan.nouns().count() as u64, plan.align);
        let len = base.saturating_add(plan.end);
        if u32::try_from(len).is_err() {
            let text = format!("{name} has {len} bytes; a shared struct can have 4 GiB");
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        let form = Form {
            kind: Kind::Shared,
            fingerprint: fingerprint(plan.text.as_bytes()),
            type_name: name.to_owned(),
            // The table and all fields; as blocks are aligned to their size, and bodies to a page, so are the fields.
            data: Some((len - TABLE, align_of::<u64>() as u64)),
        };
        Ok(Blueprint { plan, base, form })
    }

    /// What the object is.
    pub(crate) fn form(&self) -> &Form {
        &self.form
    }

    /// Makes the fields of a new object, of which `table` is the place of the table.
    pub(crate) fn make<F: SharedField>(
        &self,
        init: &F::Init,
        segment: &Segment,
        table: u64,
    ) -> Result<()> {
        let place = table - TABLE;
        let nouns = self.plan.nouns();
        parts::write(
            segment,
            place,
            nouns.map(|(kind, at)| (kind, (self.base + at) as u32)),
        );
        let mut maker = Maker {
            segment,
            fields: place + self.base,
            parts: self.plan.parts.iter(),
        };
        F::make(init, &mut maker)
    }

    /// This process's view of the fields of `whole`.
    pub(crate) fn open<F: SharedField>(&self, whole: &Small) -> Result<F> {
        let mut opener = Opener {
            whole,
            base: self.base,
            parts: self.plan.parts.iter(),
        };
        F::open(&mut opener)
    }
}

/// Makes the fields of a new struct, one after the other.
#[derive(Debug)]
pub struct Maker<'a> {
    segment: &'a Segment,
    fields: u64,
    parts: Iter<'a, Part>,
}

impl Maker<'_> {
    /// The next field of an inner struct.
    #[doc(hidden)]
    pub fn field<F: SharedField>(&mut self, init: &F::Init) -> Result<()> {
        F::make(init, self)
    }

    /// Makes a noun; `init` fills in its data at the place it is given, as for one that lies alone.
    pub(crate) fn noun(
        &mut self,
        form: &Form,
        init: impl Fn(&Segment, u64) -> Result<()>,
    ) -> Result<()> {
        let place = self.fields + next(&mut self.parts).at;
        complete(form, self.segment, place, &init)
    }

    /// Where to put a plain value.
    pub(crate) fn plain(&mut self) -> (&Segment, u64) {
        (self.segment, self.fields + next(&mut self.parts).at)
    }
}

/// Opens the fields of a struct, one after the other.
#[derive(Debug)]
pub struct Opener<'a> {
    whole: &'a Small,
    base: u64,
    parts: Iter<'a, Part>,
}

impl Opener<'_> {
    /// The next field of an inner struct.
    #[doc(hidden)]
    pub fn field<F: SharedField>(&mut self) -> Result<F> {
        F::open(self)
    }

    /// A noun.
    pub(crate) fn noun(&mut self, form: &Form) -> Result<Small> {
        let at = self.base + next(&mut self.parts).at;
        self.whole.part(at, form)
    }

    /// Where a plain value lies.
    pub(crate) fn plain(&mut self) -> (&Segment, u64) {
        let at = self.base + next(&mut self.parts).at;
        (self.whole.tenant().segment(), self.whole.place() + at)
    }
}

fn next<'a>(parts: &mut Iter<'a, Part>) -> &'a Part {
    parts
        .next()
        .expect("a field is made and opened as it is planned")
}
