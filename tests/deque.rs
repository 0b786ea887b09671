//! The queue with two ends of a manager, compared with std's `VecDeque` in one process, and used by several.

use std::collections::{BTreeSet, VecDeque};

use multiproc::{Deque, Error, ErrorKind, Manager, Process};

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
    format!("{n}").repeat(n as usize % 9)
}

/// One step of a random walk, taken by both.
fn step(deque: &Deque<String>, plain: &mut VecDeque<String>, random: &mut Random) {
    let value = text(random.below(1000));
    match random.below(24) {
        0..5 => {
            deque.push_back(&value).unwrap();
            plain.push_back(value);
        }
        5..10 => {
            deque.push_front(&value).unwrap();
            plain.push_front(value);
        }
        10..14 => assert_eq!(deque.pop_back().unwrap(), plain.pop_back()),
        14..19 => assert_eq!(deque.pop_front().unwrap(), plain.pop_front()),
        19 => {
            let more: Vec<_> = (0..random.below(12)).map(text).collect();
            deque.extend(&more).unwrap();
            plain.extend(more);
        }
        20 => {
            let index = random.below(plain.len() as u64 + 1) as usize;
            deque.rotate_left(index).unwrap();
            plain.rotate_left(index);
        }
        21 => {
            let index = random.below(plain.len() as u64 + 1) as usize;
            deque.rotate_right(index).unwrap();
            plain.rotate_right(index);
        }
        22 if random.below(50) == 0 => {
            deque.clear().unwrap();
            plain.clear();
        }
        _ => look(deque, plain),
    }
}

/// Both show the same, whatever is asked.
fn look(deque: &Deque<String>, plain: &VecDeque<String>) {
    assert_eq!(deque.len().unwrap(), plain.len());
    assert_eq!(deque.is_empty().unwrap(), plain.is_empty());
    assert_eq!(deque.front().unwrap().as_ref(), plain.front());
    assert_eq!(deque.back().unwrap().as_ref(), plain.back());
    assert!(deque.snapshot().unwrap().iter().eq(plain));
}

#[test]
fn a_random_walk_ends_as_with_a_vec_deque() {
    let manager = Manager::new().unwrap();
    let deque = manager.deque("deque").unwrap();
    let (mut plain, mut random) = (VecDeque::new(), Random(0x8765_4321));
    for _ in 0..20_000 {
        step(&deque, &mut plain, &mut random);
    }
    look(&deque, &plain);
    let size = manager.size();
    for _ in 0..20_000 {
        step(&deque, &mut plain, &mut random);
    }
    assert!(manager.size() <= size * 2, "memory is used again");
}

#[test]
fn what_comes_and_goes_takes_no_more_room() {
    let manager = Manager::builder().limit(1 << 20).anonymous().unwrap();
    let deque = manager.deque::<u64>("deque").unwrap();
    deque.extend(0..100).unwrap();
    let size = manager.size();
    for n in 100..20_000 {
        deque.push_back(n).unwrap();
        assert_eq!(deque.pop_front().unwrap(), Some(n - 100));
    }
    assert!(manager.size() <= size + (64 << 10));
    assert!(deque.snapshot().unwrap().into_iter().eq(19_900..20_000));
}

#[test]
fn what_several_processes_add_each_of_them_takes_once() {
    const EACH: u64 = 3000;
    fn work(deque: Deque<u64>, who: u64) -> multiproc::Result<Vec<u64>> {
        let mut taken = Vec::new();
        for n in 0..EACH {
            match who % 2 {
                0 => deque.push_back(who * EACH + n)?,
                _ => deque.push_front(who * EACH + n)?,
            }
            taken.extend(match n % 3 {
                0 => deque.pop_front()?,
                1 => deque.pop_back()?,
                _ => None,
            });
        }
        Ok(taken)
    }
    let manager = Manager::new().unwrap();
    let deque = manager.deque("deque").unwrap();
    let working = [0, 1, 2].map(|who| Process::spawn(work, (deque.clone(), who)).unwrap());
    let mut all = work(deque.clone(), 3).unwrap();
    for process in working {
        all.extend(process.join().unwrap());
    }
    all.extend(deque.snapshot().unwrap());
    assert_eq!(all.len() as u64, 4 * EACH);
    assert!(
        all.into_iter()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .eq(0..4 * EACH)
    );
}

#[test]
fn the_limit_is_an_error_and_everything_stays() {
    let manager = Manager::builder().limit(1 << 20).anonymous().unwrap();
    let deque = manager.deque::<Vec<u8>>("deque").unwrap();
    let mut stored = 0;
    let full = loop {
        match deque.push_front(vec![stored as u8; 500]) {
            Ok(()) => stored += 1,
            Err(full) => break full,
        }
    };
    assert_eq!(Error::from(full).kind(), ErrorKind::NoSpace);
    let expected = (0..stored).rev().map(|n| vec![n as u8; 500]);
    assert!(deque.snapshot().unwrap().into_iter().eq(expected));
    assert_eq!(deque.pop_back().unwrap(), Some(vec![0; 500]));
    deque.push_back(vec![1; 500]).unwrap();
    deque.clear().unwrap();
    for _ in 0..stored {
        deque.push_back(vec![2; 500]).unwrap();
    }
    assert_eq!(deque.len().unwrap(), stored);
}

#[test]
fn values_have_no_length_or_sixty_four_mebibytes() {
    const LARGE: usize = 64 << 20;
    let manager = Manager::new().unwrap();
    let deque = manager.deque::<Vec<u8>>("deque").unwrap();
    deque.push_back(Vec::new()).unwrap();
    deque.push_front(vec![7; LARGE]).unwrap();
    assert_eq!(deque.back().unwrap(), Some(Vec::new()));
    let large = deque.pop_front().unwrap().unwrap();
    assert!(large.len() == LARGE && large.iter().all(|&byte| byte == 7));
    assert_eq!(deque.pop_front().unwrap(), Some(Vec::new()));
    assert_eq!(deque.pop_front().unwrap(), None);
}

#[test]
fn a_deque_of_deques() {
    let manager = Manager::new().unwrap();
    let outer = manager.deque::<Deque<u32>>("outer").unwrap();
    outer.push_back(manager.deque("inner").unwrap()).unwrap();
    outer.front().unwrap().unwrap().push_back(5).unwrap();
    let inner = manager.open_deque::<u32>("inner").unwrap();
    assert_eq!(inner.pop_back().unwrap(), Some(5));
    let wrong = manager.open_deque::<u64>("inner").unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::WrongType);
}
