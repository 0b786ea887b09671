//! Which free block to take: the order decides how much of the caches the blocks in flight occupy.

use crate::sys::atomic::{AtomicU32, Ordering::Relaxed};

/// Whose turn it is among the blocks of a class, as far as this process is concerned.
///
/// A *few* take turns as long as they suffice. Messages come back in the order in which they were sent, so if the next
/// of the few is not free none of them is, and one look tells; after that they are left out for a while. Of the few no more take
/// turns than have to, at first: what a page costs that is touched for the first time is paid for by many messages. Those
/// *beyond* take turns of their own, in a span that grows while it does not suffice.
///
/// Threads and processes that disagree take other blocks than they might, and no harm is done.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// How many of the few take turns.
    taking_turns: AtomicU32,
    /// How often each of these was used since that changed.
    turns: AtomicU32,
    /// The next of the few.
    next_of_few: AtomicU32,
    /// How many more are to be taken beyond before the few are looked at again.
    few_left_out: AtomicU32,
    /// The next beyond.
    next: AtomicU32,
    /// Where the span beyond ends.
    end: AtomicU32,
    /// How often it went round since that changed.
    rounds: AtomicU32,
}

/// After so many turns they are twice as many.
const TURNS: u32 = 8;

/// The span shrinks by one block after so many rounds: finding out that this was too much looks at every block.
const ROUNDS: u32 = 16;

/// Where the few did not suffice they are left out so often: the look at one that is still in use costs as much as the
/// whole message, as its user has the line.
const LEFT_OUT: u32 = 16;

impl Turn {
    /// The blocks of which `described` exist and `few` are the few, in the order in which they should be tried.
    pub(super) fn order(&self, few: u32, described: u32) -> impl Iterator<Item = u32> {
        let few = few.min(described);
        let some = self.some_of(few);
        let end = self.end.load(Relaxed).clamp(few, described);
        let within = |next: u32, from: u32, to: u32| if next < to { next.max(from) } else { from };
        let first = within(self.next_of_few.load(Relaxed), 0, some);
        let next = within(self.next.load(Relaxed), few, end);
        let tried = self.few_left_out.load(Relaxed) == 0;
        let more = if tried { some..few } else { 0..0 };
        (first..some)
            .take(usize::from(tried))
            .chain(more)
            .chain(next..end)
            .chain(few..next)
            .chain(end..described)
            .chain(0..few)
    }

    /// How many of the few take turns.
    #[inline]
    fn some_of(&self, few: u32) -> u32 {
        self.taking_turns.load(Relaxed).max(1).min(few)
    }

    /// Which of the `few` is the first in that order; `None` while they are left out.
    #[inline]
    pub(super) fn next_of(&self, few: u32) -> Option<u32> {
        let next = self.next_of_few.load(Relaxed);
        let tried = self.few_left_out.load(Relaxed) == 0;
        tried.then_some(if next < self.some_of(few) { next } else { 0 })
    }

    /// Remembers that `index` was the first free one in that order.
    #[inline]
    pub(super) fn took(&self, index: u32, few: u32) {
        let after = index + 1;
        if index < few {
            self.took_of_few(after, few);
            self.few_left_out.store(0, Relaxed); // no step: of this process, as is all below
            return;
        }
        let left_out = self.few_left_out.load(Relaxed);
        let left_out = left_out.checked_sub(1).unwrap_or(LEFT_OUT);
        self.few_left_out.store(left_out, Relaxed); // no step: see above
        self.next.store(after, Relaxed); // no step: see above
        let end = self.end.load(Relaxed);
        if after > end {
            self.resize(after);
        } else if after == end {
            self.went_round(end);
        }
    }

    #[inline]
    fn took_of_few(&self, after: u32, few: u32) {
        let some = self.some_of(few);
        if after > some {
            // They did not suffice: whose turn it was is still the first to come back.
            if self.next_of_few.load(Relaxed) >= some {
                self.next_of_few.store(0, Relaxed); // no step: of this process
            }
            return self.let_take_turns(after);
        }
        self.next_of_few.store(after, Relaxed); // no step: of this process
        if after == some && some < few {
            let turns = self.turns.load(Relaxed) + 1;
            match turns < TURNS {
                true => self.turns.store(turns, Relaxed), // no step: of this process
                false => self.let_take_turns(few.min(2 * some)),
            }
        }
    }

    fn let_take_turns(&self, some: u32) {
        self.taking_turns.store(some, Relaxed); // no step: of this process
        self.turns.store(0, Relaxed); // no step: of this process
    }

    fn went_round(&self, end: u32) {
        let rounds = self.rounds.load(Relaxed) + 1;
        if rounds < ROUNDS {
            self.rounds.store(rounds, Relaxed); // no step: of this process
        } else {
            self.resize(end - 1);
        }
    }

    fn resize(&self, end: u32) {
        self.end.store(end, Relaxed); // no step: of this process
        self.rounds.store(0, Relaxed); // no step: of this process
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    /// Takes blocks with so many in flight, for as long as it takes; returns those used last.
    fn steady(turn: &Turn, few: u32, in_flight: usize, times: usize) -> Vec<u32> {
        let (mut flying, mut last) = (VecDeque::new(), Vec::new());
        for _ in 0..times {
            let taken = turn.order(few, 100).find(|index| !flying.contains(index));
            let index = taken.expect("100 suffice");
            turn.took(index, few);
            flying.push_back(index);
            last.push(index);
            if flying.len() == in_flight {
                flying.pop_front();
            }
        }
        let mut last = last.split_off(times - 3 * in_flight);
        last.sort_unstable();
        last.dedup();
        last
    }

    #[test]
    fn few_blocks_suffice_for_few_messages() {
        let turn = Turn::default();
        assert_eq!(steady(&turn, 4, 2, 100), [0, 1, 2, 3]);
        assert!(steady(&turn, 4, 40, 2000).len() <= 40 + 4);
        assert_eq!(steady(&turn, 4, 2, 100), [0, 1, 2, 3], "and again");
    }

    #[test]
    fn no_more_take_turns_than_have_to_until_it_pays() {
        let turn = Turn::default();
        let used = |times: u32| {
            let take = || {
                let index = turn.order(16, 100).next().expect("100 suffice");
                turn.took(index, 16);
                index
            };
            (0..times * TURNS).map(|_| take()).max()
        };
        assert_eq!([1, 1, 2].map(used), [Some(0), Some(1), Some(3)]);
        assert_eq!([100, 100].map(used), [Some(15); 2], "and no more");

        let turn = Turn::default();
        assert_eq!(steady(&turn, 64, 5, 15), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn every_block_is_tried_once_or_twice() {
        let turn = Turn::default();
        steady(&turn, 4, 10, 57);
        let mut order: Vec<_> = turn.order(4, 30).collect();
        order.sort_unstable();
        order.dedup();
        assert_eq!(order, (0..30).collect::<Vec<_>>());
        assert_eq!(turn.order(4, 0).count(), 0);
    }
}
