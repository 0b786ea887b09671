//! [`OnceValue`]: a value that is made once; [`Once`]: something that is done once.

mod error;

use std::fmt;
use std::time::{Duration, Instant};

use crate::message::{Handle, Plain, Room, handle_message, plain_fingerprint, plain_name};
use crate::segment::{Kind, Place};
use crate::sync::{RawLock, RawOnce, Turn};
use crate::sys::clock::Deadline;
use crate::sys::membarrier;
use crate::sys::until::{Missed, Over};
use crate::tenancy::{Form, Maker, Opener, Plan, RawHandle, SharedField, Small};
use crate::{Error, ErrorKind, Result, Until};
pub use error::OnceError;

/// A value that the first of several processes makes, and all of them read from then on.
///
/// It begins empty. [`get_or_init`](OnceValue::get_or_init) gives the value, and makes it if there is none: exactly one
/// caller of all processes does, while the others wait for it. Once made, the value never changes; what is read is a
/// reference into shared memory. The value is [`Plain`]: of fixed layout, without pointers.
///
/// A `OnceValue` is a handle. Cloning it, sending it in a message or passing it to a process gives another handle on the
/// same value.
///
/// # When a process dies
///
/// Who dies while it makes the value, by a kill or a panic, has made none: the next caller, one who waits included, makes
/// it from the start. What the initialiser did beside that it may have done half, so it should be something that can be
/// begun again. No reader ever sees a value before it is whole.
///
/// # Waiting and cost
///
/// Reading a value that is there costs one load. The verbs that wait for somebody who is just making it have the usual
/// forms: `try_`, `_timeout`, `_deadline`; [`get_or_init_until`](OnceValue::get_or_init_until) ends with another process,
/// too. [`get`](OnceValue::get) never waits.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// use multiproc::{OnceValue, Process, Value};
///
/// fn work(table: OnceValue<[u32; 4]>, made: Value<u32>) -> multiproc::Result<u32> {
///     let table = table.get_or_init(|| {
///         made.fetch_add(1);
///         [1, 1, 2, 6]
///     })?;
///     Ok(table[3])
/// }
///
/// let (table, made) = (OnceValue::new()?, Value::new(0)?);
/// let workers = [(); 3].map(|()| Process::spawn(work, (table.clone(), made.clone())));
/// for worker in workers {
///     assert_eq!(worker?.join()?, 6);
/// }
/// assert_eq!(made.load(), 1);
/// assert_eq!(table.get(), Some(&[1, 1, 2, 6]));
/// # Ok(())
/// # }
/// ```
pub struct OnceValue<T: Plain> {
    once: Place<RawOnce>,
    lock: Place<RawLock>,
    value: Room<T>,
    home: Small,
}

/// Something that is done once, by the first of several processes that comes to it: a [`OnceValue`] without a value.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// use multiproc::{Once, Process, Value};
///
/// fn start(once: Once, starts: Value<u32>) -> multiproc::Result<()> {
///     once.call_once(|| {
///         starts.fetch_add(1);
///     })?;
///     assert!(once.is_completed());
///     Ok(())
/// }
///
/// let (once, starts) = (Once::new()?, Value::new(0)?);
/// let processes = [(); 2].map(|()| Process::spawn(start, (once.clone(), starts.clone())));
/// for process in processes {
///     process?.join()?;
/// }
/// assert_eq!(starts.load(), 1);
/// # Ok(())
/// # }
/// ```
pub type Once = OnceValue<()>;

// SAFETY: the value is written by whoever holds the lock, before anybody reads it, and is Send and Sync.
unsafe impl<T: Plain> Send for OnceValue<T> {}
// SAFETY: as above.
unsafe impl<T: Plain> Sync for OnceValue<T> {}

impl<T: Plain> OnceValue<T> {
    /// A new one without a name, empty.
    ///
    /// It takes 44 bytes and the value's, rounded up to a power of two and at least 64, in an arena that all unnamed ones
    /// of the process share; more than 4 KiB take a file descriptor of their own.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](ErrorKind::NoSpace) when there is no memory for it.
    pub fn new() -> Result<Self> {
        Self::on(Small::anonymous(&form::<T>(), |_, _| Ok(()))?)
    }

    /// A new one called `name`, empty, which other programs of the same user can [`open`](OnceValue::open).
    ///
    /// It exists until its last user is gone, or until it is [removed](OnceValue::remove).
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
    /// use multiproc::OnceValue;
    ///
    /// let name = format!("seed-{}", std::process::id());
    /// let seed = OnceValue::<u64>::create(&name)?;
    /// OnceValue::<u64>::open(&name)?.set(42)?;
    /// assert_eq!(seed.get(), Some(&42));
    /// OnceValue::<u64>::remove(&name)
    /// # }
    /// ```
    pub fn create(name: &str) -> Result<Self> {
        Self::on(Small::create(name, &form::<T>(), |_, _| Ok(()))?)
    }

    /// The one called `name`. See [`create`](OnceValue::create).
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound), [`WrongType`](ErrorKind::WrongType),
    /// [`PermissionDenied`](ErrorKind::PermissionDenied).
    pub fn open(name: &str) -> Result<Self> {
        Self::on(Small::open(name, &form::<T>())?)
    }

    /// The one called `name`; if there is none, a new one, empty.
    ///
    /// # Errors
    ///
    /// Those of [`open`](OnceValue::open) but `NotFound`, and those of [`create`](OnceValue::create) but `AlreadyExists`.
    pub fn open_or_create(name: &str) -> Result<Self> {
        Self::on(Small::open_or_create(name, &form::<T>(), |_, _| Ok(()))?)
    }

    /// Removes the name. Those who have it open keep it; the name is free for a new one.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound), [`PermissionDenied`](ErrorKind::PermissionDenied).
    pub fn remove(name: &str) -> Result<()> {
        Small::remove(name)
    }

    fn on(home: Small) -> Result<Self> {
        membarrier::register();
        let segment = home.tenant().segment();
        let Some(value) = Room::at(segment, home.data() + value_offset::<T>()) else {
            let text = "the value lies outside of its segment";
            return Err(Error::new(ErrorKind::Corrupt, text));
        };
        Ok(OnceValue {
            once: Place::new(segment, home.data()),
            lock: Place::new(segment, home.place()),
            value,
            home,
        })
    }

    /// The value, if it has been made.
    #[inline]
    #[must_use]
    pub fn get(&self) -> Option<&T> {
        if !self.once.get().is_done() {
            return None;
        }
        // SAFETY: it was written whole before it was said to be done, which this has seen, and nobody writes it again;
        // the handle keeps it mapped.
        Some(unsafe { &*self.value.as_ptr() })
    }

    /// The value; if there is none, the result of `init`, which is the value from now on.
    ///
    /// Waits while somebody else makes it.
    ///
    /// # Errors
    ///
    /// [`OnceError::Deadlock`] if called by an initialiser of the same value.
    ///
    /// # Panics
    ///
    /// When `init` does; there is no value then, and the next caller makes it.
    #[inline]
    pub fn get_or_init(&self, init: impl FnOnce() -> T) -> std::result::Result<&T, OnceError> {
        match self.get() {
            Some(value) => Ok(value),
            None => self.in_time(Deadline::NEVER, || Ok(init())),
        }
    }

    /// The value; if there is none, what `init` gives, unless it fails: then there is still none.
    ///
    /// # Errors
    ///
    /// What `init` returns, and the errors of [`get_or_init`](OnceValue::get_or_init).
    ///
    /// # Panics
    ///
    /// When `init` does.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{Error, ErrorKind, OnceValue};
    ///
    /// let limit = OnceValue::<u32>::new()?;
    /// let failed = limit.get_or_try_init(|| Err(Error::new(ErrorKind::NotFound, "not yet")));
    /// assert_eq!(failed.unwrap_err().kind(), ErrorKind::NotFound);
    /// assert_eq!(limit.get(), None);
    /// assert_eq!(*limit.get_or_try_init(|| Ok::<_, Error>(8))?, 8);
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_or_try_init<E: From<OnceError>>(
        &self,
        init: impl FnOnce() -> std::result::Result<T, E>,
    ) -> std::result::Result<&T, E> {
        self.tried_in_time(Deadline::NEVER, init)
    }

    /// As [`get_or_try_init`](OnceValue::get_or_try_init), but waits for nobody.
    ///
    /// # Errors
    ///
    /// [`OnceError::Timeout`] if somebody is making the value, and those of
    /// [`get_or_try_init`](OnceValue::get_or_try_init).
    ///
    /// # Panics
    ///
    /// When `init` does.
    pub fn try_get_or_try_init<E: From<OnceError>>(
        &self,
        init: impl FnOnce() -> std::result::Result<T, E>,
    ) -> std::result::Result<&T, E> {
        self.tried_in_time(Deadline::NOW, init)
    }

    /// As [`get_or_try_init`](OnceValue::get_or_try_init), but waits for another initialiser no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// As [`try_get_or_try_init`](OnceValue::try_get_or_try_init).
    ///
    /// # Panics
    ///
    /// When `init` does.
    pub fn get_or_try_init_timeout<E: From<OnceError>>(
        &self,
        timeout: Duration,
        init: impl FnOnce() -> std::result::Result<T, E>,
    ) -> std::result::Result<&T, E> {
        self.tried_in_time(Deadline::after(timeout), init)
    }

    /// As [`get_or_try_init_timeout`](OnceValue::get_or_try_init_timeout), until `deadline`.
    ///
    /// # Errors
    ///
    /// As [`try_get_or_try_init`](OnceValue::try_get_or_try_init).
    ///
    /// # Panics
    ///
    /// When `init` does.
    pub fn get_or_try_init_deadline<E: From<OnceError>>(
        &self,
        deadline: Instant,
        init: impl FnOnce() -> std::result::Result<T, E>,
    ) -> std::result::Result<&T, E> {
        self.tried_in_time(Deadline::at(deadline), init)
    }

    /// As [`get_or_init`](OnceValue::get_or_init), but waits for nobody.
    ///
    /// # Errors
    ///
    /// [`OnceError::Timeout`] if somebody is making the value, and [`OnceError::Deadlock`].
    ///
    /// # Panics
    ///
    /// When `init` does.
    pub fn try_get_or_init(&self, init: impl FnOnce() -> T) -> std::result::Result<&T, OnceError> {
        self.made_in_time(Deadline::NOW, init)
    }

    /// As [`get_or_init`](OnceValue::get_or_init), but waits for another initialiser no longer than `timeout`. The own
    /// one takes as long as it takes.
    ///
    /// # Errors
    ///
    /// [`OnceError::Timeout`] if somebody is still making the value then, and [`OnceError::Deadlock`].
    ///
    /// # Panics
    ///
    /// When `init` does.
    pub fn get_or_init_timeout(
        &self,
        timeout: Duration,
        init: impl FnOnce() -> T,
    ) -> std::result::Result<&T, OnceError> {
        self.made_in_time(Deadline::after(timeout), init)
    }

    /// As [`get_or_init_timeout`](OnceValue::get_or_init_timeout), until `deadline`.
    ///
    /// # Errors
    ///
    /// As [`get_or_init_timeout`](OnceValue::get_or_init_timeout).
    ///
    /// # Panics
    ///
    /// When `init` does.
    pub fn get_or_init_deadline(
        &self,
        deadline: Instant,
        init: impl FnOnce() -> T,
    ) -> std::result::Result<&T, OnceError> {
        self.made_in_time(Deadline::at(deadline), init)
    }

    /// As [`get_or_init`](OnceValue::get_or_init), but waits for another initialiser until a moment, or until another
    /// process has ended.
    ///
    /// # Errors
    ///
    /// [`OnceError::Ended`] if somebody is still making the value when that process has ended, and those of
    /// [`get_or_init_timeout`](OnceValue::get_or_init_timeout).
    ///
    /// # Panics
    ///
    /// When `init` does.
    pub fn get_or_init_until(
        &self,
        until: Until<'_>,
        init: impl FnOnce() -> T,
    ) -> std::result::Result<&T, OnceError> {
        match self.get() {
            Some(value) => Ok(value),
            None => self.make(self.turn_until(until)?, || Ok(init())),
        }
    }

    /// Makes `value` the value. Waits while somebody else makes one.
    ///
    /// # Errors
    ///
    /// [`OnceError::AlreadySet`] if there is one, and [`OnceError::Deadlock`] if called by its initialiser.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{OnceError, OnceValue};
    ///
    /// let port = OnceValue::new()?;
    /// assert_eq!(port.set(8080_u16), Ok(()));
    /// assert_eq!(port.set(9090), Err(OnceError::AlreadySet));
    /// assert_eq!(port.get(), Some(&8080));
    /// # Ok(())
    /// # }
    /// ```
    pub fn set(&self, value: T) -> std::result::Result<(), OnceError> {
        self.set_in_time(Deadline::NEVER, value)
    }

    /// As [`set`](OnceValue::set), but waits for nobody.
    ///
    /// # Errors
    ///
    /// [`OnceError::Timeout`] if somebody is making a value, and those of [`set`](OnceValue::set).
    pub fn try_set(&self, value: T) -> std::result::Result<(), OnceError> {
        self.set_in_time(Deadline::NOW, value)
    }

    /// As [`set`](OnceValue::set), waiting until `timeout` has passed.
    ///
    /// # Errors
    ///
    /// As [`try_set`](OnceValue::try_set).
    pub fn set_timeout(&self, timeout: Duration, value: T) -> std::result::Result<(), OnceError> {
        self.set_in_time(Deadline::after(timeout), value)
    }

    /// As [`set`](OnceValue::set), waiting until `deadline`.
    ///
    /// # Errors
    ///
    /// As [`try_set`](OnceValue::try_set).
    pub fn set_deadline(&self, deadline: Instant, value: T) -> std::result::Result<(), OnceError> {
        self.set_in_time(Deadline::at(deadline), value)
    }

    fn set_in_time(&self, deadline: Deadline, value: T) -> std::result::Result<(), OnceError> {
        let mut taken = false;
        self.made_in_time(deadline, || {
            taken = true;
            value
        })?;
        match taken {
            true => Ok(()),
            false => Err(OnceError::AlreadySet),
        }
    }

    fn made_in_time(
        &self,
        deadline: Deadline,
        init: impl FnOnce() -> T,
    ) -> std::result::Result<&T, OnceError> {
        self.tried_in_time(deadline, || Ok(init()))
    }

    fn tried_in_time<E: From<OnceError>>(
        &self,
        deadline: Deadline,
        init: impl FnOnce() -> std::result::Result<T, E>,
    ) -> std::result::Result<&T, E> {
        match self.get() {
            Some(value) => Ok(value),
            None => self.in_time(deadline, init),
        }
    }

    /// Waits for the turn, and makes the value if there is none by then.
    #[cold]
    fn in_time<E: From<OnceError>>(
        &self,
        deadline: Deadline,
        init: impl FnOnce() -> std::result::Result<T, E>,
    ) -> std::result::Result<&T, E> {
        self.make(self.turn(deadline)?, init)
    }

    /// The right to make the value; `None` if there is one by then.
    fn turn(&self, deadline: Deadline) -> std::result::Result<Option<Turn<'_>>, OnceError> {
        let (once, tenant) = (self.once.get(), &**self.home.tenant());
        let turn = once.turn(self.lock.get(), tenant.me(), tenant, deadline);
        turn.map_err(OnceError::from)
    }

    fn turn_until(&self, until: Until<'_>) -> std::result::Result<Option<Turn<'_>>, OnceError> {
        let turn = until.attempt(|end| {
            self.turn(end).map_err(|why| match why {
                OnceError::Timeout => None,
                other => Some(other),
            })
        });
        turn.map_err(|why| match why {
            Missed::Over(Over::TimedOut) => OnceError::Timeout,
            Missed::Over(Over::Ended) => OnceError::Ended,
            Missed::Refused(why) => why,
        })
    }

    fn make<E>(
        &self,
        turn: Option<Turn<'_>>,
        init: impl FnOnce() -> std::result::Result<T, E>,
    ) -> std::result::Result<&T, E> {
        if let Some(turn) = turn {
            self.value.put(init()?);
            turn.finish();
        }
        // SAFETY: it is done, by this thread or by one whose turn ended before this one's began; see `get`.
        Ok(unsafe { &*self.value.as_ptr() })
    }
}

impl Once {
    /// Runs `body`, unless it has been run; waits while somebody else runs it.
    ///
    /// When this returns `Ok` it has been run to its end, by this or by another process.
    ///
    /// # Errors
    ///
    /// [`OnceError::Deadlock`] if called by `body` itself.
    ///
    /// # Panics
    ///
    /// When `body` does; it counts as not run then.
    #[inline]
    pub fn call_once(&self, body: impl FnOnce()) -> std::result::Result<(), OnceError> {
        self.get_or_init(body).copied()
    }

    /// As [`call_once`](Once::call_once), but waits for nobody.
    ///
    /// # Errors
    ///
    /// [`OnceError::Timeout`] if somebody is running it, and [`OnceError::Deadlock`].
    ///
    /// # Panics
    ///
    /// When `body` does.
    pub fn try_call_once(&self, body: impl FnOnce()) -> std::result::Result<(), OnceError> {
        self.try_get_or_init(body).copied()
    }

    /// As [`call_once`](Once::call_once), waiting for somebody else who runs it until `timeout` has passed.
    ///
    /// # Errors
    ///
    /// As [`try_call_once`](Once::try_call_once).
    ///
    /// # Panics
    ///
    /// When `body` does.
    pub fn call_once_timeout(
        &self,
        timeout: Duration,
        body: impl FnOnce(),
    ) -> std::result::Result<(), OnceError> {
        self.get_or_init_timeout(timeout, body).copied()
    }

    /// As [`call_once_timeout`](Once::call_once_timeout), until `deadline`.
    ///
    /// # Errors
    ///
    /// As [`try_call_once`](Once::try_call_once).
    ///
    /// # Panics
    ///
    /// When `body` does.
    pub fn call_once_deadline(
        &self,
        deadline: Instant,
        body: impl FnOnce(),
    ) -> std::result::Result<(), OnceError> {
        self.get_or_init_deadline(deadline, body).copied()
    }

    /// Whether it has been run to its end.
    #[inline]
    #[must_use]
    pub fn is_completed(&self) -> bool {
        self.get().is_some()
    }
}

impl<T: Plain> Clone for OnceValue<T> {
    fn clone(&self) -> Self {
        OnceValue {
            once: self.once.clone(),
            lock: self.lock.clone(),
            value: self.value,
            home: self.home.clone(),
        }
    }
}

impl<T: Plain + fmt::Debug> fmt::Debug for OnceValue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.get() {
            Some(value) => f.debug_tuple("OnceValue").field(value).finish(),
            None => f.write_str("OnceValue(<empty>)"),
        }
    }
}

impl<T: Plain> Handle for OnceValue<T> {
    fn to_raw(&self) -> RawHandle {
        self.home.to_raw()
    }

    fn attach(raw: &RawHandle) -> Result<Self> {
        Self::on(Small::attach(raw, &form::<T>())?)
    }
}

handle_message!([T: Plain] OnceValue<T>, "OnceValue", []);

impl<T: Plain> SharedField for OnceValue<T> {
    /// It begins empty.
    type Init = ();

    fn plan(plan: &mut Plan) {
        plan.noun(&form::<T>());
    }

    fn make((): &(), maker: &mut Maker<'_>) -> Result<()> {
        maker.noun(&form::<T>(), |_, _| Ok(()))
    }

    fn open(opener: &mut Opener<'_>) -> Result<Self> {
        Self::on(opener.noun(&form::<T>())?)
    }
}

/// The value lies behind the word that says whether there is one.
fn value_offset<T>() -> u64 {
    size_of::<RawOnce>().next_multiple_of(align_of::<T>()) as u64
}

fn form<T: Plain>() -> Form {
    let align = align_of::<T>().max(align_of::<RawOnce>()) as u64;
    Form {
        kind: Kind::OnceValue,
        fingerprint: plain_fingerprint::<T>(),
        type_name: plain_name::<T>(),
        data: Some((value_offset::<T>() + size_of::<T>() as u64, align)),
    }
}
