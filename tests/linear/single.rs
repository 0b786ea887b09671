//! One key of a dictionary, or one cell, and everything that can be done with it.

use std::collections::HashMap;

use multiproc::{Cell, Dict, Manager, Process, Result, Value};

use super::checker::is_linearizable;
use super::record::{Did, Entry, Random, meet, timed};
use super::{BATCH, alone, batches, seed, workers};

/// Calls of one process in one history.
const CALLS: u64 = 8;

/// Keys of a dictionary's history.
const KEYS: u64 = 2;

/// What one process does in a batch of histories.
struct Worker {
    /// Which of them it is.
    number: u64,
    random: Random,
    /// The last value that it made up: nobody makes up the same.
    value: u64,
    entries: Vec<Entry>,
}

impl Worker {
    fn new(batch: u64, number: u64) -> Self {
        Worker {
            number,
            random: Random::of(seed(batch, number)),
            value: number << 48,
            entries: Vec::new(),
        }
    }

    fn value(&mut self) -> u64 {
        self.value += 1;
        self.value
    }

    fn note(&mut self, round: u64, place: u64, act: impl FnOnce() -> Result<Did>) -> Result<()> {
        let (begin, end, did) = timed(act)?;
        self.entries.push(Entry {
            round,
            place,
            begin,
            end,
            did,
        });
        Ok(())
    }

    /// One call for a key of a dictionary, or two.
    fn use_key(&mut self, round: u64, dict: &Dict<u64, u64>, key: u64) -> Result<()> {
        let value = self.value();
        match self.random.below(10) {
            0..3 => self.note(round, key, || saw(dict, key)),
            3 => self.note(round, key, || {
                let was_there = Some(!dict.insert(&key, value)?);
                Ok(Did::Stored { value, was_there })
            }),
            4 => self.note(round, key, || {
                let was_new = dict.insert_new(&key, value)?;
                Ok(Did::StoredNew { value, was_new })
            }),
            5 => self.note(round, key, || {
                let was_there = dict.remove(&key)?;
                Ok(Did::Removed { was_there })
            }),
            6 => self.note(round, key, || {
                let mut found = None;
                let change = |old: &_| {
                    found = Some(u64::from(*old));
                    value
                };
                Ok(match dict.update(&key, change)? {
                    true => changed(found, value),
                    false => Did::Saw { found: None },
                })
            }),
            7 => self.note(round, key, || {
                let mut from = None;
                dict.upsert(&key, |old| {
                    from = old.map(|old| u64::from(*old));
                    value
                })?;
                Ok(changed(from, value))
            }),
            _ => self.replace_key(round, dict, key, value),
        }
    }

    /// Looks, and replaces what it has seen.
    fn replace_key(
        &mut self,
        round: u64,
        dict: &Dict<u64, u64>,
        key: u64,
        value: u64,
    ) -> Result<()> {
        let mut guard = None;
        self.note(round, key, || {
            guard = dict.get(&key)?;
            let found = guard.as_deref().map(|value| u64::from(*value));
            Ok(Did::Saw { found })
        })?;
        let Some(guard) = guard else { return Ok(()) };
        self.note(round, key, || {
            let seen = u64::from(*guard);
            Ok(match dict.replace_if(&key, &guard, value)? {
                true => changed(Some(seen), value),
                false => Did::Kept { seen },
            })
        })
    }

    /// One call for a cell, or two.
    fn use_cell(&mut self, round: u64, cell: &Cell<u64>) -> Result<()> {
        let value = self.value();
        match self.random.below(6) {
            0 | 1 => self.note(round, 0, || {
                let found = Some(cell.get_owned()?);
                Ok(Did::Saw { found })
            }),
            2 => self.note(round, 0, || {
                cell.set(value)?;
                Ok(stored(value))
            }),
            3 => self.note(round, 0, || {
                let mut from = None;
                cell.update(|old| {
                    from = Some(u64::from(*old));
                    value
                })?;
                Ok(changed(from, value))
            }),
            _ => self.replace_cell(round, cell, value),
        }
    }

    fn replace_cell(&mut self, round: u64, cell: &Cell<u64>, value: u64) -> Result<()> {
        let mut guard = None;
        self.note(round, 0, || {
            let seen = guard.insert(cell.get()?);
            let found = Some(u64::from(**seen));
            Ok(Did::Saw { found })
        })?;
        let Some(guard) = guard else { return Ok(()) };
        self.note(round, 0, || {
            let seen = u64::from(*guard);
            Ok(match cell.replace_if(&guard, value)? {
                true => changed(Some(seen), value),
                false => Did::Kept { seen },
            })
        })
    }
}

fn saw(dict: &Dict<u64, u64>, key: u64) -> Result<Did> {
    let found = dict.get(&key)?.map(|value| u64::from(*value));
    Ok(Did::Saw { found })
}

fn changed(from: Option<u64>, to: u64) -> Did {
    Did::Changed { from, to }
}

fn stored(value: u64) -> Did {
    let was_there = None;
    Did::Stored { value, was_there }
}

/// Two keys in all histories, which nobody has at first. Others come meanwhile, and some go, so that tables are replaced
/// by larger ones and by others as large.
fn use_keys(
    batch: u64,
    number: u64,
    dict: Dict<u64, u64>,
    meeting: Value<u64>,
) -> Result<Vec<Entry>> {
    let mut worker = Worker::new(batch, number);
    for round in 0..BATCH {
        meet(&meeting);
        match round % 32 {
            _ if worker.number > 0 => {}
            0 => dict.clear()?,
            _ => (0..KEYS).try_for_each(|key| dict.remove(&key).map(|_| ()))?,
        }
        meet(&meeting);
        for _ in 0..CALLS {
            for _ in 0..worker.random.below(5) {
                let other = worker.value() + KEYS;
                dict.insert(&other, other)?;
                if worker.random.below(2) == 0 {
                    dict.remove(&other)?;
                }
            }
            let key = worker.random.below(KEYS);
            worker.use_key(round, &dict, key)?;
        }
    }
    Ok(worker.entries)
}

/// The same cell in all histories; what it has at first, the first of the processes stores before all others begin.
fn use_cell(batch: u64, number: u64, cell: Cell<u64>, meeting: Value<u64>) -> Result<Vec<Entry>> {
    let mut worker = Worker::new(batch, number);
    for round in 0..BATCH {
        meet(&meeting);
        if worker.number == 0 {
            let value = worker.value();
            worker.note(round, 0, || {
                cell.set(value)?;
                Ok(stored(value))
            })?;
        }
        meet(&meeting);
        for _ in 0..CALLS {
            worker.use_cell(round, &cell)?;
        }
    }
    Ok(worker.entries)
}

/// All entries that these processes have noted, by round and place.
fn histories(workers: Vec<Process<Vec<Entry>>>) -> HashMap<(u64, u64), Vec<Entry>> {
    let mut histories: HashMap<_, Vec<Entry>> = HashMap::new();
    for worker in workers {
        for entry in worker.join().expect("a worker ends well") {
            let place = (entry.round, entry.place);
            histories.entry(place).or_default().push(entry);
        }
    }
    histories
}

/// Has each history checked; says how many there were, and how many calls began while another one was going on.
fn check(histories: HashMap<(u64, u64), Vec<Entry>>, total: &mut [usize; 3]) {
    for ((round, place), mut entries) in histories {
        entries.sort_by_key(|entry| entry.begin);
        let events: Vec<_> = entries.iter().map(Entry::event).collect();
        let is_fine = is_linearizable(&events, None);
        assert!(is_fine, "round {round}, place {place}: {entries:#?}");
        let overlap = |i: &usize| entries[..*i].iter().any(|e| e.end > entries[*i].begin);
        total[0] += 1;
        total[1] += entries.len();
        total[2] += (0..entries.len()).filter(overlap).count();
    }
}

/// Runs the batches; `start` starts one process of a batch.
fn run(what: &str, start: impl Fn(u64, u64, Value<u64>) -> Result<Process<Vec<Entry>>>) {
    let mut total = [0; 3];
    for batch in 0..batches() {
        let meeting = Value::new(0).unwrap();
        let workers = (0..workers()).map(|number| start(batch, number, meeting.clone()).unwrap());
        check(histories(workers.collect()), &mut total);
    }
    let [histories, calls, beside] = total;
    println!(
        "linear: {what}: {histories} histories, {calls} calls, {beside} of them beside others"
    );
}

#[test]
fn every_call_of_a_dictionary_happens_at_one_instant() {
    let _alone = alone();
    let manager = Manager::new().unwrap();
    let dict = manager.dict("keys").unwrap();
    run("dict", |batch, number, meeting| {
        Process::spawn(use_keys, (batch, number, dict.clone(), meeting))
    });
}

#[test]
fn every_call_of_a_cell_happens_at_one_instant() {
    let _alone = alone();
    let manager = Manager::new().unwrap();
    let cell = manager.cell("value", 0).unwrap();
    run("cell", |batch, number, meeting| {
        Process::spawn(use_cell, (batch, number, cell.clone(), meeting))
    });
}
