//! Sleeping beside a ring without any state that a dead sleeper would have to undo.

use crate::sys::atomic::Ordering::{Relaxed, SeqCst};
use crate::sys::atomic::{AtomicU32, publish_then_look};
use crate::sys::clock::Deadline;
use crate::sys::futex::{self, Wake};
use crate::sys::seeded::seeded;
use crate::sys::step::step;

/// A sequence that sleepers watch, and a word that says whether anybody may be asleep.
///
/// | word | meaning |
/// |---|---|
/// | `sequence` | the futex: bumped by every waker that finds the gate armed |
/// | `armed` | 0: nobody sleeps here; else the (even) sequence at which somebody went to sleep, with bit 0 set |
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
}

/// A sleeper's place at a gate, between arming and waiting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket(u32);

impl Gate {
    #[cfg(loom)]
    pub(crate) fn new() -> Self {
        Gate {
            sequence: AtomicU32::new(0),
            armed: AtomicU32::new(0),
        }
    }

    /// Announces a sleeper; look at the ring once more, then [`wait`](Gate::wait) with the ticket.
    pub(crate) fn arm(&self) -> Ticket {
        // Pairs with the bump in `wake_armed`: a ticket older than a bump makes the futex wait return at once.
        let sequence = self.sequence.load(SeqCst);
        step("gate.arm");
        // SeqCst, before the caller's look at the ring; pairs with the load in `is_armed` after the waker's change. A
        // swap, not a store: it follows every disarming that happened, and costs the same instruction on x86-64.
        self.armed.swap(sequence | 1, SeqCst);
        publish_then_look();
        Ticket(sequence)
    }

    /// As [`arm`](Gate::arm), at a gate with one sleeper; and whether it was the first to arm it since it was disarmed.
    ///
    /// If not, whoever stored since has seen it armed, or will: only he disarms, and never from what was just written.
    pub(crate) fn arm_alone(&self) -> (Ticket, bool) {
        let sequence = self.sequence.load(SeqCst); // as in `arm`
        step("gate.arm-alone");
        let before = self.armed.swap(sequence | 1, SeqCst); // as in `arm`
        publish_then_look();
        (Ticket(sequence), before == 0)
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
    pub(crate) fn wake(&self) {
        if self.is_armed() {
            self.wake_armed(1);
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
    pub(crate) fn wake_after_release(&self) {
        if self.was_armed() && !seeded("queue-lost-wakeup") {
            self.wake_armed(1);
        }
    }

    /// Wakes every sleeper after a mere Release store; see [`wake_after_release`](Gate::wake_after_release).
    #[inline]
    pub(crate) fn wake_all_after_release(&self) {
        if self.was_armed() {
            self.wake_armed(u32::MAX);
        }
    }

    /// Wakes every sleeper.
    #[inline]
    pub(crate) fn wake_all(&self) {
        if self.is_armed() {
            self.wake_armed(u32::MAX);
        }
    }

    #[cold]
    fn wake_armed(&self, most: u32) {
        let armed = self.armed.load(SeqCst);
        step("gate.bump");
        // Pairs with the load in `arm` and with the kernel's comparison: who arms later waits for the new value.
        self.sequence.fetch_add(2, SeqCst);
        step("gate.wake");
        let woken = futex::wake(&self.sequence, most.min(i32::MAX as u32));
        if woken == 0 || most > 1 {
            step("gate.disarm");
            // From the exact value seen before the bump: an armer of the new sequence wrote another one.
            let _ = self.armed.compare_exchange(armed, 0, SeqCst, Relaxed);
        }
    }
}
