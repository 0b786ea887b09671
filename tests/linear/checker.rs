//! Whether there is an order of what overlapped that a single process could have done (Wing and Gong; with Lowe's memory of
//! what was tried already).

use std::collections::HashSet;
use std::hash::Hash;

/// Something that was done between two readings of one clock.
#[derive(Clone, Debug)]
pub struct Event<D> {
    pub begin: u64,
    pub end: u64,
    pub did: D,
}

/// What was done, and what a process that is alone would have found and left.
pub trait Deed {
    type State: Clone + Eq + Hash;

    /// The state that it leaves; none if it could not have been done as it was in this one.
    fn apply(&self, state: &Self::State) -> Option<Self::State>;
}

/// Whether these events, at most 128, could have been done one after the other, each between its begin and its end.
pub fn is_linearizable<D: Deed>(history: &[Event<D>], first: D::State) -> bool {
    assert!(history.len() <= 128, "a bit for each event");
    let mut tried = HashSet::new();
    let mut open = vec![(0_u128, first)];
    while let Some((done, state)) = open.pop() {
        if done.count_ones() as usize == history.len() {
            return true;
        }
        let left = || (0..history.len()).filter(|event| done >> event & 1 == 0);
        // Nothing is next that began when another one had ended which is still to come.
        let end = left().map(|event| history[event].end).min();
        for event in left().filter(|&event| Some(history[event].begin) <= end) {
            if let Some(after) = history[event].did.apply(&state) {
                let next = (done | 1 << event, after);
                if tried.insert(next.clone()) {
                    open.push(next);
                }
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Did {
        Wrote(u64),
        Read(u64),
        Added(u64),
    }

    impl Deed for Did {
        type State = u64;

        fn apply(&self, state: &u64) -> Option<u64> {
            match *self {
                Did::Wrote(value) => Some(value),
                Did::Read(value) => (*state == value).then_some(*state),
                Did::Added(from) => (*state == from).then_some(from + 1),
            }
        }
    }

    fn check(history: &[(u64, u64, Did)]) -> bool {
        let event = |&(begin, end, did)| Event { begin, end, did };
        is_linearizable(&history.iter().map(event).collect::<Vec<_>>(), 0)
    }

    #[test]
    fn what_overlaps_may_come_in_any_order() {
        use Did::*;
        assert!(check(&[]));
        assert!(check(&[(0, 9, Wrote(1)), (1, 2, Read(0)), (3, 4, Read(1))]));
        assert!(check(&[
            (0, 9, Wrote(1)),
            (0, 9, Wrote(2)),
            (10, 11, Read(1))
        ]));
        assert!(check(&[
            (0, 9, Added(1)),
            (0, 9, Added(0)),
            (9, 11, Read(1))
        ]));
    }

    #[test]
    fn what_is_old_is_found() {
        use Did::*;
        assert!(!check(&[(0, 1, Wrote(1)), (2, 3, Read(0))]), "a lost store");
        let back = [(0, 9, Wrote(1)), (1, 2, Read(1)), (3, 4, Read(0))];
        assert!(!check(&back), "read, and then not");
        assert!(
            !check(&[(0, 9, Added(0)), (0, 9, Added(0))]),
            "a lost addition"
        );
        let torn = [(0, 1, Wrote(1)), (2, 9, Wrote(2)), (2, 9, Read(3))];
        assert!(!check(&torn), "a value that nobody wrote");
    }
}
