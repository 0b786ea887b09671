//! One call, and the connections that wait for the next.

use super::Service;
use super::connect::Address;
use super::error::CallError;
use super::wire::{Answer, Far, PostOf};
use crate::manager::Cell;
use crate::pipe::{RecvTimeoutError, SendTimeoutError};
use crate::sys::atfork::{self, ForkMutex};
use crate::sys::clock::Deadline;
use crate::sys::seeded::seeded;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// By which the calls of a proxy go, whatever they are.
#[doc(hidden)]
pub struct Line<S: Service + ?Sized> {
    exchange: Arc<Exchange<S>>,
    timeout: Option<Duration>,
}

/// What the clones of a proxy share.
struct Exchange<S: Service + ?Sized> {
    address: Address<S>,
    /// Connections without a call; a forked child has none.
    idle: ForkMutex<Vec<Wire<S>>>,
}

/// A connection that the server has taken up.
pub(super) struct Wire<S: Service + ?Sized> {
    far: Far<S>,
    /// The count of forks under which it is this process's.
    era: u32,
}

/// As many connections wait for the next call; who calls in more threads than that connects anew.
const IDLE: usize = 64;

impl<S: Service + ?Sized> Line<S> {
    pub(super) fn new(post: Cell<PostOf<S>>) -> Self {
        Line {
            exchange: Arc::new(Exchange {
                address: Address::new(post),
                idle: ForkMutex::new(Vec::new(), Vec::new),
            }),
            timeout: None,
        }
    }

    pub(super) fn post(&self) -> &Cell<PostOf<S>> {
        &self.exchange.address.post
    }

    /// The same line, whose calls take no longer than so.
    pub(super) fn limited(&self, timeout: Duration) -> Self {
        Line {
            timeout: Some(timeout),
            ..self.clone()
        }
    }

    /// Makes a call, and waits for the reply.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub fn call(&self, request: &S::Request) -> Result<S::Reply, CallError> {
        let deadline = self.timeout.map_or(Deadline::NEVER, Deadline::after);
        let wire = self.exchange.ask(request, deadline)?;
        match wire.hear(deadline) {
            Ok(answer) => {
                self.exchange.keep(wire);
                reply_of(answer)
            }
            Err(error) => {
                if let CallError::ServerDied { .. } | CallError::Closed = error {
                    self.exchange.forget_idle();
                }
                // Never made again: it may have been run.
                match error {
                    CallError::ServerDied { .. } if seeded("service-calls-again") => {
                        self.call(request)
                    }
                    error => Err(error),
                }
            }
        }
    }
}

impl<S: Service + ?Sized> Exchange<S> {
    /// Sends the request, by a connection that is there or a new one.
    fn ask(&self, request: &S::Request, deadline: Deadline) -> Result<Wire<S>, CallError> {
        while let Some(wire) = self.idle() {
            match wire.far.send_by(request, deadline) {
                Ok(()) => return Ok(wire),
                // The server has ended since the last call, and there may be another by now. Nothing was sent.
                Err(gone) if gone.is_disconnected() => self.forget_idle(),
                Err(error) => return Err(unsent(error)),
            }
        }
        let wire = self.address.connect(deadline)?;
        match wire.far.send_by(request, deadline) {
            Ok(()) => Ok(wire),
            Err(error) => Err(unsent(error)),
        }
    }

    /// A connection that nobody uses.
    fn idle(&self) -> Option<Wire<S>> {
        loop {
            let wire = self.idle.lock().pop()?;
            if wire.era == atfork::forks() {
                return Some(wire);
            }
        }
    }

    fn keep(&self, wire: Wire<S>) {
        let mut idle = self.idle.lock();
        if idle.len() < IDLE {
            idle.push(wire);
        }
    }

    /// All of them lead to a server that has ended.
    fn forget_idle(&self) {
        let all = std::mem::take(&mut *self.idle.lock());
        drop(all); // outside of the lock
    }
}

impl<S: Service + ?Sized> Wire<S> {
    pub(super) fn new(far: Far<S>) -> Self {
        Wire {
            far,
            era: atfork::forks(),
        }
    }

    fn hear(&self, deadline: Deadline) -> Result<Answer<S::Reply>, CallError> {
        self.far.recv_owned_by(deadline).map_err(unheard)
    }
}

/// What the server's answer to a call means.
fn reply_of<R>(answer: Answer<R>) -> Result<R, CallError>
where
    R: crate::Message + fmt::Debug,
{
    match answer {
        Answer::Done(reply) => Ok(reply),
        Answer::Panicked(message) => Err(CallError::panicked(message)),
        Answer::NotRun(trouble) => Err(CallError::told_not_run(trouble)),
        Answer::NoReply(trouble) => Err(CallError::told_no_reply(trouble)),
        Answer::Welcome => Err(out_of_turn()),
    }
}

/// Why a request was not sent.
#[cold]
fn unsent(error: SendTimeoutError) -> CallError {
    match error {
        SendTimeoutError::Timeout => CallError::Timeout,
        SendTimeoutError::Disconnected => CallError::Closed,
        SendTimeoutError::PeerDied { pid } => CallError::ServerDied { pid },
        error => CallError::not_run(error),
    }
}

/// Why no answer came. A server that lets go of a connection has not begun the call that it has not answered.
#[cold]
pub(super) fn unheard(error: RecvTimeoutError) -> CallError {
    match error {
        RecvTimeoutError::Timeout => CallError::Timeout,
        RecvTimeoutError::Disconnected => CallError::Closed,
        RecvTimeoutError::PeerDied { pid } => CallError::ServerDied { pid },
        error => CallError::no_reply(error),
    }
}

/// An answer that no server of this build gives.
#[doc(hidden)]
#[cold]
pub fn out_of_turn() -> CallError {
    let text = "the server answers what was not asked";
    CallError::no_reply(crate::Error::new(crate::ErrorKind::Corrupt, text))
}

impl<S: Service + ?Sized> Clone for Line<S> {
    fn clone(&self) -> Self {
        Line {
            exchange: Arc::clone(&self.exchange),
            timeout: self.timeout,
        }
    }
}

impl<S: Service + ?Sized> fmt::Debug for Line<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.post().fmt(f)
    }
}
