//! A list does what a `Vec` does, a queue with two ends what a `VecDeque` does, a namespace what a map of enums does, and an
//! array what a slice does, whatever the calls are; a sequence that shows otherwise is made as short as it gets.
//! `PROPTEST_CASES=100000 cargo test --release --test manager_rows` tries more.

use std::collections::{BTreeMap, VecDeque};

use multiproc::{Array, Deque, List, Manager, Namespace, StoreError};
use proptest::prelude::*;

/// Values of several sizes of blocks.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let len = prop_oneof![6 => 0..40_usize, 1 => 0..3000_usize];
    (any::<u8>(), len).prop_map(|(byte, len)| vec![byte; len])
}

/// A call of a list, with an index that is in range more often than not.
#[derive(Clone, Debug)]
enum Call {
    Push(Vec<u8>),
    Pop,
    Get(usize),
    Set(usize, Vec<u8>),
    Update(usize, u8),
    Insert(usize, Vec<u8>),
    Remove(usize),
    Extend(Vec<Vec<u8>>),
    Truncate(usize),
    Read(usize, usize),
    Sort,
    /// Pops so many and pushes them again in a transaction, and fails behind it perhaps.
    Reverse(usize, bool),
    Clear,
}

fn call() -> impl Strategy<Value = Call> {
    let at = || 0..12_usize;
    prop_oneof![
        6 => value().prop_map(Call::Push),
        2 => Just(Call::Pop),
        2 => at().prop_map(Call::Get),
        2 => (at(), value()).prop_map(|(at, value)| Call::Set(at, value)),
        1 => (at(), any::<u8>()).prop_map(|(at, byte)| Call::Update(at, byte)),
        2 => (at(), value()).prop_map(|(at, value)| Call::Insert(at, value)),
        2 => at().prop_map(Call::Remove),
        1 => proptest::collection::vec(value(), 0..20).prop_map(Call::Extend),
        1 => (0..40_usize).prop_map(Call::Truncate),
        1 => (at(), at()).prop_map(|(from, count)| Call::Read(from, count)),
        1 => Just(Call::Sort),
        1 => (0..5_usize, any::<bool>()).prop_map(|(many, fails)| Call::Reverse(many, fails)),
        1 => Just(Call::Clear),
    ]
}

type Rows = List<Vec<u8>>;

/// Whether an index was in range.
fn in_range(done: Result<(), StoreError>) -> bool {
    match done {
        Ok(()) => true,
        Err(StoreError::OutOfRange { .. }) => false,
        Err(other) => panic!("{other}"),
    }
}

/// Does it to both, and compares what they say.
fn apply(manager: &Manager, list: &Rows, plain: &mut Vec<Vec<u8>>, call: Call) {
    match call {
        Call::Push(value) => {
            list.push(&value).unwrap();
            plain.push(value);
        }
        Call::Pop => assert_eq!(list.pop().unwrap(), plain.pop()),
        Call::Get(at) => assert_eq!(list.get_owned(at).unwrap().as_ref(), plain.get(at)),
        Call::Set(at, value) => {
            assert_eq!(in_range(list.set(at, &value)), at < plain.len());
            if let Some(old) = plain.get_mut(at) {
                *old = value;
            }
        }
        Call::Update(at, byte) => {
            let add = |old: &[u8]| [old, &[byte]].concat();
            assert_eq!(in_range(list.update(at, |old| add(old))), at < plain.len());
            if let Some(old) = plain.get_mut(at) {
                *old = add(old);
            }
        }
        Call::Insert(at, value) => {
            let fits = at <= plain.len();
            assert_eq!(in_range(list.insert(at, &value)), fits);
            if fits {
                plain.insert(at, value);
            }
        }
        Call::Remove(at) => {
            let expected = (at < plain.len()).then(|| plain.remove(at));
            assert_eq!(list.remove(at).unwrap(), expected);
        }
        Call::Extend(values) => {
            list.extend(&values).unwrap();
            plain.extend(values);
        }
        Call::Truncate(keep) => {
            list.truncate(keep).unwrap();
            plain.truncate(keep);
        }
        Call::Read(from, count) => {
            let expected: Vec<_> = plain.iter().skip(from).take(count).cloned().collect();
            assert_eq!(list.read(from..from + count).unwrap(), expected);
        }
        Call::Sort => {
            list.sort_by(Ord::cmp).unwrap();
            plain.sort();
        }
        Call::Reverse(many, fails) => reverse(manager, list, plain, many, fails),
        Call::Clear => {
            list.clear().unwrap();
            plain.clear();
        }
    }
}

fn reverse(manager: &Manager, list: &Rows, plain: &mut [Vec<u8>], many: usize, fails: bool) {
    let done = manager.transaction(|t| {
        let mut taken = Vec::new();
        for _ in 0..many {
            taken.extend(t.list(list).pop()?);
        }
        for value in taken {
            t.list(list).push(value)?;
        }
        match fails {
            true => Err(StoreError::Foreign),
            false => Ok(()),
        }
    });
    assert_eq!(done.is_err(), fails);
    if !fails {
        let from = plain.len().saturating_sub(many);
        plain[from..].reverse();
    }
}

/// A call of a queue with two ends.
#[derive(Clone, Debug)]
enum Turn {
    Push(bool, Vec<u8>),
    Pop(bool),
    Look(bool),
    Rotate(bool, usize),
    Extend(Vec<Vec<u8>>),
    Clear,
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        6 => (any::<bool>(), value()).prop_map(|(front, value)| Turn::Push(front, value)),
        4 => any::<bool>().prop_map(Turn::Pop),
        1 => any::<bool>().prop_map(Turn::Look),
        1 => (any::<bool>(), 0..20_usize).prop_map(|(left, many)| Turn::Rotate(left, many)),
        1 => proptest::collection::vec(value(), 0..20).prop_map(Turn::Extend),
        1 => Just(Turn::Clear),
    ]
}

fn take(deque: &Deque<Vec<u8>>, plain: &mut VecDeque<Vec<u8>>, turn: Turn) {
    match turn {
        Turn::Push(true, value) => {
            deque.push_front(&value).unwrap();
            plain.push_front(value);
        }
        Turn::Push(false, value) => {
            deque.push_back(&value).unwrap();
            plain.push_back(value);
        }
        Turn::Pop(true) => assert_eq!(deque.pop_front().unwrap(), plain.pop_front()),
        Turn::Pop(false) => assert_eq!(deque.pop_back().unwrap(), plain.pop_back()),
        Turn::Look(true) => assert_eq!(deque.front().unwrap().as_ref(), plain.front()),
        Turn::Look(false) => assert_eq!(deque.back().unwrap().as_ref(), plain.back()),
        Turn::Rotate(left, many) => {
            let many = many % plain.len().max(1);
            match left {
                true => deque.rotate_left(many).unwrap(),
                false => deque.rotate_right(many).unwrap(),
            }
            match left {
                true => plain.rotate_left(many),
                false => plain.rotate_right(many),
            }
        }
        Turn::Extend(values) => {
            deque.extend(&values).unwrap();
            plain.extend(values);
        }
        Turn::Clear => {
            deque.clear().unwrap();
            plain.clear();
        }
    }
}

/// What a namespace can have under a name here.
#[derive(Clone, Debug, PartialEq)]
enum Thing {
    Number(u64),
    Text(String),
    Bytes(Vec<u8>),
}

/// A name, and what comes there, or nothing.
fn naming() -> impl Strategy<Value = (String, Option<Thing>)> {
    let thing = prop_oneof![
        any::<u64>().prop_map(Thing::Number),
        "[a-z]{0,50}".prop_map(Thing::Text),
        value().prop_map(Thing::Bytes),
    ];
    ("[a-e]{1,2}", proptest::option::weighted(0.7, thing))
}

fn set(namespace: &Namespace, name: &str, thing: &Thing) -> bool {
    let done = match thing {
        Thing::Number(number) => namespace.set(name, *number),
        Thing::Text(text) => namespace.set::<String>(name, text.as_str()),
        Thing::Bytes(bytes) => namespace.set::<Vec<u8>>(name, bytes),
    };
    done.unwrap()
}

/// What is there, which has one type and no other.
fn found(namespace: &Namespace, name: &str) -> Option<Thing> {
    let number = namespace.get_owned::<u64>(name);
    let text = namespace.get_owned::<String>(name);
    let bytes = namespace.get_owned::<Vec<u8>>(name);
    let refused = [number.is_err(), text.is_err(), bytes.is_err()];
    assert!(matches!(refused.iter().filter(|&&no| no).count(), 0 | 2));
    let number = number.ok().flatten().map(Thing::Number);
    let text = text.ok().flatten().map(Thing::Text);
    number.or(text).or(bytes.ok().flatten().map(Thing::Bytes))
}

/// A call of an array.
#[derive(Clone, Debug)]
enum Deed {
    Store(usize, i32),
    Add(usize, i32),
    Exchange(usize, i32, i32),
    Write(usize, Vec<i32>),
    Fill(i32),
}

fn deed() -> impl Strategy<Value = Deed> {
    let small = || -3..4_i32;
    prop_oneof![
        (0..9_usize, any::<i32>()).prop_map(|(at, number)| Deed::Store(at, number)),
        (0..9_usize, small()).prop_map(|(at, number)| Deed::Add(at, number)),
        (0..9_usize, small(), small()).prop_map(|(at, old, new)| Deed::Exchange(at, old, new)),
        (0..9_usize, proptest::collection::vec(any::<i32>(), 0..9))
            .prop_map(|(at, numbers)| Deed::Write(at, numbers)),
        small().prop_map(Deed::Fill),
    ]
}

fn act(array: &Array<i32>, plain: &mut [i32], deed: Deed) {
    match deed {
        Deed::Store(at, number) => match plain.get_mut(at) {
            Some(old) => {
                array.at(at).unwrap().store(number);
                *old = number;
            }
            None => assert!(array.at(at).is_err()),
        },
        Deed::Add(at, number) => {
            if let Some(old) = plain.get_mut(at) {
                assert_eq!(array.at(at).unwrap().fetch_add(number), *old);
                *old = old.wrapping_add(number);
            }
        }
        Deed::Exchange(at, from, to) => {
            if let Some(old) = plain.get_mut(at) {
                let done = array.at(at).unwrap().compare_exchange(from, to);
                assert_eq!(done.is_ok(), *old == from);
                if *old == from {
                    *old = to;
                }
            }
        }
        Deed::Write(at, numbers) => {
            let place = plain.get_mut(at..at + numbers.len());
            let done = array.lock().unwrap().write(at, &numbers);
            assert_eq!(done.is_ok(), place.is_some());
            if let Some(place) = place {
                place.copy_from_slice(&numbers);
            }
        }
        Deed::Fill(number) => {
            array.lock().unwrap().fill(.., number).unwrap();
            plain.fill(number);
        }
    }
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
    fn a_list_is_a_vector(calls in proptest::collection::vec(call(), 0..80)) {
        let manager = Manager::builder().limit(64 << 20).anonymous().unwrap();
        let lists = [(); 2].map(|()| manager.list("rows").unwrap());
        let mut plain = Vec::new();
        for (n, call) in calls.into_iter().enumerate() {
            apply(&manager, &lists[n % 2], &mut plain, call);
            assert_eq!(lists[0].len().unwrap(), plain.len());
        }
        assert_eq!(lists[0].snapshot().unwrap(), plain);
    }

    #[test]
    fn a_queue_with_two_ends_is_one(turns in proptest::collection::vec(turn(), 0..120)) {
        let manager = Manager::builder().limit(64 << 20).anonymous().unwrap();
        let deques = [(); 2].map(|()| manager.deque("row").unwrap());
        let mut plain = VecDeque::new();
        for (n, turn) in turns.into_iter().enumerate() {
            take(&deques[n % 2], &mut plain, turn);
            assert_eq!(deques[0].len().unwrap(), plain.len());
        }
        assert_eq!(deques[0].snapshot().unwrap(), Vec::from(plain));
    }

    #[test]
    fn a_namespace_is_a_map_of_enums(namings in proptest::collection::vec(naming(), 0..80)) {
        let namespace = Manager::new().unwrap().namespace("names").unwrap();
        let mut plain = BTreeMap::new();
        for (name, thing) in namings {
            match thing {
                Some(thing) => {
                    let is_new = set(&namespace, &name, &thing);
                    assert_eq!(is_new, plain.insert(name, thing).is_none());
                }
                None => {
                    let was_there = namespace.remove(&name).unwrap();
                    assert_eq!(was_there, plain.remove(&name).is_some());
                }
            }
        }
        let mut names = namespace.names().unwrap();
        names.sort();
        assert!(names.iter().eq(plain.keys()));
        for (name, thing) in &plain {
            assert_eq!(found(&namespace, name).as_ref(), Some(thing));
        }
    }

    #[test]
    fn an_array_is_a_slice(
        mut plain in proptest::collection::vec(any::<i32>(), 0..9),
        deeds in proptest::collection::vec(deed(), 0..60),
    ) {
        let array = Manager::new().unwrap().array_of("numbers", &plain).unwrap();
        for deed in deeds {
            act(&array, &mut plain, deed);
        }
        assert_eq!(array.lock().unwrap().read(..).unwrap(), plain);
    }
}
