//! Answers that say much in few words: a result of up to 16 bytes, or that a long answer lies in the other pipe.
//!
//! Each result is published by itself, before its worker begins the next task: what a worker has done is known however it
//! ends. Two such answers share a line of the processor's, and need no memory but their own.

use std::mem::MaybeUninit;

use super::frame::Place;
use crate::Result;
use crate::message::{Encode, Message, WriteError, copy_bytes, inline_size};

/// The message of a worker's pipe of answers: a head, and a result of up to [`ROOM`] bytes.
///
/// The head is `{chunk:32 | task:16 | length:16}`, where [`LONG`] stands for a frame in the pipe of long answers.
pub(super) type Brief = [u64; 3];

/// The longest result.
const ROOM: usize = 16;

/// In place of a length.
const LONG: u16 = u16::MAX;

fn head(task: Place, len: u16) -> [u8; 8] {
    let head = task.chunk() << 32 | (task.at() as u64) << 16 | u64::from(len);
    head.to_le_bytes()
}

/// A result on its way.
pub(super) struct Short<'a, R> {
    pub(super) task: Place,
    pub(super) result: &'a R,
}

impl<R: Message> Short<'_, R> {
    /// Whether it is worth a try.
    #[inline]
    pub(super) fn may_fit(&self) -> bool {
        inline_size::<R>() <= ROOM && inline_size::<R>() + self.result.extra() <= ROOM
    }
}

impl<R: Message> Encode<Brief> for Short<'_, R> {
    #[inline]
    fn guess(&self) -> usize {
        size_of::<Brief>()
    }

    #[inline]
    fn encode(&self, room: &mut [MaybeUninit<u8>]) -> Result<usize, WriteError> {
        let (front, body) = room.split_at_mut(room.len().min(8));
        copy_bytes(&[0; ROOM], body)?;
        let len = self.result.write(body)?;
        copy_bytes(&head(self.task, len as u16), front)?;
        Ok(8 + ROOM)
    }
}

/// The word that the answer to this task is long, and lies in the other pipe.
pub(super) struct Elsewhere(pub(super) Place);

impl Encode<Brief> for Elsewhere {
    fn guess(&self) -> usize {
        size_of::<Brief>()
    }

    fn encode(&self, room: &mut [MaybeUninit<u8>]) -> Result<usize, WriteError> {
        let (front, body) = room.split_at_mut(room.len().min(8));
        copy_bytes(&[0; ROOM], body)?;
        copy_bytes(&head(self.0, LONG), front)?;
        Ok(8 + ROOM)
    }
}

/// A result as it came, apart from its pipe.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
#[repr(align(16))]
pub struct Small {
    bytes: [u8; ROOM],
    /// Of which task it is, as its sink counts them: what a worker says does not tell.
    pub(super) index: u64,
    len: u8,
}

impl Small {
    pub(super) const NONE: Small = Small {
        bytes: [0; ROOM],
        index: 0,
        len: 0,
    };

    /// The bytes, at a multiple of 16.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// What a worker said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said {
    /// The lower half of the chunk's number: no more are open at a time.
    pub(super) chunk: u32,
    pub(super) at: u16,
    /// None where the answer is long.
    pub(super) result: Option<Small>,
}

/// The answer in these words.
#[inline]
pub(super) fn said(words: &<Brief as Message>::View) -> Said {
    let [head, first, second] = [0, 1, 2].map(|at| words[at].to_native());
    let len = head as u16;
    let mut bytes = [0; ROOM];
    bytes[..8].copy_from_slice(&first.to_le_bytes());
    bytes[8..].copy_from_slice(&second.to_le_bytes());
    Said {
        chunk: (head >> 32) as u32,
        at: (head >> 16) as u16,
        result: (len != LONG).then_some(Small {
            bytes,
            index: 0,
            len: len.min(ROOM as u16) as u8,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(value: impl Encode<Brief>) -> Said {
        let mut room = [MaybeUninit::new(0xff_u8); 24];
        assert_eq!(value.encode(&mut room), Ok(24));
        // SAFETY: every byte was written, above or by `encode`.
        let bytes = room.map(|byte| unsafe { byte.assume_init() });
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        said(&[0, 8, 16].map(|at| word(at).into()))
    }

    #[test]
    fn results_and_places_come_as_they_went() {
        let task = Place::new(0x7_0000_0005, 300);
        let said = there_and_back(Short {
            task,
            result: &(1_u64, 2_u8),
        });
        assert_eq!((said.chunk, said.at), (5, 300));
        let small = said.result.unwrap();
        assert_eq!(small.bytes()[..9], [1, 0, 0, 0, 0, 0, 0, 0, 2]);
        assert_eq!(small.bytes().len(), 16);
        assert_eq!(small.bytes().as_ptr() as usize % 16, 0);
        assert!(there_and_back(Elsewhere(task)).result.is_none());
        let nothing = there_and_back(Short { task, result: &() });
        assert!(nothing.result.unwrap().bytes().is_empty());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let task = Place::new(1, 0);
        let long = String::from("a string of more than sixteen bytes");
        let short = Short {
            task,
            result: &long,
        };
        assert!(!short.may_fit());
        let mut room = [MaybeUninit::uninit(); 24];
        assert!(matches!(
            short.encode(&mut room),
            Err(WriteError::Overflow(_))
        ));
    }
}
