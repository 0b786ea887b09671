//! Values under names: in a manager, and in a map or a vector among threads.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::{Mutex, PoisonError};

use multiproc::{Cell, Dict, Error, List, Manager, Result};

use super::add::{on_threads, together};
use super::damaged;
use crate::bench::crew::Seat;
use crate::bench::report::Report;

/// How many entries a dictionary has, and how many elements a list.
pub const KEYS: u64 = 1000;

multiproc::message! {
    /// What is done again and again with what a manager keeps.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub enum Deed {
        /// Reads a cell.
        CellGet,
        /// Stores in a cell: how often it has done so.
        CellSet,
        /// Reads an entry of a dictionary.
        DictGet,
        /// Gives an entry a value.
        DictSet,
        /// Reads an element of a list.
        ListGet,
        /// Replaces an element of a list.
        ListSet,
        /// Adds one to each of two cells.
        Transaction,
    }

    /// What a manager keeps for the bench.
    #[derive(Clone, Debug)]
    pub struct Kept {
        pub manager: Manager,
        pub cells: [Cell<u64>; 2],
        pub dict: Dict<String, u64>,
        pub list: List<u64>,
    }
}

impl Kept {
    /// Two cells, a dictionary with its entries, and a list with its elements.
    ///
    /// # Errors
    ///
    /// When there is no memory for them.
    pub fn new() -> Result<Self> {
        let manager = Manager::new()?;
        let dict = manager.dict::<String, u64>("entries")?;
        for (key, value) in names().iter().zip(0..) {
            dict.insert(key, value)?;
        }
        Ok(Kept {
            list: manager.list_from("elements", 0..KEYS)?,
            cells: [manager.cell("one", 0)?, manager.cell("two", 0)?],
            dict,
            manager,
        })
    }
}

/// The keys of all dictionaries: the value of each is its number.
fn names() -> Vec<String> {
    (0..KEYS).map(|key| format!("key:{key}")).collect()
}

/// Keys in an order that no processor foresees, another one for each worker.
struct Picks(u64);

impl Picks {
    fn of(worker: u32) -> Self {
        Picks((u64::from(worker) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    #[inline]
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 32) * KEYS) >> 32
    }
}

/// Does one deed for so long, beside others.
///
/// # Errors
///
/// When a value is not the one that was stored, or the system refuses something.
pub fn keep(seat: Seat, span_ns: u64, deed: Deed, kept: Kept) -> Result<Report> {
    let page = seat.take()?;
    let meet = || page.meet(seat.parties);
    let (one, two) = (&kept.cells[0], &kept.cells[1]);
    let (names, mut picks) = (names(), Picks::of(seat.worker));
    let mut count = 0;
    match deed {
        Deed::CellGet => together(span_ns, meet, || right(*one.get()?, 0_u64)),
        Deed::CellSet => together(span_ns, meet, || {
            count += 1;
            Ok(one.set(count)?)
        }),
        Deed::DictGet => together(span_ns, meet, || {
            let key = picks.next();
            let value = kept.dict.get(&names[key as usize])?.ok_or_else(damaged)?;
            right(value.to_native(), key)
        }),
        Deed::DictSet => together(span_ns, meet, || {
            let key = picks.next();
            kept.dict.insert(&names[key as usize], key)?;
            Ok(())
        }),
        Deed::ListGet => together(span_ns, meet, || {
            let at = picks.next();
            let value = kept.list.get(at as usize)?.ok_or_else(damaged)?;
            right(value.to_native(), at)
        }),
        Deed::ListSet => together(span_ns, meet, || {
            let at = picks.next();
            Ok(kept.list.set(at as usize, at)?)
        }),
        Deed::Transaction => together(span_ns, meet, || {
            kept.manager.transaction(|t| {
                let values = (t.cell(one).get()?, t.cell(two).get()?);
                t.cell(one).set(values.0 + 1)?;
                t.cell(two).set(values.1 + 1)?;
                Ok::<_, Error>(())
            })
        }),
    }
}

#[inline]
fn right(found: impl PartialEq<u64>, wanted: u64) -> Result<()> {
    match black_box(found) == wanted {
        true => Ok(()),
        false => Err(damaged()),
    }
}

/// Reads or sets entries of a [`HashMap`] under a [`Mutex`], with a thread of this process for each processor given.
pub fn map_on_threads(span_ns: u64, cpus: &[u32], sets: bool) -> Result<Report> {
    let names = names();
    let map: HashMap<String, u64> = names.iter().cloned().zip(0..).collect();
    let entry = |map: &mut HashMap<String, u64>, key| {
        let value = map.get_mut(&names[key as usize]).ok_or_else(damaged)?;
        read_or_set(value, key, sets)
    };
    under_mutex(span_ns, cpus, map, entry)
}

/// The same with the elements of a [`Vec`].
pub fn vec_on_threads(span_ns: u64, cpus: &[u32], sets: bool) -> Result<Report> {
    let elements: Vec<u64> = (0..KEYS).collect();
    let element = |elements: &mut Vec<u64>, key| {
        let value = elements.get_mut(key as usize).ok_or_else(damaged)?;
        read_or_set(value, key, sets)
    };
    under_mutex(span_ns, cpus, elements, element)
}

#[inline]
fn read_or_set(value: &mut u64, key: u64, sets: bool) -> Result<()> {
    match sets {
        true => *value = key,
        false => right(*value, key)?,
    }
    Ok(())
}

fn under_mutex<M: Send>(
    span_ns: u64,
    cpus: &[u32],
    kept: M,
    deed: impl Fn(&mut M, u64) -> Result<()> + Sync,
) -> Result<Report> {
    let kept = Mutex::new(kept);
    on_threads(span_ns, cpus, |worker| {
        let (kept, deed, mut picks) = (&kept, &deed, Picks::of(worker));
        move || {
            let key = picks.next();
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            deed(&mut kept, key)
        }
    })
}
