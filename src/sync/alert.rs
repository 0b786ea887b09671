//! Whether anybody may sleep on a lock, which decides how its holder gives it up.
//!
//! An exchange tells the holder whether the word announced a sleeper, and costs as much as taking the lock did. While
//! the alert is *calm* a plain store does. It tells nothing, so the holder looks at the alert again behind it; and
//! because that look may come before the store is seen, whoever raises the alert first has every processor pass a
//! barrier. The frequent side pays nothing, the rare side some microseconds.
//!
//! | value without bit 31 | meaning |
//! |---|---|
//! | 0 | calm: nobody sleeps, the holder gives up by a store |
//! | 1 | in doubt: somebody is about to have the barrier passed, or to end the alert; as alert as what follows |
//! | 2.. | alert: the holder gives up by an exchange, and counts down while nobody sleeps |
//!
//! Bit 30 says that the lock is *fair*; such a lock is never calm.
//!
//! Who dies at 1 leaves it there for the next who wants to sleep. Bit 31 stays once anybody has slept: it spares the
//! sweep a system call for each lock that nobody ever waited for.

use crate::sys::atomic::{
    AtomicU32,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
};
use crate::sys::membarrier;
use crate::sys::step::step;

/// See the table above. All zero bytes are calm, and nobody has slept.
#[derive(Debug)]
#[repr(transparent)]
pub(super) struct Alert(AtomicU32);

const USED: u32 = 1 << 31;
const FAIR: u32 = 1 << 30;
const UNUSED: u32 = 0;
const CALM: u32 = USED;
const IN_DOUBT: u32 = USED | 1;
const LEAST: u32 = USED | 2;
/// So many times is the lock given up with nobody asleep before calm comes back: the exchanges that this takes cost
/// about as much as the next barrier.
const FULL: u32 = LEAST + if cfg!(loom) { 0 } else { 1000 };

impl Alert {
    #[cfg(loom)]
    pub(super) fn new() -> Self {
        Alert(AtomicU32::new(CALM))
    }

    /// Whether the lock may be given up by a store; looked at again after that store and a [`membarrier::light`].
    #[inline]
    pub(super) fn is_calm(&self) -> bool {
        self.0.load(Relaxed) & !USED == 0 // ordered by the barrier of who raises it
    }

    /// Before the word announces a sleeper: from here on nobody gives up by a store.
    #[inline]
    pub(super) fn raise(&self) {
        // Pairs with the Release stores of FULL: the barrier has been passed.
        if self.0.load(Acquire) < LEAST {
            self.rise();
        }
    }

    #[cold]
    fn rise(&self) {
        step("alert.rise");
        for calm in [CALM, UNUSED] {
            let _ = self.0.compare_exchange(calm, IN_DOUBT, SeqCst, Relaxed);
        }
        // Where the kernel has no barriers every process gives up by exchange; see `membarrier::is_ready`. A process that
        // alone is denied them may sleep through a store that is under way, for one slice.
        membarrier::heavy();
        step("alert.full");
        // Release pairs with the load in `raise`.
        let _ = self.0.compare_exchange(IN_DOUBT, FULL, Release, Relaxed);
    }

    /// After the word announced a sleeper: whether the alert still stands. If not, a holder is ending it who may not have
    /// seen the announcement.
    pub(super) fn stands(&self) -> bool {
        self.0.load(SeqCst) >= LEAST // pairs with the swap in `calm_down`
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
        match self.0.load(Relaxed) {
            fair if fair & FAIR != 0 => {}
            UNUSED | CALM | IN_DOUBT => {}
            LEAST => self.calm_down(announced),
            // Only the holder counts. Release keeps the chain of stores that `raise` pairs with.
            more => {
                step("alert.ease");
                self.0.store(more - 1, Release);
            }
        }
    }

    #[cold]
    fn calm_down(&self, announced: impl Fn() -> bool) {
        step("alert.doubt");
        // SeqCst, before the look at the word: who announced himself too late for it sees the doubt, and raises again.
        self.0.swap(IN_DOUBT, SeqCst);
        let next = if announced() { FULL } else { CALM };
        step("alert.settle");
        // From the doubt only: somebody may have raised the alert meanwhile. Release pairs with the load in `raise`.
        let _ = self.0.compare_exchange(IN_DOUBT, next, Release, Relaxed);
    }
}
