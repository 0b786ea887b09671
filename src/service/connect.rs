//! How there comes to be a connection: a pipe whose far end is put at the server's door.

use super::Service;
use super::error::CallError;
use super::line::{Wire, out_of_turn, unheard};
use super::wire::{Answer, Door, Far, Near, PostOf};
use crate::manager::{self, CellGuard};
use crate::pipe::{Pipe, RecvTimeoutError};
use crate::queue::PutTimeoutError;
use crate::sys::atomic::AtomicU64;
use crate::sys::atomic::Ordering::Relaxed;
use crate::sys::clock::{Deadline, WATCHFUL};
use crate::{Error, ErrorKind};
use std::cell::Cell;
use std::time::Duration;

/// The first look whether the server lives comes after this, others later and later.
const SHORTEST: Duration = Duration::from_millis(2);

/// Bytes of the ring for each direction. Longer requests and replies lie beside it.
const CAPACITY: usize = 32 << 10;

/// Where a served object is found, and what is known of it.
pub(super) struct Address<S: Service + ?Sized> {
    pub(super) post: manager::Cell<PostOf<S>>,
    /// The turn of a server that was found dead, or 0: to find that out again takes long, and turns never come again.
    dead: AtomicU64,
}

impl<S: Service + ?Sized> Address<S> {
    pub(super) fn new(post: manager::Cell<PostOf<S>>) -> Self {
        Address {
            post,
            dead: AtomicU64::new(0),
        }
    }

    /// Connects to whoever serves the object.
    pub(super) fn connect(&self, deadline: Deadline) -> Result<Wire<S>, CallError> {
        loop {
            let seen = self.post.get().map_err(CallError::not_run)?;
            let turn = seen.turn.to_native();
            // Relaxed: the number stands for itself.
            if turn != 0 && self.dead.load(Relaxed) == turn {
                let pid = seen.pid.to_native();
                return Err(CallError::ServerDied { pid });
            }
            match self.reach(&seen, deadline) {
                // Not those whose end was seen serve the object now, or nobody says that he does.
                Err(CallError::ServerDied { .. } | CallError::Closed)
                    if !self.post.shows_newest(&seen) => {}
                Err(died @ CallError::ServerDied { .. }) => {
                    self.dead.store(turn, Relaxed); // as above
                    return Err(died);
                }
                done => return done,
            }
        }
    }

    /// Connects to the server that a post names.
    fn reach(
        &self,
        seen: &CellGuard<'_, PostOf<S>>,
        deadline: Deadline,
    ) -> Result<Wire<S>, CallError> {
        let pid = seen.pid.to_native();
        // Before the door is looked for in all processes. Whoever serves has the manager.
        if seen.door.is_some() && !self.post.has_member(pid) {
            return Err(CallError::ServerDied { pid });
        }
        let post = match seen.to_owned() {
            Ok(post) => post,
            // Whoever stops says so before the door is gone.
            Err(gone) if gone.kind() == ErrorKind::Gone => {
                return Err(CallError::ServerDied { pid });
            }
            Err(error) => return Err(CallError::not_run(error)),
        };
        let door = post.door.ok_or(CallError::Closed)?;
        let pipe = Pipe::builder().capacity(CAPACITY).pair();
        let (far, near) = pipe.map_err(CallError::not_run)?;
        let near = AtTheDoor(near);
        let visit = Visit::<S> {
            door,
            pid,
            near,
            deadline,
            slice: Cell::new(SHORTEST),
        };
        visit.knock()?;
        visit.wait(&far)?;
        Ok(Wire::new(far))
    }
}

/// A connection that the server has not taken up yet.
struct Visit<S: Service + ?Sized> {
    door: Door<S>,
    pid: u32,
    near: AtTheDoor<S>,
    deadline: Deadline,
    /// For how long it waits before it looks whether the server lives.
    slice: Cell<Duration>,
}

/// The server's end of the pipe, which nobody can take up any more once this is dropped.
struct AtTheDoor<S: Service + ?Sized>(Near<S>);

impl<S: Service + ?Sized> Drop for AtTheDoor<S> {
    fn drop(&mut self) {
        self.0.reclaim();
    }
}

impl<S: Service + ?Sized> Visit<S> {
    /// Puts the server's end at the door.
    fn knock(&self) -> Result<(), CallError> {
        loop {
            match self.door.put_timeout(&self.near.0, self.slice()) {
                Ok(()) => return Ok(()),
                Err(PutTimeoutError::Timeout) => self.check()?,
                Err(PutTimeoutError::Closed) => return Err(CallError::Closed),
                Err(PutTimeoutError::Disconnected) => return Err(self.ended()),
                Err(error) => return Err(CallError::not_run(error)),
            }
        }
    }

    /// Waits until the server has it. It may die before it does, and then the pipe does not tell.
    fn wait(&self, far: &Far<S>) -> Result<(), CallError> {
        loop {
            match far.recv_owned_timeout(self.slice()) {
                Ok(Answer::Welcome) => return Ok(()),
                Ok(Answer::NotRun(trouble)) => return Err(CallError::told_not_run(trouble)),
                Ok(_) => return Err(out_of_turn()),
                Err(RecvTimeoutError::Timeout) => {
                    self.check()?;
                    self.expect_to_be_taken_up()?;
                }
                Err(error) => return Err(unheard(error)),
            }
        }
    }

    fn slice(&self) -> Duration {
        let slice = self.slice.get();
        self.slice.set((2 * slice).min(WATCHFUL));
        self.deadline
            .remaining()
            .map_or(slice, |left| left.min(slice))
    }

    /// Whether to wait any longer.
    fn check(&self) -> Result<(), CallError> {
        if !self.door.has_consumer() {
            return Err(self.ended());
        }
        match self.deadline.expired() {
            true => Err(CallError::Timeout),
            false => Ok(()),
        }
    }

    #[cold]
    fn ended(&self) -> CallError {
        match self.door.is_closed() {
            true => CallError::Closed,
            false => CallError::ServerDied { pid: self.pid },
        }
    }

    /// The server acknowledges what it has taken up, and what it cannot.
    fn expect_to_be_taken_up(&self) -> Result<(), CallError> {
        let settled = self.door.join_timeout(Duration::ZERO).is_ok();
        if settled && self.near.0.reclaim() {
            let text = format!("process {} cannot take the connection up", self.pid);
            return Err(CallError::not_run(Error::new(
                ErrorKind::PermissionDenied,
                text,
            )));
        }
        Ok(())
    }
}
