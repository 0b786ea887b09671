//! What one process knows of a block's memory, for as long as it has the store mapped.

use crate::segment::narrow;
use std::ptr::NonNull;

/// The part of a block that is known to have memory, which may be none.
///
/// It tells where, and gives no right to touch it: who may do that when is the protocol's business.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room(NonNull<[u8]>);

// SAFETY: a room is an address and a length; whoever uses the memory behind it answers for that.
unsafe impl Send for Room {}

impl Room {
    /// Of a block that nobody has looked at yet.
    pub(crate) const NONE: Room = Room(NonNull::slice_from_raw_parts(NonNull::<u8>::dangling(), 0));

    pub(crate) fn of(bytes: NonNull<[u8]>) -> Self {
        Room(bytes)
    }

    /// Bytes that are known to have memory.
    #[inline(always)]
    pub(crate) fn len(self) -> usize {
        self.0.len()
    }

    /// The first `len` bytes, or all of them when there are not so many.
    #[inline(always)]
    pub(crate) fn first(self, len: usize) -> NonNull<[u8]> {
        narrow(self.0, len)
    }
}
