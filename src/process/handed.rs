//! The shared objects that a child was given, for as long as they matter to the parent.

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};

use super::launch::above_stdio;
use crate::Result;
use crate::tenancy::{Tenant, handover};

/// How many roles a segment knows.
const ROLES: usize = 8;

/// The objects among the arguments of a process that is about to start.
pub(super) struct Travelling {
    tenants: Vec<Arc<Tenant>>,
}

impl Travelling {
    /// Runs `archive` and returns, beside its result, the objects whose handles it wrote.
    pub(super) fn collect<T>(archive: impl FnOnce() -> T) -> (T, Self) {
        let (result, tenants) = handover::collect(archive);
        (result, Travelling { tenants })
    }

    /// Descriptors for the child to inherit, each with its segment.
    pub(super) fn lend(&self) -> Result<Vec<(u64, OwnedFd)>> {
        let lend = |tenant: &Arc<Tenant>| {
            let fd = above_stdio(tenant.loan()?)?;
            Ok((tenant.segment().id(), fd))
        };
        self.tenants.iter().map(lend).collect()
    }

    /// Holds the roles that this process has in the objects, so that they do not lapse on the way.
    pub(super) fn hold_roles(&self) -> HeldRoles {
        let tenants = self.tenants.iter();
        let all = tenants.flat_map(|tenant| (0..ROLES).map(move |role| (tenant, role)));
        let held = all.filter(|(tenant, role)| tenant.own_role(*role) > 0);
        HeldRoles::new(held.map(|(tenant, role)| (Arc::clone(tenant), role)))
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

/// Roles held once more than the program holds them, until they are given back.
pub(super) struct HeldRoles {
    held: Vec<(Arc<Tenant>, usize)>,
}

impl HeldRoles {
    fn new(roles: impl Iterator<Item = (Arc<Tenant>, usize)>) -> Self {
        let held: Vec<_> = roles.collect();
        for (tenant, role) in &held {
            tenant.take_role(*role);
        }
        HeldRoles { held }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Whether this process would lose a role now: nothing else of it holds it any more.
    pub(super) fn are_last(&self) -> bool {
        let mut held = self.held.iter();
        held.any(|(tenant, role)| tenant.own_role(*role) == 1)
    }
}

impl Drop for HeldRoles {
    fn drop(&mut self) {
        for (tenant, role) in &self.held {
            tenant.drop_role(*role);
        }
    }
}
