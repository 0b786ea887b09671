//! What a caller gets for a task's result: a value of its own, or the result read where its worker wrote it.

use std::sync::Arc;

use super::brief::Small;
use super::error::TaskError;
use super::frame::{Frame, parse};
use super::returned::Returned;
use super::shelf::Shelf;
use crate::message::Message;
use crate::queue::Received;

/// A result, or why there is none.
pub(super) type Settled<T> = Result<T, Box<TaskError>>;

/// A result of more bytes than a [`Small`] one has, in the queue in which its worker put it.
#[doc(hidden)]
#[derive(Debug)]
pub struct Long<'a> {
    pub(super) frame: Received<'a, Frame>,
    pub(super) shelf: &'a Arc<Shelf>,
}

/// What a [`Task`](super::Task) or a stream of [`Results`](super::Results) gives for a result `R` of a task: an `R`, or a
/// [`Returned<R>`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is nothing that a pool's task can give",
    note = "results are messages, by value, or `Returned<T>` with a `T` that is a message"
)]
pub trait Answer: Sized + Send + 'static {
    /// Of a result that takes few bytes.
    #[doc(hidden)]
    fn of_small(small: &Small) -> Settled<Self>;

    /// Of a result that takes more.
    #[doc(hidden)]
    fn of_long(long: Long<'_>) -> Settled<Self>;
}

impl<R: Message + Send> Answer for R {
    #[inline]
    fn of_small(small: &Small) -> Settled<R> {
        owned(small.bytes())
    }

    fn of_long(long: Long<'_>) -> Settled<R> {
        owned(parse(&long.frame).2)
    }
}

#[inline]
fn owned<R: Message>(bytes: &[u8]) -> Settled<R> {
    // SAFETY: a worker of the same build wrote the result of the function of which the caller awaits one.
    let view = unsafe { R::view(bytes) };
    R::to_owned(view).map_err(|error| {
        Box::new(TaskError::Failed {
            kind: error.kind(),
            text: error.to_string(),
        })
    })
}

impl<R: Message<View: Send + Sync>> Answer for Returned<R> {
    fn of_small(small: &Small) -> Settled<Self> {
        Ok(Returned::small(*small))
    }

    fn of_long(long: Long<'_>) -> Settled<Self> {
        Ok(match long.shelf.take(long.frame) {
            Ok(kept) => Returned::kept(kept),
            Err(frame) => Returned::copied(parse(&frame).2),
        })
    }
}
