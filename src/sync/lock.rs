//! The robust lock: one word that names its holder, and a rule for the holder's death.
//!
//! A claim is one exchange of 0 for {slot, pid, thread}, so at no instant is the lock held by nobody knows whom. The
//! word lies on the holder's robust list: when the holder dies the kernel *marks* the word and wakes a sleeper. Past
//! the kernel's limit of 2,048 words per thread, and where there is no usable list, the next thread about to sleep
//! asks the oracle and marks in the kernel's place. A marked lock is held by nobody: `lock` refuses it, `recover`
//! takes it.
//!
//! The holder gives the lock up by a plain store as long as nobody is about to sleep on it; see [`Alert`].
//!
//! A waiter keeps the node pending while it waits. If it dies after having been woken, the kernel passes the wake-up
//! on. What two deaths at once can still lose, the slices of the sleep bring back.

mod waiting;

use self::waiting::{OnMark, Waiting, spin_budget};
use super::Claimant;
use super::alert::Alert;
use super::word::{Owner, Word};
use crate::sys::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{self, AcqRel, Acquire, Relaxed, Release},
    spin_loop, store_among_exchanges,
};
use crate::sys::clock::Deadline;
use crate::sys::futex::{self, Wake};
use crate::sys::identity::{Oracle, Participant};
use crate::sys::membarrier;
use crate::sys::robust::{Node, ThreadList};
use crate::sys::seeded::seeded;
use crate::sys::step::step;

/// A lock without data. All zero bytes are a free lock.
///
/// Aligned to a cache line of 64 bytes, of which it leaves the last 24 to the data that it guards: a small value comes
/// with its lock, in one transfer of a line.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct RawLock {
    /// See [`Word`].
    word: AtomicU64,
    alert: Alert,
    /// Not the lock's: says what the lock belongs to.
    tag: [AtomicU32; 3],
    /// The links of the holder's robust list, [`LINK_OFFSET`](crate::sys::robust::LINK_OFFSET) behind the word.
    node: Node,
}

/// Why a lock was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The lock is marked; this one held it last.
    Marked(Owner),
    /// The calling thread holds it already.
    Deadlock,
    /// Somebody holds it, and the deadline has passed.
    TimedOut,
}

/// Why a lock was not adopted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Adoption {
    /// Nobody leaked its guard: it is free, or held by a guard.
    NotLeaked,
    /// It is marked: the process for which it was leaked has died.
    Marked(Owner),
}

impl RawLock {
    /// A free lock; what zeroed shared memory is already.
    #[cfg(loom)]
    pub(super) fn new() -> Self {
        RawLock {
            word: AtomicU64::new(0),
            alert: Alert::new(),
            tag: std::array::from_fn(|_| AtomicU32::new(0)),
            node: Node::default(),
        }
    }

    /// As if somebody had slept here before.
    #[cfg(loom)]
    pub(super) fn raise_alert(&self) {
        self.alert.raise();
    }

    /// Does to this lock what the kernel does when the calling thread ends.
    #[cfg(loom)]
    pub(super) fn kernel_walks(&self) {
        crate::sys::robust::die(&self.node, &self.word);
    }

    /// Takes the lock if it is free and this thread holds no other.
    ///
    /// `false` settles nothing: [`lock`](RawLock::lock) or [`recover`](RawLock::recover) must follow, which also end
    /// what was begun here.
    #[inline]
    pub(crate) fn claim(&self, claimant: &Claimant) -> bool {
        let list = ThreadList::here();
        claimant
            .word(list)
            .is_some_and(|mine| list.begin(&self.node) && self.exchange(Word::FREE, mine))
    }

    /// Takes the lock, waiting for it until `deadline`.
    pub(crate) fn lock(
        &self,
        me: Participant,
        oracle: &impl Oracle,
        deadline: Deadline,
    ) -> Result<(), Refused> {
        self.acquire(self.waiting(me, oracle, deadline, OnMark::Refuse))
            .map(|_| ())
    }

    /// Names the lock as pending, whatever else this thread holds.
    fn begin(&self) -> ThreadList {
        let list = ThreadList::here();
        if list.is_pending(&self.node) {
            return list;
        }
        ThreadList::begin_behind(&self.node)
    }

    /// Takes the lock marked or not; if it was marked, returns who held it last.
    pub(crate) fn recover(
        &self,
        me: Participant,
        oracle: &impl Oracle,
        deadline: Deadline,
    ) -> Result<Option<Owner>, Refused> {
        self.acquire(self.waiting(me, oracle, deadline, OnMark::Take))
    }

    /// The begin of a wait: the lock is named as pending, unless the kernel would take it for another thread's.
    fn waiting<'a>(
        &self,
        me: Participant,
        oracle: &'a dyn Oracle,
        deadline: Deadline,
        on_mark: OnMark,
    ) -> Waiting<'a> {
        if oracle.is_elsewhere() {
            let mine = Word::held_from_elsewhere(ThreadList::arrived().claim(), me);
            return Waiting::new(None, mine, oracle, deadline, on_mark);
        }
        let list = self.begin();
        Waiting::new(
            Some(list),
            Word::held(list.claim(), me),
            oracle,
            deadline,
            on_mark,
        )
    }

    /// Gives the lock up. Does nothing if the calling thread does not hold it, as after a fork.
    #[inline]
    pub(crate) fn unlock(&self) {
        let list = ThreadList::here();
        if !list.is_pending(&self.node) {
            return self.unlock_linked();
        }
        let calm = self.alert.now();
        if !calm.is_calm() || !membarrier::is_ready() {
            return self.unlock_alert();
        }
        step("lock.release.store");
        store_among_exchanges(&self.word, Word::FREE.0, release_order());
        membarrier::light(); // the store above, before the look below; pairs with `Alert::raise`
        if !self.alert.is_still(calm) {
            return self.wake_and_finish();
        }
        list.finish();
    }

    /// [`unlock`](RawLock::unlock) where somebody may sleep.
    #[inline(never)]
    fn unlock_alert(&self) {
        if self.alert.is_fair() {
            self.hand_on();
            return ThreadList::here().finish();
        }
        // AcqRel, read by an exchange: pairs with the announcement in `sleep`.
        let announced = || Word(self.word.fetch_or(0, AcqRel)).has_waiters(); // no step: changes nothing
        if !self.load().has_waiters() {
            self.alert.ease(announced);
        }
        if self.release().has_waiters() {
            return self.wake_and_finish();
        }
        ThreadList::here().finish();
    }

    /// [`unlock`](RawLock::unlock) of a lock that is not the one pending, or not this thread's.
    #[cold]
    fn unlock_linked(&self) {
        let list = ThreadList::here();
        let Some(listed) = self.begin_release(list) else {
            return;
        };
        if self.alert.is_fair() {
            self.hand_on();
        } else if self.release().has_waiters() {
            self.wake_one();
        }
        if listed {
            list.finish();
        }
    }

    /// Gives a fair lock up, to the one who has slept longest if anybody sleeps.
    #[cold]
    fn hand_on(&self) {
        loop {
            let seen = self.load();
            let next = match seen.has_waiters() {
                true => Word::RESERVED,
                false => Word::FREE,
            };
            step("lock.hand-on.cas");
            let done = self
                .word
                .compare_exchange(seen.0, next.0, release_order(), Relaxed);
            if done.is_err() {
                continue; // a sleeper announced itself
            }
            if next == Word::RESERVED {
                self.give_to_a_sleeper();
            }
            return;
        }
    }

    /// Wakes who has slept longest, for whom the free lock is reserved; frees it for everybody if nobody slept.
    fn give_to_a_sleeper(&self) {
        step("lock.reserved.wake");
        if futex::wake_low(&self.word, 1) != 0 {
            return;
        }
        step("lock.reserved.free");
        // Relaxed: the release that reserved it stands at the head of what the next holder acquires.
        let reserved = Word::RESERVED.0;
        let freed = self
            .word
            .compare_exchange(reserved, Word::FREE.0, Relaxed, Relaxed);
        if freed.is_ok() {
            self.wake_one(); // who came in between sleeps until it is his turn
        }
    }

    /// Makes the lock fair from now on; the calling thread holds it.
    pub(crate) fn make_fair(&self) {
        self.alert.make_fair();
    }

    /// Makes the lock, which the calling thread holds, its process's; `marked` comes back from [`adopt`](Self::adopt).
    pub(crate) fn leak(&self, marked: bool) {
        let list = ThreadList::here();
        let listed = match list.is_pending(&self.node) {
            true => Some(true),
            false => self.begin_release(list),
        };
        let Some(listed) = listed else { return };
        loop {
            let seen = self.load();
            step("lock.leak.cas");
            // Relaxed: the same process still holds it; who adopts it elsewhere was told to in some way of its own.
            // Release all the same, for those who were told by nothing but the word.
            let done = self
                .word
                .compare_exchange(seen.0, seen.leaked(marked).0, Release, Relaxed);
            if done.is_ok() {
                break;
            }
        }
        if listed {
            list.finish();
        }
    }

    /// Takes over a lock whose guard was leaked: who leaked it if it was marked then.
    ///
    /// # Errors
    ///
    /// [`Adoption`] says what it is instead.
    pub(crate) fn adopt(
        &self,
        me: Participant,
        oracle: &impl Oracle,
    ) -> Result<Option<Owner>, Adoption> {
        let wait = self.waiting(me, oracle, Deadline::NOW, OnMark::Refuse);
        let outcome = self.take_leaked(&wait);
        match wait.list {
            Some(list) if outcome.is_err() && self.load().is(wait.mine) => {
                list.finish_held(&self.node);
            }
            Some(list) if outcome.is_err() => list.finish(),
            _ => {}
        }
        outcome
    }

    fn take_leaked(&self, wait: &Waiting<'_>) -> Result<Option<Owner>, Adoption> {
        loop {
            let seen = self.load();
            if seen.is_marked() {
                return Err(Adoption::Marked(seen.owner()));
            }
            let Some(marked) = seen.leak() else {
                return Err(Adoption::NotLeaked);
            };
            let lives = |who| wait.oracle.is_alive(who);
            if !seen.owner().participant().is_none_or(lives) {
                self.mark(seen);
                continue;
            }
            if self.take_over(seen, wait.mine.with_waiters_of(seen)) {
                return Ok(marked.then(|| seen.owner()));
            }
        }
    }

    #[inline]
    fn release(&self) -> Word {
        step("lock.release.swap");
        Word(self.word.swap(Word::FREE.0, release_order()))
    }

    #[cold]
    fn wake_and_finish(&self) {
        self.wake_one();
        ThreadList::here().finish();
    }

    /// Makes the lock pending again; `None` if this thread does not hold it, `Some(false)` if it holds it from another pid
    /// namespace, where no list names it.
    fn begin_release(&self, list: ThreadList) -> Option<bool> {
        // Who has claimed nothing yet, such as a forked child with its parent's guard, holds nothing.
        let seen = self.load();
        if list.claim() == 0 || !seen.is_held_by(list.claim()) {
            return None;
        }
        let listed = !seen.is_from_elsewhere(list.claim());
        if listed {
            list.begin_release(&self.node);
        }
        Some(listed)
    }

    /// Gives the lock up marked, in the name of `origin` or else of the holder itself.
    #[cold]
    pub(crate) fn unlock_marked(&self, origin: Option<Owner>) {
        let list = ThreadList::here();
        let listed = match list.is_pending(&self.node) {
            true => Some(true),
            false => self.begin_release(list),
        };
        let Some(listed) = listed else { return };
        loop {
            let seen = self.load();
            let marked = origin.map_or(seen.marked(), |o| o.marked().with_waiters_of(seen));
            step("lock.mark.cas");
            // Release pairs with the claim that recovers: it sees how far this holder came.
            let done = self
                .word
                .compare_exchange(seen.0, marked.0, Release, Relaxed);
            if done.is_ok() {
                break;
            }
        }
        self.wake_all();
        if listed {
            list.finish();
        }
    }

    /// Does what the participant `dead`, of which the caller knows that it is dead, still had to do here.
    ///
    /// Marks the lock if the dead held it, and wakes every sleeper, because the dead may have given the lock up
    /// without the wake-up that it owed.
    pub(crate) fn repair(&self, dead: Participant) {
        loop {
            let seen = self.load();
            let is_its = !seen.is_free() && seen.owner().participant() == Some(dead);
            if seen.is_marked() || !is_its || self.mark(seen) {
                break;
            }
        }
        if self.alert.was_raised() {
            self.wake_all();
        }
    }

    /// Whether the calling thread holds the lock.
    #[inline]
    pub(crate) fn is_mine(&self) -> bool {
        let list = ThreadList::here();
        // Who has claimed nothing yet, such as a forked child with its parent's guard, holds nothing.
        let claim = || Some(list.claim()).filter(|&claim| claim != 0);
        list.is_pending(&self.node) || claim().is_some_and(|claim| self.load().is_held_by(claim))
    }

    /// After a [`claim`](RawLock::claim) that failed: whether it did because the calling thread holds the lock. If so, what
    /// was begun there is ended.
    pub(crate) fn turns_out_mine(&self) -> bool {
        let list = ThreadList::here();
        let mine = list.claim() != 0 && self.load().is_held_by(list.claim());
        if mine {
            list.finish_held(&self.node);
        }
        mine
    }

    /// Whether `who` holds the lock at this instant.
    pub(crate) fn is_held_by(&self, who: Participant) -> bool {
        let seen = self.load();
        !seen.is_free() && !seen.is_marked() && seen.owner().participant() == Some(who)
    }

    /// Whoever is named by the word, and whether it is marked, if the lock is not free.
    pub(crate) fn owner(&self) -> Option<(Owner, bool)> {
        let seen = self.load();
        (!seen.is_free()).then(|| (seen.owner(), seen.is_marked()))
    }

    /// The waiting room: returns with the lock, or with nothing held and nothing pending.
    fn acquire(&self, mut wait: Waiting<'_>) -> Result<Option<Owner>, Refused> {
        loop {
            let seen = self.spin(&mut wait);
            if seen.is_marked() {
                match self.meet_mark(&wait, seen) {
                    Some(outcome) => return outcome,
                    None => continue,
                }
            }
            if seen.is_free() && !self.is_anothers_turn(&wait, seen) {
                if self.take_over(seen, wait.claim()) {
                    return Ok(None);
                }
                continue;
            }
            if seen.is(wait.mine) {
                if let Some(list) = wait.list {
                    list.finish_held(&self.node);
                }
                return Err(Refused::Deadlock);
            }
            if !seen.is_free() && !wait.owner_lives(seen) {
                self.mark(seen);
                continue;
            }
            if wait.deadline.expired() {
                return self.leave(&wait, Refused::TimedOut);
            }
            self.sleep(&mut wait, seen);
        }
    }

    /// Whether the free lock is for those who have slept, and this one has not.
    fn is_anothers_turn(&self, wait: &Waiting<'_>, seen: Word) -> bool {
        seen == Word::RESERVED && !wait.slept && self.alert.is_fair()
    }

    /// Looks again while somebody holds the lock and nobody sleeps, but not for long.
    ///
    /// Pauses between the looks, longer each time: a look takes the line away from the holder, who is slowed down by
    /// it just when everybody waits for him.
    fn spin(&self, wait: &mut Waiting<'_>) -> Word {
        let mut pauses = FIRST_PAUSES;
        loop {
            let seen = self.load();
            let is_held = !seen.is_free() && !seen.is_marked();
            if !is_held || seen.has_waiters() || wait.pauses_left == 0 {
                return seen;
            }
            let pauses_now = wait.pauses_left.min(pauses);
            wait.pauses_left -= pauses_now;
            (0..pauses_now).for_each(|_| spin_loop());
            pauses = (2 * pauses).min(MOST_PAUSES);
        }
    }

    /// Takes or refuses the marked lock; `None` if it changed meanwhile.
    fn meet_mark(&self, wait: &Waiting<'_>, seen: Word) -> Option<Result<Option<Owner>, Refused>> {
        let owner = seen.owner();
        if wait.on_mark == OnMark::Refuse {
            if wait.slept {
                self.wake_all(); // the mark woke one sleeper, and all must hear of it
            }
            return Some(self.leave(wait, Refused::Marked(owner)));
        }
        let taken = self.take_over(seen, wait.claim().with_waiters_of(seen));
        taken.then(|| {
            self.node.reset();
            Ok(Some(owner))
        })
    }

    /// Announces a sleeper and sleeps for one slice, unless the word changes first.
    fn sleep(&self, wait: &mut Waiting<'_>, seen: Word) {
        self.alert.raise();
        if !self.announce(seen) || !self.alert.stands() {
            return;
        }
        let until = wait.slice();
        step("lock.sleep");
        wait.woken = futex::wait_low(&self.word, seen.with_waiters().low(), until);
        wait.slept = true;
        wait.pauses_left = spin_budget();
    }

    /// Sees to it that the word `seen` announces a sleeper; `false` if it changed meanwhile.
    fn announce(&self, seen: Word) -> bool {
        step("lock.announce_sleeper.cas");
        // An exchange also where it changes nothing. Acquire pairs with the holder's look in `unlock_alert`: if that
        // came first, its end of the alert is seen next.
        let announced = self
            .word
            .compare_exchange(seen.0, seen.with_waiters().0, Acquire, Relaxed);
        announced.is_ok()
    }

    /// Ends a wait without the lock, passing on a wake-up that was meant for somebody who takes it.
    fn leave<T>(&self, wait: &Waiting<'_>, why: Refused) -> Result<T, Refused> {
        if wait.slept && wait.woken == Wake::Woken && why == Refused::TimedOut {
            self.wake_one();
        }
        wait.finish();
        Err(why)
    }

    /// Takes the lock from the word `seen`, with a `claim` that may announce others who sleep.
    ///
    /// A store has overwritten what they announced, and holders since then may have ended the alert. As long as they sleep
    /// nobody may give the lock up by a store; and as the holder nobody but this thread can end the alert now.
    fn take_over(&self, seen: Word, claim: Word) -> bool {
        let taken = self.exchange(seen, claim);
        if taken && claim.has_waiters() && !seeded("lock-forgets-who-sleeps") {
            self.alert.raise();
        }
        taken
    }

    /// One attempt at the claim, or at anything that takes the lock.
    #[inline]
    fn exchange(&self, seen: Word, claim: Word) -> bool {
        step("lock.acquire.cas");
        // Acquire pairs with the release or the mark that made the word `seen`.
        self.word
            .compare_exchange(seen.0, claim.0, Acquire, Relaxed)
            .is_ok()
    }

    /// Does for a dead holder what the kernel would have done; `false` if the word changed meanwhile.
    #[cold]
    fn mark(&self, seen: Word) -> bool {
        step("lock.repair.cas");
        // Acquire and release: the oracle's answer comes before the mark, and the claim that recovers after it.
        let marked = self
            .word
            .compare_exchange(seen.0, seen.marked().0, AcqRel, Relaxed);
        if marked.is_ok() && seen.has_waiters() {
            self.wake_all();
        }
        marked.is_ok()
    }

    #[inline]
    fn load(&self) -> Word {
        Word(self.word.load(Relaxed)) // only ever a hint: every step on it is an exchange of the exact word
    }

    #[cold]
    fn wake_one(&self) {
        step("lock.wake");
        futex::wake_low(&self.word, 1);
    }

    #[cold]
    fn wake_all(&self) {
        step("lock.wake_all");
        futex::wake_low(&self.word, i32::MAX as u32);
    }
}

fn release_order() -> Ordering {
    if seeded("lock-missing-release") {
        Relaxed
    } else {
        Release // pairs with the claim that succeeds next: it sees all that this holder wrote
    }
}

/// Between the first and the second look, and at most: measured best over critical sections of 0 to 2 us.
const FIRST_PAUSES: u32 = 8;
const MOST_PAUSES: u32 = 32;

// SAFETY: repr(C), atomics and pads only, valid for all bytes; the links in it are followed by their writer alone.
#[cfg(not(loom))]
unsafe impl crate::segment::layout::Layout for RawLock {}

#[cfg(not(loom))]
const _: () = {
    use crate::sys::robust::LINK_OFFSET;
    use std::mem::offset_of;
    assert!(size_of::<RawLock>() == 40);
    assert!(offset_of!(RawLock, word) == 0);
    assert!(offset_of!(RawLock, node) + size_of::<Node>() == LINK_OFFSET + 8);
};
