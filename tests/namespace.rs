//! The namespace of a manager, compared with a map of std's in one process and several.

use std::collections::HashMap;

use multiproc::{Cell, Counter, Error, ErrorKind, Lock, Manager, Namespace, Process, StoreError};

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

#[derive(Clone, Debug, PartialEq)]
enum Any {
    Number(u32),
    Text(String),
    Numbers(Vec<u64>),
    Pair((i64, String)),
}

fn any(random: &mut Random) -> Any {
    let n = random.below(1000);
    match random.below(4) {
        0 => Any::Number(n as u32),
        1 => Any::Text("x".repeat(n as usize)),
        2 => Any::Numbers(vec![n; n as usize % 40]),
        _ => Any::Pair((-(n as i64), n.to_string())),
    }
}

fn set(namespace: &Namespace, name: &str, value: Any) -> bool {
    match value {
        Any::Number(value) => namespace.set(name, value),
        Any::Text(value) => namespace.set(name, value),
        Any::Numbers(value) => namespace.set::<Vec<u64>>(name, value),
        Any::Pair(value) => namespace.set(name, value),
    }
    .unwrap()
}

/// The value as what it is; as anything else it is refused.
fn get(namespace: &Namespace, name: &str, expected: &Any) -> Any {
    let wrong = |refused: multiproc::Result<()>| {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::WrongType);
    };
    wrong(namespace.get::<u16>(name).map(drop));
    match expected {
        Any::Number(_) => {
            wrong(namespace.get::<i32>(name).map(drop));
            Any::Number(namespace.get_owned(name).unwrap().unwrap())
        }
        Any::Text(_) => {
            wrong(namespace.get::<Vec<u8>>(name).map(drop));
            Any::Text(namespace.get_owned(name).unwrap().unwrap())
        }
        Any::Numbers(_) => {
            wrong(namespace.get::<Vec<u32>>(name).map(drop));
            Any::Numbers(namespace.get_owned(name).unwrap().unwrap())
        }
        Any::Pair(_) => Any::Pair(namespace.get_owned(name).unwrap().unwrap()),
    }
}

#[test]
fn it_does_what_a_map_of_an_enum_does() {
    let manager = Manager::builder().limit(16 << 20).anonymous().unwrap();
    let namespace = manager.namespace("all").unwrap();
    let (mut plain, mut random) = (HashMap::<String, Any>::new(), Random(7));
    for _ in 0..20_000 {
        let name = format!("name {}", random.below(200));
        match random.below(8) {
            0..3 => {
                let value = any(&mut random);
                let new = plain.insert(name.clone(), value.clone()).is_none();
                assert_eq!(set(&namespace, &name, value), new);
            }
            3 => {
                let removed = plain.remove(&name).is_some();
                assert_eq!(namespace.remove(&name).unwrap(), removed);
            }
            _ => {
                let known = plain.get(&name);
                assert_eq!(namespace.contains(&name).unwrap(), known.is_some());
                match known {
                    Some(value) => assert_eq!(get(&namespace, &name, value), *value),
                    None => assert!(namespace.get::<u32>(&name).unwrap().is_none()),
                }
            }
        }
    }
    assert_eq!(namespace.len().unwrap(), plain.len());
    let (mut names, mut expected) = (
        namespace.names().unwrap(),
        Vec::from_iter(plain.into_keys()),
    );
    names.sort();
    expected.sort();
    assert_eq!(names, expected);
}

#[test]
fn a_guard_shows_what_was_there() {
    let namespace = Manager::new().unwrap().namespace("x").unwrap();
    assert!(namespace.is_empty().unwrap());
    namespace.set::<String>("title", "one").unwrap();
    let seen = namespace.get::<String>("title").unwrap().unwrap();
    namespace.set("title", 2_u8).unwrap();
    assert_eq!(
        (&**seen, seen.to_owned().unwrap()),
        ("one", "one".to_string())
    );
    assert_eq!(*namespace.get::<u8>("title").unwrap().unwrap(), 2);
}

#[test]
fn an_update_is_refused_for_another_type() {
    let namespace = Manager::new().unwrap().namespace("x").unwrap();
    namespace.set("n", 1_u64).unwrap();
    assert!(
        namespace
            .update::<u64, _>("n", |n| n.to_native() + 1)
            .unwrap()
    );
    assert!(!namespace.update::<u64, _>("m", |n| n.to_native()).unwrap());
    let refused = namespace.update::<i64, _>("n", |n| n.to_native());
    let Err(StoreError::Refused(error)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(error.kind(), ErrorKind::WrongType);
    assert_eq!(namespace.get_owned::<u64>("n").unwrap(), Some(2));
    let twice = namespace.update::<u64, _>("n", |_| {
        let again = namespace.set("n", 9_u64).unwrap_err();
        assert_eq!(Error::from(again).kind(), ErrorKind::Deadlock);
        3_u64
    });
    assert!(twice.unwrap());
}

#[test]
fn other_objects_are_refused_and_found_by_name() {
    let manager = Manager::new().unwrap();
    manager.namespace("x").unwrap().set("a", 1_u8).unwrap();
    assert_eq!(
        manager.dict::<String, u8>("x").unwrap_err().kind(),
        ErrorKind::WrongType
    );
    let found = manager.find::<Namespace>("x").unwrap();
    assert_eq!(found.get_owned::<u8>("a").unwrap(), Some(1));
    assert_eq!(manager.names().unwrap(), ["x"]);
}

#[test]
fn handles_of_all_kinds_are_values_in_other_processes_too() {
    fn work(namespace: Namespace) -> multiproc::Result<()> {
        let counter = namespace.get_owned::<Counter>("counter")?;
        counter.expect("a counter").add(5);
        let lock = namespace.get_owned::<Lock<u32>>("lock")?;
        *lock.expect("a lock").lock()? += 1;
        let cell = namespace.get_owned::<Cell<Namespace>>("cell")?;
        let inner = cell.expect("a cell").get_owned()?;
        inner.set::<String>("said", "by the child")?;
        namespace.set("done", true)?;
        Ok(())
    }
    let manager = Manager::new().unwrap();
    let (counter, lock) = (
        manager.counter("c").unwrap(),
        manager.lock("l", 1_u32).unwrap(),
    );
    let inner = manager.namespace("inner").unwrap();
    let cell = manager.cell("cell", &inner).unwrap();
    let namespace = manager.namespace("outer").unwrap();
    namespace.set("counter", counter.clone()).unwrap();
    namespace.set("lock", lock.clone()).unwrap();
    namespace.set("cell", cell).unwrap();
    let child = Process::spawn(work, (namespace.clone(),)).unwrap();
    child.join().unwrap();
    assert_eq!((counter.get(), *lock.lock().unwrap()), (5, 2));
    let said = inner.get_owned::<String>("said").unwrap();
    assert_eq!(said.as_deref(), Some("by the child"));
    assert_eq!(namespace.get_owned::<bool>("done").unwrap(), Some(true));
}
