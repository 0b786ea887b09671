//! [`Namespace`]: values of different types under names, in a manager.

use super::Manager;
use super::core::{Core, changing};
use super::dict::DictGuard;
use super::directory::{Form, Sort};
use super::error::StoreError;
use super::named::Named;
use super::table::{Held, Spot, Table, split};
use crate::heap::Fresh;
use crate::message::{
    Encode, Handle, Message, WriteError, copy_bytes, handle_message, segment_fingerprint,
};
use crate::segment::layout::fingerprint;
use crate::sys::identity::Participant;
use crate::tenancy::RawHandle;
use crate::{Error, ErrorKind, Result};
use std::fmt;
use std::mem::MaybeUninit;
use std::sync::Arc;

/// Values of different types under names, in a [`Manager`](crate::Manager): attributes that are read in place and set as a
/// whole.
///
/// Each value has its type with it, so reading it as another type is an error and never nonsense. Setting a name again may
/// change the type. It is a [`Dict`](crate::Dict) otherwise: readers take no lock and wait for nobody, who sets or removes a
/// value holds the lock of its shard, one of 32, for as long as that takes.
///
/// A `Namespace` is a handle. Cloning it, sending it in a message or passing it to a process gives another handle on the same
/// values. Handles of all kinds can be values.
///
/// # When a process dies
///
/// Each change has happened wholly or not at all, at whatever instruction its process is killed.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// use multiproc::{ErrorKind, Manager, Namespace, Process};
///
/// fn work(settings: Namespace) -> multiproc::Result<()> {
///     let threads = settings.get_owned::<u32>("threads")?.unwrap_or(1);
///     settings.set("result", vec![threads as u64; 3])?;
///     Ok(())
/// }
///
/// let manager = Manager::new()?;
/// let settings = manager.namespace("settings")?;
/// settings.set("threads", 4_u32)?;
/// settings.set::<String>("title", "a job")?;
/// Process::spawn(work, (settings.clone(),))?.join()?;
/// assert_eq!(settings.get_owned::<Vec<u64>>("result")?, Some(vec![4; 3]));
/// assert_eq!(settings.get::<String>("title")?.as_deref().map(|title| &**title), Some("a job"));
/// assert_eq!(settings.get::<u64>("threads").unwrap_err().kind(), ErrorKind::WrongType);
/// # Ok(())
/// # }
/// ```
pub struct Namespace {
    table: Arc<Table>,
}

const FORM: Form = Form {
    sort: Sort::Namespace,
    fingerprint: fingerprint(b"namespace"),
};

impl Manager {
    /// The namespace called `name`; if there is none, a new one.
    ///
    /// # Errors
    ///
    /// Those of [`cell`](Manager::cell).
    pub fn namespace(&self, name: &str) -> Result<Namespace> {
        let init = |place| Table::init(&self.core, place);
        let index = self.core.find_or_make(name, FORM, init)?;
        Namespace::at(Arc::clone(&self.core), index)
    }
}

impl Named for Namespace {
    fn find_in(manager: &Manager, name: &str) -> Result<Self> {
        let index = manager.core.find(name, FORM)?;
        Namespace::at(Arc::clone(&manager.core), index)
    }
}

impl Namespace {
    /// The namespace in that row of the directory.
    fn at(core: Arc<Core>, index: u32) -> Result<Self> {
        Ok(Namespace {
            table: Arc::new(Table::at(core, index)?),
        })
    }

    /// The value called `name`, in place.
    ///
    /// # Errors
    ///
    /// [`WrongType`](ErrorKind::WrongType) if it has another type, and those of [`Cell::get`](crate::Cell::get).
    #[inline]
    pub fn get<T: Message>(&self, name: &str) -> Result<Option<DictGuard<'_, T>>> {
        let Some(entry) = self.table.find(self.table.name(name.as_bytes()))? else {
            return Ok(None);
        };
        let guard = DictGuard::of(&self.table, entry, view::<T>);
        guard.ok_or_else(|| other_type::<T>(name)).map(Some)
    }

    /// A copy of the value called `name`, as an ordinary one; handles in it are attached.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Namespace::get), and when a handle cannot be attached because its object is gone.
    pub fn get_owned<T: Message>(&self, name: &str) -> Result<Option<T>> {
        let found = self.get::<T>(name)?;
        found.map(|value| T::to_owned(&value)).transpose()
    }

    /// Whether there is a value called `name`, of whatever type.
    ///
    /// # Errors
    ///
    /// Those of [`Cell::get`](crate::Cell::get).
    pub fn contains(&self, name: &str) -> Result<bool> {
        let found = self.table.find(self.table.name(name.as_bytes()))?;
        Ok(found.is_some())
    }

    /// Gives `name` a value, in place of the one that it has, of whatever type that is; says whether it had none.
    ///
    /// An ordinary value says what type it is; for a borrowed form name the one that is meant: `set::<String>("x", "text")`.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSpace`] when the manager's limit is reached, and [`StoreError::Unwritable`]; everything stays as it is
    /// then. [`StoreError::Deadlock`] within a function that was given to [`update`](Namespace::update).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let manager = multiproc::Manager::new()?;
    /// let namespace = manager.namespace("all")?;
    /// assert!(namespace.set("x", 5_u32)?);
    /// assert!(!namespace.set::<String>("x", "a text now")?);
    /// assert_eq!(namespace.get_owned::<String>("x")?.as_deref(), Some("a text now"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn set<T: Message>(&self, name: &str, value: impl Encode<T>) -> Result<bool, StoreError> {
        let key = self.table.name(name.as_bytes());
        let me = self.table.core.me().map_err(StoreError::refused)?;
        let fresh = self.write::<T>(me, name, &value)?; // before the lock, so that others wait less
        let held = self.table.hold(key).inspect_err(|_| {
            self.table.core.heap.give_back(me, fresh.0);
        })?;
        let spot = held.spot(key);
        held.put(key, spot, fresh)?;
        Ok(matches!(spot, Spot::Vacant(_)))
    }

    /// Replaces the value called `name` by what `change` makes of it; says whether there is one.
    ///
    /// `change` is called once, while nobody else changes the shard. Do not use this namespace or a dictionary within it.
    ///
    /// # Errors
    ///
    /// Those of [`set`](Namespace::set); [`StoreError::Refused`] with [`WrongType`](ErrorKind::WrongType) if the value has
    /// another type.
    ///
    /// # Panics
    ///
    /// When `change` does; nothing is changed then.
    pub fn update<T: Message, E: Encode<T>>(
        &self,
        name: &str,
        change: impl FnOnce(&T::View) -> E,
    ) -> Result<bool, StoreError> {
        let key = self.table.name(name.as_bytes());
        let held = self.table.hold(key)?;
        let spot = held.spot(key);
        let Spot::Taken(_, entry) = spot else {
            return Ok(false);
        };
        let seen = view::<T>(held.entry(entry));
        let seen = seen.ok_or_else(|| StoreError::refused(other_type::<T>(name)))?;
        let value = changing(|| change(seen));
        let fresh = self.write::<T>(held.me, name, &value)?;
        held.put(key, spot, fresh)?;
        Ok(true)
    }

    /// Takes the value called `name` away, of whatever type it is; says whether there was one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Refused`], and [`StoreError::Deadlock`] as for [`set`](Namespace::set).
    pub fn remove(&self, name: &str) -> Result<bool, StoreError> {
        let key = self.table.name(name.as_bytes());
        let held = self.table.hold(key)?;
        let Spot::Taken(home, entry) = held.spot(key) else {
            return Ok(false);
        };
        held.vacate(home, entry);
        Ok(true)
    }

    /// The names of all values, as they are at one instant, in no order. Those who set or remove values wait meanwhile.
    ///
    /// # Errors
    ///
    /// As [`remove`](Namespace::remove).
    pub fn names(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for held in &self.table.hold_all()? {
            let keys = held.entries().map(|(_, entry)| split(held.entry(entry)).1);
            names.extend(keys.map(|key| String::from_utf8_lossy(key).into_owned()));
        }
        Ok(names)
    }

    /// How many values there are. Looks at each shard in turn, with its lock.
    ///
    /// # Errors
    ///
    /// As [`remove`](Namespace::remove).
    pub fn len(&self) -> Result<usize> {
        let held = self.table.hold_all()?;
        Ok(held.iter().map(Held::len).sum::<u64>() as usize)
    }

    /// Whether there is no value.
    ///
    /// # Errors
    ///
    /// As [`remove`](Namespace::remove).
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Writes an entry into a block of its own: the value, its type, the name, and the name's length.
    fn write<T: Message>(
        &self,
        me: Participant,
        name: &str,
        value: &impl Encode<T>,
    ) -> Result<(Fresh, usize), StoreError> {
        const { assert!(T::ALIGN <= 16, "a manager aligns values to 16 bytes") };
        let behind = TYPE + name.len() + 4;
        let guess = T::FIXED.unwrap_or_else(|| value.guess()) + behind;
        self.table.core.write_with(me, guess, |room| {
            let for_value = room.len().checked_sub(behind);
            let for_value = for_value.ok_or(WriteError::Overflow(guess.max(behind)))?;
            let len = match value.encode(&mut room[..for_value]) {
                Err(WriteError::Overflow(needed)) => {
                    return Err(WriteError::Overflow(needed + behind));
                }
                done => done?,
            };
            append::<T>(room, len, name)
        })
    }
}

/// The bytes of a fingerprint.
const TYPE: usize = 8;

/// Writes the type, the name and its length behind a value of `len` bytes.
fn append<T: Message>(
    room: &mut [MaybeUninit<u8>],
    len: usize,
    name: &str,
) -> Result<usize, WriteError> {
    let print = segment_fingerprint::<T>().to_le_bytes();
    let length = (name.len() as u32).to_le_bytes();
    let mut end = len;
    for part in [&print[..], name.as_bytes(), &length] {
        end += copy_bytes(part, &mut room[end..])?;
    }
    Ok(end)
}

/// The value of an entry, if it has that type.
#[inline]
fn view<T: Message>(entry: &[u8]) -> Option<&T::View> {
    let (value, print) = split(entry).0.split_last_chunk::<TYPE>()?;
    let same = u64::from_le_bytes(*print) == segment_fingerprint::<T>();
    // SAFETY: a writer of the same type wrote it: so says the fingerprint beside it.
    same.then(|| unsafe { T::view(value) })
}

#[cold]
fn other_type<T: Message>(name: &str) -> Error {
    let text = format!("`{name}` in the namespace is not a {}", T::type_name());
    Error::new(ErrorKind::WrongType, text)
}

impl Clone for Namespace {
    fn clone(&self) -> Self {
        Namespace {
            table: Arc::clone(&self.table),
        }
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (index, segment) = (self.table.index, self.table.core.tenant.segment());
        write!(f, "Namespace({index} of {segment:?})")
    }
}

impl Handle for Namespace {
    fn to_raw(&self) -> RawHandle {
        self.table.core.handle(self.table.index)
    }

    fn attach(raw: &RawHandle) -> Result<Self> {
        let (core, index) = Core::attach(raw, FORM)?;
        Namespace::at(core, index)
    }
}

handle_message!([] Namespace, "Namespace", []);
