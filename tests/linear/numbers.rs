//! Numbers in a manager, and everything that can be done with them: a counter; an array's numbers one by one, with and
//! without its lock; and many of them at once, with it.

use std::sync::atomic::{Ordering::SeqCst, fence};
use std::time::Duration;

use multiproc::{Array, ArrayGuard, Counter, Manager, Process, Result, TryLockError};

use super::alone;
use super::checker::Deed;
use super::record::Random;
use super::rounds::{Noted, Seat, has_an_order, run, work};

/// Numbers of an array.
const LEN: usize = 3;

multiproc::message! {
    /// What was done with numbers. A counter has one, and two that stay 0.
    #[derive(Clone, Copy, Debug)]
    enum Did {
        /// This was there.
        Saw { at: u64, found: u64 },
        /// Stored whatever was there.
        Stored { at: u64, value: u64 },
        /// Made of what was there.
        Changed { at: u64, from: u64, to: u64 },
        /// All of them were these and became those.
        All { from: [u64; 3], to: [u64; 3] },
    }
}

impl Deed for Did {
    type State = [u64; LEN];

    fn apply(&self, state: &[u64; LEN]) -> Option<[u64; LEN]> {
        let with = |at: u64, value| {
            let mut after = *state;
            after[at as usize] = value;
            after
        };
        match *self {
            Did::Saw { at, found } => (state[at as usize] == found).then_some(*state),
            Did::Stored { at, value } => Some(with(at, value)),
            Did::Changed { at, from, to } => (state[at as usize] == from).then(|| with(at, to)),
            Did::All { from, to } => (*state == from).then_some(to),
        }
    }
}

fn call_counter(counter: &Counter, random: &mut Random, value: u64) -> Did {
    let at = 0;
    match random.below(8) {
        0..2 => Did::Saw {
            at,
            found: counter.get() as u64,
        },
        2 => {
            counter.set(value as i64);
            Did::Stored { at, value }
        }
        3 => Did::Changed {
            at,
            from: counter.reset() as u64,
            to: 0,
        },
        4 => {
            let to = counter.sub(value as i64) as u64;
            let from = to.wrapping_add(value);
            Did::Changed { at, from, to }
        }
        _ => {
            let to = counter.add(value as i64) as u64;
            let from = to.wrapping_sub(value);
            Did::Changed { at, from, to }
        }
    }
}

/// One call for one number, without the lock.
fn call_number(array: &Array<u64>, random: &mut Random, value: u64) -> Result<Did> {
    let at = random.below(LEN as u64);
    let number = array.at(at as usize)?;
    let changed = |from, to| Did::Changed { at, from, to };
    Ok(match random.below(10) {
        0..2 => Did::Saw {
            at,
            found: number.load(),
        },
        2 => {
            number.store(value);
            Did::Stored { at, value }
        }
        3 => changed(number.swap(value), value),
        4 => {
            let seen = number.load(); // before what is noted: any guess will do
            match number.compare_exchange(seen, value) {
                Ok(from) => changed(from, value),
                Err(found) => Did::Saw { at, found },
            }
        }
        5 => {
            let from = number.fetch_add(value);
            changed(from, from.wrapping_add(value))
        }
        6 => {
            let from = number.fetch_max(value);
            changed(from, from.max(value))
        }
        7 => {
            let from = number.fetch_xor(value);
            changed(from, from ^ value)
        }
        8 => {
            let from = number.fetch_sub(value);
            changed(from, from.wrapping_sub(value))
        }
        _ => {
            let from = number.update(|old| old.rotate_left(1) ^ value);
            changed(from, from.rotate_left(1) ^ value)
        }
    })
}

/// One call for several numbers with the lock, of which each is read or written at an instant of its own: so it is promised
/// to those who have no lock.
fn call_range(array: &Array<u64>, random: &mut Random, value: u64) -> Result<Vec<Did>> {
    let start = random.below(2);
    let places = [start, start + 1];
    let mut guard = array.lock()?;
    let deeds = match random.below(3) {
        0 => {
            let found = guard.read(start as usize..=start as usize + 1)?;
            let saw = |(at, found)| Did::Saw { at, found };
            places.into_iter().zip(found).map(saw).collect()
        }
        1 => {
            guard.write(start as usize, &[value, !value])?;
            let stored = |(at, value)| Did::Stored { at, value };
            let values = places.into_iter().zip([value, !value]);
            values.map(stored).collect()
        }
        _ => {
            guard.fill(start as usize..start as usize + 2, value)?;
            places.map(|at| Did::Stored { at, value }).to_vec()
        }
    };
    drop(guard);
    // What a guard writes is ordered by the lock, for those who take it; the others see it when it has left the processor.
    fence(SeqCst);
    Ok(deeds)
}

/// A guard by one of the verbs, or none if somebody holds the lock.
fn hold<'a>(array: &'a Array<u64>, random: &mut Random) -> Result<Option<ArrayGuard<'a, u64>>> {
    Ok(match random.below(4) {
        0 => match array.try_lock() {
            Err(TryLockError::WouldBlock) => None,
            taken => Some(taken?),
        },
        1 => Some(array.lock_timeout(Duration::from_secs(60))?),
        2 => Some(array.recover()?),
        _ => Some(array.lock()?),
    })
}

/// One call for all numbers, among those who all have the lock.
fn call_all(array: &Array<u64>, random: &mut Random, value: u64) -> Result<Option<Did>> {
    let Some(mut guard) = hold(array, random)? else {
        return Ok(None);
    };
    let mut from = [0; LEN];
    match random.below(2) {
        0 => guard.copy_to(0, &mut from)?,
        _ => from.copy_from_slice(&guard.read(..)?),
    }
    let (mut to, start) = (from, random.below(2) as usize);
    match random.below(5) {
        0 => {}
        1 => {
            to[start..start + 2].copy_from_slice(&[value, !value]);
            guard.write(start, &[value, !value])?;
        }
        2 => {
            to[start..].fill(value);
            guard.fill(start.., value)?;
        }
        3 => {
            to.rotate_left(1);
            guard.write(0, &to)?;
        }
        _ => {
            to[start] = from[start].wrapping_add(value);
            guard.at(start)?.fetch_add(value);
        }
    }
    Ok(Some(Did::All { from, to }))
}

fn use_counter(seat: Seat, counter: Counter) -> Result<Vec<Noted<Did>>> {
    let renew = || {
        counter.set(0);
        Ok(())
    };
    work(seat, renew, |random, value| {
        Ok([call_counter(&counter, random, value)])
    })
}

fn renew(array: &Array<u64>) -> Result<()> {
    Ok(array.lock()?.fill(.., 0)?)
}

fn use_numbers(seat: Seat, array: Array<u64>) -> Result<Vec<Noted<Did>>> {
    let call = |random: &mut Random, value| match random.below(4) {
        0 => call_range(&array, random, value),
        _ => Ok(vec![call_number(&array, random, value)?]),
    };
    work(seat, || renew(&array), call)
}

fn use_all(seat: Seat, array: Array<u64>) -> Result<Vec<Noted<Did>>> {
    let call = |random: &mut Random, value| call_all(&array, random, value);
    work(seat, || renew(&array), call)
}

#[test]
fn every_call_of_a_counter_happens_at_one_instant() {
    let _alone = alone();
    let counter = Manager::new().unwrap().counter("counter").unwrap();
    let start = |seat| Process::spawn(use_counter, (seat, counter.clone()));
    run("counter", &[0; LEN], start);
}

#[test]
fn every_number_of_an_array_changes_at_one_instant() {
    let _alone = alone();
    let array = Manager::new().unwrap().array("array", LEN, 0).unwrap();
    let start = |seat| Process::spawn(use_numbers, (seat, array.clone()));
    run("numbers of an array", &[0; LEN], start);
}

#[test]
fn who_has_the_lock_of_an_array_changes_all_at_one_instant() {
    let _alone = alone();
    let array = Manager::new().unwrap().array("array", LEN, 0).unwrap();
    let start = |seat| Process::spawn(use_all, (seat, array.clone()));
    run("array with its lock", &[0; LEN], start);
}

#[test]
fn a_wrong_history_of_numbers_is_found() {
    use Did::*;
    let check = |history: &[(u64, u64, Did)]| has_an_order([0; LEN], history);
    let changed = |from, to| Changed { at: 0, from, to };
    let one_after_the_other = [(0, 9, changed(1, 3)), (0, 9, changed(0, 1))];
    assert!(check(&one_after_the_other));
    assert!(
        !check(&[(0, 9, changed(0, 1)), (0, 9, changed(0, 2))]),
        "an addition is lost"
    );
    let reset_twice = [
        (0, 1, changed(0, 5)),
        (2, 9, changed(5, 0)),
        (2, 9, changed(5, 0)),
    ];
    assert!(!check(&reset_twice), "the same amount is taken twice");
    let stored = |at, value| Stored { at, value };
    let saw = |at, found| Saw { at, found };
    assert!(
        !check(&[(0, 1, stored(1, 7)), (2, 3, saw(1, 0))]),
        "an old number"
    );
    assert!(
        !check(&[(0, 1, stored(1, 7)), (2, 3, saw(2, 7))]),
        "another place"
    );
    let half = [0, 8, 0];
    let [old, new] = [[0; LEN], [8, 8, 0]];
    let all = |from, to| All { from, to };
    assert!(check(&[
        (0, 9, all(old, new)),
        (1, 2, all(old, old)),
        (3, 4, all(new, new))
    ]));
    assert!(
        !check(&[(0, 9, all(old, new)), (1, 2, all(half, half))]),
        "a part of a change"
    );
    let back = [
        (0, 9, all(old, new)),
        (1, 2, all(new, new)),
        (3, 4, all(old, old)),
    ];
    assert!(!check(&back), "changed, and then not");
}
