//! What parent and worker say to each other: a head of two words, and messages behind it.
//!
//! | bytes | there | and back, where an answer is [too long](super::brief) |
//! |---|---|---|
//! | 0..8 | the routine that is to be run, by its offset in the program | [`RETURNED`], or the tag of a report |
//! | 8..16 | the number of the chunk, and how many tasks it has | the [task](Place) |
//! | 16.. | the argument, or the [arguments](Many) | the result, or the report's bytes |

use std::mem::MaybeUninit;

use crate::Result;
use crate::message::{Encode, Grained, Message, WriteError, copy_bytes};

/// The message of a pool's queue and pipes.
pub(super) type Frame = Grained;

/// Stands for no routine.
pub(super) const STOP: u64 = u64::MAX;

/// The tag of a result; see `process::report` for the others.
pub(super) const RETURNED: u64 = 1;

/// Bytes of the head.
const HEAD: usize = 16;

/// A task: the number of its chunk, and which of the chunk's tasks it is. As the place behind the last task it says how many
/// there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(pub(super) u64);

impl Place {
    /// The most tasks of a chunk.
    pub(super) const MOST: usize = 0x7fff;

    #[inline]
    pub(super) fn new(chunk: u64, at: usize) -> Self {
        Place(chunk << 16 | at as u64 & 0xffff)
    }

    #[inline]
    pub(super) fn chunk(self) -> u64 {
        self.0 >> 16
    }

    #[inline]
    pub(super) fn at(self) -> usize {
        self.0 as usize & 0xffff
    }
}

#[inline]
fn word(bytes: &[u8], at: usize) -> u64 {
    let bytes = bytes.get(at..at + 8).and_then(|b| b.try_into().ok());
    u64::from_ne_bytes(bytes.unwrap_or_default())
}

/// The two words and the bytes behind them; zeros for a frame that has no head, which nobody sends.
#[inline]
pub(super) fn parse(frame: &[u8]) -> (u64, Place, &[u8]) {
    let body = frame.get(HEAD..).unwrap_or_default();
    (word(frame, 0), Place(word(frame, 8)), body)
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

/// What stands for several messages `T`: two words, and the messages.
///
/// | words | the messages |
/// |---|---|
/// | bytes of each, and from one to the next | are all of one size |
/// | [`OWN`], 0 | each begin at a multiple of 16, behind 16 bytes that say how long they are |
pub(super) struct Many<'a, T, V> {
    values: &'a [V],
    message: std::marker::PhantomData<fn(T)>,
}

/// In place of a size: each message has its own.
const OWN: u64 = u64::MAX;

impl<'a, T, V> Many<'a, T, V> {
    pub(super) fn new(values: &'a [V]) -> Self {
        Many {
            values,
            message: std::marker::PhantomData,
        }
    }
}

impl<T: Message, V: Encode<T>> Many<'_, T, V> {
    const STRIDE: usize = match T::FIXED {
        Some(size) => size.next_multiple_of(T::ALIGN),
        None => 0,
    };

    #[inline]
    fn write_alike(&self, size: usize, room: &mut [MaybeUninit<u8>]) -> Result<usize, WriteError> {
        let end = HEAD + Self::STRIDE * self.values.len();
        let Some(places) = room.get_mut(HEAD..end) else {
            return Err(WriteError::Overflow(end));
        };
        let mut places = places.chunks_exact_mut(Self::STRIDE.max(1));
        for value in self.values {
            let place = places.next().unwrap_or_default();
            value.encode(place.get_mut(..size).unwrap_or_default())?;
        }
        write_words([size as u64, Self::STRIDE as u64], room)?;
        Ok(end)
    }

    /// Counts on where the room is too small, so as to say how much is needed.
    fn write_each(&self, room: &mut [MaybeUninit<u8>]) -> Result<usize, WriteError> {
        let (mut end, mut fits) = (HEAD, true);
        for value in self.values {
            let head = end.next_multiple_of(HEAD);
            let at = head + HEAD;
            let len = match value.encode(room.get_mut(at..).unwrap_or_default()) {
                Ok(len) => len,
                Err(WriteError::Overflow(len)) => {
                    fits = false;
                    len
                }
                Err(error) => return Err(error),
            };
            end = at + len;
            fits &= end <= room.len();
            if fits {
                write_words([len as u64, 0], room.get_mut(head..).unwrap_or_default())?;
            }
        }
        if !fits {
            return Err(WriteError::Overflow(end));
        }
        write_words([OWN, 0], room)?;
        Ok(end)
    }
}

impl<T: Message, V: Encode<T>> Body for Many<'_, T, V> {
    const INERT: bool = T::ANY_BITS;

    #[inline]
    fn guess(&self) -> usize {
        let each = |value: &V| HEAD + value.guess().next_multiple_of(HEAD);
        match T::FIXED {
            Some(_) => HEAD + Self::STRIDE * self.values.len(),
            None => HEAD + self.values.iter().map(each).sum::<usize>(),
        }
    }

    #[inline]
    fn write(&self, room: &mut [MaybeUninit<u8>]) -> Result<usize, WriteError> {
        match T::FIXED {
            Some(size) => self.write_alike(size, room),
            None => self.write_each(room),
        }
    }
}

/// The arguments of a request, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Arguments<'a> {
    bytes: &'a [u8],
    left: usize,
    /// None for a lone argument.
    alike: Option<(u64, usize)>,
    at: usize,
}

impl<'a> Arguments<'a> {
    /// The `count` arguments in the body of a request.
    #[inline]
    pub(super) fn new(count: usize, bytes: &'a [u8]) -> Self {
        let several = count > 1;
        Arguments {
            bytes,
            left: count,
            alike: several.then(|| (word(bytes, 0), word(bytes, 8) as usize)),
            at: if several { HEAD } else { 0 },
        }
    }

    /// How many there are yet, and the body of a request that has no others, in two pieces.
    pub(super) fn rest(&self) -> (usize, [&'a [u8]; 2]) {
        let pieces = match (self.alike, self.left) {
            (None, _) | (_, ..=1) => [self.clone().next().unwrap_or_default(), &[]],
            (Some(_), _) => [
                self.bytes.get(..HEAD).unwrap_or_default(),
                self.bytes.get(self.at..).unwrap_or_default(),
            ],
        };
        (self.left, pieces)
    }
}

impl<'a> Iterator for Arguments<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        let from = |at: usize, len: usize| self.bytes.get(at..at.saturating_add(len));
        let argument = match self.alike {
            None => Some(self.bytes),
            Some((OWN, _)) => {
                let head = self.at.next_multiple_of(HEAD);
                let len = word(self.bytes.get(head..).unwrap_or_default(), 0) as usize;
                self.at = head.saturating_add(HEAD).saturating_add(len);
                from(head + HEAD, len)
            }
            Some((size, stride)) => {
                let at = self.at;
                self.at = at.saturating_add(stride);
                from(at, size as usize)
            }
        };
        Some(argument.unwrap_or_default())
    }
}

#[inline]
fn write_words(words: [u64; 2], room: &mut [MaybeUninit<u8>]) -> Result<(), WriteError> {
    let [first, second] = words.map(u64::to_ne_bytes);
    copy_bytes(&first, room)?;
    copy_bytes(&second, room.get_mut(8..).unwrap_or_default())?;
    Ok(())
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
        write_words(self.head, head)?;
        Ok(HEAD + len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body<T: Message, V: Encode<T>>(values: &[V]) -> Vec<u8> {
        let many = Many::<T, V>::new(values);
        let mut room = Vec::with_capacity(many.guess());
        loop {
            match many.write(room.spare_capacity_mut()) {
                Ok(len) => {
                    // SAFETY: so many were written; padding between them is never looked at here.
                    unsafe { room.set_len(len) };
                    return room;
                }
                Err(WriteError::Overflow(needed)) => room.reserve_exact(needed),
                Err(error) => panic!("{error}"),
            }
        }
    }

    #[test]
    fn arguments_are_found_one_by_one_and_from_any_on() {
        let alike = body::<u64, _>(&[7_u64, 8, 9]);
        assert_eq!(alike.len(), 16 + 24);
        let mut arguments = Arguments::new(3, &alike);
        assert_eq!(arguments.next(), Some(&7_u64.to_le_bytes()[..]));
        let (left, rest) = arguments.rest();
        let rest = rest.concat();
        let all = |n| {
            Arguments::new(n, &rest)
                .map(<[u8]>::to_vec)
                .collect::<Vec<_>>()
        };
        assert_eq!(all(left), [8_u64, 9].map(|n| n.to_le_bytes().to_vec()));
        arguments.next();
        let (1, [last, []]) = arguments.rest() else {
            panic!("a lone argument lies by itself")
        };
        assert_eq!(last, 9_u64.to_le_bytes());
    }

    #[test]
    fn arguments_of_any_length_say_their_own() {
        let words = ["", "a", "a word of more than sixteen bytes", "b"];
        let own = body::<crate::message::Bytes, _>(&words.map(str::as_bytes));
        let mut arguments = Arguments::new(4, &own);
        assert!(arguments.clone().eq(words.map(str::as_bytes)));
        arguments.next();
        let (left, rest) = arguments.rest();
        let rest = rest.concat();
        assert!(Arguments::new(left, &rest).eq(words[1..].iter().map(|w| w.as_bytes())));
        assert_eq!(Arguments::new(3, &[]).count(), 3, "rubbish is no panic");
    }
}
