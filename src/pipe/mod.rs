//! Floor 6: the pipe of typed messages between two processes.

mod builder;
mod connection;
mod error;
mod hold;
mod incoming;
mod messages;
mod outgoing;
mod receiver;
mod rendezvous;
mod sender;
mod site;
mod ticket;
mod watch;

pub use builder::PipeBuilder;
pub use connection::Connection;
pub use error::{
    RecvError, RecvIntoError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError,
    TrySendError,
};
pub use incoming::Incoming;
pub use outgoing::Outgoing;
pub use receiver::Receiver;
pub use rendezvous::{Listener, ListenerBuilder, Peer};
pub use sender::Sender;
pub use ticket::Ticket;

use std::marker::PhantomData;

use crate::Result;
use crate::message::Message;

/// A pipe between two processes: Python's `multiprocessing.Pipe` on shared memory.
///
/// `Pipe::new()` gives two [`Connection`]s. What the one sends the other receives, in order, exactly once; each direction
/// has one sender and one receiver, and for that is the fastest way from process to process that there is. For more than
/// one at an end there is the [`Queue`](crate::Queue).
///
/// # Examples
///
/// ```
/// use multiproc::{Connection, Pipe, Process};
///
/// fn sender(connection: Connection<String, ()>) -> multiproc::Result<()> {
///     Ok(connection.send("Hello from the sender!")?)
/// }
///
/// fn receiver(connection: Connection<(), String>) -> multiproc::Result<String> {
///     Ok(connection.recv_owned()?)
/// }
///
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// let (a, b) = Pipe::new()?;
/// let sending = Process::spawn(sender, (a,))?;
/// let receiving = Process::spawn(receiver, (b,))?;
/// assert_eq!(receiving.join()?, "Hello from the sender!");
/// sending.join()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Pipe<S: Message, R: Message> {
    messages: PhantomData<fn(S) -> R>,
}

impl<S: Message, R: Message> Pipe<S, R> {
    #[allow(
        clippy::new_ret_no_self,
        reason = "a pipe is its two ends; Python's name for making one"
    )]
    /// Makes a pipe, and gives its two ends: the first sends `S` and receives `R`, the second the other way round.
    ///
    /// # Errors
    ///
    /// `NoSpace` when shared memory is used up.
    pub fn new() -> Result<(Connection<S, R>, Connection<R, S>)> {
        Pipe::builder().pair()
    }

    /// The knobs: capacity, validation, memory; see [`PipeBuilder`].
    pub fn builder() -> PipeBuilder<S, R> {
        PipeBuilder::new()
    }
}

impl<T: Message> Pipe<T, ()> {
    /// Makes a pipe of one direction.
    ///
    /// # Errors
    ///
    /// `NoSpace` when shared memory is used up.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let (sender, receiver) = multiproc::Pipe::<u64, ()>::one_way()?;
    /// sender.send(7)?;
    /// assert_eq!(receiver.recv_owned()?, 7);
    /// # Ok(())
    /// # }
    /// ```
    pub fn one_way() -> Result<(Sender<T>, Receiver<T>)> {
        Pipe::builder().one_way()
    }
}
