//! Keeping objects alive while they travel to a child: from the moment its arguments are archived until it has
//! attached to them.

use crate::sys::atfork::ForkMutex;
use crate::tenancy::Tenant;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

thread_local! {
    /// What the innermost [`collect`] on this thread has seen; `None` outside of one.
    static TRAVELLING: RefCell<Option<Vec<Arc<Tenant>>>> = const { RefCell::new(None) };
}

thread_local! {
    /// Whether a role was among what the innermost [`with_roles`] on this thread has seen.
    static ROLES: Cell<bool> = const { Cell::new(false) };
}

/// The objects of launches that have not attached yet.
static KEPT: ForkMutex<Option<HashMap<u64, Vec<Arc<Tenant>>>>> = ForkMutex::new(None, || None);

/// Runs `archive` and returns, beside its result, every object whose handle it has written, each once.
pub(crate) fn collect<R>(archive: impl FnOnce() -> R) -> (R, Vec<Arc<Tenant>>) {
    let outer = TRAVELLING.replace(Some(Vec::new()));
    let restore = Restore(outer);
    let result = archive();
    let seen = TRAVELLING.take().unwrap_or_default();
    drop(restore);
    (result, seen)
}

/// Puts the outer collection back even when the archiving panics.
struct Restore(Option<Vec<Arc<Tenant>>>);

impl Drop for Restore {
    fn drop(&mut self) {
        let inner = TRAVELLING.replace(self.0.take());
        drop(inner); // outside of the borrow: dropping a tenant runs code of its own
    }
}

/// Called for every handle that is written; remembers its object if somebody collects.
pub(super) fn note(tenant: &Arc<Tenant>) {
    TRAVELLING.with_borrow_mut(|travelling| {
        if let Some(seen) = travelling
            && !seen.iter().any(|known| Arc::ptr_eq(known, tenant))
        {
            seen.push(Arc::clone(tenant));
        }
    });
}

/// Runs `archive` and says, beside its result, whether it has written a role: one that its holder must not give up before
/// the receiver has taken it, or it would lapse in between.
pub(crate) fn with_roles<R>(archive: impl FnOnce() -> R) -> (R, bool) {
    let outer = ROLES.replace(false);
    let result = archive();
    (result, ROLES.replace(outer))
}

/// Called for every role that is written.
pub(crate) fn note_role() {
    ROLES.set(true);
}

/// Keeps `tenants` for the launch `id` until [`release`].
pub(crate) fn keep(id: u64, tenants: Vec<Arc<Tenant>>) {
    if tenants.is_empty() {
        return;
    }
    let before = KEPT.lock().get_or_insert_default().insert(id, tenants);
    drop(before); // outside of the lock
}

/// Lets go of what was kept for the launch `id`: its child has attached, or is no more.
pub(crate) fn release(id: u64) {
    let kept = KEPT.lock().as_mut().and_then(|kept| kept.remove(&id));
    drop(kept); // outside of the lock
}
