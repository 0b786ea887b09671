//! [`Element`]: one number of an array.

use crate::{Bits, Error, ErrorKind, Number, Scalar};
use std::fmt;
use std::ops::Range;

/// One number of an [`Array`](crate::Array), with the operations of a [`Value`](crate::Value): each is one atomic step, takes
/// no lock and never waits.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// let scores = multiproc::Manager::new()?.array("scores", 3, 0_i32)?;
/// let second = scores.at(1)?;
/// assert_eq!(second.fetch_add(5), 0);
/// assert_eq!(second.compare_exchange(5, 7), Ok(5));
/// assert_eq!(second.update(|score| score * 2), 7);
/// assert_eq!(scores.at(1)?.load(), 14);
/// # Ok(())
/// # }
/// ```
pub struct Element<'a, T: Scalar> {
    cell: &'a T::Cell,
}

impl<'a, T: Scalar> Element<'a, T> {
    #[inline]
    pub(super) fn new(cell: &'a T::Cell) -> Self {
        Element { cell }
    }

    /// What it is now.
    #[inline]
    #[must_use]
    pub fn load(&self) -> T {
        T::load(self.cell)
    }

    /// Makes it `value`.
    #[inline]
    pub fn store(&self, value: T) {
        T::swap(self.cell, value);
    }

    /// Makes it `value` and returns what it was.
    #[inline]
    pub fn swap(&self, value: T) -> T {
        T::swap(self.cell, value)
    }

    /// Makes it `new` if it is `current`. Floats are compared bit by bit.
    ///
    /// # Errors
    ///
    /// What it is instead.
    #[inline]
    pub fn compare_exchange(&self, current: T, new: T) -> Result<T, T> {
        T::compare_exchange(self.cell, current, new)
    }

    /// Makes it what `change` makes of it, and returns what it was; see [`Value::update`](crate::Value::update).
    #[inline]
    pub fn update(&self, mut change: impl FnMut(T) -> T) -> T {
        match self.try_update(|value| Some(change(value))) {
            Ok(old) | Err(old) => old,
        }
    }

    /// As [`update`](Element::update), unless `change` returns `None`.
    ///
    /// # Errors
    ///
    /// What it is, if it was left alone.
    #[inline]
    pub fn try_update(&self, mut change: impl FnMut(T) -> Option<T>) -> Result<T, T> {
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

impl<T: Number> Element<'_, T> {
    /// Adds `amount` and returns what it was. Integers wrap around at their ends.
    #[inline]
    pub fn fetch_add(&self, amount: T) -> T {
        T::fetch_add(self.cell, amount)
    }

    /// Subtracts `amount` and returns what it was. Integers wrap around at their ends.
    #[inline]
    pub fn fetch_sub(&self, amount: T) -> T {
        T::fetch_sub(self.cell, amount)
    }

    /// Makes it the larger of itself and `other`, and returns what it was. A NaN loses against any number.
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

impl<T: Bits> Element<'_, T> {
    /// Keeps the bits that `mask` has, too, and returns what it was.
    #[inline]
    pub fn fetch_and(&self, mask: T) -> T {
        T::fetch_and(self.cell, mask)
    }

    /// Adds the bits of `mask` and returns what it was.
    #[inline]
    pub fn fetch_or(&self, mask: T) -> T {
        T::fetch_or(self.cell, mask)
    }

    /// Flips the bits of `mask` and returns what it was.
    #[inline]
    pub fn fetch_xor(&self, mask: T) -> T {
        T::fetch_xor(self.cell, mask)
    }
}

impl<T: Scalar> Clone for Element<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Scalar> Copy for Element<'_, T> {}

impl<T: Scalar> fmt::Debug for Element<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Element").field(&self.load()).finish()
    }
}

/// A place outside of an [`Array`](crate::Array).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutOfRange {
    /// The places that were asked for.
    pub range: Range<usize>,
    /// How many there are.
    pub len: usize,
}

impl OutOfRange {
    #[cold]
    pub(super) fn new(range: Range<usize>, len: usize) -> Self {
        OutOfRange { range, len }
    }
}

impl fmt::Display for OutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OutOfRange { range, len } = self;
        write!(f, "{range:?} is not within an array of {len}")
    }
}

impl std::error::Error for OutOfRange {}

impl From<OutOfRange> for Error {
    fn from(error: OutOfRange) -> Self {
        Error::new(ErrorKind::InvalidInput, error.to_string()).with_source(error)
    }
}
