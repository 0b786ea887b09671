//! Where a worker works: the end of its pipe, and the task in hand.

use super::frame::{Frame, LEFT, Parts, Plain, RETURNED, Whole};
use crate::message::Message;
use crate::pipe::Sender;
use crate::process::{Panic, Report};
use crate::{Error, Result};

/// One task, as the routine that runs it sees it.
#[doc(hidden)]
#[derive(Debug)]
pub struct Desk<'a> {
    pub(super) answers: &'a Sender<Frame>,
    pub(super) number: u64,
}

impl Desk<'_> {
    /// The arguments of the task where they lie.
    pub(super) fn view<'b, A: Message>(&self, bytes: &'b [u8]) -> &'b A::View {
        // SAFETY: a parent of the same build wrote them for the routine that it named, of which the arguments are these; the
        // task is in hand as long as it is run.
        unsafe { A::view(bytes) }
    }

    /// The arguments of the task; handles among them are attached.
    pub(super) fn arguments<A: Message>(&self, bytes: &[u8]) -> Result<A> {
        A::to_owned(self.view::<A>(bytes))
    }

    /// Answers with the result.
    pub(super) fn give<R: Message>(&self, value: &R) {
        let sent = self.answers.send(Parts {
            head: [RETURNED, self.number],
            body: Whole(value),
        });
        match sent {
            Ok(()) | Err(crate::SendError::Disconnected | crate::SendError::PeerDied { .. }) => {}
            Err(error) => self.fail(&Error::from(error)),
        }
    }

    /// Answers that the function returned an error, or could not be run.
    pub(super) fn fail(&self, error: &Error) {
        self.report(&Report::of_error(error));
    }

    /// Answers that the function panicked.
    pub(super) fn panicked(&self, panic: Panic) {
        self.report(&Report::Panicked(panic));
    }

    /// Answers that the task is left alone, because a worker died with it in hand.
    pub(super) fn leave(&self) {
        let _ = self.answers.send(Parts {
            head: [LEFT, self.number],
            body: Plain(&[]),
        });
    }

    fn report(&self, report: &Report) {
        let (tag, bytes) = report.encode();
        // Who is not there to hear it needs it no more.
        let _ = self.answers.send(Parts {
            head: [u64::from(tag), self.number],
            body: Plain(&bytes),
        });
    }
}
