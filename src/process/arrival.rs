//! The moment at which a child holds its arguments itself.

use std::os::fd::{OwnedFd, RawFd};

use super::launch::{Launch, Order, Progress};
use crate::sys::process;
use crate::tenancy::handle;
use crate::{Error, Result};

/// What a child has of its parent's until its arguments are unpacked: descriptors of the objects in them, and the end of
/// the pipe at which its parent may wait.
#[derive(Debug)]
pub(super) struct Arrival<'a> {
    launch: &'a Launch,
    _awaited: Option<OwnedFd>,
}

impl<'a> Arrival<'a> {
    /// Takes over what the order says is there.
    pub(super) fn new(launch: &'a Launch, order: &Order) -> Result<Self> {
        for &(segment, fd) in &order.inherited {
            handle::inherit(segment, take(fd)?);
        }
        let awaited = order.awaited.map(take).transpose()?;
        Ok(Arrival {
            launch,
            _awaited: awaited,
        })
    }

    /// The arguments are unpacked: nothing has to be kept for them any more.
    pub(super) fn attached(self) {
        handle::forget_inherited();
        self.launch.note(Progress::Attached);
    }
}

/// Takes over one inherited descriptor that the order names.
pub(super) fn take(fd: RawFd) -> Result<OwnedFd> {
    // SAFETY: the order says that the parent put the descriptor there for this process; only here is it taken.
    let taken = unsafe { process::take_inherited(fd) };
    taken.map_err(|cause| Error::os("cannot take over an inherited descriptor", cause))
}
