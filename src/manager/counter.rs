//! [`Counter`]: a number in a manager's own memory, on a cache line of its own.

use super::Manager;
use super::core::Core;
use super::directory::{Form, Sort};
use super::named::Named;
use crate::message::{Handle, handle_message};
use crate::segment::Place;
use crate::segment::layout::{LINE, Offset, fingerprint};
use crate::sys::atomic::{
    AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use crate::sys::step::step;
use crate::tenancy::RawHandle;
use crate::{Error, ErrorKind, Result};
use std::fmt;
use std::sync::Arc;

/// What a counter takes: with the note in front of it a line, which it shares with nobody.
const LEN: usize = LINE - 16;

/// A number in a [`Manager`](crate::Manager) that many processes count with: an `i64` on a cache line of its own.
///
/// It is exact: whatever dies when, each addition that has returned is in it once, and each that was not finished once or not
/// at all. Every operation is one instruction, on which all processes agree in one order (sequential consistency). It wraps
/// around at the ends of an `i64`.
///
/// A [`Value`](crate::Value) is the same without a manager, for all kinds of numbers; an [`Array`](crate::Array) has many of
/// them.
///
/// A `Counter` is a handle. Cloning it, sending it in a message or passing it to a process gives another handle on the same
/// number.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// use multiproc::{Counter, Manager, Process};
///
/// fn work(done: Counter) {
///     for _ in 0..1000 {
///         done.add(1);
///     }
/// }
///
/// let manager = Manager::new()?;
/// let done = manager.counter("done")?;
/// let workers = [0, 1].map(|_| Process::spawn(work, (done.clone(),)));
/// for worker in workers {
///     worker?.join()?;
/// }
/// assert_eq!(done.get(), 2000);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Counter {
    core: Arc<Core>,
    index: u32,
    word: Place<AtomicU64>,
}

const FORM: Form = Form {
    sort: Sort::Counter,
    fingerprint: fingerprint(b"counter"),
};

impl Manager {
    /// The counter called `name`; if there is none, a new one at 0.
    ///
    /// # Errors
    ///
    /// Those of [`cell`](Manager::cell).
    pub fn counter(&self, name: &str) -> Result<Counter> {
        let init = |place| Counter::init(&self.core, place);
        let index = self.core.find_or_make(name, FORM, init)?;
        Counter::at(Arc::clone(&self.core), index)
    }
}

impl Named for Counter {
    fn find_in(manager: &Manager, name: &str) -> Result<Self> {
        let index = manager.core.find(name, FORM)?;
        Counter::at(Arc::clone(&manager.core), index)
    }
}

impl Counter {
    /// Has the cell of a row that nobody else sees yet lead to a zero.
    fn init(core: &Core, place: u64) -> Result<()> {
        let me = core.me()?;
        let fresh = core.alloc(me, LEN)?;
        let word = Offset::<AtomicU64>::new(core.heap.place_of(fresh.handle()));
        step("counter.zero");
        // Relaxed: published by the row's sort.
        core.tenant.segment().at(word).store(0, Relaxed);
        core.begin(me, place, (fresh, LEN)).ok_or_else(damaged)
    }

    /// The counter in that row of the directory.
    fn at(core: Arc<Core>, index: u32) -> Result<Self> {
        let place = core.heap.room().object_row(index)?;
        let home = core.heap.home_at(place).ok_or_else(damaged)?;
        let block = core.heap.current(home).ok_or_else(damaged)?;
        let word = Place::new(core.tenant.segment(), core.heap.place_of(block));
        Ok(Counter { core, index, word })
    }

    /// Adds `amount`, and returns what that makes.
    #[inline]
    pub fn add(&self, amount: i64) -> i64 {
        step("counter.add");
        // Sequentially consistent, as all of these: each pairs with every other, in one order for all.
        let before = self.word.get().fetch_add(amount as u64, SeqCst);
        (before as i64).wrapping_add(amount)
    }

    /// Subtracts `amount`, and returns what that makes.
    #[inline]
    pub fn sub(&self, amount: i64) -> i64 {
        self.add(amount.wrapping_neg())
    }

    /// What it is now.
    #[inline]
    #[must_use]
    pub fn get(&self) -> i64 {
        self.word.get().load(SeqCst) as i64 // see `add`
    }

    /// Makes it `value`.
    #[inline]
    pub fn set(&self, value: i64) {
        step("counter.set");
        self.word.get().store(value as u64, SeqCst); // see `add`
    }

    /// Makes it 0 and returns what it was: of what others add meanwhile nothing is lost.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let requests = multiproc::Manager::new()?.counter("requests")?;
    /// requests.add(5);
    /// requests.sub(2);
    /// assert_eq!((requests.reset(), requests.get()), (3, 0));
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn reset(&self) -> i64 {
        step("counter.reset");
        self.word.get().swap(0, SeqCst) as i64 // see `add`
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Counter").field(&self.get()).finish()
    }
}

impl Handle for Counter {
    fn to_raw(&self) -> RawHandle {
        self.core.handle(self.index)
    }

    fn attach(raw: &RawHandle) -> Result<Self> {
        let (core, index) = Core::attach(raw, FORM)?;
        Counter::at(core, index)
    }
}

handle_message!([] Counter, "Counter", []);

#[cold]
fn damaged() -> Error {
    let text = "a counter leads nowhere: the manager is damaged";
    Error::new(ErrorKind::Corrupt, text)
}
