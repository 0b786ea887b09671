//! Transactions of two cells and a key, among calls for one of them.

use multiproc::{Cell, Dict, Error, Manager, Process, Result};

use super::alone;
use super::checker::Deed;
use super::record::Random;
use super::rounds::{Noted, Seat, run, work};

multiproc::message! {
    /// Two cells and a dictionary with one key.
    #[derive(Clone)]
    struct Things {
        manager: Manager,
        cells: [Cell<u64>; 2],
        dict: Dict<u64, u64>,
    }

    /// What was done with the values of two cells and of a key, which is 0 where it is not there.
    #[derive(Clone, Copy, Debug)]
    enum Did {
        /// All of them were these, and are those.
        All { from: [u64; 3], to: [u64; 3] },
        /// One of them was this.
        Saw { place: u64, found: u64 },
        /// One of them became this.
        Stored { place: u64, value: u64 },
        /// The key was taken away, and was there.
        Removed { was_there: bool },
    }
}

impl Deed for Did {
    type State = [u64; 3];

    fn apply(&self, state: &[u64; 3]) -> Option<[u64; 3]> {
        let with = |place: u64, value| {
            let mut after = *state;
            after[place as usize] = value;
            after
        };
        match *self {
            Did::All { from, to } => (*state == from).then_some(to),
            Did::Saw { place, found } => (state[place as usize] == found).then_some(*state),
            Did::Stored { place, value } => Some(with(place, value)),
            Did::Removed { was_there } => (was_there == (state[2] != 0)).then(|| with(2, 0)),
        }
    }
}

impl Things {
    /// Reads all, and stores in those that are named other values than 0, all at one instant.
    fn all(&self, values: [u64; 3]) -> Result<Did> {
        let (from, to) = self.manager.transaction(|t| {
            let [one, two] = &self.cells;
            let key = t.dict(&self.dict).get(&0)?.unwrap_or(0);
            let from = [t.cell(one).get()?, t.cell(two).get()?, key];
            let mut to = from;
            for place in (0..3).filter(|&place| values[place] != 0) {
                to[place] = values[place];
                match place {
                    2 => _ = t.dict(&self.dict).insert(&0, to[2])?,
                    cell => t.cell(&self.cells[cell]).set(to[cell])?,
                }
            }
            Ok::<_, Error>((from, to))
        })?;
        Ok(Did::All { from, to })
    }

    fn look(&self, place: u64) -> Result<Did> {
        let found = match place {
            2 => self.dict.get_owned(&0)?.unwrap_or(0),
            cell => self.cells[cell as usize].get_owned()?,
        };
        Ok(Did::Saw { place, found })
    }

    fn store(&self, place: u64, value: u64) -> Result<Did> {
        match place {
            2 => _ = self.dict.insert(&0, value)?,
            cell => self.cells[cell as usize].set(value)?,
        }
        Ok(Did::Stored { place, value })
    }

    fn remove(&self) -> Result<Did> {
        let was_there = self.dict.remove(&0)?;
        Ok(Did::Removed { was_there })
    }
}

/// One call; `value` is one that nobody stores but this.
fn call(things: &Things, random: &mut Random, value: u64) -> Result<Did> {
    let place = random.below(3);
    match random.below(8) {
        0 => things.all([0; 3]),
        1..4 => {
            let mut values = [value; 3];
            values[place as usize] = 0;
            things.all(values)
        }
        4 | 5 => things.look(place),
        6 if place == 2 => things.remove(),
        _ => things.store(place, value),
    }
}

fn use_things(seat: Seat, things: Things) -> Result<Vec<Noted<Did>>> {
    let renew = || {
        (0..2).try_for_each(|cell| things.cells[cell].set(0))?;
        things.dict.remove(&0)?;
        Ok(())
    };
    work(seat, renew, |random, value| {
        Ok([call(&things, random, value)?])
    })
}

#[test]
fn every_transaction_happens_at_one_instant() {
    let _alone = alone();
    let manager = Manager::new().unwrap();
    let cells = ["one", "two"].map(|name| manager.cell(name, 0).unwrap());
    let dict = manager.dict("keys").unwrap();
    let things = Things {
        manager,
        cells,
        dict,
    };
    let start = |seat| Process::spawn(use_things, (seat, things.clone()));
    run("transactions", &[0; 3], start);
}
