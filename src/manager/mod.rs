//! [`Manager`]: memory in which many processes keep values under names, without a server.

mod annexes;
mod array;
mod builder;
mod cell;
mod core;
mod counter;
mod deque;
mod dict;
mod directory;
mod error;
mod key;
mod list;
mod named;
mod namespace;
mod post;
mod sequence;
mod siphash;
mod table;
mod transaction;

pub use self::array::{Array, ArrayGuard, Element, OutOfRange};
pub use self::builder::ManagerBuilder;
pub use self::cell::{Cell, CellGuard};
use self::core::Core;
pub use self::counter::Counter;
pub use self::deque::Deque;
pub use self::dict::{Dict, DictGuard};
use self::directory::KIND;
pub use self::error::StoreError;
pub use self::key::Key;
pub use self::list::List;
pub use self::named::Named;
pub use self::namespace::Namespace;
use self::sequence::Sequence;
use self::table::Table;
pub use self::transaction::{CellIn, DictIn, ListIn, Transaction};
use crate::Result;
use crate::message::{Encode, Handle, Message, handle_message};
use crate::segment::layout::fingerprint;
use crate::segment::name::Name;
use crate::segment::{Expect, Kind};
use crate::tenancy::{ManagerMender, RawHandle, Tenant};
use std::fmt;
use std::sync::Arc;

/// Shared memory in which many processes keep values under names.
///
/// There is no server: every process reads and writes the memory itself, and what is stored lasts as long as any process has
/// the manager, whoever made it. Its memory grows as it is needed, up to a [limit](ManagerBuilder::limit), and is used again
/// when values are replaced: each process keeps a little of it, 2 MiB and a 32nd of the limit at most for each of up to four
/// groups of its threads, for what it writes next.
///
/// Beside [cells](Manager::cell) and [dictionaries](Manager::dict) it has [namespaces](Manager::namespace),
/// [arrays](Manager::array) and [counters](Manager::counter) in that memory; and queues, locks and all other primitives by
/// name, such as [`queue`](Manager::queue) and [`lock`](Manager::lock), beside it.
///
/// A `Manager` is a handle. Cloning it, sending it in a message or passing it to a process gives another handle on the same
/// memory.
///
/// # When a process dies
///
/// Killed at any instruction, a process loses what it had not finished storing, and nobody else loses or waits for anything;
/// the memory that it held is used again.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// use multiproc::{Manager, Process};
///
/// fn work(manager: Manager) -> multiproc::Result<()> {
///     let title = manager.cell("title", String::new())?;
///     title.set("written by the child")?;
///     Ok(())
/// }
///
/// let manager = Manager::new()?;
/// Process::spawn(work, (manager.clone(),))?.join()?;
/// assert_eq!(*manager.open_cell::<String>("title")?.get()?, *"written by the child");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Manager {
    core: Arc<Core>,
}

/// What a segment must be to be a manager.
fn manager_expect() -> Expect {
    Expect {
        kind: Kind::Manager,
        fingerprint: Some(fingerprint(
            b"multiproc manager 2: head128 locks64x128 | hazards4096x128 objects4096x128 chunks65536",
        )),
        type_name: KIND.to_string(),
    }
}

impl Manager {
    fn on(tenant: Arc<Tenant>) -> Self {
        Manager {
            core: Core::of(tenant),
        }
    }

    /// A new manager without a name, for this process and those to which it is given.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](crate::ErrorKind::NoSpace) when there is no memory for it, [`Os`](crate::ErrorKind::Os) when the system
    /// refuses (no descriptor is free, for instance).
    pub fn new() -> Result<Self> {
        Manager::builder().anonymous()
    }

    /// A new manager called `name`, which other programs of the same user can [`open`](Manager::open).
    ///
    /// It exists until its last user is gone, or until it is [removed](Manager::remove).
    ///
    /// # Errors
    ///
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists), [`InvalidInput`](crate::ErrorKind::InvalidInput) for a name that
    /// cannot be one, [`NoSpace`](crate::ErrorKind::NoSpace).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::Manager;
    ///
    /// let name = format!("settings-{}", std::process::id());
    /// let ours = Manager::create(&name)?;
    /// ours.cell("level", 3_u32)?;
    /// let theirs = Manager::open(&name)?;
    /// assert_eq!(*theirs.open_cell::<u32>("level")?.get()?, 3);
    /// Manager::remove(&name)
    /// # }
    /// ```
    pub fn create(name: &str) -> Result<Self> {
        Manager::builder().name(name).create()
    }

    /// The manager called `name`. See [`create`](Manager::create).
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound), [`WrongType`](crate::ErrorKind::WrongType),
    /// [`PermissionDenied`](crate::ErrorKind::PermissionDenied).
    pub fn open(name: &str) -> Result<Self> {
        Manager::builder().name(name).open()
    }

    /// The manager called `name`; if there is none, a new one.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Manager::open) but `NotFound`, and those of [`create`](Manager::create) but `AlreadyExists`.
    pub fn open_or_create(name: &str) -> Result<Self> {
        Manager::builder().name(name).open_or_create()
    }

    /// Removes the name. Those who have the manager open keep it, and what is in it; the name is free for a new one.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound), [`PermissionDenied`](crate::ErrorKind::PermissionDenied).
    pub fn remove(name: &str) -> Result<()> {
        Tenant::remove(&Name::parse(name)?)
    }

    /// A manager with other knobs than the usual ones.
    pub fn builder() -> ManagerBuilder {
        ManagerBuilder::new()
    }

    /// The cell called `name`; if there is none, a new one with the value `first`.
    ///
    /// A name has 1 to 64 bytes, and there can be 4,096 of them. What it names lasts as long as the manager.
    ///
    /// # Errors
    ///
    /// [`WrongType`](crate::ErrorKind::WrongType) if something else has that name,
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a name that cannot be one,
    /// [`NoSpace`](crate::ErrorKind::NoSpace), and what keeps `first` from being written.
    pub fn cell<T: Message>(&self, name: &str, first: impl Encode<T>) -> Result<Cell<T>> {
        let init = |place| Cell::<T>::init(&self.core, place, &first);
        let index = self.core.find_or_make(name, cell::form::<T>(), init)?;
        Cell::at(Arc::clone(&self.core), index)
    }

    /// The cell called `name`.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound), and those of [`cell`](Manager::cell).
    pub fn open_cell<T: Message>(&self, name: &str) -> Result<Cell<T>> {
        let index = self.core.find(name, cell::form::<T>())?;
        Cell::at(Arc::clone(&self.core), index)
    }

    /// The dictionary called `name`; if there is none, a new one.
    ///
    /// # Errors
    ///
    /// Those of [`cell`](Manager::cell).
    pub fn dict<K: Key, V: Message>(&self, name: &str) -> Result<Dict<K, V>> {
        let init = |place| Table::init(&self.core, place);
        let index = self.core.find_or_make(name, dict::form::<K, V>(), init)?;
        Dict::at(Arc::clone(&self.core), index)
    }

    /// The dictionary called `name`.
    ///
    /// # Errors
    ///
    /// Those of [`open_cell`](Manager::open_cell).
    pub fn open_dict<K: Key, V: Message>(&self, name: &str) -> Result<Dict<K, V>> {
        let index = self.core.find(name, dict::form::<K, V>())?;
        Dict::at(Arc::clone(&self.core), index)
    }

    /// The list called `name`; if there is none, a new one.
    ///
    /// # Errors
    ///
    /// Those of [`cell`](Manager::cell).
    pub fn list<T: Message>(&self, name: &str) -> Result<List<T>> {
        let init = |place| Sequence::init(&self.core, place);
        let index = self.core.find_or_make(name, list::form::<T>(), init)?;
        List::at(Arc::clone(&self.core), index)
    }

    /// The list called `name`, with these elements if nobody has stored anything in it yet: all of them in one step. If there is
    /// none, a new one.
    ///
    /// # Errors
    ///
    /// Those of [`cell`](Manager::cell).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{List, Manager};
    ///
    /// let manager = Manager::new()?;
    /// let list: List<String> = manager.list_from("names", ["Ada", "Grace"])?;
    /// let same: List<String> = manager.list_from("names", ["nobody"])?;
    /// assert_eq!(same.snapshot()?, ["Ada", "Grace"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn list_from<T: Message, V: Encode<T>>(
        &self,
        name: &str,
        elements: impl IntoIterator<Item = V>,
    ) -> Result<List<T>> {
        let list = self.list(name)?;
        list.fill(elements)?;
        Ok(list)
    }

    /// The list called `name`.
    ///
    /// # Errors
    ///
    /// Those of [`open_cell`](Manager::open_cell).
    pub fn open_list<T: Message>(&self, name: &str) -> Result<List<T>> {
        let index = self.core.find(name, list::form::<T>())?;
        List::at(Arc::clone(&self.core), index)
    }

    /// The queue with two ends called `name`; if there is none, a new one.
    ///
    /// # Errors
    ///
    /// Those of [`cell`](Manager::cell).
    pub fn deque<T: Message>(&self, name: &str) -> Result<Deque<T>> {
        let init = |place| Sequence::init(&self.core, place);
        let index = self.core.find_or_make(name, deque::form::<T>(), init)?;
        Deque::at(Arc::clone(&self.core), index)
    }

    /// The queue with two ends called `name`.
    ///
    /// # Errors
    ///
    /// Those of [`open_cell`](Manager::open_cell).
    pub fn open_deque<T: Message>(&self, name: &str) -> Result<Deque<T>> {
        let index = self.core.find(name, deque::form::<T>())?;
        Deque::at(Arc::clone(&self.core), index)
    }

    /// The names of all objects in the manager, in the order in which they were made.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](crate::ErrorKind::Corrupt) if the directory is damaged.
    pub fn names(&self) -> Result<Vec<String>> {
        self.core.names()
    }

    /// The bytes of shared memory that its values take at the moment, with the room that replaced ones have left.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.core.heap.size()
    }

    /// The most bytes that its values may take.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.core.tenant.segment().params()[0]
    }
}

impl fmt::Debug for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Manager({:?})", self.core.tenant.segment())
    }
}

impl Handle for Manager {
    fn to_raw(&self) -> RawHandle {
        self.core.tenant.handle(0, 0)
    }

    fn attach(raw: &RawHandle) -> Result<Self> {
        let tenant = Tenant::attach(raw, &manager_expect(), Arc::new(ManagerMender))?;
        Ok(Manager::on(tenant))
    }
}

handle_message!([] Manager, "Manager", []);
