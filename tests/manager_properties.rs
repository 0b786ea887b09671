//! A dictionary does what a `HashMap` does, and a cell what a variable does, whatever the calls are; a sequence that shows
//! otherwise is made as short as it gets. `PROPTEST_CASES=100000 cargo test --release --test manager_properties` tries more.

use std::collections::{HashMap, VecDeque};

use multiproc::{Bytes, Cell, Dict, Error, ErrorKind, Manager, StoreError};
use proptest::prelude::*;

type Words = Dict<String, Bytes>;
type Plain = HashMap<String, Vec<u8>>;

/// A call of a dictionary.
#[derive(Clone, Debug)]
enum Call {
    Insert(String, Vec<u8>),
    InsertNew(String, Vec<u8>),
    Remove(String),
    Get(String),
    /// Reverses the value, and cuts it to so many bytes.
    Update(String, usize),
    Upsert(String, Vec<u8>),
    /// Looks at a key, inserts another value there perhaps, and replaces what it has seen.
    ReplaceIf(String, Option<Vec<u8>>, Vec<u8>),
    /// Exchanges the values of two keys, and fails behind it perhaps.
    Swap(String, String, bool),
    Snapshot,
    Reserve(usize),
    /// Inserts so many others, so that tables grow.
    Fill(u32),
    Clear,
}

/// Few keys, so that calls meet; the empty one and long ones among them.
fn key() -> impl Strategy<Value = String> {
    (0..14_usize).prop_map(|n| match n {
        13 => "k".repeat(3000),
        n => "key".repeat(n),
    })
}

/// Values of all sizes of blocks, short ones more often.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let len = prop_oneof![6 => 0..40_usize, 2 => 0..5000_usize, 1 => 60_000..200_000_usize];
    (any::<u8>(), len).prop_map(|(byte, len)| (0..len).map(|n| byte ^ n as u8).collect())
}

fn call() -> impl Strategy<Value = Call> {
    let other = proptest::option::of(value());
    prop_oneof![
        6 => (key(), value()).prop_map(|(key, value)| Call::Insert(key, value)),
        2 => (key(), value()).prop_map(|(key, value)| Call::InsertNew(key, value)),
        3 => key().prop_map(Call::Remove),
        3 => key().prop_map(Call::Get),
        2 => (key(), 0..100_usize).prop_map(|(key, len)| Call::Update(key, len)),
        2 => (key(), value()).prop_map(|(key, value)| Call::Upsert(key, value)),
        2 => (key(), other, value()).prop_map(|(key, other, new)| Call::ReplaceIf(key, other, new)),
        2 => (key(), key(), any::<bool>()).prop_map(|(a, b, fails)| Call::Swap(a, b, fails)),
        1 => Just(Call::Snapshot),
        1 => (0..500_usize).prop_map(Call::Reserve),
        1 => (0..600_u32).prop_map(Call::Fill),
        1 => Just(Call::Clear),
    ]
}

/// What a value becomes by an update.
fn cut(old: &[u8], len: usize) -> Vec<u8> {
    old.iter().rev().take(len).copied().collect()
}

/// What a value becomes by an upsert.
fn joined(old: Option<&[u8]>, new: &[u8]) -> Vec<u8> {
    [old.unwrap_or(b"none"), new].concat()
}

/// Does it to both, and compares what they say.
fn apply(manager: &Manager, dict: &Words, plain: &mut Plain, call: Call) -> Result<(), StoreError> {
    match call {
        Call::Insert(key, value) => {
            let is_new = dict.insert(&key, &value)?;
            assert_eq!(is_new, plain.insert(key, value).is_none());
        }
        Call::InsertNew(key, value) => {
            let is_new = dict.insert_new(&key, &value)?;
            assert_eq!(is_new, !plain.contains_key(&key));
            plain.entry(key).or_insert(value);
        }
        Call::Remove(key) => assert_eq!(dict.remove(&key)?, plain.remove(&key).is_some()),
        Call::Get(key) => same_value(dict, plain, &key),
        Call::Update(key, len) => {
            let was_there = dict.update(&key, |old| cut(old, len))?;
            assert_eq!(was_there, plain.contains_key(&key));
            plain.entry(key).and_modify(|old| *old = cut(old, len));
        }
        Call::Upsert(key, new) => {
            dict.upsert(&key, |old| joined(old, &new))?;
            let value = joined(plain.get(&key).map(Vec::as_slice), &new);
            plain.insert(key, value);
        }
        Call::ReplaceIf(key, other, new) => replace_if(dict, plain, &key, other, new)?,
        Call::Swap(one, two, fails) => swap(manager, dict, plain, [&one, &two], fails),
        Call::Snapshot => same(dict, plain),
        Call::Reserve(entries) => dict.reserve(entries)?,
        Call::Fill(others) => {
            for other in (0..others).map(|n| format!("other {n}")) {
                let is_new = dict.insert(&other, other.as_bytes())?;
                let old = plain.insert(other.clone(), other.into_bytes());
                assert_eq!(is_new, old.is_none());
            }
        }
        Call::Clear => {
            dict.clear()?;
            plain.clear();
        }
    }
    Ok(())
}

fn replace_if(
    dict: &Words,
    plain: &mut Plain,
    key: &str,
    other: Option<Vec<u8>>,
    new: Vec<u8>,
) -> Result<(), StoreError> {
    let Some(seen) = dict.get(key).unwrap() else {
        assert!(!plain.contains_key(key));
        return Ok(());
    };
    let before = plain[key].clone();
    let is_same = other.is_none();
    if let Some(other) = other {
        dict.insert(key, &other)?;
        plain.insert(key.to_owned(), other);
    }
    assert_eq!(dict.replace_if(key, &seen, &new)?, is_same);
    assert_eq!(*seen, before[..], "what is held never changes");
    if is_same {
        plain.insert(key.to_owned(), new);
    }
    Ok(())
}

fn swap(manager: &Manager, dict: &Words, plain: &mut Plain, keys: [&str; 2], fails: bool) {
    let done = manager.transaction(|t| {
        let values = keys.map(|key| t.dict(dict).get(key));
        for (key, value) in keys.into_iter().rev().zip(values) {
            match value? {
                Some(value) => _ = t.dict(dict).insert(key, value)?,
                None => _ = t.dict(dict).remove(key)?,
            }
        }
        match fails {
            true => Err(Error::new(ErrorKind::Failed, "on purpose")),
            false => Ok(()),
        }
    });
    assert_eq!(done.is_err(), fails);
    let values = keys.map(|key| plain.get(key).cloned());
    if !fails {
        for (key, value) in keys.into_iter().rev().zip(values) {
            match value {
                Some(value) => _ = plain.insert(key.to_owned(), value),
                None => _ = plain.remove(key),
            }
        }
    }
}

fn same_value(dict: &Words, plain: &Plain, key: &str) {
    let found = dict.get(key).unwrap();
    assert_eq!(found.as_deref(), plain.get(key).map(Vec::as_slice));
}

fn same(dict: &Words, plain: &Plain) {
    assert_eq!(dict.len().unwrap(), plain.len());
    assert_eq!(dict.is_empty().unwrap(), plain.is_empty());
    let all = dict.snapshot().unwrap();
    assert_eq!(all.len(), plain.len());
    all.iter()
        .for_each(|(key, value)| assert_eq!(Some(&**value), plain.get(key)));
    plain.keys().for_each(|key| same_value(dict, plain, key));
}

/// A call of a cell.
#[derive(Clone, Debug)]
enum Turn {
    Set(Vec<u8>),
    Update(usize),
    /// Replaces what was seen so many turns before.
    ReplaceIf(usize, Vec<u8>),
    /// Stores what was seen so many turns before.
    Again(usize),
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        3 => value().prop_map(Turn::Set),
        2 => (0..100_usize).prop_map(Turn::Update),
        2 => (0..4_usize, value()).prop_map(|(back, value)| Turn::ReplaceIf(back, value)),
        1 => (0..4_usize).prop_map(Turn::Again),
    ]
}

/// Whatever was seen is as it was then, to the end.
fn turns(cell: &Cell<Bytes>, all: Vec<Turn>) -> Result<(), StoreError> {
    let (mut plain, mut stores) = (Vec::new(), 0);
    let mut seen = VecDeque::new();
    for turn in all {
        seen.truncate(9);
        seen.push_front((cell.get().unwrap(), plain.clone(), stores));
        let before = |back: usize| &seen[back.min(seen.len() - 1)];
        let stored = match turn {
            Turn::Set(value) => {
                cell.set(&value)?;
                Some(value)
            }
            Turn::Update(len) => {
                cell.update(|old| cut(old, len))?;
                Some(cut(&plain, len))
            }
            Turn::ReplaceIf(back, value) => {
                let (guard, _, when) = before(back);
                let done = cell.replace_if(guard, &value)?;
                assert_eq!(done, *when == stores);
                done.then_some(value)
            }
            Turn::Again(back) => {
                let (guard, value, _) = before(back);
                cell.set(guard)?;
                Some(value.clone())
            }
        };
        if let Some(value) = stored {
            (plain, stores) = (value, stores + 1);
        }
        assert!(seen.iter().all(|(guard, value, _)| **guard == value[..]));
    }
    assert_eq!(cell.get_owned().unwrap(), Bytes::from(plain));
    Ok(())
}

/// As many as are asked for by `PROPTEST_CASES`, or 64.
fn config() -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok();
    ProptestConfig {
        cases: asked.map_or(64, |text| text.parse().expect("a number")),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_dictionary_is_a_hash_map(calls in proptest::collection::vec(call(), 0..80)) {
        let manager = Manager::builder().limit(256 << 20).anonymous().unwrap();
        let dicts = [(); 2].map(|()| manager.dict("words").unwrap());
        let mut plain = Plain::new();
        for (n, call) in calls.into_iter().enumerate() {
            apply(&manager, &dicts[n % 2], &mut plain, call).unwrap();
        }
        same(&dicts[0], &plain);
    }

    #[test]
    fn a_cell_is_a_variable(all in proptest::collection::vec(turn(), 0..60)) {
        let manager = Manager::builder().limit(256 << 20).anonymous().unwrap();
        let cell = manager.cell("value", Bytes::default()).unwrap();
        turns(&cell, all).unwrap();
    }
}
