//! Two names of a namespace, whose values change their type, and everything that can be done with them.

use multiproc::{Error, ErrorKind, Manager, Namespace, Process, Result, StoreError};

use super::alone;
use super::checker::Deed;
use super::record::Random;
use super::rounds::{Noted, Seat, has_an_order, run, work};

/// The names of a history. Others come meanwhile, and some go.
const NAMES: [&str; 2] = ["x", "y"];

multiproc::message! {
    /// A value of one of two types.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    struct Attribute {
        is_text: bool,
        value: u64,
    }

    /// What was done with the names.
    #[derive(Clone, Copy, Debug)]
    enum Did {
        /// It had this value, or none.
        Saw { name: u64, found: Option<Attribute> },
        /// It was read as the other type, and had one of this.
        SawType { name: u64, is_text: bool },
        /// It was asked only whether it has one.
        SawWhether { name: u64, is_there: bool },
        Set { name: u64, attribute: Attribute, was_new: bool },
        /// A number was made of the number that it had.
        Changed { name: u64, from: u64, to: u64 },
        Removed { name: u64, was_there: bool },
        /// Those that had a value.
        Named { are_there: [bool; 2] },
    }
}

impl Deed for Did {
    type State = [Option<Attribute>; NAMES.len()];

    fn apply(&self, state: &Self::State) -> Option<Self::State> {
        let of = |name: u64| state[name as usize];
        let with = |name: u64, attribute| {
            let mut after = *state;
            after[name as usize] = attribute;
            after
        };
        match *self {
            Did::Saw { name, found } => (of(name) == found).then_some(*state),
            Did::SawType { name, is_text } => {
                let fits = of(name).is_some_and(|there| there.is_text == is_text);
                fits.then_some(*state)
            }
            Did::SawWhether { name, is_there } => {
                (of(name).is_some() == is_there).then_some(*state)
            }
            Did::Set {
                name,
                attribute,
                was_new,
            } => (of(name).is_none() == was_new).then(|| with(name, Some(attribute))),
            Did::Changed { name, from, to } => {
                (of(name) == Some(number(from))).then(|| with(name, Some(number(to))))
            }
            Did::Removed { name, was_there } => {
                (of(name).is_some() == was_there).then(|| with(name, None))
            }
            Did::Named { are_there } => {
                (state.map(|there| there.is_some()) == are_there).then_some(*state)
            }
        }
    }
}

fn number(value: u64) -> Attribute {
    let is_text = false;
    Attribute { is_text, value }
}

fn text(value: u64) -> Attribute {
    let is_text = true;
    Attribute { is_text, value }
}

/// What reading it as one type has found; the other type is no failure.
fn saw(name: u64, asked_text: bool, found: Result<Option<Attribute>>) -> Result<Did> {
    match found {
        Ok(found) => Ok(Did::Saw { name, found }),
        Err(other) if other.kind() == ErrorKind::WrongType => {
            let is_text = !asked_text;
            Ok(Did::SawType { name, is_text })
        }
        Err(other) => Err(other),
    }
}

fn get(space: &Namespace, name: u64, asked_text: bool) -> Result<Did> {
    let called = NAMES[name as usize];
    let found = match asked_text {
        true => {
            let found = space.get::<String>(called);
            let parsed = |found: &str| text(found.parse().expect("a text as it was stored"));
            found.map(|found| found.as_deref().map(|found| parsed(found)))
        }
        false => space
            .get_owned::<u64>(called)
            .map(|found| found.map(number)),
    };
    saw(name, asked_text, found)
}

fn set(space: &Namespace, name: u64, attribute: Attribute) -> Result<Did> {
    let called = NAMES[name as usize];
    let was_new = match attribute.is_text {
        true => space.set::<String>(called, attribute.value.to_string())?,
        false => space.set(called, attribute.value)?,
    };
    Ok(Did::Set {
        name,
        attribute,
        was_new,
    })
}

fn update(space: &Namespace, name: u64, to: u64) -> Result<Did> {
    let mut from = 0;
    let change = |old: &_| {
        from = u64::from(*old);
        to
    };
    match space.update::<u64, u64>(NAMES[name as usize], change) {
        Ok(true) => Ok(Did::Changed { name, from, to }),
        Ok(false) => Ok(Did::Saw { name, found: None }),
        Err(StoreError::Refused(why)) => saw(name, false, Err(why)),
        Err(other) => Err(other.into()),
    }
}

fn names(space: &Namespace) -> Result<Did> {
    let names = space.names()?;
    let are_there = NAMES.map(|name| names.iter().any(|there| there == name));
    Ok(Did::Named { are_there })
}

/// One call for one of the names, or for both.
fn call(space: &Namespace, random: &mut Random, value: u64) -> Result<Did> {
    let name = random.below(2);
    let is_text = random.below(2) == 0;
    match random.below(12) {
        0..3 => get(space, name, is_text),
        3 => {
            let is_there = space.contains(NAMES[name as usize])?;
            Ok(Did::SawWhether { name, is_there })
        }
        4..7 => set(space, name, Attribute { is_text, value }),
        7..9 => update(space, name, value),
        9..11 => {
            let was_there = space.remove(NAMES[name as usize])?;
            Ok(Did::Removed { name, was_there })
        }
        _ => names(space),
    }
}

/// Two names in all histories, which have no value at first, while tables are replaced because of others.
fn use_names(seat: Seat, space: Namespace) -> Result<Vec<Noted<Did>>> {
    let renew = || {
        let names = space.names()?;
        names
            .iter()
            .try_for_each(|name| space.remove(name).map(drop))?;
        Ok::<_, Error>(())
    };
    let call = |random: &mut Random, value: u64| {
        if random.below(2) == 0 {
            let other = format!("other {value}");
            space.set(&other, value)?;
            if random.below(2) == 0 {
                space.remove(&other)?;
            }
        }
        Ok([call(&space, random, value)?])
    };
    work(seat, renew, call)
}

#[test]
fn every_call_of_a_namespace_happens_at_one_instant() {
    let _alone = alone();
    let space = Manager::new().unwrap().namespace("space").unwrap();
    let start = |seat| Process::spawn(use_names, (seat, space.clone()));
    run("namespace", &[None; NAMES.len()], start);
}

#[test]
fn a_wrong_history_of_names_is_found() {
    use Did::*;
    let name = 0;
    let check = |history: &[(u64, u64, Did)]| has_an_order([None; NAMES.len()], history);
    let set = |attribute, was_new| Set {
        name,
        attribute,
        was_new,
    };
    let saw = |found| Saw { name, found };
    let removed = |was_there| Removed { name, was_there };
    assert!(check(&[
        (0, 9, set(number(1), true)),
        (1, 2, saw(None)),
        (3, 4, saw(Some(number(1))))
    ]));
    assert!(
        !check(&[(0, 1, set(number(1), true)), (2, 3, saw(None))]),
        "a value is lost"
    );
    let types = [(0, 1, set(number(1), true)), (2, 3, saw(Some(text(1))))];
    assert!(!check(&types), "another type");
    let is_text = true;
    let types = [
        (0, 1, set(number(1), true)),
        (2, 3, SawType { name, is_text }),
    ];
    assert!(!check(&types), "a type that it never had");
    let twice = [(0, 9, set(number(1), true)), (0, 9, set(number(2), true))];
    assert!(!check(&twice), "both were new");
    let twice = [
        (0, 1, set(text(1), true)),
        (2, 9, removed(true)),
        (2, 9, removed(true)),
    ];
    assert!(!check(&twice), "taken away twice");
    let changed = |to| Changed { name, from: 1, to };
    let lost = [
        (0, 1, set(number(1), true)),
        (2, 9, changed(2)),
        (2, 9, changed(3)),
    ];
    assert!(!check(&lost), "a change is lost");
    let other = Set {
        name: 1,
        attribute: text(2),
        was_new: true,
    };
    let seen = Named {
        are_there: [false, true],
    };
    assert!(
        !check(&[(0, 1, set(number(1), true)), (2, 3, other), (4, 9, seen)]),
        "a name is missing"
    );
}
