//! A manager under what is much: values that are held for long, empty and huge, no memory left, millions of entries.
//!
//! | longer | |
//! |---|---|
//! | `MULTIPROC_REPLACEMENTS=10000000` | how often values are replaced while others hold old ones |
//! | `MULTIPROC_ENTRIES=10000000` | how many entries a dictionary gets |

use multiproc::{Bytes, Cell, Dict, Error, ErrorKind, Manager, Process, Value};

const KEYS: u64 = 16;

/// A number that can be asked for.
fn asked(name: &str, usual: u64) -> u64 {
    let asked = std::env::var(name).ok();
    asked.map_or(usual, |text| text.parse().expect("a number"))
}

/// A value of any of many lengths, that says what it is.
fn words(n: u64) -> Vec<u64> {
    vec![n; 1 + (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as usize]
}

fn is_whole(words: &[impl Copy + Into<u64>]) -> bool {
    let n: u64 = words[0].into();
    words.len() == self::words(n).len() && words.iter().all(|&word| word.into() == n)
}

multiproc::message! {
    /// What is replaced all the time.
    #[derive(Clone)]
    struct Things {
        cell: Cell<Vec<u64>>,
        dict: Dict<u64, Vec<u64>>,
        /// How many processes have replaced as often as they were to.
        done: Value<u64>,
    }
}

fn replace(things: Things, first: u64, times: u64) -> multiproc::Result<()> {
    for n in first..first + times / 2 {
        things.cell.set(words(n))?;
        things.dict.insert(&(n % KEYS), words(n))?;
    }
    things.done.fetch_add(1);
    Ok(())
}

/// Holds six values for a while, of cell and dictionary, the oldest of which it lets go for a new one.
fn hold(things: Things, writers: u64) -> multiproc::Result<u64> {
    let (mut cells, mut entries) = ([const { None }; 3], [const { None }; 3]);
    let mut looks = 0;
    while things.done.load() < writers {
        let at = looks as usize % 3;
        if let Some(old) = cells[at].replace(things.cell.get()?) {
            assert!(is_whole(&old), "a cell's value, held");
        }
        let entry = things
            .dict
            .get(&(looks % KEYS))?
            .expect("every key is there");
        if let Some(old) = entries[at].replace(entry) {
            assert!(is_whole(&old), "an entry's value, held");
        }
        looks += 1;
    }
    Ok(looks)
}

#[test]
fn held_values_stay_and_memory_is_bounded() {
    const WRITERS: u64 = 2;
    let times = asked("MULTIPROC_REPLACEMENTS", 200_000);
    let manager = Manager::builder().limit(64 << 20).anonymous().unwrap();
    let things = Things {
        cell: manager.cell("cell", words(0)).unwrap(),
        dict: manager.dict("dict").unwrap(),
        done: Value::new(0).unwrap(),
    };
    for key in 0..KEYS {
        things.dict.insert(&key, words(key)).unwrap();
    }
    let first = things.cell.get().unwrap();
    let entries: Vec<_> = (0..8)
        .map(|key| things.dict.get(&key).unwrap().unwrap())
        .collect();
    let start = |writer| {
        let args = (things.clone(), writer << 40 | KEYS, times / WRITERS);
        Process::spawn(replace, args).unwrap()
    };
    let writers: Vec<_> = (0..WRITERS).map(start).collect();
    let holder = Process::spawn(hold, (things.clone(), WRITERS)).unwrap();
    writers.iter().for_each(|writer| writer.join().unwrap());
    let looks = holder.join().unwrap();
    assert_eq!(*first, words(0)[..]);
    for (key, entry) in (0..).zip(&entries) {
        assert_eq!(**entry, words(key)[..]);
    }
    let size = manager.size();
    println!("extremes: {times} replacements, {looks} looks, {size} bytes");
    assert!(size <= 16 << 20, "{size} bytes after {times} replacements");
}

#[test]
fn empty_and_huge_values_and_keys_come_whole() {
    let manager = Manager::builder().limit(512 << 20).anonymous().unwrap();
    let dict = manager.dict::<String, Bytes>("dict").unwrap();
    assert!(dict.insert("", Bytes::default()).unwrap());
    assert!(dict.get("").unwrap().unwrap().is_empty());
    let (huge, long) = (vec![7; 64 << 20], "key".repeat(1 << 20));
    for _ in 0..4 {
        dict.insert("huge", &huge[..]).unwrap();
        dict.insert(&long, &[][..]).unwrap();
        assert!(*dict.get("huge").unwrap().unwrap() == huge[..]);
        assert!(dict.get(&long).unwrap().unwrap().is_empty());
        dict.insert("huge", &[][..]).unwrap();
        assert!(dict.get("huge").unwrap().unwrap().is_empty());
        assert!(dict.remove(&long).unwrap() && !dict.contains_key(&long).unwrap());
    }
    assert!(manager.size() <= 300 << 20, "{}", manager.size());

    let cell = manager.cell("cell", Bytes::default()).unwrap();
    assert!(cell.get().unwrap().is_empty());
    let too_long = cell.set(&vec![0; 513 << 20][..]).unwrap_err();
    assert_eq!(Error::from(too_long).kind(), ErrorKind::NoSpace);
    assert!(cell.get().unwrap().is_empty(), "as it was");
}

/// Inserts entries until there is no memory left; says how many there are.
fn fill(dict: &Dict<u64, Bytes>, len: usize) -> u64 {
    for key in 0.. {
        match dict.insert(&key, vec![key as u8; len]) {
            Ok(_) => {}
            Err(full) => {
                assert_eq!(Error::from(full).kind(), ErrorKind::NoSpace);
                return key;
            }
        }
    }
    unreachable!("the limit comes first")
}

fn has(dict: &Dict<u64, Bytes>, key: u64, len: usize) -> bool {
    let value = dict.get(&key).unwrap();
    value.is_some_and(|value| value.len() == len && value.iter().all(|&b| b == key as u8))
}

#[test]
fn a_full_manager_keeps_everything_and_goes_on_when_something_is_removed() {
    let manager = Manager::builder().limit(2 << 20).anonymous().unwrap();
    let dict = manager.dict::<u64, Bytes>("dict").unwrap();
    let cell = manager.cell("cell", 1_u64).unwrap();
    for turn in 0..3 {
        let stored = fill(&dict, 1000);
        assert!(stored > 1000, "{stored} in turn {turn}");
        assert!((0..stored).all(|key| has(&dict, key, 1000)));
        let full = dict.upsert(&stored, |_| vec![0; 1000]).unwrap_err();
        assert_eq!(Error::from(full).kind(), ErrorKind::NoSpace);
        let swapped = manager.transaction(|t| {
            t.cell(&cell).set(9)?;
            t.dict(&dict).insert(&stored, vec![0; 1000]).map(drop)
        });
        assert_eq!(Error::from(swapped.unwrap_err()).kind(), ErrorKind::NoSpace);
        assert_eq!(cell.get_owned().unwrap(), 1, "all or nothing");
        assert_eq!(dict.len().unwrap() as u64, stored);
        for key in (0..stored).step_by(2) {
            assert!(dict.remove(&key).unwrap());
        }
        for key in (0..stored).step_by(2) {
            assert!(dict.insert_new(&key, vec![key as u8; 1000]).unwrap());
        }
        assert!((0..stored).all(|key| has(&dict, key, 1000)));
        dict.clear().unwrap();
        assert!(dict.is_empty().unwrap());
    }
}

#[test]
fn a_dictionary_of_many_entries_says_what_an_entry_takes() {
    let entries = asked("MULTIPROC_ENTRIES", 200_000);
    let manager = Manager::builder().limit(8 << 30).anonymous().unwrap();
    let dict = manager.dict::<u64, u64>("dict").unwrap();
    for key in 0..entries {
        assert!(dict.insert(&key, !key).unwrap());
    }
    assert_eq!(dict.len().unwrap() as u64, entries);
    for key in 0..entries {
        let value = dict.get(&key).unwrap().expect("every key is there");
        assert_eq!(value.to_native(), !key);
    }
    assert!(dict.get(&entries).unwrap().is_none());
    let each = manager.size() as f64 / entries as f64;
    println!("extremes: {entries} entries of 8 and 8 bytes, {each:.0} bytes each");
    assert!(each < 250.0, "{each} bytes each");
}
