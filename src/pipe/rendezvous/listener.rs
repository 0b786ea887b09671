//! The name under which others connect.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::builder::ListenerBuilder;
use super::lobby::Lobby;
use super::peer::Peer;
use super::visitor::Terms;
use crate::message::Message;
use crate::pipe::Connection;
use crate::sys::atfork;
use crate::sys::clock::Deadline;
use crate::sys::poll::wait;
use crate::sys::poller::Poller;
use crate::tenancy::Tenant;
use crate::{Error, ErrorKind, Result};

/// A name under which other programs of this user connect to this one: Python's `multiprocessing.connection.Listener`.
///
/// Each [`accept`](Listener::accept) gives a [`Connection`] that sends `S` and receives `R`; whoever connected has the
/// opposite, a `Connection<R, S>`, from [`Connection::connect`]. The two need not be related. They meet at a socket, which
/// tells each who the other is and hands the pipe over; what they then send goes through shared memory only.
///
/// # Who connects
///
/// Processes of the same user; others are refused, as are those that send or receive something else. Both sides are told:
/// `accept` returns an error that says who it was and why he was refused, and *the listener goes on*, so that such an error
/// is no reason to end. Who is killed, says nothing, or says what nobody can make sense of, is dropped and not reported.
///
/// Any number may connect at a time, and nobody is held up by another that is slow, stopped, or silent. There is no thread
/// behind it: whoever connects waits until `accept` is called.
///
/// # When the listener ends
///
/// Dropping it removes the name, and whoever waits to be accepted is told. Connections that were accepted go on. If it is
/// killed, the name stays, leads nowhere, and is taken over by the next who binds it, or removed by [`gc`](crate::gc). A child
/// of `fork` has no part in its parent's listener: its verbs return `Gone` there.
///
/// It is `Send` and not `Sync`: one thread accepts at a time.
///
/// # Examples
///
/// ```
/// use multiproc::{Connection, Listener, Process};
///
/// // In another program, the name would be a constant of both.
/// fn client(name: String) -> multiproc::Result<u64> {
///     let server = Connection::<String, u64>::connect(name)?;
///     server.send("how long is this?")?;
///     Ok(server.recv_owned()?)
/// }
///
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// let name = format!("lengths-{}", std::process::id());
/// let listener = Listener::<u64, String>::bind(&name)?;
/// let child = Process::spawn(client, (name,))?;
///
/// let connection = listener.accept()?;
/// let length = connection.recv()?.len();
/// connection.send(length as u64)?;
/// assert_eq!(child.join()?, 17);
/// # Ok(())
/// # }
/// ```
pub struct Listener<S: Message, R: Message> {
    _tenant: Arc<Tenant>, // first: the name goes before those who wait are turned away
    lobby: RefCell<Lobby<S, R>>,
    poller: Arc<Poller>,
    terms: Terms<S, R>,
    last: Cell<Option<Peer>>,
    /// The count of forks under which it is this process's.
    era: u32,
}

impl<S: Message, R: Message> Listener<S, R> {
    pub(super) fn new(tenant: Arc<Tenant>, lobby: Lobby<S, R>, terms: Terms<S, R>) -> Self {
        Listener {
            _tenant: tenant,
            poller: Arc::clone(lobby.poller()),
            lobby: RefCell::new(lobby),
            terms,
            last: Cell::new(None),
            era: atfork::forks(),
        }
    }

    /// Listens under this name, which nothing else may have.
    ///
    /// # Errors
    ///
    /// As [`ListenerBuilder::bind`]; above all `AlreadyExists` while anything of that name lives.
    pub fn bind(name: impl Into<String>) -> Result<Self> {
        Listener::builder().bind(name)
    }

    /// The knobs: what pipes are like, who may connect, how many may wait; see [`ListenerBuilder`].
    pub fn builder() -> ListenerBuilder<S, R> {
        ListenerBuilder::new()
    }

    /// The next connection, waiting for one as long as it takes.
    ///
    /// # Errors
    ///
    /// `PermissionDenied`, `WrongType`, `WrongVersion`: whoever connected was refused, and told why; `NoSpace` or `Os`: no
    /// pipe could be made for him. The listener goes on. `Gone` in a forked child.
    pub fn accept(&self) -> Result<Connection<S, R>> {
        self.accept_by(Deadline::NEVER)
    }

    /// The next connection, if somebody has connected; `None` if nobody has.
    ///
    /// When the listener's descriptor is readable, call it until it gives `None`.
    ///
    /// # Errors
    ///
    /// As [`accept`](Listener::accept).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::Listener;
    ///
    /// let listener = Listener::<u64, u64>::bind(format!("quiet-{}", std::process::id()))?;
    /// assert!(listener.try_accept()?.is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_accept(&self) -> Result<Option<Connection<S, R>>> {
        self.look_until(Deadline::NOW)
    }

    /// The next connection, waiting until `timeout` has passed.
    ///
    /// # Errors
    ///
    /// `Timeout` when nobody has connected, else as [`accept`](Listener::accept).
    pub fn accept_timeout(&self, timeout: Duration) -> Result<Connection<S, R>> {
        self.accept_by(Deadline::after(timeout))
    }

    /// The next connection, waiting until `deadline`.
    ///
    /// # Errors
    ///
    /// As [`accept_timeout`](Listener::accept_timeout).
    pub fn accept_deadline(&self, deadline: Instant) -> Result<Connection<S, R>> {
        self.accept_by(Deadline::at(deadline))
    }

    /// One connection after the other, without end.
    ///
    /// # Errors
    ///
    /// Each as [`accept`](Listener::accept): whoever was refused is an error among the connections.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> multiproc::Result<()> {
    /// let listener = multiproc::Listener::<String, String>::bind("echo")?;
    /// for connection in listener.incoming() {
    ///     match connection {
    ///         Ok(connection) => {
    ///             std::thread::spawn(move || {
    ///                 while let Ok(text) = connection.recv_owned() {
    ///                     let _ = connection.send(text);
    ///                 }
    ///             });
    ///         }
    ///         Err(refused) => eprintln!("{refused}"),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn incoming(&self) -> impl Iterator<Item = Result<Connection<S, R>>> {
        std::iter::repeat_with(|| self.accept())
    }

    /// Who made the connection that was accepted last.
    #[must_use]
    pub fn last_accepted(&self) -> Option<Peer> {
        self.last.get()
    }

    /// The name under which others connect.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.terms.name
    }

    fn accept_by(&self, deadline: Deadline) -> Result<Connection<S, R>> {
        let found = self.look_until(deadline)?;
        found.ok_or_else(|| {
            let text = format!(
                "nobody has connected to {} until the time had passed",
                self.name()
            );
            Error::new(ErrorKind::Timeout, text)
        })
    }

    fn look_until(&self, deadline: Deadline) -> Result<Option<Connection<S, R>>> {
        if self.era != atfork::forks() {
            let text = format!(
                "the process that listens as {} was forked, and this is the child",
                self.name()
            );
            return Err(Error::new(ErrorKind::Gone, text));
        }
        loop {
            if let Some((connection, peer)) = self.lobby.borrow_mut().turn(&self.terms)? {
                self.last.set(Some(peer));
                return Ok(Some(connection));
            }
            let ready = wait(self.poller.as_fd(), deadline);
            if !ready.map_err(|cause| Error::os("cannot wait for connections", cause))? {
                return Ok(None);
            }
        }
    }
}

/// Readable when [`try_accept`](Listener::try_accept) may have something to do: for `poll` and `epoll`.
impl<S: Message, R: Message> AsFd for Listener<S, R> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }
}

impl<S: Message, R: Message> fmt::Debug for Listener<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sent, received) = (S::type_name(), R::type_name());
        write!(f, "Listener<{sent}, {received}>({})", self.name())
    }
}
