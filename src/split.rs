//! Floor 7: a queue between one process and one other, which is a pipe of one direction.

use std::fmt;

use crate::message::Message;
use crate::queue::OneToOne;
use crate::{Error, ErrorKind, Pipe, Queue, QueueBuilder, Receiver, Result, Sender};

impl<T: Message> QueueBuilder<T> {
    /// Makes a queue for one process that puts and one that gets, and gives its two ends: those of a pipe, which is the
    /// fastest way from one to one.
    ///
    /// At least [`capacity`](QueueBuilder::capacity) messages fit that are not acknowledged, at any time; where the
    /// receiver has not freed the room of others yet, or messages are shorter, more, by a seventh and a few. For types of
    /// varying size this holds for messages of up to [`message_size`](QueueBuilder::message_size) bytes. Longer ones take
    /// the room of several, or lie beside the ring in as many blocks as a pipe's sender keeps. Types of a fixed size too
    /// large for the ring lie beside it, all `capacity` of them: then it is this memory, which comes when it is first
    /// needed, that may be used up, and the sender waits for some.
    ///
    /// The verbs are `send` and `recv` and their kin; see [`Sender`] and [`Receiver`]. The ends can be given to other
    /// processes as arguments or in messages. When one is let go of, or its process killed, the other is told, a receiver
    /// after all that was sent; nobody takes the end of the dead over. Where that is needed, take a
    /// [`Pipe`] and its [tickets](crate::Connection::ticket), or the queue as it is.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a knob out of range, a name, or `max_deliveries`, neither of which the ends have; `NoSpace` when
    /// shared memory is used up.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiproc::{Process, Queue, Receiver};
    ///
    /// fn total(ticks: Receiver<u64>) -> u64 {
    ///     ticks.iter().map(|tick| tick.to_native()).sum()
    /// }
    ///
    /// # fn main() -> multiproc::Result<()> {
    /// # multiproc::init();
    /// let (tx, rx) = Queue::<u64>::builder().capacity(1 << 16).split()?;
    /// let child = Process::spawn(total, (rx,))?;
    /// tx.send_many(1..=100)?;
    /// drop(tx); // the end of the messages
    /// assert_eq!(child.join()?, 5050);
    /// # Ok(())
    /// # }
    /// ```
    pub fn split(self) -> Result<(Sender<T>, Receiver<T>)> {
        ends(self.one_to_one()?)
    }
}

impl<T: Message> Queue<T> {
    /// Replaces a queue that nobody else has by one for one process that puts and one that gets, with room for as many
    /// messages; see [`QueueBuilder::split`], which makes one at once.
    ///
    /// Never waits. Whoever attaches meanwhile to a handle of the queue that was sent somewhere finds it closed.
    ///
    /// # Errors
    ///
    /// [`SplitError`], of kind `InvalidInput` when there are other handles, roles or leases of the queue, in this or another
    /// process, when it has a name or a limit of deliveries, or anything in it; `Closed` when it was closed, `NoSpace` when
    /// shared memory is used up. The error has the queue, and all that is in it.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{ErrorKind, Queue};
    ///
    /// let (tx, rx) = Queue::<u64>::new(64)?.split()?;
    /// tx.send(7)?;
    /// assert_eq!(rx.recv_owned()?, 7);
    ///
    /// let queue = Queue::<u64>::new(64)?;
    /// queue.put(8)?;
    /// let refused = queue.split().unwrap_err();
    /// assert_eq!(refused.kind(), ErrorKind::InvalidInput); // it is not empty
    /// let queue = refused.into_queue();
    /// assert_eq!(queue.get_owned()?, 8);
    /// let (tx, rx) = queue.split()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn split(self) -> Result<(Sender<T>, Receiver<T>), SplitError<T>> {
        match self.one_to_one().and_then(ends) {
            Ok(ends) => {
                self.close();
                Ok(ends)
            }
            Err(error) => Err(SplitError { error, queue: self }),
        }
    }
}

/// The ends of a pipe that holds what the queue would have held.
fn ends<T: Message>(wanted: OneToOne) -> Result<(Sender<T>, Receiver<T>)> {
    Pipe::builder()
        .messages(wanted.capacity, wanted.message_size)
        .validation(wanted.validation)
        .mode(wanted.mode)
        .one_way()
}

/// Why a queue was not [split](Queue::split), and the queue, as it was. Converts into [`Error`].
pub struct SplitError<T: Message> {
    error: Error,
    queue: Queue<T>,
}

impl<T: Message> SplitError<T> {
    /// What kind of thing went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.error.kind()
    }

    /// The queue.
    #[must_use]
    pub fn into_queue(self) -> Queue<T> {
        self.queue
    }
}

impl<T: Message> fmt::Debug for SplitError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T: Message> fmt::Display for SplitError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T: Message> std::error::Error for SplitError<T> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

impl<T: Message> From<SplitError<T>> for Error {
    fn from(refused: SplitError<T>) -> Self {
        refused.error
    }
}
