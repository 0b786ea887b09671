//! A set of message ids.

use std::collections::HashMap;

/// Ids are handed out in order, so a bit each, in pages, is far smaller than a hash set of numbers.
#[derive(Debug, Default)]
pub struct Ids {
    pages: HashMap<u64, Box<Page>>,
    len: u64,
}

/// The bits of 4096 neighbouring ids.
type Page = [u64; PAGE / 64];
const PAGE: usize = 4096;

impl Ids {
    /// How many there are.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether this one is in the set.
    pub fn contains(&self, id: u64) -> bool {
        let (page, word, bit) = place(id);
        self.pages
            .get(&page)
            .is_some_and(|page| page[word] & bit != 0)
    }

    /// Adds an id; says whether it is new.
    pub fn insert(&mut self, id: u64) -> bool {
        let (page, word, bit) = place(id);
        let page = self
            .pages
            .entry(page)
            .or_insert_with(|| Box::new([0; PAGE / 64]));
        let new = page[word] & bit == 0;
        page[word] |= bit;
        self.len += u64::from(new);
        new
    }
}

/// The page, the word in it, and the bit in that.
fn place(id: u64) -> (u64, usize, u64) {
    let inside = id as usize % PAGE;
    (id / PAGE as u64, inside / 64, 1 << (inside % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_inserted_and_nothing_else() {
        let mut ids = Ids::default();
        let some = [0, 1, 63, 64, 4095, 4096, 1 << 40, u64::MAX];
        for id in some {
            assert!(ids.insert(id));
            assert!(!ids.insert(id));
        }
        assert_eq!(ids.len(), some.len() as u64);
        assert!(some.iter().all(|&id| ids.contains(id)));
        assert!(
            [2, 65, 4097, (1 << 40) - 1, u64::MAX - 1]
                .iter()
                .all(|&id| !ids.contains(id))
        );
    }
}
