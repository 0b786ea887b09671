//! What can be waited for together with others.

use crate::sys::bell::Address;
use crate::tenancy::Tenant;
use std::ops::ControlFlow;
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

    /// Looks along `things`, of which this is the first, for as long as they are of its type: which one is ready, or how many
    /// are not. In waits that began so, or that begin now where nothing is said of that.
    fn look_along(&self, _things: &[&dyn Waitable], begun: &[u64]) -> ControlFlow<usize, usize> {
        match is_ready(self, begun.first()) {
            true => ControlFlow::Break(0),
            false => ControlFlow::Continue(1),
        }
    }

    /// Looks whether it is ready, in a wait that began so; a few loads.
    fn is_ready(&self, _begun: u64) -> bool {
        false
    }

    /// The same in a wait that begins now.
    fn is_ready_now(&self) -> bool {
        self.is_ready(self.begin())
    }

    /// Leaves messages that come in a stream alone for a moment, by whoever has found none and will look again.
    #[cfg(feature = "tokio")]
    fn let_gather(&self) {}

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

/// [`Source::look_along`] for things that lie in shared memory: a call for each costs more than its few loads.
#[inline(always)]
pub(crate) fn look_along<S: Source>(
    things: &[&dyn Waitable],
    begun: &[u64],
) -> ControlFlow<usize, usize> {
    for (index, thing) in things.iter().enumerate() {
        if !are_alike(things[0], *thing) {
            return ControlFlow::Continue(index);
        }
        // SAFETY: called for the first of the things, which is an `S`, and this one has the same table of functions. Should
        // the compiler have merged those of two types, all their functions are the same, this one among them: it does with
        // the thing what that of its own type would.
        let thing = unsafe { &*std::ptr::from_ref(*thing).cast::<S>() };
        if is_ready(thing, begun.get(index)) {
            return ControlFlow::Break(index);
        }
    }
    ControlFlow::Continue(things.len())
}

/// Whether two things have the same table of functions. They are compared as if at one address.
#[inline(always)]
fn are_alike(one: &dyn Waitable, other: &dyn Waitable) -> bool {
    let (one, other) = (std::ptr::from_ref(one), std::ptr::from_ref(other));
    let distance = other.addr().wrapping_sub(one.addr());
    std::ptr::eq(one.wrapping_byte_add(distance), other)
}

#[inline(always)]
fn is_ready<S: Source + ?Sized>(thing: &S, begun: Option<&u64>) -> bool {
    match begun {
        Some(&begun) => thing.is_ready(begun),
        None => thing.is_ready_now(),
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
