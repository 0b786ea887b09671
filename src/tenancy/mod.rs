//! Floor 4: who holds what, and cleaning up after the dead.

pub(crate) mod handle;
pub(crate) mod handover;
pub(crate) mod inspect;
mod locks;
mod naming;
pub(crate) mod object;
mod registry;
pub(crate) mod roster;
mod small;
mod sweep;
mod tenant;

pub(crate) use handle::RawHandle;
pub(crate) use object::Object;
pub(crate) use small::{Form, Small, small_repair};
pub(crate) use sweep::{NothingToRepair, Repair};
pub(crate) use tenant::{MODE_PERSIST, Tenant};

#[cfg(test)]
mod tests;
