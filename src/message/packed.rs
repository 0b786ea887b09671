//! A message in private memory: the arguments and the result of a process, and messages that are kept.

use std::fmt;
use std::mem::MaybeUninit;

use super::{Message, WriteError};
use crate::{Error, ErrorKind, Result};

#[repr(align(16))]
#[derive(Clone, Copy)]
struct Grain {
    _bytes: [MaybeUninit<u8>; 16],
}

/// The bytes of one message, aligned for reading in place.
pub(crate) struct Packed {
    grains: Vec<Grain>,
    len: usize,
}

impl Packed {
    /// Writes a message into private memory.
    ///
    /// # Errors
    ///
    /// `InvalidMessage` when the value's own serialisation fails.
    pub(crate) fn new<T: Message>(value: &T) -> Result<Self> {
        const { assert!(T::ALIGN <= 16, "a packed message is aligned to 16 bytes") };
        let guess = super::inline_size::<T>() + value.extra();
        let mut packed = Packed::with_room(guess);
        match value.write(packed.room()) {
            Ok(len) => packed.len = len,
            Err(WriteError::Overflow(needed)) => {
                packed = Packed::with_room(needed);
                packed.len = value.write(packed.room()).map_err(unwritable)?;
            }
            Err(error) => return Err(unwritable(error)),
        }
        Ok(packed)
    }

    /// Copies bytes that came from elsewhere, for instance through a pipe.
    pub(crate) fn copy_of(bytes: &[u8]) -> Self {
        let mut packed = Packed::with_room(bytes.len());
        // There is room for them.
        packed.len = super::copy_bytes(bytes, packed.room()).unwrap_or(0);
        packed
    }

    /// Memory for a message of `len` bytes that `fill` reads from elsewhere.
    ///
    /// # Errors
    ///
    /// What `fill` says.
    pub(crate) fn filled<E>(
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let grain = Grain {
            _bytes: [MaybeUninit::new(0); 16],
        };
        let mut grains = vec![grain; len.div_ceil(16)];
        // SAFETY: the grains are at least that many bytes, and all of them were written just now.
        fill(unsafe { std::slice::from_raw_parts_mut(grains.as_mut_ptr().cast(), len) })?;
        Ok(Packed { grains, len })
    }

    /// Checks the bytes and makes the value they stand for; handles in it are attached.
    ///
    /// # Errors
    ///
    /// `InvalidMessage` when the bytes are not such a value, or what attaching a handle says.
    pub(crate) fn unpack<T: Message>(&self) -> Result<T> {
        T::to_owned(T::check(self.bytes())?)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the first `len` bytes were written, by a message or by a copy.
        unsafe { std::slice::from_raw_parts(self.grains.as_ptr().cast(), self.len) }
    }

    fn with_room(bytes: usize) -> Self {
        let grain = Grain {
            _bytes: [MaybeUninit::uninit(); 16],
        };
        Packed {
            grains: vec![grain; bytes.div_ceil(16)],
            len: 0,
        }
    }

    fn room(&mut self) -> &mut [MaybeUninit<u8>] {
        let len = self.grains.len() * 16;
        // SAFETY: the grains are exactly that many bytes of memory, which may be uninitialised.
        unsafe { std::slice::from_raw_parts_mut(self.grains.as_mut_ptr().cast(), len) }
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Packed({} bytes)", self.len)
    }
}

fn unwritable(error: WriteError) -> Error {
    Error::new(ErrorKind::InvalidMessage, error.to_string())
}
