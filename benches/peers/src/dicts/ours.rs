//! `multiproc`: a dictionary in a manager, read in place.

use multiproc::{Bytes, Manager, Message};

use super::dict::{Dict, Entries};

/// Memory for a thousand long values, and what is written beside them.
const LIMIT: u64 = 64 << 20;

/// A dictionary of numbers.
#[derive(Debug)]
pub struct Ours(multiproc::Dict<String, u64>);

/// A dictionary of values with so many bytes, of which only the first word is looked at.
#[derive(Debug)]
pub struct OursBytes<const LEN: usize>(multiproc::Dict<String, Bytes>);

/// The same as a worker has it, with room to write a value.
#[derive(Debug)]
pub struct OursBytesEntries<'a, const LEN: usize> {
    dict: &'a multiproc::Dict<String, Bytes>,
    value: Box<[u8; LEN]>,
}

fn new<V: Message>() -> multiproc::Dict<String, V> {
    let manager = Manager::builder().limit(LIMIT).anonymous();
    let dict = manager.and_then(|manager| manager.dict("entries"));
    dict.expect("a dictionary")
}

impl Dict for Ours {
    const NAME: &'static str = "multiproc Dict";

    type Entries<'a> = &'a multiproc::Dict<String, u64>;

    fn new() -> Self {
        Self(new())
    }

    fn open(&self) -> Self::Entries<'_> {
        &self.0
    }
}

impl Entries for &multiproc::Dict<String, u64> {
    #[inline]
    fn get(&mut self, key: &str) -> Option<u64> {
        let value = multiproc::Dict::get(self, key).expect("a lookup");
        value.map(|value| value.to_native())
    }

    #[inline]
    fn set(&mut self, key: &str, value: u64) {
        self.insert(key, value).expect("an entry");
    }
}

impl<const LEN: usize> Dict for OursBytes<LEN> {
    const NAME: &'static str = match LEN {
        8 => "multiproc Dict, 8 bytes",
        4096 => "multiproc Dict, 4 KiB",
        _ => "multiproc Dict, other values",
    };

    type Entries<'a> = OursBytesEntries<'a, LEN>;

    fn new() -> Self {
        Self(new())
    }

    fn open(&self) -> Self::Entries<'_> {
        OursBytesEntries {
            dict: &self.0,
            value: Box::new([0; LEN]),
        }
    }
}

impl<const LEN: usize> Entries for OursBytesEntries<'_, LEN> {
    #[inline]
    fn get(&mut self, key: &str) -> Option<u64> {
        let value = self.dict.get(key).expect("a lookup")?;
        value.first_chunk().copied().map(u64::from_ne_bytes)
    }

    #[inline]
    fn set(&mut self, key: &str, value: u64) {
        self.value[..8].copy_from_slice(&value.to_ne_bytes());
        self.dict.insert(key, &self.value[..]).expect("an entry");
    }
}
