//! One end of a pipe: sends one way and receives the other.

use std::fmt;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use super::error::{
    RecvError, RecvIntoError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError,
    TrySendError,
};
use super::hold::{FITS_NOTHING, HeldReceiver, HeldSender, Hold};
use super::incoming::Incoming;
use super::outgoing::Outgoing;
use super::receiver::Receiver;
use super::sender::Sender;
use super::site::{Place, Site};
use super::ticket::Ticket;
use crate::Result;
use crate::message::{Bytes, Encode, Handle, Message, handle_message};
use crate::ring::spsc::Side;
use crate::sys::clock::Deadline;
use crate::tenancy::RawHandle;

/// One end of a [`Pipe`](crate::Pipe): sends messages of type `S` to the other end, and receives messages of type `R`
/// from it.
///
/// # What happens when a process is killed
///
/// | it was | the message |
/// |---|---|
/// | sending | was sent, or was never there |
/// | reading an [`Incoming`] | is received again by whoever [takes the end over](Connection::resume) |
/// | done: acknowledged it, or `recv_owned` returned | is gone, exactly once |
///
/// The other end receives everything that had been sent, and is then told which process died. It may go on with whoever
/// takes the end over.
///
/// # One thread at a time
///
/// A connection is `Send` and not `Sync`; [`split`](Connection::split) it to send in one thread and receive in another.
///
/// # Sending connections
///
/// A connection is a message: give it to a child as an argument, or send it through a queue or another pipe. It belongs to
/// whoever receives it, and answers [`Elsewhere`](SendError::Elsewhere) here from then on. As long as nobody has received
/// it, using it here takes it back. While an [`Incoming`] of its is in hand it stays where it is, and whoever receives such
/// a handle is told that the end is held.
///
/// # Waiting and cost
///
/// Every verb that may have to wait comes in four forms. Who has to wait spins for some microseconds, on a machine with
/// several processors, and then sleeps in the kernel; signals do not end a wait. Sending and receiving cost no system call
/// while nobody sleeps, no locked instruction, and no copy beyond building the value; a small message moves one cache line
/// from processor to processor.
///
/// # Examples
///
/// ```
/// use multiproc::{Connection, Pipe, Process};
///
/// fn double(connection: Connection<u64, u64>) -> multiproc::Result<()> {
///     while let Ok(number) = connection.recv_owned() {
///         connection.send(2 * number)?;
///     }
///     Ok(())
/// }
///
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// let (here, there) = Pipe::new()?;
/// let child = Process::spawn(double, (there,))?;
/// here.send(21)?;
/// assert_eq!(here.recv_owned()?, 42);
/// drop(here); // ends the loop there
/// child.join()?;
/// # Ok(())
/// # }
/// ```
pub struct Connection<S: Message, R: Message> {
    sender: Sender<S>,
    receiver: Receiver<R>,
}

impl<S: Message, R: Message> Connection<S, R> {
    pub(super) fn of_holds(sender: HeldSender<S>, receiver: HeldReceiver<R>) -> Self {
        Connection {
            sender: sender.into(),
            receiver: receiver.into(),
        }
    }

    pub(crate) fn receiver(&self) -> &Receiver<R> {
        &self.receiver
    }

    /// As [`send_deadline`](Connection::send_deadline), for who has the deadline as it is used.
    pub(crate) fn send_by<V: Encode<S>>(
        &self,
        value: V,
        deadline: Deadline,
    ) -> Result<(), SendTimeoutError> {
        self.sender.send_by(value, deadline)
    }

    /// As [`recv_owned_deadline`](Connection::recv_owned_deadline), likewise.
    pub(crate) fn recv_owned_by(&self, deadline: Deadline) -> Result<R, RecvTimeoutError> {
        self.receiver.owned_by(deadline)
    }

    /// Takes an offer of this end back; `false` if somebody has claimed all of it.
    pub(crate) fn reclaim(&self) -> bool {
        let sending = self.sender.hold.reclaim();
        self.receiver.hold.reclaim() || sending
    }

    /// A descriptor of the pipe for another process.
    pub(super) fn loan(&self) -> Result<OwnedFd> {
        self.sender.hold.site().loan()
    }

    /// Sends a message, waiting for room as long as it takes.
    ///
    /// Takes a value, a reference, a borrowed form or an archived value; see [`Encode`]. The bytes are written once,
    /// directly where the other end will read them.
    ///
    /// # Errors
    ///
    /// [`SendError::Disconnected`] when the other end was let go of, [`SendError::PeerDied`] when its holder was found
    /// dead, [`SendError::NoSpace`] when the message does not fit the ring and shared memory is used up,
    /// [`SendError::Elsewhere`] when this end was sent to another process.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{Pipe, SendError};
    ///
    /// let (a, b) = Pipe::<String, ()>::new()?;
    /// a.send("text")?;
    /// assert_eq!(&*b.recv()?, "text");
    /// drop(b);
    /// assert_eq!(a.send("nobody reads this"), Err(SendError::Disconnected));
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "put")]
    #[inline]
    pub fn send<V: Encode<S>>(&self, value: V) -> Result<(), SendError> {
        self.sender.send(value)
    }

    /// Sends a message if there is room now.
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`] when there is none, else as [`send`](Connection::send).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{Pipe, TrySendError};
    ///
    /// let (a, _b) = Pipe::<u64, ()>::builder().capacity(16).pair()?;
    /// assert_eq!(a.try_send(1), Ok(()));
    /// assert_eq!(a.try_send(2), Err(TrySendError::Full));
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn try_send<V: Encode<S>>(&self, value: V) -> Result<(), TrySendError> {
        self.sender.try_send(value)
    }

    /// Sends a message, waiting for room until `timeout` has passed.
    ///
    /// # Errors
    ///
    /// [`SendTimeoutError::Timeout`] when there was none, else as [`send`](Connection::send).
    pub fn send_timeout<V: Encode<S>>(
        &self,
        value: V,
        timeout: Duration,
    ) -> Result<(), SendTimeoutError> {
        self.sender.send_timeout(value, timeout)
    }

    /// Sends a message, waiting for room until `deadline`.
    ///
    /// # Errors
    ///
    /// As [`send_timeout`](Connection::send_timeout).
    pub fn send_deadline<V: Encode<S>>(
        &self,
        value: V,
        deadline: Instant,
    ) -> Result<(), SendTimeoutError> {
        self.sender.send_deadline(value, deadline)
    }

    /// Sends every message of an iterator, waiting for room as long as it takes, and says how many there were.
    ///
    /// # Errors
    ///
    /// As [`send`](Connection::send), for the first message that could not be sent; those before it were.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let (a, b) = multiproc::Pipe::<u64, ()>::new()?;
    /// assert_eq!(a.send_many(0..10)?, 10);
    /// assert_eq!(b.drain().count(), 10);
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn send_many<V: Encode<S>>(
        &self,
        values: impl IntoIterator<Item = V>,
    ) -> Result<usize, SendError> {
        self.sender.send_many(values)
    }

    /// Writes a first value where the next message will be read, and lets it be changed there until it is
    /// [committed](Outgoing::commit); see [`Sender::claim_value`].
    ///
    /// # Errors
    ///
    /// As [`send`](Connection::send).
    pub fn claim_value<V: Encode<S>>(&mut self, first: V) -> Result<Outgoing<'_, S>, SendError> {
        self.sender.claim_value(first)
    }

    /// Receives the next message in place, waiting as long as it takes.
    ///
    /// The guard derefs to the message's view; nothing is copied or unpacked. Dropping it acknowledges the message. Its
    /// place in the ring stays taken meanwhile; to keep the value use [`recv_owned`](Connection::recv_owned).
    ///
    /// # Errors
    ///
    /// [`RecvError::Disconnected`] when the other end was let go of and everything it had sent was received,
    /// [`RecvError::PeerDied`] when its holder died, and everything was received; [`RecvError::Elsewhere`] when this end
    /// was sent to another process.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{Pipe, RecvError};
    ///
    /// let (a, b) = Pipe::<Vec<String>, ()>::new()?;
    /// a.send(vec!["one".to_string(), "two".to_string()])?;
    /// drop(a);
    ///
    /// let words = b.recv()?;
    /// assert_eq!((words.len(), words[1].as_str()), (2, "two"));
    /// drop(words);
    /// assert_eq!(b.recv().unwrap_err(), RecvError::Disconnected);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "get")]
    #[inline]
    pub fn recv(&self) -> Result<Incoming<'_, R>, RecvError> {
        self.receiver.recv()
    }

    /// Receives the next message in place, if there is one now.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`] when there is none, else as [`recv`](Connection::recv).
    #[inline]
    pub fn try_recv(&self) -> Result<Incoming<'_, R>, TryRecvError> {
        self.receiver.try_recv()
    }

    /// Receives the next message in place, waiting until `timeout` has passed.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError::Timeout`] when none came, else as [`recv`](Connection::recv).
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Incoming<'_, R>, RecvTimeoutError> {
        self.receiver.recv_timeout(timeout)
    }

    /// Receives the next message in place, waiting until `deadline`.
    ///
    /// # Errors
    ///
    /// As [`recv_timeout`](Connection::recv_timeout).
    pub fn recv_deadline(&self, deadline: Instant) -> Result<Incoming<'_, R>, RecvTimeoutError> {
        self.receiver.recv_deadline(deadline)
    }

    /// Receives the next message as an ordinary value, waiting as long as it takes.
    ///
    /// The value is copied out of shared memory and the message acknowledged at once; handles in it are attached and ready
    /// for use.
    ///
    /// # Errors
    ///
    /// As [`recv`](Connection::recv); [`RecvError::Invalid`] also when a handle in the message cannot be attached.
    #[inline]
    pub fn recv_owned(&self) -> Result<R, RecvError> {
        self.receiver.recv_owned()
    }

    /// As [`recv_owned`](Connection::recv_owned), if there is a message now.
    ///
    /// # Errors
    ///
    /// As [`try_recv`](Connection::try_recv) and [`recv_owned`](Connection::recv_owned).
    #[inline]
    pub fn try_recv_owned(&self) -> Result<R, TryRecvError> {
        self.receiver.try_recv_owned()
    }

    /// As [`recv_owned`](Connection::recv_owned), until `timeout` has passed.
    ///
    /// # Errors
    ///
    /// As [`recv_timeout`](Connection::recv_timeout) and [`recv_owned`](Connection::recv_owned).
    pub fn recv_owned_timeout(&self, timeout: Duration) -> Result<R, RecvTimeoutError> {
        self.receiver.recv_owned_timeout(timeout)
    }

    /// As [`recv_owned`](Connection::recv_owned), until `deadline`.
    ///
    /// # Errors
    ///
    /// As [`recv_timeout`](Connection::recv_timeout) and [`recv_owned`](Connection::recv_owned).
    pub fn recv_owned_deadline(&self, deadline: Instant) -> Result<R, RecvTimeoutError> {
        self.receiver.recv_owned_deadline(deadline)
    }

    /// Whether [`recv`](Connection::recv) would not wait: a message is there, or there will be none. Waits for that until
    /// `timeout` has passed.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use std::time::Duration;
    ///
    /// let (a, b) = multiproc::Pipe::<u64, ()>::new()?;
    /// assert!(!b.poll(Duration::ZERO));
    /// a.send(1)?;
    /// assert!(b.poll(Duration::ZERO));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn poll(&self, timeout: Duration) -> bool {
        self.receiver.poll(timeout)
    }

    /// The messages until the pipe ends, waiting for each; see [`Receiver::iter`].
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = Incoming<'_, R>> {
        self.receiver.iter()
    }

    /// The messages that are there now; see [`Receiver::drain`].
    #[inline]
    pub fn drain(&self) -> impl Iterator<Item = Incoming<'_, R>> {
        self.receiver.drain()
    }

    /// The two halves, for threads or processes of their own.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let (a, b) = multiproc::Pipe::<u64, u64>::new()?;
    /// let (sender, receiver) = a.split();
    /// let feeding = std::thread::spawn(move || sender.send_many(0..100));
    /// for number in b.iter() {
    ///     b.send(number.to_native() + 1)?;
    /// }
    /// assert_eq!(receiver.drain().count(), 100);
    /// # let _ = feeding.join();
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn split(self) -> (Sender<S>, Receiver<R>) {
        (self.sender, self.receiver)
    }

    /// Whether the other end is gone, as far as anybody has noticed; messages of its may still be there.
    #[must_use]
    pub fn is_disconnected(&self) -> bool {
        self.receiver.is_disconnected() || self.sender.is_disconnected()
    }

    /// A ticket for this end: whoever has it can [`resume`](Connection::resume) the end should this process die.
    #[must_use]
    pub fn ticket(&self) -> Ticket<S, R> {
        Ticket::new(self.sender.hold.site(), self.sender.hold.lane())
    }

    /// A ticket for the other end, to start a successor should its process die.
    #[must_use]
    pub fn peer_ticket(&self) -> Ticket<R, S> {
        Ticket::new(self.sender.hold.site(), self.receiver.hold.lane())
    }

    /// Takes an end over from a process that died with it.
    ///
    /// Nothing that was sent is lost: the successor first receives what the dead one had not acknowledged, and sends behind
    /// what the dead one had sent. The other end goes on as if nothing had happened, also if it has been told of the death
    /// already. Of several that try, one gets it.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` while a living process has the end, `Closed` when the end, or a half of it, was let go of.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiproc::{Connection, Pipe, Process, RecvError};
    ///
    /// fn unlucky(connection: Connection<u64, String>) {
    ///     connection.send(1).unwrap();
    ///     let _job = connection.recv().unwrap();
    ///     std::process::abort(); // with the job in hand
    /// }
    ///
    /// # fn main() -> multiproc::Result<()> {
    /// # multiproc::init();
    /// let (here, there) = Pipe::<String, u64>::new()?;
    /// let ticket = here.peer_ticket();
    /// let child = Process::spawn(unlucky, (there,))?;
    /// here.send("a job")?;
    /// assert!(child.join().is_err());
    /// assert_eq!(here.recv_owned()?, 1);
    /// assert!(matches!(here.recv_owned(), Err(RecvError::PeerDied { .. })));
    ///
    /// let successor = Connection::resume(&ticket)?;
    /// assert_eq!(&*successor.recv()?, "a job");
    /// successor.send(2)?;
    /// assert_eq!(here.recv_owned()?, 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn resume(ticket: &Ticket<S, R>) -> Result<Self> {
        ticket.resume()
    }
}

impl<R: Message> Connection<Bytes, R> {
    /// Claims the place of a message of `len` bytes, to be filled in place and [committed](Outgoing::commit); waits for
    /// room as long as it takes. See [`Sender::claim`], and there its other forms.
    ///
    /// # Errors
    ///
    /// As [`send`](Connection::send).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{Bytes, Pipe};
    /// use std::io::Read;
    ///
    /// let (mut a, b) = Pipe::<Bytes, Bytes>::new()?;
    /// let mut file = &b"the file's contents"[..];
    /// let mut place = a.claim(19)?;
    /// file.read_exact(&mut place).expect("19 bytes are there");
    /// place.commit()?;
    /// assert_eq!(&*b.recv()?, b"the file's contents");
    /// # Ok(())
    /// # }
    /// ```
    #[inline(always)]
    pub fn claim(&mut self, len: usize) -> Result<Outgoing<'_, Bytes>, SendError> {
        self.sender.claim(len)
    }
}

impl<S: Message> Connection<S, Bytes> {
    /// Copies the next message into `buffer` and says how long it is, waiting as long as it takes.
    ///
    /// # Errors
    ///
    /// [`RecvIntoError::TooShort`] when the message is longer than the buffer; it is then still there.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{Bytes, Pipe, RecvIntoError};
    ///
    /// let (a, b) = Pipe::<Bytes, Bytes>::new()?;
    /// a.send(b"12345")?;
    /// let mut buffer = [0; 8];
    /// assert_eq!(b.recv_into(&mut buffer[..2]), Err(RecvIntoError::TooShort { needed: 5 }));
    /// assert_eq!(b.recv_into(&mut buffer), Ok(5));
    /// assert_eq!(&buffer[..5], b"12345");
    /// # Ok(())
    /// # }
    /// ```
    pub fn recv_into(&self, buffer: &mut [u8]) -> Result<usize, RecvIntoError> {
        self.receiver.recv_into(buffer)
    }
}

impl<S: Message, R: Message> Handle for Connection<S, R> {
    fn to_raw(&self) -> RawHandle {
        // The receiver first: with a message in hand neither half goes.
        let receiving = self.receiver.hold.offer();
        let sending = match receiving {
            FITS_NOTHING => FITS_NOTHING,
            _ => self.sender.hold.offer(),
        };
        let epochs = u32::from(sending) << 16 | u32::from(receiving);
        let site = self.sender.hold.site();
        site.handle(epochs, self.sender.hold.lane() as u16)
    }

    fn attach(raw: &RawHandle) -> Result<Self> {
        let site = Site::find(raw)?;
        let lane = usize::from(raw.generation) & 1;
        site.check_type::<S>(lane)?;
        site.check_type::<R>(1 - lane)?;
        let (sending, receiving) = ((raw.offset >> 16) as u16, raw.offset as u16);
        // Before anything is claimed: who has taken one half of his offer back must not lose the other.
        let second = Place {
            lane: 1 - lane,
            side: Side::Receiver,
        };
        site.may_claim(second, receiving)?;
        Ok(Connection::of_holds(
            Hold::claim(&site, lane, sending)?,
            Hold::claim(&site, 1 - lane, receiving)?,
        ))
    }
}

handle_message!([S: Message, R: Message] Connection<S, R>, "Connection", [S, R]);

impl<S: Message, R: Message> fmt::Debug for Connection<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection<{}, {}>", S::type_name(), R::type_name())
    }
}
