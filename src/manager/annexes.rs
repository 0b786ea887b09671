//! The primitives that a manager has under names: queues, locks, and what else is a segment beside it.

use super::Manager;
use super::named::Named;
use crate::message::{Message, Plain};
use crate::{
    Barrier, BoundedSemaphore, Condition, Error, ErrorKind, Event, Latch, Lock, OnceValue, Queue,
    QueueBuilder, ReentrantLock, Result, RwLock, Scalar, Semaphore, Shared, SharedStruct, Value,
};

/// # Primitives by name
///
/// Each of these gives the ordinary handle of its type, on the object of that name in this manager; if there is none it is
/// made, and if something else has the name that is [`WrongType`](ErrorKind::WrongType). What is in it, a message for
/// instance, outlives every process, whoever made it, and goes with the manager.
///
/// Its segment is a file of its own in the directory of named objects, also where the manager has no name. The last process
/// that has the manager removes it when it drops the handle; if that one is killed, or exits without, [`gc`](crate::gc) does,
/// and the next manager that gets a primitive.
/// A handle works on when the manager is gone, as one does whose name was removed.
///
/// Making one takes some 60 us, during which nobody else makes an object in the manager, and finding one 40, so keep the
/// handle. None of these waits for anything else.
impl Manager {
    /// The object of that type called `name`, of any type that a manager can have.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound), [`WrongType`](ErrorKind::WrongType),
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a name that cannot be one.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{ErrorKind, Lock, Manager, Queue};
    ///
    /// let manager = Manager::new()?;
    /// manager.queue::<String>("jobs", 16)?.put("first")?;
    /// assert_eq!(&*manager.find::<Queue<String>>("jobs")?.get()?, "first");
    /// let wrong = manager.find::<Lock<u32>>("jobs").unwrap_err();
    /// assert_eq!(wrong.kind(), ErrorKind::WrongType);
    /// # Ok(())
    /// # }
    /// ```
    pub fn find<N: Named>(&self, name: &str) -> Result<N> {
        N::find_in(self, name)
    }

    /// The queue called `name`; if there is none, a new one for `capacity` messages.
    ///
    /// # Errors
    ///
    /// Those of [`cell`](Manager::cell), and of [`QueueBuilder::create`].
    ///
    /// # Examples
    ///
    /// A process makes a queue, puts a message and ends; another takes it.
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// # multiproc::init();
    /// use multiproc::{Manager, Process};
    ///
    /// fn produce(manager: Manager) -> multiproc::Result<()> {
    ///     manager.queue("jobs", 16)?.put(7_u64)?;
    ///     Ok(())
    /// }
    ///
    /// let manager = Manager::new()?;
    /// Process::spawn(produce, (manager.clone(),))?.join()?;
    /// assert_eq!(*manager.queue::<u64>("jobs", 16)?.get()?, 7);
    /// # Ok(())
    /// # }
    /// ```
    pub fn queue<T: Message>(&self, name: &str, capacity: usize) -> Result<Queue<T>> {
        self.queue_with(name, Queue::builder().capacity(capacity))
    }

    /// The queue called `name`; if there is none, a new one as `builder` says, which has no name.
    ///
    /// # Errors
    ///
    /// Those of [`queue`](Manager::queue); [`InvalidInput`](ErrorKind::InvalidInput) for a builder with a name.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{Manager, Queue};
    ///
    /// let manager = Manager::new()?;
    /// let jobs = manager.queue_with("jobs", Queue::<u32>::builder().capacity(4).max_deliveries(2))?;
    /// assert_eq!(jobs.capacity(), 4);
    /// # Ok(())
    /// # }
    /// ```
    pub fn queue_with<T: Message>(&self, name: &str, builder: QueueBuilder<T>) -> Result<Queue<T>> {
        if builder.is_named() {
            let text = "a queue has its name from the manager; give the builder none";
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        self.core.annex(name, |annex| builder.name(annex).create())
    }

    /// The lock called `name`; if there is none, a new one around `value`.
    ///
    /// # Errors
    ///
    /// Those of [`cell`](Manager::cell), and of [`Lock::create`].
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let manager = multiproc::Manager::new()?;
    /// *manager.lock("balance", 100_i64)?.lock()? += 1;
    /// assert_eq!(*manager.lock("balance", 0_i64)?.lock()?, 101);
    /// # Ok(())
    /// # }
    /// ```
    pub fn lock<T: Plain>(&self, name: &str, value: T) -> Result<Lock<T>> {
        self.core.annex(name, |annex| Lock::create(annex, value))
    }

    /// The lock called `name` that its holder may take again; if there is none, a new one around `value`.
    ///
    /// # Errors
    ///
    /// Those of [`cell`](Manager::cell), and of [`ReentrantLock::create`].
    pub fn reentrant_lock<T: Plain>(&self, name: &str, value: T) -> Result<ReentrantLock<T>> {
        let make = |annex: &str| ReentrantLock::create(annex, value);
        self.core.annex(name, make)
    }

    /// The lock called `name` for many readers or one writer; if there is none, a new one around `value`.
    ///
    /// # Errors
    ///
    /// Those of [`cell`](Manager::cell), and of [`RwLock::create`].
    pub fn rwlock<T: Plain>(&self, name: &str, value: T) -> Result<RwLock<T>> {
        self.core.annex(name, |annex| RwLock::create(annex, value))
    }

    /// The condition called `name`; if there is none, a new one around `value`.
    ///
    /// # Errors
    ///
    /// Those of [`cell`](Manager::cell), and of [`Condition::create`].
    pub fn condition<T: Plain>(&self, name: &str, value: T) -> Result<Condition<T>> {
        let make = |annex: &str| Condition::create(annex, value);
        self.core.annex(name, make)
    }

    /// The event called `name`; if there is none, a new one that is not set.
    ///
    /// # Errors
    ///
    /// Those of [`cell`](Manager::cell).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let manager = multiproc::Manager::new()?;
    /// manager.event("started")?.set();
    /// assert!(manager.event("started")?.is_set());
    /// assert_eq!(manager.names()?, ["started"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn event(&self, name: &str) -> Result<Event> {
        self.core.annex(name, Event::create)
    }

    /// The latch called `name`; if there is none, a new one that `count` steps open.
    ///
    /// # Errors
    ///
    /// Those of [`cell`](Manager::cell).
    pub fn latch(&self, name: &str, count: u32) -> Result<Latch> {
        self.core.annex(name, |annex| Latch::create(annex, count))
    }

    /// The barrier called `name`, at which this process is a party from now on; if there is none, a new one for `parties`.
    ///
    /// # Errors
    ///
    /// Those of [`cell`](Manager::cell), and of [`Barrier::open_or_create`]: `WrongType` also if there is one for another
    /// number of parties.
    pub fn barrier(&self, name: &str, parties: u32) -> Result<Barrier> {
        let make = |annex: &str| Barrier::open_or_create(annex, parties);
        let barrier = self.core.annex(name, make)?;
        if barrier.parties() == parties {
            return Ok(barrier);
        }
        let text = format!("the barrier is for {} parties", barrier.parties());
        Err(Error::new(ErrorKind::WrongType, text))
    }

    /// The semaphore called `name`; if there is none, a new one that begins with `permits`.
    ///
    /// # Errors
    ///
    /// Those of [`cell`](Manager::cell).
    pub fn semaphore(&self, name: &str, permits: u32) -> Result<Semaphore> {
        let make = |annex: &str| Semaphore::create(annex, permits);
        self.core.annex(name, make)
    }

    /// The semaphore called `name` whose permits come back from the dead; if there is none, a new one with `permits`.
    ///
    /// # Errors
    ///
    /// Those of [`cell`](Manager::cell), and of [`BoundedSemaphore::create`].
    pub fn bounded_semaphore(&self, name: &str, permits: u32) -> Result<BoundedSemaphore> {
        let make = |annex: &str| BoundedSemaphore::create(annex, permits);
        self.core.annex(name, make)
    }

    /// The number called `name`; if there is none, a new one that begins as `first`. See [`counter`](Manager::counter) for
    /// one in the manager's own memory.
    ///
    /// # Errors
    ///
    /// Those of [`cell`](Manager::cell).
    pub fn value<T: Scalar>(&self, name: &str, first: T) -> Result<Value<T>> {
        self.core.annex(name, |annex| Value::create(annex, first))
    }

    /// The value called `name` that is made once; if there is none, a new one, empty. `once::<()>` is a
    /// [`Once`](crate::Once).
    ///
    /// # Errors
    ///
    /// Those of [`cell`](Manager::cell).
    pub fn once<T: Plain>(&self, name: &str) -> Result<OnceValue<T>> {
        self.core.annex(name, OnceValue::create)
    }

    /// The struct of primitives called `name`; if there is none, a new one whose fields begin as `init` says.
    ///
    /// # Errors
    ///
    /// Those of [`cell`](Manager::cell), and of [`Shared::create`].
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{Event, Manager, Value};
    ///
    /// multiproc::shared! {
    ///     struct Progress from ProgressInit { done: Value<u32>, finished: Event }
    /// }
    ///
    /// let manager = Manager::new()?;
    /// let progress = || manager.shared::<Progress>("progress", ProgressInit { done: 0, finished: false });
    /// progress()?.done.fetch_add(3);
    /// assert_eq!(progress()?.done.load(), 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn shared<S: SharedStruct>(&self, name: &str, init: S::Init) -> Result<Shared<S>> {
        self.core.annex(name, |annex| Shared::create(annex, init))
    }
}
