//! [`Permit`] and [`Permits`]: what a process holds of a bounded semaphore.

use std::fmt;

use super::BoundedSemaphore;
use crate::sys::identity::Participant;

/// A permit of a [`BoundedSemaphore`]; dropping it gives it back.
///
/// It is its process's: any thread may drop it. Forgotten, it is so until the process ends.
#[must_use = "a permit that is dropped at once is given back at once"]
pub struct Permit<'a> {
    semaphore: &'a BoundedSemaphore,
    owner: Participant,
    index: u32,
}

impl<'a> Permit<'a> {
    #[inline]
    pub(super) fn new(semaphore: &'a BoundedSemaphore, owner: Participant, index: u32) -> Self {
        Permit {
            semaphore,
            owner,
            index,
        }
    }

    /// Makes the permit nobody's: this process's death does not give it back, [`release`](BoundedSemaphore::release) does,
    /// called by anybody.
    ///
    /// Does nothing in a forked child with a permit of its parent.
    pub fn leak(self) {
        if self.semaphore.is_ours(self.owner) {
            self.semaphore.leak(self.index);
        }
        std::mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.semaphore.is_ours(self.owner) {
            self.semaphore.give_back(self.index);
        }
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}

/// Several permits of a [`BoundedSemaphore`], taken together; dropping them gives all back.
///
/// They are their process's, as a [`Permit`] is.
#[must_use = "permits that are dropped at once are given back at once"]
pub struct Permits<'a> {
    semaphore: &'a BoundedSemaphore,
    owner: Participant,
    taken: Vec<u32>,
}

impl<'a> Permits<'a> {
    pub(super) fn new(
        semaphore: &'a BoundedSemaphore,
        owner: Participant,
        taken: Vec<u32>,
    ) -> Self {
        Permits {
            semaphore,
            owner,
            taken,
        }
    }

    /// How many they are.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.taken.len() as u32
    }

    /// Makes all of them nobody's; see [`Permit::leak`].
    pub fn leak(mut self) {
        let taken = std::mem::take(&mut self.taken);
        if self.semaphore.is_ours(self.owner) {
            taken.iter().for_each(|&index| self.semaphore.leak(index));
        }
    }
}

impl Drop for Permits<'_> {
    fn drop(&mut self) {
        if self.semaphore.is_ours(self.owner) {
            self.semaphore.give_all_back(&self.taken);
        }
    }
}

impl fmt::Debug for Permits<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permits")
            .field("count", &self.count())
            .finish_non_exhaustive()
    }
}
