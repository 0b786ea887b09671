//! [`Value`]: one number, changed by many processes at once without a lock.

mod scalar;

use std::fmt;
use std::ptr::NonNull;

use crate::Result;
use crate::message::{Handle, handle_message};
use crate::segment::Kind;
use crate::segment::layout::fingerprint;
use crate::tenancy::{Form, Maker, Opener, Plan, RawHandle, SharedField, Small};
pub use scalar::{Bits, Number, Scalar};

/// A number or a `bool` in shared memory: every operation on it is one atomic step.
///
/// This is the shared counter. It needs no lock, so there is nothing that a process could die with: whatever happens
/// to whom, the value is that of some completed operation. All operations on all values happen in one order on which
/// all processes agree (sequential consistency), and what a process wrote elsewhere before an operation is seen by
/// those whose operations come after it.
///
/// Nothing here ever waits. Most operations are one instruction of the processor; `update`, `try_update`, `fetch_max`,
/// `fetch_min`, and arithmetic on floats are a loop that begins again when another process was faster, and one of them
/// always gets through.
///
/// A `Value` is a handle. Cloning it, sending it in a message or passing it to a process gives another handle on the
/// same number. For more than one number that must change together, take a [`Lock`](crate::Lock).
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// use multiproc::{Process, Value};
///
/// fn count(hits: Value<u64>) {
///     for _ in 0..1000 {
///         hits.fetch_add(1);
///     }
/// }
///
/// let hits = Value::new(0)?;
/// let workers = [0, 1].map(|_| Process::spawn(count, (hits.clone(),)));
/// for worker in workers {
///     worker?.join()?;
/// }
/// assert_eq!(hits.load(), 2000);
/// # Ok(())
/// # }
/// ```
pub struct Value<T: Scalar> {
    cell: NonNull<T::Cell>,
    home: Small,
}

// SAFETY: the cell is an atomic, mapped for as long as `home` lives, which every handle keeps.
unsafe impl<T: Scalar> Send for Value<T> {}
// SAFETY: as above; atomics are for sharing.
unsafe impl<T: Scalar> Sync for Value<T> {}

impl<T: Scalar> Value<T> {
    /// A new value without a name.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](crate::ErrorKind::NoSpace) when there is no memory for it.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let temperature = multiproc::Value::new(21.5)?;
    /// temperature.store(22.0);
    /// assert_eq!(temperature.load(), 22.0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(value: T) -> Result<Self> {
        let small = Small::anonymous(&form::<T>(), |segment, place| {
            cell_at::<T>(segment, place).map(|cell| store_first(cell, value))
        })?;
        Self::on(small)
    }

    /// A new value called `name`, which other programs of the same user can [`open`](Value::open).
    ///
    /// It exists until its last user is gone, or until it is [removed](Value::remove).
    ///
    /// # Errors
    ///
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists), [`InvalidInput`](crate::ErrorKind::InvalidInput) for a name
    /// that cannot be one, [`NoSpace`](crate::ErrorKind::NoSpace).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::Value;
    ///
    /// let name = format!("visits-{}", std::process::id());
    /// let visits = Value::create(&name, 0_u64)?;
    /// let same = Value::<u64>::open(&name)?;
    /// visits.fetch_add(3);
    /// assert_eq!(same.load(), 3);
    /// Value::<u64>::remove(&name)?;
    /// assert!(Value::<u64>::open(&name).is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn create(name: &str, value: T) -> Result<Self> {
        let small = Small::create(name, &form::<T>(), |segment, place| {
            cell_at::<T>(segment, place).map(|cell| store_first(cell, value))
        })?;
        Self::on(small)
    }

    /// The value called `name`. See [`create`](Value::create).
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound), [`WrongType`](crate::ErrorKind::WrongType),
    /// [`PermissionDenied`](crate::ErrorKind::PermissionDenied).
    pub fn open(name: &str) -> Result<Self> {
        Self::on(Small::open(name, &form::<T>())?)
    }

    /// The value called `name`; if there is none, a new one that begins as `value`.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Value::open) but `NotFound`, and those of [`create`](Value::create) but `AlreadyExists`.
    pub fn open_or_create(name: &str, value: T) -> Result<Self> {
        let small = Small::open_or_create(name, &form::<T>(), |segment, place| {
            cell_at::<T>(segment, place).map(|cell| store_first(cell, value))
        })?;
        Self::on(small)
    }

    /// Removes the name. Those who have the value open keep it; the name is free for a new one.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound), [`PermissionDenied`](crate::ErrorKind::PermissionDenied).
    pub fn remove(name: &str) -> Result<()> {
        Small::remove(name)
    }

    fn on(small: Small) -> Result<Self> {
        let cell = cell_at::<T>(small.tenant().segment(), small.data())?;
        Ok(Value { cell, home: small })
    }

    /// The atomic itself, for who needs less than the order of all operations on it.
    #[inline]
    pub(crate) fn cell(&self) -> &T::Cell {
        // SAFETY: bounded and aligned when the handle was made, mapped for as long as `home` lives, and an atomic.
        unsafe { self.cell.as_ref() }
    }

    /// What the value is now.
    #[inline]
    #[must_use]
    pub fn load(&self) -> T {
        T::load(self.cell())
    }

    /// Makes it `value`.
    #[inline]
    pub fn store(&self, value: T) {
        T::swap(self.cell(), value);
    }

    /// Makes it `value` and returns what it was.
    #[inline]
    pub fn swap(&self, value: T) -> T {
        T::swap(self.cell(), value)
    }

    /// Makes it `new` if it is `current`. Floats are compared bit by bit.
    ///
    /// # Errors
    ///
    /// What it is instead.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let leader = multiproc::Value::new(0_u32)?;
    /// assert_eq!(leader.compare_exchange(0, 17), Ok(0));
    /// assert_eq!(leader.compare_exchange(0, 18), Err(17));
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn compare_exchange(&self, current: T, new: T) -> std::result::Result<T, T> {
        T::compare_exchange(self.cell(), current, new)
    }

    /// Makes it what `change` makes of it, and returns what it was.
    ///
    /// `change` is called again with the newer value whenever another process was faster.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let level = multiproc::Value::new(7_u8)?;
    /// assert_eq!(level.update(|level| level / 2), 7);
    /// assert_eq!(level.load(), 3);
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn update(&self, mut change: impl FnMut(T) -> T) -> T {
        match self.try_update(|value| Some(change(value))) {
            Ok(old) | Err(old) => old,
        }
    }

    /// As [`update`](Value::update), unless `change` returns `None`.
    ///
    /// # Errors
    ///
    /// What it is, if it was left alone.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let tickets = multiproc::Value::new(1_u32)?;
    /// assert_eq!(tickets.try_update(|left| left.checked_sub(1)), Ok(1));
    /// assert_eq!(tickets.try_update(|left| left.checked_sub(1)), Err(0));
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn try_update(&self, mut change: impl FnMut(T) -> Option<T>) -> std::result::Result<T, T> {
        let mut seen = self.load();
        while let Some(new) = change(seen) {
            match self.compare_exchange(seen, new) {
                Ok(old) => return Ok(old),
                Err(now) => seen = now,
            }
        }
        Err(seen)
    }
}

impl<T: Number> Value<T> {
    /// Adds `amount` and returns what it was. Integers wrap around at their ends.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let sum = multiproc::Value::new(0.5_f64)?;
    /// assert_eq!(sum.fetch_add(1.0), 0.5);
    /// assert_eq!(sum.load(), 1.5);
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn fetch_add(&self, amount: T) -> T {
        T::fetch_add(self.cell(), amount)
    }

    /// Subtracts `amount` and returns what it was. Integers wrap around at their ends.
    #[inline]
    pub fn fetch_sub(&self, amount: T) -> T {
        T::fetch_sub(self.cell(), amount)
    }

    /// Makes it the larger of itself and `other`, and returns what it was. A NaN loses against any number.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let highest = multiproc::Value::new(-5_i32)?;
    /// highest.fetch_max(3);
    /// highest.fetch_max(-1);
    /// assert_eq!(highest.load(), 3);
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn fetch_max(&self, other: T) -> T {
        self.update(|value| value.larger(other))
    }

    /// Makes it the smaller of itself and `other`, and returns what it was. A NaN loses against any number.
    #[inline]
    pub fn fetch_min(&self, other: T) -> T {
        self.update(|value| value.smaller(other))
    }
}

impl<T: Bits> Value<T> {
    /// Keeps the bits that `mask` has, too, and returns what it was.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let all_well = multiproc::Value::new(true)?;
    /// assert!(all_well.fetch_and(false));
    /// assert!(!all_well.load());
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn fetch_and(&self, mask: T) -> T {
        T::fetch_and(self.cell(), mask)
    }

    /// Adds the bits of `mask` and returns what it was.
    #[inline]
    pub fn fetch_or(&self, mask: T) -> T {
        T::fetch_or(self.cell(), mask)
    }

    /// Flips the bits of `mask` and returns what it was.
    #[inline]
    pub fn fetch_xor(&self, mask: T) -> T {
        T::fetch_xor(self.cell(), mask)
    }
}

impl<T: Scalar> Clone for Value<T> {
    fn clone(&self) -> Self {
        Value {
            cell: self.cell,
            home: self.home.clone(),
        }
    }
}

impl<T: Scalar> fmt::Debug for Value<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Value").field(&self.load()).finish()
    }
}

impl<T: Scalar> fmt::Display for Value<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.load(), f)
    }
}

impl<T: Scalar> Handle for Value<T> {
    fn to_raw(&self) -> RawHandle {
        self.home.to_raw()
    }

    fn attach(raw: &RawHandle) -> Result<Self> {
        Self::on(Small::attach(raw, &form::<T>())?)
    }
}

handle_message!([T: Scalar] Value<T>, "Value", []);

impl<T: Scalar> SharedField for Value<T> {
    type Init = T;

    fn plan(plan: &mut Plan) {
        plan.noun(&form::<T>());
    }

    fn make(&init: &T, maker: &mut Maker<'_>) -> Result<()> {
        maker.noun(&form::<T>(), |segment, place| {
            cell_at::<T>(segment, place).map(|cell| store_first(cell, init))
        })
    }

    fn open(opener: &mut Opener<'_>) -> Result<Self> {
        Self::on(opener.noun(&form::<T>())?)
    }
}

fn form<T: Scalar>() -> Form {
    Form {
        kind: Kind::Value,
        fingerprint: fingerprint(T::NAME.as_bytes()),
        type_name: T::NAME.to_owned(),
        data: None,
    }
}

fn cell_at<T: Scalar>(segment: &crate::segment::Segment, place: u64) -> Result<NonNull<T::Cell>> {
    let bytes = segment.bytes(place, size_of::<T::Cell>() as u64);
    let cell = bytes
        .map(NonNull::cast::<T::Cell>)
        .filter(|c| c.is_aligned());
    cell.ok_or_else(|| {
        crate::Error::new(
            crate::ErrorKind::Corrupt,
            "the value lies outside of its segment",
        )
    })
}

fn store_first<T: Scalar>(cell: NonNull<T::Cell>, value: T) {
    // SAFETY: bounded, aligned, mapped while its segment is being filled in, and an atomic.
    T::swap(unsafe { cell.as_ref() }, value);
}
