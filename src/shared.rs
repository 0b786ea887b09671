//! [`Shared`]: a struct of the user's whose fields are primitives.

mod macros;
#[cfg(test)]
mod tests;

use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::sync::Arc;

use crate::message::{Handle, Plain, Room, handle_message, plain_name};
use crate::segment::Segment;
use crate::tenancy::{Blueprint, Maker, Opener, Plan, RawHandle, SharedField, Small};
use crate::{Error, ErrorKind, Result};

/// A struct that [`shared!`](crate::shared) has declared.
///
/// There is nothing to implement: the macro does.
#[diagnostic::on_unimplemented(
    message = "`{Self}` was not declared inside `multiproc::shared! {{ .. }}`",
    label = "not a shared struct"
)]
pub trait SharedStruct: SharedField {
    /// What the struct is called, for people and for its fingerprint.
    #[doc(hidden)]
    const NAME: &'static str;
}

/// What a new `F` begins with.
pub type Init<F> = <F as SharedField>::Init;

/// A struct of locks, events, numbers and plain data that processes share: one name, one piece of memory, one file
/// descriptor for all of it.
///
/// [`shared!`](crate::shared) declares the struct. Its fields are the handles that one also has of such objects alone,
/// with all their verbs: `job.state.lock()`, `job.ready.set()`. A field can be cloned, kept, and sent to other processes
/// like any object of its type; it keeps the whole struct in memory.
///
/// A `Shared` is a handle. Cloning it, sending it in a message or passing it to a process gives another handle on the
/// same struct; all handles of a process share one mapping and one descriptor.
///
/// # Cost
///
/// Using a field costs what it costs alone. Each takes a multiple of 64 bytes, from 64 on, and 8 more in a table; plain
/// data take what they take. Where the room depends on what a field begins with, it has that of the most that a struct
/// allows: a [`Barrier`](crate::Barrier) that of 64 parties, a [`BoundedSemaphore`](crate::BoundedSemaphore) that of 1,000
/// permits, 2 KiB. A struct of up to 4 KiB without a name lies in an arena that all unnamed structs of the
/// process share; a larger one, or one with a name, has a segment of its own. Opening it costs some allocations, as does
/// each handle that is received; cloning costs a count.
///
/// # When a process dies
///
/// Each field goes on as it does alone: a lock whose holder died says so ([`LockError::OwnerDied`](crate::LockError)),
/// permits come back, a value that was to be made once is made by the next, events and numbers have nothing to lose. Who is killed while it makes a struct has made none. As there is no order
/// between fields but that of the statements, what must change together belongs into one lock.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// use multiproc::{Event, Lock, Process, Shared, Value};
///
/// multiproc::plain! {
///     #[derive(Clone, Copy, Debug, PartialEq)]
///     pub struct Best { pub score: u64, pub worker: u64 }
/// }
///
/// multiproc::shared! {
///     /// What the workers of one job share.
///     pub struct Job from JobInit {
///         pub start: Event,
///         pub tried: Value<u64>,
///         pub best: Lock<Best>,
///         pub limits: [u64; 2],           // plain data, the same from the beginning
///     }
/// }
///
/// fn work(job: Shared<Job>, worker: u64) -> multiproc::Result<()> {
///     job.start.wait();
///     for n in job.limits[0]..job.limits[1] {
///         job.tried.fetch_add(1);
///         let score = (n * (worker + 7)) % 101;
///         let mut best = job.best.lock()?;
///         if score > best.score {
///             *best = Best { score, worker };
///         }
///     }
///     Ok(())
/// }
///
/// let job = Shared::<Job>::new(JobInit {
///     start: false,
///     tried: 0,
///     best: Best { score: 0, worker: 0 },
///     limits: [0, 50],
/// })?;
/// let workers = [0, 1].map(|worker| Process::spawn(work, (job.clone(), worker)));
/// job.start.set();
/// for worker in workers {
///     worker?.join()?;
/// }
/// assert_eq!(job.tried.load(), 100);
/// assert!(job.best.lock()?.score > 90);
/// # Ok(())
/// # }
/// ```
pub struct Shared<T: SharedStruct> {
    whole: Arc<Whole<T>>,
}

struct Whole<T> {
    fields: T,
    home: Small,
}

impl<T: SharedStruct> Shared<T> {
    /// A new struct without a name, whose fields begin as `init` says.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](ErrorKind::NoSpace) when there is no memory for it, [`InvalidInput`](ErrorKind::InvalidInput) for a
    /// struct of 4 GiB or more.
    pub fn new(init: T::Init) -> Result<Self> {
        let (init, print) = (ManuallyDrop::new(init), blueprint::<T>()?);
        let make = |segment: &Segment, table| print.make::<T>(&init, segment, table);
        Self::on(Small::anonymous(print.form(), make)?, &print)
    }

    /// A new struct called `name`, which other programs of the same user can [`open`](Shared::open).
    ///
    /// It exists until its last user is gone, or until it is [removed](Shared::remove).
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
    /// use multiproc::{Event, Shared, Value};
    ///
    /// multiproc::shared! {
    ///     struct Progress from ProgressInit { done: Value<u32>, finished: Event }
    /// }
    ///
    /// let name = format!("progress-{}", std::process::id());
    /// let mine = Shared::<Progress>::create(&name, ProgressInit { done: 0, finished: false })?;
    /// let same = Shared::<Progress>::open(&name)?;
    /// same.done.fetch_add(3);
    /// same.finished.set();
    /// assert!(mine.finished.is_set() && mine.done.load() == 3);
    /// Shared::<Progress>::remove(&name)
    /// # }
    /// ```
    pub fn create(name: &str, init: T::Init) -> Result<Self> {
        let (init, print) = (ManuallyDrop::new(init), blueprint::<T>()?);
        let make = |segment: &Segment, table| print.make::<T>(&init, segment, table);
        Self::on(Small::create(name, print.form(), make)?, &print)
    }

    /// The struct called `name`. See [`create`](Shared::create).
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound), [`PermissionDenied`](ErrorKind::PermissionDenied);
    /// [`WrongType`](ErrorKind::WrongType) if it is something else, or a struct of which the name, or a field's name,
    /// type, size, alignment or place in the order differs; the error names both.
    pub fn open(name: &str) -> Result<Self> {
        let print = blueprint::<T>()?;
        Self::on(Small::open(name, print.form())?, &print)
    }

    /// The struct called `name`; if there is none, a new one that begins as `init` says.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Shared::open) but `NotFound`, and those of [`create`](Shared::create) but `AlreadyExists`.
    pub fn open_or_create(name: &str, init: T::Init) -> Result<Self> {
        let (init, print) = (ManuallyDrop::new(init), blueprint::<T>()?);
        let make = |segment: &Segment, table| print.make::<T>(&init, segment, table);
        Self::on(Small::open_or_create(name, print.form(), make)?, &print)
    }

    /// Removes the name. Those who have the struct open keep it; the name is free for a new one.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound), [`PermissionDenied`](ErrorKind::PermissionDenied).
    pub fn remove(name: &str) -> Result<()> {
        Small::remove(name)
    }

    fn on(home: Small, print: &Blueprint) -> Result<Self> {
        let fields = print.open::<T>(&home)?;
        Ok(Shared {
            whole: Arc::new(Whole { fields, home }),
        })
    }
}

fn blueprint<T: SharedStruct>() -> Result<Blueprint> {
    Blueprint::of::<T>(T::NAME)
}

impl<T: SharedStruct> Deref for Shared<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.whole.fields
    }
}

impl<T: SharedStruct> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Shared {
            whole: Arc::clone(&self.whole),
        }
    }
}

impl<T: SharedStruct> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shared<{}>({:?})", T::NAME, self.whole.home)
    }
}

impl<T: SharedStruct> Handle for Shared<T> {
    fn to_raw(&self) -> RawHandle {
        self.whole.home.to_raw()
    }

    fn attach(raw: &RawHandle) -> Result<Self> {
        let print = blueprint::<T>()?;
        Self::on(Small::attach(raw, print.form())?, &print)
    }
}

handle_message!([T: SharedStruct] Shared<T>, "Shared", []);

/// Plain data are the same from the beginning, so that each process can have its own copy, without asking anybody.
impl<T: Plain + Copy> SharedField for T {
    type Init = T;

    fn plan(plan: &mut Plan) {
        let (size, align) = (size_of::<T>(), align_of::<T>());
        plan.plain(&plain_name::<T>(), size as u64, align as u64);
    }

    fn make(init: &T, maker: &mut Maker<'_>) -> Result<()> {
        let (segment, place) = maker.plain();
        Room::at(segment, place)
            .ok_or_else(no_value)?
            .put_bytes(init);
        Ok(())
    }

    fn open(opener: &mut Opener<'_>) -> Result<Self> {
        let (segment, place) = opener.plain();
        let room = Room::<T>::at(segment, place);
        room.and_then(|room| room.copy()).ok_or_else(no_value)
    }
}

#[cold]
fn no_value() -> Error {
    Error::new(
        ErrorKind::Corrupt,
        "the plain data of a shared struct are no value of their type",
    )
}
