//! Floor 4: who holds what, and cleaning up after the dead.

mod annex;
pub(crate) mod field;
pub(crate) mod handle;
pub(crate) mod handover;
pub(crate) mod inspect;
#[cfg(feature = "compat")]
mod keyed;
mod locks;
mod mender;
mod naming;
pub(crate) mod object;
mod parts;
mod registry;
pub(crate) mod roster;
mod small;
mod sweep;
mod tenant;

pub(crate) use annex::{ANNEX_BEGUN, FIRST_ANNEX, OBJECT_SORT, remove_deserted};
pub(crate) use field::Blueprint;
pub use field::{Maker, Opener, Plan, SharedField};
pub(crate) use handle::RawHandle;
#[cfg(feature = "compat")]
pub(crate) use keyed::{Keyed, adopt};
pub(crate) use mender::{
    MANAGER_LOCKS_LEN, ManagerMender, OBJECT_LOCK, PipeMender, QueueMender, manager_lock,
};
pub(crate) use object::Object;
pub(crate) use parts::{PARTIES_IN_STRUCT, PERMITS_IN_STRUCT};
pub(crate) use small::{Form, Small};
pub(crate) use sweep::{NothingToRepair, Repair};
pub(crate) use tenant::{MODE_PERSIST, Tenant};

#[cfg(test)]
mod tests;
