//! The threads that serve one object: one takes connections up, and each connection has one.

use super::Service;
use super::counter::Counter;
use super::wire::{Answer, Door, Near, Post, PostOf, Trouble};
use crate::event::Event;
use crate::manager::Cell;
use crate::message::InvalidMessage;
use crate::pipe::RecvTimeoutError;
use crate::queue::{Consumer, GetError, Received};
use crate::sys::clock::WATCHFUL;
use crate::waiting::wait_any;
use crate::{Error, ErrorKind};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// For how long a thread expects the next request of a caller who has just made one.
const SOON: Duration = Duration::from_millis(10);

/// What the threads of one served object share.
pub(super) struct Server<S: Service + ?Sized> {
    pub(super) name: String,
    pub(super) counter: Box<dyn Counter<S>>,
    pub(super) post: Cell<PostOf<S>>,
    /// Which of all who served the object this is.
    pub(super) turn: u64,
    pub(super) door: Door<S>,
    pub(super) stop: Event,
}

/// A server, whatever it serves.
pub(super) trait Serving: Send + Sync {
    /// Has the threads end, once they have done what they are at.
    fn stop(&self);
}

impl<S: Service + ?Sized> Serving for Server<S> {
    fn stop(&self) {
        self.leave();
        self.stop.set();
        self.door.close();
    }
}

impl<S: Service + ?Sized> Server<S> {
    /// Says that nobody serves the object, unless somebody else does by now. Where the manager has no room to say so, a door
    /// without a consumer says it.
    fn leave(&self) {
        while let Ok(seen) = self.post.get() {
            let nobody = Post {
                turn: self.turn,
                pid: seen.pid.to_native(),
                door: None,
            };
            let raced =
                seen.turn == self.turn && matches!(self.post.replace_if(&seen, nobody), Ok(false));
            if !raced {
                break;
            }
        }
    }

    /// The life of the first thread: takes connections up until the door is closed, and waits for the threads that it has
    /// started.
    pub(super) fn receive(self: Arc<Self>, door: Consumer<Near<S>>) {
        let mut attendants = Vec::<JoinHandle<()>>::new();
        while let Some(near) = self.next_visitor(&door) {
            let done = attendants.extract_if(.., |attendant| attendant.is_finished());
            done.for_each(wait_for);
            attendants.extend(self.attend(near));
        }
        attendants.into_iter().for_each(wait_for);
    }

    fn next_visitor(&self, door: &Consumer<Near<S>>) -> Option<Near<S>> {
        loop {
            // Acknowledged once it is taken up, or passed over: who waits at the door can tell.
            match door.get() {
                Ok(visit) => match self.take_up(&visit) {
                    Some(near) => return Some(near),
                    None => continue,
                },
                Err(GetError::Invalid(_)) => continue,
                Err(_) => return None,
            }
        }
    }

    /// The server's end of a pipe, if its maker is there still.
    fn take_up(&self, visit: &Received<'_, Near<S>>) -> Option<Near<S>> {
        loop {
            match visit.to_owned() {
                Ok(near) => return Some(near),
                Err(error) if is_shortage(&error) && !self.stop.is_set() => {
                    let _ = self.stop.wait_timeout(WATCHFUL); // nobody tells when there is a descriptor again
                }
                Err(_) => return None,
            }
        }
    }

    /// Starts the thread of a connection.
    fn attend(self: &Arc<Self>, near: Near<S>) -> Option<JoinHandle<()>> {
        let (give, take) = sync_channel::<Near<S>>(1);
        let server = Arc::clone(self);
        let body = move || {
            if let Ok(near) = take.recv() {
                server.serve(&near);
            }
        };
        match Builder::new().name(self.name.clone()).spawn(body) {
            Ok(thread) => {
                let _ = give.send(near); // it waits for nothing else
                Some(thread)
            }
            Err(cause) => {
                let refusal = Error::os("cannot start a thread that serves", cause);
                let _ = near.send(Answer::NotRun(Trouble::of(&refusal))); // or he is gone
                None
            }
        }
    }

    /// The life of a connection's thread.
    fn serve(&self, near: &Near<S>) {
        let mut open = near.send(Answer::Welcome).is_ok();
        while open && let Some(request) = self.next_request(near) {
            let answer = match request {
                Ok(request) => self.run(near, request),
                Err(invalid) => Some(Answer::NotRun(Trouble::of(&invalid.into()))),
            };
            open = answer.is_some_and(|answer| tell::<S>(near, &answer));
        }
    }

    /// The next request; `None` when there will be none.
    fn next_request(&self, near: &Near<S>) -> Option<Result<S::Request, InvalidMessage>> {
        while !self.stop.is_set() {
            match near.recv_owned_timeout(SOON) {
                Ok(request) => return Some(Ok(request)),
                Err(RecvTimeoutError::Invalid(why)) => return Some(Err(why)),
                // Where there is no descriptor to sleep on, looking again soon will do.
                Err(RecvTimeoutError::Timeout) => _ = wait_any(&[near, &self.stop]),
                Err(_) => return None,
            }
        }
        None
    }

    /// Runs a method; `None` if that is not wanted any more, and then it was not begun.
    fn run(&self, near: &Near<S>, request: S::Request) -> Option<Answer<S::Reply>> {
        let wanted = || !self.stop.is_set() && !near.is_disconnected();
        let ran = self.counter.run(request, &wanted)?;
        Some(ran.map_or_else(Answer::Panicked, Answer::Done))
    }
}

/// Sends an answer, or why there is none; whether there may be more.
fn tell<S: Service + ?Sized>(near: &Near<S>, answer: &Answer<S::Reply>) -> bool {
    match near.send(answer) {
        Ok(()) => true,
        Err(gone) if gone.is_disconnected() => false,
        Err(refused) => {
            let trouble = Trouble::of(&Error::from(refused));
            near.send(Answer::NoReply(trouble)).is_ok()
        }
    }
}

fn wait_for(attendant: JoinHandle<()>) {
    let _ = attendant.join(); // panics of methods do not get that far
}

/// What may be different later.
fn is_shortage(error: &Error) -> bool {
    [ErrorKind::Os, ErrorKind::NoSpace].contains(&error.kind())
}
