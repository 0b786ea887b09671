//! Floor 6: the queue of typed messages between processes.

mod builder;
mod claim;
mod core;
mod error;
mod get;
mod iter;
mod lease;
mod one_to_one;
mod put;
mod received;
mod roles;
mod stats;
#[cfg(test)]
mod tests;
mod watch;

pub use builder::QueueBuilder;
pub use claim::Claim;
pub use error::{
    GetError, GetTimeoutError, JoinTimeoutError, PutError, PutTimeoutError, TryGetError,
    TryPutError,
};
pub use iter::{Iter, TryIter};
pub use lease::Lease;
pub(crate) use one_to_one::OneToOne;
pub use received::Received;
pub use roles::{Consumer, Producer};
pub use stats::{QueueInfo, Stats};

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::core::Core;
use crate::message::{Handle, Message, handle_message};
use crate::segment::Expect;
use crate::segment::name::Name;
use crate::sys::atfork;
use crate::sys::clock::Deadline;
use crate::tenancy::{QueueMender, RawHandle, Tenant};
use crate::{Error, ErrorKind, Result};

/// A bounded queue of messages between processes: any number of writers, any number of readers, first in, first out.
///
/// Python's `multiprocessing.Queue` on shared memory. A message is written once, where it will be read; no copy, no
/// lock, no server, and no system call unless somebody has to sleep.
///
/// # What happens when a process is killed
///
/// | it was | the message |
/// |---|---|
/// | putting | is put, or was never there; its slot is usable again |
/// | reading a [`Received`] or holding a [`Lease`] | is delivered again, to somebody else, marked by its delivery count |
/// | done: acknowledged it, or `get_owned` returned | is gone, exactly once |
///
/// Nobody has to clean up, and nobody waits for the dead: what they held is found by whoever needs it next. A message
/// that was put is delivered *at least* once; work that must not be done twice can tell by
/// [`id`](Received::id), which stays the same at every delivery. A message whose readers keep dying goes to the
/// [dead letters](Queue::dead_letters).
///
/// Messages are taken in the order in which they were put, whoever put them; those that came back are delivered out of
/// order.
///
/// # Handles
///
/// A `Queue` is a handle: clones are cheap and mean the same queue. Pass one to a child as an argument, send one in a
/// message, or [`create`](Queue::create) and [`open`](Queue::open) it by name. An anonymous queue is gone when the last
/// process that has it is.
///
/// # Ends
///
/// A queue ends when somebody [closes](Queue::close) it. Where ends shall follow from who is there, take the roles
/// [`producer`](Queue::producer) and [`consumer`](Queue::consumer).
///
/// Between one process and one other, [`split`](QueueBuilder::split) gives the two ends of a pipe in its place, which is
/// faster.
///
/// # Waiting and cost
///
/// Every verb that may have to wait comes in four forms: `get` waits as long as it takes, `try_get` not at all,
/// `get_timeout` and `get_deadline` for so long or until then, by a clock that nobody sets. Who has to wait spins for
/// some microseconds, on a machine with several processors, and then sleeps in the kernel; signals do not end a wait.
///
/// Putting and taking a message costs one compare-and-swap and two stores, whatever the capacity and however many
/// processes take part; what passes over the dead is paid once by whoever meets it. [`len`](Queue::len) and
/// [`stats`](Queue::stats) take no lock. All memory is allocated when the queue is made, except for messages that are
/// longer than a slot and for leases, whose memory comes when it is first needed and is used again: this is where
/// `NoSpace` can come from later.
///
/// # Examples
///
/// ```no_run
/// use multiproc::{Process, Queue};
///
/// fn worker(queue: Queue<String>) -> multiproc::Result<()> {
///     let data = queue.get()?;
///     println!("Worker received: {data}");
///     Ok(())
/// }
///
/// fn main() -> multiproc::Result<()> {
///     multiproc::init();
///     let queue = Queue::new(64)?;
///     queue.put("Hello from the main process!")?;
///     Process::spawn(worker, (queue.clone(),))?.join()?;
///     Ok(())
/// }
/// ```
pub struct Queue<T: Message> {
    core: Arc<Core>,
    /// Whether every message is checked before it is read.
    check: bool,
    message: PhantomData<fn() -> T>,
}

impl<T: Message> Queue<T> {
    /// Makes a queue without a name that holds up to `capacity` messages.
    ///
    /// # Errors
    ///
    /// `InvalidInput` unless the capacity is 1 to 4,194,304, `NoSpace` when shared memory is used up.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let queue = multiproc::Queue::<f64>::new(16)?;
    /// queue.put(2.5)?;
    /// assert_eq!(*queue.get()?, 2.5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(capacity: usize) -> Result<Self> {
        Queue::builder().capacity(capacity).anonymous()
    }

    /// The knobs: name, capacity, size of messages, deliveries, validation, memory; see [`QueueBuilder`].
    pub fn builder() -> QueueBuilder<T> {
        QueueBuilder::new()
    }

    /// Makes a queue that other processes of this user can [`open`](Queue::open) by name, for 1,024 messages.
    ///
    /// A name has up to 200 bytes of letters, digits, `-`, `_` and `.`. The queue exists until its last user is gone or
    /// somebody [removes](Queue::remove) the name; what a crash left is swept by the next user, or by `multiproc gc`.
    ///
    /// # Errors
    ///
    /// As [`QueueBuilder::create`].
    pub fn create(name: impl Into<String>) -> Result<Self> {
        Queue::builder().name(name).create()
    }

    /// Opens the queue of that name.
    ///
    /// # Errors
    ///
    /// As [`QueueBuilder::open`].
    pub fn open(name: impl Into<String>) -> Result<Self> {
        Queue::builder().name(name).open()
    }

    /// Opens the queue of that name, or makes it.
    ///
    /// # Errors
    ///
    /// As [`QueueBuilder::open_or_create`].
    pub fn open_or_create(name: impl Into<String>) -> Result<Self> {
        Queue::builder().name(name).open_or_create()
    }

    /// Removes the name: nobody can [`open`](Queue::open) the queue any more, those who have it go on.
    ///
    /// Seldom needed: the last user removes it, whether it ends or is killed.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is nothing of that name, `WrongType` when it is something else.
    pub fn remove(name: &str) -> Result<()> {
        Tenant::remove(&Name::parse(name)?)
    }

    /// The queue in a segment that this process has joined.
    fn over(tenant: Arc<Tenant>) -> Result<Self> {
        let check = builder::checks(tenant.segment().params());
        let core = Core::of(tenant)?;
        if !core.ring.geometry().suits(Self::FIT) {
            let text = "the queue's header states slots that do not fit its messages";
            return Err(Error::new(ErrorKind::Corrupt, text));
        }
        Ok(Queue {
            core,
            check,
            message: PhantomData,
        })
    }

    /// Ends the queue for everybody: putting fails from now on, getting fails once the queue is drained.
    ///
    /// Wakes all who wait. Never waits itself, and can be called again. A closed queue stays closed, also when the
    /// process that closed it was killed in the middle of it.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{GetError, PutError, Queue};
    ///
    /// let queue = Queue::<u8>::new(4)?;
    /// queue.put(1)?;
    /// queue.close();
    /// assert_eq!(queue.put(2), Err(PutError::Closed));
    /// assert_eq!(queue.get_owned(), Ok(1));
    /// assert_eq!(queue.get_owned(), Err(GetError::Closed));
    /// # Ok(())
    /// # }
    /// ```
    pub fn close(&self) {
        self.core.ring.close();
    }

    /// Whether somebody closed the queue.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.core.ring.is_closed()
    }

    /// Waits until every message that was put is acknowledged or among the dead letters.
    ///
    /// It does not take part in the work: a process that waits here and holds a message itself waits for ever. What a
    /// dead reader held counts as open until somebody else has done it.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let queue = multiproc::Queue::<u64>::new(8)?;
    /// queue.put_many(0..8)?;
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| while queue.try_get().is_ok() {});
    ///     queue.join();
    /// });
    /// assert!(queue.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn join(&self) {
        let done = self.core.all_done(Deadline::NEVER);
        debug_assert!(done, "there is no deadline");
    }

    /// As [`join`](Queue::join), until `timeout` has passed.
    ///
    /// # Errors
    ///
    /// [`JoinTimeoutError`] when something was still open then.
    pub fn join_timeout(&self, timeout: Duration) -> Result<(), JoinTimeoutError> {
        self.join_by(Deadline::after(timeout))
    }

    /// As [`join`](Queue::join), until `deadline`.
    ///
    /// # Errors
    ///
    /// [`JoinTimeoutError`] when something was still open then.
    pub fn join_deadline(&self, deadline: Instant) -> Result<(), JoinTimeoutError> {
        self.join_by(Deadline::at(deadline))
    }

    fn join_by(&self, deadline: Deadline) -> Result<(), JoinTimeoutError> {
        match self.core.all_done(deadline) {
            true => Ok(()),
            false => Err(JoinTimeoutError(())),
        }
    }

    /// How many messages were put and not taken yet: exact while nobody moves, else a moment's view. Those that came
    /// back from their readers are not counted; the place of a claim that was given back, or whose writer died, counts
    /// until readers have passed it.
    #[doc(alias = "qsize")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.core.ring.len()
    }

    /// Whether nothing waits to be taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether every slot has a message that waits to be taken; a full queue may also be one whose messages are taken
    /// and not acknowledged.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// How many messages fit.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.core.ring.geometry().capacity as usize
    }

    /// Counts since the queue was made.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let queue = multiproc::Queue::<u64>::new(8)?;
    /// queue.put_many(0..5)?;
    /// queue.get()?;
    /// let stats = queue.stats();
    /// assert_eq!((stats.puts, stats.gets), (5, 1));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats::of(&self.core.ring)
    }

    /// Takes the messages that were delivered as often as the queue allows without being acknowledged.
    ///
    /// A message gets here when its readers kept giving it back or dying with it. [`ack`](Lease::ack) a letter to
    /// discard it, [`put`](Queue::put) it again to give it another chance, drop it to leave it here. Never waits. The
    /// room for dead letters is that for leases.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let queue = multiproc::Queue::<String>::builder().max_deliveries(2).anonymous()?;
    /// queue.put("nobody can do this")?;
    /// queue.get()?.give_back();
    /// queue.get()?.give_back();
    ///
    /// assert!(queue.try_get().is_err());
    /// for letter in queue.dead_letters() {
    ///     assert_eq!(&*letter, "nobody can do this");
    ///     letter.ack();
    /// }
    /// assert!(queue.dead_letters().is_empty());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn dead_letters(&self) -> Vec<Lease<T>> {
        let mut unreadable = Vec::new();
        let mut letters = Vec::new();
        while let Some(taken) = self.core.ring.take_dead(self.core.me()) {
            match self.view_of(self.core.ring.payload(&taken)) {
                Ok(_) => letters.push(Lease::new(self.clone(), taken, atfork::forks())),
                Err(_) => unreadable.push(taken),
            }
        }
        // They stay where they are, and are not found again by the loop above.
        for taken in unreadable {
            self.core.ring.give_back(taken);
        }
        letters
    }
}

impl<T: Message> Queue<T> {
    /// The dead letters, after what dead processes had in hand was put right.
    pub(crate) fn left_by_the_dead(&self) -> Vec<Lease<T>> {
        let core = &*self.core;
        core.ring
            .repair_what_the_dead_hold(core.me(), &*core.tenant);
        self.dead_letters()
    }
}

impl<T: Message> Handle for Queue<T> {
    fn to_raw(&self) -> RawHandle {
        self.core.tenant.handle(0, 0)
    }

    fn attach(raw: &RawHandle) -> Result<Self> {
        let expect = Expect::from(&builder::expected::<T>());
        Queue::over(Tenant::attach(raw, &expect, Arc::new(QueueMender))?)
    }
}

handle_message!([T: Message] Queue<T>, "Queue", [T]);

impl<T: Message> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Queue {
            core: Arc::clone(&self.core),
            check: self.check,
            message: PhantomData,
        }
    }
}

impl<T: Message> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (len, capacity) = (self.len(), self.capacity());
        write!(f, "Queue<{}>({len} of {capacity} messages)", T::type_name())
    }
}
