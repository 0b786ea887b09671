//! The list of a manager, compared with std's `Vec` in one process, and used by several.

use multiproc::{Cell, Dict, Error, ErrorKind, Event, List, Manager, Process, StoreError};

/// A small generator, the same sequence each time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn value(&mut self) -> Vec<u64> {
        let n = self.below(1000);
        vec![n; n as usize % 30]
    }
}

/// One step of a random walk, taken by both.
fn step(list: &List<Vec<u64>>, plain: &mut Vec<Vec<u64>>, random: &mut Random) {
    let value = random.value();
    let index = random.below(plain.len() as u64 + 1) as usize;
    match random.below(28) {
        0..8 => {
            list.push(&value).unwrap();
            plain.push(value);
        }
        8..12 => assert_eq!(list.pop().unwrap(), plain.pop()),
        12..15 => match plain.get_mut(index) {
            Some(here) => {
                list.set(index, &value).unwrap();
                *here = value;
            }
            None => assert!(is_out_of_range(list.set(index, value), index, plain.len())),
        },
        15..18 => {
            list.insert(index, &value).unwrap();
            plain.insert(index, value);
        }
        18..21 => {
            let removed = (index < plain.len()).then(|| plain.remove(index));
            assert_eq!(list.remove(index).unwrap(), removed);
        }
        21 => {
            let more: Vec<_> = (0..random.below(20)).map(|_| random.value()).collect();
            list.extend(&more).unwrap();
            plain.extend(more);
        }
        22 => {
            let changed = list.update(index, |old| vec![old.len() as u64]);
            match plain.get_mut(index) {
                Some(here) => *here = vec![here.len() as u64],
                None => return assert!(is_out_of_range(changed, index, plain.len())),
            }
            changed.unwrap();
        }
        23 => {
            let Some(seen) = list.get(index).unwrap() else {
                return assert!(index == plain.len());
            };
            assert!(list.replace_if(index, &seen, &value).unwrap());
            assert!(!list.replace_if(index, &seen, vec![1]).unwrap());
            plain[index] = value;
        }
        24 if random.below(4) == 0 => {
            list.truncate(index).unwrap();
            plain.truncate(index);
        }
        25 => {
            list.sort_by_key(|value| value.first().copied()).unwrap();
            plain.sort_by_key(|value| value.first().copied());
        }
        26 if random.below(20) == 0 => {
            list.clear().unwrap();
            plain.clear();
        }
        27 => list.reserve(random.below(100) as usize).unwrap(),
        _ => look(list, plain, index),
    }
}

fn is_out_of_range(done: Result<(), StoreError>, at: usize, count: usize) -> bool {
    matches!(done, Err(StoreError::OutOfRange { index, len, .. }) if index == at && len == count)
}

/// Both show the same, whatever is asked.
fn look(list: &List<Vec<u64>>, plain: &[Vec<u64>], index: usize) {
    assert_eq!(list.len().unwrap(), plain.len());
    assert_eq!(list.is_empty().unwrap(), plain.is_empty());
    assert_eq!(list.get_owned(index).unwrap().as_ref(), plain.get(index));
    assert_eq!(list.snapshot().unwrap(), plain);
    assert_eq!(list.read(index..).unwrap(), plain[index..]);
    assert_eq!(
        list.read(..=index).unwrap(),
        plain[..plain.len().min(index + 1)]
    );
    let mut seen = Vec::new();
    list.for_each(|at, value| seen.push((at, value.len())))
        .unwrap();
    let lens = plain.iter().map(Vec::len).enumerate();
    assert!(lens.eq(seen));
}

#[test]
fn a_random_walk_ends_as_with_a_vec() {
    let manager = Manager::new().unwrap();
    let list = manager.list("list").unwrap();
    let (mut plain, mut random) = (Vec::new(), Random(0x1234_5678));
    for _ in 0..20_000 {
        step(&list, &mut plain, &mut random);
    }
    look(&list, &plain, plain.len() / 2);
    let size = manager.size();
    for _ in 0..20_000 {
        step(&list, &mut plain, &mut random);
    }
    assert!(manager.size() <= size * 2, "memory is used again");
}

#[test]
fn pushes_of_several_processes_are_all_there_in_the_order_of_each() {
    const EACH: u64 = 3000;
    fn push(list: List<(u64, u64)>, who: u64) -> multiproc::Result<()> {
        (0..EACH).try_for_each(|n| list.push((who, n)))?;
        Ok(())
    }
    let manager = Manager::new().unwrap();
    let list = manager.list("list").unwrap();
    let pushing = [0, 1, 2].map(|who| Process::spawn(push, (list.clone(), who)).unwrap());
    push(list.clone(), 3).unwrap();
    pushing.iter().for_each(|process| process.join().unwrap());
    let all = list.snapshot().unwrap();
    assert_eq!(all.len() as u64, 4 * EACH);
    for who in 0..4 {
        let of_one = all.iter().filter(|(by, _)| *by == who);
        assert!(of_one.map(|(_, n)| *n).eq(0..EACH));
    }
}

#[test]
fn sums_of_several_processes_are_exact() {
    const EACH: usize = 4000;
    fn add(list: List<u64>) -> multiproc::Result<()> {
        for n in 0..EACH {
            list.update(n % 10, |sum| sum.to_native() + 1)?;
            if n % 100 == 0 {
                list.insert(10, n as u64)?;
                list.remove(10)?.expect("as many as were inserted");
            }
        }
        Ok(())
    }
    let manager = Manager::new().unwrap();
    let list = manager.list_from("sums", [0_u64; 10]).unwrap();
    let adding = [(); 3].map(|()| Process::spawn(add, (list.clone(),)).unwrap());
    add(list.clone()).unwrap();
    adding.iter().for_each(|process| process.join().unwrap());
    assert_eq!(list.snapshot().unwrap(), [4 * EACH as u64 / 10; 10]);
}

/// Elements say at which of ten places they are to be, whatever is inserted before them: by tens.
#[test]
fn readers_find_whole_elements_while_others_replace_the_table() {
    fn shift(list: List<Vec<u64>>, done: Event) -> multiproc::Result<()> {
        for n in 0..4000 {
            let ten = (0..10).map(|place| vec![place; 1 + n % 7]);
            match n % 4 {
                0 => list.extend(ten)?,
                1 => list.truncate(10)?,
                2 => list.sort_by_key(|value| value[0])?,
                _ => list.set(n % 10, vec![n as u64 % 10; 9])?,
            }
        }
        done.set();
        Ok(())
    }
    let manager = Manager::new().unwrap();
    let list = manager
        .list_from("list", (0..10).map(|n| vec![n; 3]))
        .unwrap();
    let done = Event::new().unwrap();
    let shifting = Process::spawn(shift, (list.clone(), done.clone())).unwrap();
    while !done.is_set() {
        for index in 0..10 {
            let value = list.get(index).unwrap().expect("ten are always there");
            let first = value[0].to_native();
            assert!(
                first < 10 && value.iter().all(|&part| part == first),
                "torn"
            );
        }
        let now = list.snapshot().unwrap();
        assert!(now.len() == 10 || now.len() == 20, "{}", now.len());
    }
    shifting.join().unwrap();
}

#[test]
fn the_limit_is_an_error_and_everything_stays() {
    let manager = Manager::builder().limit(2 << 20).anonymous().unwrap();
    let list = manager.list::<Vec<u8>>("list").unwrap();
    let value = |n: usize| vec![n as u8; 500];
    let mut stored = 0;
    let full = loop {
        match list.push(value(stored)) {
            Ok(()) => stored += 1,
            Err(full) => break full,
        }
    };
    assert_eq!(Error::from(full).kind(), ErrorKind::NoSpace);
    assert!(stored > 1000, "{stored}");
    let whole = |count: usize| {
        let all = list.snapshot().unwrap();
        assert!(all.into_iter().eq((0..count).map(value)));
    };
    assert!(list.insert(3, value(1)).is_err());
    assert!(list.extend((0..3).map(value)).is_err());
    assert!(list.reserve(usize::MAX).is_err());
    assert!(list.push(vec![0; 4 << 20]).is_err());
    whole(stored);
    assert_eq!(list.pop().unwrap(), Some(value(stored - 1)));
    list.set(0, value(0)).unwrap();
    whole(stored - 1);
    list.clear().unwrap();
    for n in 0..stored {
        list.push(value(n)).unwrap();
    }
    whole(stored);
}

#[test]
fn values_have_no_length_or_sixty_four_mebibytes() {
    const LARGE: usize = 64 << 20;
    let manager = Manager::new().unwrap();
    let list = manager.list::<Vec<u8>>("list").unwrap();
    list.extend([&[][..], &[1]]).unwrap();
    list.insert(1, vec![7; LARGE]).unwrap();
    assert!(list.get(0).unwrap().unwrap().is_empty());
    let large = list.get(1).unwrap().unwrap();
    assert!(large.len() == LARGE && large.iter().all(|&byte| byte == 7));
    drop(large);
    assert_eq!(
        list.remove(1).unwrap().map(|value| value.len()),
        Some(LARGE)
    );
    list.push(vec![8; LARGE]).unwrap();
    assert_eq!(list.pop().unwrap().map(|value| value[LARGE - 1]), Some(8));
    let units = manager.list_from("units", [(), (), ()]).unwrap();
    assert_eq!(units.remove(1).unwrap(), Some(()));
    assert_eq!(units.snapshot().unwrap(), [(), ()]);
}

#[test]
fn what_is_out_of_range_is_said_so() {
    let manager = Manager::new().unwrap();
    let list: List<u32> = manager.list_from("list", [1, 2, 3]).unwrap();
    assert!(list.get(3).unwrap().is_none() && list.get(usize::MAX).unwrap().is_none());
    assert!(is_out_of_range(list.set(3, 0), 3, 3));
    assert!(is_out_of_range(
        list.update(usize::MAX, |_| 0),
        usize::MAX,
        3
    ));
    assert!(is_out_of_range(list.insert(4, 0), 4, 3));
    assert_eq!(list.remove(3).unwrap(), None);
    assert!(list.read(3..3).unwrap().is_empty() && list.read(7..).unwrap().is_empty());
    let error = Error::from(list.set(9, 0).unwrap_err());
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(
        error.to_string(),
        "index 9 is out of range: there are 3 elements"
    );
    assert_eq!(list.snapshot().unwrap(), [1, 2, 3]);
}

#[test]
fn lists_lie_in_lists_cells_and_dictionaries() {
    fn fill(rows: List<List<u64>>) -> multiproc::Result<()> {
        let row = rows.get_owned(1)?.expect("a row");
        row.extend([4, 5])?;
        Ok(())
    }
    let manager = Manager::new().unwrap();
    let row = |name: &str| manager.list::<u64>(name).unwrap();
    let rows: List<List<u64>> = manager
        .list_from("rows", [row("first"), row("second")])
        .unwrap();
    Process::spawn(fill, (rows.clone(),))
        .unwrap()
        .join()
        .unwrap();
    assert_eq!(row("second").snapshot().unwrap(), [4, 5]);
    let cell: Cell<List<u64>> = manager.cell("chosen", row("second")).unwrap();
    assert_eq!(cell.get_owned().unwrap().len().unwrap(), 2);
    let dict: Dict<String, List<u64>> = manager.dict("by name").unwrap();
    dict.insert("first", row("first")).unwrap();
    dict.get_owned("first").unwrap().unwrap().push(1).unwrap();
    assert_eq!(rows.pop().unwrap().unwrap().pop().unwrap(), Some(5));
    assert_eq!(row("first").snapshot().unwrap(), [1]);
}

#[test]
fn first_values_come_once() {
    let manager = Manager::new().unwrap();
    let none: List<u32> = manager.list_from("list", [0_u32; 0]).unwrap();
    let list: List<u32> = manager.list_from("list", [1, 2]).unwrap();
    assert_eq!(none.snapshot().unwrap(), [1, 2]);
    list.clear().unwrap();
    let again: List<u32> = manager.list_from("list", [3]).unwrap();
    assert!(again.is_empty().unwrap());
    let wrong = manager.open_list::<u64>("list").unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::WrongType);
    assert!(manager.open_deque::<u32>("list").is_err());
    assert_eq!(
        manager.open_list::<u32>("other").unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[test]
fn who_changes_a_list_cannot_change_it_meanwhile() {
    let manager = Manager::new().unwrap();
    let list: List<u32> = manager.list_from("list", [2, 1]).unwrap();
    let refused = |done: Result<(), StoreError>| matches!(done, Err(StoreError::Deadlock));
    list.update(0, |_| {
        assert!(refused(list.push(1)) && list.get(1).unwrap().is_some());
        3
    })
    .unwrap();
    list.for_each(|_, _| assert!(list.pop().is_err())).unwrap();
    let stopped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        list.sort_by(|_, _| panic!("no order"))
    }));
    assert!(stopped.is_err());
    assert_eq!(list.snapshot().unwrap(), [3, 1]);
    let own = (0..2).map(|_| list.len().unwrap() as u32);
    list.extend(own).unwrap();
    assert_eq!(list.snapshot().unwrap(), [3, 1, 2, 2]);
    let (other, seen) = (
        manager.open_list("list").unwrap(),
        list.get(0).unwrap().unwrap(),
    );
    assert!(
        other.replace_if(0, &seen, 9_u32).unwrap(),
        "seen by another handle"
    );
}
