//! Interoperation with the crates `shared_memory` and `raw_sync` (feature `compat`).
//!
//! - [`Adopted`]: primitives of this crate in a [`Shmem`] that a program has already.
//! - [`QueueBuilder::adopt`](crate::QueueBuilder::adopt): a queue that fills such a `Shmem`.
//! - [`Event`](crate::Event) implements [`raw_sync::events::EventInit`] and [`EventImpl`](raw_sync::events::EventImpl),
//!   and a [`raw_sync::Timeout`] converts into [`Until`](crate::Until). `raw_sync`'s `LockImpl` cannot be implemented
//!   outside of that crate: its guard has no public constructor.
//!
//! # What does not hold there
//!
//! What is said about the death of processes holds in a `Shmem` as it does elsewhere: every process re-opens its file, and
//! who lives there is known by the same locks. The memory itself is `shared_memory`'s:
//!
//! - Its length is fixed. It is given memory when it is adopted, so that a full file system is
//!   [`NoSpace`](crate::ErrorKind::NoSpace); but whoever cuts the file short after that ends its users by `SIGBUS`.
//!   Nothing here ever changes the length.
//! - It is removed by the `Shmem` that owns it: too early, if a forked child drops a copy, and never, if the owner is
//!   killed. [`gc`](crate::gc) does not know it. Who has adopted it keeps what it has.
//! - It is one object: adopted as a whole, when all of it is zero, and not to be written to by other means from then on.
//! - There is room for 256 keys, for objects of up to 16 KiB, and for messages that fit their slots.

mod events;

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

pub use raw_sync;
pub use shared_memory;
use shared_memory::Shmem;

use crate::message::Message;
use crate::sys::{fd, shm};
use crate::tenancy::{Keyed, SharedField};
use crate::{Error, ErrorKind, Queue, QueueBuilder, Result};

/// A [`Shmem`] in which primitives of this crate lie, each under a key.
///
/// Every process that has the `Shmem` adopts it, the first one making it ready for all. An object lives as long as
/// anybody has it; its key then leads to nothing, and its room is used again.
///
/// Adopting asks for at least [`Adopted::LEAST`] bytes, all zero; half a mebibyte of them is room for the members, of
/// which pages get memory all the same. The `Shmem` can be dropped afterwards; see [the module](self) for what it then
/// does to its name.
///
/// # When a process dies
///
/// As for each primitive by itself. Who is killed while it adopts, or makes an object, leaves something that the next one
/// begins again; who is stopped there lets others wait for ten seconds, and then get an error.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// use multiproc::compat::{Adopted, shared_memory::ShmemConf};
/// use multiproc::{Lock, Process, Value};
///
/// fn deposit(name: String) -> multiproc::Result<()> {
///     let shmem = ShmemConf::new().os_id(name).open().expect("the parent has made it");
///     let bank = Adopted::new(&shmem)?;
///     *bank.open::<Lock<i64>>("account")?.lock()? += 10;
///     bank.open::<Value<u32>>("deposits")?.fetch_add(1);
///     Ok(())
/// }
///
/// let shmem = ShmemConf::new().size(1 << 20).create().expect("room for a mebibyte");
/// let bank = Adopted::new(&shmem)?;
/// let account: Lock<i64> = bank.create("account", 100)?;
/// let deposits: Value<u32> = bank.create("deposits", 0)?;
/// let workers = [0, 1].map(|_| Process::spawn(deposit, (shmem.get_os_id().to_string(),)));
/// for worker in workers {
///     worker?.join()?;
/// }
/// assert_eq!((*account.lock()?, deposits.load()), (120, 2));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Adopted {
    keyed: Keyed,
}

impl Adopted {
    /// The least memory that can be adopted, in bytes; it has room for some kilobytes of objects.
    pub const LEAST: usize = Keyed::LEAST as usize;

    /// Takes over the memory of `shmem`, or moves in if it was taken over already.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) if there are fewer than [`LEAST`](Adopted::LEAST) bytes,
    /// [`Corrupt`](ErrorKind::Corrupt) if something else is in them, [`NoSpace`](ErrorKind::NoSpace) if the file system
    /// has no memory for them, [`WrongType`](ErrorKind::WrongType) if they are a queue, [`Gone`](ErrorKind::Gone) if the
    /// name of `shmem` does not lead to its memory any more, [`Timeout`](ErrorKind::Timeout) if a stopped process is at it.
    pub fn new(shmem: &Shmem) -> Result<Self> {
        let keyed = Keyed::adopt(file_of(shmem)?)?;
        Ok(Adopted { keyed })
    }

    /// A new object under `key`: a primitive, or a struct that [`shared!`](crate::shared) has declared.
    ///
    /// What it begins with depends on what it is; [`shared!`](crate::shared) has the list. An object under
    /// that key that nobody has any more is replaced. Plain data alone are held by nobody, and gone at once.
    ///
    /// # Errors
    ///
    /// [`AlreadyExists`](ErrorKind::AlreadyExists), [`NoSpace`](ErrorKind::NoSpace) for objects or keys,
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a key that is not 1 to 56 bytes long, or an object of more than 16 KiB.
    pub fn create<F: SharedField>(&self, key: &str, init: F::Init) -> Result<F> {
        self.keyed.create(key, &init)
    }

    /// The object under `key`.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound), [`WrongType`](ErrorKind::WrongType).
    pub fn open<F: SharedField>(&self, key: &str) -> Result<F> {
        self.keyed.open(key)
    }

    /// The object under `key`; if there is none, a new one.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Adopted::open) but `NotFound`, and those of [`create`](Adopted::create) but `AlreadyExists`.
    pub fn open_or_create<F: SharedField>(&self, key: &str, init: F::Init) -> Result<F> {
        self.keyed.open_or_create(key, &init)
    }

    /// Takes the key away. Those who have the object keep it; the key is free for another one.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound).
    pub fn remove(&self, key: &str) -> Result<()> {
        self.keyed.remove(key)
    }
}

impl<T: Message> QueueBuilder<T> {
    /// Makes the queue in the memory of `shmem` (feature `compat`), or opens it if it is there already, whatever its
    /// knobs.
    ///
    /// It takes all of that memory, which must be zero when it is made. A message that does not fit a slot is refused
    /// ([`PutError::NoSpace`](crate::PutError::NoSpace)): give the right [`message_size`](QueueBuilder::message_size). See
    /// [`compat`](crate::compat) for what does not hold in such memory.
    ///
    /// # Errors
    ///
    /// As [`Adopted::new`], and `InvalidInput` for a knob out of range, a name, or too little memory, of which the text says
    /// how much is needed: the slots, as much again for leases (1,024 at least), and 640 KiB.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::Queue;
    /// use multiproc::compat::shared_memory::ShmemConf;
    ///
    /// let shmem = ShmemConf::new().size(2 << 20).create().expect("room for two mebibytes");
    /// let queue = Queue::<String>::builder().capacity(16).adopt(&shmem)?;
    /// let same = Queue::<String>::builder().adopt(&shmem)?;
    /// queue.put("hello")?;
    /// assert_eq!(same.get_owned()?, "hello");
    /// # Ok(())
    /// # }
    /// ```
    pub fn adopt(self, shmem: &Shmem) -> Result<Queue<T>> {
        self.adopt_file(file_of(shmem)?)
    }
}

/// The file behind a mapping, opened once more: the byte locks that say who lives are taken on a description of our own.
fn file_of(shmem: &Shmem) -> Result<OwnedFd> {
    let name = shmem.get_os_id();
    let path = Path::new("/dev/shm").join(name.trim_start_matches('/'));
    let file = shm::open_existing(&path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => gone(name).with_source(error),
        _ => error,
    })?;
    let meta = fd::metadata(file.as_fd())?;
    let mapped = mapped_at(shmem.as_ptr() as usize)?;
    match mapped == Some((meta.dev(), meta.ino())) {
        true => Ok(file),
        false => Err(gone(name)),
    }
}

#[cold]
fn gone(name: &str) -> Error {
    let text = format!(
        "the shared memory `{name}` was removed; only memory that has its name can be adopted"
    );
    Error::new(ErrorKind::Gone, text)
}

/// Device and inode of the file whose first byte is mapped at `address`.
fn mapped_at(address: usize) -> Result<Option<(u64, u64)>> {
    let maps = fs::read_to_string("/proc/self/maps")
        .map_err(|cause| Error::os("cannot read the mappings of this process", cause))?;
    let start = format!("{address:x}-");
    // The first number has eight digits at least.
    let line = maps
        .lines()
        .find(|line| line.trim_start_matches('0').starts_with(&start));
    Ok(line.and_then(|line| {
        let mut columns = line.split_ascii_whitespace().skip(2);
        let whole = u64::from_str_radix(columns.next()?, 16).ok()? == 0;
        let (major, minor) = columns.next()?.split_once(':')?;
        let device = device(
            u64::from_str_radix(major, 16).ok()?,
            u64::from_str_radix(minor, 16).ok()?,
        );
        let inode = columns.next()?.parse().ok()?;
        whole.then_some((device, inode))
    }))
}

/// A device number as `stat` has it.
fn device(major: u64, minor: u64) -> u64 {
    (major & 0xfff) << 8 | (major & !0xfff) << 32 | minor & 0xff | (minor & !0xff) << 12
}
