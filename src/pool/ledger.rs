//! The tasks that were given out and are not answered, by their numbers.

use std::collections::VecDeque;

use super::member::Errand;
use crate::tenancy::handover::Cargo;

/// See the module.
#[derive(Default)]
pub(super) struct Ledger {
    /// The task with number `first`, and those that follow; none where one is answered.
    entries: VecDeque<Option<Entry>>,
    first: u64,
    open: usize,
    /// Bytes of all that are open.
    bytes: u64,
}

/// A task, its bytes, and what must not go before a worker has it.
struct Entry {
    errand: Errand,
    bytes: u32,
    _luggage: Luggage,
}

/// The shared objects among the arguments of a task; most have none.
pub(super) type Luggage = Option<Box<Cargo>>;

impl Ledger {
    /// The number of the next task.
    #[inline]
    pub(super) fn next(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// Enters the next task, which takes so many bytes.
    #[inline]
    pub(super) fn enter(&mut self, errand: Errand, bytes: usize, luggage: Luggage) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.entries.push_back(Some(Entry {
            errand,
            bytes,
            _luggage: luggage,
        }));
        self.open += 1;
        self.bytes += u64::from(bytes);
    }

    /// Strikes the task with this number out; `None` if it is answered already.
    #[inline]
    pub(super) fn strike(&mut self, number: u64) -> Option<Errand> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let entry = self.entries.get_mut(at)?.take()?;
        self.open -= 1;
        self.bytes -= u64::from(entry.bytes);
        while let Some(None) = self.entries.front() {
            self.entries.pop_front();
            self.first += 1;
        }
        Some(entry.errand)
    }

    /// The task with this number, if it is open.
    pub(super) fn find(&mut self, number: u64) -> Option<&mut Errand> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let entry = self.entries.get_mut(at)?.as_mut();
        entry.map(|entry| &mut entry.errand)
    }

    /// The number of the first open task like this.
    pub(super) fn position(&self, is_it: impl Fn(&Errand) -> bool) -> Option<u64> {
        let mut entries = self.entries.iter();
        let at = entries.position(|entry| entry.as_ref().is_some_and(|entry| is_it(&entry.errand)));
        at.map(|at| self.first + at as u64)
    }

    /// The numbers of all open tasks like this.
    pub(super) fn positions(&self, is_it: impl Fn(&Errand) -> bool) -> Vec<u64> {
        let numbered = (self.first..).zip(&self.entries);
        let open = numbered.filter_map(|(number, entry)| Some((number, &entry.as_ref()?.errand)));
        let these = open.filter(|(_, errand)| is_it(errand));
        these.map(|(number, _)| number).collect()
    }

    /// Tasks that are open.
    #[inline]
    pub(super) fn open(&self) -> usize {
        self.open
    }

    /// Their bytes.
    #[inline]
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Strikes all out.
    pub(super) fn clear(&mut self) -> Vec<Errand> {
        self.first = self.next();
        (self.open, self.bytes) = (0, 0);
        let entries = std::mem::take(&mut self.entries);
        entries
            .into_iter()
            .flatten()
            .map(|entry| entry.errand)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::sink::One;
    use std::sync::Arc;

    fn errand(index: u64) -> Errand {
        Errand {
            sink: Arc::new(One::<u64>::new()),
            index,
            again: 0,
        }
    }

    #[test]
    fn each_is_struck_out_once_in_any_order() {
        let mut ledger = Ledger::default();
        (0..10).for_each(|n| ledger.enter(errand(n), 8, None));
        for number in [3, 0, 9, 1, 2] {
            assert_eq!(ledger.strike(number).map(|e| e.index), Some(number));
            assert!(ledger.strike(number).is_none());
        }
        assert_eq!((ledger.open(), ledger.bytes(), ledger.next()), (5, 40, 10));
        assert_eq!(ledger.position(|e| e.index > 5), Some(6));
        assert_eq!(ledger.positions(|e| e.index != 7), [4, 5, 6, 8]);
        assert!(ledger.find(4).is_some() && ledger.find(9).is_none());
        assert_eq!(ledger.clear().len(), 5);
        assert!(ledger.strike(4).is_none() && ledger.strike(10).is_none());
        assert_eq!((ledger.open(), ledger.bytes(), ledger.next()), (0, 0, 10));
    }
}
