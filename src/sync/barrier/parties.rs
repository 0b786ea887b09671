//! Who is a party of a barrier: the processes that use it, and those that have gone.
//!
//! A party has one row, and everything about it is in the row's one word:
//!
//! | bits | meaning |
//! |---|---|
//! | 63..52 | participant |
//! | 51 | has waited |
//! | 33..32 | 0 nobody, 1 uses the barrier, 2 died, 3 let go of it |
//! | 31..0 | pid |
//!
//! The row of a party that is gone stays, so that those who wait for it hear of it. A newcomer takes it over once as many
//! have come as make a round; a reset empties it.

use super::{Breakage, Cause, RawBarrier, Watch};
use crate::segment::Segment;
use crate::segment::layout::Offset;
use crate::sys::atomic::{
    AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed},
};
use crate::sys::clock::now_ns;
use crate::sys::identity::{Oracle, Participant};
use crate::sys::step::step;
use std::time::Duration;

/// The row of one party; all zero bytes are nobody's.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Party(AtomicU64);

/// The parties of one barrier, as seen by a process that asks `oracle`.
pub(crate) struct Parties<'a> {
    pub(crate) barrier: &'a RawBarrier,
    pub(crate) rows: &'a [Party],
    /// How many make a round.
    pub(crate) wanted: u32,
    pub(crate) oracle: &'a dyn Oracle,
}

/// One process at the barrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) who: Participant,
    pub(crate) pid: u32,
}

/// A value of a row's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row(u64);

const NOBODY: Row = Row(0);
const STATE: u64 = 0b11 << 32;
const PRESENT: u64 = 1 << 32;
const DEAD: u64 = 2 << 32;
const LEFT: u64 = 3 << 32;
const HAS_WAITED: u64 = 1 << 51;
const SLOT_SHIFT: u32 = 52;

impl Row {
    fn of(its: Identity) -> Self {
        Row(u64::from(its.who.get()) << SLOT_SHIFT | PRESENT | u64::from(its.pid))
    }

    fn who(self) -> Option<Participant> {
        Participant::new((self.0 >> SLOT_SHIFT) as u16)
    }

    fn pid(self) -> u32 {
        self.0 as u32
    }

    fn is_of(self, its: Identity) -> bool {
        self.who() == Some(its.who) && self.pid() == its.pid
    }

    fn is(self, state: u64) -> bool {
        self.0 & STATE == state
    }

    fn become_(self, state: u64) -> Row {
        Row(self.0 & !STATE | state)
    }

    fn has_waited(self) -> bool {
        self.0 & HAS_WAITED != 0
    }
}

impl Party {
    fn load(&self) -> Row {
        Row(self.0.load(Acquire)) // pairs with `replace`
    }

    fn replace(&self, seen: Row, next: Row) -> bool {
        step("barrier.party");
        // Acquire and release: what is known of a party before it is noted is known to who finds the note.
        self.0
            .compare_exchange(seen.0, next.0, AcqRel, Relaxed)
            .is_ok()
    }

    /// Changes the row for as long as `next` has a change for it.
    fn update(&self, next: impl Fn(Row) -> Option<Row>) {
        loop {
            let seen = self.load();
            match next(seen) {
                Some(next) if next != seen => {
                    if self.replace(seen, next) {
                        return;
                    }
                }
                _ => return,
            }
        }
    }
}

/// All sleepers together ask about a party so often at most. Among a thousand a question takes 5.5 us: one hundredth.
const QUESTION: Duration = Duration::from_micros(500);

/// As many parties are asked about in every round that somebody slept in.
const FEW: u32 = 16;

/// No look is put off further than this; a later one was written by a clock that is not ours.
const LONGEST: Duration = Duration::from_secs(1);

impl Parties<'_> {
    /// Makes `me` a party; `false` if there is no row for it.
    pub(crate) fn enter(&self, me: Identity) -> bool {
        loop {
            if let Some((row, seen)) = self.find(|row| row.is_of(me) && !row.is(DEAD)) {
                if row.replace(seen, seen.become_(PRESENT)) {
                    return true;
                }
                continue;
            }
            let Some((row, seen)) = self.vacancy() else {
                return false;
            };
            self.end_action_of(seen);
            if row.replace(seen, Row::of(me)) {
                return true;
            }
        }
    }

    /// Notes that `me` waits: it is counted on from now on.
    pub(crate) fn takes_part(&self, me: Identity) {
        self.change(me, |row| Row(row.0 | HAS_WAITED));
    }

    /// Notes that `me` has let go of the barrier.
    pub(crate) fn leave(&self, me: Identity) {
        self.change(me, |row| row.become_(LEFT));
        self.barrier.stir();
    }

    /// Notes that the participant `dead` is dead, of which the caller knows that it is.
    pub(crate) fn bury(&self, dead: Participant) {
        for row in self.rows {
            let is_its = |seen: Row| seen.is(PRESENT) && seen.who() == Some(dead);
            row.update(|seen| is_its(seen).then(|| seen.become_(DEAD)));
        }
        if self.find(|row| row.who() == Some(dead)).is_some() {
            self.barrier.end_action_of(dead, self.pid(dead));
            self.barrier.stir();
        }
    }

    /// Empties the rows of all who are gone.
    pub(crate) fn forget_gone(&self) {
        for row in self.rows {
            row.update(|seen| (seen != NOBODY && !self.is_present(seen)).then_some(NOBODY));
        }
    }

    fn change(&self, me: Identity, next: impl Fn(Row) -> Row) {
        for row in self.rows {
            row.update(|seen| (seen.is_of(me) && seen.is(PRESENT)).then(|| next(seen)));
        }
    }

    fn find(&self, fits: impl Fn(Row) -> bool) -> Option<(&Party, Row)> {
        let mut rows = self.rows.iter().map(|row| (row, row.load()));
        rows.find(|&(_, seen)| fits(seen))
    }

    /// A row for a newcomer: that of a party that is gone if as many have come as make a round, else an empty one.
    fn vacancy(&self) -> Option<(&Party, Row)> {
        let come = self.rows.iter().filter(|row| row.load() != NOBODY).count();
        let gone = || self.find(|row| row != NOBODY && !self.is_present(row));
        let gone = (come >= self.wanted as usize).then(gone).flatten();
        gone.or_else(|| self.find(|row| row == NOBODY))
    }

    /// Whoever waits for the action of the gone party `row` must hear of it before nothing is left of that party.
    fn end_action_of(&self, row: Row) {
        let runner = self.barrier.runner();
        if let Some(runner) = runner.filter(|&who| row.who() == Some(who))
            && !self.oracle.is_alive(runner)
        {
            self.barrier.end_action_of(runner, row.pid());
        }
    }

    fn is_present(&self, row: Row) -> bool {
        row.is(PRESENT) && row.who().is_some_and(|who| self.oracle.is_alive(who))
    }

    /// Whether it is this caller's turn, among all sleepers, to ask about everybody.
    fn is_due(&self) -> bool {
        let word = &self.barrier.next_look;
        let (now, next) = (now_ns(), word.load(Relaxed)); // a rate limit guards nothing
        if next > now && next - now <= nanos(LONGEST) {
            return false;
        }
        let parties = self.rows.iter().filter(|row| row.load().is(PRESENT));
        let later = now + (nanos(QUESTION) * parties.count() as u64).min(nanos(LONGEST));
        step("barrier.look");
        word.compare_exchange(next, later, Relaxed, Relaxed).is_ok()
    }

    /// The party without which no round can be completed, if there is one.
    fn search(&self) -> Option<Breakage> {
        let (mut present, mut counted_on) = (0, 0);
        let (mut gone, mut retired, mut idle) = (None, None, None);
        for seen in self.rows.iter().map(Party::load).filter(|&r| r != NOBODY) {
            if self.is_present(seen) {
                present += 1;
                counted_on += u32::from(seen.has_waited());
            } else if !seen.is(LEFT) {
                gone.get_or_insert(seen);
            } else if seen.has_waited() {
                retired.get_or_insert(seen);
            } else {
                idle.get_or_insert(seen);
            }
        }
        let retired = retired.filter(|_| counted_on < self.wanted);
        let idle = idle.filter(|_| present < self.wanted);
        let why = |cause| {
            move |row: Row| Breakage {
                cause,
                pid: row.pid(),
            }
        };
        let left = retired.or(idle).map(why(Cause::Left));
        gone.map(why(Cause::Died)).or(left)
    }
}

impl Watch for Parties<'_> {
    fn missing(&self) -> Option<Breakage> {
        if self.is_due() { self.search() } else { None }
    }

    fn missing_at_last(&self) -> Option<Breakage> {
        if self.wanted <= FEW || self.is_due() {
            self.search()
        } else {
            None
        }
    }

    fn pid(&self, who: Participant) -> u32 {
        let its = self.find(|row| row != NOBODY && row.who() == Some(who));
        its.map_or(0, |(_, row)| row.pid())
    }
}

/// For those who repair, who know who is dead.
struct Unasked;

impl Oracle for Unasked {
    fn is_alive(&self, _: Participant) -> bool {
        true
    }
}

/// Does what the death of the participant `dead` asks for at the barrier in the `len` bytes from `place`; the caller
/// knows that it is dead.
pub(crate) fn repair_barrier(segment: &Segment, (place, len): (u64, u64), dead: Participant) {
    let barrier = segment.get(Offset::<RawBarrier>::new(place));
    if let (Some(barrier), Some(most)) = (barrier, parties_in(len)) {
        let wanted = barrier.parties().min(most);
        let parties = Parties {
            barrier,
            rows: barrier_rows(segment, place, wanted),
            wanted,
            oracle: &Unasked,
        };
        parties.bury(dead);
    }
}

impl RawBarrier {
    /// Fills in a new barrier of `parties`, whose bytes are all zero.
    pub(crate) fn prepare(&self, parties: u32) {
        step("barrier.prepare");
        // Relaxed: whoever comes, comes by a handle or a name that is published later.
        self.parties.store(parties, Relaxed);
    }

    /// How many make a round, as shared memory says.
    pub(crate) fn parties(&self) -> u32 {
        self.parties.load(Relaxed) // see `prepare`
    }
}

/// The rows of the barrier of `parties` at `place`.
pub(crate) fn barrier_rows(segment: &Segment, place: u64, parties: u32) -> &[Party] {
    let first = Offset::new(place + size_of::<RawBarrier>() as u64);
    let count = rows_for(parties.min(MOST_PARTIES));
    segment.slice(first, count.into()).unwrap_or_default()
}

/// The most that can make a round: each can be a process of its own, and a few others use the barrier beside them.
pub(crate) const MOST_PARTIES: u32 = 4000;

/// Rows for the parties of a barrier: twice as many as make a round, and some.
const fn rows_for(parties: u32) -> u32 {
    2 * parties + 15
}

/// For how many parties a barrier of `len` bytes has rows; `None` if it is no whole barrier.
fn parties_in(len: u64) -> Option<u32> {
    let more = len.checked_sub(barrier_len(0))? / (barrier_len(1) - barrier_len(0));
    Some(u32::try_from(more).unwrap_or(MOST_PARTIES))
}

/// The bytes of a barrier of `parties`.
pub(crate) const fn barrier_len(parties: u32) -> u64 {
    (size_of::<RawBarrier>() + size_of::<Party>() * rows_for(parties) as usize) as u64
}

fn nanos(duration: Duration) -> u64 {
    duration.as_nanos() as u64
}

// SAFETY: repr(C), one atomic.
unsafe impl crate::segment::layout::Layout for Party {}

const _: () = assert!(size_of::<Party>() == 8);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::{Draft, Kind, Spec};

    #[test]
    fn a_damaged_number_of_parties_leads_the_repair_nowhere_else() {
        let spec = Spec {
            body_len: barrier_len(4),
            ..Spec::new(Kind::Barrier)
        };
        let segment = Draft::anonymous(&spec).unwrap().publish(None).unwrap();
        let (place, _) = segment.body();
        let dead = Identity {
            who: Participant::new(7).unwrap(),
            pid: 1,
        };
        let rows = barrier_rows(&segment, place, 4);
        rows.iter()
            .for_each(|row| assert!(row.replace(NOBODY, Row::of(dead))));
        let barrier = segment.at(Offset::<RawBarrier>::new(place));
        let buried = || rows.iter().take_while(|row| row.load().is(DEAD)).count();
        for (parties, len, those) in [
            (4, barrier_len(0) - 1, 0),
            (1, barrier_len(2), 17),
            (4000, barrier_len(3) + 8, 21),
            (u32::MAX, barrier_len(4), 23),
        ] {
            barrier.prepare(parties);
            repair_barrier(&segment, (place, len), dead.who);
            assert_eq!(buried(), those, "{parties} in {len}");
        }
    }
}
