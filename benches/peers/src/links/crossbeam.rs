//! `crossbeam`: a channel or a queue for each direction, between threads.

use std::fmt::Debug;

use crossbeam_channel::{Receiver, Sender};
use crossbeam_queue::ArrayQueue;

use super::link::{Job, Link, Load, capacity, crossed};
use super::looks::Looks;
use super::seats::Seats;
use crate::harness::baseline::Words;
use crate::harness::{Endpoint, Meeting};

/// How a message of `N` words is passed: by value, or in a box where that is too much to move about.
pub trait Passed<const N: usize>: Debug + Send + 'static {
    /// The message that carries `seq`.
    fn make(load: &Load<N>, seq: u64) -> Self;

    /// Its words.
    fn words(&self) -> &Words<N>;
}

impl<const N: usize> Passed<N> for Words<N> {
    #[inline]
    fn make(load: &Load<N>, seq: u64) -> Self {
        load.message(seq)
    }

    #[inline]
    fn words(&self) -> &Words<N> {
        self
    }
}

impl<const N: usize> Passed<N> for Box<Words<N>> {
    #[inline]
    fn make(load: &Load<N>, seq: u64) -> Self {
        load.boxed(seq)
    }

    #[inline]
    fn words(&self) -> &Words<N> {
        self
    }
}

/// `crossbeam_queue::ArrayQueue`, which cannot wait by itself.
#[derive(Debug)]
pub struct Array<M, const N: usize> {
    queues: [ArrayQueue<M>; 2],
    load: Load<N>,
}

/// One thread's end of it.
#[derive(Debug)]
pub struct ArrayEnd<'a, M, const N: usize> {
    out: &'a ArrayQueue<M>,
    into: &'a ArrayQueue<M>,
    load: &'a Load<N>,
}

impl<M: Passed<N>, const N: usize> Link<N> for Array<M, N> {
    const NAME: &'static str = "crossbeam ArrayQueue †";
    const THREADS: bool = true;
    const SLEEPS: bool = false;
    const FIRST_WORD: bool = false;

    type End<'a> = ArrayEnd<'a, M, N>;

    fn new(job: Job) -> Self {
        Self {
            queues: [(); 2].map(|()| ArrayQueue::new(capacity(N))),
            load: Load::new(job.touched),
        }
    }

    fn open<'a>(&'a self, worker: usize, _meeting: &Meeting) -> Self::End<'a> {
        let (out, into) = crossed(worker, self.queues.each_ref());
        let load = &self.load;
        ArrayEnd { out, into, load }
    }
}

impl<M: Passed<N>, const N: usize> Endpoint for ArrayEnd<'_, M, N> {
    #[inline]
    fn send(&mut self, seq: u64) {
        let mut unsent = M::make(self.load, seq);
        let mut looks = Looks::new();
        while let Err(back) = self.out.push(unsent) {
            unsent = back;
            looks.wait();
        }
    }

    #[inline]
    fn receive(&mut self) -> (u64, u64) {
        let mut looks = Looks::new();
        loop {
            match self.into.pop() {
                Some(message) => return self.load.read(message.words()),
                None => looks.wait(),
            }
        }
    }

    fn check(&self, seq: u64) -> u64 {
        self.load.check(seq)
    }
}

/// `crossbeam_channel::bounded`, with its own waiting.
#[derive(Debug)]
pub struct Channel<M, const N: usize> {
    seats: Seats<(Sender<M>, Receiver<M>)>,
    load: Load<N>,
}

/// One thread's end of it.
#[derive(Debug)]
pub struct ChannelEnd<'a, M, const N: usize> {
    sender: Sender<M>,
    receiver: Receiver<M>,
    load: &'a Load<N>,
}

impl<M: Passed<N>, const N: usize> Link<N> for Channel<M, N> {
    const NAME: &'static str = "crossbeam channel †";
    const THREADS: bool = true;
    const FIRST_WORD: bool = false;

    type End<'a> = ChannelEnd<'a, M, N>;

    fn new(job: Job) -> Self {
        let channel = || crossbeam_channel::bounded(capacity(N));
        Self {
            seats: Seats::of([(); 2].map(|()| channel())),
            load: Load::new(job.touched),
        }
    }

    fn open<'a>(&'a self, worker: usize, _meeting: &Meeting) -> Self::End<'a> {
        let (sender, receiver) = self.seats.take(worker);
        ChannelEnd {
            sender,
            receiver,
            load: &self.load,
        }
    }
}

impl<M: Passed<N>, const N: usize> Endpoint for ChannelEnd<'_, M, N> {
    #[inline]
    fn send(&mut self, seq: u64) {
        let sent = self.sender.send(M::make(self.load, seq));
        sent.expect("a receiver");
    }

    #[inline]
    fn receive(&mut self) -> (u64, u64) {
        let message = self.receiver.recv().expect("a sender");
        self.load.read(message.words())
    }

    fn check(&self, seq: u64) -> u64 {
        self.load.check(seq)
    }
}
