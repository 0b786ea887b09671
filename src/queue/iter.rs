//! Messages one after the other.

use super::Queue;
use super::error::{GetError, TryGetError};
use super::received::Received;
use crate::message::Message;

/// The messages of a queue until it ends; made by [`Queue::iter`] and by `for message in &queue`.
///
/// Waits for each one. Ends once the queue is drained and either closed or without producers. A message that is not
/// valid is passed over.
#[derive(Debug)]
pub struct Iter<'q, T: Message> {
    pub(super) queue: &'q Queue<T>,
}

impl<'q, T: Message> Iterator for Iter<'q, T> {
    type Item = Received<'q, T>;

    fn next(&mut self) -> Option<Received<'q, T>> {
        loop {
            match self.queue.get() {
                Ok(message) => return Some(message),
                Err(GetError::Invalid(_)) => {}
                Err(_) => return None,
            }
        }
    }
}

/// The messages that are there now; made by [`Queue::try_iter`].
///
/// Never waits. A message that is not valid is passed over.
#[derive(Debug)]
pub struct TryIter<'q, T: Message> {
    pub(super) queue: &'q Queue<T>,
}

impl<'q, T: Message> Iterator for TryIter<'q, T> {
    type Item = Received<'q, T>;

    fn next(&mut self) -> Option<Received<'q, T>> {
        loop {
            match self.queue.try_get() {
                Ok(message) => return Some(message),
                Err(TryGetError::Invalid(_)) => {}
                Err(_) => return None,
            }
        }
    }
}

impl<T: Message> Queue<T> {
    /// The messages of the queue, waiting for each, until the queue ends; so does `for message in &queue`.
    ///
    /// Ends once the queue is drained and either [closed](Queue::close) or deserted by its producers' roles.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let queue = multiproc::Queue::<u64>::new(8)?;
    /// queue.put_many([1, 2, 3])?;
    /// queue.close();
    ///
    /// let mut sum = 0;
    /// for number in &queue {
    ///     sum += number.to_native();
    /// }
    /// assert_eq!(sum, 6);
    /// # Ok(())
    /// # }
    /// ```
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { queue: self }
    }

    /// The messages that are there now, without waiting for more.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let queue = multiproc::Queue::<u64>::new(8)?;
    /// queue.put_many([1, 2, 3])?;
    /// assert_eq!(queue.try_iter().count(), 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter { queue: self }
    }
}

impl<'q, T: Message> IntoIterator for &'q Queue<T> {
    type Item = Received<'q, T>;
    type IntoIter = Iter<'q, T>;

    fn into_iter(self) -> Iter<'q, T> {
        self.iter()
    }
}
