//! The shared objects that a child was given, for as long as they matter to the parent.

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};

use super::launch::above_stdio;
use crate::Result;
use crate::tenancy::Tenant;
use crate::tenancy::handover::{self, Cargo};

/// The objects among the arguments of a process that is about to start.
pub(super) struct Travelling {
    tenants: Cargo,
    roles: bool,
}

impl Travelling {
    /// Runs `archive` and returns, beside its result, the objects whose handles it wrote.
    pub(super) fn collect<T>(archive: impl FnOnce() -> T) -> (T, Self) {
        let ((result, tenants), roles) = handover::with_roles(|| handover::collect(archive));
        (result, Travelling { tenants, roles })
    }

    /// Descriptors for the child to inherit, each with its segment.
    pub(super) fn lend(&self) -> Result<Vec<(u64, OwnedFd)>> {
        let lend = |tenant: &Arc<Tenant>| {
            let fd = above_stdio(tenant.loan()?)?;
            Ok((tenant.segment().id(), fd))
        };
        self.tenants.iter().map(lend).collect()
    }

    /// Whether a role is among the arguments, which must not lapse on the way.
    pub(super) fn has_roles(&self) -> bool {
        self.roles
    }

    /// Keeps the objects alive for the launch `id`.
    pub(super) fn keep(self, id: u64) -> Handed {
        let known = self.tenants.iter().map(Arc::downgrade).collect();
        handover::keep(id, self.tenants);
        Handed {
            kept: Some(Kept(id)),
            known,
        }
    }
}

/// What a child was given: kept alive until the child holds it itself, and repaired when the child dies.
#[derive(Default)]
pub(super) struct Handed {
    kept: Option<Kept>,
    /// All of them, for the repair; the parent may have given them up since.
    known: Vec<Weak<Tenant>>,
}

impl Handed {
    /// Whether something is still kept alive for the child.
    pub(super) fn is_kept(&self) -> bool {
        self.kept.is_some() && !self.known.is_empty()
    }

    /// Gives up what was kept; the caller drops it outside of its locks, as it may end in repairs.
    pub(super) fn release(&mut self) -> Option<Kept> {
        self.kept.take()
    }

    /// Lets the survivors go on at once after the death of the child.
    pub(super) fn sweep(&self) {
        for tenant in self.known.iter().filter_map(Weak::upgrade) {
            tenant.sweep();
        }
    }
}

impl fmt::Debug for Handed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handed({} objects)", self.known.len())
    }
}

/// The objects kept for one launch, until this is dropped.
pub(super) struct Kept(u64);

impl Drop for Kept {
    fn drop(&mut self) {
        handover::release(self.0);
    }
}
