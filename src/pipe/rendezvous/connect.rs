//! Connecting to a name.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use super::wire::{self, Answer, LONGEST, Unreadable, VERSION, Ways};
use crate::message::{Handle, Message};
use crate::pipe::Connection;
use crate::segment::name::{Directory, Name};
use crate::segment::{Expect, Kind, Segment};
use crate::sys::clock::{Deadline, WATCHFUL, now_ns};
use crate::sys::fd::{recv_fds, send_fds};
use crate::sys::identity::user;
use crate::sys::poll::wait;
use crate::sys::private::Private;
use crate::sys::socket;
use crate::tenancy::{RawHandle, handle};
use crate::{Error, ErrorKind, Result};

impl<S: Message, R: Message> Connection<S, R> {
    /// Connects to the program that listens under this name, waiting as long as it takes until that accepts: Python's
    /// `multiprocessing.connection.Client`. See [`Listener`](crate::Listener).
    ///
    /// # Errors
    ///
    /// `NotFound` when nobody listens there, be it that nothing has the name or that the listener was killed;
    /// `Disconnected` when the listener ended before it accepted; `PermissionDenied` when it, or this process, belongs to
    /// another user than it should; `WrongType` when it sends or receives something else, or the name is not a listener's;
    /// `WrongVersion`; `NoSpace` when shared memory is used up.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiproc::{Connection, ErrorKind};
    ///
    /// let nobody = Connection::<u64, u64>::connect("nobody-listens-here");
    /// assert_eq!(nobody.unwrap_err().kind(), ErrorKind::NotFound);
    /// ```
    pub fn connect(name: impl Into<String>) -> Result<Self> {
        let place = Place::new(name.into())?;
        place.connect(Deadline::NEVER)
    }

    /// Connects to the program that listens under this name, waiting until `timeout` has passed: first for somebody to
    /// listen there, looking at least 14 times a second, then until that accepts.
    ///
    /// # Errors
    ///
    /// `Timeout` when nobody was there or nobody accepted; else as [`connect`](Connection::connect) but `NotFound`.
    pub fn connect_timeout(name: impl Into<String>, timeout: Duration) -> Result<Self> {
        Place::new(name.into())?.connect_once_there(Deadline::after(timeout))
    }

    /// Connects to the program that listens under this name, waiting until `deadline`.
    ///
    /// # Errors
    ///
    /// As [`connect_timeout`](Connection::connect_timeout).
    pub fn connect_deadline(name: impl Into<String>, deadline: Instant) -> Result<Self> {
        Place::new(name.into())?.connect_once_there(Deadline::at(deadline))
    }
}

/// Where somebody is to listen.
#[derive(Debug)]
struct Place {
    directory: Directory,
    name: Name,
}

impl Place {
    fn new(name: String) -> Result<Self> {
        Ok(Place {
            name: Name::parse(&name)?,
            directory: Directory::of_user()?,
        })
    }

    /// Connects to who listens now.
    fn connect<S: Message, R: Message>(&self, deadline: Deadline) -> Result<Connection<S, R>> {
        loop {
            let socket = Private::from(self.reach(deadline)?);
            if let Some(connection) = self.converse(socket.as_fd(), deadline)? {
                return Ok(connection);
            }
            if deadline.expired() {
                return Err(self.late());
            }
        }
    }

    /// The same, waiting for somebody to listen.
    fn connect_once_there<S: Message, R: Message>(
        &self,
        deadline: Deadline,
    ) -> Result<Connection<S, R>> {
        let begin = now_ns();
        loop {
            let absent = match self.connect(deadline) {
                Err(absent) if absent.kind() == ErrorKind::NotFound => absent,
                done => return done,
            };
            if deadline.expired() {
                return Err(self.late().with_source(absent));
            }
            let quiet = Duration::from_nanos(now_ns() - begin) / 4;
            let slice = deadline.min_slice(quiet.clamp(Duration::from_millis(1), WATCHFUL));
            // Nothing wakes who waits for a name, so he looks again: soon at first, then less often.
            std::thread::sleep(slice.remaining().unwrap_or_default());
        }
    }

    #[cold]
    fn late(&self) -> Error {
        let text = format!(
            "nobody has accepted a connection to {} until the time had passed",
            self.name
        );
        Error::new(ErrorKind::Timeout, text)
    }

    /// A socket whose other end is the listener, or waits for it.
    fn reach(&self, deadline: Deadline) -> Result<OwnedFd> {
        loop {
            let file = self.directory.open(&self.name)?;
            let nameplate = Segment::open(file, Some(&Expect::any(Kind::Listener)))
                .map_err(|error| self.earlier_boot_is_nobody(error))?;
            let file = Directory::socket_of(nameplate.id());
            let cause = match socket::connect(self.directory.path(), &file, deadline) {
                Ok(socket) => return self.checked(socket),
                Err(cause) => cause,
            };
            match cause.kind() {
                io::ErrorKind::TimedOut => return Err(self.late()),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {}
                _ => {
                    let what = format!("cannot connect to {}", self.name);
                    return Err(Error::os(what, cause));
                }
            }
            if self.directory.names(&self.name, nameplate.fd()) {
                return Err(self.stale());
            }
            // It has ended meanwhile: look what the name means now. Each round, somebody else has made progress.
        }
    }

    fn earlier_boot_is_nobody(&self, error: Error) -> Error {
        match error.kind() {
            ErrorKind::Gone => self.stale().with_source(error),
            _ => error,
        }
    }

    #[cold]
    fn stale(&self) -> Error {
        let text = format!(
            "nobody listens as {} any more: the process that did was killed and left the name, which the next to bind it \
             takes over",
            self.name
        );
        Error::new(ErrorKind::NotFound, text)
    }

    /// Refuses a listener of another user.
    fn checked(&self, socket: OwnedFd) -> Result<OwnedFd> {
        let peer = socket::credentials(socket.as_fd())
            .map_err(|cause| Error::os("cannot tell who listens", cause))?;
        if peer.uid == user() {
            return Ok(socket);
        }
        let text = format!(
            "process {} of user {} listens as {}, and this process is user {}'s",
            peer.pid,
            peer.uid,
            self.name,
            user()
        );
        Err(Error::new(ErrorKind::PermissionDenied, text))
    }

    /// Says who this is, and gets an end of a pipe; `None` if it took too long.
    fn converse<S: Message, R: Message>(
        &self,
        socket: BorrowedFd<'_>,
        deadline: Deadline,
    ) -> Result<Option<Connection<S, R>>> {
        // Whoever does not want to hear it has left an answer.
        let _ = send_fds(socket, &Ways::of::<S, R>().to_bytes(), &[]);
        let (answer, file) = self.answer(socket, deadline)?;
        let raw = match answer {
            Answer::Welcome(raw) => raw,
            Answer::Again => return Ok(None),
            Answer::Refused(why) => return Err(why),
        };
        match attach(&raw, file) {
            Ok(connection) => {
                let _ = send_fds(socket, &wire::taken(), &[]); // the claim is what counts
                Ok(Some(connection))
            }
            Err(late) if is_lateness(&late) => match self.answer(socket, deadline)?.0 {
                Answer::Again => Ok(None),
                _ => Err(late),
            },
            Err(why) => Err(why),
        }
    }

    fn answer(
        &self,
        socket: BorrowedFd<'_>,
        deadline: Deadline,
    ) -> Result<(Answer, Option<OwnedFd>)> {
        let what = || format!("cannot hear from the listener {}", self.name);
        if !wait(socket, deadline).map_err(|cause| Error::os(what(), cause))? {
            return Err(self.late());
        }
        let mut packet = [0; LONGEST];
        // Closing with something unheard is told first, and what was said before that is heard next.
        let heard = match recv_fds(socket, &mut packet) {
            Err(cause) if cause.kind() == io::ErrorKind::ConnectionReset => {
                recv_fds(socket, &mut packet)
            }
            heard => heard,
        };
        let (len, mut files) = heard.map_err(|cause| Error::os(what(), cause))?;
        match Answer::parse(&packet[..len]) {
            Ok(answer) => Ok((answer, files.pop())),
            Err(_) if len == 0 => Err(self.left()),
            Err(why) => Err(self.unreadable(why)),
        }
    }

    #[cold]
    fn left(&self) -> Error {
        let text = format!(
            "the process that listened as {} ended before it accepted",
            self.name
        );
        Error::new(ErrorKind::Disconnected, text)
    }

    #[cold]
    fn unreadable(&self, why: Unreadable) -> Error {
        match why {
            Unreadable::Garbage => {
                let text = format!(
                    "the listener {} says what nobody can make sense of",
                    self.name
                );
                Error::new(ErrorKind::Corrupt, text)
            }
            Unreadable::Version(other) => {
                let text = format!(
                    "the listener {} knows version {other} of the handshake, and this program version {VERSION}; build \
                     both with one version of multiproc",
                    self.name
                );
                Error::new(ErrorKind::WrongVersion, text)
            }
        }
    }
}

/// Claims the end that was offered.
fn attach<S: Message, R: Message>(
    raw: &RawHandle,
    file: Option<OwnedFd>,
) -> Result<Connection<S, R>> {
    if let Some(file) = file {
        handle::inherit(raw.segment, file);
    }
    let attached = Connection::attach(raw);
    handle::disinherit(raw.segment);
    attached
}

/// The listener has taken back what was offered, having waited too long.
fn is_lateness(error: &Error) -> bool {
    use ErrorKind::{AlreadyExists, Closed, Gone};
    [AlreadyExists, Closed, Gone].contains(&error.kind())
}
