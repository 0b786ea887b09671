//! Whether anybody may sleep on a lock, which decides how its holder gives it up.
//!
//! An exchange tells the holder whether the word announced a sleeper, and costs as much as taking the lock did. While
//! the alert is *calm* a plain store does. It tells nothing, so the holder looks at the alert again behind it; and
//! because that look may come before the store is seen, whoever raises the alert first has every processor pass a
//! barrier. The frequent side pays nothing, the rare side some microseconds.
//!
//! | bits | meaning |
//! |---|---|
//! | 31 | somebody has slept: it spares the sweep a system call for each lock that nobody ever waited for |
//! | 30 | the lock is *fair*; such a lock is never calm |
//! | 29..12 | the *doubt*: how often the level has come to 1 |
//! | 11..0 | the level, below |
//!
//! | level | meaning |
//! |---|---|
//! | 0 | calm: nobody sleeps, the holder gives up by a store |
//! | 1 | in doubt: somebody is about to have the barrier passed, or to end the alert; as alert as what follows |
//! | 2.. | alert: the holder gives up by an exchange, and counts down while nobody sleeps |
//!
//! Who has the barrier passed ends the very doubt in which it was: a later one may follow a calm, in which somebody has
//! begun to give the lock up by a store that the barrier did not reach. Who dies in doubt leaves it for the next who wants
//! to sleep.

use crate::sys::atomic::{
    AtomicU32,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
};
use crate::sys::membarrier;
use crate::sys::seeded::seeded;
use crate::sys::step::step;

/// See the table above. All zero bytes are calm, and nobody has slept.
#[derive(Debug)]
#[repr(transparent)]
pub(super) struct Alert(AtomicU32);

/// A time in which nobody sleeps, or not: the value.
#[derive(Clone, Copy)]
pub(super) struct Calm(u32);

impl Calm {
    #[inline(always)]
    pub(super) fn is_calm(self) -> bool {
        self.0 & (LEVEL | FAIR) == CALM
    }
}

const USED: u32 = 1 << 31;
const FAIR: u32 = 1 << 30;
const LEVEL: u32 = DOUBT - 1;
const DOUBT: u32 = 1 << 12;
const DOUBTS: u32 = FAIR - DOUBT;
const UNUSED: u32 = 0;
const CALM: u32 = 0;
const IN_DOUBT: u32 = 1;
const LEAST: u32 = 2;
/// So many times is the lock given up with nobody asleep before calm comes back: the exchanges that this takes cost
/// about as much as the next barrier.
const FULL: u32 = LEAST + if cfg!(loom) { 0 } else { 1000 };
const _: () = assert!(FULL <= LEVEL);

/// The value at another level, in the same doubt.
fn at(value: u32, level: u32) -> u32 {
    value & !LEVEL | USED | level
}

/// The value in the next doubt.
fn doubted(value: u32) -> u32 {
    let doubt = value.wrapping_add(DOUBT) & DOUBTS;
    let doubt = if seeded("lock-alert-of-an-earlier-doubt") {
        0
    } else {
        doubt
    };
    value & FAIR | USED | doubt | IN_DOUBT
}

/// Whether the barrier has been passed since the last calm.
fn is_raised(value: u32) -> bool {
    value & FAIR != 0 || value & LEVEL >= LEAST
}

impl Alert {
    #[cfg(loom)]
    pub(super) fn new() -> Self {
        Alert(AtomicU32::new(USED | CALM))
    }

    /// Whether it is calm, for a holder who would give the lock up by a store. After that store and a
    /// [`membarrier::light`] it must be [the same](Alert::is_still).
    #[inline(always)]
    pub(super) fn now(&self) -> Calm {
        Calm(self.0.load(Relaxed)) // ordered by the barrier of who raises it
    }

    /// Whether it is the same calm as before. Another one will not do: somebody may have fallen asleep before it, and whoever
    /// ended that alert could not see him in a word that the store had overwritten.
    #[inline(always)]
    pub(super) fn is_still(&self, calm: Calm) -> bool {
        let now = self.now();
        now.0 == calm.0 || seeded("lock-any-calm-will-do") && now.is_calm()
    }

    /// Before the word announces a sleeper: from here on nobody gives up by a store.
    #[inline]
    pub(super) fn raise(&self) {
        // Pairs with the Release stores of FULL: the barrier has been passed.
        if !is_raised(self.0.load(Acquire)) {
            self.rise();
        }
    }

    #[cold]
    fn rise(&self) {
        loop {
            let mut seen = self.0.load(Acquire); // as in `raise`
            if is_raised(seen) {
                return;
            }
            if seen & LEVEL == CALM {
                let doubt = doubted(seen);
                step("alert.rise");
                if self
                    .0
                    .compare_exchange(seen, doubt, SeqCst, Relaxed)
                    .is_err()
                {
                    continue;
                }
                seen = doubt;
            }
            // Where the kernel has no barriers every process gives up by exchange; see `membarrier::is_ready`. A process
            // that alone is denied them may sleep through a store that is under way, for one slice.
            membarrier::heavy();
            step("alert.full");
            // From this very doubt. Release pairs with the load in `raise`.
            let full = at(seen, FULL);
            if self
                .0
                .compare_exchange(seen, full, Release, Relaxed)
                .is_ok()
            {
                return;
            }
        }
    }

    /// After the word announced a sleeper: whether the alert still stands. If not, a holder is ending it who may not have
    /// seen the announcement.
    pub(super) fn stands(&self) -> bool {
        is_raised(self.0.load(SeqCst)) // pairs with the swap in `calm_down`
    }

    /// Whether anybody may be asleep, for those who repair: reads what was stored last, by an exchange.
    pub(super) fn was_raised(&self) -> bool {
        self.0.fetch_or(0, Relaxed) != UNUSED // no step: changes nothing
    }

    /// Whether the lock goes to those who sleep before those who come.
    #[inline]
    pub(super) fn is_fair(&self) -> bool {
        self.0.load(Relaxed) & FAIR != 0 // set once, by a holder; who sees it late is unfair once more
    }

    /// Makes the lock fair for good. Called by the holder, so that no counting is under way; and nobody can be giving the
    /// lock up by a store.
    pub(super) fn make_fair(&self) {
        step("alert.fair");
        // Release pairs with the load in `raise`: the barrier need not be passed, as the only holder is the caller.
        self.0.fetch_or(FAIR | USED, Release);
        membarrier::heavy();
    }

    /// Called by the holder who finds no sleeper announced; ends the alert when that has happened often enough.
    ///
    /// `announced` reads the word by an exchange.
    #[inline]
    pub(super) fn ease(&self, announced: impl Fn() -> bool) {
        let seen = self.0.load(Relaxed);
        match seen & LEVEL {
            _ if seen & FAIR != 0 => {}
            CALM | IN_DOUBT => {}
            LEAST => self.calm_down(seen, announced),
            // Only the holder counts. Release keeps the chain of stores that `raise` pairs with.
            _ => {
                step("alert.ease");
                self.0.store(seen - 1, Release);
            }
        }
    }

    #[cold]
    fn calm_down(&self, seen: u32, announced: impl Fn() -> bool) {
        let doubt = doubted(seen);
        step("alert.doubt");
        // SeqCst, before the look at the word: who announced himself too late for it sees the doubt, and raises again.
        self.0.swap(doubt, SeqCst);
        let level = if announced() { FULL } else { CALM };
        step("alert.settle");
        // From the doubt only: somebody may have raised the alert meanwhile. Release pairs with the load in `raise`.
        let _ = self
            .0
            .compare_exchange(doubt, at(doubt, level), Release, Relaxed);
    }
}
