//! A list and a queue with two ends, and everything that can be done with them in one call.

use std::collections::VecDeque;

use multiproc::{Deque, List, Manager, Process, Result, StoreError, Value};

use super::checker::{Deed, Event, is_linearizable};
use super::record::{Random, meet, timed};
use super::{BATCH, alone, batches, seed, workers};

/// Calls of one process in one history.
const CALLS: u64 = 6;

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

    /// An event of one process.
    #[derive(Clone, Copy, Debug)]
    struct Entry {
        round: u64,
        begin: u64,
        end: u64,
        did: Did,
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
fn work(
    batch: u64,
    number: u64,
    meeting: &Value<u64>,
    clear: impl Fn() -> Result<()>,
    call: impl Fn(&mut Random, u64) -> Result<Did>,
) -> Result<Vec<Entry>> {
    let mut random = Random::of(seed(batch, number));
    let (mut value, mut entries) = (number << 48, Vec::new());
    for round in 0..BATCH {
        meet(meeting);
        if number == 0 {
            clear()?;
        }
        meet(meeting);
        for _ in 0..CALLS {
            value += 1;
            let (begin, end, did) = timed(|| call(&mut random, value))?;
            entries.push(Entry {
                round,
                begin,
                end,
                did,
            });
        }
    }
    Ok(entries)
}

fn use_list(batch: u64, number: u64, list: List<u64>, meeting: Value<u64>) -> Result<Vec<Entry>> {
    let clear = || Ok(list.clear()?);
    let call = |random: &mut Random, value| call_list(&list, random, value);
    work(batch, number, &meeting, clear, call)
}

fn use_deque(
    batch: u64,
    number: u64,
    deque: Deque<u64>,
    meeting: Value<u64>,
) -> Result<Vec<Entry>> {
    let clear = || Ok(deque.clear()?);
    let call = |random: &mut Random, value| call_deque(&deque, random, value);
    work(batch, number, &meeting, clear, call)
}

/// Has the histories of these processes checked.
fn check(workers: Vec<Process<Vec<Entry>>>) {
    let entries = workers.into_iter().map(|worker| worker.join());
    let entries: Vec<_> = entries
        .flat_map(|entries| entries.expect("a worker ends well"))
        .collect();
    for round in 0..BATCH {
        let own = entries.iter().filter(|entry| entry.round == round);
        let mut events: Vec<_> = own
            .map(|entry| Event {
                begin: entry.begin,
                end: entry.end,
                did: entry.did,
            })
            .collect();
        events.sort_by_key(|event| event.begin);
        let is_fine = is_linearizable(&events, VecDeque::new());
        assert!(is_fine, "round {round}: {events:#?}");
    }
}

/// Runs the batches; `start` starts one process of a batch.
fn run(start: impl Fn(u64, u64, Value<u64>) -> Result<Process<Vec<Entry>>>) {
    for batch in 0..batches() {
        let meeting = Value::new(0).unwrap();
        let workers = (0..workers()).map(|number| start(batch, number, meeting.clone()).unwrap());
        check(workers.collect());
    }
}

#[test]
fn every_call_of_a_list_happens_at_one_instant() {
    let _alone = alone();
    let list = Manager::new().unwrap().list("row").unwrap();
    run(|batch, number, meeting| Process::spawn(use_list, (batch, number, list.clone(), meeting)));
}

#[test]
fn every_call_of_a_queue_with_two_ends_happens_at_one_instant() {
    let _alone = alone();
    let deque = Manager::new().unwrap().deque("row").unwrap();
    run(|batch, number, meeting| {
        Process::spawn(use_deque, (batch, number, deque.clone(), meeting))
    });
}
