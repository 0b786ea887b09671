//! What parent and worker say to each other: a head of two words, and a message behind it.

use std::mem::MaybeUninit;

use crate::Result;
use crate::message::{Encode, Grained, Message, WriteError, copy_bytes, inline_size};

/// The message of a pool's queue and pipes.
///
/// | bytes | there | and back |
/// |---|---|---|
/// | 0..8 | the routine that is to be run, by its offset in the program, and how often it may be begun again | [`RETURNED`], [`LEFT`], or the tag of a report |
/// | 8..16 | the number of the task | the same |
/// | 16.. | the arguments | the result, or the report's bytes |
pub(super) type Frame = Grained;

/// Stands for no routine.
pub(super) const STOP: u64 = u64::MAX;

/// The tag of a result; see `process::report` for the others.
pub(super) const RETURNED: u64 = 1;

/// The tag of an answer to a task that is not run again after the death of a worker that had it in hand.
pub(super) const LEFT: u64 = u64::MAX;

/// Bytes of the head.
const HEAD: usize = 16;

/// The two words and the bytes behind them; zeros for a frame that has no head, which nobody sends.
#[inline]
pub(super) fn parse(frame: &[u8]) -> (u64, u64, &[u8]) {
    let word = |at: usize| {
        let bytes = frame.get(at..at + 8).and_then(|b| b.try_into().ok());
        u64::from_ne_bytes(bytes.unwrap_or_default())
    };
    (word(0), word(8), frame.get(HEAD..).unwrap_or_default())
}

/// A frame that is made of its parts where it will be read.
#[derive(Clone, Copy)]
pub(super) struct Parts<F> {
    pub(super) head: [u64; 2],
    pub(super) body: F,
}

/// What can stand behind the head.
pub(super) trait Body {
    /// Whether it certainly has no handle of a shared object in it.
    const INERT: bool;
    /// A guess at its bytes.
    fn guess(&self) -> usize;
    /// Writes them; how many there are.
    fn write(&self, room: &mut [MaybeUninit<u8>]) -> Result<usize, WriteError>;
}

/// Bytes as they are.
#[derive(Clone, Copy)]
pub(super) struct Plain<'a>(pub(super) &'a [u8]);

impl Body for Plain<'_> {
    /// What they stand for is looked at where they are made.
    const INERT: bool = true;

    fn guess(&self) -> usize {
        self.0.len()
    }

    fn write(&self, room: &mut [MaybeUninit<u8>]) -> Result<usize, WriteError> {
        copy_bytes(self.0, room)
    }
}

/// What stands for a message `T`.
pub(super) struct Encoded<'a, T, V> {
    value: &'a V,
    message: std::marker::PhantomData<fn(T)>,
}

impl<'a, T, V> Encoded<'a, T, V> {
    pub(super) fn new(value: &'a V) -> Self {
        Encoded {
            value,
            message: std::marker::PhantomData,
        }
    }
}

impl<T: Message, V: Encode<T>> Body for Encoded<'_, T, V> {
    const INERT: bool = T::ANY_BITS;

    #[inline]
    fn guess(&self) -> usize {
        self.value.guess()
    }

    #[inline]
    fn write(&self, room: &mut [MaybeUninit<u8>]) -> Result<usize, WriteError> {
        const {
            assert!(
                T::ALIGN <= HEAD,
                "what a pool carries is aligned to 16 bytes"
            )
        };
        self.value.encode(room)
    }
}

/// A message itself.
pub(super) struct Whole<'a, T>(pub(super) &'a T);

impl<T: Message> Body for Whole<'_, T> {
    const INERT: bool = T::ANY_BITS;

    #[inline]
    fn guess(&self) -> usize {
        inline_size::<T>() + self.0.extra()
    }

    #[inline]
    fn write(&self, room: &mut [MaybeUninit<u8>]) -> Result<usize, WriteError> {
        const {
            assert!(
                T::ALIGN <= HEAD,
                "what a pool carries is aligned to 16 bytes"
            )
        };
        self.0.write(room)
    }
}

impl<F: Body> Encode<Frame> for Parts<F> {
    #[inline]
    fn guess(&self) -> usize {
        HEAD + self.body.guess()
    }

    #[inline]
    fn encode(&self, room: &mut [MaybeUninit<u8>]) -> Result<usize, WriteError> {
        let (head, rest) = room.split_at_mut(room.len().min(HEAD));
        let len = self.body.write(rest).map_err(|error| match error {
            WriteError::Overflow(needed) => WriteError::Overflow(needed + HEAD),
            other => other,
        })?;
        let [first, second] = self.head.map(u64::to_ne_bytes);
        copy_bytes(&first, head)?;
        copy_bytes(&second, head.get_mut(8..).unwrap_or_default())?;
        Ok(HEAD + len)
    }
}
