//! A watcher's rows in the segments of what it watches.

use super::source::Spot;
use crate::Result;
use crate::segment::{Row, Watched, Watchers};
use crate::sys::membarrier;
use crate::tenancy::Tenant;
use std::sync::Arc;

/// One row, for one thing or for several of a segment; given up when dropped.
pub(super) struct Enrolment {
    tenant: Arc<Tenant>,
    /// `None` where there was no room: then slices must do.
    row: Option<Row>,
}

impl Enrolment {
    /// Has `bell` rung for a spot, or for everything in its segment.
    ///
    /// # Errors
    ///
    /// As [`Tenant::seat`].
    pub(super) fn new(spot: Spot<'_>, alone: bool, bell: u32) -> Result<Self> {
        membarrier::register();
        let me = spot.tenant.seat()?;
        let watchers = Watchers::of(spot.tenant.segment());
        let what = match alone {
            true => watchers.name(spot.word),
            false => Watched::EVERYTHING,
        };
        Ok(Enrolment {
            tenant: Arc::clone(spot.tenant),
            row: watchers.enrol(me, what, bell),
        })
    }

    /// Whether somebody will ring.
    pub(super) fn is_entered(&self) -> bool {
        self.row.is_some()
    }

    /// About how many have the segment open.
    pub(super) fn population(&self) -> u32 {
        crate::sys::identity::Oracle::population(&*self.tenant)
    }
}

impl Drop for Enrolment {
    fn drop(&mut self) {
        // A forked child's copy is its parent's, also when the child has joined by itself.
        if let Some(row) = self.row
            && self.tenant.is_me(row.who())
        {
            Watchers::of(self.tenant.segment()).leave(row);
        }
    }
}
