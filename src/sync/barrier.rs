//! The barrier: one word that counts arrivals, and a rule for the death of a party.
//!
//! An arrival is one exchange, and so is the release by which the last of them begins the next round. Nobody has to
//! leave before that round begins: who waits remembers its round, and sees that the word is past it.
//!
//! A barrier is broken by an exchange of the exact word, so a round that was completed meanwhile stays completed. A reset
//! first notes in [`past`](RawBarrier) which round was broken, for those who have yet to look, and then begins a new one.
//!
//! | dies | the word says | survivors |
//! |---|---|---|
//! | before its arrival, or asleep | open | ask about the [parties](super::Parties) before each sleep, and before sleepers are let go; break the barrier |
//! | in the action | in action, by the dead | the same |
//! | after release or breakage, before its wake-up | the next round, or broken | see it after a slice at most |
//! | in a reset | broken, or resetting | broken stays until the next reset; who comes finishes the other |

#[cfg(not(loom))]
pub(super) mod parties;
mod word;

use super::patience::Patience;
use crate::sys::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed},
};
use crate::sys::futex::{self, Wake};
use crate::sys::identity::{Oracle, Participant};
use crate::sys::seeded::seeded;
use crate::sys::step::step;
use crate::sys::until::{Over, Until};
pub(crate) use word::{Breakage, Cause};
use word::{Phase, Word};

/// So many broken rounds are remembered. Who has not looked while more of them came and went is told of a reset.
const PAST: usize = 8;

/// See the table in [`word`]. All zero bytes are a barrier at which nobody has arrived.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct RawBarrier {
    word: AtomicU64,
    /// How many make a round; never changes.
    parties: AtomicU32,
    /// Not the barrier's: says what it is.
    tag: [AtomicU32; 3],
    /// When the next sleeper may ask about the parties; see [`Parties`](super::Parties).
    next_look: AtomicU64,
    pad: AtomicU64,
    /// The broken word that reset `n` ended, at `n % PAST`.
    past: [AtomicU64; PAST],
}

/// One call that waits.
pub(crate) struct Call<'a> {
    pub(crate) me: Participant,
    pub(crate) pid: u32,
    /// How many make a round, by a copy of the caller's own.
    pub(crate) parties: u32,
    pub(crate) until: Until<'a>,
    pub(crate) peers: &'a dyn Oracle,
    pub(crate) watch: &'a dyn Watch,
}

/// Whoever knows the parties.
pub(crate) trait Watch {
    /// A party that will not come any more, if there is one; for those who wait, and ask again and again.
    fn missing(&self) -> Option<Breakage>;

    /// The same for the last to arrive, who asks once.
    fn missing_at_last(&self) -> Option<Breakage>;

    /// The process that is, or was, this participant.
    fn pid(&self, who: Participant) -> u32;
}

/// Why a wait failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// Its time was over, and it has broken the barrier.
    Over(Over),
    /// The barrier was broken.
    Broken(Breakage),
}

impl RawBarrier {
    /// An open barrier.
    #[cfg(loom)]
    pub(super) fn new() -> Self {
        RawBarrier {
            word: AtomicU64::new(0),
            parties: AtomicU32::new(0),
            tag: std::array::from_fn(|_| AtomicU32::new(0)),
            next_look: AtomicU64::new(0),
            pad: AtomicU64::new(0),
            past: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// Arrives, and waits for the others; returns how many had arrived before.
    ///
    /// The last to arrive runs the action, if it has one, and lets everybody go.
    #[inline]
    pub(crate) fn wait(&self, call: &Call<'_>, action: Option<&dyn Fn()>) -> Result<u32, Failed> {
        loop {
            let seen = self.load();
            match seen.phase() {
                Phase::Open(count) if count + 1 < call.parties => {
                    step("barrier.arrive");
                    if self.exchange(seen, seen.arrival()) {
                        return self.stay(call, seen).map(|()| count);
                    }
                }
                Phase::Open(count) => {
                    if let Some(done) = self.complete(call, seen, action) {
                        return done.map(|()| count);
                    }
                }
                // More want to meet than make a round: this one is of the next.
                Phase::Action(_) => self.stay(call, seen)?,
                Phase::Broken(why) => return Err(Failed::Broken(why)),
                Phase::Resetting(_) => self.mend(seen),
            }
        }
    }

    /// Arrives if that completes the round; else nothing happens, and the result is `None`.
    pub(crate) fn try_wait(
        &self,
        call: &Call<'_>,
        action: Option<&dyn Fn()>,
    ) -> Result<Option<u32>, Failed> {
        loop {
            let seen = self.load();
            match seen.phase() {
                Phase::Open(count) if count + 1 >= call.parties => {
                    if let Some(done) = self.complete(call, seen, action) {
                        return done.map(|()| Some(count));
                    }
                }
                Phase::Open(_) | Phase::Action(_) => return Ok(None),
                Phase::Broken(why) => return Err(Failed::Broken(why)),
                Phase::Resetting(_) => self.mend(seen),
            }
        }
    }

    /// Arrives last: acts and lets everybody go; `None` if the word `seen` changed meanwhile.
    #[inline]
    fn complete(
        &self,
        call: &Call<'_>,
        seen: Word,
        action: Option<&dyn Fn()>,
    ) -> Option<Result<(), Failed>> {
        if seen.has_sleepers()
            && let Some(why) = absent(call)
        {
            let broken = self.break_from(seen, why);
            return broken.then_some(Err(Failed::Broken(why)));
        }
        let Some(action) = action else {
            return self.release(seen).then_some(Ok(()));
        };
        step("barrier.act");
        let mine = self.exchange(seen, seen.action(call.me));
        mine.then(|| self.act(call, seen, action))
    }

    /// Breaks the barrier for those who wait and those who come, unless it is broken already.
    pub(crate) fn abort(&self, pid: u32) {
        let cause = Cause::Aborted;
        loop {
            let seen = self.load();
            match seen.phase() {
                Phase::Open(_) | Phase::Action(_) => {
                    if self.break_from(seen, Breakage { cause, pid }) {
                        return;
                    }
                }
                Phase::Broken(_) => return,
                Phase::Resetting(_) => self.mend(seen),
            }
        }
    }

    /// Breaks the barrier for those who wait, and begins anew.
    pub(crate) fn reset(&self, pid: u32) {
        loop {
            let seen = self.load();
            match seen.phase() {
                Phase::Open(0) => return,
                Phase::Open(_) | Phase::Action(_) => {
                    let resetting = seen.resetting(pid);
                    step("barrier.reset");
                    if self.exchange(seen, resetting) {
                        self.mend(resetting);
                        return self.wake(seen);
                    }
                }
                Phase::Broken(_) | Phase::Resetting(_) => return self.mend(seen),
            }
        }
    }

    /// Whether the barrier is broken until somebody resets it.
    pub(crate) fn is_broken(&self) -> bool {
        matches!(self.load().phase(), Phase::Broken(_))
    }

    /// How many have arrived for the round that is under way.
    pub(crate) fn waiting(&self, parties: u32) -> u32 {
        match self.load().phase() {
            Phase::Open(count) => count.min(parties),
            Phase::Action(_) => parties,
            Phase::Broken(_) | Phase::Resetting(_) => 0,
        }
    }

    /// Who runs the action, if anybody does.
    pub(super) fn runner(&self) -> Option<Participant> {
        match self.load().phase() {
            Phase::Action(runner) => runner,
            _ => None,
        }
    }

    /// The participant `dead`, of which the caller knows that it is dead, does not finish its action.
    pub(super) fn end_action_of(&self, dead: Participant, pid: u32) {
        let cause = Cause::Died;
        loop {
            let seen = self.load();
            let is_its = seen.phase() == Phase::Action(Some(dead));
            if !is_its || self.break_from(seen, Breakage { cause, pid }) {
                return;
            }
        }
    }

    /// Has every sleeper look about, also those of a round that the dead ended without waking them.
    pub(super) fn stir(&self) {
        self.wake_all();
    }

    /// Waits until the round of `mine` has ended.
    #[cold]
    fn stay(&self, call: &Call<'_>, mine: Word) -> Result<(), Failed> {
        let mut patience = Patience::new(call.until, call.peers).beside_holders();
        let mut last_sleep = Wake::Woken;
        loop {
            let seen = self.load();
            if let Some(end) = self.outcome(mine, seen) {
                if last_sleep == Wake::TimedOut {
                    self.wake_all(); // whoever ended the round died before it could, or is about to
                }
                return end;
            }
            if patience.spin() {
                continue;
            }
            if let Some(over) = patience.over() {
                let (cause, pid) = (Cause::GaveUp, call.pid);
                if self.break_from(seen, Breakage { cause, pid }) {
                    return Err(Failed::Over(over));
                }
                continue;
            }
            if let Some(why) = missing(call, seen) {
                self.break_from(seen, why);
                continue;
            }
            if self.announce(seen) {
                step("barrier.sleep");
                let asleep = seen.with_sleepers().low();
                last_sleep = futex::wait_low(&self.word, asleep, patience.slice());
            }
        }
    }

    /// How the round of `mine` ended, if it has.
    #[inline]
    fn outcome(&self, mine: Word, seen: Word) -> Option<Result<(), Failed>> {
        if seen.is_of_round(mine) {
            return match seen.phase() {
                Phase::Open(_) | Phase::Action(_) => None,
                Phase::Broken(why) | Phase::Resetting(why) => Some(Err(Failed::Broken(why))),
            };
        }
        if seen.is_of_life(mine) {
            return Some(Ok(()));
        }
        Some(self.past_outcome(mine))
    }

    /// How the round of `mine` ended, the barrier having been reset since.
    #[cold]
    fn past_outcome(&self, mine: Word) -> Result<(), Failed> {
        // Acquire: the word that ended this life was read before, and the note was there before that word.
        let note = Word(self.past[mine.resets() % PAST].load(Acquire));
        match note.phase() {
            Phase::Broken(why) if note.is_of_round(mine) => Err(Failed::Broken(why)),
            // The first breakage since the arrival was of a later round.
            Phase::Broken(_) if note.is_of_life(mine) => Ok(()),
            _ => Err(Failed::Broken(Breakage {
                cause: Cause::Reset,
                pid: 0,
            })),
        }
    }

    /// Runs the action, and lets everybody go.
    #[cold]
    fn act(&self, call: &Call<'_>, mine: Word, action: &dyn Fn()) -> Result<(), Failed> {
        let unfinished = Unfinished {
            barrier: self,
            mine,
            pid: call.pid,
        };
        action();
        std::mem::forget(unfinished);
        loop {
            let seen = self.load();
            if let Some(end) = self.outcome(mine, seen) {
                return end; // somebody would not wait for the action any longer
            }
            if self.release(seen) {
                return Ok(());
            }
        }
    }

    /// Begins the next round; `false` if the word changed meanwhile.
    #[inline]
    fn release(&self, seen: Word) -> bool {
        step("barrier.release");
        let released = self.exchange(seen, seen.next());
        if released && !seeded("barrier-lost-wakeup") {
            self.wake(seen);
        }
        released
    }

    /// Breaks the barrier, unless the word changed meanwhile.
    #[cold]
    fn break_from(&self, seen: Word, why: Breakage) -> bool {
        let broken = seen.broken(why);
        step("barrier.break");
        if seeded("barrier-breaks-what-is-complete") {
            self.word.swap(broken.0, AcqRel);
        } else if !self.exchange(seen, broken) {
            return false;
        }
        self.wake(seen);
        true
    }

    /// Begins anew after the broken round that `seen` tells of, unless somebody has done so.
    #[cold]
    fn mend(&self, seen: Word) {
        let note = &self.past[seen.resets() % PAST];
        let before = note.load(Acquire);
        // While the word stands, what was read above is of eight resets ago, or this round's own note already: a note is
        // exchanged for one of a later life only, so who comes late with this one fails.
        if self.load() != seen {
            return;
        }
        if before != seen.record().0 {
            step("barrier.note");
            let _ = note.compare_exchange(before, seen.record().0, AcqRel, Relaxed);
        }
        step("barrier.mend");
        self.exchange(seen, seen.mended());
    }

    /// Sees to it that the word `seen` announces a sleeper; `false` if it changed meanwhile.
    fn announce(&self, seen: Word) -> bool {
        step("barrier.announce");
        // Relaxed: the word itself is all that matters, and its changes have one order.
        let announced =
            self.word
                .compare_exchange(seen.0, seen.with_sleepers().0, Relaxed, Relaxed);
        announced.is_ok()
    }

    /// Wakes everybody who slept on the word `seen`.
    #[inline]
    fn wake(&self, seen: Word) {
        if seen.has_sleepers() {
            self.wake_all();
        }
    }

    #[cold]
    fn wake_all(&self) {
        step("barrier.wake");
        futex::wake_low(&self.word, i32::MAX as u32);
    }

    #[inline]
    fn exchange(&self, seen: Word, next: Word) -> bool {
        let order = if seeded("barrier-missing-release") {
            Relaxed
        } else {
            AcqRel // the last to arrive sees what all others did before, and whoever it lets go sees that too
        };
        // no step: those who call this pass one
        self.word
            .compare_exchange(seen.0, next.0, order, Relaxed)
            .is_ok()
    }

    #[inline]
    fn load(&self) -> Word {
        Word(self.word.load(Acquire)) // pairs with `exchange`
    }
}

/// A party that the round of `seen` waits for in vain.
fn missing(call: &Call<'_>, seen: Word) -> Option<Breakage> {
    if seeded("barrier-waits-for-the-dead") {
        return None;
    }
    if let Phase::Action(Some(runner)) = seen.phase()
        && !call.peers.is_alive(runner)
    {
        return Some(Breakage {
            cause: Cause::Died,
            pid: call.watch.pid(runner),
        });
    }
    call.watch.missing()
}

/// A party that went to sleep at the barrier, or never came, and is gone. Who has to wake sleepers can afford to ask; where
/// nobody sleeps yet the first has arrived some microseconds ago.
#[cold]
fn absent(call: &Call<'_>) -> Option<Breakage> {
    if seeded("barrier-waits-for-the-dead") {
        return None;
    }
    call.watch.missing_at_last()
}

/// An action that is under way; dropped by a panic in it.
struct Unfinished<'a> {
    barrier: &'a RawBarrier,
    mine: Word,
    pid: u32,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        let (cause, pid) = (Cause::Panicked, self.pid);
        loop {
            let seen = self.barrier.load();
            let over = self.barrier.outcome(self.mine, seen).is_some();
            if over || self.barrier.break_from(seen, Breakage { cause, pid }) {
                return;
            }
        }
    }
}

// SAFETY: repr(C), nothing but atomics.
#[cfg(not(loom))]
unsafe impl crate::segment::layout::Layout for RawBarrier {}

#[cfg(not(loom))]
const _: () = assert!(size_of::<RawBarrier>() == 104);
#[cfg(not(loom))]
crate::segment::layout::assert_offsets!(RawBarrier {
    word: 0,
    parties: 8,
    tag: 12,
    next_look: 24,
    pad: 32,
    past: 40,
});
