//! A list and a queue with two ends, and everything that can be done with them in one call.

use std::collections::VecDeque;

use multiproc::{Deque, List, Manager, Process, Result, StoreError};

use super::alone;
use super::checker::Deed;
use super::record::Random;
use super::rounds::{Noted, Seat, run, work};

multiproc::message! {
    /// What was done with a row of values, none of which is stored twice.
    #[derive(Clone, Copy, Debug)]
    enum Did {
        Pushed { front: bool, value: u64 },
        Popped { front: bool, found: Option<u64> },
        Saw { at: u64, found: Option<u64> },
        /// Stored there, if there was such an element.
        Set { at: u64, value: u64, was_there: bool },
        Inserted { at: u64, value: u64, was_room: bool },
        Removed { at: u64, found: Option<u64> },
        Counted { len: u64 },
        Turned { left: bool },
    }
}

impl Deed for Did {
    type State = VecDeque<u64>;

    fn apply(&self, state: &VecDeque<u64>) -> Option<VecDeque<u64>> {
        let mut row = state.clone();
        let fits = match *self {
            Did::Pushed { front: true, value } => {
                row.push_front(value);
                true
            }
            Did::Pushed { value, .. } => {
                row.push_back(value);
                true
            }
            Did::Popped { front: true, found } => row.pop_front() == found,
            Did::Popped { found, .. } => row.pop_back() == found,
            Did::Saw { at, found } => row.get(at as usize).copied() == found,
            Did::Set {
                at,
                value,
                was_there,
            } => {
                let element = row.get_mut(at as usize);
                let there = element.is_some();
                element.into_iter().for_each(|element| *element = value);
                there == was_there
            }
            Did::Inserted {
                at,
                value,
                was_room,
            } => {
                let there = at as usize <= row.len();
                if there {
                    row.insert(at as usize, value);
                }
                there == was_room
            }
            Did::Removed { at, found } => row.remove(at as usize) == found,
            Did::Counted { len } => row.len() as u64 == len,
            Did::Turned { .. } if row.is_empty() => true,
            Did::Turned { left } => {
                match left {
                    true => row.rotate_left(1),
                    false => row.rotate_right(1),
                }
                true
            }
        };
        fits.then_some(row)
    }
}

/// Whether it was done, where an index out of range means that it was not.
fn in_range(done: std::result::Result<(), StoreError>) -> Result<bool> {
    match done {
        Ok(()) => Ok(true),
        Err(StoreError::OutOfRange { .. }) => Ok(false),
        Err(other) => Err(other.into()),
    }
}

fn call_list(list: &List<u64>, random: &mut Random, value: u64) -> Result<Did> {
    let at = random.below(4);
    let index = at as usize;
    let front = false;
    Ok(match random.below(9) {
        0 | 1 => {
            list.push(value)?;
            Did::Pushed { front, value }
        }
        2 => Did::Popped {
            front,
            found: list.pop()?,
        },
        3 | 4 => Did::Saw {
            at,
            found: list.get_owned(index)?,
        },
        5 => Did::Set {
            at,
            value,
            was_there: in_range(list.set(index, value))?,
        },
        6 => Did::Inserted {
            at,
            value,
            was_room: in_range(list.insert(index, value))?,
        },
        7 => Did::Removed {
            at,
            found: list.remove(index)?,
        },
        _ => Did::Counted {
            len: list.len()? as u64,
        },
    })
}

fn call_deque(deque: &Deque<u64>, random: &mut Random, value: u64) -> Result<Did> {
    let front = random.below(2) == 0;
    Ok(match random.below(7) {
        0..3 => {
            match front {
                true => deque.push_front(value)?,
                false => deque.push_back(value)?,
            }
            Did::Pushed { front, value }
        }
        3 | 4 => Did::Popped {
            front,
            found: match front {
                true => deque.pop_front()?,
                false => deque.pop_back()?,
            },
        },
        5 => Did::Counted {
            len: deque.len()? as u64,
        },
        _ => {
            match front {
                true => deque.rotate_left(1)?,
                false => deque.rotate_right(1)?,
            }
            Did::Turned { left: front }
        }
    })
}

/// The same row in all histories, which is empty at first.
fn use_list(seat: Seat, list: List<u64>) -> Result<Vec<Noted<Did>>> {
    let clear = || Ok(list.clear()?);
    let call = |random: &mut Random, value| Ok([call_list(&list, random, value)?]);
    work(seat, clear, call)
}

fn use_deque(seat: Seat, deque: Deque<u64>) -> Result<Vec<Noted<Did>>> {
    let clear = || Ok(deque.clear()?);
    let call = |random: &mut Random, value| Ok([call_deque(&deque, random, value)?]);
    work(seat, clear, call)
}

#[test]
fn every_call_of_a_list_happens_at_one_instant() {
    let _alone = alone();
    let list = Manager::new().unwrap().list("row").unwrap();
    let start = |seat| Process::spawn(use_list, (seat, list.clone()));
    run("list", &VecDeque::new(), start);
}

#[test]
fn every_call_of_a_queue_with_two_ends_happens_at_one_instant() {
    let _alone = alone();
    let deque = Manager::new().unwrap().deque("row").unwrap();
    let start = |seat| Process::spawn(use_deque, (seat, deque.clone()));
    run("deque", &VecDeque::new(), start);
}
