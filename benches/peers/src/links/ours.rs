//! The library's own queues, one for each direction, opened by name in each worker.

use multiproc::{Bytes, Message, Queue, QueueBuilder};

use super::link::{Job, Link, capacity};
use crate::harness::baseline::Words;
use crate::harness::ours::{Fixed, InPlace, Variable, fresh_name, join};
use crate::harness::{Duplex, Endpoint, Meeting, Payload};

const NAME: &str = "multiproc Queue";

/// Messages of a type, put by reference and read in place.
#[derive(Debug)]
pub struct Typed<const N: usize>([String; 2]);

impl<const N: usize> Link<N> for Typed<N>
where
    Words<N>: Message,
    Fixed<N>: Endpoint,
{
    const NAME: &'static str = NAME;

    type End<'a> = Duplex<Fixed<N>>;

    fn new(_job: Job) -> Self {
        Self([(); 2].map(|()| fresh_name()))
    }

    fn open<'a>(&'a self, worker: usize, meeting: &Meeting) -> Self::End<'a> {
        let end = |name: &String| Fixed(join(knobs(name, N), worker, meeting));
        Duplex::of(worker, (end(&self.0[0]), end(&self.0[1])))
    }
}

/// Messages of bytes, written in place by way of a claim, and read in place.
#[derive(Debug)]
pub struct Claimed<const N: usize> {
    names: [String; 2],
    payload: Payload,
}

impl<const N: usize> Link<N> for Claimed<N> {
    const NAME: &'static str = NAME;

    type End<'a> = Duplex<InPlace>;

    fn new(job: Job) -> Self {
        Self {
            names: [(); 2].map(|()| fresh_name()),
            payload: payload::<N>(job),
        }
    }

    fn open<'a>(&'a self, worker: usize, meeting: &Meeting) -> Self::End<'a> {
        let end = |name: &String| {
            let knobs = knobs::<Bytes>(name, N).message_size(self.payload.len());
            let queue = join(knobs, worker, meeting);
            InPlace(Variable::new(queue, self.payload.clone()))
        };
        Duplex::of(worker, (end(&self.names[0]), end(&self.names[1])))
    }
}

fn knobs<T: Message>(name: &str, words: usize) -> QueueBuilder<T> {
    Queue::builder().name(name).capacity(capacity(words))
}

/// Messages of bytes as long as `N` words.
pub fn payload<const N: usize>(job: Job) -> Payload {
    if job.touched {
        Payload::touched(8 * N)
    } else {
        Payload::untouched(8 * N)
    }
}
