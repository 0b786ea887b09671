//! What can be waited for together with others.

use crate::sys::bell::Address;
use crate::tenancy::Tenant;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

/// Something that [`wait_any`](crate::wait_any) and [`Watch`](crate::Watch) wait for.
///
/// | thing | is ready when |
/// |---|---|
/// | [`Queue`](crate::Queue), [`Consumer`](crate::Consumer) | `get` would not wait: a message is there, or there will be none |
/// | [`Connection`](crate::Connection), [`Receiver`](crate::Receiver) | `recv` would not wait: a message is there, or the other end is gone |
/// | [`Event`](crate::Event) | it is set, or was since the wait began |
/// | [`Waiter`](crate::Waiter) of a [`Condition`](crate::Condition) | it was notified, or the dead have left the lock |
/// | [`Process`](crate::Process), and all that is [`AsFd`]: sockets, pipes, timers | the descriptor is readable, or at its end |
///
/// Readiness is a hint: whoever else has the thing may be faster. Go on with the verb that does not wait, `try_get` for
/// instance.
///
/// It is implemented by this crate only.
pub trait Waitable: Source {}

impl<T: Source + ?Sized> Waitable for T {}

/// What waiting for a thing takes.
#[doc(hidden)]
pub trait Source {
    /// Where it lies in shared memory; `None` for a descriptor.
    fn spot(&self) -> Option<Spot<'_>> {
        None
    }

    /// The descriptor, for things that are one.
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Marks the begin of a wait, for those that remember what has been.
    fn begin(&self) -> u64 {
        0
    }

    /// Looks whether it is ready, in a wait that began so; a few loads.
    fn is_ready(&self, _begun: u64) -> bool {
        false
    }

    /// The same in a wait that begins now.
    fn is_ready_now(&self) -> bool {
        self.is_ready(self.begin())
    }

    /// Announces somebody who has enrolled with a bell, and looks once more behind a barrier; true if that will be in vain:
    /// nobody is left who could make it ready.
    fn announce(&self) -> bool {
        false
    }

    /// Asks the kernel about those who might have died, and puts right what they left; whether it is ready now.
    fn look_behind_the_dead(&self, begun: u64) -> bool {
        self.is_ready(begun)
    }
}

/// Where a thing lies.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Spot<'a> {
    pub(super) tenant: &'a Arc<Tenant>,
    pub(super) word: Address,
}

impl<'a> Spot<'a> {
    pub(crate) fn new<W>(tenant: &'a Arc<Tenant>, word: &'a W) -> Self {
        let word = Address::of(word);
        Spot { tenant, word }
    }
}

impl<T: AsFd> Source for T {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.as_fd())
    }
}
