//! Which repair belongs to which kind of segment: the one place that the members of an object and `gc` both ask.

use crate::ring::spsc::Duct;
use crate::ring::{Geometry, Ring};
use crate::segment::{Kind, Segment};
use crate::sys::identity::Participant;
use crate::tenancy::{Repair, object};
use std::sync::Arc;

/// How to repair the object in a segment; `None` for kinds that only their members can repair.
pub(super) fn mender_for(segment: &Segment) -> Option<Arc<dyn Repair>> {
    match segment.geometry().kind {
        Kind::Queue => Some(Arc::new(QueueMender)),
        Kind::Pipe => Some(Arc::new(PipeMender)),
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
