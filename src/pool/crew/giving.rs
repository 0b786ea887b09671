//! How tasks go out: into the queue, or first into a backlog where that is full.

use super::{BYTES, Crew};
use crate::Result;
use crate::message::{Encode, Message, Packed};
use crate::pool::error::TaskError;
use crate::pool::frame::{Body, Encoded, Many, Parts, Place, Plain};
use crate::pool::ledger::{Chunk, Luggage};
use crate::pool::member::Errand;
use crate::pool::revoked::{self, CHUNKS};
use crate::queue::TryPutError;
use crate::tenancy::handover;

/// Tasks that wait in this process.
pub(in crate::pool) struct Kept {
    pub(in crate::pool) routine: u64,
    /// The body of a request.
    pub(in crate::pool) arguments: Packed,
    pub(in crate::pool) chunk: Chunk,
    /// They have been counted as taken.
    pub(in crate::pool) counted: bool,
}

impl Crew {
    /// Gives tasks to whichever worker comes first; false if there is no room now.
    ///
    /// # Errors
    ///
    /// When the arguments cannot be written.
    pub(in crate::pool) fn give<T: Message, V: Encode<T>>(
        &mut self,
        routine: u64,
        arguments: &[V],
        errand: Errand,
    ) -> Result<bool> {
        let chunk = chunk_of(errand, arguments.len());
        let put = match arguments {
            [one] => self.put(routine, Encoded::<T, V>::new(one), chunk),
            many => self.put(routine, Many::<T, V>::new(many), chunk),
        };
        let given = put?.is_none();
        self.progress.submitted += if given { arguments.len() as u64 } else { 0 };
        Ok(given)
    }

    /// Gives the chunk back where there is no room. Its luggage is that of a body which was made before.
    fn put<B: Body>(&mut self, routine: u64, body: B, mut chunk: Chunk) -> Result<Option<Chunk>> {
        let number = self.ledger.next();
        chunk.bytes = body.guess();
        revoked::allow(&self.revoked, number);
        self.watch(&chunk.errand);
        let parts = Parts {
            head: [routine, Place::new(number, chunk.count).0],
            body,
        };
        let put = || self.tasks.try_put(parts);
        let (put, packed) = if B::INERT {
            (put(), None)
        } else {
            pack_with(put)
        };
        match put {
            Ok(()) => {
                chunk.luggage = packed.or(chunk.luggage);
                self.ledger.enter(chunk);
                Ok(None)
            }
            Err(TryPutError::Full) => {
                self.stuck = true;
                Ok(Some(chunk))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Takes a task whether there is room or not.
    ///
    /// # Errors
    ///
    /// When the arguments cannot be written.
    pub(in crate::pool) fn take<T: Message>(
        &mut self,
        routine: u64,
        arguments: &T,
        errand: &Errand,
    ) -> Result<()> {
        let one = std::slice::from_ref(arguments);
        if self.room(1) > 0 && self.give::<T, T>(routine, one, errand.clone())? {
            return Ok(());
        }
        let (arguments, luggage) = pack_with(|| Packed::new(arguments));
        self.backlog.push_back(Kept {
            routine,
            arguments: arguments?,
            chunk: Chunk {
                luggage,
                ..chunk_of(errand.clone(), 1)
            },
            counted: false,
        });
        Ok(())
    }

    /// Passes on what waits here, as far as there is room.
    #[cold]
    pub(in crate::pool) fn pass_on(&mut self) {
        while let Some(mut kept) = self.backlog.pop_front() {
            if !self.room_for_kept() {
                return self.backlog.push_front(kept);
            }
            let count = kept.chunk.count as u64;
            let submitted = if kept.counted { 0 } else { count };
            let errand = kept.chunk.errand.clone();
            match self.put(kept.routine, Plain(kept.arguments.bytes()), kept.chunk) {
                Ok(None) => self.progress.submitted += submitted,
                Ok(Some(chunk)) => {
                    kept.chunk = chunk;
                    return self.backlog.push_front(kept);
                }
                Err(error) => {
                    self.progress.submitted += submitted;
                    self.fail(
                        &chunk_of(errand, count as usize),
                        &TaskError::not_started(&error),
                    );
                }
            }
        }
    }

    fn room_for_kept(&self) -> bool {
        let few = self.is_short();
        few || self.ledger.bytes() < BYTES && self.ledger.chunks() < CHUNKS
    }
}

/// Tasks that have not gone out.
fn chunk_of(errand: Errand, count: usize) -> Chunk {
    Chunk {
        errand,
        count,
        done: 0,
        deaths: 0,
        bytes: 0,
        luggage: None,
    }
}

/// Writes arguments, and says what must be kept until a worker has them.
fn pack_with<R>(write: impl FnOnce() -> R) -> (R, Luggage) {
    let (written, cargo) = handover::collect(write);
    (written, (!cargo.is_empty()).then(|| Box::new(cargo)))
}
