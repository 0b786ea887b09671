//! The library's own pipe, whose second end one worker sends to the other by way of a queue.

use std::ops::Range;

use multiproc::{Bytes, Connection, Message, Pipe, Queue};

use super::link::{Job, Link};
use super::ours::payload;
use crate::harness::baseline::Words;
use crate::harness::ours::fresh_name;
use crate::harness::{Batch, Endpoint, Meeting, Payload};
use crate::threads::{check, message};

const NAME: &str = "multiproc Pipe";

/// Messages of a type, sent by reference and read in place.
#[derive(Debug)]
pub struct Typed<const N: usize>(String);

/// One worker's end.
#[derive(Debug)]
pub struct TypedEnd<const N: usize>(Connection<Words<N>, Words<N>>)
where
    Words<N>: Message;

impl<const N: usize> Link<N> for Typed<N>
where
    Words<N>: Message,
    TypedEnd<N>: Endpoint,
{
    const NAME: &'static str = NAME;

    type End<'a> = TypedEnd<N>;

    fn new(_job: Job) -> Self {
        Self(fresh_name())
    }

    fn open<'a>(&'a self, worker: usize, meeting: &Meeting) -> Self::End<'a> {
        TypedEnd(join(&self.0, worker, meeting))
    }
}

macro_rules! typed {
    ($($n:literal),*) => {$(
        impl Endpoint for TypedEnd<$n> {
            #[inline]
            fn send(&mut self, seq: u64) {
                self.0.send(message::<$n>(seq)).expect("an open pipe");
            }

            #[inline]
            fn receive(&mut self) -> (u64, u64) {
                let message = self.0.recv().expect("a message");
                let sum = message.iter().fold(0, |sum: u64, word| sum.wrapping_add(word.to_native()));
                (message[0].to_native(), sum)
            }

            fn check(&self, seq: u64) -> u64 {
                check::<$n>(seq)
            }

            #[inline]
            fn send_batch(&mut self, seqs: Range<u64>) {
                self.0.send_many(seqs.map(message::<$n>)).expect("an open pipe");
            }

            #[inline]
            fn receive_batch(&mut self, most: u64, into: &mut Batch) {
                into.add(self.receive());
                for message in self.0.drain().take(most as usize - 1) {
                    let sum = message.iter().fold(0, |sum: u64, word| sum.wrapping_add(word.to_native()));
                    into.add((message[0].to_native(), sum));
                }
            }
        }
    )*};
}

typed!(1, 8);

/// Messages of bytes, written in place by way of a claim, and read in place.
#[derive(Debug)]
pub struct Claimed<const N: usize> {
    name: String,
    payload: Payload,
}

/// One worker's end.
#[derive(Debug)]
pub struct ClaimedEnd<'a> {
    connection: Connection<Bytes, Bytes>,
    payload: &'a Payload,
}

impl<const N: usize> Link<N> for Claimed<N> {
    const NAME: &'static str = NAME;

    type End<'a> = ClaimedEnd<'a>;

    fn new(job: Job) -> Self {
        Self {
            name: fresh_name(),
            payload: payload::<N>(job),
        }
    }

    fn open<'a>(&'a self, worker: usize, meeting: &Meeting) -> Self::End<'a> {
        ClaimedEnd {
            connection: join(&self.name, worker, meeting),
            payload: &self.payload,
        }
    }
}

impl Endpoint for ClaimedEnd<'_> {
    #[inline]
    fn send(&mut self, seq: u64) {
        let place = self.connection.claim(self.payload.len());
        let mut place = place.expect("an open pipe");
        self.payload.write(&mut place, seq);
        place.commit().expect("an open pipe");
    }

    #[inline]
    fn receive(&mut self) -> (u64, u64) {
        self.payload
            .read(&self.connection.recv().expect("a message"))
    }

    fn check(&self, seq: u64) -> u64 {
        self.payload.check(seq)
    }
}

/// The connection of worker 0 or 1 to the other: every worker calls this once.
fn join<T: Message>(name: &str, worker: usize, meeting: &Meeting) -> Connection<T, T> {
    let way = || Queue::<Connection<T, T>>::open_or_create(name).expect("a queue");
    if worker == 0 {
        let (near, far) = Pipe::builder().prefault(true).pair().expect("a pipe");
        let way = way();
        way.put(far).expect("an open queue");
        meeting.meet();
        way.join();
        return near;
    }
    meeting.meet();
    way().get_owned().expect("the end that worker 0 has sent")
}
