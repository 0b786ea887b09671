//! [`ArrayGuard`]: the right to change many numbers of an array together.

use super::{Array, Element, OutOfRange};
use crate::Scalar;
use crate::sync::Owner;
use crate::sys::step::step;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Bound, Range, RangeBounds};
use std::thread::panicking;

/// The lock of an [`Array`], for as long as it is kept.
///
/// Dropping it gives the lock up. Dropping it in a panic marks the lock, as the holder's death does. It stays in its thread.
///
/// It gives no `&mut [T]`: others may use single numbers meanwhile, without the lock. What it reads and writes is copied, one
/// number at a time, each in a third of a nanosecond or so.
#[must_use = "a guard that is dropped at once gives the lock up at once"]
pub struct ArrayGuard<'a, T: Scalar> {
    array: &'a Array<T>,
    /// Who held the lock last, if it was marked and the numbers are not declared whole yet.
    origin: Option<Owner>,
    /// The thread was panicking already: what it drops while unwinding is not torn by that panic.
    unwinding: bool,
    stays: PhantomData<*const ()>,
}

impl<'a, T: Scalar> ArrayGuard<'a, T> {
    /// The guard of a lock that was just taken.
    #[inline]
    pub(super) fn new(array: &'a Array<T>, origin: Option<Owner>) -> Self {
        ArrayGuard {
            array,
            origin,
            unwinding: panicking(),
            stays: PhantomData,
        }
    }

    /// The number at `index`.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`].
    pub fn at(&self, index: usize) -> Result<Element<'a, T>, OutOfRange> {
        self.array.at(index)
    }

    /// A copy of the numbers in `range`.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`].
    pub fn read(&self, range: impl RangeBounds<usize>) -> Result<Vec<T>, OutOfRange> {
        let range = self.checked(range)?;
        Ok(range.map(|at| T::peek(self.array.cell(at))).collect())
    }

    /// Copies the numbers from `start` on to `target`, as many as it has.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] if there are not as many; nothing is copied then.
    pub fn copy_to(&self, start: usize, target: &mut [T]) -> Result<(), OutOfRange> {
        let range = self.checked(start..start.saturating_add(target.len()))?;
        for (number, at) in target.iter_mut().zip(range) {
            *number = T::peek(self.array.cell(at));
        }
        Ok(())
    }

    /// Replaces the numbers from `start` on by `numbers`.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] if there are not as many; nothing is written then.
    pub fn write(&mut self, start: usize, numbers: &[T]) -> Result<(), OutOfRange> {
        let range = self.checked(start..start.saturating_add(numbers.len()))?;
        for (&number, at) in numbers.iter().zip(range) {
            self.put(at, number);
        }
        Ok(())
    }

    /// Makes all numbers in `range` the same.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`]; nothing is written then.
    pub fn fill(&mut self, range: impl RangeBounds<usize>, number: T) -> Result<(), OutOfRange> {
        self.checked(range)?.for_each(|at| self.put(at, number));
        Ok(())
    }

    #[inline]
    fn put(&mut self, at: usize, number: T) {
        step("array.put");
        T::put(self.array.cell(at), number); // ordered by the lock, for who takes it
    }

    /// The range with its ends, if it lies in the array.
    fn checked(&self, range: impl RangeBounds<usize>) -> Result<Range<usize>, OutOfRange> {
        let start = match range.start_bound() {
            Bound::Included(&start) => start,
            Bound::Excluded(&before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(&last) => last.saturating_add(1),
            Bound::Excluded(&end) => end,
            Bound::Unbounded => self.array.len,
        };
        match start <= end && end <= self.array.len {
            true => Ok(start..end),
            false => Err(OutOfRange::new(start..end, self.array.len)),
        }
    }

    /// Declares the numbers whole again: a lock that was marked will not be when this guard is dropped.
    ///
    /// Does nothing to a guard of a lock that was not marked.
    pub fn mark_consistent(&mut self) {
        self.origin = None;
    }

    /// Whether the lock was marked, and [`mark_consistent`](ArrayGuard::mark_consistent) has not been called yet.
    #[must_use]
    pub fn is_marked(&self) -> bool {
        self.origin.is_some()
    }
}

impl<T: Scalar> Drop for ArrayGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let torn = panicking() && !self.unwinding;
        match self.origin {
            None if !torn => self.array.raw().unlock(),
            origin => self.array.raw().unlock_marked(origin),
        }
    }
}

impl<T: Scalar> fmt::Debug for ArrayGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers = (0..self.array.len).map(|at| T::peek(self.array.cell(at)));
        f.debug_list().entries(numbers).finish()
    }
}
