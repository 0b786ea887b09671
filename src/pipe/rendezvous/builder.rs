//! The knobs of a listener.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use super::listener::Listener;
use super::lobby::Lobby;
use super::visitor::Terms;
use crate::message::Message;
use crate::pipe::{Pipe, PipeBuilder};
use crate::segment::name::{Directory, Name};
use crate::segment::{Kind, Segment, Spec};
use crate::sys::identity::user;
use crate::sys::socket;
use crate::tenancy::{NothingToRepair, Tenant};
use crate::{Error, Result};

/// Connections that wait to be accepted unless the builder says otherwise; the system may allow fewer.
const BACKLOG: u32 = 4096;

/// How long a client may be silent.
const LIMIT: Duration = Duration::from_secs(5);

/// The knobs of a [`Listener`]; made by [`Listener::builder`].
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// use multiproc::{Listener, Pipe};
///
/// let name = format!("wide-{}", std::process::id());
/// let wide = Pipe::builder().capacity(4 << 20);
/// let listener = Listener::<String, u64>::builder().pipe(wide).bind(name)?;
/// # drop(listener);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a builder makes nothing until `bind` is called"]
pub struct ListenerBuilder<S: Message, R: Message> {
    pipe: PipeBuilder<S, R>,
    uid: Option<u32>,
    backlog: u32,
    limit: Duration,
}

impl<S: Message, R: Message> ListenerBuilder<S, R> {
    pub(super) fn new() -> Self {
        ListenerBuilder {
            pipe: Pipe::builder(),
            uid: None,
            backlog: BACKLOG,
            limit: LIMIT,
        }
    }

    /// What each connection's pipe is like; one from [`Pipe::builder`] unless said.
    pub fn pipe(mut self, pipe: PipeBuilder<S, R>) -> Self {
        self.pipe = pipe;
        self
    }

    /// The user whose processes may connect; the one who binds, unless said.
    ///
    /// Others do not get into the directory where the name is, nor into the pipe's memory, unless they have more rights, as
    /// root has. Who connects with another user's rights is refused, whatever else he may do.
    pub fn only_uid(mut self, uid: u32) -> Self {
        self.uid = Some(uid);
        self
    }

    /// How many wait at most to be accepted; more wait until there is room. 4096 unless said, or what the system allows
    /// (`net.core.somaxconn`).
    pub fn backlog(mut self, connections: u32) -> Self {
        self.backlog = connections;
        self
    }

    /// For how long a process that connects may be silent before it is dropped, and told to come again; 5 seconds unless
    /// said. It holds up nobody meanwhile.
    pub fn handshake_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Listens under this name: 1 to 200 characters of `A-Z a-z 0-9 . _ -`, the first of them not a dot.
    ///
    /// A name that a killed listener left is taken over; that it was is known by its lock, which the kernel has released.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` while anything of that name lives, `InvalidInput` for a name that cannot be, `PermissionDenied` when
    /// the directory of names is open to others, `NoSpace`, `Os` when no descriptor is left.
    pub fn bind(self, name: impl Into<String>) -> Result<Listener<S, R>> {
        let name = Name::parse(&name.into())?;
        let directory = Directory::of_user()?;
        let door = RefCell::new(None);
        let open = |segment: &Segment| {
            let opened = Door::open(&directory, segment.id(), self.backlog)?;
            drop(door.replace(Some(opened)));
            Ok(())
        };
        let repair = Arc::new(NothingToRepair);
        // The socket is there before the name is, and goes before the name goes.
        let tenant = Tenant::create_in(&directory, &name, &spec::<S, R>(), open, repair)?;
        let door = door.into_inner().and_then(Door::keep);
        let door = door.ok_or_else(|| Error::new(crate::ErrorKind::Os, "no socket was made"))?;
        let terms = Terms {
            name: name.as_str().to_owned(),
            uid: self.uid.unwrap_or_else(user),
            pipe: self.pipe,
        };
        Ok(Listener::new(tenant, Lobby::new(door, self.limit)?, terms))
    }
}

fn spec<S: Message, R: Message>() -> Spec {
    Spec {
        type_name: format!("{}, {}", S::type_name(), R::type_name()),
        ..Spec::new(Kind::Listener)
    }
}

/// A socket that listens, and is removed again unless it is kept.
#[derive(Debug)]
struct Door<'a> {
    directory: &'a Directory,
    id: u64,
    socket: Option<OwnedFd>,
}

impl<'a> Door<'a> {
    fn open(directory: &'a Directory, id: u64, backlog: u32) -> Result<Self> {
        let file = Directory::socket_of(id);
        let socket = socket::listen(directory.path(), &file, backlog).map_err(|cause| {
            let place = directory.path().display();
            Error::os(format_args!("cannot listen in {place}"), cause)
        })?;
        Ok(Door {
            directory,
            id,
            socket: Some(socket),
        })
    }

    /// The socket, for as long as the name is there.
    fn keep(mut self) -> Option<OwnedFd> {
        self.socket.take()
    }
}

impl Drop for Door<'_> {
    fn drop(&mut self) {
        if self.socket.is_some() {
            self.directory.remove_socket(self.id);
        }
    }
}
