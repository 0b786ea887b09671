//! Putting: the four forms of `put`, many at once, and writing in place.

use std::time::{Duration, Instant};

use super::Queue;
use super::claim::Claim;
use super::core::Hold;
use super::error::{PutError, PutFault, PutTimeoutError, TryPutError};
use crate::message::{Bytes, Encode, Message, WriteError};
use crate::ring::{Fit, Words};
use crate::sys::clock::Deadline;

impl<T: Message> Queue<T> {
    /// Puts a message, waiting for room as long as it takes.
    ///
    /// Takes a value, a reference, a borrowed form or an archived value; see [`Encode`]. The bytes are written once,
    /// directly where the reader will read them.
    ///
    /// When this process dies before `put` returned, the message was either put or it was not; half of one is never
    /// seen by anybody, and the slot is usable again.
    ///
    /// # Errors
    ///
    /// [`PutError::Closed`] after [`close`](Queue::close), [`PutError::Disconnected`] when roles are used and every
    /// consumer is gone, [`PutError::NoSpace`] when the message is too long for a slot and shared memory is used up.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let queue = multiproc::Queue::new(4)?;
    /// queue.put(5u64)?;
    /// queue.put(&6)?;
    /// assert_eq!(queue.get_owned()? + queue.get_owned()?, 11);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "send")]
    #[doc(alias = "push")]
    #[inline]
    pub fn put<V: Encode<T>>(&self, value: V) -> Result<(), PutError> {
        self.put_by(value, Deadline::NEVER)
    }

    /// Puts a message if there is room now.
    ///
    /// # Errors
    ///
    /// [`TryPutError::Full`] when there is none, else as [`put`](Queue::put).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{Queue, TryPutError};
    ///
    /// let queue = Queue::<u8>::new(1)?;
    /// assert_eq!(queue.try_put(1), Ok(()));
    /// assert_eq!(queue.try_put(2), Err(TryPutError::Full));
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn try_put<V: Encode<T>>(&self, value: V) -> Result<(), TryPutError> {
        self.put_by(value, Deadline::NOW)
    }

    /// Puts a message, waiting for room until `timeout` has passed.
    ///
    /// # Errors
    ///
    /// [`PutTimeoutError::Timeout`] when the queue stayed full, else as [`put`](Queue::put).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{PutTimeoutError, Queue};
    /// use std::time::Duration;
    ///
    /// let queue = Queue::<u8>::new(1)?;
    /// queue.put(1)?;
    /// assert_eq!(queue.put_timeout(2, Duration::from_millis(5)), Err(PutTimeoutError::Timeout));
    /// # Ok(())
    /// # }
    /// ```
    pub fn put_timeout<V: Encode<T>>(
        &self,
        value: V,
        timeout: Duration,
    ) -> Result<(), PutTimeoutError> {
        self.put_by(value, Deadline::after(timeout))
    }

    /// Puts a message, waiting for room until `deadline`.
    ///
    /// # Errors
    ///
    /// As [`put_timeout`](Queue::put_timeout).
    pub fn put_deadline<V: Encode<T>>(
        &self,
        value: V,
        deadline: Instant,
    ) -> Result<(), PutTimeoutError> {
        self.put_by(value, Deadline::at(deadline))
    }

    /// Puts every message of an iterator, waiting for room as long as it takes, and says how many there were.
    ///
    /// # Errors
    ///
    /// As [`put`](Queue::put), for the first message that could not be put; those before it were.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let queue = multiproc::Queue::<u64>::new(16)?;
    /// assert_eq!(queue.put_many(0..10)?, 10);
    /// assert_eq!(queue.len(), 10);
    /// # Ok(())
    /// # }
    /// ```
    pub fn put_many<V: Encode<T>>(
        &self,
        values: impl IntoIterator<Item = V>,
    ) -> Result<usize, PutError> {
        let mut count = 0;
        for value in values {
            self.put(value)?;
            count += 1;
        }
        Ok(count)
    }

    #[inline(always)]
    pub(super) fn put_by<V: Encode<T>, E: From<PutFault>>(
        &self,
        value: V,
        deadline: Deadline,
    ) -> Result<(), E> {
        if Self::FIT == Fit::Any && value.guess() > self.core.inline() {
            return self.put_long(&value, deadline).map_err(E::from);
        }
        let words = self.core.words(Self::FIT);
        match self.core.claim_here(words) {
            Some(hold) => self.put_into(hold, words, &value).map_err(E::from),
            None => self.put_waiting(&value, deadline).map_err(E::from),
        }
    }

    #[inline(always)]
    fn put_into<V: Encode<T>>(
        &self,
        mut hold: Hold<'_>,
        words: Words<'_>,
        value: &V,
    ) -> Result<(), PutFault> {
        match value.encode(hold.room(words, Self::FIT)) {
            Ok(len) => hold.commit(words, len, Self::FIT),
            Err(error) => self.put_unfit(hold, value, error)?,
        }
        Ok(())
    }

    /// The place where the next free slot is likely to be is taken: look for it, and wait for it.
    #[cold]
    #[inline(never)]
    fn put_waiting<V: Encode<T>>(&self, value: &V, deadline: Deadline) -> Result<(), PutFault> {
        let hold = self.core.claim(deadline)?;
        self.put_into(hold, self.core.words(Self::FIT), value)
    }

    /// A message that turned out longer than its slot, which is claimed already.
    #[cold]
    fn put_unfit<V: Encode<T>>(
        &self,
        hold: Hold<'_>,
        value: &V,
        error: WriteError,
    ) -> Result<(), PutFault> {
        let WriteError::Overflow(needed) = error else {
            return Err(PutFault::Unwritable(error));
        };
        let mut spill = self.core.spill(needed)?;
        let len = value.encode(spill.room()).map_err(PutFault::Unwritable)?;
        hold.commit_spilled(spill, len);
        Ok(())
    }

    /// A message known to be long is written before a slot is claimed, so that nobody waits behind the writing.
    #[cold]
    fn put_long<V: Encode<T>>(&self, value: &V, deadline: Deadline) -> Result<(), PutFault> {
        let mut spill = self.core.spill(value.guess())?;
        let len = match value.encode(spill.room()) {
            Err(WriteError::Overflow(needed)) => {
                drop(spill);
                spill = self.core.spill(needed)?;
                value.encode(spill.room())
            }
            done => done,
        };
        let len = len.map_err(PutFault::Unwritable)?;
        self.core.claim(deadline)?.commit_spilled(spill, len);
        Ok(())
    }

    /// Claims the place of the next message, writes a first value there, and lets it be changed in place until it is
    /// [committed](Claim::commit); waits for room as long as it takes.
    ///
    /// Meant for message types of fixed size, which this checks at compile time. Messages that others put later wait
    /// behind an open claim, so hold it briefly. Dropped, the claim is given back and nothing was sent; so it is when
    /// the process dies.
    ///
    /// # Errors
    ///
    /// As [`put`](Queue::put).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let queue = multiproc::Queue::<[u32; 256]>::new(4)?;
    /// let mut table = queue.claim_value([0; 256])?;
    /// table[7] = 49.into();
    /// table.commit();
    /// assert_eq!(queue.get()?[7], 49);
    /// # Ok(())
    /// # }
    /// ```
    pub fn claim_value<V: Encode<T>>(&self, first: V) -> Result<Claim<'_, T>, PutError> {
        Ok(self.claim_value_by(first, Deadline::NEVER)?)
    }

    /// As [`claim_value`](Queue::claim_value), if there is room now.
    ///
    /// # Errors
    ///
    /// As [`try_put`](Queue::try_put).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{Queue, TryPutError};
    ///
    /// let queue = Queue::<[u8; 64]>::new(1)?;
    /// let claim = queue.try_claim_value([0; 64])?;
    /// assert_eq!(queue.try_claim_value([0; 64]).unwrap_err(), TryPutError::Full);
    /// claim.commit();
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_claim_value<V: Encode<T>>(&self, first: V) -> Result<Claim<'_, T>, TryPutError> {
        Ok(self.claim_value_by(first, Deadline::NOW)?)
    }

    /// As [`claim_value`](Queue::claim_value), until `timeout` has passed.
    ///
    /// # Errors
    ///
    /// As [`put_timeout`](Queue::put_timeout).
    pub fn claim_value_timeout<V: Encode<T>>(
        &self,
        first: V,
        timeout: Duration,
    ) -> Result<Claim<'_, T>, PutTimeoutError> {
        Ok(self.claim_value_by(first, Deadline::after(timeout))?)
    }

    /// As [`claim_value`](Queue::claim_value), until `deadline`.
    ///
    /// # Errors
    ///
    /// As [`put_timeout`](Queue::put_timeout).
    pub fn claim_value_deadline<V: Encode<T>>(
        &self,
        first: V,
        deadline: Instant,
    ) -> Result<Claim<'_, T>, PutTimeoutError> {
        Ok(self.claim_value_by(first, Deadline::at(deadline))?)
    }

    fn claim_value_by<V: Encode<T>>(
        &self,
        first: V,
        deadline: Deadline,
    ) -> Result<Claim<'_, T>, PutFault> {
        const {
            assert!(
                T::FIXED.is_some(),
                "claim_value needs a message type of fixed size"
            )
        };
        Claim::with_value(&self.core, first, deadline)
    }
}

impl Queue<Bytes> {
    /// Claims the place of a message of `len` bytes, to be filled in place and [committed](Claim::commit); waits for
    /// room as long as it takes.
    ///
    /// The bytes are zero or leftovers of earlier messages until they are written. Messages that others put later wait
    /// behind an open claim of a slot, so hold it briefly. Dropped, the claim is given back and nothing was sent; so it
    /// is when the process dies.
    ///
    /// # Errors
    ///
    /// As [`put`](Queue::put).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{Bytes, Queue};
    /// use std::io::Read;
    ///
    /// let queue = Queue::<Bytes>::new(4)?;
    /// let mut file = &b"the file's contents"[..];
    /// let mut claim = queue.claim(19)?;
    /// file.read_exact(&mut claim).expect("19 bytes are there");
    /// claim.commit();
    /// assert_eq!(&*queue.get()?, b"the file's contents");
    /// # Ok(())
    /// # }
    /// ```
    pub fn claim(&self, len: usize) -> Result<Claim<'_, Bytes>, PutError> {
        Ok(Claim::of_bytes(&self.core, len, Deadline::NEVER)?)
    }

    /// As [`claim`](Queue::claim), if there is room now.
    ///
    /// # Errors
    ///
    /// As [`try_put`](Queue::try_put).
    pub fn try_claim(&self, len: usize) -> Result<Claim<'_, Bytes>, TryPutError> {
        Ok(Claim::of_bytes(&self.core, len, Deadline::NOW)?)
    }

    /// As [`claim`](Queue::claim), until `timeout` has passed.
    ///
    /// # Errors
    ///
    /// As [`put_timeout`](Queue::put_timeout).
    pub fn claim_timeout(
        &self,
        len: usize,
        timeout: Duration,
    ) -> Result<Claim<'_, Bytes>, PutTimeoutError> {
        Ok(Claim::of_bytes(&self.core, len, Deadline::after(timeout))?)
    }

    /// As [`claim`](Queue::claim), until `deadline`.
    ///
    /// # Errors
    ///
    /// As [`put_timeout`](Queue::put_timeout).
    pub fn claim_deadline(
        &self,
        len: usize,
        deadline: Instant,
    ) -> Result<Claim<'_, Bytes>, PutTimeoutError> {
        Ok(Claim::of_bytes(&self.core, len, Deadline::at(deadline))?)
    }
}
