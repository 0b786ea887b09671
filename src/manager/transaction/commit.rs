//! How a transaction is committed: all locks, then all cells.

use super::item::{Item, Spotted, as_seen};
use crate::heap::{Commit, Heap, Target};
use crate::manager::core::Core;
use crate::manager::directory::Unlock;
use crate::manager::error::StoreError;
use crate::manager::table::{Held, Name, Spot, Table};
use crate::sys::identity::Participant;
use std::sync::Arc;

/// What becomes of a dictionary's counts.
struct Count<'a> {
    held: &'a Held<'a>,
    len: i64,
    used: u64,
}

/// Has everything happen that the items are to store; `false` if something is not as it was seen, and nothing has happened.
pub(super) fn commit(
    core: &Arc<Core>,
    me: Participant,
    items: &[Item],
) -> Result<bool, StoreError> {
    let _one_at_a_time = core.lock_transactions(me)?;
    let _locks = lock_shards(core, me, items)?;
    let held: Vec<_> = items.iter().map(|item| item.hold(me)).collect();
    reserve(items, &held)?;
    let len = Heap::ledger_len(items.len());
    let ledger = (core.alloc(me, len)?, len);
    let commit = core.heap.begin(me, ledger).map_err(StoreError::from_heap)?;
    let mut counts = Vec::new();
    for (item, held) in items.iter().zip(&held) {
        let entered = match (&item.place, held) {
            (Spotted::Key { table, key }, Some(held)) => {
                enter_key(&commit, item, held, table.name(key), &mut counts)
            }
            (Spotted::Cell { home, .. }, _) => {
                let seen = item.seen.map_or(0, |block| block.to_bits());
                commit.enter(*home, seen, item.target)
            }
            (Spotted::Key { .. }, None) => false,
        };
        if !entered {
            return Ok(false); // the commit is dropped, and has not happened
        }
    }
    commit.happen();
    for Count { held, len, used } in counts {
        held.count(len, used);
    }
    Ok(true)
}

/// Takes the locks of all shards in which there is a key, in the order in which everybody takes them who takes several.
fn lock_shards<'a>(
    core: &'a Arc<Core>,
    me: Participant,
    items: &[Item],
) -> Result<Vec<Unlock<'a>>, StoreError> {
    let mut locks: Vec<u64> = items.iter().filter_map(Item::lock).collect();
    locks.sort_unstable();
    locks.dedup();
    let taking = locks.into_iter().map(|index| core.take(me, index));
    taking.collect()
}

/// Makes room for the keys that are new, while no cell is tied yet.
fn reserve(items: &[Item], held: &[Option<Held<'_>>]) -> Result<(), StoreError> {
    let new = |item: &&Item| item.seen.is_none() && matches!(item.target, Target::Block(..));
    let most = items.iter().filter(new).count() as u64;
    let held = items.iter().zip(held).filter(|(item, _)| new(item));
    let mut shards = held.filter_map(|(_, held)| held.as_ref());
    shards.try_for_each(|held| held.reserve(most))
}

/// Enters one key.
fn enter_key<'a>(
    commit: &Commit<'_>,
    item: &Item,
    held: &'a Held<'a>,
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

impl Item {
    /// Which of the manager's locks its place needs.
    fn lock(&self) -> Option<u64> {
        match &self.place {
            Spotted::Cell { .. } => None,
            Spotted::Key { table, key } => Some(table.lock_of(Table::shard_of(table.name(key)))),
        }
    }

    /// The shard in which it is, whose lock is held.
    fn hold(&self, me: Participant) -> Option<Held<'_>> {
        match &self.place {
            Spotted::Cell { .. } => None,
            Spotted::Key { table, key } => {
                Some(table.hold_within(me, Table::shard_of(table.name(key))))
            }
        }
    }
}
