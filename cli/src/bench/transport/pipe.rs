//! [`multiproc::Pipe`], one way: words of a fixed number, and bytes that are written and read in place.

use multiproc::{Bytes, Message, Pipe, Result, TryRecvError};

use super::{Ends, Opened, Receiver, Sender, Transport};
use crate::bench::payload::{Payload, filler};

/// Messages of `N` words, sent by value and read in place.
#[derive(Debug)]
pub enum Fixed<const N: usize> {}

/// Messages of any length, written into their place by way of a claim, and read there.
#[derive(Debug)]
pub enum Block {}

const NAME: &str = "pipe";

/// Bytes of the ring.
const CAPACITY: usize = 256 * 1024;

/// The ends of a pipe, as lists.
type Pair<T> = (Vec<multiproc::Sender<T>>, Vec<multiproc::Receiver<T>>);

/// A pipe with its two ends; there are never more.
fn opened<T: Message>(ends: Ends) -> Result<Pair<T>> {
    assert_eq!(
        (ends.senders, ends.receivers),
        (1, 1),
        "a pipe has two ends"
    );
    let pipe = Pipe::<T, ()>::builder().capacity(CAPACITY).prefault(true);
    let (sender, receiver) = pipe.one_way()?;
    Ok((vec![sender], vec![receiver]))
}

/// Messages that go round the ring twice, or use each block of long ones.
fn warm_up(len: usize) -> u64 {
    match len {
        0..=16_384 => 2 * (CAPACITY / (len + 8)) as u64,
        _ => 128,
    }
}

/// Something read, nothing there, or an error.
fn tried<T>(read: Result<T, TryRecvError>) -> Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(TryRecvError::Empty) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

macro_rules! fixed {
    ($($n:literal),*) => {$(
        impl Transport for Fixed<$n> {
            const NAME: &'static str = NAME;
            const MANY: bool = false;
            type Sender = multiproc::Sender<[u64; $n]>;
            type Receiver = multiproc::Receiver<[u64; $n]>;

            fn open(_len: usize, ends: Ends) -> Result<Opened<Self>> {
                opened(ends)
            }

            fn warm_up(len: usize) -> u64 {
                warm_up(len)
            }
        }

        impl Sender for multiproc::Sender<[u64; $n]> {
            #[inline]
            fn send(&mut self, _payload: &Payload, first: u64) -> Result<()> {
                let words: [u64; $n] = std::array::from_fn(|place| match place {
                    0 => first,
                    _ => filler(place),
                });
                Ok(multiproc::Sender::send(self, words)?)
            }
        }

        impl Receiver for multiproc::Receiver<[u64; $n]> {
            #[inline]
            fn receive(&mut self) -> Result<(u64, u64)> {
                let message = self.recv()?;
                Ok((message[0].to_native(), message.iter().fold(0, add)))
            }

            #[inline]
            fn try_receive(&mut self) -> Result<Option<(u64, u64)>> {
                let read = self.try_recv();
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
    const MANY: bool = false;
    type Sender = multiproc::Sender<Bytes>;
    type Receiver = multiproc::Receiver<Bytes>;

    fn open(_len: usize, ends: Ends) -> Result<Opened<Self>> {
        opened(ends)
    }

    fn warm_up(len: usize) -> u64 {
        warm_up(len)
    }
}

impl Sender for multiproc::Sender<Bytes> {
    #[inline]
    fn send(&mut self, payload: &Payload, first: u64) -> Result<()> {
        let mut claim = self.claim(payload.len())?;
        payload.write(&mut claim, first);
        Ok(claim.commit()?)
    }
}

impl Receiver for multiproc::Receiver<Bytes> {
    #[inline]
    fn receive(&mut self) -> Result<(u64, u64)> {
        Ok(Payload::read(&self.recv()?))
    }

    #[inline]
    fn try_receive(&mut self) -> Result<Option<(u64, u64)>> {
        tried(self.try_recv().map(|message| Payload::read(&message)))
    }
}
