//! Queues between threads of one process.

use crossbeam_channel::{Receiver, Sender};
use crossbeam_queue::ArrayQueue;

use crate::harness::baseline::Words;
use crate::harness::{Backoff, Endpoint};

/// How many messages fit into every queue here.
pub const CAPACITY: usize = 1024;

/// The message that carries `seq`.
#[inline]
pub fn message<const N: usize>(seq: u64) -> Words<N> {
    std::array::from_fn(|word| seq.wrapping_add(word as u64))
}

/// Its number, and the sum of its words.
#[inline]
pub fn read<const N: usize>(words: &Words<N>) -> (u64, u64) {
    let sum = words
        .iter()
        .fold(0, |sum: u64, word| sum.wrapping_add(*word));
    (words[0], sum)
}

/// What [`read`] must find.
pub fn check<const N: usize>(seq: u64) -> u64 {
    read(&message::<N>(seq)).1
}

/// `crossbeam_queue::ArrayQueue`, which cannot wait by itself.
#[derive(Clone, Copy, Debug)]
pub struct Array<'a, const N: usize>(pub &'a ArrayQueue<Words<N>>);

impl<const N: usize> Endpoint for Array<'_, N> {
    #[inline]
    fn send(&mut self, seq: u64) {
        let mut unsent = message(seq);
        let mut backoff = Backoff::new();
        while let Err(back) = self.0.push(unsent) {
            unsent = back;
            backoff.wait();
        }
    }

    #[inline]
    fn receive(&mut self) -> (u64, u64) {
        let mut backoff = Backoff::new();
        loop {
            match self.0.pop() {
                Some(words) => return read(&words),
                None => backoff.wait(),
            }
        }
    }

    fn check(&self, seq: u64) -> u64 {
        check::<N>(seq)
    }
}

/// `crossbeam_channel::bounded`, with its own waiting.
#[derive(Clone, Debug)]
pub struct Channel<const N: usize>(pub Sender<Words<N>>, pub Receiver<Words<N>>);

impl<const N: usize> Channel<N> {
    /// An empty channel.
    pub fn new() -> Self {
        let (sender, receiver) = crossbeam_channel::bounded(CAPACITY);
        Self(sender, receiver)
    }
}

impl<const N: usize> Endpoint for Channel<N> {
    #[inline]
    fn send(&mut self, seq: u64) {
        self.0.send(message(seq)).expect("a receiver");
    }

    #[inline]
    fn receive(&mut self) -> (u64, u64) {
        read(&self.1.recv().expect("a sender"))
    }

    fn check(&self, seq: u64) -> u64 {
        check::<N>(seq)
    }
}
