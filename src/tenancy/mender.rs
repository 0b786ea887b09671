//! Which repair belongs to which kind of segment: the one place that the members of an object and `gc` both ask.

use crate::heap::{HeapHead, objects_in, repair_heap};
use crate::ring::spsc::Duct;
use crate::ring::{Geometry, Ring};
use crate::segment::layout::{LINE, Offset};
use crate::segment::{Kind, Segment};
use crate::sync::RawLock;
use crate::sys::identity::Participant;
use crate::tenancy::{Repair, object};
use std::sync::Arc;

/// How to repair the object in a segment; `None` for kinds that only their members can repair.
pub(super) fn mender_for(segment: &Segment) -> Option<Arc<dyn Repair>> {
    match segment.geometry().kind {
        Kind::Queue => Some(Arc::new(QueueMender)),
        Kind::Pipe => Some(Arc::new(PipeMender)),
        Kind::Manager => Some(Arc::new(ManagerMender)),
        _ => object::sort_in(segment).map(object::repair_of),
    }
}

/// Repairs queues for the sweep, which knows who died but not what of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueMender;

impl Repair for QueueMender {
    fn repair(&self, segment: &Arc<Segment>, dead: Participant) {
        // A ring that cannot even be attached has nobody who could wait for the dead.
        if let Ok(geometry) = Geometry::from_params(segment.params()) {
            Ring::attach(segment, geometry).repair(dead);
        }
    }
}

/// Repairs pipes for the sweep.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PipeMender;

impl Repair for PipeMender {
    fn repair(&self, segment: &Arc<Segment>, dead: Participant) {
        // A pipe that cannot even be attached has nobody who could wait for the dead.
        if let Ok(duct) = Duct::attach(segment) {
            duct.repair(dead);
        }
    }
}

/// How many locks a manager has behind the head of its heap, each on a line of its own.
const MANAGER_LOCKS: u64 = 64;

/// The bytes of them.
pub(crate) const MANAGER_LOCKS_LEN: u64 = MANAGER_LOCKS * LINE as u64;

/// Where one of them lies, in the segment of a manager.
pub(crate) fn manager_lock(segment: &Segment, index: u64) -> u64 {
    segment.body().0 + size_of::<HeapHead>() as u64 + index % MANAGER_LOCKS * LINE as u64
}

/// Where in the row of a manager's object its own lock lies.
pub(crate) const OBJECT_LOCK: u64 = 8;

/// All locks in the segment of a manager: its own, and those of its objects.
fn locks_in(segment: &Arc<Segment>) -> impl Iterator<Item = &RawLock> {
    let locks = (0..MANAGER_LOCKS).map(|index| manager_lock(segment, index));
    let own = objects_in(segment).map(|row| row + OBJECT_LOCK);
    let places = locks.chain(own);
    places.filter_map(|place| segment.get(Offset::<RawLock>::new(place)))
}

/// Repairs managers for the sweep.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ManagerMender;

impl Repair for ManagerMender {
    fn repair(&self, segment: &Arc<Segment>, dead: Participant) {
        locks_in(segment).for_each(|lock| lock.repair(dead));
        repair_heap(segment, dead);
    }

    /// A lock that is still held is so by a guard that was forgotten: its links stay in its thread's list.
    fn is_pinned(&self, segment: &Arc<Segment>, me: Participant) -> bool {
        locks_in(segment).any(|lock| lock.is_held_by(me))
    }
}
