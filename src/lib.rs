//! Python's `multiprocessing` rebuilt on shared memory.

#[cfg(not(target_os = "linux"))]
compile_error!(
    "multiproc supports Linux only (x86-64 and aarch64): it stands on futexes, memfd, OFD locks and pidfds"
);

extern crate self as multiproc;

mod error;

mod sys;

#[cfg(not(loom))]
mod segment;

mod ring;
mod sync;

#[cfg(not(loom))]
mod tenancy;

#[cfg(not(loom))]
mod message;

#[cfg(not(loom))]
mod queue;

#[cfg(not(loom))]
pub mod process;

pub use error::{Error, ErrorKind, Result};
#[cfg(not(loom))]
pub use message::{ArchivedHandle, Bytes, Encode, InvalidMessage, Message, WriteError};
#[cfg(not(loom))]
pub use process::{
    ExitStatus, Process, Stdio, active_children, current_process, init, parent_process,
};
#[cfg(not(loom))]
pub use queue::{
    Claim, Consumer, GetError, GetTimeoutError, Iter, JoinTimeoutError, Lease, Producer, PutError,
    PutTimeoutError, Queue, QueueBuilder, QueueInfo, Received, Stats, TryGetError, TryIter,
    TryPutError, Validation,
};
#[cfg(not(loom))]
pub use rkyv;
#[cfg(not(loom))]
pub use tenancy::inspect::{GcReport, MemberInfo, ObjectInfo, objects};

/// Removes the named objects that no living process has open, and cleans up after the dead in those that live.
///
/// Never touches an object that is in use, however quickly it was created or opened: who creates one is its member
/// before its name appears. Objects that were made to persist stay, and files that are not objects are only reported.
///
/// # Examples
///
/// ```
/// let report = multiproc::gc()?;
/// println!("{} removed, {} in use", report.removed.len(), report.living);
/// # Ok::<(), multiproc::Error>(())
/// ```
///
/// # Errors
///
/// [`PermissionDenied`](ErrorKind::PermissionDenied) if the directory of named objects (`$MULTIPROC_DIR`, or
/// `/dev/shm/multiproc-<uid>`) belongs to another user or is open to others.
#[cfg(not(loom))]
pub fn gc() -> Result<GcReport> {
    tenancy::inspect::gc(queue::repairs)
}

/// What [`message!`] expands to; not part of the public face.
#[cfg(not(loom))]
#[doc(hidden)]
pub mod __private {
    pub use crate::message::{
        Shape, check_value, forward_value, inline_size, own_value, view_value, view_value_mut,
        write_value,
    };
}

#[cfg(all(debug_assertions, not(loom)))]
#[doc(hidden)]
pub use sys::step as crash_steps;
