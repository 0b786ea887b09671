//! The dictionary of a manager, compared with std's in one process and several.

use std::collections::HashMap;

use multiproc::{Dict, Error, ErrorKind, Event, Manager, Process};

/// A small generator, the same sequence each time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn text(n: u64) -> String {
    format!("{n}").repeat(1 + n as usize % 7)
}

/// One step of a random walk, taken by both.
fn step(dict: &Dict<String, Vec<u64>>, plain: &mut HashMap<String, Vec<u64>>, random: &mut Random) {
    let (key, n) = (text(random.below(300)), random.below(1000));
    let value = vec![n; n as usize % 40];
    match random.below(12) {
        0..4 => {
            let new = plain.insert(key.clone(), value.clone()).is_none();
            assert_eq!(dict.insert(&key, value).unwrap(), new);
        }
        4..6 => assert_eq!(dict.remove(&key).unwrap(), plain.remove(&key).is_some()),
        6 => {
            let new = !plain.contains_key(&key);
            assert_eq!(dict.insert_new(&key, &value).unwrap(), new);
            plain.entry(key).or_insert(value);
        }
        7 => {
            let len = plain.get(&key).map_or(0, Vec::len);
            dict.upsert(&key, |old| vec![7; old.map_or(0, |old| old.len()) % 50 + 1])
                .unwrap();
            plain.insert(key, vec![7; len % 50 + 1]);
        }
        8 => {
            let known = dict.update(&key, |old| vec![old.len() as u64]).unwrap();
            assert_eq!(known, plain.contains_key(&key));
            plain
                .entry(key)
                .and_modify(|old| *old = vec![old.len() as u64]);
        }
        9 => {
            let Some(seen) = dict.get(&key).unwrap() else {
                return assert!(!plain.contains_key(&key));
            };
            assert!(dict.replace_if(&key, &seen, &value).unwrap());
            assert!(!dict.replace_if(&key, &seen, vec![1]).unwrap());
            plain.insert(key, value);
        }
        10 if n == 0 => {
            dict.clear().unwrap();
            plain.clear();
        }
        _ => assert_eq!(dict.get_owned(&key).unwrap().as_ref(), plain.get(&key)),
    }
}

fn same(dict: &Dict<String, Vec<u64>>, plain: &HashMap<String, Vec<u64>>) {
    assert_eq!(dict.len().unwrap(), plain.len());
    let all = dict.snapshot().unwrap();
    assert_eq!(all.len(), plain.len());
    assert_eq!(&all.into_iter().collect::<HashMap<_, _>>(), plain);
}

#[test]
fn it_does_what_a_hash_map_does() {
    let manager = Manager::builder().limit(32 << 20).anonymous().unwrap();
    let dict = manager.dict("dict").unwrap();
    let (mut plain, mut random) = (HashMap::new(), Random(42));
    for turn in 0..100_000 {
        step(&dict, &mut plain, &mut random);
        if turn % 5000 == 0 {
            same(&dict, &plain);
        }
    }
    same(&dict, &plain);
    assert!(manager.size() < 16 << 20, "{}", manager.size());
}

/// Each process walks keys of its own in one dictionary; none sees the others'.
#[test]
fn several_processes_are_several_hash_maps() {
    fn walk(dict: Dict<u64, (u64, String)>, who: u64) -> multiproc::Result<usize> {
        let (mut plain, mut random) = (HashMap::new(), Random(who + 1));
        for _ in 0..30_000 {
            let key = random.below(2000) * 4 + who;
            match random.below(4) {
                0 => assert_eq!(dict.remove(&key)?, plain.remove(&key).is_some()),
                1 => assert_eq!(dict.get_owned(&key)?.as_ref(), plain.get(&key)),
                _ => {
                    let value = (key, text(random.below(100)));
                    let new = plain.insert(key, value.clone()).is_none();
                    assert_eq!(dict.insert(&key, value)?, new);
                }
            }
        }
        for (key, value) in &plain {
            assert_eq!(dict.get_owned(key)?.as_ref(), Some(value));
        }
        Ok(plain.len())
    }
    let manager = Manager::builder().limit(64 << 20).anonymous().unwrap();
    let dict = manager.dict::<u64, (u64, String)>("dict").unwrap();
    let walking = [0, 1, 2].map(|who| Process::spawn(walk, (dict.clone(), who)).unwrap());
    let ours = walk(dict.clone(), 3).unwrap();
    let theirs: usize = walking.iter().map(|process| process.join().unwrap()).sum();
    assert_eq!(dict.len().unwrap(), ours + theirs);
    let all = dict.snapshot().unwrap();
    assert!(all.len() == ours + theirs && all.iter().all(|(key, value)| *key == value.0));
}

#[test]
fn readers_find_every_key_while_the_table_grows_and_values_change() {
    const KEYS: u64 = 2000;
    fn grow(dict: Dict<u64, [u64; 4]>, done: Event) -> multiproc::Result<()> {
        for n in 0..KEYS * 20 {
            dict.insert(&(KEYS + n), [KEYS + n; 4])?;
            dict.insert(&(n % KEYS), [n; 4])?;
            if n % 3 == 0 {
                dict.remove(&(KEYS + n))?;
            }
        }
        done.set();
        Ok(())
    }
    let manager = Manager::new().unwrap();
    let dict = manager.dict::<u64, [u64; 4]>("dict").unwrap();
    let done = Event::new().unwrap();
    for key in 0..KEYS {
        dict.insert(&key, [key; 4]).unwrap();
    }
    let growing = Process::spawn(grow, (dict.clone(), done.clone())).unwrap();
    while !done.is_set() {
        for key in 0..KEYS {
            let value = dict
                .get(&key)
                .unwrap()
                .expect("a key that was never taken away");
            let values = value.each_ref().map(|value| value.to_native());
            assert!(
                values[0] % KEYS == key && values == [values[0]; 4],
                "{key}: {values:?}"
            );
        }
    }
    growing.join().unwrap();
}

#[test]
fn the_limit_is_an_error_and_everything_stays() {
    let manager = Manager::builder().limit(1 << 20).anonymous().unwrap();
    let dict = manager.dict::<u64, Vec<u8>>("dict").unwrap();
    let mut stored = 0;
    let full = loop {
        match dict.insert(&stored, vec![stored as u8; 500]) {
            Ok(new) => assert!(new),
            Err(full) => break full,
        }
        stored += 1;
    };
    assert_eq!(Error::from(full).kind(), ErrorKind::NoSpace);
    assert!(stored > 1000, "{stored}");
    assert_eq!(dict.len().unwrap(), stored as usize);
    for key in 0..stored {
        assert_eq!(dict.get_owned(&key).unwrap(), Some(vec![key as u8; 500]));
    }
    assert!(dict.remove(&3).unwrap());
    dict.insert(&4, vec![9; 500]).unwrap();
    assert_eq!(dict.get_owned(&4).unwrap(), Some(vec![9; 500]));
}

#[test]
fn sums_of_several_processes_are_exact() {
    const EACH: u64 = 5000;
    fn add(dict: Dict<String, u64>) -> multiproc::Result<()> {
        for n in 0..EACH {
            let key = text(n % 10);
            dict.upsert(&key, |sum| sum.map_or(0, |sum| sum.to_native()) + 1)?;
        }
        Ok(())
    }
    let manager = Manager::new().unwrap();
    let dict = manager.dict::<String, u64>("sums").unwrap();
    let adding = [(); 3].map(|()| Process::spawn(add, (dict.clone(),)).unwrap());
    add(dict.clone()).unwrap();
    adding.iter().for_each(|process| process.join().unwrap());
    let sums = dict.snapshot().unwrap();
    assert!(sums.len() == 10 && sums.iter().all(|(_, sum)| *sum == 4 * EACH / 10));
}

#[test]
fn who_changes_an_entry_cannot_change_its_shard_meanwhile() {
    let manager = Manager::new().unwrap();
    let dict = manager.dict::<u64, u64>("dict").unwrap();
    dict.insert(&1, 1).unwrap();
    let within = dict.update(&1, |_| {
        let refused = dict.insert(&1, 5).unwrap_err();
        assert!(Error::from(refused).to_string().contains("already"));
        2
    });
    assert!(within.unwrap());
    assert_eq!(dict.get_owned(&1).unwrap(), Some(2));
    let again = manager.open_dict::<u64, u64>("dict").unwrap();
    let seen = again.get(&1).unwrap().unwrap();
    assert!(
        dict.replace_if(&1, &seen, 3).unwrap(),
        "seen by another handle"
    );
    let wrong = manager.open_dict::<u64, u32>("dict").unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::WrongType);
    let wrong = manager.open_dict::<i64, u64>("dict").unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::WrongType);
}
