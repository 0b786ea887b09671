//! One call by which waiters are notified: in their order, and woken in whichever way each of them sleeps.

use super::{Peers, Waiters};
use crate::sync::waiter::{Position, Word};
use crate::sys::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::sys::bell::Address;
use crate::sys::futex;
use crate::sys::seeded::seeded;
use crate::sys::step::step;

/// One call of [`Waiters::notify`].
pub(super) struct Call<'a> {
    waiters: Waiters<'a>,
    peers: &'a dyn Peers,
    /// How many are still to be notified.
    left: u32,
    /// Sleepers that were notified and not woken yet.
    called: Option<Called>,
    /// Entries of the dead that were notified in vain: each is freed once another has been notified in its place.
    debts: Vec<(Position, Word)>,
}

/// Sleepers of one bell.
#[derive(Clone, Copy)]
struct Called {
    /// A position of one of them.
    at: Position,
    bits: u32,
}

impl<'a> Call<'a> {
    /// To notify so many.
    pub(super) fn new(waiters: Waiters<'a>, peers: &'a dyn Peers, most: u32) -> Self {
        Call {
            waiters,
            peers,
            left: most,
            called: None,
            debts: Vec::new(),
        }
    }

    /// How many are still to be notified.
    pub(super) fn left(&self) -> u32 {
        self.left
    }

    /// Notifies in this order; returns the position before which nobody waits any more.
    pub(super) fn walk(
        &mut self,
        positions: impl Iterator<Item = Position>,
        tail: Position,
    ) -> Position {
        for at in positions {
            if self.left == 0 {
                self.ring();
            }
            if self.left == 0 {
                return at;
            }
            self.notify(at);
        }
        tail
    }

    /// Notifies who waits at `at`, if anybody does.
    fn notify(&mut self, at: Position) {
        let entry = self.waiters.ring.entry(at);
        loop {
            let seen = Word(entry.load(Relaxed)); // only a hint for the exchange
            if !seen.waits_at(at) {
                return;
            }
            step("waiters.notify");
            // Release: pairs with the waiter's look. Acquire: what comes after is not before.
            let done = entry.compare_exchange(seen.0, seen.notified().0, AcqRel, Relaxed);
            if done.is_err() {
                continue; // it fell asleep, or has left
            }
            self.left -= 1;
            if let Some((dead, word)) = self.debts.pop() {
                self.waiters.free(self.waiters.ring.entry(dead), word);
            }
            if seen.is_asleep() {
                self.call(at);
            } else if seen.is_watching() {
                self.tell(at, seen.notified());
            }
            return;
        }
    }

    /// Rings for the watcher at `at`, who was notified. If it is dead another is to be notified in its place.
    #[cold]
    fn tell(&mut self, at: Position, notified: Word) {
        if self.is_dead(notified) {
            return self.owe(at, notified);
        }
        if !seeded("condition-watch-lost-ring") {
            let entry = self.waiters.ring.entry(at);
            step("waiters.ring");
            self.peers.ring(Address::of(entry));
        }
    }

    fn is_dead(&self, waiter: Word) -> bool {
        let dead = |who| !self.peers.is_alive(who);
        waiter.owner().is_some_and(dead)
    }

    /// A dead waiter was notified, whose entry is to be freed once another was in its place.
    fn owe(&mut self, at: Position, notified: Word) {
        self.left = self.left.saturating_add(1);
        self.debts.push((at, notified));
    }

    /// Remembers that the sleeper at `at` is to be woken.
    fn call(&mut self, at: Position) {
        let same = |called: &Called| called.at.bell() == at.bell();
        if !self.called.as_ref().is_some_and(same) {
            self.ring();
        }
        let bits = self.called.map_or(0, |called| called.bits) | at.bit();
        self.called = Some(Called { at, bits });
    }

    /// Wakes those that were called. Who of them is dead is taken back: another is to be notified in its place.
    fn ring(&mut self) {
        let Some(Called { at, bits }) = self.called.take() else {
            return;
        };
        let bell = &self.waiters.ring.bells[at.bell()];
        step("waiters.bell");
        // Release: pairs with the look before the sleep; who sees the old number is woken, or does not fall asleep.
        bell.fetch_add(1, Release);
        step("waiters.wake");
        if futex::wake_bits(bell, bits) < bits.count_ones() {
            self.look_for_the_dead(at, bits);
        }
    }

    /// Some were not asleep: on their way to it, just awake at the end of a slice, or dead.
    #[cold]
    fn look_for_the_dead(&mut self, at: Position, bits: u32) {
        let first = at.index() - at.bit().trailing_zeros() as usize;
        for index in (first..).take(u32::BITS as usize) {
            let Some(entry) = self.waiters.ring.entries.get(index) else {
                return;
            };
            let seen = Word(entry.load(Acquire)); // pairs with whoever changed it
            let called = bits & 1 << (index - first) != 0 && seen.is_notified();
            if called && self.is_dead(seen) {
                self.owe(seen.position(index), seen);
            }
        }
    }

    /// Nobody is left to notify in place of the dead.
    pub(super) fn settle(&mut self) {
        self.ring();
        for (dead, word) in self.debts.drain(..) {
            self.waiters.free(self.waiters.ring.entry(dead), word);
        }
    }
}
