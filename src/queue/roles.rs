//! The two ends of a queue, as roles whose holders are counted.

use std::fmt;
use std::time::{Duration, Instant};

use super::core::Part;
use super::error::{
    GetError, GetTimeoutError, PutError, PutTimeoutError, TryGetError, TryPutError,
};
use super::iter::{Iter, TryIter};
use super::{Claim, Lease, Queue, Received};
use crate::Result;
use crate::message::{Bytes, Encode, Handle, Message, handle_message};
use crate::ring::Role;
use crate::tenancy::{RawHandle, handover};

/// The right to put, counted: when the last one is gone, the consumers learn that nothing more will come.
///
/// Taken with [`Queue::producer`]. Once anybody took a producer role, readers get
/// [`GetError::Disconnected`](crate::GetError::Disconnected) as soon as the queue is drained and no living process holds
/// one any more, whether it was dropped or its process was killed. A plain [`Queue`] handle never counts.
///
/// Clones count as one more holder. Take the role in the parent and hand it to the children as an argument of
/// [`Process::spawn`](crate::Process::spawn): it does not lapse on the way. A role that is taken only after the last
/// other one ended comes too late for the consumers.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// use multiproc::{GetError, Queue};
///
/// let queue = Queue::<u64>::new(8)?;
/// let producer = queue.producer()?;
/// producer.put(1)?;
/// drop(producer);
///
/// assert_eq!(queue.get_owned()?, 1);                          // drained first
/// assert_eq!(queue.get().unwrap_err(), GetError::Disconnected);
/// # Ok(())
/// # }
/// ```
pub struct Producer<T: Message> {
    queue: Queue<T>,
    _part: Part,
}

/// The right to get, counted: when the last one is gone, the producers learn that nobody will read.
///
/// Taken with [`Queue::consumer`]. Once anybody took a consumer role, writers that would have to wait for room get
/// [`PutError::Disconnected`](crate::PutError::Disconnected) when no living process holds one any more. A plain
/// [`Queue`] handle never counts. Clones count as one more holder.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// use multiproc::{PutError, Queue};
///
/// let queue = Queue::<u64>::new(1)?;
/// let consumer = queue.consumer()?;
/// queue.put(1)?;
/// drop(consumer);
///
/// assert_eq!(queue.put(2), Err(PutError::Disconnected));      // full, and nobody will ever read
/// # Ok(())
/// # }
/// ```
pub struct Consumer<T: Message> {
    queue: Queue<T>,
    _part: Part,
}

impl<T: Message> Queue<T> {
    /// Takes a producer role; see [`Producer`].
    ///
    /// # Errors
    ///
    /// None at present; roles may need memory in the future.
    pub fn producer(&self) -> Result<Producer<T>> {
        Ok(Producer {
            queue: self.clone(),
            _part: Part::take(&self.core, Role::Producer),
        })
    }

    /// Takes a consumer role; see [`Consumer`].
    ///
    /// # Errors
    ///
    /// None at present; roles may need memory in the future.
    pub fn consumer(&self) -> Result<Consumer<T>> {
        Ok(Consumer {
            queue: self.clone(),
            _part: Part::take(&self.core, Role::Consumer),
        })
    }

    /// Whether any living process has a consumer role, this one included.
    pub(crate) fn has_consumer(&self) -> bool {
        self.core.tenant.any_live_with(Role::Consumer as usize)
    }
}

/// Verbs of the queue that a role passes on.
macro_rules! as_queue {
    ($(
        $(#[$meta:meta])*
        fn $verb:ident $([$($generics:tt)*])? (&self $(, $arg:ident : $ty:ty)*) -> $out:ty;
    )*) => { $(
        #[doc = concat!("As [`Queue::", stringify!($verb), "`].")]
        $(#[$meta])*
        #[inline]
        pub fn $verb $(<$($generics)*>)? (&self $(, $arg: $ty)*) -> $out {
            self.queue.$verb($($arg),*)
        }
    )* };
}

impl<T: Message> Producer<T> {
    as_queue! {
        /// # Errors
        ///
        /// As there.
        fn put[V: Encode<T>](&self, value: V) -> Result<(), PutError>;
        /// # Errors
        ///
        /// As there.
        fn try_put[V: Encode<T>](&self, value: V) -> Result<(), TryPutError>;
        /// # Errors
        ///
        /// As there.
        fn put_timeout[V: Encode<T>](&self, value: V, timeout: Duration) -> Result<(), PutTimeoutError>;
        /// # Errors
        ///
        /// As there.
        fn put_deadline[V: Encode<T>](&self, value: V, deadline: Instant) -> Result<(), PutTimeoutError>;
        /// # Errors
        ///
        /// As there.
        fn put_many[V: Encode<T>](&self, values: impl IntoIterator<Item = V>) -> Result<usize, PutError>;
        /// # Errors
        ///
        /// As there.
        fn claim_value[V: Encode<T>](&self, first: V) -> Result<Claim<'_, T>, PutError>;
        /// # Errors
        ///
        /// As there.
        fn try_claim_value[V: Encode<T>](&self, first: V) -> Result<Claim<'_, T>, TryPutError>;
        /// # Errors
        ///
        /// As there.
        fn claim_value_timeout[V: Encode<T>](&self, first: V, timeout: Duration) -> Result<Claim<'_, T>, PutTimeoutError>;
        /// # Errors
        ///
        /// As there.
        fn claim_value_deadline[V: Encode<T>](&self, first: V, deadline: Instant) -> Result<Claim<'_, T>, PutTimeoutError>;
    }

    /// The queue.
    #[must_use]
    pub fn queue(&self) -> &Queue<T> {
        &self.queue
    }
}

impl Producer<Bytes> {
    as_queue! {
        /// # Errors
        ///
        /// As there.
        fn claim(&self, len: usize) -> Result<Claim<'_, Bytes>, PutError>;
        /// # Errors
        ///
        /// As there.
        fn try_claim(&self, len: usize) -> Result<Claim<'_, Bytes>, TryPutError>;
        /// # Errors
        ///
        /// As there.
        fn claim_timeout(&self, len: usize, timeout: Duration) -> Result<Claim<'_, Bytes>, PutTimeoutError>;
        /// # Errors
        ///
        /// As there.
        fn claim_deadline(&self, len: usize, deadline: Instant) -> Result<Claim<'_, Bytes>, PutTimeoutError>;
    }
}

impl<T: Message> Consumer<T> {
    as_queue! {
        /// # Errors
        ///
        /// As there.
        fn get(&self) -> Result<Received<'_, T>, GetError>;
        /// # Errors
        ///
        /// As there.
        fn try_get(&self) -> Result<Received<'_, T>, TryGetError>;
        /// # Errors
        ///
        /// As there.
        fn get_timeout(&self, timeout: Duration) -> Result<Received<'_, T>, GetTimeoutError>;
        /// # Errors
        ///
        /// As there.
        fn get_deadline(&self, deadline: Instant) -> Result<Received<'_, T>, GetTimeoutError>;
        /// # Errors
        ///
        /// As there.
        fn get_owned(&self) -> Result<T, GetError>;
        /// # Errors
        ///
        /// As there.
        fn try_get_owned(&self) -> Result<T, TryGetError>;
        /// # Errors
        ///
        /// As there.
        fn get_owned_timeout(&self, timeout: Duration) -> Result<T, GetTimeoutError>;
        /// # Errors
        ///
        /// As there.
        fn get_owned_deadline(&self, deadline: Instant) -> Result<T, GetTimeoutError>;
        /// # Errors
        ///
        /// As there.
        fn lease(&self) -> Result<Lease<T>, GetError>;
        /// # Errors
        ///
        /// As there.
        fn try_lease(&self) -> Result<Lease<T>, TryGetError>;
        /// # Errors
        ///
        /// As there.
        fn lease_timeout(&self, timeout: Duration) -> Result<Lease<T>, GetTimeoutError>;
        /// # Errors
        ///
        /// As there.
        fn lease_deadline(&self, deadline: Instant) -> Result<Lease<T>, GetTimeoutError>;
        /// # Errors
        ///
        /// As there.
        fn get_many(&self, most: usize) -> Result<Vec<Received<'_, T>>, GetError>;
        fn iter(&self) -> Iter<'_, T>;
        fn try_iter(&self) -> TryIter<'_, T>;
    }

    /// As [`Queue::process`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn process<R, E: From<GetError>>(
        &self,
        work: impl FnOnce(&Lease<T>) -> Result<R, E>,
    ) -> Result<R, E> {
        self.queue.process(work)
    }

    /// The queue.
    #[must_use]
    pub fn queue(&self) -> &Queue<T> {
        &self.queue
    }
}

impl<'q, T: Message> IntoIterator for &'q Consumer<T> {
    type Item = Received<'q, T>;
    type IntoIter = Iter<'q, T>;

    fn into_iter(self) -> Iter<'q, T> {
        self.iter()
    }
}

impl<T: Message> Handle for Producer<T> {
    fn to_raw(&self) -> RawHandle {
        handover::note_role();
        self.queue.to_raw()
    }

    fn attach(raw: &RawHandle) -> Result<Self> {
        Queue::attach(raw)?.producer()
    }
}

impl<T: Message> Handle for Consumer<T> {
    fn to_raw(&self) -> RawHandle {
        handover::note_role();
        self.queue.to_raw()
    }

    fn attach(raw: &RawHandle) -> Result<Self> {
        Queue::attach(raw)?.consumer()
    }
}

handle_message!([T: Message] Producer<T>, "Producer", [T]);
handle_message!([T: Message] Consumer<T>, "Consumer", [T]);

impl<T: Message> Clone for Producer<T> {
    fn clone(&self) -> Self {
        Producer {
            queue: self.queue.clone(),
            _part: Part::take(&self.queue.core, Role::Producer),
        }
    }
}

impl<T: Message> Clone for Consumer<T> {
    fn clone(&self) -> Self {
        Consumer {
            queue: self.queue.clone(),
            _part: Part::take(&self.queue.core, Role::Consumer),
        }
    }
}

impl<T: Message> fmt::Debug for Producer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Producer").field(&self.queue).finish()
    }
}

impl<T: Message> fmt::Debug for Consumer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Consumer").field(&self.queue).finish()
    }
}
