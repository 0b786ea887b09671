//! One thread's wait for one lock: how long it spins, how long it sleeps, and when it asks about the holder.

use crate::sync::word::Word;
use crate::sys::backoff;
use crate::sys::clock::{Deadline, WATCHFUL, now_ns, slice_in_crowd};
use crate::sys::futex::Wake;
use crate::sys::identity::Oracle;
use crate::sys::robust::ThreadList;
use crate::sys::seeded::seeded;
use std::time::Duration;

/// What a thread does about the mark when it finds one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OnMark {
    Refuse,
    Take,
}

/// One thread's wait for one lock.
pub(super) struct Waiting<'a> {
    pub(super) mine: Word,
    /// The list that names the lock as pending; `None` for a thread of another pid namespace.
    pub(super) list: Option<ThreadList>,
    pub(super) oracle: &'a dyn Oracle,
    pub(super) deadline: Deadline,
    pub(super) on_mark: OnMark,
    /// How much longer to spin before sleeping.
    pub(super) pauses_left: u32,
    pub(super) slept: bool,
    pub(super) woken: Wake,
    /// When the first sleep began; 0 before.
    since: u64,
    asked: bool,
}

impl<'a> Waiting<'a> {
    pub(super) fn new(
        list: Option<ThreadList>,
        mine: Word,
        oracle: &'a dyn Oracle,
        deadline: Deadline,
        on_mark: OnMark,
    ) -> Self {
        let patient = deadline != Deadline::NOW;
        Waiting {
            mine,
            list,
            oracle,
            deadline,
            on_mark,
            pauses_left: if patient { spin_budget() } else { 0 },
            slept: false,
            woken: Wake::Changed,
            since: 0,
            asked: false,
        }
    }

    /// Nothing was taken: nothing is pending.
    pub(super) fn finish(&self) {
        if let Some(list) = self.list {
            list.finish();
        }
    }

    /// What to claim the lock with. Who has slept cannot know whether others still sleep, so announces one.
    pub(super) fn claim(&self) -> Word {
        if self.slept && !seeded("lock-lost-wakeup") {
            self.mine.with_waiters()
        } else {
            self.mine
        }
    }

    /// Asks about the holder before the first sleep and after each slice that nobody ended.
    pub(super) fn owner_lives(&mut self, seen: Word) -> bool {
        if seeded("lock-repairs-living") {
            return false;
        }
        if self.asked && self.woken != Wake::TimedOut {
            return true;
        }
        self.asked = true;
        seen.owner()
            .participant()
            .is_none_or(|who| self.oracle.is_alive(who))
    }

    /// The end of the next sleep: a quarter of the time waited so far, within bounds.
    pub(super) fn slice(&mut self) -> Deadline {
        let now = now_ns();
        if self.since == 0 {
            self.since = now;
        }
        let waited = Duration::from_nanos(now - self.since);
        let longest = slice_in_crowd(WATCHFUL, self.oracle.population());
        let slice = (waited / 4).clamp(SHORTEST_SLICE, longest);
        self.deadline.min_slice(slice)
    }
}

/// How long to spin before sleeping: some microseconds, the price of a sleep and its wake-up.
pub(super) fn spin_budget() -> u32 {
    const PAUSES: u32 = 128;
    if backoff::is_worthwhile() { PAUSES } else { 0 }
}

const SHORTEST_SLICE: Duration = Duration::from_millis(2);
