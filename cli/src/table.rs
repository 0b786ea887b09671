//! The word table: how often each word was seen, in two flat arrays that can be sent as they are.

use crate::record::{Word, Words};

/// Words longer than this are counted, but not listed: nobody reads them, and one of them may be 100 MB.
pub const LONGEST_LISTED: usize = 1024;

/// Slots of an empty table's index; a power of two, as every later size.
const FIRST_SLOTS: usize = 1 << 10;

/// The most words that [`WordTable::add_all`] takes at a time.
pub const SPANS: usize = 32;

/// A word to add, with its [`hash`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Span<'a> {
    pub hash: u64,
    pub word: &'a [u8],
    pub count: u64,
}

/// Counts words, by open addressing over [`Words`].
///
/// The index holds `tag:32 | entry + 1:32` per slot, 0 meaning free, so that a look-up touches an entry only when half
/// of its hash agrees. The entries and their text stay contiguous: sending a table is two copies of memory.
#[derive(Debug)]
pub struct WordTable {
    words: Words,
    index: Vec<u64>,
}

impl WordTable {
    pub fn new() -> Self {
        WordTable {
            words: Words::default(),
            index: vec![0; FIRST_SLOTS],
        }
    }

    /// Number of different words.
    pub fn len(&self) -> usize {
        self.words.entries.len()
    }

    /// The words and their counts, in order of first appearance.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.words.entries.iter().map(|e| (self.word(e), e.count))
    }

    /// The words and their counts, as another table takes them.
    pub fn spans(&self) -> impl Iterator<Item = Span<'_>> {
        self.words.entries.iter().map(|entry| Span {
            hash: entry.hash,
            word: self.word(entry),
            count: entry.count,
        })
    }

    /// Adds any number of words.
    pub fn extend<'a>(&mut self, spans: impl Iterator<Item = Span<'a>>) {
        let mut held = Vec::with_capacity(SPANS);
        for span in spans {
            held.push(span);
            if held.len() == SPANS {
                self.add_all(&held);
                held.clear();
            }
        }
        self.add_all(&held);
    }

    /// Adds up to [`SPANS`] words.
    ///
    /// A table of many words lies in no near cache. So it is read in rounds, for all of them the index, then the
    /// entries: the processor waits for the reads of a round together, not for one after the other.
    pub fn add_all(&mut self, spans: &[Span<'_>]) {
        let mask = self.index.len() - 1;
        let mut found = [0; SPANS];
        for (found, span) in found.iter_mut().zip(spans) {
            *found = self.index[span.hash as usize & mask];
        }
        for (found, span) in found.iter_mut().zip(spans) {
            let entry = self
                .words
                .entries
                .get((*found as usize & ENTRY).wrapping_sub(1));
            *found = if entry.is_some_and(|e| e.hash == span.hash) {
                *found
            } else {
                0
            };
        }
        for (found, span) in found.into_iter().zip(spans) {
            // What was found may be out of date by now, but an entry stays where it is.
            if !self.add_at(found, span) {
                self.add(span);
            }
        }
    }

    /// Adds one word.
    fn add(&mut self, span: &Span<'_>) {
        let mask = self.index.len() - 1;
        let mut slot = span.hash as usize & mask;
        loop {
            let found = self.index[slot];
            if found == 0 {
                return self.insert(slot, span);
            }
            if self.add_at(found, span) {
                return;
            }
            slot = (slot + 1) & mask;
        }
    }

    /// Adds to the entry that an index slot names, if it is this word's.
    #[inline]
    fn add_at(&mut self, found: u64, span: &Span<'_>) -> bool {
        if found == 0 || found & TAG != span.hash & TAG {
            return false;
        }
        let at = (found as u32 - 1) as usize;
        let same = self.word(&self.words.entries[at]) == span.word;
        if same {
            self.words.entries[at].count += span.count;
        }
        same
    }

    /// How often `word` was added.
    pub fn count(&self, word: &[u8]) -> u64 {
        let hash = hash(word);
        let mask = self.index.len() - 1;
        let mut slot = hash as usize & mask;
        while self.index[slot] != 0 {
            let entry = &self.words.entries[(self.index[slot] as u32 - 1) as usize];
            if entry.hash == hash && self.word(entry) == word {
                return entry.count;
            }
            slot = (slot + 1) & mask;
        }
        0
    }

    /// Takes the words out, for a message; give the emptied arrays back to [`reuse`](Self::reuse).
    pub fn take(&mut self) -> Words {
        std::mem::take(&mut self.words)
    }

    /// Empties the table, keeping the memory of `words`.
    pub fn reuse(&mut self, mut words: Words) {
        words.entries.clear();
        words.text.clear();
        self.words = words;
        self.index.fill(0);
    }

    /// The `n` most frequent words, most frequent first, equals in byte order.
    pub fn top(&self, n: usize) -> Vec<(&[u8], u64)> {
        let by_rank = |a: &(&[u8], u64), b: &(&[u8], u64)| b.1.cmp(&a.1).then(a.0.cmp(b.0));
        let mut all: Vec<_> = self.iter().collect();
        if n < all.len() {
            all.select_nth_unstable_by(n, by_rank);
            all.truncate(n);
        }
        all.sort_unstable_by(by_rank);
        all
    }

    fn word(&self, entry: &Word) -> &[u8] {
        &self.words.text[entry.start as usize..][..entry.len as usize]
    }

    #[cold]
    fn insert(&mut self, slot: usize, span: &Span<'_>) {
        let start = u32::try_from(self.words.text.len()).expect("a table holds less than 4 GiB");
        self.words.text.extend_from_slice(span.word);
        self.words.entries.push(Word {
            hash: span.hash,
            count: span.count,
            start,
            len: span.word.len() as u32,
        });
        self.index[slot] = span.hash & TAG | self.len() as u64;
        if self.len() * 2 > self.index.len() {
            self.grow();
        }
    }

    /// Doubles the index; at most half of it is ever used.
    fn grow(&mut self) {
        let slots = self.index.len() * 2;
        self.index.clear();
        self.index.resize(slots, 0);
        for (at, entry) in self.words.entries.iter().enumerate() {
            let mut slot = entry.hash as usize & (slots - 1);
            while self.index[slot] != 0 {
                slot = (slot + 1) & (slots - 1);
            }
            self.index[slot] = entry.hash & TAG | (at as u64 + 1);
        }
    }
}

/// The half of a hash that the index keeps; the other half chooses the slot.
const TAG: u64 = 0xffff_ffff_0000_0000;

/// The other half of a slot of the index: the entry's number plus one.
const ENTRY: usize = 0xffff_ffff;

/// Hashes a word: eight bytes a step, folded by a wide multiplication (as wyhash does).
#[inline]
pub fn hash(word: &[u8]) -> u64 {
    let (mut a, mut b) = (word.len() as u64 ^ SEED_A, SEED_B);
    let mut rest = word;
    while let Some((chunk, more)) = rest
        .split_first_chunk::<16>()
        .filter(|(_, m)| !m.is_empty())
    {
        a = fold(a ^ load(&chunk[..8]), b ^ load(&chunk[8..]));
        b = b.rotate_left(17) ^ SEED_A;
        rest = more;
    }
    let (low, high) = ends(rest);
    let mixed = fold(a ^ low, b ^ high);
    fold(mixed, SEED_A)
}

/// Up to sixteen bytes as two numbers that name them, given their length.
#[inline]
fn ends(word: &[u8]) -> (u64, u64) {
    let n = word.len();
    match n {
        8.. => (load(&word[..8]), load(&word[n - 8..])),
        4..8 => (load4(&word[..4]), load4(&word[n - 4..])),
        1..4 => {
            let bytes = [word[0], word[n / 2], word[n - 1], 0];
            (u64::from(u32::from_le_bytes(bytes)), 0)
        }
        0 => (0, 0),
    }
}

#[inline]
fn load(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().expect("eight bytes"))
}

#[inline]
fn load4(bytes: &[u8]) -> u64 {
    u64::from(u32::from_le_bytes(bytes.try_into().expect("four bytes")))
}

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let wide = u128::from(a) * u128::from(b);
    wide as u64 ^ (wide >> 64) as u64
}

const SEED_A: u64 = 0xa076_1d64_78bd_642f;
const SEED_B: u64 = 0xe703_7ed1_a0b4_28db;

#[cfg(test)]
mod tests {
    use super::*;

    fn span(word: &str, count: u64) -> Span<'_> {
        Span {
            hash: hash(word.as_bytes()),
            word: word.as_bytes(),
            count,
        }
    }

    fn table(text: &str) -> WordTable {
        let mut table = WordTable::new();
        for word in text.split(' ') {
            table.add(&span(word, 1));
        }
        table
    }

    #[test]
    fn counts_each_word() {
        let table = table("a b a ab ba a");
        assert_eq!(table.count(b"a"), 3);
        assert_eq!(table.count(b"ab"), 1);
        assert_eq!(table.count(b"c"), 0);
        assert_eq!(table.len(), 4);
    }

    #[test]
    fn survives_growing_and_reuse() {
        let mut table = WordTable::new();
        for round in 1..=2u64 {
            for n in 0..10_000u64 {
                let word = n.to_string();
                table.add(&span(&word, round));
            }
            assert_eq!(table.len(), 10_000);
            assert!(table.iter().all(|(_, count)| count == round));
            let words = table.take();
            table.reuse(words);
            assert_eq!(table.len(), 0);
        }
    }

    #[test]
    fn adding_many_at_a_time_is_adding_one_after_the_other() {
        let words: Vec<String> = (0..5000u64).map(|n| (n * n % 1777).to_string()).collect();
        let (mut one, mut many) = (WordTable::new(), WordTable::new());
        words.iter().for_each(|word| one.add(&span(word, 2)));
        many.extend(words.iter().map(|word| span(word, 2)));
        assert_eq!(many.top(9999), one.top(9999));
    }

    #[test]
    fn top_orders_by_count_then_bytes() {
        let table = table("b a c c b d d d");
        let top: Vec<_> = table.top(3).into_iter().map(|(w, _)| w).collect();
        assert_eq!(top, [b"d", b"b", b"c"]);
        assert_eq!(table.top(0).len(), 0);
        assert_eq!(table.top(99).len(), 4);
    }

    #[test]
    fn hash_tells_words_of_every_length_apart() {
        let mut seen = std::collections::HashSet::new();
        for len in 0..100 {
            for byte in [b'a', b'b', 0] {
                assert!(
                    seen.insert(hash(&vec![byte; len])) || len == 0,
                    "{byte} x {len}"
                );
            }
            for at in 0..len {
                let mut word = vec![b'x'; len];
                word[at] = b'y';
                assert!(seen.insert(hash(&word)), "y at {at} of {len}");
            }
        }
    }
}
