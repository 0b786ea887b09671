//! The tasks that were given out and are not answered: chunk by chunk, by their numbers.

use std::collections::VecDeque;

use super::member::Errand;
use crate::tenancy::handover::Cargo;

/// See the module.
#[derive(Default)]
pub(super) struct Ledger {
    /// The chunk with number `first`, and those that follow; none where one is over.
    entries: VecDeque<Option<Chunk>>,
    first: u64,
    chunks: usize,
    open: usize,
    /// Bytes of all that are open.
    bytes: u64,
}

/// Tasks that went out together, and of which the results come in their order.
pub(super) struct Chunk {
    /// Where the results go; that of the first task has this index.
    pub(super) errand: Errand,
    /// Tasks in all.
    pub(super) count: usize,
    /// Tasks that are answered: the first ones.
    pub(super) done: usize,
    /// How often the next task was begun in vain.
    pub(super) deaths: u32,
    pub(super) bytes: usize,
    /// What must not go before a worker has it.
    pub(super) luggage: Luggage,
}

/// The shared objects among the arguments of tasks; most have none.
pub(super) type Luggage = Option<Box<Cargo>>;

impl Chunk {
    /// Tasks that are not answered.
    #[inline]
    pub(super) fn left(&self) -> usize {
        self.count - self.done
    }

    /// The index of the next task.
    #[inline]
    pub(super) fn index(&self) -> u64 {
        self.errand.index + self.done as u64
    }

    /// What is left, as a chunk that has not gone out.
    pub(super) fn into_rest(mut self) -> Self {
        (self.errand.index, self.count) = (self.index(), self.left());
        self.done = 0;
        self
    }
}

impl Ledger {
    /// The number of the next chunk.
    #[inline]
    pub(super) fn next(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// Whether any chunk with a number below this one is open.
    pub(super) fn has_older_than(&self, number: u64) -> bool {
        self.first < number && self.chunks > 0
    }

    /// Enters the next chunk.
    #[inline]
    pub(super) fn enter(&mut self, chunk: Chunk) {
        self.chunks += 1;
        self.open += chunk.left();
        self.bytes += chunk.bytes as u64;
        self.entries.push_back(Some(chunk));
    }

    /// The number of an open chunk of which these are the lower bits.
    #[inline]
    pub(super) fn number_of(&self, low: u32) -> u64 {
        self.first + u64::from(low.wrapping_sub(self.first as u32))
    }

    #[inline]
    fn entry(&mut self, number: u64) -> Option<&mut Option<Chunk>> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.entries.get_mut(at)
    }

    /// The chunk with this number, if it is open.
    #[inline]
    pub(super) fn find(&mut self, number: u64) -> Option<&mut Chunk> {
        self.entry(number)?.as_mut()
    }

    /// The next `count` tasks of this chunk are answered.
    #[inline]
    pub(super) fn advance(&mut self, number: u64, count: usize) {
        let Some(entry) = self.entry(number) else {
            return;
        };
        let Some(chunk) = entry else {
            return;
        };
        chunk.done += count;
        chunk.deaths = 0;
        if chunk.left() == 0 {
            let bytes = chunk.bytes as u64;
            *entry = None;
            self.chunks -= 1;
            self.bytes -= bytes;
            self.forget_the_first();
        }
        self.open -= count;
    }

    /// Leaves out all tasks of this chunk but the first `count`; how many were left out.
    pub(super) fn cut(&mut self, number: u64, count: usize) -> usize {
        let Some(chunk) = self.find(number) else {
            return 0;
        };
        let less = chunk.count - count.clamp(chunk.done, chunk.count);
        chunk.count -= less;
        let is_over = chunk.left() == 0;
        self.open -= less;
        if is_over {
            self.strike(number);
        }
        less
    }

    /// Strikes a chunk out; `None` if it is over already.
    pub(super) fn strike(&mut self, number: u64) -> Option<Chunk> {
        let chunk = self.entry(number)?.take()?;
        self.chunks -= 1;
        self.open -= chunk.left();
        self.bytes -= chunk.bytes as u64;
        self.forget_the_first();
        Some(chunk)
    }

    /// Drops the first entries as far as they are over.
    #[inline]
    fn forget_the_first(&mut self) {
        while let Some(None) = self.entries.front() {
            self.entries.pop_front();
            self.first += 1;
        }
    }

    /// The numbers of all open chunks like this.
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

    /// Chunks that are.
    #[inline]
    pub(super) fn chunks(&self) -> usize {
        self.chunks
    }

    /// Their bytes.
    #[inline]
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Strikes all out.
    pub(super) fn clear(&mut self) -> Vec<Chunk> {
        self.first = self.next();
        (self.chunks, self.open, self.bytes) = (0, 0, 0);
        let entries = std::mem::take(&mut self.entries);
        entries.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::sink::One;
    use std::sync::Arc;

    fn chunk(index: u64, count: usize) -> Chunk {
        let errand = Errand {
            sink: Arc::new(One::<u64>::new()),
            index,
            again: 0,
            limit: 0,
        };
        Chunk {
            errand,
            count,
            done: 0,
            deaths: 0,
            bytes: 8 * count,
            luggage: None,
        }
    }

    #[test]
    fn each_is_struck_out_once_in_any_order() {
        let mut ledger = Ledger::default();
        (0..10).for_each(|n| ledger.enter(chunk(n, 1)));
        for number in [3, 0, 9, 1, 2] {
            assert_eq!(ledger.strike(number).map(|c| c.index()), Some(number));
            assert!(ledger.strike(number).is_none());
        }
        assert_eq!((ledger.open(), ledger.bytes(), ledger.next()), (5, 40, 10));
        assert_eq!(ledger.positions(|e| e.index != 7), [4, 5, 6, 8]);
        assert!(ledger.find(4).is_some() && ledger.find(9).is_none());
        assert!(ledger.has_older_than(5) && !ledger.has_older_than(4));
        assert_eq!(ledger.clear().len(), 5);
        assert!(ledger.strike(4).is_none() && ledger.strike(10).is_none());
        assert_eq!((ledger.open(), ledger.bytes(), ledger.next()), (0, 0, 10));
    }

    #[test]
    fn a_chunk_is_over_with_its_last_task() {
        let mut ledger = Ledger::default();
        ledger.enter(chunk(0, 3));
        ledger.enter(chunk(3, 5));
        ledger.advance(1, 2);
        assert_eq!((ledger.open(), ledger.chunks()), (6, 2));
        assert_eq!(ledger.find(1).map(|c| c.index()), Some(5));
        assert_eq!(ledger.cut(1, 3), 2);
        assert_eq!(ledger.cut(1, 0), 1, "what is done stays done");
        assert!(ledger.find(1).is_none());
        ledger.advance(0, 1);
        let rest = ledger.strike(0).unwrap().into_rest();
        assert_eq!((rest.index(), rest.count, rest.done), (1, 2, 0));
        assert_eq!((ledger.open(), ledger.chunks(), ledger.bytes()), (0, 0, 0));
        assert_eq!(ledger.number_of(2), 2);
    }
}
