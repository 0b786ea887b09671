//! [`ConditionGuard`]: the right to the data of a condition, and to wait for them to change.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

use super::{Condition, ConditionError, ConditionTimeoutError, RegisterError, Waiter};
use crate::Until;
use crate::lock::LockGuard;
use crate::message::Plain;
use crate::sync::{Outcome, Ticket};
use crate::sys::until::Over;

/// The right to the data of a [`Condition`], and to wait for somebody to change them.
///
/// Dropping it gives the lock up. Dropping it in a panic marks the lock, as the holder's death does. It stays in its
/// thread.
///
/// Each wait gives the lock up while it lasts and has it again when it returns, error or not; only after
/// [`ConditionError::Invalid`] it is not held any more.
///
/// # Panics
///
/// Every use of the data panics after a wait has returned [`ConditionError::Invalid`]. Every wait panics in a child of
/// [`fork`](crate::process::fork()) that has its parent's guard, and so does [`register`](ConditionGuard::register).
#[must_use = "a guard that is dropped at once gives the lock up at once"]
pub struct ConditionGuard<'a, T: Plain> {
    condition: &'a Condition<T>,
    /// `None` during a wait, and after one that found data that are no value.
    held: Option<LockGuard<'a, T>>,
}

const GIVEN_UP: &str = "the lock was given up: its data are no value of their type";
const FORKED: &str = "the guard of a parent process, copied by a fork, holds nothing here";

impl<'a, T: Plain> ConditionGuard<'a, T> {
    pub(super) fn new(condition: &'a Condition<T>, held: LockGuard<'a, T>) -> Self {
        ConditionGuard {
            condition,
            held: Some(held),
        }
    }

    /// Gives the lock up, waits until this process is notified, and takes the lock again.
    ///
    /// It may return without a notification, after the death of another process. Who waits for something to become true
    /// looks again, or lets [`wait_while`](ConditionGuard::wait_while) do it.
    ///
    /// # Errors
    ///
    /// [`ConditionError::OwnerDied`] if the lock was marked, at once if it is marked already: the guard then is as one of
    /// [`Condition::recover`]. [`ConditionError::TooManyWaiters`], [`ConditionError::Invalid`].
    pub fn wait(&mut self) -> Result<(), ConditionError> {
        self.sleep(Until::forever())
            .map_err(ConditionTimeoutError::without_end)
    }

    /// As [`wait`](ConditionGuard::wait), for as long as `timeout`.
    ///
    /// The time bounds the wait for the notification. Taking the lock again afterwards lasts for as long as a living
    /// process holds it.
    ///
    /// # Errors
    ///
    /// [`ConditionTimeoutError::Timeout`] if no notification came in that time; the others as for
    /// [`wait`](ConditionGuard::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{Condition, ConditionTimeoutError};
    /// use std::time::Duration;
    ///
    /// let ready = Condition::new(false)?;
    /// let mut guard = ready.lock()?;
    /// let waited = guard.wait_timeout(Duration::from_millis(1));
    /// assert_eq!(waited, Err(ConditionTimeoutError::Timeout));
    /// *guard = true; // the lock is held again
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<(), ConditionTimeoutError> {
        self.sleep(Until::timeout(timeout))
    }

    /// As [`wait_timeout`](ConditionGuard::wait_timeout), until `deadline`.
    ///
    /// # Errors
    ///
    /// As [`wait_timeout`](ConditionGuard::wait_timeout).
    pub fn wait_deadline(&mut self, deadline: Instant) -> Result<(), ConditionTimeoutError> {
        self.sleep(Until::deadline(deadline))
    }

    /// As [`wait_timeout`](ConditionGuard::wait_timeout), until `until` is over.
    ///
    /// # Errors
    ///
    /// [`ConditionTimeoutError::Ended`] if the process that `until` names ended first; the others as for
    /// [`wait_timeout`](ConditionGuard::wait_timeout).
    pub fn wait_until(&mut self, until: Until<'_>) -> Result<(), ConditionTimeoutError> {
        self.sleep(until)
    }

    /// Waits as long as `condition` holds of the data, looking after each notification; does not wait if it does not hold.
    ///
    /// # Errors
    ///
    /// As [`wait`](ConditionGuard::wait). `condition` is not asked about data that may be half changed.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// # multiproc::init();
    /// use multiproc::{Condition, Process};
    ///
    /// fn produce(stock: Condition<u32>) -> multiproc::Result<()> {
    ///     for _ in 0..3 {
    ///         *stock.lock()? += 1;
    ///         stock.notify_one();
    ///     }
    ///     Ok(())
    /// }
    ///
    /// let stock = Condition::new(0)?;
    /// let producer = Process::spawn(produce, (stock.clone(),))?;
    /// for _ in 0..3 {
    ///     let mut in_stock = stock.lock()?;
    ///     in_stock.wait_while(|in_stock| *in_stock == 0)?;
    ///     *in_stock -= 1;
    /// }
    /// producer.join()
    /// # }
    /// ```
    pub fn wait_while(
        &mut self,
        condition: impl FnMut(&mut T) -> bool,
    ) -> Result<(), ConditionError> {
        self.sleep_while(Until::forever(), condition)
            .map_err(ConditionTimeoutError::without_end)
    }

    /// As [`wait_while`](ConditionGuard::wait_while), for as long as `timeout`, all waits together.
    ///
    /// # Errors
    ///
    /// [`ConditionTimeoutError::Timeout`] if `condition` still holds when the time has passed; the others as for
    /// [`wait`](ConditionGuard::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{Condition, ConditionTimeoutError};
    /// use std::time::Duration;
    ///
    /// let stock = Condition::new(1)?;
    /// let mut in_stock = stock.lock()?;
    /// let soon = Duration::from_millis(1);
    /// assert_eq!(in_stock.wait_while_timeout(soon, |in_stock| *in_stock == 0), Ok(()));
    /// *in_stock = 0;
    /// let empty = in_stock.wait_while_timeout(soon, |in_stock| *in_stock == 0);
    /// assert_eq!(empty, Err(ConditionTimeoutError::Timeout));
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_while_timeout(
        &mut self,
        timeout: Duration,
        condition: impl FnMut(&mut T) -> bool,
    ) -> Result<(), ConditionTimeoutError> {
        self.sleep_while(Until::timeout(timeout), condition)
    }

    /// As [`wait_while_timeout`](ConditionGuard::wait_while_timeout), until `deadline`.
    ///
    /// # Errors
    ///
    /// As [`wait_while_timeout`](ConditionGuard::wait_while_timeout).
    pub fn wait_while_deadline(
        &mut self,
        deadline: Instant,
        condition: impl FnMut(&mut T) -> bool,
    ) -> Result<(), ConditionTimeoutError> {
        self.sleep_while(Until::deadline(deadline), condition)
    }

    /// As [`wait_while_timeout`](ConditionGuard::wait_while_timeout), until `until` is over.
    ///
    /// # Errors
    ///
    /// [`ConditionTimeoutError::Ended`] if the process that `until` names ended first; the others as for
    /// [`wait_while_timeout`](ConditionGuard::wait_while_timeout).
    pub fn wait_while_until(
        &mut self,
        until: Until<'_>,
        condition: impl FnMut(&mut T) -> bool,
    ) -> Result<(), ConditionTimeoutError> {
        self.sleep_while(until, condition)
    }

    fn sleep_while(
        &mut self,
        until: Until<'_>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> Result<(), ConditionTimeoutError> {
        use ConditionTimeoutError::{Ended, Timeout};
        while condition(self) {
            match self.sleep(until) {
                Ok(()) => {}
                // What was waited for may have come in the last instant, without a notification.
                Err(over @ (Timeout | Ended)) => {
                    return if condition(self) { Err(over) } else { Ok(()) };
                }
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }

    /// Enters the queue of those who wait, and gives the lock up without waiting: the [`Waiter`] can be waited for together
    /// with other things, and takes the lock again.
    ///
    /// From here on it is as with [`wait`](ConditionGuard::wait): a notification that comes after the lock was given up is
    /// not missed, whenever it is looked for. See [`Waiter`] for an example.
    ///
    /// # Errors
    ///
    /// [`RegisterError::OwnerDied`] if the guard is marked, [`RegisterError::TooManyWaiters`]. In each case the lock has been
    /// given up.
    pub fn register(self) -> Result<Waiter<'a, T>, RegisterError> {
        if let Some(pid) = self.marker() {
            return Err(RegisterError::OwnerDied { pid });
        }
        let ticket = self.enter().ok_or(RegisterError::TooManyWaiters)?;
        Ok(Waiter::new(self.condition, ticket))
    }

    /// Puts this thread at the end of the queue, the lock still in hand.
    fn enter(&self) -> Option<Ticket> {
        assert!(self.condition.lock.bare().is_mine(), "{FORKED}");
        self.condition.enter()
    }

    fn sleep(&mut self, until: Until<'_>) -> Result<(), ConditionTimeoutError> {
        self.refuse_marked()?;
        let condition = self.condition;
        let ticket = self.enter().ok_or(ConditionTimeoutError::TooManyWaiters)?;
        self.held = None; // gives the lock up
        let outcome = condition.wait(ticket, until);
        self.take_again(outcome, ticket)?;
        self.refuse_marked()?;
        match outcome {
            Outcome::Over(Over::TimedOut) => Err(ConditionTimeoutError::Timeout),
            Outcome::Over(Over::Ended) => Err(ConditionTimeoutError::Ended),
            // Somebody else was faster to mend what the dead left: as good as a notification.
            Outcome::Notified | Outcome::Orphaned => Ok(()),
        }
    }

    fn take_again(
        &mut self,
        outcome: Outcome,
        ticket: Ticket,
    ) -> Result<(), ConditionTimeoutError> {
        let taken = self.condition.lock.take_anyway();
        // Until now the notification lay where others find it, should this process die before it has the lock.
        if outcome == Outcome::Notified {
            self.condition.waiters().leave(ticket);
        }
        let held = taken.map_err(|_| ConditionTimeoutError::Invalid)?;
        self.condition.tell_of_mark(&held);
        self.held = Some(held);
        Ok(())
    }

    /// A marked lock cannot be given up as if the data were whole.
    fn refuse_marked(&self) -> Result<(), ConditionTimeoutError> {
        match self.marker() {
            None => Ok(()),
            Some(pid) => Err(ConditionTimeoutError::OwnerDied { pid }),
        }
    }

    /// Whose death or panic marked the lock.
    fn marker(&self) -> Option<u32> {
        let owner = self.held().marked_by();
        owner.map(|owner| self.condition.lock.pid(owner))
    }

    /// Declares the data whole again: a lock that was marked will not be when this guard is dropped, and waits go on.
    ///
    /// Does nothing to a guard of a lock that was not marked.
    pub fn mark_consistent(&mut self) {
        self.held.as_mut().expect(GIVEN_UP).mark_consistent();
    }

    /// Whether the lock was marked, and [`mark_consistent`](ConditionGuard::mark_consistent) has not been called since.
    #[must_use]
    pub fn is_marked(&self) -> bool {
        self.held().is_marked()
    }

    #[inline]
    fn held(&self) -> &LockGuard<'a, T> {
        self.held.as_ref().expect(GIVEN_UP)
    }
}

impl<T: Plain> Deref for ConditionGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.held()
    }
}

impl<T: Plain> DerefMut for ConditionGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        self.held.as_mut().expect(GIVEN_UP)
    }
}

impl<T: Plain + fmt::Debug> fmt::Debug for ConditionGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.held, f)
    }
}

impl<T: Plain + fmt::Display> fmt::Display for ConditionGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}
