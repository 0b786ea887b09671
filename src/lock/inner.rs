//! What a condition and a reentrant lock ask of the lock in them.

use super::{Lock, LockGuard};
use crate::LockError;
use crate::message::{Plain, Room};
use crate::sync::{Owner, RawLock};
use crate::sys::identity::Oracle;

impl<T: Plain> Lock<T> {
    /// The lock without its data.
    #[inline]
    pub(crate) fn bare(&self) -> &RawLock {
        self.raw()
    }

    /// Where the data are; only who holds the lock may touch them.
    #[inline]
    pub(crate) fn room(&self) -> Room<T> {
        self.data
    }

    /// Takes the lock, marked or not.
    ///
    /// # Errors
    ///
    /// Those of [`recover`](Lock::recover).
    pub(crate) fn take_anyway(&self) -> Result<LockGuard<'_, T>, LockError> {
        match self.at_once() {
            Some(guard) => Ok(guard),
            None => self.recover(),
        }
    }

    /// Whether a dead process holds the lock, or held it last and nobody has mended the data since. May ask the kernel.
    pub(crate) fn is_orphaned(&self) -> bool {
        match self.raw().owner() {
            None => false,
            Some((_, true)) => true,
            Some((owner, false)) => {
                let dead = |who| !self.tenant().is_alive(who);
                owner.participant().is_some_and(dead)
            }
        }
    }

    /// The process id of a holder.
    pub(crate) fn pid(&self, owner: Owner) -> u32 {
        self.tenant().pid_of(owner)
    }
}
