//! `rtrb`: one ring for each direction, between threads.

use std::ops::Range;

use rtrb::{Consumer, Producer, PushError, RingBuffer};

use super::link::{Job, Link, Load, capacity};
use super::looks::Looks;
use super::seats::Seats;
use crate::harness::baseline::Words;
use crate::harness::{Batch, Endpoint, Meeting};

type Ends<const N: usize> = (Producer<Words<N>>, Consumer<Words<N>>);

/// Both directions.
#[derive(Debug)]
pub struct Rtrb<const N: usize> {
    seats: Seats<Ends<N>>,
    load: Load<N>,
}

/// One thread's end, which cannot wait by itself.
#[derive(Debug)]
pub struct RtrbEnd<'a, const N: usize> {
    producer: Producer<Words<N>>,
    consumer: Consumer<Words<N>>,
    load: &'a Load<N>,
}

impl<const N: usize> Link<N> for Rtrb<N> {
    const NAME: &'static str = "rtrb †";
    const THREADS: bool = true;
    const SLEEPS: bool = false;

    type End<'a> = RtrbEnd<'a, N>;

    fn new(job: Job) -> Self {
        Self {
            seats: Seats::of([(); 2].map(|()| ring())),
            load: Load::new(job.touched),
        }
    }

    fn open<'a>(&'a self, worker: usize, _meeting: &Meeting) -> Self::End<'a> {
        let (producer, consumer) = self.seats.take(worker);
        let load = &self.load;
        RtrbEnd {
            producer,
            consumer,
            load,
        }
    }
}

/// A ring of which every slot has been written once.
fn ring<const N: usize>() -> Ends<N> {
    let (mut producer, mut consumer) = RingBuffer::<Words<N>>::new(capacity(N));
    let chunk = producer.write_chunk_uninit(capacity(N));
    let mut chunk = chunk.expect("an empty ring");
    for slot in chunk.as_mut_slices().0 {
        // SAFETY: a slot is writable memory for `N` words, of which all bytes become zero.
        unsafe { slot.as_mut_ptr().write_bytes(0, 1) };
    }
    // SAFETY: the loop has written all slots, for an unused ring begins at its first.
    unsafe { chunk.commit_all() };
    let chunk = consumer.read_chunk(capacity(N));
    chunk.expect("a full ring").commit_all();
    (producer, consumer)
}

impl<const N: usize> RtrbEnd<'_, N> {
    /// Longer messages are written and read in place, shorter ones pushed and popped.
    const PUSHED: usize = 8;

    #[inline]
    fn push(&mut self, seq: u64) {
        let mut unsent = self.load.message(seq);
        let mut looks = Looks::new();
        while let Err(PushError::Full(back)) = self.producer.push(unsent) {
            unsent = back;
            looks.wait();
        }
    }

    #[inline]
    fn write(&mut self, seq: u64) {
        let mut looks = Looks::new();
        loop {
            if let Ok(mut chunk) = self.producer.write_chunk_uninit(1) {
                let slot = &mut chunk.as_mut_slices().0[0];
                // SAFETY: every slot was written when the ring was made, and any bytes are words.
                self.load.write(unsafe { slot.assume_init_mut() }, seq);
                // SAFETY: as above.
                return unsafe { chunk.commit_all() };
            }
            looks.wait();
        }
    }
}

/// The same with many messages in a call, which become visible together.
#[derive(Debug)]
pub struct Chunks<const N: usize>(Rtrb<N>);

/// One thread's end.
#[derive(Debug)]
pub struct ChunksEnd<'a, const N: usize>(RtrbEnd<'a, N>);

impl<const N: usize> Link<N> for Chunks<N> {
    const NAME: &'static str = "rtrb, chunks †";
    const THREADS: bool = true;
    const SLEEPS: bool = false;

    type End<'a> = ChunksEnd<'a, N>;

    fn new(job: Job) -> Self {
        Self(Rtrb::new(job))
    }

    fn open<'a>(&'a self, worker: usize, meeting: &Meeting) -> Self::End<'a> {
        ChunksEnd(self.0.open(worker, meeting))
    }
}

impl<const N: usize> Endpoint for ChunksEnd<'_, N> {
    fn send(&mut self, seq: u64) {
        self.0.send(seq);
    }

    fn receive(&mut self) -> (u64, u64) {
        self.0.receive()
    }

    fn check(&self, seq: u64) -> u64 {
        self.0.check(seq)
    }

    #[inline]
    fn send_batch(&mut self, mut seqs: Range<u64>) {
        let RtrbEnd { producer, load, .. } = &mut self.0;
        let mut looks = Looks::new();
        while !seqs.is_empty() {
            let room = producer.slots().min((seqs.end - seqs.start) as usize);
            match producer.write_chunk_uninit(room) {
                Ok(chunk) if room > 0 => {
                    let filled = chunk.fill_from_iter(seqs.by_ref().map(|seq| load.message(seq)));
                    assert_eq!(filled, room, "a chunk is filled");
                }
                _ => looks.wait(),
            }
        }
    }

    #[inline]
    fn receive_batch(&mut self, most: u64, into: &mut Batch) {
        let RtrbEnd { consumer, load, .. } = &mut self.0;
        let mut looks = Looks::new();
        loop {
            let count = consumer.slots().min(most as usize);
            match consumer.read_chunk(count) {
                Ok(chunk) if count > 0 => {
                    return chunk
                        .into_iter()
                        .for_each(|words| into.add(load.read(&words)));
                }
                _ => looks.wait(),
            }
        }
    }
}

impl<const N: usize> Endpoint for RtrbEnd<'_, N> {
    #[inline]
    fn send(&mut self, seq: u64) {
        if N <= Self::PUSHED {
            self.push(seq);
        } else {
            self.write(seq);
        }
    }

    #[inline]
    fn receive(&mut self) -> (u64, u64) {
        let mut looks = Looks::new();
        loop {
            if N <= Self::PUSHED {
                if let Ok(words) = self.consumer.pop() {
                    return self.load.read(&words);
                }
            } else if let Ok(chunk) = self.consumer.read_chunk(1) {
                let found = self.load.read(&chunk.as_slices().0[0]);
                chunk.commit_all();
                return found;
            }
            looks.wait();
        }
    }

    fn check(&self, seq: u64) -> u64 {
        self.load.check(seq)
    }
}
