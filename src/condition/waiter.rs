//! [`Waiter`]: a place in the queue of a condition, waited for together with other things.

use std::fmt;
use std::time::{Duration, Instant};

use super::{Condition, ConditionGuard};
use crate::Until;
use crate::lock::{LockError, LockGuard, LockTimeoutError, TryLockError};
use crate::message::Plain;
use crate::sync::Ticket;
use crate::tenancy::Tenant;
use crate::waiting::{Source, Spot};

/// A place in the queue of those who wait for a [`Condition`], for who waits for other things as well.
///
/// [`ConditionGuard::register`] gives it in exchange for the guard. It is [ready](crate::Waitable) once it was notified,
/// for [`wait_any`](crate::wait_any), for a [`Watch`](crate::Watch) and for an `Async` (feature `tokio`), which may each
/// come later than the notification. [`lock`](Waiter::lock) and its other forms take the lock again and leave the queue,
/// whether it was notified or not; a notification is used up only then. After that it is ready for good, and of no more
/// use than its condition.
///
/// A waiter that is dropped leaves the queue. If it had been notified and not taken the lock, the next waiter is notified
/// in its place.
///
/// It holds no lock, and may go to another thread. Notified and neither locked nor dropped, it keeps its notification from
/// the others.
///
/// # Waiting and cost
///
/// Registering costs an exchange, and so does notifying, as with every wait. Once it has been waited for and was not ready,
/// who notifies it pays two system calls: one asks whether this process lives, one wakes it. Up to 1,024 can wait for a
/// condition at once, registered or not.
///
/// # When a process dies
///
/// As with every wait for a [condition](Condition): the place of a dead process is nobody's, and a notification that it had
/// not used goes to the next, within 100 ms. A lock that the dead have left makes every waiter ready, also without a
/// notification: [`lock`](Waiter::lock) then says whose death it was, and [`Condition::recover`] takes it.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// use multiproc::{Condition, Event, Process, wait_any};
///
/// fn produce(stock: Condition<u32>, stop: Event) -> multiproc::Result<()> {
///     *stock.lock()? += 3;
///     stock.notify_one();
///     stop.set();
///     Ok(())
/// }
///
/// let (stock, stop) = (Condition::new(0_u32)?, Event::new()?);
/// let producer = Process::spawn(produce, (stock.clone(), stop.clone()))?;
/// let mut in_stock = stock.lock()?;
/// while *in_stock < 3 && !stop.is_set() {
///     let waiter = in_stock.register()?; // gives the lock up
///     wait_any(&[&waiter, &stop])?;
///     in_stock = waiter.lock()?;
/// }
/// assert_eq!(*in_stock, 3);
/// producer.join()
/// # }
/// ```
#[must_use = "a waiter that is dropped at once leaves the queue at once"]
pub struct Waiter<'a, T: Plain> {
    condition: &'a Condition<T>,
    ticket: Ticket,
}

impl<'a, T: Plain> Waiter<'a, T> {
    pub(super) fn new(condition: &'a Condition<T>, ticket: Ticket) -> Self {
        Waiter { condition, ticket }
    }

    /// Whether it was notified, and has not taken the lock since.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let ready = multiproc::Condition::new(false)?;
    /// let waiter = ready.lock()?.register()?;
    /// assert!(!waiter.is_notified());
    /// assert!(ready.notify_one());
    /// assert!(waiter.is_notified());
    /// let guard = waiter.lock()?;
    /// assert!(!waiter.is_notified() && !*guard);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_notified(&self) -> bool {
        self.condition.waiters().is_notified(self.ticket)
    }

    /// Waits for the lock and takes it, as [`Condition::lock`] does, and leaves the queue.
    ///
    /// # Errors
    ///
    /// As for [`Condition::lock`]. Nothing is held then, and the place is kept with its notification.
    pub fn lock(&self) -> Result<ConditionGuard<'a, T>, LockError> {
        self.taken(self.condition.lock.lock())
    }

    /// Takes the lock if it is free, and leaves the queue.
    ///
    /// # Errors
    ///
    /// As for [`Condition::try_lock`]. Nothing is held then, and the place is kept with its notification.
    pub fn try_lock(&self) -> Result<ConditionGuard<'a, T>, TryLockError> {
        self.taken(self.condition.lock.try_lock())
    }

    /// As [`lock`](Waiter::lock), for as long as `timeout`.
    ///
    /// # Errors
    ///
    /// As for [`Condition::lock_timeout`]. Nothing is held then, and the place is kept with its notification.
    pub fn lock_timeout(
        &self,
        timeout: Duration,
    ) -> Result<ConditionGuard<'a, T>, LockTimeoutError> {
        self.taken(self.condition.lock.lock_timeout(timeout))
    }

    /// As [`lock`](Waiter::lock), until `deadline`.
    ///
    /// # Errors
    ///
    /// As for [`lock_timeout`](Waiter::lock_timeout).
    pub fn lock_deadline(
        &self,
        deadline: Instant,
    ) -> Result<ConditionGuard<'a, T>, LockTimeoutError> {
        self.taken(self.condition.lock.lock_deadline(deadline))
    }

    /// As [`lock`](Waiter::lock), until a moment, or until another process has ended.
    ///
    /// # Errors
    ///
    /// As for [`Condition::lock_until`]. Nothing is held then, and the place is kept with its notification.
    pub fn lock_until(&self, until: Until<'_>) -> Result<ConditionGuard<'a, T>, LockTimeoutError> {
        self.taken(self.condition.lock.lock_until(until))
    }

    fn taken<E>(&self, taken: Result<LockGuard<'a, T>, E>) -> Result<ConditionGuard<'a, T>, E> {
        let held = taken?;
        // Until now the notification lay where others find it, should this process die before it has the lock.
        if self.is_mine() {
            self.condition.waiters().finish(self.ticket);
        }
        Ok(ConditionGuard::new(self.condition, held))
    }

    /// A forked child's copy is its parent's, also when the child has joined by itself.
    fn is_mine(&self) -> bool {
        let tenant = self.condition.home.tenant();
        self.ticket.who().is_some_and(|who| tenant.is_me(who))
    }
}

impl<T: Plain> Drop for Waiter<'_, T> {
    fn drop(&mut self) {
        let peers: &Tenant = self.condition.home.tenant();
        if self.is_mine() {
            self.condition.waiters().resign(self.ticket, peers);
        }
    }
}

impl<T: Plain> Source for Waiter<'_, T> {
    fn spot(&self) -> Option<Spot<'_>> {
        let word = self.condition.waiters().word(self.ticket);
        Some(Spot::new(self.condition.home.tenant(), word))
    }

    #[inline]
    fn is_ready(&self, _: u64) -> bool {
        self.condition.waiters().is_over(self.ticket)
    }

    fn announce(&self) -> bool {
        self.condition.waiters().watch(self.ticket);
        false
    }

    /// The dead may have been notified, or be the ones who would have notified.
    fn look_behind_the_dead(&self, begun: u64) -> bool {
        let peers: &Tenant = self.condition.home.tenant();
        self.condition.waiters().look_about(peers);
        self.is_ready(begun) || self.condition.lock.is_orphaned()
    }
}

impl<T: Plain> fmt::Debug for Waiter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiter")
            .field("condition", self.condition)
            .field("is_notified", &self.is_notified())
            .finish()
    }
}
