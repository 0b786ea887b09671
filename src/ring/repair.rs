//! After a death: what the dead held is offered again, skipped or freed. Every step may be repeated by anybody.

use super::core::Ring;
use super::geometry::Fit;
use super::lease::RecordHead;
use super::protocol;
use super::taken::Taken;
use super::wait::Peers;
use super::word::{Position, State, Word};
use crate::sys::atomic::Ordering::{Acquire, Relaxed, SeqCst};
use crate::sys::identity::Participant;
use crate::sys::seeded::seeded;
use crate::sys::step::step;

impl Ring {
    /// Repairs everything that `dead` held. Idempotent; several survivors may do it at once, and die doing it.
    ///
    /// The caller has made sure that the process is dead and that its seat is not taken again meanwhile: repairing
    /// the living would tear their messages.
    pub(crate) fn repair(&self, dead: Participant) {
        // Records before slots: whether a record is a whole lease is read off its slot.
        for (index, word) in self.open_records() {
            if word.is_owned_by(dead) {
                self.repair_record(index, word);
            }
        }
        for index in 0..self.capacity() {
            // Acquire: pairs with whatever the dead did last to this word.
            let word = Word(self.slots.row(index).load(Acquire));
            if word.is_owned_by(dead) {
                self.repair_slot(index, word);
            }
        }
        self.sweep_blocks(dead);
        protocol::announce_return(self.words());
        self.stir();
    }

    fn repair_record(&self, index: u32, word: Word) {
        let record = self.records.row(index);
        if word.state() == State::Filling || self.slot_still_has(record, word) {
            self.free_record(index, word);
            return;
        }
        if seeded("lease-not-returned") {
            return;
        }
        step("lease.return");
        // From the exact word seen. Release: pairs with `take_record`.
        let again = word.unowned(State::Returned).0;
        if record
            .word
            .compare_exchange(word.0, again, SeqCst, Relaxed)
            .is_ok()
        {
            self.control().redelivered.fetch_add(1, Relaxed);
        }
    }

    /// Whether the slot from which a lease was being made still has the message: then the move never happened.
    fn slot_still_has(&self, record: &RecordHead, lease: Word) -> bool {
        let from = Position(record.id.load(Relaxed));
        if from.index() >= self.capacity() {
            return false;
        }
        // Pairs with the freeing swap in `move_out`.
        let slot = Word(self.slots.row(from.index()).load(Acquire));
        slot.lap() == from.lap() && slot.state() == State::Taken && slot.owner() == lease.owner()
    }

    fn repair_slot(&self, index: u32, word: Word) {
        match word.state() {
            State::Writing => _ = protocol::skip_dead_writer(self.words(), index, word),
            State::Taken => self.return_slot(index, word),
            _ => {}
        }
    }

    fn return_slot(&self, index: u32, word: Word) {
        if protocol::offer_again(self.words(), index, word) {
            // no step: a count; dying before it is dying after the step above
            self.control().redelivered.fetch_add(1, Relaxed);
        }
    }

    /// Repairs the holder of one word if it is dead; true when there was something to repair.
    #[cold]
    pub(super) fn repair_if_dead(&self, word: Word, peers: &dyn Peers) -> bool {
        let Some(owner) = word.owner() else {
            return false;
        };
        if seeded("queue-sweep-living") {
            self.repair(owner);
        }
        !peers.is_alive(owner) && peers.bury(owner, &|dead| self.repair(dead))
    }

    /// Looks at everything in other hands and repairs what is in dead ones; true when anything is in other hands.
    pub(crate) fn repair_what_the_dead_hold(&self, me: Participant, peers: &dyn Peers) -> bool {
        let (mut held, mut returned) = (false, false);
        let mut last_alive = me;
        let mut examine = |word: Word| {
            returned |= word.state() == State::Returned;
            let Some(owner) = word.owner().filter(|&owner| owner != me) else {
                return;
            };
            held = true;
            if owner != last_alive && !self.repair_if_dead(word, peers) {
                last_alive = owner;
            }
        };
        for index in 0..self.capacity() {
            // Only a reason to ask; the repair starts from a fresh look.
            examine(Word(self.slots.row(index).load(Relaxed)));
        }
        self.open_records().for_each(|(_, word)| examine(word));
        if returned {
            // Whoever gave it back may have died before announcing it.
            self.search_again();
        }
        held || returned
    }

    /// Makes the next look of this process search for messages given back.
    fn search_again(&self) {
        let announced = self.control().returns.load(Relaxed);
        // no step: private to this process
        self.seen.returns.store(announced.wrapping_sub(1), Relaxed);
    }

    /// Takes a message that was given back, if one was since the last search that found none.
    #[inline]
    pub(super) fn take_returned(&self, me: Participant) -> Option<Taken> {
        // Pairs with the bump in `announce_return`, which follows the word's change.
        let returns = self.control().returns.load(SeqCst);
        if returns == self.seen.returns.load(Relaxed) {
            return None;
        }
        self.search_returned(me, returns)
    }

    #[cold]
    fn search_returned(&self, me: Participant, returns: u32) -> Option<Taken> {
        self.bury_the_undeliverable(me);
        let from_record = self
            .open_records()
            .filter(|&(_, word)| word.state() == State::Returned && !self.is_undeliverable(word))
            .find_map(|(index, seen)| self.take_record(index, seen, seen.taken(me)));
        let found = from_record.or_else(|| self.search_slots(me));
        if found.is_none() {
            // Everything announced up to `returns` was looked for; what came later bumped it again.
            // no step: private to this process
            self.seen.returns.store(returns, Relaxed);
        }
        found
    }

    fn search_slots(&self, me: Participant) -> Option<Taken> {
        let capacity = self.capacity();
        let from = self.local.search_from.load(Relaxed) % capacity;
        let index = (0..capacity)
            .map(|n| (from + n) % capacity)
            .find_map(|index| {
                // What was offered again for the last time since the burial above waits for the next one.
                let seen = self
                    .returned_slot(index)
                    .filter(|&word| !self.is_undeliverable(word))?;
                protocol::retake(self.words(), index, seen, me).map(|mine| (index, mine))
            });
        let (index, mine) = index?;
        // no step: private to this process
        self.local.search_from.store(index + 1, Relaxed);
        Some(self.taken(index, mine, me, Fit::Any))
    }

    fn returned_slot(&self, index: u32) -> Option<Word> {
        // Acquire: pairs with `offer_again`.
        let word = Word(self.slots.row(index).load(Acquire));
        (word.state() == State::Returned).then_some(word)
    }

    fn is_undeliverable(&self, word: Word) -> bool {
        word.state() == State::Returned && word.count() >= u32::from(self.geometry.max_deliveries)
    }

    /// Makes a record one of the dead letters, from the exact word seen; the payload stays where it is.
    fn bury_record(&self, index: u32, seen: Word) {
        step("lease.bury");
        let cell = &self.records.row(index).word;
        // Release: pairs with `take_record`.
        let _ = cell.compare_exchange(seen.0, seen.unowned(State::Dead).0, SeqCst, Relaxed);
    }

    /// Moves what was delivered too often to the dead letters, so that a message which ends its readers does not end
    /// them all.
    pub(super) fn bury_the_undeliverable(&self, me: Participant) {
        for (index, word) in self.open_records() {
            if self.is_undeliverable(word) {
                self.bury_record(index, word);
            }
        }
        for index in 0..self.capacity() {
            let Some(seen) = self
                .returned_slot(index)
                .filter(|&word| self.is_undeliverable(word))
            else {
                continue;
            };
            // Not counted as a delivery: nobody reads it.
            let mine = seen.owned(State::Taken, me);
            step("queue.bury");
            let cell = self.slots.row(index);
            if cell
                .compare_exchange(seen.0, mine.0, SeqCst, Relaxed)
                .is_ok()
            {
                let taken = self.taken(index, mine, me, Fit::Any);
                match self.move_out(me, taken, Fit::Any) {
                    Some(moved) => self.bury_record(moved.index(), moved.word()),
                    None => return self.give_back(taken), // no room for it: it stays in the queue
                }
            }
        }
    }
}
