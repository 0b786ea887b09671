//! Sleeping beside a ring without any state that a dead sleeper would have to undo.

use crate::sys::atomic::Ordering::{Relaxed, SeqCst};
use crate::sys::atomic::{AtomicU32, publish_then_look};
use crate::sys::bell::{Address, Bells};
use crate::sys::clock::Deadline;
use crate::sys::futex::{self, Wake};
use crate::sys::seeded::seeded;
use crate::sys::step::step;

/// A sequence that sleepers watch, and a word that says whether anybody may be asleep.
///
/// | word | meaning |
/// |---|---|
/// | `sequence` | the futex: bumped by 4 by every waker that finds the gate armed |
/// | `armed` | 0: nobody waits for this gate; else the sequence at which somebody last began to, and bit 0 if anybody may sleep on the futex, bit 1 if anybody may watch |
/// | `watched` | 0: nobody has begun to watch since the watchers were rung; else the sequence at which somebody did, and bit 0 |
///
/// *No lost wake-up.* A sleeper arms, looks at the ring, then waits for the sequence it read before arming. A waker
/// changes the ring, then looks at `armed`. Both sides use sequentially consistent operations, so one of them sees
/// the other (store, then load, on each side).
///
/// *Nothing to undo.* A sleeper that dies leaves `armed` set: the next waker makes one needless system call, finds
/// nobody and disarms. A waker that dies after bumping leaves `armed` set too, so the next waker wakes the sleeper;
/// what the dead one had announced was a claim that its death undoes. `armed` is only ever cleared from the exact
/// value read before the bump, hence never when somebody armed for the new sequence in between.
#[cfg_attr(not(loom), repr(C))]
#[derive(Debug)]
pub(crate) struct Gate {
    sequence: AtomicU32,
    armed: AtomicU32,
    watched: AtomicU32,
}

const SLEEPERS: u32 = 1;
const WATCHERS: u32 = 2;
const BUMP: u32 = 4;

/// A sleeper's place at a gate, between arming and waiting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket(u32);

impl Gate {
    #[cfg(loom)]
    pub(crate) fn new() -> Self {
        Gate {
            sequence: AtomicU32::new(0),
            armed: AtomicU32::new(0),
            watched: AtomicU32::new(0),
        }
    }

    /// Announces a sleeper; look at the ring once more, then [`wait`](Gate::wait) with the ticket.
    pub(crate) fn arm(&self) -> Ticket {
        // Pairs with the bump in `wake_armed`: a ticket older than a bump makes the futex wait return at once.
        let sequence = self.sequence.load(SeqCst);
        step("gate.arm");
        // SeqCst, before the caller's look at the ring; pairs with the load in `is_armed` after the waker's change. A
        // swap, not a store: it follows every disarming that happened, and costs the same instruction on x86-64.
        self.armed.swap(sequence | SLEEPERS, SeqCst);
        publish_then_look();
        Ticket(sequence)
    }

    /// As [`arm`](Gate::arm), at a gate with one sleeper; and whether it was the first to arm it since it was disarmed.
    ///
    /// If not, whoever stored since has seen it armed, or will: only he disarms, and never from what was just written.
    pub(crate) fn arm_alone(&self) -> (Ticket, bool) {
        let sequence = self.sequence.load(SeqCst); // as in `arm`
        step("gate.arm-alone");
        let before = self.armed.swap(sequence | SLEEPERS, SeqCst); // as in `arm`
        publish_then_look();
        (Ticket(sequence), before == 0)
    }

    /// Announces a watcher, who is enrolled with his bell already; let a barrier pass, and look at the ring once more.
    pub(crate) fn watch(&self) {
        let sequence = self.sequence.load(SeqCst); // as in `arm`
        step("gate.watch");
        // SeqCst: pairs with the load in `wake_armed`.
        self.watched.swap(sequence | 1, SeqCst);
        let mut seen = self.armed.load(Relaxed); // a guess for the exchange
        loop {
            step("gate.arm-watched");
            let armed = sequence | (seen & SLEEPERS) | WATCHERS;
            // SeqCst: as in `arm`.
            match self.armed.compare_exchange(seen, armed, SeqCst, Relaxed) {
                Ok(_) => break,
                Err(now) => seen = now,
            }
        }
        publish_then_look();
    }

    /// The word by which the gate's watchers enrol.
    #[cfg(not(loom))]
    pub(crate) fn word(&self) -> &AtomicU32 {
        &self.sequence
    }

    /// Sleeps until a waker bumps the sequence past the ticket, the slice ends, or for no reason at all; true unless
    /// the slice ended.
    pub(crate) fn wait(&self, ticket: Ticket, slice: Deadline) -> bool {
        step("gate.wait");
        futex::wait(&self.sequence, ticket.0, slice) != Wake::TimedOut
    }

    /// Whether somebody may be asleep; the caller's change to the ring was a SeqCst operation before this.
    #[inline]
    pub(crate) fn is_armed(&self) -> bool {
        publish_then_look();
        // Pairs with the store in `arm`.
        self.armed.load(SeqCst) != 0 && !seeded("queue-lost-wakeup")
    }

    /// Wakes one sleeper if anybody may be asleep: one load when nobody is.
    #[inline]
    pub(crate) fn wake(&self, bells: &impl Bells) {
        if self.is_armed() {
            self.wake_armed(1, bells);
        }
    }

    /// Whether somebody may be asleep, at a glance: see [`wake_after_release`](Gate::wake_after_release).
    #[inline(always)]
    pub(crate) fn was_armed(&self) -> bool {
        // Relaxed: ordered by the earlier operation or the sleeper's barrier, see the top of `protocol`.
        self.armed.load(Relaxed) != 0
    }

    /// Wakes one sleeper after a mere Release store: for changes that are no more than the end of what an earlier
    /// SeqCst operation began, and whose sleepers know it and look again soon, or pass a barrier on before they sleep.
    #[inline]
    pub(crate) fn wake_after_release(&self, bells: &impl Bells) {
        if self.was_armed() && !seeded("queue-lost-wakeup") {
            self.wake_armed(1, bells);
        }
    }

    /// Wakes every sleeper after a mere Release store; see [`wake_after_release`](Gate::wake_after_release).
    #[inline]
    pub(crate) fn wake_all_after_release(&self, bells: &impl Bells) {
        if self.was_armed() {
            self.wake_armed(u32::MAX, bells);
        }
    }

    /// Wakes every sleeper.
    #[inline]
    pub(crate) fn wake_all(&self, bells: &impl Bells) {
        if self.is_armed() {
            self.wake_armed(u32::MAX, bells);
        }
    }

    #[cold]
    fn wake_armed(&self, most: u32, bells: &impl Bells) {
        let armed = self.armed.load(SeqCst);
        let watched = self.watched.load(SeqCst); // pairs with the swap in `watch`
        step("gate.bump");
        // Pairs with the load in `arm` and with the kernel's comparison: who arms later waits for the new value.
        self.sequence.fetch_add(BUMP, SeqCst);
        let woken = self.wake_sleepers(armed, most);
        if watched != 0 {
            self.ring_watchers(watched, bells);
        }
        if woken == 0 || most > 1 {
            step("gate.disarm");
            // From the exact value seen before the bump: an armer of the new sequence wrote another one.
            let _ = self.armed.compare_exchange(armed, 0, SeqCst, Relaxed);
        }
    }

    /// How many were woken; none without asking the kernel, where only watchers have armed.
    fn wake_sleepers(&self, armed: u32, most: u32) -> u32 {
        if armed & SLEEPERS == 0 {
            return 0;
        }
        step("gate.wake");
        futex::wake(&self.sequence, most.min(i32::MAX as u32))
    }

    /// Rings all of them, and only then takes their announcement for answered: a waker that dies in between leaves it.
    fn ring_watchers(&self, watched: u32, bells: &impl Bells) {
        if !seeded("watch-lost-ring") {
            bells.ring(Address::of(&self.sequence));
        }
        step("gate.unwatch");
        // From the exact value seen before the bump, as with `armed`.
        let _ = self.watched.compare_exchange(watched, 0, SeqCst, Relaxed);
    }
}
