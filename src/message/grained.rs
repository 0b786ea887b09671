//! Raw bytes in which others lie: aligned as any message is that may lie in a packed one.

use std::mem::MaybeUninit;

use rkyv::vec::{ArchivedVec, VecResolver};
use rkyv::{Archive, Deserialize, Place, Serialize};

use super::write::copy_bytes;
use super::{InvalidMessage, Message, Packed, Reader, Shape, Sink, WriteError};
use crate::Error;

/// Bytes that begin at a multiple of 16, so that whoever puts a message among them can say where it begins.
#[derive(Debug)]
pub(crate) struct Grained(Packed);

impl Grained {
    /// The bytes, at a multiple of 16 here as well.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl Archive for Grained {
    type Archived = ArchivedVec<u8>;
    type Resolver = VecResolver;

    fn resolve(&self, resolver: VecResolver, out: Place<Self::Archived>) {
        ArchivedVec::resolve_from_slice(self.bytes(), resolver, out);
    }
}

impl Serialize<Sink> for Grained {
    fn serialize(&self, sink: &mut Sink) -> Result<VecResolver, WriteError> {
        ArchivedVec::serialize_from_slice(self.bytes(), sink)
    }
}

impl Deserialize<Grained, Reader> for ArchivedVec<u8> {
    fn deserialize(&self, _: &mut Reader) -> Result<Grained, InvalidMessage> {
        Ok(Grained(Packed::copy_of(self)))
    }
}

// SAFETY: the message is the bytes themselves, of any value.
unsafe impl Message for Grained {
    type View = [u8];
    const FIXED: Option<usize> = None;
    const ALIGN: usize = 16;
    const FINGERPRINT: u64 = Shape::new("grained bytes").finish();

    fn type_name() -> String {
        "bytes, aligned".into()
    }

    fn extra(&self) -> usize {
        self.bytes().len()
    }

    fn write(&self, room: &mut [MaybeUninit<u8>]) -> Result<usize, WriteError> {
        copy_bytes(self.bytes(), room)
    }

    #[inline]
    unsafe fn view(bytes: &[u8]) -> &[u8] {
        bytes
    }

    #[inline]
    unsafe fn view_mut(bytes: &mut [u8]) -> &mut [u8] {
        bytes
    }

    #[inline]
    fn check(bytes: &[u8]) -> Result<&[u8], InvalidMessage> {
        Ok(bytes)
    }

    fn to_owned(view: &[u8]) -> Result<Self, Error> {
        Ok(Grained(Packed::copy_of(view)))
    }

    fn forward(view: &[u8], room: &mut [MaybeUninit<u8>]) -> Result<usize, WriteError> {
        copy_bytes(view, room)
    }
}
