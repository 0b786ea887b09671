//! The tenants of this process, so that it has one mapping, one descriptor and one slot per segment.

use crate::sys::atfork::ForkMutex;
use crate::tenancy::Tenant;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

type Tenants = HashMap<u64, Weak<Tenant>>;

/// A child that was forked while another thread changed the table forgets it: what it inherited works on, and what it
/// attaches to again gets a second seat.
static TENANTS: ForkMutex<Option<Tenants>> = ForkMutex::new(None, || None);

/// The tenant of the segment `id`, if this process has one.
pub(super) fn find(id: u64) -> Option<Arc<Tenant>> {
    TENANTS.lock().as_ref()?.get(&id)?.upgrade()
}

/// Makes `tenant` known; if another thread was faster, its tenant is returned and `tenant` leaves again.
pub(super) fn enter(tenant: Tenant) -> Arc<Tenant> {
    let id = tenant.segment().id();
    let mut tenants = TENANTS.lock();
    let tenants_of = tenants.get_or_insert_default();
    if let Some(known) = tenants_of.get(&id).and_then(Weak::upgrade) {
        drop(tenants); // before `tenant`, whose drop takes the lock
        return known;
    }
    let tenant = Arc::new(tenant);
    tenants_of.insert(id, Arc::downgrade(&tenant));
    tenant
}

/// Forgets `tenant`, which is being dropped, unless a new one has taken its place.
pub(super) fn leave(tenant: &Tenant) {
    let mut tenants = TENANTS.lock();
    let Some(tenants) = tenants.as_mut() else {
        return;
    };
    let id = tenant.segment().id();
    if tenants
        .get(&id)
        .is_some_and(|known| std::ptr::eq(known.as_ptr(), tenant))
    {
        tenants.remove(&id);
    }
}

/// The descriptors of all tenants, for tests that look for leaks.
#[cfg(test)]
pub(super) fn count() -> usize {
    TENANTS.lock().as_ref().map_or(0, HashMap::len)
}

/// Forgets every tenant, as a process that was started by exec knows none.
#[cfg(test)]
pub(super) fn forget_all() {
    TENANTS.lock().take();
}
