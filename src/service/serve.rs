//! The manager's verbs for objects that cannot be archived, and what the serving process has of one.

use super::counter::{Counter, OneAtATime, Together};
use super::line::Line;
use super::proxy::Proxy;
use super::server::{Server, Serving};
use super::wire::{Door, Near, Post, PostOf};
use super::{ConcurrentService, Service, directory_fingerprint};
use crate::event::Event;
use crate::manager::{Cell, CellGuard, Manager};
use crate::queue::{Consumer, Queue};
use crate::sys::atfork;
use crate::sys::identity::current_pid;
use crate::{Error, ErrorKind, Result};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

/// As many wait at the door at a time; more wait until there is room.
const AT_THE_DOOR: usize = 64;

impl Manager {
    /// Serves `object` under this name: it stays in this process, and others call its methods through a
    /// [`Proxy`]. One call is run after the other.
    ///
    /// `S` is `dyn Trait`, for a trait declared by [`service!`](crate::service). A name is served by one process at a time;
    /// when that has stopped, or died, another one may serve it.
    ///
    /// A thread takes connections up, and each thread that calls has one here, which takes two descriptors and some pages of
    /// memory; one without anything to do looks 14 times a second whether its caller lives.
    ///
    /// A method that calls its own object through a proxy waits for itself.
    ///
    /// # When a method panics
    ///
    /// Its caller is told, and the object is called again as the method left it. One that must not be used half changed has to
    /// say so by itself.
    ///
    /// # Errors
    ///
    /// [`AlreadyExists`](ErrorKind::AlreadyExists) while a living process serves it; those of [`cell`](Manager::cell); `Os` when
    /// there can be no more threads or descriptors.
    ///
    /// # Examples
    ///
    /// See [`service!`](crate::service).
    pub fn serve<S: Service + ?Sized>(&self, name: &str, object: Box<S::Object>) -> Result<Served> {
        begin::<S>(self, name, Box::new(OneAtATime::<S>::new(object)))
    }

    /// As [`serve`](Manager::serve), but runs calls as they come, many at the same time, each in a thread of its own.
    ///
    /// That is for services of which all methods take `&self`, and for objects that are `Sync`.
    ///
    /// # Errors
    ///
    /// As [`serve`](Manager::serve).
    ///
    /// # Examples
    ///
    /// ```
    /// use multiproc::Manager;
    /// use std::sync::Barrier;
    ///
    /// multiproc::service! {
    ///     pub trait Rendezvous {
    ///         fn meet(&self) -> bool;
    ///     }
    /// }
    ///
    /// impl Rendezvous for Barrier {
    ///     fn meet(&self) -> bool {
    ///         self.wait().is_leader()
    ///     }
    /// }
    ///
    /// # fn main() -> multiproc::Result<()> {
    /// let manager = Manager::new()?;
    /// let _served = manager.serve_concurrent::<dyn Rendezvous>("meet", Box::new(Barrier::new(2)))?;
    /// let proxy = manager.proxy::<dyn Rendezvous>("meet")?;
    /// let other = proxy.clone();
    /// let there = std::thread::spawn(move || other.meet());      // from another process it is the same
    /// let here = proxy.meet()?;
    /// assert_ne!(there.join().unwrap()?, here);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A service that changes its object cannot be served so:
    ///
    /// ```compile_fail,E0277
    /// multiproc::service! {
    ///     pub trait Counter {
    ///         fn next(&mut self) -> u64;
    ///     }
    /// }
    ///
    /// fn serve(manager: multiproc::Manager, counter: Box<dyn Counter + Send + Sync>) {
    ///     let _ = manager.serve_concurrent::<dyn Counter>("counter", counter);
    /// }
    /// # fn main() {}
    /// ```
    pub fn serve_concurrent<S: ConcurrentService + ?Sized>(
        &self,
        name: &str,
        object: Box<S::Shared>,
    ) -> Result<Served> {
        begin::<S>(self, name, Box::new(Together::<S>::new(object)))
    }

    /// A proxy of the object that is [served](Manager::serve) under this name.
    ///
    /// Whether somebody serves it at the moment is seen when it is called.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) when nothing of that name was ever served,
    /// [`WrongType`](ErrorKind::WrongType) when it is something else, or a service of other methods.
    pub fn proxy<S: Service + ?Sized>(&self, name: &str) -> Result<Proxy<S>> {
        let post = self.open_post(name, directory_fingerprint::<S>())?;
        Ok(Proxy::of(Line::new(post)))
    }
}

/// An object that this process serves, from [`Manager::serve`].
///
/// Dropping it [stops](Served::stop) that and waits until the threads behind it have ended; calls that are being run are
/// finished before. So it must not be dropped by a method of the object itself.
///
/// If the process dies, all who call learn of it: [`CallError::ServerDied`](crate::CallError::ServerDied). A forked child has
/// no part in it.
#[must_use = "dropping it ends the service"]
pub struct Served {
    server: Arc<dyn Serving>,
    name: String,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// The count of forks under which it is this process's.
    era: u32,
}

impl Served {
    /// Stops serving, and returns at once: what is being run is finished, and every other call is told
    /// [`Closed`](crate::CallError::Closed).
    pub fn stop(&self) {
        if self.is_mine() {
            self.server.stop();
        }
    }

    /// Waits until somebody has [stopped](Served::stop) it, and the last call is finished.
    ///
    /// # Examples
    ///
    /// ```
    /// # use multiproc::Manager;
    /// # multiproc::service! { trait Echo { fn echo(&self, text: String) -> String; } }
    /// # struct Parrot;
    /// # impl Echo for Parrot { fn echo(&self, text: String) -> String { text } }
    /// # fn main() -> multiproc::Result<()> {
    /// # let manager = Manager::new()?;
    /// let served = manager.serve::<dyn Echo>("echo", Box::new(Parrot))?;
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| served.wait());
    ///     served.stop();
    /// });
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait(&self) {
        if self.is_mine() {
            // Held meanwhile: whoever else waits is let go when all is over.
            let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
            let ended = thread.take().map(JoinHandle::join);
            drop(ended); // its panics are told by the hook
        }
    }

    /// The name under which it is served.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn is_mine(&self) -> bool {
        self.era == atfork::forks()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop();
        self.wait();
    }
}

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Served({})", self.name)
    }
}

fn begin<S: Service + ?Sized>(
    manager: &Manager,
    name: &str,
    counter: Box<dyn Counter<S>>,
) -> Result<Served> {
    let nobody = Post {
        turn: 0,
        pid: 0,
        door: None,
    };
    let post: Cell<PostOf<S>> = manager.post(name, directory_fingerprint::<S>(), nobody)?;
    let door = Queue::new(AT_THE_DOOR)?;
    let stop = Event::new()?;
    let consumer = door.consumer()?; // before anybody finds the door
    let server = Arc::new(Server {
        turn: take_over::<S>(&post, &door, name)?,
        name: name.to_owned(),
        counter,
        post,
        door,
        stop,
    });
    let thread = receive(&server, consumer)?;
    Ok(Served {
        server,
        name: name.to_owned(),
        thread: Mutex::new(Some(thread)),
        era: atfork::forks(),
    })
}

/// Starts the first thread.
fn receive<S: Service + ?Sized>(
    server: &Arc<Server<S>>,
    door: Consumer<Near<S>>,
) -> Result<JoinHandle<()>> {
    let body = {
        let server = Arc::clone(server);
        move || server.receive(door)
    };
    let thread = Builder::new().name(server.name.clone()).spawn(body);
    thread.map_err(|cause| {
        server.stop();
        Error::os("cannot start a thread to serve in", cause)
    })
}

/// Has the post lead to our door, if it leads to nobody who lives; the turn.
fn take_over<S: Service + ?Sized>(
    post: &Cell<PostOf<S>>,
    door: &Door<S>,
    name: &str,
) -> Result<u64> {
    loop {
        let seen = post.get()?;
        if post.has_member(seen.pid.to_native()) && is_served::<S>(&seen)? {
            let text = format!("process {} serves `{name}` already", seen.pid);
            return Err(Error::new(ErrorKind::AlreadyExists, text));
        }
        let ours = Post {
            turn: seen.turn.to_native() + 1,
            pid: current_pid(),
            door: Some(door.clone()),
        };
        if post.replace_if(&seen, ours)? {
            return Ok(seen.turn.to_native() + 1);
        }
    }
}

/// Whether somebody lives who takes connections up there.
fn is_served<S: Service + ?Sized>(post: &CellGuard<'_, PostOf<S>>) -> Result<bool> {
    match post.to_owned() {
        Ok(post) => Ok(post.door.is_some_and(|door| door.has_consumer())),
        Err(gone) if gone.kind() == ErrorKind::Gone => Ok(false),
        Err(error) => Err(error),
    }
}
