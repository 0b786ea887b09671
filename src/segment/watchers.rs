//! Who watches the objects of a segment without sleeping beside one of them: the bells to ring when something happens there.
//!
//! A row is one word, written by its watcher alone, and cleared by him or, once he is dead, by whoever sweeps:
//!
//! | bits | meaning |
//! |---|---|
//! | 63..32 | the number of the watcher's bell |
//! | 31..12 | what is watched: where its word lies, in units of four bytes, the lowest bits of that; 0: everything |
//! | 11..0 | the watcher's participant; 0: the row is free |
//!
//! A ring too many costs its watcher a look, so that the place need not be exact.

use super::Segment;
use super::header::{ROSTER_LEN, WATCH_ROWS};
use super::layout::{Offset, PAGE};
use crate::sys::atomic::AtomicU64;
use crate::sys::atomic::Ordering::{Relaxed, SeqCst};
use crate::sys::bell::{self, Address, Bells};
use crate::sys::identity::Participant;
use crate::sys::step::step;

/// Rows that a page has.
const PER_PAGE: u32 = (PAGE / 8) as u32;

/// The rows of one segment.
#[derive(Clone, Copy)]
pub(crate) struct Watchers<'a> {
    segment: &'a Segment,
}

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Watched(u32);

impl Watched {
    /// Whatever lies in the segment.
    pub(crate) const EVERYTHING: Watched = Watched(0);
}

/// A row that its watcher has.
#[derive(Clone, Copy, Debug)]
#[must_use = "a row is its watcher's until he leaves it or dies"]
pub(crate) struct Row {
    index: u32,
    word: u64,
    who: Participant,
}

impl Row {
    /// Whose it is.
    pub(crate) fn who(self) -> Participant {
        self.who
    }
}

#[derive(Clone, Copy)]
struct Word(u64);

impl Word {
    fn new(bell: u32, what: Watched, who: Participant) -> Self {
        Word(u64::from(bell) << 32 | u64::from(what.0) << 12 | u64::from(who.get()))
    }

    fn bell(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn who(self) -> u16 {
        self.0 as u16 & 0xfff
    }

    fn concerns(self, what: Watched) -> bool {
        let watched = (self.0 >> 12) as u32 & TAG;
        self.0 != 0 && (watched == what.0 || watched == Watched::EVERYTHING.0)
    }
}

const TAG: u32 = (1 << 20) - 1;

impl<'a> Watchers<'a> {
    /// The watchers of `segment`.
    pub(crate) fn of(segment: &'a Segment) -> Self {
        Watchers { segment }
    }

    /// How `word`, which lies in the segment, is called here.
    pub(crate) fn name(self, word: Address) -> Watched {
        Watched((self.segment.offset_of(word) / 4) as u32 & TAG)
    }

    /// Has `bell` rung from now on when something happens to `what`; `None` if there is no row for it.
    pub(crate) fn enrol(self, me: Participant, what: Watched, bell: u32) -> Option<Row> {
        let word = Word::new(bell, what, me).0;
        (0..WATCH_ROWS).find_map(|index| {
            let row = self.with_memory(index)?;
            if row.load(Relaxed) != 0 {
                return None; // a hint for the exchange
            }
            step("watchers.enrol");
            // SeqCst: before the watcher's announcement at the object's word; pairs with `ring`.
            let done = row.compare_exchange(0, word, SeqCst, Relaxed);
            done.is_ok().then_some(Row {
                index,
                word,
                who: me,
            })
        })
    }

    /// The row, which counts as used from now on.
    fn with_memory(self, index: u32) -> Option<&'a AtomicU64> {
        let used = self.segment.header().watch_rows_used();
        let seen = used.load(SeqCst);
        if seen <= index {
            if index.is_multiple_of(PER_PAGE) {
                let place = self.offset() + u64::from(index) * 8;
                self.segment.ensure_allocated(place, PAGE).ok()?;
            }
            step("watchers.grow");
            // SeqCst: before the row is filled; pairs with `rows`.
            used.fetch_max(index + 1, SeqCst);
        }
        self.rows(index + 1)?.last()
    }

    fn offset(self) -> u64 {
        self.segment.roster().0 + ROSTER_LEN
    }

    fn rows(self, count: u32) -> Option<&'a [AtomicU64]> {
        self.segment
            .slice(Offset::new(self.offset()), count.min(WATCH_ROWS).into())
    }

    /// Every row that was ever used.
    fn used(self) -> &'a [AtomicU64] {
        // SeqCst: pairs with `with_memory`; whoever announced himself at the object has done that before.
        let used = self.segment.header().watch_rows_used().load(SeqCst);
        self.rows(used).unwrap_or_default()
    }

    /// Gives a row up.
    pub(crate) fn leave(self, row: Row) {
        if let Some(word) = self.used().get(row.index as usize) {
            step("watchers.leave");
            // From the exact word: who was taken for dead does not clear another's. Relaxed: guards nothing.
            let _ = word.compare_exchange(row.word, 0, Relaxed, Relaxed);
        }
    }

    /// Gives up all rows of one that is dead, or leaves.
    pub(crate) fn forget(self, who: Participant) {
        for row in self.used() {
            let seen = Word(row.load(Relaxed)); // what is not seen here was not written before the death
            if seen.who() == who.get() {
                step("watchers.forget");
                let _ = row.compare_exchange(seen.0, 0, Relaxed, Relaxed); // from the exact word
            }
        }
    }
}

impl Bells for Segment {
    #[cold]
    fn ring(&self, word: Address) {
        let watchers = Watchers::of(self);
        let what = watchers.name(word);
        for row in watchers.used() {
            let seen = Word(row.load(SeqCst)); // pairs with `enrol`
            if seen.concerns(what) {
                step("watchers.ring");
                bell::ring(seen.bell());
            }
        }
    }
}
