//! [`multiproc::Queue`]: words of a fixed number, and bytes that are written and read in place.

use multiproc::{Bytes, Message, Queue, Result, TryGetError};

use super::{Ends, Opened, Receiver, Sender, Transport};
use crate::bench::payload::{Payload, filler};

/// Messages of `N` words, put by value and read in place.
#[derive(Debug)]
pub enum Fixed<const N: usize> {}

/// Messages of any length, written into their place by way of a claim, and read there.
#[derive(Debug)]
pub enum Block {}

const NAME: &str = "queue";

/// How many messages wait at most: few that are long, so that they stay in the caches.
fn capacity(len: usize) -> usize {
    match len {
        0..=4096 => 1024,
        4097..=65_536 => 64,
        _ => 8,
    }
}

/// Clones for all who use it.
fn shared<Q: Clone>(queue: &Q, ends: Ends) -> (Vec<Q>, Vec<Q>) {
    (
        vec![queue.clone(); ends.senders],
        vec![queue.clone(); ends.receivers],
    )
}

/// Something read, nothing there, or an error.
fn tried<T>(read: Result<T, TryGetError>) -> Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(TryGetError::Empty) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

macro_rules! fixed {
    ($($n:literal),*) => {$(
        impl Transport for Fixed<$n> {
            const NAME: &'static str = NAME;
            const MANY: bool = true;
            type Sender = Queue<[u64; $n]>;
            type Receiver = Queue<[u64; $n]>;

            fn open(len: usize, ends: Ends) -> Result<Opened<Self>> {
                let queue = Queue::builder().capacity(capacity(len)).prefault(true);
                Ok(shared(&queue.anonymous()?, ends))
            }

            fn warm_up(len: usize) -> u64 {
                2 * capacity(len) as u64
            }
        }

        impl Sender for Queue<[u64; $n]> {
            #[inline]
            fn send(&mut self, _payload: &Payload, first: u64) -> Result<()> {
                let words: [u64; $n] = std::array::from_fn(|place| match place {
                    0 => first,
                    _ => filler(place),
                });
                Ok(self.put(words)?)
            }
        }

        impl Receiver for Queue<[u64; $n]> {
            #[inline]
            fn receive(&mut self) -> Result<(u64, u64)> {
                let message = self.get()?;
                Ok((message[0].to_native(), message.iter().fold(0, add)))
            }

            #[inline]
            fn try_receive(&mut self) -> Result<Option<(u64, u64)>> {
                let read = self.try_get();
                tried(read.map(|message| (message[0].to_native(), message.iter().fold(0, add))))
            }
        }
    )*};
}

fixed!(1, 8);

#[inline]
fn add(sum: u64, word: &<u64 as Message>::View) -> u64 {
    sum.wrapping_add(word.to_native())
}

impl Transport for Block {
    const NAME: &'static str = NAME;
    const MANY: bool = true;
    type Sender = Queue<Bytes>;
    type Receiver = Queue<Bytes>;

    fn open(len: usize, ends: Ends) -> Result<Opened<Self>> {
        let queue = Queue::builder().capacity(capacity(len)).message_size(len);
        Ok(shared(&queue.prefault(true).anonymous()?, ends))
    }

    fn warm_up(len: usize) -> u64 {
        2 * capacity(len) as u64
    }
}

impl Sender for Queue<Bytes> {
    #[inline]
    fn send(&mut self, payload: &Payload, first: u64) -> Result<()> {
        let mut claim = self.claim(payload.len())?;
        payload.write(&mut claim, first);
        claim.commit();
        Ok(())
    }
}

impl Receiver for Queue<Bytes> {
    #[inline]
    fn receive(&mut self) -> Result<(u64, u64)> {
        Ok(Payload::read(&self.get()?))
    }

    #[inline]
    fn try_receive(&mut self) -> Result<Option<(u64, u64)>> {
        tried(self.try_get().map(|message| Payload::read(&message)))
    }
}
