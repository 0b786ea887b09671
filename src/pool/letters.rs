//! What the dead had in hand: chunks that come back, and of which the rest goes out again.
//!
//! The queue delivers a chunk once. When the worker that has it dies, the chunk becomes a dead letter, which the parent reads
//! once it has buried the worker, that is, taken all its answers and settled the task that it was in: what is left has never
//! been begun. A worker that died before its first task has begun none of its chunk.

use std::convert::Infallible;

use super::crew::{Crew, Kept};
use super::frame::{Arguments, Frame, parse};
use crate::message::Packed;
use crate::queue::Lease;
use crate::sys::clock::now_ns;
use crate::sys::seeded::seeded;

/// See the module.
#[derive(Default)]
pub(super) struct Letters {
    /// Chunks with numbers below this one may come back.
    below: u64,
    /// When they were looked for last.
    looked: u64,
    /// Those whose worker has not been buried yet.
    held: Vec<Lease<Frame>>,
    awaited: bool,
}

/// Another process may be about to make a letter of what the dead had: after so many nanoseconds it is looked for again.
const BETWEEN: u64 = 1_000_000;

impl Letters {
    /// A worker has died: every chunk below this number may come back.
    pub(super) fn expect(&mut self, below: u64) {
        (self.below, self.awaited) = (below, true);
    }

    /// Whether any may come.
    #[inline]
    pub(super) fn are_awaited(&self) -> bool {
        self.awaited
    }

    /// Whether it is time to look for them.
    #[inline]
    pub(super) fn are_due(&self) -> bool {
        self.awaited && now_ns().saturating_sub(self.looked) >= BETWEEN
    }
}

impl Crew {
    /// Sends the rest of what came back out again.
    #[cold]
    pub(super) fn read_letters(&mut self) {
        self.letters.looked = now_ns();
        let held = std::mem::take(&mut self.letters.held);
        for letter in held.into_iter().chain(self.tasks.left_by_the_dead()) {
            let (_, place, _) = parse(&letter);
            match self.members.iter().any(|m| m.has_begun(place.chunk())) {
                true => self.letters.held.push(letter),
                false => self.send_again(letter),
            }
        }
        let is_waiting = self.ledger.has_older_than(self.letters.below);
        self.letters.awaited = is_waiting || !self.letters.held.is_empty();
    }

    fn send_again(&mut self, letter: Lease<Frame>) {
        let (routine, place, bytes) = parse(&letter);
        let Some(chunk) = self.ledger.strike(place.chunk()) else {
            return letter.ack(); // all of it is over
        };
        if seeded("pool-rest-is-forgotten") {
            return letter.ack();
        }
        let mut arguments = Arguments::new(place.at(), bytes);
        arguments.by_ref().take(chunk.done).for_each(drop);
        let (_, pieces) = arguments.rest();
        let chunk = chunk.into_rest();
        self.backlog.push_front(Kept {
            routine,
            arguments: joined(pieces),
            chunk,
            counted: true,
        });
        letter.ack();
    }
}

fn joined([first, second]: [&[u8]; 2]) -> Packed {
    let Ok(packed) = Packed::filled::<Infallible>(first.len() + second.len(), |room| {
        let (front, back) = room.split_at_mut(first.len());
        front.copy_from_slice(first);
        back.copy_from_slice(second);
        Ok(())
    });
    packed
}
