//! What is done about the dead in a heap.

use super::ledger::settle_for;
use super::protocol::{Memory, reclaim, settle};
use super::room::Room;
use crate::segment::Segment;
use crate::sys::identity::Participant;
use std::sync::Arc;

/// Settles every block of `dead`'s, in the heap of a segment, and frees its hazards; see [`super::protocol`].
///
/// Looks at the words of all blocks, 8 bytes for each.
pub(crate) fn repair(segment: &Arc<Segment>, dead: Participant) {
    let room = Room::new(Arc::clone(segment));
    room.rows().for_each(|row| row.bury(dead));
    let mut orphans = Vec::new();
    // First: what it has led to is linked then, and not free.
    let is_dead = |writer| writer == u64::from(dead.get());
    settle_for(&room, None, is_dead, &mut |block| orphans.push(block));
    for unit in room.units() {
        settle(&room, dead, unit, &mut |block| orphans.push(block));
    }
    // What somebody still reads waits for whoever looks for a free block there.
    reclaim(&room, None, &mut orphans, &mut |_| {});
}
