//! A `HashMap` under a `Mutex` of the standard library, among threads.

use std::collections::HashMap;
use std::sync::Mutex;

use super::dict::{Dict, Entries};

/// The map.
#[derive(Debug)]
pub struct StdMap(Mutex<HashMap<String, u64>>);

impl Dict for StdMap {
    const NAME: &'static str = "std Mutex of HashMap †";
    const THREADS: bool = true;

    type Entries<'a> = &'a Self;

    fn new() -> Self {
        Self(Mutex::default())
    }

    fn open(&self) -> &Self {
        self
    }
}

impl Entries for &StdMap {
    #[inline]
    fn get(&mut self, key: &str) -> Option<u64> {
        self.0.lock().expect("nobody panicked").get(key).copied()
    }

    #[inline]
    fn set(&mut self, key: &str, value: u64) {
        let mut map = self.0.lock().expect("nobody panicked");
        match map.get_mut(key) {
            Some(place) => *place = value,
            None => _ = map.insert(key.to_owned(), value),
        }
    }
}

/// A map of values with so many bytes, of which only the first word is looked at.
#[derive(Debug)]
pub struct StdBytes<const LEN: usize>(Mutex<HashMap<String, Box<[u8; LEN]>>>);

impl<const LEN: usize> Dict for StdBytes<LEN> {
    const NAME: &'static str = StdMap::NAME;
    const THREADS: bool = true;

    type Entries<'a> = &'a Self;

    fn new() -> Self {
        Self(Mutex::default())
    }

    fn open(&self) -> &Self {
        self
    }
}

impl<const LEN: usize> Entries for &StdBytes<LEN> {
    #[inline]
    fn get(&mut self, key: &str) -> Option<u64> {
        let map = self.0.lock().expect("nobody panicked");
        let value = map.get(key)?;
        value.first_chunk().copied().map(u64::from_ne_bytes)
    }

    #[inline]
    fn set(&mut self, key: &str, value: u64) {
        let mut map = self.0.lock().expect("nobody panicked");
        let place = match map.get_mut(key) {
            Some(place) => place,
            None => map.entry(key.to_owned()).or_insert(Box::new([0; LEN])),
        };
        place[..8].copy_from_slice(&value.to_ne_bytes());
    }
}
