//! How those wait who take permits: quickest first, and nobody for ever.
//!
//! *Waking.* Who gives `n` permits wakes `n` sleepers, whatever they ask for. They sleep on a number that grows with
//! everything that they are told, and announce themselves in the [`Line`] after they have read it. Who wakes takes what
//! he needs; or finds that somebody was faster, who will give it back; or finds too few for a large request, and then
//! comes first.
//!
//! *Coming first.* Permits go to whoever is quickest, until somebody has slept in vain: because there are some, and too
//! few for him, or because others were quicker for a while. From then on all that comes is kept for him alone, so that
//! no large request waits for ever behind small ones, and holds nothing while it waits. He sleeps on a number of his own.
//! When he has his permits, or gives up, he wakes as many others as there are permits left.
//!
//! | dies | left | who goes on |
//! |---|---|---|
//! | who has given, before the wake-up | permits, and sleepers | the sleeper whose slice ends first; he wakes others for what is left |
//! | sleeper that was woken | the same | the same |
//! | the first in line | all is kept for the dead | whoever finds that, before he sleeps or gives up, and asks the oracle; the sweep |

use super::line::Line;
use super::patience::Patience;
use crate::sys::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
    publish_then_look,
};
use crate::sys::clock::now_ns;
use crate::sys::futex::{self, Wake};
use crate::sys::identity::{Oracle, Participant};
use crate::sys::seeded::seeded;
use crate::sys::step::step;
use crate::sys::until::{Over, Until};
use std::time::Duration;

/// The waiting room of a semaphore. All zero bytes are one in which nobody waits.
#[derive(Debug)]
#[cfg_attr(not(loom), repr(C))]
pub(super) struct Turnstile {
    /// See [`Line`].
    pub(super) word: AtomicU64,
    /// On which they sleep: one more for every change that they are to be told.
    crowd: AtomicU32,
    /// Not the semaphore's: says what it belongs to.
    tag: [AtomicU32; 3],
    /// On which the first in line sleeps.
    front: AtomicU32,
    /// What was given by stores, beside the word; 0 where permits have owners.
    pub(super) given: AtomicU32,
}

/// What is waited for.
pub(super) trait Stock {
    /// Takes what `waiting` asks for, if that can be done now; `seen` is the word, by which he is first or is not.
    fn attempt(&self, waiting: &Waiting<'_>, seen: Line) -> Attempt;

    /// How many permits there are.
    fn left(&self) -> u32;

    /// After the first announcement: returns when what was given by those who cannot have seen it yet can be seen.
    fn settle(&self) {}

    /// Brings permits back that the dead held; true if there were any. Thorough before somebody gives up.
    fn reclaim(&self, _thorough: bool) -> bool {
        false
    }
}

/// What came of one attempt to take permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// They are taken.
    Done,
    /// The word has changed meanwhile, or is about to.
    Again,
    /// There are too few: none, or some.
    Short { some: bool },
}

/// So long may others be quicker than one who has slept.
const PASSED_OVER: Duration = Duration::from_millis(if cfg!(loom) { 0 } else { 5 });

/// One call that has to wait.
pub(super) struct Waiting<'a> {
    pub(super) count: u32,
    /// `None` where this process is no member: it never comes first.
    pub(super) me: Option<Participant>,
    pub(super) is_first: bool,
    peers: &'a dyn Oracle,
    patience: Patience<'a>,
    /// When it first went to sleep; 0 before.
    since: u64,
    woken: Wake,
}

impl<'a> Waiting<'a> {
    /// Of somebody who is `me` among his `peers`, for `count` permits.
    pub(super) fn new(
        count: u32,
        until: Until<'a>,
        me: Option<Participant>,
        peers: &'a dyn Oracle,
    ) -> Self {
        Waiting {
            count,
            me,
            is_first: false,
            peers,
            patience: Patience::new(until, peers),
            since: 0,
            woken: Wake::Changed,
        }
    }

    /// The same of somebody who waits for what others hold.
    pub(super) fn beside_holders(self) -> Self {
        Waiting {
            patience: self.patience.beside_holders(),
            ..self
        }
    }

    /// Whether others must stand back from now on: it was woken in vain for a while, or there are permits, and too few.
    fn is_passed_over(&self, seen: Line, some: bool) -> bool {
        let waited = || Duration::from_nanos(now_ns().saturating_sub(self.since));
        let in_vain = || self.woken != Wake::TimedOut && waited() >= PASSED_OVER;
        self.since != 0 && seen.first().is_none() && (some || in_vain())
    }

    /// Sleeps for one slice, unless more has been told than `told`. Who was woken looks closely again.
    fn sleep(&mut self, number: &AtomicU32, told: u32) {
        if self.since == 0 {
            self.since = now_ns();
        }
        let until = self.patience.slice();
        step("turnstile.sleep");
        self.woken = futex::wait(number, told, until);
        if self.woken == Wake::Woken {
            self.patience.stirred();
        }
    }
}

impl Turnstile {
    #[cfg(any(test, loom))]
    pub(super) fn new(payload: u32) -> Self {
        Turnstile {
            word: AtomicU64::new(Line(0).more(payload).0),
            crowd: AtomicU32::new(0),
            tag: std::array::from_fn(|_| AtomicU32::new(0)),
            front: AtomicU32::new(0),
            given: AtomicU32::new(0),
        }
    }

    /// Ends everybody's sleep, as the end of a slice does, which a model has not.
    #[cfg(loom)]
    pub(super) fn end_slices(&self) {
        futex::wake_all(&self.crowd);
        futex::wake_all(&self.front);
    }

    #[inline]
    pub(super) fn load(&self) -> Line {
        // Only ever a hint: every step on it is an exchange of the exact word. Acquire pairs with the exchange of who took:
        // what was given before that is seen in `given` by who looks there next.
        Line(self.word.load(Acquire))
    }

    /// The word after a permit was made free, which is not in it: who has not announced himself by now sees the permit.
    #[inline]
    pub(super) fn look(&self) -> Line {
        publish_then_look();
        Line(self.word.load(SeqCst)) // pairs with the announcement in `sleep`
    }

    /// Tells those who may go on because there are `count` permits, and the word was `seen`.
    #[cold]
    pub(super) fn wake(&self, seen: Line, count: u32) {
        if count == 0 {
            return;
        }
        if seen.is_kept() {
            return self.wake_first();
        }
        if !seen.has_sleepers() || seeded("semaphore-lost-wakeup") {
            return;
        }
        step("turnstile.tell");
        self.crowd.fetch_add(1, Release); // pairs with the load in `announce`
        step("turnstile.wake");
        if futex::wake(&self.crowd, count) < count {
            step("turnstile.calm");
            // From the exact word: whoever has announced himself since is not forgotten, and who did so before has been
            // woken, or does not fall asleep because the number has changed. Relaxed: says nothing else.
            let _ = self
                .word
                .compare_exchange(seen.0, seen.calm().0, Relaxed, Relaxed);
        }
    }

    fn wake_first(&self) {
        step("turnstile.tell-first");
        self.front.fetch_add(1, Release); // pairs with the load in `sleep_in_front`
        step("turnstile.wake-first");
        futex::wake_all(&self.front);
    }

    /// Waits for what `waiting` asks for and takes it from the `stock`.
    ///
    /// # Errors
    ///
    /// Why it is over. Nothing is taken.
    pub(super) fn pass(&self, stock: &dyn Stock, mut waiting: Waiting<'_>) -> Result<(), Over> {
        loop {
            let seen = self.load();
            waiting.is_first &= seen.is_kept_for(waiting.me);
            let some = match stock.attempt(&waiting, seen) {
                Attempt::Done => {
                    self.leave(stock, &waiting, waiting.woken == Wake::TimedOut);
                    return Ok(());
                }
                Attempt::Again => continue,
                Attempt::Short { some } => some,
            };
            if waiting.patience.spin() || self.is_left_by_the_dead(stock, &waiting, seen) {
                continue;
            }
            let over = waiting.patience.over();
            if stock.reclaim(over.is_some()) {
                continue;
            }
            if let Some(over) = over {
                // The last wake-up may have been meant for a smaller request.
                self.leave(stock, &waiting, waiting.since != 0);
                return Err(over);
            }
            match waiting.me.filter(|_| waiting.is_passed_over(seen, some)) {
                Some(me) => waiting.is_first = self.come_first(stock, seen, me),
                None if waiting.is_first => self.sleep_in_front(stock, &mut waiting, seen),
                None => self.sleep(stock, &mut waiting, seen),
            }
        }
    }

    /// Whether somebody was in front who has died, and is no longer.
    fn is_left_by_the_dead(&self, stock: &dyn Stock, waiting: &Waiting<'_>, seen: Line) -> bool {
        let kept_for_nobody = seen.is_kept() && seen.first().is_none();
        if waiting.is_first || seen.first().is_none() && !kept_for_nobody {
            return false;
        }
        let lives = |who| waiting.peers.is_alive(who);
        if kept_for_nobody || !seen.first().is_some_and(lives) {
            self.step_aside(stock, seen);
            return true;
        }
        if waiting.woken == Wake::TimedOut && seen.is_kept() && stock.left() > 0 {
            self.wake_first(); // who gave may have died before that
        }
        false
    }

    /// Lets others take again, and wakes as many as there are permits; `false` if the word `seen` has changed.
    pub(super) fn step_aside(&self, stock: &dyn Stock, seen: Line) -> bool {
        let free = seen.without_first();
        step("turnstile.step-aside");
        // From the exact word, which the dead cannot change. SeqCst: before the look at what is left.
        let done = self
            .word
            .compare_exchange(seen.0, free.0, SeqCst, Relaxed)
            .is_ok();
        if done {
            publish_then_look();
            self.wake(free, stock.left());
        }
        done
    }

    /// Ends a wait: steps aside, and if that or `others` is a reason, wakes as many as there are permits.
    fn leave(&self, stock: &dyn Stock, waiting: &Waiting<'_>, others: bool) {
        let mut seen = self.look();
        while waiting.is_first && seen.is_kept_for(waiting.me) {
            if self.step_aside(stock, seen) {
                return;
            }
            seen = self.look();
        }
        if others || waiting.is_first {
            self.wake(seen, stock.left());
        }
    }

    fn come_first(&self, stock: &dyn Stock, seen: Line, me: Participant) -> bool {
        step("turnstile.come-first");
        // SeqCst: before the look at what there is.
        let came = self
            .word
            .compare_exchange(seen.0, seen.kept_for(me).0, SeqCst, Relaxed);
        if came.is_ok() {
            self.has_announced(stock, seen);
        }
        came.is_ok()
    }

    /// After an announcement in the word `seen`: true if it was the first, and its permits are settled.
    fn has_announced(&self, stock: &dyn Stock, seen: Line) -> bool {
        match seen.is_watched() {
            true => publish_then_look(), // somebody settles them, or has done so
            false => stock.settle(),
        }
        !seen.is_watched()
    }

    fn sleep(&self, stock: &dyn Stock, waiting: &mut Waiting<'_>, seen: Line) {
        // Before the announcement: who sees that adds to a number that was read here. Acquire pairs with `wake`: who sees
        // its number sees the permits that it tells of.
        let told = self.crowd.load(Acquire);
        let announced = seen.announcing();
        step("turnstile.announce");
        // SeqCst: before the look at what there is; or else its giver sees the announcement.
        let done = self
            .word
            .compare_exchange(seen.0, announced.0, SeqCst, Relaxed);
        if done.is_err() {
            return;
        }
        if self.has_announced(stock, seen) && self.load() != announced {
            self.wake(self.load(), stock.left()); // who announced himself meanwhile has not waited for that
        }
        if !self.is_there_enough(stock, waiting, announced) {
            waiting.sleep(&self.crowd, told);
        }
    }

    fn sleep_in_front(&self, stock: &dyn Stock, waiting: &mut Waiting<'_>, seen: Line) {
        // As in `sleep`; that all is kept announces this sleeper.
        let told = self.front.load(Acquire);
        if self.load() == seen && !self.is_there_enough(stock, waiting, seen) {
            waiting.sleep(&self.front, told);
        }
    }

    /// Whether the next attempt may succeed.
    fn is_there_enough(&self, stock: &dyn Stock, waiting: &Waiting<'_>, seen: Line) -> bool {
        (waiting.is_first || !seen.is_kept()) && stock.left() >= waiting.count
    }

    /// Does what the participant `dead`, of which the caller knows that it is dead, still had to do here.
    pub(super) fn repair(&self, stock: &dyn Stock, dead: Participant) {
        let mut seen = self.load();
        while seen.first() == Some(dead) && !self.step_aside(stock, seen) {
            seen = self.load();
        }
        let seen = self.look();
        self.wake(seen, stock.left()); // it may have given permits, and died before the wake-up
    }
}

// SAFETY: repr(C), atomics only.
#[cfg(not(loom))]
unsafe impl crate::segment::layout::Layout for Turnstile {}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Turnstile>() == 32);
