//! The knobs of a manager.

use super::{Manager, manager_expect};
use crate::heap::Heap;
use crate::segment::name::Name;
use crate::segment::{MODE_PREFAULT, Segment, Spec, with_mode};
use crate::tenancy::{MANAGER_LOCKS_LEN, MODE_PERSIST, ManagerMender, Tenant};
use crate::{Error, ErrorKind, Result};
use std::sync::Arc;

/// The most bytes of values unless the builder says otherwise.
const LIMIT: u64 = 4 << 30;

/// The knobs of a manager; made by [`Manager::builder`].
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// use multiproc::{ErrorKind, Manager};
///
/// let manager = Manager::builder().limit(1 << 20).anonymous()?;
/// let text = manager.cell("text", String::new())?;
/// let full = text.set("x".repeat(2 << 20)).unwrap_err();
/// assert_eq!(multiproc::Error::from(full).kind(), ErrorKind::NoSpace);
/// assert_eq!(*text.get()?, *"");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder makes nothing until `create`, `open`, `open_or_create` or `anonymous` is called"]
pub struct ManagerBuilder {
    name: Option<String>,
    limit: u64,
    mode: u32,
}

impl ManagerBuilder {
    pub(super) fn new() -> Self {
        ManagerBuilder {
            name: None,
            limit: LIMIT,
            mode: 0,
        }
    }

    /// The name under which other processes find the manager; see [`Manager::create`].
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How many bytes of shared memory the values may take, rounded up to 64 KiB; 4 GiB unless said, at least 256 KiB, at
    /// most 240 GiB.
    ///
    /// Memory is taken as it is needed. Address space is taken for all of it, once in each process.
    pub fn limit(mut self, bytes: u64) -> Self {
        self.limit = bytes;
        self
    }

    /// Whether a named manager stays when its last user is gone, until it is [removed](Manager::remove) or the machine is
    /// started again.
    pub fn persist(mut self, yes: bool) -> Self {
        self.mode = with_mode(self.mode, MODE_PERSIST, yes);
        self
    }

    /// Takes memory for all values up to the limit when the manager is made, so that storing finds it later.
    pub fn prefault(mut self, yes: bool) -> Self {
        self.mode = with_mode(self.mode, MODE_PREFAULT, yes);
        self
    }

    /// Makes the manager without a name: children get it as an argument, others in a message, and nothing is left of it
    /// when every process that has it is gone.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a limit out of range or a name, `NoSpace` when shared memory is used up.
    pub fn anonymous(self) -> Result<Manager> {
        if let Some(name) = &self.name {
            let text = format!("an anonymous manager has no name, but `{name}` was given");
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        let tenant = Tenant::create(None, &self.spec()?, prepare, Arc::new(ManagerMender))?;
        Ok(Manager::on(tenant))
    }

    /// Makes the manager under its name.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` when there is an object of that name, `InvalidInput` for a limit out of range or without a name,
    /// `NoSpace` when shared memory is used up.
    pub fn create(self) -> Result<Manager> {
        let (name, spec) = (self.parsed()?, self.spec()?);
        let tenant = Tenant::create(Some(&name), &spec, prepare, Arc::new(ManagerMender))?;
        Ok(Manager::on(tenant))
    }

    /// Opens the manager of that name; all knobs are as it was made.
    ///
    /// # Errors
    ///
    /// `NotFound`, `WrongType`, `PermissionDenied`; `InvalidInput` without a name.
    pub fn open(self) -> Result<Manager> {
        let name = self.parsed()?;
        let tenant = Tenant::open(&name, &manager_expect(), Arc::new(ManagerMender))?;
        Ok(Manager::on(tenant))
    }

    /// Opens the manager of that name, or makes it if there is none.
    ///
    /// # Errors
    ///
    /// Those of [`open`](ManagerBuilder::open) but `NotFound`, and of [`create`](ManagerBuilder::create) but
    /// `AlreadyExists`.
    pub fn open_or_create(self) -> Result<Manager> {
        let (name, spec) = (self.parsed()?, self.spec()?);
        let tenant = Tenant::open_or_create(&name, &spec, prepare, Arc::new(ManagerMender))?;
        Ok(Manager::on(tenant))
    }

    fn parsed(&self) -> Result<Name> {
        let name = self.name.as_deref().ok_or_else(|| {
            let text = "a manager is created and opened by name; call name() first, or anonymous()";
            Error::new(ErrorKind::InvalidInput, text)
        })?;
        Name::parse(name)
    }

    fn spec(&self) -> Result<Spec> {
        let (head, reserve_len) = Heap::lengths(self.limit)?;
        let expect = manager_expect();
        Ok(Spec {
            fingerprint: expect.fingerprint.unwrap_or_default(),
            type_name: expect.type_name,
            body_len: head + MANAGER_LOCKS_LEN,
            reserve_len,
            params: [self.limit, 0, 0, 0, 0, 0, 0, 0],
            mode: self.mode,
            ..Spec::new(expect.kind)
        })
    }
}

/// Takes the memory of a new manager, if all of it is wanted now. Zeros are an empty one.
fn prepare(segment: &Segment) -> Result<()> {
    let (start, len) = segment.reserve();
    match segment.geometry().mode & MODE_PREFAULT != 0 {
        true => segment.ensure_allocated(start, len),
        false => Ok(()),
    }
}
