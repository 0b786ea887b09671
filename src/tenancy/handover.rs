//! Keeping objects alive while they travel to a child: from the moment its arguments are archived until it has
//! attached to them.

use crate::sys::atfork::ForkMutex;
use crate::tenancy::{Object, Tenant};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

/// What travels: the segments that a child must find, and the blocks in them that must not be freed before it has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cargo {
    tenants: Vec<Arc<Tenant>>,
    objects: Vec<Arc<Object>>,
}

/// The segments, each once.
impl Deref for Cargo {
    type Target = [Arc<Tenant>];

    fn deref(&self) -> &Self::Target {
        &self.tenants
    }
}

thread_local! {
    /// What the innermost [`collect`] on this thread has seen; `None` outside of one.
    static TRAVELLING: RefCell<Option<Cargo>> = const { RefCell::new(None) };
}

thread_local! {
    /// Whether a role was among what the innermost [`with_roles`] on this thread has seen.
    static ROLES: Cell<bool> = const { Cell::new(false) };
}

/// The objects of launches that have not attached yet.
static KEPT: ForkMutex<Option<HashMap<u64, Cargo>>> = ForkMutex::new(None, || None);

/// Runs `archive` and returns, beside its result, every object whose handle it has written.
pub(crate) fn collect<R>(archive: impl FnOnce() -> R) -> (R, Cargo) {
    let outer = TRAVELLING.replace(Some(Cargo::default()));
    let restore = Restore(outer);
    let result = archive();
    let seen = TRAVELLING.take().unwrap_or_default();
    drop(restore);
    (result, seen)
}

/// Puts the outer collection back even when the archiving panics.
struct Restore(Option<Cargo>);

impl Drop for Restore {
    fn drop(&mut self) {
        let inner = TRAVELLING.replace(self.0.take());
        drop(inner); // outside of the borrow: dropping a tenant runs code of its own
    }
}

/// Called for every handle that is written; remembers its segment if somebody collects.
pub(crate) fn record(tenant: &Arc<Tenant>) {
    TRAVELLING.with_borrow_mut(|travelling| {
        if let Some(cargo) = travelling
            && !cargo.tenants.iter().any(|known| Arc::ptr_eq(known, tenant))
        {
            cargo.tenants.push(Arc::clone(tenant));
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

/// The same for a small object, of which there may be thousands: one that is written twice is kept twice.
pub(super) fn record_object(object: &Arc<Object>) {
    TRAVELLING.with_borrow_mut(|travelling| {
        if let Some(cargo) = travelling {
            cargo.objects.push(Arc::clone(object));
        }
    });
}

/// Keeps `cargo` for the launch `id` until [`release`].
pub(crate) fn keep(id: u64, cargo: Cargo) {
    if cargo.is_empty() {
        return;
    }
    let before = KEPT.lock().get_or_insert_default().insert(id, cargo);
    drop(before); // outside of the lock
}

/// Lets go of what was kept for the launch `id`: its child has attached, or is no more.
pub(crate) fn release(id: u64) {
    let kept = KEPT.lock().as_mut().and_then(|kept| kept.remove(&id));
    drop(kept); // outside of the lock
}
