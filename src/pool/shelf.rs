//! Where long answers of one worker lie, and how many of them somebody keeps there.

use std::sync::Arc;

use super::frame::{Frame, parse};
use crate::Result;
use crate::queue::{Lease, Queue, Received};
use crate::sys::atomic::{AtomicUsize, Ordering};

/// The receiving end of a worker's queue of long answers.
#[derive(Debug)]
pub(super) struct Shelf {
    answers: Queue<Frame>,
    /// How many are kept.
    kept: AtomicUsize,
}

/// So many answers are on their way at most.
const ANSWERS: usize = 1024;
/// The longest frame that lies in the queue itself.
const INLINE: usize = 240;
/// So many are kept at most: fewer than the queue has room for beside its slots, so that none of these is in the way.
const KEPT: usize = 512;

impl Shelf {
    pub(super) fn new() -> Result<Self> {
        let answers = Queue::builder().capacity(ANSWERS).message_size(INLINE);
        Ok(Shelf {
            answers: answers.anonymous()?,
            kept: AtomicUsize::new(0),
        })
    }

    /// Where the worker puts its answers.
    pub(super) fn end(&self) -> Queue<Frame> {
        self.answers.clone()
    }

    /// The next answer, if there is one.
    pub(super) fn next(&self) -> Option<Received<'_, Frame>> {
        self.answers.try_get().ok()
    }

    /// Keeps an answer where it lies, in nobody's way.
    ///
    /// # Errors
    ///
    /// The answer itself when as many are kept as may be.
    pub(super) fn take<'a>(
        self: &Arc<Self>,
        answer: Received<'a, Frame>,
    ) -> Result<Kept, Received<'a, Frame>> {
        // A bound, not a lock: nothing is read through it.
        if self.kept.fetch_add(1, Ordering::Relaxed) >= KEPT {
            self.kept.fetch_sub(1, Ordering::Relaxed);
            return Err(answer);
        }
        Ok(Kept {
            lease: Some(answer.detach()),
            shelf: Arc::clone(self),
        })
    }
}

/// An answer that is kept where its worker wrote it.
#[derive(Debug)]
pub(super) struct Kept {
    /// Some until it is dropped.
    lease: Option<Lease<Frame>>,
    shelf: Arc<Shelf>,
}

impl Kept {
    /// The bytes of the result.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        self.lease.as_deref().map_or(&[], |frame| parse(frame).2)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.ack();
            self.shelf.kept.fetch_sub(1, Ordering::Relaxed); // as in `take`
        }
    }
}
