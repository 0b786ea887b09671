//! Getting: in place, leased, or copied out.

use std::time::{Duration, Instant};

use super::Queue;
use super::error::{GetError, GetFault, GetTimeoutError, TryGetError};
use super::lease::Lease;
use super::received::Received;
use crate::message::Message;
use crate::sys::clock::Deadline;

impl<T: Message> Queue<T> {
    /// Takes the next message and reads it in place, waiting as long as it takes.
    ///
    /// The guard derefs to the message's view; nothing is copied or unpacked. Dropping it acknowledges the message,
    /// dropping it while the thread panics gives it back. Its slot stays occupied meanwhile, so for work that takes
    /// long use [`lease`](Queue::lease), and to keep the value [`get_owned`](Queue::get_owned).
    ///
    /// When this process dies holding the guard, the message is delivered again, to somebody else.
    ///
    /// # Errors
    ///
    /// [`GetError::Closed`] once the queue was closed and is drained; [`GetError::Disconnected`] once it is drained
    /// and every holder of a [`Producer`](crate::Producer) role is gone, if there ever was one.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let queue = multiproc::Queue::<Vec<String>>::new(4)?;
    /// queue.put(vec!["one".to_string(), "two".to_string()])?;
    ///
    /// let words = queue.get()?;
    /// assert_eq!(words.len(), 2);
    /// assert_eq!(words[1], "two");
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "recv")]
    #[doc(alias = "pop")]
    #[inline]
    pub fn get(&self) -> Result<Received<'_, T>, GetError> {
        self.get_by(Deadline::NEVER)
    }

    /// Takes the next message if there is one now; see [`get`](Queue::get).
    ///
    /// # Errors
    ///
    /// [`TryGetError::Empty`] when there is none, else as [`get`](Queue::get).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{Queue, TryGetError};
    ///
    /// let queue = Queue::<u64>::new(4)?;
    /// assert_eq!(queue.try_get().unwrap_err(), TryGetError::Empty);
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn try_get(&self) -> Result<Received<'_, T>, TryGetError> {
        self.get_by(Deadline::NOW)
    }

    /// Takes the next message, waiting until `timeout` has passed; see [`get`](Queue::get).
    ///
    /// # Errors
    ///
    /// [`GetTimeoutError::Timeout`] when none came in time, else as [`get`](Queue::get).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{GetTimeoutError, Queue};
    /// use std::time::Duration;
    ///
    /// let queue = Queue::<u64>::new(4)?;
    /// let late = queue.get_timeout(Duration::from_millis(5));
    /// assert_eq!(late.unwrap_err(), GetTimeoutError::Timeout);
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_timeout(&self, timeout: Duration) -> Result<Received<'_, T>, GetTimeoutError> {
        self.get_by(Deadline::after(timeout))
    }

    /// Takes the next message, waiting until `deadline`; see [`get`](Queue::get).
    ///
    /// # Errors
    ///
    /// As [`get_timeout`](Queue::get_timeout).
    pub fn get_deadline(&self, deadline: Instant) -> Result<Received<'_, T>, GetTimeoutError> {
        self.get_by(Deadline::at(deadline))
    }

    /// Takes the next message as an ordinary value, waiting as long as it takes.
    ///
    /// The value is copied out of shared memory and the message acknowledged at once: for values that are kept, put
    /// into other structures or moved to other threads, and for small ones such as numbers, where it costs nothing.
    /// Handles in the message (queues, locks) are attached and ready for use.
    ///
    /// When this process dies after `get_owned` returned, the message is gone with it: it was acknowledged.
    ///
    /// # Errors
    ///
    /// As [`get`](Queue::get); [`GetError::Invalid`] also when a handle in the message cannot be attached.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use std::collections::HashMap;
    ///
    /// let queue = multiproc::Queue::<HashMap<String, u64>>::new(4)?;
    /// queue.put(HashMap::from([("a".to_string(), 1)]))?;
    ///
    /// let mut map = queue.get_owned()?;
    /// map.insert("b".to_string(), 2);
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn get_owned(&self) -> Result<T, GetError> {
        self.owned_by(Deadline::NEVER)
    }

    /// As [`get_owned`](Queue::get_owned), if there is a message now.
    ///
    /// # Errors
    ///
    /// As [`try_get`](Queue::try_get) and [`get_owned`](Queue::get_owned).
    #[inline]
    pub fn try_get_owned(&self) -> Result<T, TryGetError> {
        self.owned_by(Deadline::NOW)
    }

    /// As [`get_owned`](Queue::get_owned), until `timeout` has passed.
    ///
    /// # Errors
    ///
    /// As [`get_timeout`](Queue::get_timeout) and [`get_owned`](Queue::get_owned).
    pub fn get_owned_timeout(&self, timeout: Duration) -> Result<T, GetTimeoutError> {
        self.owned_by(Deadline::after(timeout))
    }

    /// As [`get_owned`](Queue::get_owned), until `deadline`.
    ///
    /// # Errors
    ///
    /// As [`get_timeout`](Queue::get_timeout) and [`get_owned`](Queue::get_owned).
    pub fn get_owned_deadline(&self, deadline: Instant) -> Result<T, GetTimeoutError> {
        self.owned_by(Deadline::at(deadline))
    }

    /// Takes the next message out of its slot, for work that takes long; waits for one as long as it takes.
    ///
    /// The message moves into a lease record in shared memory, still readable in place, and its slot is free for
    /// the next one. The lease is `Send` and borrows nothing. [`ack`](Lease::ack) ends it; dropping it, or dying
    /// with it, gives the message back, to be delivered again.
    ///
    /// # Errors
    ///
    /// As [`get`](Queue::get).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let queue = multiproc::Queue::<String>::new(1)?;
    /// queue.put("a long job")?;
    ///
    /// let job = queue.lease()?;
    /// queue.put("the only slot is free again")?;
    /// assert_eq!(&*job, "a long job");
    /// assert_eq!(job.delivery_count(), 1);
    /// job.ack();
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn lease(&self) -> Result<Lease<T>, GetError> {
        self.lease_by(Deadline::NEVER)
    }

    /// As [`lease`](Queue::lease), if there is a message now.
    ///
    /// # Errors
    ///
    /// As [`try_get`](Queue::try_get).
    #[inline]
    pub fn try_lease(&self) -> Result<Lease<T>, TryGetError> {
        self.lease_by(Deadline::NOW)
    }

    /// As [`lease`](Queue::lease), until `timeout` has passed.
    ///
    /// # Errors
    ///
    /// As [`get_timeout`](Queue::get_timeout).
    pub fn lease_timeout(&self, timeout: Duration) -> Result<Lease<T>, GetTimeoutError> {
        self.lease_by(Deadline::after(timeout))
    }

    /// As [`lease`](Queue::lease), until `deadline`.
    ///
    /// # Errors
    ///
    /// As [`get_timeout`](Queue::get_timeout).
    pub fn lease_deadline(&self, deadline: Instant) -> Result<Lease<T>, GetTimeoutError> {
        self.lease_by(Deadline::at(deadline))
    }

    /// Leases the next message and works on it: acknowledged when `work` returns `Ok`, given back when it returns `Err`
    /// or panics.
    ///
    /// # Errors
    ///
    /// What `work` returned, or why no message could be leased.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{Error, ErrorKind, Queue};
    ///
    /// let queue = Queue::<String>::new(4)?;
    /// queue.put("7")?;
    /// queue.put("not a number")?;
    ///
    /// let parse = |text: &multiproc::Lease<String>| {
    ///     text.parse::<u32>().map_err(|e| Error::new(ErrorKind::Failed, e.to_string()))
    /// };
    /// assert_eq!(queue.process(parse)?, 7);
    /// assert!(queue.process(parse).is_err());
    /// assert_eq!(queue.lease()?.delivery_count(), 2);     // it came back
    /// # Ok(())
    /// # }
    /// ```
    pub fn process<R, E: From<GetError>>(
        &self,
        work: impl FnOnce(&Lease<T>) -> Result<R, E>,
    ) -> Result<R, E> {
        let lease = self.lease()?;
        let result = work(&lease)?;
        lease.ack();
        Ok(result)
    }

    /// Takes up to `most` messages, waiting for the first one only.
    ///
    /// # Errors
    ///
    /// As [`get`](Queue::get), for the first one.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let queue = multiproc::Queue::<u64>::new(16)?;
    /// queue.put_many(0..10)?;
    /// let sum: u64 = queue.get_many(8)?.iter().map(|m| m.to_native()).sum();
    /// assert_eq!(sum, 28);
    /// assert_eq!(queue.len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_many(&self, most: usize) -> Result<Vec<Received<'_, T>>, GetError> {
        let mut batch = Vec::with_capacity(most.min(self.capacity()));
        if most > 0 {
            batch.push(self.get()?);
        }
        while batch.len() < most {
            // Whatever ends the batch is met again, and reported, by the next call.
            let Ok(next) = self.try_get() else { break };
            batch.push(next);
        }
        Ok(batch)
    }

    /// Straight to the verb's own error: a result that is converted on its way is copied through memory.
    #[inline(always)]
    pub(super) fn get_by<E: From<GetFault>>(
        &self,
        deadline: Deadline,
    ) -> Result<Received<'_, T>, E> {
        let core = &*self.core;
        let words = core.words(Self::FIT);
        match core.ring.take_here(core.me(), words, Self::FIT) {
            Some(taken) => {
                let bytes = core.ring.fresh_payload(&taken, words, Self::FIT);
                Received::new(self, taken, bytes)
            }
            None => self.get_waiting(deadline).map_err(E::from),
        }
    }

    /// There is no message where the next one is likely to be: look for it, and wait for it.
    #[cold]
    #[inline(never)]
    fn get_waiting(&self, deadline: Deadline) -> Result<Received<'_, T>, GetFault> {
        let core = &*self.core;
        let taken = core.ring.take(core.me(), &*core.tenant, deadline)?;
        Received::new(self, taken, core.ring.payload(&taken))
    }

    #[inline(always)]
    pub(super) fn owned_by<E: From<GetFault>>(&self, deadline: Deadline) -> Result<T, E> {
        let received = self.get_by(deadline)?;
        match T::to_owned(&received) {
            Ok(value) => {
                received.ack();
                Ok(value)
            }
            Err(error) => {
                received.give_back();
                Err(GetFault::Invalid(error.into()).into())
            }
        }
    }

    #[inline(always)]
    pub(super) fn lease_by<E: From<GetFault>>(&self, deadline: Deadline) -> Result<Lease<T>, E> {
        Ok(self.get_by::<E>(deadline)?.detach())
    }
}
