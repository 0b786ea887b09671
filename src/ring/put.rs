//! Putting: claim a slot, write in place, commit or abort.

use super::core::{Claim, ClaimError, Ring, SPILLED, Words};
use super::geometry::Fit;
use super::linger::Linger;
use super::protocol::{self, Memory};
use super::wait::{Patience, Peers, Role, Watch};
use super::word::{Position, State};
use crate::segment::blocks::BlockRef;
use crate::sys::atomic::Ordering::Relaxed;
use crate::sys::clock::Deadline;
use crate::sys::identity::Participant;
use crate::sys::membarrier;
use crate::sys::step::step;
use std::ptr::NonNull;

impl Ring {
    /// Claims the slot where the next free one is likely to be, by one exchange or not at all. All of it is inlined; who
    /// gets nothing goes on with [`claim`](Ring::claim).
    #[inline(always)]
    pub(crate) fn claim_here(&self, me: Participant, words: Words<'_>) -> Option<Claim> {
        let at = protocol::claim_here(words, me)?;
        self.claimed(at, words).ok()
    }

    /// The claim stands: refuse it in a closed ring, else find out whether anybody sleeps. The claim orders that look:
    /// who falls asleep without being seen by it has seen the claim, and is seen behind the publishing store.
    #[inline(always)]
    fn claimed(&self, at: Position, words: Words<'_>) -> Result<Claim, ClaimError> {
        if protocol::is_closed(words) {
            self.abort(Claim { at, awaited: false });
            return Err(ClaimError::Closed);
        }
        let awaited = words.control().not_empty.is_armed();
        if at.index() & 63 == 0 {
            self.sample_length();
        }
        Ok(Claim { at, awaited })
    }

    /// Claims a slot, waiting for room until `deadline`; [`Deadline::NOW`] tries once.
    ///
    /// # Errors
    ///
    /// [`ClaimError`]; nothing is held then.
    #[inline(never)]
    pub(crate) fn claim(
        &self,
        me: Participant,
        peers: &dyn Peers,
        deadline: Deadline,
    ) -> Result<Claim, ClaimError> {
        let mut patience = Patience::new(deadline);
        let mut linger = Linger::new(&self.local.luck_with_readers, deadline);
        let mut slept = false;
        loop {
            if protocol::is_closed(self.words()) {
                return Err(ClaimError::Closed);
            }
            match protocol::try_claim(self.words(), me) {
                Ok(at) => return self.claimed(at, self.words()),
                // One slot at a time would have both ends work on the same cache line.
                Err(_) if patience.spin() => {
                    while !protocol::has_stretch(self.words()) && patience.spin() {}
                }
                Err(reading) if reading.state() == State::Taken && linger.once() => {}
                Err(in_the_way) => {
                    if deadline != Deadline::NOW {
                        self.note_full(&mut slept);
                    }
                    if self.may_probe(deadline) && self.repair_if_dead(in_the_way, peers) {
                        continue;
                    }
                    if self.deserted(Role::Consumer, peers) {
                        return Err(ClaimError::Disconnected);
                    }
                    if deadline.expired() {
                        return Err(ClaimError::Full);
                    }
                    if let Some(at) = self.sleep_until_freed(me, peers, &mut patience, deadline) {
                        return self.claimed(at, self.words());
                    }
                }
            }
        }
    }

    /// One slice at the gate of producers; a claim, when the last look before sleeping found room.
    fn sleep_until_freed(
        &self,
        me: Participant,
        peers: &dyn Peers,
        patience: &mut Patience,
        deadline: Deadline,
    ) -> Option<Position> {
        let gate = &self.control().not_full;
        let ticket = gate.arm();
        let in_the_way = match protocol::try_claim(self.words(), me) {
            Ok(at) => return Some(at),
            Err(word) => word,
        };
        if !protocol::is_closed(self.words()) {
            let held = in_the_way.state() != State::Full;
            let watch = if held {
                Watch::Held
            } else {
                self.watch(me, peers)
            };
            self.doze(
                &self.control().not_full,
                ticket,
                watch,
                patience,
                peers,
                deadline,
            );
        }
        None
    }

    fn note_full(&self, slept: &mut bool) {
        if !std::mem::replace(slept, true) {
            step("queue.count-blocked");
            // Counts only; nothing is published by them.
            self.control().blocked.fetch_add(1, Relaxed);
            self.sample_length();
        }
    }

    /// The bytes of a claimed slot.
    #[inline(always)]
    pub(crate) fn room(&self, claim: &Claim, words: Words<'_>, fit: Fit) -> NonNull<[u8]> {
        match fit {
            Fit::Slot { size, at } => words.slots.part(claim.at.index(), at, size),
            Fit::Any => words.slots.bytes(claim.at.index(), self.payload_at),
        }
    }

    /// Publishes `len` bytes that were written to the claim's room.
    #[inline(always)]
    pub(crate) fn commit(&self, claim: Claim, words: Words<'_>, len: usize, fit: Fit) {
        if fit == Fit::Any
            && let Some(metas) = &self.metas
        {
            step("queue.length");
            // Published by the Release store of the word.
            metas.row(claim.at.index()).store(len as u64, Relaxed);
        }
        self.publish(claim, words);
    }

    #[inline(always)]
    fn publish(&self, claim: Claim, words: Words<'_>) {
        if claim.awaited {
            return self.publish_awaited(claim);
        }
        protocol::publish(words, claim.at);
        membarrier::light(); // pairs with the barrier of who goes to sleep behind this claim
        words.control().not_empty.wake_after_release(words.bells());
    }

    /// Wakes a sleeper after the message is there. Woken by the claim, he may be faster than the writer, and falls asleep
    /// again (measured: half of all round trips then took four times as long). A writer killed in between owes the
    /// wake-up; the sleepers' slices pay it.
    #[cold]
    fn publish_awaited(&self, claim: Claim) {
        protocol::publish_and_look(self.words(), claim.at);
        self.control().not_empty.wake(self.bells());
    }

    /// Publishes `len` bytes that were written to a block of `me`.
    pub(crate) fn commit_block(&self, claim: Claim, block: BlockRef, len: usize) {
        let (Some(metas), Some(refs)) = (&self.metas, &self.refs) else {
            unreachable!("fixed messages have no blocks");
        };
        step("queue.reference");
        // Both are published by the Release store of the word.
        refs.row(claim.at.index()).store(block.to_bits(), Relaxed);
        metas
            .row(claim.at.index())
            .store(len as u64 | SPILLED, Relaxed);
        self.publish(claim, self.words());
    }

    /// Gives a claim back: nothing was sent.
    #[cold]
    pub(crate) fn abort(&self, claim: Claim) {
        protocol::abandon(self.words(), claim.at);
        self.control().not_full.wake(self.bells());
        self.control().all_done.wake_all(self.bells());
    }
}
