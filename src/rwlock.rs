//! [`RwLock`]: data that many may look at, or one may change.

mod guard;
mod readers;

use std::fmt;
use std::mem::ManuallyDrop;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::lock::{LockError, LockTimeoutError, TryLockError, attempt_until};
use crate::message::{Handle, Plain, Room, handle_message, plain_fingerprint, plain_name};
use crate::segment::layout::{LINE, Offset};
use crate::segment::{Kind, Place, Places, Segment};
use crate::sync::{Entry, GATE_AT, Gate, MOST_ROWS, RawLock, RawRwLock, ReaderRow};
use crate::sys::clock::Deadline;
use crate::sys::membarrier;
use crate::tenancy::{Form, Maker, Opener, Plan, RawHandle, SharedField, Small, Tenant};
use crate::{Error, ErrorKind, Result, Until};
pub use guard::{ReadGuard, WriteGuard};
use readers::{OwnRow, Readers};

/// Data that any number of threads of any number of processes may look at, or one may change.
///
/// [`read`](RwLock::read) gives a [`ReadGuard`], [`write`](RwLock::write) a [`WriteGuard`]; both are references to the data
/// where they lie in shared memory. Use it for what is looked at much more often than it is changed: readers do not touch
/// a line that others write, so they do not slow each other down, while a writer has to look at every one of them.
///
/// An `RwLock` is a handle. Cloning it, sending it in a message or passing it to a process gives another handle on the same
/// lock and the same data.
///
/// # Readers and writers
///
/// A writer waits until those who read have done so; from then on newcomers queue behind it, so that readers do not
/// starve writers. Those who queued get in when the writer is done, before or after other writers who wait: whoever is
/// first. A thread that reads may read again; one that reads and wants to write, or writes and wants either, is told
/// [`LockError::Deadlock`]. [`downgrade`](WriteGuard::downgrade) makes a reader of a writer, with nobody in between.
///
/// # When a holder dies
///
/// *A reader's* death frees what it held: a writer that waits for it goes on within 100 ms as long as no more than 25
/// processes use the lock, and in proportion later with more. *A writer's* death, or a panic while it has its guard, *marks*
/// the lock, as with a [`Lock`](crate::Lock): readers and writers get [`LockError::OwnerDied`] until somebody has called
/// [`recover`](RwLock::recover), mended the data and called [`mark_consistent`](WriteGuard::mark_consistent); or
/// [`reset`](RwLock::reset). A writer that dies before all readers have left, or after it has given its guard up, has
/// changed nothing, and marks nothing.
///
/// # Waiting and cost
///
/// While nobody writes, a `read` is one store to a line of the thread's own and one load, and so is its end. A `write` is an
/// exchange, a barrier on all processors (`membarrier(2)`, some 10 us while others run) and a look at every row. Who has to
/// wait spins for some microseconds and then sleeps in the kernel. Each verb comes in four forms: `read`, `try_read`,
/// `read_timeout`, `read_deadline`, and so for `write`.
///
/// Each thread that reads has a row of 128 bytes in the lock until it ends, or its process drops its last handle. There are
/// [28 rows](RwLock::READERS), or as many as [`for_readers`](RwLock::for_readers) says. Threads beyond get no row: they
/// read one after the other, beside all others.
/// From the 65th thread of one process on a thread looks for its row at each `read`, among all of them.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// use multiproc::{Process, RwLock};
///
/// fn raise(prices: RwLock<[u32; 3]>) -> multiproc::Result<()> {
///     let mut all = prices.write()?;
///     all.iter_mut().for_each(|price| *price += 10); // nobody sees one raised and another not
///     Ok(())
/// }
///
/// let prices = RwLock::new([100, 200, 300])?;
/// let child = Process::spawn(raise, (prices.clone(),))?;
/// let sum: u32 = prices.read()?.iter().sum();
/// assert!(sum == 600 || sum == 630);
/// child.join()?;
/// assert_eq!(*prices.read()?, [110, 210, 310]);
/// # Ok(())
/// # }
/// ```
///
/// A writer that dies in the middle of a change:
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// use multiproc::{LockError, Process, RwLock};
///
/// fn crash(pair: RwLock<[u32; 2]>) {
///     let mut pair = pair.write().unwrap();
///     pair[0] = 1;
///     std::process::abort(); // before pair[1]
/// }
///
/// let pair = RwLock::new([0, 0])?;
/// let child = Process::spawn(crash, (pair.clone(),))?;
/// let pid = child.pid() as u32;
/// # assert!(child.join().is_err());
/// assert!(matches!(pair.read(), Err(LockError::OwnerDied { pid: dead, .. }) if dead == pid));
/// let mut half = pair.recover()?;
/// half[1] = half[0];
/// half.mark_consistent();
/// drop(half);
/// assert_eq!(*pair.read()?, [1, 1]);
/// # Ok(())
/// # }
/// ```
pub struct RwLock<T: Plain> {
    lock: Place<RawLock>,
    gate: Place<Gate>,
    data: Room<T>,
    readers: Arc<Readers>,
    home: Small,
}

// SAFETY: what lies in shared memory are atomics; the data are reached through guards only, and are Send and Sync.
unsafe impl<T: Plain> Send for RwLock<T> {}
// SAFETY: as above; one writer or any number of readers have a guard, in all processes.
unsafe impl<T: Plain> Sync for RwLock<T> {}

// A writer that panics marks the lock, so nobody comes upon half a change without being told.
impl<T: Plain> UnwindSafe for RwLock<T> {}
impl<T: Plain> RefUnwindSafe for RwLock<T> {}

impl<T: Plain> RwLock<T> {
    /// So many threads can read at a time, where nothing else is said.
    pub const READERS: u32 = 28;

    /// A new lock around `value`, without a name.
    ///
    /// With up to 112 bytes of data it takes 4 KiB in an arena that all unnamed ones of the process share; else, a
    /// segment of its own.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](ErrorKind::NoSpace) when there is no memory for it.
    pub fn new(value: T) -> Result<Self> {
        Self::for_readers(value, Self::READERS)
    }

    /// The same with rows for `readers` threads, from 1 to 4,094; each takes 128 bytes.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a number that is out of range, [`NoSpace`](ErrorKind::NoSpace).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let table = multiproc::RwLock::for_readers([0_u64; 64], 200)?;
    /// assert_eq!(table.read()?.len(), 64);
    /// # Ok(())
    /// # }
    /// ```
    pub fn for_readers(value: T, readers: u32) -> Result<Self> {
        let value = ManuallyDrop::new(value);
        let init = |s: &Segment, place| init(s, place, &*value, readers);
        Self::on(Small::anonymous(&form::<T>(readers)?, init)?)
    }

    /// A new lock called `name` around `value`, which other programs of the same user can [`open`](RwLock::open).
    ///
    /// It exists until its last user is gone, or until it is [removed](RwLock::remove).
    ///
    /// # Errors
    ///
    /// [`AlreadyExists`](ErrorKind::AlreadyExists), [`InvalidInput`](ErrorKind::InvalidInput) for a name that cannot be
    /// one, [`NoSpace`](ErrorKind::NoSpace).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::RwLock;
    ///
    /// let name = format!("limits-{}", std::process::id());
    /// let limits = RwLock::create(&name, [1_u32, 10])?;
    /// let same = RwLock::<[u32; 2]>::open(&name)?;
    /// same.write()?[1] = 20;
    /// assert_eq!(limits.read()?[1], 20);
    /// RwLock::<[u32; 2]>::remove(&name)
    /// # }
    /// ```
    pub fn create(name: &str, value: T) -> Result<Self> {
        Self::create_for_readers(name, value, Self::READERS)
    }

    /// [`create`](RwLock::create) with rows for `readers` threads, from 1 to 4,094.
    ///
    /// # Errors
    ///
    /// Those of `create`, and `InvalidInput` for a number that is out of range.
    pub fn create_for_readers(name: &str, value: T, readers: u32) -> Result<Self> {
        let value = ManuallyDrop::new(value);
        let init = |s: &Segment, place| init(s, place, &*value, readers);
        Self::on(Small::create(name, &form::<T>(readers)?, init)?)
    }

    /// The lock called `name`. See [`create`](RwLock::create).
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound), [`WrongType`](ErrorKind::WrongType) if it is no `RwLock<T>`,
    /// [`PermissionDenied`](ErrorKind::PermissionDenied).
    pub fn open(name: &str) -> Result<Self> {
        Self::on(Small::open(name, &form::<T>(1)?)?)
    }

    /// The lock called `name`; if there is none, a new one around `value`.
    ///
    /// # Errors
    ///
    /// Those of [`open`](RwLock::open) but `NotFound`, and those of [`create`](RwLock::create) but `AlreadyExists`.
    pub fn open_or_create(name: &str, value: T) -> Result<Self> {
        let value = ManuallyDrop::new(value);
        let init = |s: &Segment, place| init(s, place, &*value, Self::READERS);
        // Any number of rows is welcome in one that is there.
        let (least, form) = (form::<T>(1)?, form::<T>(Self::READERS)?);
        Self::on(Small::open_or_create_sized(name, &least, &form, init)?)
    }

    /// Removes the name. Those who have the lock open keep it; the name is free for a new one.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound), [`PermissionDenied`](ErrorKind::PermissionDenied).
    pub fn remove(name: &str) -> Result<()> {
        Small::remove(name)
    }

    fn on(home: Small) -> Result<Self> {
        membarrier::register();
        home.tenant().seat()?;
        let segment = home.tenant().segment();
        let gate = segment.get(Offset::<Gate>::new(home.data()));
        // Looked at once: what shared memory says later widens nothing.
        let (count, rows_at) = gate.map_or((0, 0), |gate| (gate.rows(), gate.rows_at()));
        let end = GATE_AT + u64::from(rows_at) + LINE as u64 * u64::from(count);
        let fits = (1..=MOST_ROWS).contains(&count) && rows_at == rows_at_of::<T>();
        let rows_at = home.data() + u64::from(rows_at);
        let rows = Places::new(segment, rows_at, count).filter(|_| fits && end <= home.len());
        let data = Room::at(segment, home.data() + before_data::<T>());
        let (Some(rows), Some(data)) = (rows, data) else {
            return Err(outside());
        };
        Ok(RwLock {
            lock: Place::new(segment, home.place()),
            gate: Place::new(segment, home.data()),
            data,
            readers: Readers::of(&home, rows),
            home,
        })
    }

    fn raw(&self) -> RawRwLock<'_> {
        RawRwLock {
            lock: self.lock.get(),
            gate: self.gate.get(),
            rows: self.readers.rows(),
        }
    }

    fn tenant(&self) -> &Tenant {
        self.home.tenant()
    }
}

type Outcome<G, E> = std::result::Result<G, E>;

/// Looking.
impl<T: Plain> RwLock<T> {
    /// Takes the lock for looking, waiting for a writer as long as it takes.
    ///
    /// # Errors
    ///
    /// [`LockError::OwnerDied`] when a writer died or panicked and nobody has mended the data since,
    /// [`LockError::Deadlock`] when this thread writes, or is one of those that read
    /// [without a row](RwLock#waiting-and-cost), [`LockError::Invalid`] when the data are no value of their type.
    #[inline(always)]
    pub fn read(&self) -> Outcome<ReadGuard<'_, T>, LockError> {
        match self.read_here() {
            Some(guard) => Ok(guard),
            None => self.read_in_turn(),
        }
    }

    #[cold]
    fn read_in_turn(&self) -> Outcome<ReadGuard<'_, T>, LockError> {
        self.read_in_time(Deadline::NEVER)
            .map_err(LockTimeoutError::in_no_time)
    }

    /// Takes the lock for looking if no writer has it.
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`] when somebody writes or waits to write, and those of [`read`](RwLock::read).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{RwLock, TryLockError};
    ///
    /// let lock = RwLock::new(1)?;
    /// let change = lock.write()?;
    /// std::thread::scope(|scope| {
    ///     let other = scope.spawn(|| lock.try_read().map(|data| *data));
    ///     assert_eq!(other.join().unwrap(), Err(TryLockError::WouldBlock));
    /// });
    /// drop(change);
    /// assert_eq!(*lock.try_read()?, 1);
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn try_read(&self) -> Outcome<ReadGuard<'_, T>, TryLockError> {
        match self.read_here() {
            Some(guard) => Ok(guard),
            None => self
                .read_in_time(Deadline::NOW)
                .map_err(LockTimeoutError::at_once),
        }
    }

    /// [`read`](RwLock::read), waiting until `timeout` has passed.
    ///
    /// # Errors
    ///
    /// [`LockTimeoutError::Timeout`], and those of `read`.
    pub fn read_timeout(&self, timeout: Duration) -> Outcome<ReadGuard<'_, T>, LockTimeoutError> {
        self.read_in_time(Deadline::after(timeout))
    }

    /// [`read`](RwLock::read), waiting until `deadline`.
    ///
    /// # Errors
    ///
    /// Those of [`read_timeout`](RwLock::read_timeout).
    pub fn read_deadline(&self, deadline: Instant) -> Outcome<ReadGuard<'_, T>, LockTimeoutError> {
        self.read_in_time(Deadline::at(deadline))
    }

    /// [`read`](RwLock::read), waiting until a moment, or until another process has ended.
    ///
    /// # Errors
    ///
    /// [`LockTimeoutError::Ended`], and those of [`read_timeout`](RwLock::read_timeout).
    pub fn read_until(&self, until: Until<'_>) -> Outcome<ReadGuard<'_, T>, LockTimeoutError> {
        attempt_until(until, |end| self.read_in_time(end))
    }

    /// By the row that this thread is known to have, while no writer is near.
    #[inline(always)]
    fn read_here(&self) -> Option<ReadGuard<'_, T>> {
        let own = self.readers.own()?;
        match self.gate.get().enter(own.row, own.reader) {
            Entry::Entered => ReadGuard::new(self, Some(own.row)).checked(),
            Entry::GateClosed | Entry::TooDeep => None,
        }
    }

    #[cold]
    fn read_in_time(&self, deadline: Deadline) -> Outcome<ReadGuard<'_, T>, LockTimeoutError> {
        let guard = match self.readers.take_row() {
            Some(own) => self.read_by(own, deadline)?,
            None => self.read_without_row(deadline)?,
        };
        guard.checked().ok_or(LockTimeoutError::Invalid)
    }

    fn read_by<'a>(
        &'a self,
        own: OwnRow<'a>,
        deadline: Deadline,
    ) -> Outcome<ReadGuard<'a, T>, LockTimeoutError> {
        loop {
            match self.gate.get().enter(own.row, own.reader) {
                Entry::Entered => return Ok(ReadGuard::new(self, Some(own.row))),
                Entry::TooDeep => return Err(LockTimeoutError::Deadlock),
                Entry::GateClosed => {}
            }
            match self.take(deadline) {
                Ok(()) => {
                    self.raw().enter_and_give_up(own.row);
                    return Ok(ReadGuard::new(self, Some(own.row)));
                }
                // The one in the way may have been a reader on its way in.
                Err(LockTimeoutError::Timeout) if self.gate.get().is_open() => {}
                Err(why) => return Err(why),
            }
        }
    }

    /// All rows are taken: with the lock, and the gate open.
    fn read_without_row(&self, deadline: Deadline) -> Outcome<ReadGuard<'_, T>, LockTimeoutError> {
        self.take(deadline)?;
        Ok(ReadGuard::new(self, None))
    }

    /// The robust lock alone.
    fn take(&self, deadline: Deadline) -> Outcome<(), LockTimeoutError> {
        let tenant = self.tenant();
        let taken = self.raw().take(tenant.me(), tenant, deadline);
        taken.map_err(|why| LockTimeoutError::of(why, tenant))
    }

    /// The writer becomes a reader: by its row, or with the lock.
    fn go_on_reading(&self) -> ReadGuard<'_, T> {
        let row = self.readers.take_row().map(|own| own.row);
        match row {
            Some(row) => self.raw().downgrade(row),
            None => self.gate.get().open(),
        }
        ReadGuard::new(self, row)
    }
}

/// Changing.
impl<T: Plain> RwLock<T> {
    /// Takes the lock for changing, waiting for others as long as it takes.
    ///
    /// # Errors
    ///
    /// [`LockError::OwnerDied`] when a writer died or panicked and nobody has mended the data since,
    /// [`LockError::Deadlock`] when this thread reads or writes already, [`LockError::Invalid`] when the data are no value of
    /// their type.
    pub fn write(&self) -> Outcome<WriteGuard<'_, T>, LockError> {
        self.write_in_time(Deadline::NEVER)
            .map_err(LockTimeoutError::in_no_time)
    }

    /// Takes the lock for changing if nobody reads or writes.
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`], and those of [`write`](RwLock::write).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{RwLock, TryLockError};
    ///
    /// let lock = RwLock::new(1)?;
    /// let look = lock.read()?;
    /// assert!(matches!(lock.try_write(), Err(TryLockError::WouldBlock)));
    /// drop(look);
    /// *lock.try_write()? = 2;
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_write(&self) -> Outcome<WriteGuard<'_, T>, TryLockError> {
        self.write_in_time(Deadline::NOW)
            .map_err(LockTimeoutError::at_once)
    }

    /// [`write`](RwLock::write), waiting until `timeout` has passed.
    ///
    /// # Errors
    ///
    /// [`LockTimeoutError::Timeout`], and those of `write`.
    pub fn write_timeout(&self, timeout: Duration) -> Outcome<WriteGuard<'_, T>, LockTimeoutError> {
        self.write_in_time(Deadline::after(timeout))
    }

    /// [`write`](RwLock::write), waiting until `deadline`.
    ///
    /// # Errors
    ///
    /// Those of [`write_timeout`](RwLock::write_timeout).
    pub fn write_deadline(
        &self,
        deadline: Instant,
    ) -> Outcome<WriteGuard<'_, T>, LockTimeoutError> {
        self.write_in_time(Deadline::at(deadline))
    }

    /// [`write`](RwLock::write), waiting until a moment, or until another process has ended.
    ///
    /// # Errors
    ///
    /// [`LockTimeoutError::Ended`], and those of [`write_timeout`](RwLock::write_timeout).
    pub fn write_until(&self, until: Until<'_>) -> Outcome<WriteGuard<'_, T>, LockTimeoutError> {
        attempt_until(until, |end| self.write_in_time(end))
    }

    fn write_in_time(&self, deadline: Deadline) -> Outcome<WriteGuard<'_, T>, LockTimeoutError> {
        if self.reads() {
            return Err(LockTimeoutError::Deadlock);
        }
        self.take(deadline)?;
        let raw = self.raw();
        if raw.close(self.tenant(), deadline).is_err() {
            raw.lock.unlock();
            return Err(LockTimeoutError::Timeout);
        }
        let guard = WriteGuard::new(self, None).checked();
        guard.ok_or(LockTimeoutError::Invalid)
    }

    /// Whether this thread reads by a row: it would wait for itself.
    fn reads(&self) -> bool {
        let own = self.readers.find();
        own.is_some_and(|own| own.row.is_reading(own.reader))
    }

    /// Takes the lock for changing although it is marked. If it is, mend the data and call
    /// [`mark_consistent`](WriteGuard::mark_consistent); a guard that is dropped without leaves the lock marked.
    ///
    /// # Errors
    ///
    /// [`LockError::Deadlock`], [`LockError::Invalid`]; in the latter case [`reset`](RwLock::reset) helps.
    pub fn recover(&self) -> Outcome<WriteGuard<'_, T>, LockError> {
        self.write_anyway()?.checked().ok_or(LockError::Invalid)
    }

    /// Takes the lock for changing although it is marked, and puts `value` in place of whatever is there.
    ///
    /// # Errors
    ///
    /// [`LockError::Deadlock`].
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let lock = multiproc::RwLock::new(1)?;
    /// let torn = std::panic::catch_unwind(|| {
    ///     let _half_done = lock.write();
    ///     panic!("in the middle");
    /// });
    /// assert!(torn.is_err() && lock.read().is_err());
    /// drop(lock.reset(2)?);
    /// assert_eq!(*lock.read()?, 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn reset(&self, value: T) -> Outcome<WriteGuard<'_, T>, LockError> {
        let mut guard = self.write_anyway()?;
        guard.room().put(value);
        guard.mark_consistent();
        Ok(guard)
    }

    fn write_anyway(&self) -> Outcome<WriteGuard<'_, T>, LockError> {
        if self.reads() {
            return Err(LockError::Deadlock);
        }
        let tenant = self.tenant();
        match self.raw().recover(tenant.me(), tenant) {
            Ok(origin) => Ok(WriteGuard::new(self, origin)),
            Err(_) => Err(LockError::Deadlock), // marks are taken, and there is no deadline
        }
    }
}

impl<T: Plain> Clone for RwLock<T> {
    fn clone(&self) -> Self {
        RwLock {
            lock: self.lock.clone(),
            gate: self.gate.clone(),
            data: self.data,
            readers: Arc::clone(&self.readers),
            home: self.home.clone(),
        }
    }
}

impl<T: Plain> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.lock.get().owner() {
            _ if self.gate.get().is_open() => "nobody writes".to_owned(),
            Some((owner, true)) => format!("marked by process {}", self.tenant().pid_of(owner)),
            Some((owner, false)) => format!("written by process {}", self.tenant().pid_of(owner)),
            None => "changing hands".to_owned(),
        };
        f.debug_struct("RwLock")
            .field("state", &format_args!("{state}"))
            .field("rows", &self.readers.rows().len())
            .finish_non_exhaustive()
    }
}

impl<T: Plain> Handle for RwLock<T> {
    fn to_raw(&self) -> RawHandle {
        self.home.to_raw()
    }

    fn attach(raw: &RawHandle) -> Result<Self> {
        Self::on(Small::attach(raw, &form::<T>(1)?)?)
    }
}

handle_message!([T: Plain] RwLock<T>, "RwLock", []);

impl<T: Plain> SharedField for RwLock<T> {
    type Init = T;

    fn plan(plan: &mut Plan) {
        plan.noun(&field::<T>());
    }

    fn make(value: &T, maker: &mut Maker<'_>) -> Result<()> {
        let readers = Self::READERS;
        maker.noun(&field::<T>(), |segment, place| {
            init(segment, place, value, readers)
        })
    }

    fn open(opener: &mut Opener<'_>) -> Result<Self> {
        Self::on(opener.noun(&field::<T>())?)
    }
}

/// Where the data begin, behind the beginning of the gate.
const fn before_data<T: Plain>() -> u64 {
    const { assert!(align_of::<T>() <= LINE) };
    size_of::<Gate>().next_multiple_of(align_of::<T>()) as u64
}

/// Where the rows begin, behind the beginning of the gate.
const fn rows_at_of<T: Plain>() -> u32 {
    (before_data::<T>() as usize + size_of::<T>()).next_multiple_of(LINE) as u32
}

fn init<T: Plain>(segment: &Segment, place: u64, value: &T, readers: u32) -> Result<()> {
    let gate = segment.at(Offset::<Gate>::new(place));
    gate.prepare(readers, rows_at_of::<T>());
    let room = Room::at(segment, place + before_data::<T>()).ok_or_else(outside)?;
    room.put_bytes(value);
    Ok(())
}

fn form<T: Plain>(readers: u32) -> Result<Form> {
    if !(1..=MOST_ROWS).contains(&readers) {
        let text = format!("a lock is for 1 to {MOST_ROWS} readers, not for {readers}");
        return Err(Error::new(ErrorKind::InvalidInput, text));
    }
    Ok(Form {
        kind: Kind::RwLock,
        fingerprint: plain_fingerprint::<T>(),
        type_name: plain_name::<T>(),
        data: Some((room_for::<T>(readers), LINE as u64)),
    })
}

/// The form of one that is a field of a struct.
fn field<T: Plain>() -> Form {
    form::<T>(RwLock::<T>::READERS).expect("a number within the bounds")
}

/// Bytes from the gate to the end of the rows.
fn room_for<T: Plain>(readers: u32) -> u64 {
    u64::from(rows_at_of::<T>()) + (size_of::<ReaderRow>() * readers as usize) as u64
}

#[cold]
fn outside() -> Error {
    let text = "the shared object is not a whole lock for readers and writers";
    Error::new(ErrorKind::Corrupt, text)
}
