//! How a transaction is committed: all locks, then all cells.

use super::item::{Item, Spotted, as_seen};
use crate::heap::{Commit, Heap, Target};
use crate::manager::core::Core;
use crate::manager::directory::Unlock;
use crate::manager::error::StoreError;
use crate::manager::sequence;
use crate::manager::table::{self, Name, Spot, Table};
use crate::sys::identity::Participant;
use std::sync::Arc;

/// What of an object is held while its places are changed.
enum Hold<'a> {
    /// Nothing: a cell needs no lock.
    Nothing,
    Shard(table::Held<'a>),
    Sequence(sequence::Held<'a>),
}

/// What becomes of a dictionary's counts.
struct Count<'a> {
    held: &'a table::Held<'a>,
    len: i64,
    used: u64,
}

/// Has everything happen that the items are to store; `false` if something is not as it was seen, and nothing has happened.
pub(super) fn commit(
    core: &Arc<Core>,
    me: Participant,
    items: &[Item],
) -> Result<bool, StoreError> {
    let _locks = lock_objects(core, me, items)?;
    let _one_at_a_time = core.lock_transactions(me)?; // the last of all
    let holds: Vec<_> = items.iter().map(|item| item.hold(me)).collect();
    if !items.iter().zip(&holds).all(is_as_long) {
        return Ok(false);
    }
    reserve(items, &holds)?;
    let len = Heap::ledger_len(items.len());
    let ledger = (core.alloc(me, len)?, len);
    let commit = core.heap.begin(me, ledger).map_err(StoreError::from_heap)?;
    let mut counts = Vec::new();
    for (item, hold) in items.iter().zip(&holds) {
        if !enter(&commit, item, hold, &mut counts) {
            return Ok(false); // the commit is dropped, and has not happened
        }
    }
    commit.happen();
    for Count { held, len, used } in counts {
        held.count(len, used);
    }
    items.iter().zip(&holds).for_each(say_length);
    Ok(true)
}

/// Takes the locks of all shards and lists in which there is a place, in the order in which everybody takes them who takes
/// several.
fn lock_objects<'a>(
    core: &'a Arc<Core>,
    me: Participant,
    items: &'a [Item],
) -> Result<Vec<Unlock<'a>>, StoreError> {
    let mut shards: Vec<u64> = items.iter().filter_map(Item::shard_lock).collect();
    shards.sort_unstable();
    shards.dedup();
    let mut lists: Vec<_> = items.iter().filter_map(Item::sequence).collect();
    lists.sort_unstable_by_key(|sequence| sequence.index);
    lists.dedup_by_key(|sequence| sequence.index);
    let shards = shards.into_iter().map(|index| core.take(me, index));
    let lists = lists.into_iter().map(|sequence| sequence.lock(me));
    shards.chain(lists).collect()
}

/// Whether a list has as many elements as were seen.
fn is_as_long((item, hold): (&Item, &Hold<'_>)) -> bool {
    match (&item.place, hold) {
        (Spotted::Length { seen, .. }, Hold::Sequence(held)) => held.len() == *seen,
        _ => true,
    }
}

/// Has a list say how many elements it has now.
fn say_length((item, hold): (&Item, &Hold<'_>)) {
    if let (Spotted::Length { now, .. }, Hold::Sequence(held)) = (&item.place, hold)
        && *now != held.len()
    {
        held.have(*now);
    }
}

/// Makes room for the keys and elements that are new, while no cell is tied yet.
fn reserve(items: &[Item], holds: &[Hold<'_>]) -> Result<(), StoreError> {
    let new = |item: &&Item| item.seen.is_none() && matches!(item.target, Target::Block(..));
    let most = items.iter().filter(new).count() as u64;
    let mut holds = items.iter().zip(holds).filter(|(item, _)| new(item));
    holds.try_for_each(|(_, hold)| match hold {
        Hold::Nothing => Ok(()),
        Hold::Shard(held) => held.reserve(most),
        Hold::Sequence(held) => held.reserve(most),
    })
}

/// Enters one place; `false` if it is not as it was seen.
fn enter<'a>(
    commit: &Commit<'_>,
    item: &Item,
    hold: &'a Hold<'a>,
    counts: &mut Vec<Count<'a>>,
) -> bool {
    match (&item.place, hold) {
        (Spotted::Key { table, key }, Hold::Shard(held)) => {
            enter_key(commit, item, held, table.name(key), counts)
        }
        (Spotted::Element { at, .. }, Hold::Sequence(held)) => {
            enter_element(commit, item, held.spot(*at))
        }
        (Spotted::Cell { home, .. }, _) => {
            let seen = item.seen.map_or(0, |block| block.to_bits());
            commit.enter(*home, seen, item.target)
        }
        (Spotted::Length { .. }, _) => true,
        _ => false,
    }
}

/// Enters one key.
fn enter_key<'a>(
    commit: &Commit<'_>,
    item: &Item,
    held: &'a table::Held<'a>,
    name: Name<'_>,
    counts: &mut Vec<Count<'a>>,
) -> bool {
    let spot = held.spot(name);
    if let (Spot::Vacant(_), None, Target::Same) = (spot, item.seen, item.target) {
        return true; // nothing is there, and nothing comes there: the lock sees to that
    }
    let Some((home, bits)) = as_seen(spot, item.seen) else {
        return false;
    };
    let (len, used) = match (item.seen, item.target) {
        (None, _) => (1, u64::from(bits == 0)),
        (Some(_), Target::Nothing) => (-1, 0),
        _ => (0, 0),
    };
    if len == 1 && !held.say_hash(name, home * 16) {
        return false;
    }
    counts.push(Count { held, len, used });
    commit.enter(home, bits, item.target)
}

/// Enters one element, whose cell is at `spot`.
fn enter_element(commit: &Commit<'_>, item: &Item, spot: Option<sequence::Spot>) -> bool {
    let found = spot.and_then(sequence::Spot::element);
    match (spot, item.target) {
        _ if found != item.seen => false,
        (_, Target::Same) if found.is_none() => true, // as of a key
        (Some(spot), target) => commit.enter(spot.home, spot.bits, target),
        (None, _) => false,
    }
}

impl Item {
    /// Which of the locks that shards share its place needs.
    fn shard_lock(&self) -> Option<u64> {
        let Spotted::Key { table, key } = &self.place else {
            return None;
        };
        Some(table.lock_of(Table::shard_of(table.name(key))))
    }

    /// The list in which it is.
    fn sequence(&self) -> Option<&sequence::Sequence> {
        match &self.place {
            Spotted::Element { sequence, .. } | Spotted::Length { sequence, .. } => Some(sequence),
            Spotted::Cell { .. } | Spotted::Key { .. } => None,
        }
    }

    /// The shard or list in which it is, whose lock is held.
    fn hold(&self, me: Participant) -> Hold<'_> {
        match &self.place {
            Spotted::Cell { .. } => Hold::Nothing,
            Spotted::Key { table, key } => {
                Hold::Shard(table.hold_within(me, Table::shard_of(table.name(key))))
            }
            Spotted::Element { sequence, .. } | Spotted::Length { sequence, .. } => {
                Hold::Sequence(sequence.hold_within(me))
            }
        }
    }
}
