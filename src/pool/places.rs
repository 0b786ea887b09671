//! The results of a map while they come: each in the place where it will stay.

use std::mem::{MaybeUninit, needs_drop};

/// See the module. Each place is filled once.
pub(super) struct Places<R> {
    places: Vec<MaybeUninit<R>>,
    /// A bit for each place: whether it is filled.
    filled: Vec<u64>,
    count: usize,
}

impl<R> Places<R> {
    pub(super) const fn new() -> Self {
        Places {
            places: Vec::new(),
            filled: Vec::new(),
            count: 0,
        }
    }

    /// Makes it `count` places; never fewer than there are.
    pub(super) fn grow(&mut self, count: usize) {
        let more = count.saturating_sub(self.places.len());
        self.places.reserve(more);
        self.places
            .extend(std::iter::repeat_with(MaybeUninit::uninit).take(more));
        self.filled.resize(self.places.len().div_ceil(64), 0);
    }

    /// Puts a result into its place; where one is already, or there is no place, it is dropped.
    #[inline]
    pub(super) fn fill(&mut self, index: usize, result: R) {
        let (Some(place), Some(word)) =
            (self.places.get_mut(index), self.filled.get_mut(index / 64))
        else {
            return;
        };
        let bit = 1 << (index % 64);
        if *word & bit == 0 {
            place.write(result);
            *word |= bit;
            self.count += 1;
        }
    }

    /// The results, if there is one in each place.
    ///
    /// # Errors
    ///
    /// Those that there are, by their places.
    pub(super) fn take(&mut self) -> Result<Vec<R>, Vec<(usize, R)>> {
        let places = std::mem::take(&mut self.places);
        let filled = std::mem::take(&mut self.filled);
        if std::mem::take(&mut self.count) == places.len() {
            // SAFETY: every one of them is filled: each is counted once, and there are as many. Done in place.
            return Ok(places
                .into_iter()
                .map(|place| unsafe { place.assume_init() })
                .collect());
        }
        let numbered = places.into_iter().enumerate();
        let some = numbered.filter(|(index, _)| is_set(&filled, *index));
        // SAFETY: its bit says that it is filled.
        let some = some.map(|(index, place)| (index, unsafe { place.assume_init() }));
        Err(some.collect())
    }
}

fn is_set(bits: &[u64], index: usize) -> bool {
    let word = bits.get(index / 64);
    word.is_some_and(|word| word & 1 << (index % 64) != 0)
}

impl<R> Drop for Places<R> {
    fn drop(&mut self) {
        if needs_drop::<R>() {
            drop(self.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    #[test]
    fn results_stay_where_they_were_put() {
        let mut places = Places::new();
        places.grow(100);
        (0..100).rev().for_each(|n| places.fill(n, n.to_string()));
        places.fill(7, "again".into());
        places.fill(100, "too far".into());
        let all = places.take().unwrap();
        assert!(all.into_iter().eq((0..100).map(|n| n.to_string())));
        assert_eq!(places.take(), Ok(Vec::new()));
    }

    #[test]
    fn some_results_are_told_apart_and_none_is_forgotten() {
        let one = Rc::new(());
        let mut places = Places::new();
        places.grow(70);
        places.fill(3, one.clone());
        places.fill(69, one.clone());
        let some = places.take().unwrap_err();
        assert!(some.iter().map(|(index, _)| *index).eq([3, 69]));
        drop(some);
        places.grow(2);
        places.fill(1, one.clone());
        assert_eq!(Rc::strong_count(&one), 2);
        drop(places);
        assert_eq!(Rc::strong_count(&one), 1);
    }
}
