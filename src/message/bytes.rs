//! Raw bytes, without a format.

use std::borrow::Cow;
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};

use rkyv::vec::{ArchivedVec, VecResolver};
use rkyv::{Archive, Deserialize, Place, Serialize};

use super::write::copy_bytes;
use super::{Encode, InvalidMessage, Message, Reader, Shape, Sink, WriteError};
use crate::Error;

/// Raw bytes as a message: what is put is what is read, byte for byte, with nothing around it.
///
/// A `Queue<Bytes>` is the untyped queue: readers see `[u8]`, and [`claim`](crate::Queue::claim) hands out the slot
/// itself for writing. As a field of another message it reads as a slice of bytes too.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// use multiproc::{Bytes, Queue};
///
/// let queue = Queue::<Bytes>::new(8)?;
/// queue.put(b"any bytes")?;
/// queue.put(&[0xff, 0x00][..])?;
/// assert_eq!(&*queue.get()?, b"any bytes");
/// assert_eq!(queue.get_owned()?, Bytes::from(vec![0xff, 0x00]));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(Vec<u8>);

impl Bytes {
    /// The bytes as a vector.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        self.0
    }
}

impl Deref for Bytes {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Bytes {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes(bytes)
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Bytes(bytes.to_vec())
    }
}

impl<const N: usize> From<&[u8; N]> for Bytes {
    fn from(bytes: &[u8; N]) -> Self {
        Bytes(bytes.to_vec())
    }
}

impl Archive for Bytes {
    type Archived = ArchivedVec<u8>;
    type Resolver = VecResolver;

    #[inline]
    fn resolve(&self, resolver: VecResolver, out: Place<Self::Archived>) {
        ArchivedVec::resolve_from_slice(&self.0, resolver, out);
    }
}

impl Serialize<Sink> for Bytes {
    #[inline]
    fn serialize(&self, sink: &mut Sink) -> Result<VecResolver, WriteError> {
        ArchivedVec::serialize_from_slice(&self.0, sink)
    }
}

impl Deserialize<Bytes, Reader> for ArchivedVec<u8> {
    fn deserialize(&self, _: &mut Reader) -> Result<Bytes, InvalidMessage> {
        Ok(Bytes(self.to_vec()))
    }
}

// SAFETY: the message is the bytes themselves, at any alignment and of any value.
unsafe impl Message for Bytes {
    type View = [u8];
    const FIXED: Option<usize> = None;
    const ALIGN: usize = 1;
    const FINGERPRINT: u64 = Shape::new("Bytes").finish();

    fn type_name() -> String {
        "Bytes".into()
    }

    #[inline]
    fn extra(&self) -> usize {
        self.0.len()
    }

    #[inline]
    fn write(&self, room: &mut [MaybeUninit<u8>]) -> Result<usize, WriteError> {
        copy_bytes(&self.0, room)
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
        Ok(Bytes(view.to_vec()))
    }

    fn forward(view: &[u8], room: &mut [MaybeUninit<u8>]) -> Result<usize, WriteError> {
        copy_bytes(view, room)
    }
}

macro_rules! raw {
    ([$($generics:tt)*], $ty:ty) => {
        impl<$($generics)*> Encode<Bytes> for $ty {
            #[inline]
            fn guess(&self) -> usize {
                self.len()
            }

            #[inline]
            fn encode(&self, room: &mut [MaybeUninit<u8>]) -> Result<usize, WriteError> {
                copy_bytes(self.as_ref(), room)
            }
        }
    };
}

raw!([], &[u8]);
raw!([], &str);
raw!([], Vec<u8>);
raw!([], &Vec<u8>);
raw!([], Box<[u8]>);
raw!([], Cow<'_, [u8]>);
raw!([const N: usize], [u8; N]);
raw!([const N: usize], &[u8; N]);
