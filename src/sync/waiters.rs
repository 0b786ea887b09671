//! Who waits for a condition, in the order of arrival, and who of them is notified.
//!
//! A waiter holds the user's lock when it enters the queue, and again when it leaves it. Between the two it looks at its
//! own entry and at nothing else. Who notifies changes the entries of the oldest waiters, one compare-and-swap for each,
//! and wakes those that say that they sleep, up to 32 by one ring of their bell; it needs no lock and waits for nobody.
//!
//! A waiter that waits for other things as well does not sleep here: it *watches* its entry, and whoever notifies it rings
//! for it among the watchers of the segment. Its entry says so, so that nobody else is rung and who sleeps here costs no
//! more than before.
//!
//! | from | to | by |
//! |---|---|---|
//! | free | waiting, me | who enters, holding the lock |
//! | waiting | asleep | the waiter, about to sleep by its bell |
//! | waiting, watching | watching | the waiter, enrolled as a watcher |
//! | waiting, asleep, watching | notified | who notifies: the commit word of a notification |
//! | waiting, asleep, watching | free | the waiter, when its time is over; the death of the waiter |
//! | notified | free | the waiter, when it has the lock again, or after one more has been notified in its place |
//! | notified, dead | free | who finds it dead, after one more has been notified in its place |
//!
//! A notification lies with its waiter until that one has the lock, so it is not lost with a waiter that dies before.
//! What a notifier owes to a sleeper when it dies the sleeper finds at the end of its slice.
//!
//! | dies after | state left | who repairs |
//! |---|---|---|
//! | entry taken | waiting, dead | the sweep, which who finds no free entry calls for; a notifier that wakes nobody |
//! | tail moved, lock given up, asleep, watching | the same | the same |
//! | notified, not awake | notified, nobody woken | the sleeper, after its slice |
//! | notified; the notified one dies | notified, dead | the notifier, if it woke nobody or finds the watcher dead; a sleeper after its slice; the sweep |
//! | notified; head not moved | a hint that is behind | the next notifier |
//!
//! # Positions
//!
//! Only who holds the lock moves `tail`, and does so after its entry is taken: entries before the tail that are not taken
//! never will be. `head` is stored by notifiers, and only ever with a position before which nobody waits, so a late
//! store sets it back and costs a walk. A waiter that stays for long has others pass it: positions whose entry is its
//! own are skipped, and while more than a ring's length lies between head and tail notifiers sort what they find.

mod call;

use super::patience::Patience;
use super::waiter::{BELLS, ENTRIES, LAP, Position, Word};
use crate::sys::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use crate::sys::bell::{Address, Bells};
use crate::sys::clock::Deadline;
use crate::sys::futex::{self, Wake};
use crate::sys::identity::{Oracle, Participant};
use crate::sys::seeded::seeded;
use crate::sys::step::step;
use crate::sys::until::{Over, Until};
use call::Call;

/// The entries. All zero bytes are a ring without waiters.
#[derive(Debug)]
#[cfg_attr(not(loom), repr(C))]
pub(crate) struct WaiterRing {
    /// Nobody waits before this position; in a line of its own, which only notifiers touch.
    head: AtomicU64,
    pad: [AtomicU64; 15],
    /// How often each bell was rung.
    bells: [AtomicU32; BELLS],
    entries: [AtomicU64; ENTRIES],
}

// SAFETY: repr(C), nothing but atomics.
#[cfg(not(loom))]
unsafe impl crate::segment::layout::Layout for WaiterRing {}

#[cfg(not(loom))]
const _: () = {
    use crate::segment::layout::LINE;
    assert!(size_of::<WaiterRing>() == 8448);
    assert!(std::mem::offset_of!(WaiterRing, bells) == LINE);
    assert!(std::mem::offset_of!(WaiterRing, entries) == 2 * LINE);
};

impl WaiterRing {
    #[cfg(any(loom, test))]
    pub(super) fn new() -> Self {
        let zero = |_| AtomicU64::new(0);
        WaiterRing {
            head: AtomicU64::new(0),
            pad: std::array::from_fn(zero),
            bells: std::array::from_fn(|_| AtomicU32::new(0)),
            entries: std::array::from_fn(zero),
        }
    }

    fn entry(&self, at: Position) -> &AtomicU64 {
        &self.entries[at.index()]
    }
}

/// A queue of waiters: its end, which lies beside the user's lock, and its ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiters<'a> {
    pub(super) tail: &'a AtomicU64,
    pub(super) ring: &'a WaiterRing,
}

/// A waiter's entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    at: Position,
    /// The entry as it was when it was taken.
    taken: Word,
}

impl Ticket {
    /// Whose it is.
    pub(crate) fn who(self) -> Option<Participant> {
        self.taken.owner()
    }

    /// Whether the entry, when it was `seen`, was this waiter's and nobody had notified it.
    fn still_waits(self, seen: Word) -> bool {
        seen.waits() && seen.is_same_waiter(self.taken)
    }
}

/// Who may be dead, and how those are woken who watch.
pub(crate) trait Peers: Oracle + Bells {}

impl<P: Oracle + Bells> Peers for P {}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// By a notification; [`Waiters::leave`] must follow, once the lock is held again.
    Notified,
    /// By the end of the time given, or of a process.
    Over(Over),
    /// The lock needs somebody to recover it.
    Orphaned,
}

impl<'a> Waiters<'a> {
    /// Puts `me` at the end of the queue; `None` if there are as many waiters as there are entries.
    ///
    /// The calling thread holds the user's lock.
    pub(crate) fn enter(self, me: Participant) -> Option<Ticket> {
        let tail = Position(self.tail.load(Relaxed)); // ordered by the lock
        for at in (0..LAP).map(|count| tail.behind(count)) {
            let entry = self.ring.entry(at);
            let seen = Word(entry.load(Relaxed)); // only a hint for the exchange
            if !seen.is_free_for(at) {
                continue;
            }
            let taken = Word::waiting(at, me);
            step("waiters.enter");
            // Relaxed: nothing lies behind an entry; a notifier sees it by way of the tail.
            let done = entry.compare_exchange(seen.0, taken.0, Relaxed, Relaxed);
            if done.is_ok() {
                step("waiters.tail");
                // Release: pairs with `notify`, which sees every entry before the tail that it sees.
                self.tail.store(at.behind(1).0, Release);
                return Some(Ticket { at, taken });
            }
        }
        None
    }

    /// Waits for a notification, with the lock given up.
    ///
    /// Who sleeps for a slice without one looks whether the dead have been notified; and asks `is_orphaned`, whether the
    /// lock has been left by a dead holder, who may have been the one to notify.
    pub(crate) fn wait(
        self,
        ticket: Ticket,
        until: Until<'_>,
        peers: &dyn Peers,
        is_orphaned: &dyn Fn() -> bool,
    ) -> Outcome {
        let mut patience = Patience::new(until, peers);
        let mut undisturbed = false;
        loop {
            // Acquire: pairs with the notifier's exchange.
            let seen = Word(self.ring.entry(ticket.at).load(Acquire));
            if !ticket.still_waits(seen) {
                return Outcome::Notified;
            }
            if patience.spin() {
                continue;
            }
            if undisturbed {
                self.look_about(peers);
            }
            let over = patience.over().map(Outcome::Over);
            let over = over.or_else(|| (undisturbed && is_orphaned()).then_some(Outcome::Orphaned));
            match over {
                Some(over) if self.withdraw(ticket) => return over,
                Some(_) => {} // notified just now
                None => undisturbed = self.sleep(ticket, seen, patience.slice()) == Wake::TimedOut,
            }
        }
    }

    /// Says that it sleeps, and sleeps until it is notified or `slice` is over.
    fn sleep(self, ticket: Ticket, seen: Word, slice: Deadline) -> Wake {
        let (entry, bell) = (
            self.ring.entry(ticket.at),
            &self.ring.bells[ticket.at.bell()],
        );
        // Acquire: pairs with `Call::ring`; who sees the bell rung sees what it was rung for, by the exchange below.
        let rung = bell.load(Acquire);
        step("waiters.asleep");
        // Relaxed: the word itself is all that matters, and its changes have one order. An exchange of the exact word:
        // a notification between the look and here stays.
        let said = entry.compare_exchange(seen.0, seen.asleep().0, Relaxed, Relaxed);
        if said.is_err() {
            return Wake::Changed;
        }
        step("waiters.sleep");
        futex::wait_bits(bell, rung, ticket.at.bit(), slice)
    }

    /// The word under which the waiter enrols as a watcher.
    #[cfg(not(loom))]
    pub(crate) fn word(self, ticket: Ticket) -> &'a AtomicU64 {
        self.ring.entry(ticket.at)
    }

    /// Whether the waiter waits no more: it was notified, or has left.
    #[inline]
    pub(crate) fn is_over(self, ticket: Ticket) -> bool {
        // Acquire: pairs with the notifier's exchange.
        !ticket.still_waits(Word(self.ring.entry(ticket.at).load(Acquire)))
    }

    /// Whether the waiter was notified, and has not left since.
    pub(crate) fn is_notified(self, ticket: Ticket) -> bool {
        // Acquire: pairs with the notifier's exchange.
        self.ring.entry(ticket.at).load(Acquire) == ticket.taken.notified().0
    }

    /// Announces that the waiter watches, enrolled under [`word`](Waiters::word); it looks once more after this.
    pub(crate) fn watch(self, ticket: Ticket) {
        let entry = self.ring.entry(ticket.at);
        let mut seen = Word(entry.load(Relaxed)); // only a hint for the exchange
        while ticket.still_waits(seen) {
            step("waiters.watch");
            // AcqRel: behind the enrolment, for the notifier who reads this; also where the word stays as it is, for the
            // enrolment is another each time. An exchange of the exact word: a notification stays.
            let watched = entry.compare_exchange(seen.0, seen.watching().0, AcqRel, Relaxed);
            match watched {
                Ok(_) => return,
                Err(now) => seen = Word(now),
            }
        }
    }

    /// Ends a wait, notified or not: the lock is held again.
    pub(crate) fn finish(self, ticket: Ticket) {
        if !self.withdraw(ticket) {
            self.leave(ticket);
        }
    }

    /// Ends the wait of one who has no use for a notification any more: if there is one, another waiter gets it.
    pub(crate) fn resign(self, ticket: Ticket, peers: &dyn Peers) {
        if !self.withdraw(ticket) && self.is_notified(ticket) {
            if !seeded("condition-resignation-eats-notify") {
                self.pass_on(peers);
            }
            self.leave(ticket);
        }
    }

    /// Leaves the queue without a notification; `false` if there is one.
    fn withdraw(self, ticket: Ticket) -> bool {
        let entry = self.ring.entry(ticket.at);
        loop {
            let seen = Word(entry.load(Relaxed)); // only a hint for the exchange
            if seeded("condition-timeout-eats-notify") {
                // no step: a deliberate fault
                entry.store(seen.freed().0, Relaxed);
                return true;
            }
            if !ticket.still_waits(seen) {
                return false;
            }
            step("waiters.withdraw");
            // Relaxed: nothing lies behind an entry.
            let done = entry.compare_exchange(seen.0, seen.freed().0, Relaxed, Relaxed);
            if done.is_ok() {
                return true;
            }
        }
    }

    /// Ends a wait that was notified: the lock is held again, and the notification with it.
    pub(crate) fn leave(self, ticket: Ticket) {
        let notified = ticket.taken.notified();
        step("waiters.leave");
        // From the exact word: should others have taken this process for dead, the entry may be somebody else's. Relaxed:
        // nothing lies behind an entry.
        let _ = self.ring.entry(ticket.at).compare_exchange(
            notified.0,
            notified.freed().0,
            Relaxed,
            Relaxed,
        );
    }

    /// Notifies the `most` waiters who have waited for longest, or all if there are fewer; returns how many it were.
    ///
    /// Waits for nobody, whoever holds the lock.
    #[inline]
    pub(crate) fn notify(self, most: u32, peers: &dyn Peers) -> u32 {
        // Acquire: pairs with the store in `notify_from`; all before it is settled in the eyes of this thread, too.
        let head = Position(self.ring.head.load(Acquire));
        // Acquire: pairs with `enter`.
        let tail = Position(self.tail.load(Acquire));
        if head >= tail || most == 0 {
            return 0;
        }
        self.notify_from(head, tail, most, peers)
    }

    fn notify_from(self, head: Position, tail: Position, most: u32, peers: &dyn Peers) -> u32 {
        let mut call = Call::new(self, peers, most);
        let settled = if tail.0 - head.0 <= LAP {
            call.walk((head.0..tail.0).map(Position), tail)
        } else {
            call.walk(self.waiting_before(tail).into_iter(), tail)
        };
        call.settle();
        step("waiters.head");
        // Release: pairs with `notify`. A plain store: one that comes late sets the hint back, to where it was true too.
        self.ring.head.store(settled.0, Release);
        most - call.left()
    }

    /// The positions at which somebody waits, oldest first; for when they are scattered.
    #[cold]
    fn waiting_before(self, tail: Position) -> Vec<Position> {
        let words = self.ring.entries.iter().enumerate();
        let waiting = words.filter_map(|(index, entry)| {
            let seen = Word(entry.load(Relaxed)); // seen by way of the tail, like all that `notify` sees
            seen.waits().then(|| seen.position(index))
        });
        let mut found: Vec<Position> = waiting.filter(|&at| at < tail).collect();
        found.sort_unstable();
        found
    }

    /// Passes on what the dead have been notified of. Asks about those only who have been notified and have not left yet,
    /// of whom there are few at any time.
    #[cold]
    pub(crate) fn look_about(self, peers: &dyn Peers) {
        for entry in &self.ring.entries {
            // Acquire: pairs with the notifier's exchange.
            let seen = Word(entry.load(Acquire));
            let is_dead = |who| !peers.is_alive(who);
            if seen.is_notified() && seen.owner().is_some_and(is_dead) {
                self.pass_on(peers);
                self.free(entry, seen);
            }
        }
    }

    /// Notifies one more in place of a dead waiter, before the entry of that one is freed: who dies between the two leaves
    /// a notification too many, not too few.
    fn pass_on(self, peers: &dyn Peers) {
        if !seeded("condition-notify-lost-with-the-dead") {
            self.notify(1, peers);
        }
    }

    /// Takes the participant `dead`, of which the caller knows that it is dead, out of the queue, and passes on the
    /// notifications that it had not yet woken up to.
    pub(crate) fn repair(self, dead: Participant, bells: &dyn Bells) {
        for entry in &self.ring.entries {
            loop {
                // Acquire: pairs with the notifier's exchange.
                let seen = Word(entry.load(Acquire));
                if seen.owner() != Some(dead) {
                    break;
                }
                if seen.is_notified() {
                    self.pass_on(&AllBut { dead, bells });
                }
                if self.free(entry, seen) {
                    break;
                }
            }
        }
    }

    /// Takes a dead waiter's entry back from the exact word seen; `false` if it changed meanwhile.
    fn free(self, entry: &AtomicU64, seen: Word) -> bool {
        step("waiters.free");
        // Relaxed: nothing lies behind an entry.
        let freed = entry.compare_exchange(seen.0, seen.freed().0, Relaxed, Relaxed);
        freed.is_ok()
    }
}

/// In the eyes of a repair one is dead; the others have repairs of their own.
struct AllBut<'a> {
    dead: Participant,
    bells: &'a dyn Bells,
}

impl Oracle for AllBut<'_> {
    fn is_alive(&self, who: Participant) -> bool {
        who != self.dead
    }
}

impl Bells for AllBut<'_> {
    fn ring(&self, word: Address) {
        self.bells.ring(word);
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
