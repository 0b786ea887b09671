//! Where a worker works: the ends of its pipes, and the task in hand.

use super::brief::{Brief, Elsewhere, Short};
use super::frame::{Body, Encoded, Frame, Parts, Place, Plain, RETURNED};
use crate::message::Message;
use crate::pipe::{SendError, Sender};
use crate::process::{Panic, Report};
use crate::queue::{PutError, Queue};
use crate::{Error, Result};

/// Where a worker answers: in a few words, or at length.
pub(super) type Mouth = (Sender<Brief>, Queue<Frame>);

/// One task, as the routine that runs it sees it.
#[doc(hidden)]
#[derive(Debug)]
pub struct Desk<'a> {
    pub(super) answers: &'a Mouth,
    pub(super) task: Place,
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
    #[inline]
    pub(super) fn give<R: Message>(&self, result: &R) {
        let short = Short {
            task: self.task,
            result,
        };
        if !short.may_fit() || matches!(self.answers.0.send(short), Err(SendError::Unwritable(_))) {
            self.give_long(result);
        }
    }

    #[inline(never)]
    fn give_long<R: Message>(&self, result: &R) {
        match self.answer(RETURNED, Encoded::<R, R>::new(result)) {
            Ok(()) | Err(PutError::Closed | PutError::Disconnected) => {}
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

    fn report(&self, report: &Report) {
        let (tag, bytes) = report.encode();
        // Who is not there to hear it needs it no more.
        let _ = self.answer(u64::from(tag), Plain(&bytes));
    }

    /// A long answer, and then word that there is one.
    fn answer<B: Body>(&self, tag: u64, body: B) -> std::result::Result<(), PutError> {
        self.answers.1.put(Parts {
            head: [tag, self.task.0],
            body,
        })?;
        // Who is not there to hear it needs it no more.
        let _ = self.answers.0.send(Elsewhere(self.task));
        Ok(())
    }
}
