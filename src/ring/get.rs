//! Getting: take the next message, read in place, acknowledge or give back.

use super::core::{Ring, TakeError, Words};
use super::geometry::Fit;
use super::linger::Linger;
use super::protocol::{self, Nothing};
use super::taken::Taken;
use super::wait::{Patience, Peers, Role, Watch};
use super::word::State;
use crate::sys::atomic::Ordering::{Relaxed, SeqCst};
use crate::sys::clock::{Deadline, now_ns};
use crate::sys::identity::Participant;
use crate::sys::membarrier;
use crate::sys::step::step;

/// The line of a slot that holds its word: freeing the slot writes it anyway.
const FIRST_LINE: usize = 64;

impl Ring {
    /// Takes the message where the next one is likely to be, by one exchange or not at all. All of it is inlined; who gets
    /// nothing goes on with [`take`](Ring::take).
    #[inline(always)]
    pub(crate) fn take_here(&self, me: Participant, words: Words<'_>, fit: Fit) -> Option<Taken> {
        if self.may_have_returns() {
            return None;
        }
        let (at, word) = protocol::take_here(words, me)?;
        Some(self.taken(at.index(), word, me, fit))
    }

    #[inline(always)]
    pub(super) fn may_have_returns(&self) -> bool {
        // A stale answer is put right at the next call, or before the caller sleeps.
        self.control().returns.load(Relaxed) != self.seen.returns.load(Relaxed)
    }

    /// One look everywhere: messages given back first, then the head.
    fn look(&self, me: Participant) -> Result<Taken, Nothing> {
        if let Some(again) = self.take_returned(me) {
            return Ok(again);
        }
        protocol::try_take(self.words(), me)
            .map(|(at, word)| self.taken(at.index(), word, me, Fit::Any))
    }

    /// A look after arming the gate. Who publishes what is in flight looks at the gate behind a store; the barrier makes
    /// sure that either he sees it armed, or the second look sees his message.
    fn look_at_flight(&self, me: Participant) -> Result<Taken, Nothing> {
        match self.look(me) {
            Err(Nothing::InFlight(..)) => {
                membarrier::heavy();
                self.look(me)
            }
            other => other,
        }
    }

    /// Takes the next message, waiting until `deadline`; [`Deadline::NOW`] tries once.
    ///
    /// # Errors
    ///
    /// [`TakeError`]; nothing is held then.
    #[inline(never)]
    pub(crate) fn take(
        &self,
        me: Participant,
        peers: &dyn Peers,
        deadline: Deadline,
    ) -> Result<Taken, TakeError> {
        let mut patience = Patience::new(deadline);
        let mut linger = Linger::new(&self.local.luck_with_writers, deadline);
        self.let_gather(&mut patience);
        loop {
            // Looked up before the ring is found empty: whoever claims later sees the closing and withdraws.
            let closed = protocol::is_closed(self.words());
            let nothing = match self.look(me) {
                Ok(taken) => return Ok(taken),
                Err(nothing) => nothing,
            };
            if closed && nothing == Nothing::Empty {
                match self.look_behind_the_dead(me, peers) {
                    Err(Nothing::Empty) => return Err(TakeError::Closed),
                    Err(Nothing::InFlight(..)) => continue,
                    Ok(taken) => return Ok(taken),
                }
            }
            if patience.spin() || matches!(nothing, Nothing::InFlight(..)) && linger.once() {
                continue;
            }
            match nothing {
                Nothing::InFlight(_, word)
                    if self.may_probe(deadline) && self.repair_if_dead(word, peers) =>
                {
                    continue;
                }
                Nothing::Empty if self.deserted(Role::Producer, peers) => {
                    let last = self.look_behind_the_dead(me, peers);
                    return last.map_err(|_| TakeError::Disconnected);
                }
                _ => {}
            }
            if deadline.expired() {
                return self.last_look(me, peers);
            }
            if let Some(taken) = self.sleep_until_put(me, peers, &mut patience, deadline) {
                return Ok(taken);
            }
        }
    }

    /// Leaves a stream of messages alone for a moment; see [`Stream`](super::stream::Stream).
    pub(super) fn let_gather(&self, patience: &mut Patience) {
        let steps = self
            .local
            .stream
            .steps(protocol::taken_so_far(self.words()));
        for _ in 0..steps {
            if protocol::has_gathered(self.words()) || !patience.spin() {
                break;
            }
        }
    }

    /// Before a poll gives up: who only ever polls must find what the dead held as well.
    fn last_look(&self, me: Participant, peers: &dyn Peers) -> Result<Taken, TakeError> {
        const BETWEEN_WATCHES: u64 = 10_000_000;
        let (now, last) = (now_ns(), self.local.last_watch.load(Relaxed));
        if now.saturating_sub(last) < BETWEEN_WATCHES {
            return Err(TakeError::Empty);
        }
        self.look_behind_the_dead(me, peers)
            .map_err(|_| TakeError::Empty)
    }

    /// A look after everything that the dead held was offered again.
    fn look_behind_the_dead(&self, me: Participant, peers: &dyn Peers) -> Result<Taken, Nothing> {
        self.watch(me, peers);
        self.look(me)
    }

    /// One slice at the gate of consumers; a message, when the last look before sleeping found one.
    fn sleep_until_put(
        &self,
        me: Participant,
        peers: &dyn Peers,
        patience: &mut Patience,
        deadline: Deadline,
    ) -> Option<Taken> {
        let ticket = self.control().not_empty.arm();
        let watch = match self.look_at_flight(me) {
            Ok(taken) => return Some(taken),
            Err(Nothing::InFlight(..)) => Watch::InFlight,
            Err(Nothing::Empty) => self.watch(me, peers),
        };
        if !protocol::is_closed(self.words()) && !self.may_have_returns() {
            self.doze(
                &self.control().not_empty,
                ticket,
                watch,
                patience,
                peers,
                deadline,
            );
        }
        None
    }

    /// Acknowledges: the message is done with and will never be seen again.
    #[inline(always)]
    pub(crate) fn ack(&self, taken: Taken, fit: Fit) {
        if fit == Fit::Any || !self.free_slot(taken, fit) {
            return self.ack_any(taken);
        }
        membarrier::light(); // pairs with the barrier of who waits among other things, and enters no slice
        let control = self.control();
        if control.not_full.was_armed() || control.all_done.was_armed() {
            self.wake_after_ack();
        }
    }

    #[cold]
    fn wake_after_ack(&self) {
        self.control().not_full.wake_after_release(self.bells());
        self.control().all_done.wake_all_after_release(self.bells());
    }

    /// [`ack`](Ring::ack) of any message, wherever it is.
    fn ack_any(&self, taken: Taken) {
        let block = self.spilled(&taken, Fit::Any);
        if taken.is_detached() {
            self.free_own_record(taken.index(), taken.word());
        } else {
            self.free_slot(taken, Fit::Any);
        }
        if let (Some(block), Some(me)) = (block, taken.word().owner()) {
            self.release_block(me, block);
        }
        self.wake_after_ack();
    }

    /// [`ack`](Ring::ack) of a message that lies most likely in a lease record.
    #[inline(always)]
    pub(crate) fn ack_leased(&self, taken: Taken, fit: Fit) {
        if fit == Fit::Any || !taken.is_detached() {
            return self.ack_any(taken);
        }
        self.free_own_record(taken.index(), taken.word());
        self.control().all_done.wake_all_after_release(self.bells());
    }

    /// Frees the slot of a message that is done with, or lies elsewhere by now; `false` if it does not lie in one. Whoever
    /// waits for a slot has yet to be woken.
    #[inline(always)]
    pub(super) fn free_slot(&self, taken: Taken, fit: Fit) -> bool {
        let words = self.words_of(fit);
        let Some(slot) = words.slots.find(taken.place()) else {
            return false;
        };
        let end = self.end_in_slot(&taken, fit);
        if end > FIRST_LINE && self.rewrites {
            // SAFETY: the slot is `Taken` by us; its message was used through guards, of which none is left.
            unsafe { words.slots.rewrite_lines(taken.index(), FIRST_LINE, end) };
        }
        protocol::free(slot, taken.word());
        true
    }

    /// Gives the message back, for anybody to take again, out of order.
    #[cold]
    pub(crate) fn give_back(&self, taken: Taken) {
        let word = self.word_of(&taken);
        step("queue.give-back");
        // Release: pairs with `retake`; from the exact word that makes us its holder.
        let again = taken.word().unowned(State::Returned).0;
        if word
            .compare_exchange(taken.word().0, again, SeqCst, Relaxed)
            .is_ok()
        {
            self.control().redelivered.fetch_add(1, Relaxed);
        }
        protocol::announce_return(self.words());
    }
}
