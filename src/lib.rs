//! Python's `multiprocessing` rebuilt on shared memory: processes, queues, pipes, locks and values that survive `kill -9`.
//!
//! A message is written once, where it will be read, by a process that may die at any instruction. There is no server,
//! no background thread but in who has a pool or serves an object, and no system call unless somebody has to sleep.
//!
//! # What it promises
//!
//! - **Nobody waits for the dead.** Whoever dies holding a lock, a claim or a message, by `SIGKILL` too, is found out by
//!   whoever needs it next, by asking the kernel and never by a time-out. A process that is merely slow or stopped is
//!   left alone.
//! - **No message is lost, none is torn.** A message whose `put` returned is delivered. What a dead reader had in hand is
//!   delivered again, marked by its delivery count. Half a message is never seen.
//! - **A death inside a lock is told**: the next one gets an error that names the dead, and decides.
//! - **Nothing is left behind.** Objects without a name vanish with their last holder; a named one is removed by its last
//!   member, or by the next user, or by [`gc`], if that one was killed.
//! - **Children end with their parent**, however it ends, unless they are [detached](process::Builder::detached).
//! - **No space is an error** and not a `SIGBUS`.
//!
//! # What it refuses
//!
//! - Other systems than Linux on x86-64 and aarch64: this does not build there.
//! - Processes of other users, and objects whose layout or element type differs: typed errors.
//! - Hostile processes of the same user: who shares memory with a program trusts it not to scribble there.
//! - Exactly-once *work*: delivery is at least once, and [`Received::id`] tells a repetition.
//! - Messages with references, `Arc`, files or sockets in them: they do not compile.
//! - `fork` of a program with threads: [`process::fork`](process::fork()) returns an error, [`Process::spawn`] never forks.
//!
//! # A quick tour
//!
//! A function in another process, a queue to feed it, its result back:
//!
//! ```
//! use multiproc::{Process, Queue};
//!
//! fn count(lines: Queue<String>) -> usize {
//!     lines.iter().map(|line| line.split_whitespace().count()).sum() // each read in place, then acknowledged
//! }
//!
//! fn main() -> multiproc::Result<()> {
//!     multiproc::init(); // in a child, its function runs here and main goes no further
//!     let lines = Queue::new(64)?;
//!     let words = Process::spawn(count, (lines.clone(),))?;
//!     lines.put("to be or not to be")?;
//!     lines.put("that is the question")?;
//!     lines.close();
//!     assert_eq!(words.join()?, 10);
//!     Ok(())
//! }
//! ```
//!
//! Messages of your own: [`message!`] makes a struct or an enum one, without any other dependency.
//!
//! ```
//! use multiproc::Queue;
//!
//! multiproc::message! {
//!     pub enum Order {
//!         Buy { item: String, count: u32 },
//!         Quit,
//!     }
//! }
//!
//! # fn main() -> multiproc::Result<()> {
//! let orders = Queue::<Order>::new(16)?;
//! orders.put(Order::Buy { item: "tea".into(), count: 2 })?;
//! match &*orders.get()? {
//!     ArchivedOrder::Buy { item, count } => assert_eq!((item.as_str(), count.to_native()), ("tea", 2)),
//!     ArchivedOrder::Quit => {}
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Work that must not be lost, and a worker that may be killed in the middle of it: [`Queue::lease`] takes a message out
//! of the ring and leaves it to others until [`ack`](Lease::ack).
//!
//! ```
//! # fn main() -> multiproc::Result<()> {
//! let jobs = multiproc::Queue::<u64>::new(16)?;
//! jobs.put(7)?;
//! let job = jobs.lease()?;
//! drop(job); // as if the worker had died
//! let again = jobs.lease()?;
//! assert_eq!((again.to_native(), again.delivery_count()), (7, 2));
//! again.ack();
//! # Ok(())
//! # }
//! ```
//!
//! Data that several processes change, and the death of one of them in the middle of it:
//!
//! ```
//! use multiproc::{Lock, LockError, Process};
//!
//! fn transfer(accounts: Lock<[i64; 2]>) {
//!     let mut accounts = accounts.lock().unwrap();
//!     accounts[0] -= 30;
//!     std::process::abort(); // before the other half
//! }
//!
//! # fn main() -> multiproc::Result<()> {
//! # multiproc::init();
//! let accounts = Lock::new([100, 0])?;
//! assert!(Process::spawn(transfer, (accounts.clone(),))?.join().is_err());
//! assert!(matches!(accounts.lock(), Err(LockError::OwnerDied { .. })));
//! let mut mended = accounts.recover()?;
//! mended[1] = 100 - mended[0];
//! mended.mark_consistent();
//! drop(mended);
//! assert_eq!(*accounts.lock()?, [70, 30]);
//! # Ok(())
//! # }
//! ```
//!
//! # Where to find what
//!
//! | to | see |
//! |---|---|
//! | run functions in processes | [`Process`], [`process`] |
//! | run one function on many items, in many processes | [`Pool`], its [`map`](Pool::map) and [`imap`](Pool::imap), [`Task`] |
//! | talk with one other process | [`Pipe`], its two [`Connection`]s, [`Connection::resume`] |
//! | send messages | [`Queue`], and its [`producer`](Queue::producer) and [`consumer`](Queue::consumer) roles |
//! | send messages from one process to one other | [`QueueBuilder::split`], [`Queue::split`] |
//! | work on a message for long, and not lose it | [`Queue::lease`], [`Lease`] |
//! | write a message where it will be read | [`Queue::claim_value`], [`Claim`] |
//! | change data together | [`Lock`], its [`recover`](Lock::recover) after a death; [`Plain`] and [`plain!`] say what the data can be |
//! | take a lock again that one holds | [`ReentrantLock`] |
//! | let many look at data, or one change them | [`RwLock`] |
//! | wait for data to change | [`Condition`]: a lock, and those who wait for what it guards |
//! | let many read what nobody changes | [`Context`], and [`Pool::map_with`] |
//! | count together | [`Value`]: a number or a `bool` that is its own atomic |
//! | make a value once, or do something once | [`OnceValue`], [`Once`] |
//! | wait for each other | [`Barrier`], and what it does when a party dies |
//! | wait for something that happens, or for so many steps | [`Event`], [`Latch`]; [`Until`] also ends a wait with a process |
//! | let only so many in, or count signals | [`BoundedSemaphore`], whose permits come back from the dead; [`Semaphore`] |
//! | keep several of these together, under one name | [`Shared`], [`shared!`] for a struct of your own |
//! | wait for the first of many things, or from an event loop | [`wait_any`], [`Watch`]; with tokio `Async`; [`Waiter`] for a condition |
//! | keep values and primitives under names, without a server | [`Manager`]: its [`Cell`]s, [`Dict`]s, [`List`]s, [`Deque`]s, [`Namespace`]s, [`Array`]s and [`Counter`]s, and [`Manager::queue`] and its like |
//! | change several of them at once | [`Manager::transaction`] |
//! | call an object that stays in another process | [`service!`], [`Manager::serve`], [`Proxy`] |
//! | give many tasks one large input | [`Context`], [`Pool::map_with`] |
//! | know what can be sent | [`Message`], [`message!`] for types of your own, [`Bytes`] |
//! | talk with a program that was started by itself | [`Listener`], [`Connection::connect`] |
//! | call an object that stays in another process | [`Manager::serve`], [`service!`], [`Proxy`] |
//! | meet by name | [`Queue::create`], [`Queue::open`], [`objects`], [`gc`] |
//! | tell errors apart | [`ErrorKind`] |
//!
//! # Features
//!
//! - `constructor` (default): a program whose `main` forgets [`init`] can have children all the same, and tests can.
//! - `compat`: primitives and queues in a `Shmem` of the crate `shared_memory`, and `raw_sync`'s traits for [`Event`]; see
//!   the module `compat`.
//! - `tokio`: `Async`, by which queues, pipes, events and processes are awaited in a runtime of that crate: `get().await`,
//!   `recv().await`, `wait().await`, `join().await`.

#[cfg(not(target_os = "linux"))]
compile_error!(
    "multiproc supports Linux only (x86-64 and aarch64): it stands on futexes, memfd, OFD locks and pidfds"
);

extern crate self as multiproc;

mod error;

mod sys;

#[cfg(not(loom))]
mod segment;

mod heap;
mod ring;
mod sync;

#[cfg(not(loom))]
mod tenancy;

#[cfg(not(loom))]
mod message;

#[cfg(not(loom))]
mod barrier;
#[cfg(not(loom))]
mod condition;
#[cfg(not(loom))]
mod context;
#[cfg(not(loom))]
mod event;
#[cfg(not(loom))]
mod latch;
#[cfg(not(loom))]
mod lock;
#[cfg(not(loom))]
mod manager;
#[cfg(not(loom))]
mod once;
#[cfg(not(loom))]
mod pipe;
#[cfg(not(loom))]
mod queue;
#[cfg(not(loom))]
mod reentrant;
#[cfg(not(loom))]
mod rwlock;
#[cfg(not(loom))]
mod semaphore;
#[cfg(not(loom))]
mod shared;

#[cfg(not(loom))]
mod value;

#[cfg(not(loom))]
mod split;

#[cfg(not(loom))]
mod waiting;

#[cfg(not(loom))]
pub mod process;

#[cfg(not(loom))]
mod pool;

#[cfg(not(loom))]
mod service;

#[cfg(all(feature = "compat", not(loom)))]
pub mod compat;

#[cfg(all(feature = "tokio", not(loom)))]
mod asynchronous;

#[cfg(all(feature = "tokio", not(loom)))]
pub use asynchronous::Async;
#[cfg(not(loom))]
pub use barrier::{Barrier, BarrierError, BarrierTurn, BrokenBy};
#[cfg(not(loom))]
pub use condition::{
    Condition, ConditionError, ConditionGuard, ConditionTimeoutError, RegisterError, Waiter,
};
#[cfg(not(loom))]
pub use context::Context;
pub use error::{Error, ErrorKind, Result, TimedOut, WaitError};
#[cfg(not(loom))]
pub use event::Event;
#[cfg(not(loom))]
pub use latch::{CountError, Latch};
#[cfg(not(loom))]
pub use lock::{AdoptError, Lock, LockError, LockGuard, LockTimeoutError, TryLockError};
#[cfg(not(loom))]
pub use manager::{
    Array, ArrayGuard, Cell, CellGuard, CellIn, Counter, Deque, Dict, DictGuard, DictIn, Element,
    Key, List, ListIn, Manager, ManagerBuilder, Named, Namespace, OutOfRange, StoreError,
    Transaction,
};
#[cfg(not(loom))]
pub use message::{
    ArchivedHandle, ArchivedHandlePair, Bytes, Encode, InvalidMessage, Message, Plain, Validation,
    WriteError,
};
#[cfg(not(loom))]
pub use once::{Once, OnceError, OnceValue};
#[cfg(not(loom))]
pub use pipe::{
    Connection, Incoming, Listener, ListenerBuilder, Outgoing, Peer, Pipe, PipeBuilder, Receiver,
    RecvError, RecvIntoError, RecvTimeoutError, SendError, SendTimeoutError, Sender, Ticket,
    TryRecvError, TrySendError,
};
#[cfg(not(loom))]
pub use pool::{
    Answer, AsContext, FoldError, In, Job, JobWith, MapError, Pool, PoolBuilder, Progress, Results,
    Returned, Step, Task, TaskError,
};
#[cfg(not(loom))]
pub use process::{
    ExitStatus, Process, Stdio, active_children, current_process, init, parent_process,
};
#[cfg(not(loom))]
pub use queue::{
    Claim, Consumer, GetError, GetTimeoutError, Iter, JoinTimeoutError, Lease, Producer, PutError,
    PutTimeoutError, Queue, QueueBuilder, QueueInfo, Received, Stats, TryGetError, TryIter,
    TryPutError,
};
#[cfg(not(loom))]
pub use reentrant::{ReentrantGuard, ReentrantLock};
#[cfg(not(loom))]
pub use rkyv;
#[cfg(not(loom))]
pub use rwlock::{ReadGuard, RwLock, WriteGuard};
#[cfg(not(loom))]
pub use semaphore::{BoundedSemaphore, OverRelease, Permit, Permits, Semaphore};
#[cfg(not(loom))]
pub use service::{CallError, ConcurrentService, Proxy, Served, Service};
#[cfg(not(loom))]
pub use shared::{Shared, SharedStruct};
#[cfg(not(loom))]
pub use split::SplitError;
#[cfg(not(loom))]
pub use sys::until::Until;
#[cfg(not(loom))]
pub use tenancy::SharedField;
#[cfg(not(loom))]
pub use tenancy::inspect::{GcReport, MemberInfo, ObjectInfo, gc, objects};
#[cfg(not(loom))]
pub use value::{Bits, Number, Scalar, Value};
#[cfg(not(loom))]
pub use waiting::{Waitable, Watch, try_wait_any, wait_any, wait_any_deadline, wait_any_timeout};

/// What [`message!`] expands to; not part of the public face.
#[cfg(not(loom))]
#[doc(hidden)]
pub mod __private {
    pub use crate::message::{
        Shape, check_value, forward_value, generic_name, inline_size, own_value, view_value,
        view_value_mut, write_value,
    };
    pub use crate::service::{Line, out_of_turn};
    pub use crate::shared::Init;
    pub use crate::sys::clock::now_ns;
    pub use crate::tenancy::{Maker, Opener, Plan};
    pub use zerocopy;
}

#[cfg(all(debug_assertions, not(loom)))]
#[doc(hidden)]
pub use sys::step as crash_steps;
