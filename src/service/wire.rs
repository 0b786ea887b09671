//! What is said through the pipes, and what the directory's cell holds.

use super::Service;
use crate::pipe::Connection;
use crate::process::{code_of, kind_of};
use crate::queue::Queue;
use crate::{Error, ErrorKind};

crate::message! {
    /// What the server says: one for each request, and the first unasked.
    #[derive(Debug)]
    pub enum Answer<Reply> {
        /// The connection is taken up, and calls may come.
        Welcome,
        /// The method has returned.
        Done(Reply),
        /// The method panicked.
        Panicked(String),
        /// The call was not begun.
        NotRun(Trouble),
        /// The method has returned, but what it did cannot be sent.
        NoReply(Trouble),
    }

    /// An error, as it crosses.
    #[derive(Debug)]
    pub struct Trouble {
        kind: u8,
        text: String,
    }

    /// Where to connect; what a served object's row in the directory leads to.
    #[derive(Debug)]
    pub struct Post<Door> {
        /// Counts those who have served the object, so that each knows its own.
        pub turn: u64,
        /// The process that serves it, or did.
        pub pid: u32,
        /// Where it takes connections up; nothing once it has stopped.
        pub door: Option<Door>,
    }
}

/// The end of the process that serves.
pub(super) type Near<S> = Connection<Answer<<S as Service>::Reply>, <S as Service>::Request>;

/// The end of who calls.
pub(super) type Far<S> = Connection<<S as Service>::Request, Answer<<S as Service>::Reply>>;

/// Where the serving process takes connections up.
pub(super) type Door<S> = Queue<Near<S>>;

/// What the directory leads to.
pub(super) type PostOf<S> = Post<Door<S>>;

impl Trouble {
    pub(super) fn of(error: &Error) -> Self {
        Trouble {
            kind: code_of(error.kind()),
            text: error.to_string(),
        }
    }

    /// A kind that this build does not know is any failure.
    pub(super) fn kind(&self) -> ErrorKind {
        kind_of(self.kind).unwrap_or(ErrorKind::Failed)
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }
}
