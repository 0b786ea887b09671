//! The library's own queue as an endpoint, opened by name in each worker, as unrelated programs would.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

use multiproc::{Bytes, Message, Queue, QueueBuilder};

use super::baseline::Words;
use super::crew::Meeting;
use super::payload::Payload;
use super::workload::{Batch, Endpoint};

/// A name for the queue of one run.
pub fn fresh_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("bench-{}-{number}", std::process::id())
}

/// The queue that worker 0 creates and the others open: every worker calls this once.
///
/// # Panics
///
/// When the queue cannot be made or opened.
pub fn join<T: Message>(knobs: QueueBuilder<T>, worker: usize, meeting: &Meeting) -> Queue<T> {
    if worker == 0 {
        let queue = knobs.prefault(true).create().expect("a queue");
        meeting.meet();
        queue
    } else {
        meeting.meet();
        knobs.prefault(true).open().expect("the queue of worker 0")
    }
}

/// Messages of `N` words, put by reference and read in place.
#[derive(Debug)]
pub struct Fixed<const N: usize>(pub Queue<Words<N>>)
where
    Words<N>: Message;

macro_rules! fixed {
    ($($n:literal),*) => {$(
        impl Endpoint for Fixed<$n> {
            #[inline]
            fn send(&mut self, seq: u64) {
                self.0.put(words::<$n>(seq)).expect("an open queue");
            }

            #[inline]
            fn receive(&mut self) -> (u64, u64) {
                let message = self.0.get().expect("a message");
                let sum = message.iter().fold(0, |sum: u64, word| sum.wrapping_add(word.to_native()));
                (message[0].to_native(), sum)
            }

            fn check(&self, seq: u64) -> u64 {
                words::<$n>(seq).into_iter().fold(0, u64::wrapping_add)
            }

            #[inline]
            fn send_batch(&mut self, seqs: Range<u64>) {
                self.0.put_many(seqs.map(words::<$n>)).expect("an open queue");
            }

            #[inline]
            fn receive_batch(&mut self, most: u64, into: &mut Batch) {
                for message in self.0.get_many(most as usize).expect("messages") {
                    let sum = message.iter().fold(0, |sum: u64, word| sum.wrapping_add(word.to_native()));
                    into.add((message[0].to_native(), sum));
                }
            }
        }
    )*};
}

fixed!(1, 8);

#[inline]
fn words<const N: usize>(seq: u64) -> Words<N> {
    std::array::from_fn(|word| seq.wrapping_add(word as u64))
}

/// As [`Fixed`], but leased and acknowledged.
#[derive(Debug)]
pub struct Leased(pub Queue<Words<1>>);

impl Endpoint for Leased {
    #[inline]
    fn send(&mut self, seq: u64) {
        self.0.put([seq]).expect("an open queue");
    }

    #[inline]
    fn receive(&mut self) -> (u64, u64) {
        let lease = self.0.lease().expect("a message");
        let word = lease[0].to_native();
        lease.ack();
        (word, word)
    }

    fn check(&self, seq: u64) -> u64 {
        seq
    }
}

/// Messages of any length, copied once into their slot, and read in place.
#[derive(Debug)]
pub struct Variable {
    queue: Queue<Bytes>,
    payload: Payload,
    message: Vec<u8>,
}

impl Variable {
    /// Sends and receives messages like `payload`.
    pub fn new(queue: Queue<Bytes>, payload: Payload) -> Self {
        let mut message = vec![0; payload.len()];
        payload.write(&mut message, 0);
        Self {
            queue,
            payload,
            message,
        }
    }
}

impl Endpoint for Variable {
    #[inline]
    fn send(&mut self, seq: u64) {
        self.message[..8].copy_from_slice(&seq.to_ne_bytes());
        self.queue.put(&*self.message).expect("an open queue");
    }

    #[inline]
    fn receive(&mut self) -> (u64, u64) {
        let message = self.queue.get().expect("a message");
        self.payload.read(&message)
    }

    fn check(&self, seq: u64) -> u64 {
        self.payload.check(seq)
    }
}

/// Messages of any length, written in place by way of a claim, and read in place.
#[derive(Debug)]
pub struct InPlace(pub Variable);

impl Endpoint for InPlace {
    #[inline]
    fn send(&mut self, seq: u64) {
        let payload = &self.0.payload;
        let mut claim = self.0.queue.claim(payload.len()).expect("an open queue");
        payload.write(&mut claim, seq);
        claim.commit();
    }

    #[inline]
    fn receive(&mut self) -> (u64, u64) {
        self.0.receive()
    }

    fn check(&self, seq: u64) -> u64 {
        self.0.check(seq)
    }
}
