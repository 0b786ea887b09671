//! Pipes and Unix sockets: the kernel copies every byte in and out. Both sides know how long a message is.

use std::fmt::Debug;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::unix::net::UnixStream;

use super::link::{COPIES_WARM, Job, Link, crossed};
use super::ours::payload;
use crate::harness::{Endpoint, Meeting, Payload};

/// One worker's end of two streams of bytes.
#[derive(Debug)]
pub struct BytesEnd<'a, R, W> {
    into: &'a R,
    out: &'a W,
    payload: &'a Payload,
    message: Vec<u8>,
}

impl<'a, R, W> BytesEnd<'a, R, W> {
    fn new(into: &'a R, out: &'a W, payload: &'a Payload) -> Self {
        let mut message = vec![0; payload.len()];
        payload.write(&mut message, 0);
        Self {
            into,
            out,
            payload,
            message,
        }
    }
}

impl<R, W> Endpoint for BytesEnd<'_, R, W>
where
    for<'r> &'r R: Read,
    for<'w> &'w W: Write,
{
    fn send(&mut self, seq: u64) {
        self.payload.write(&mut self.message, seq);
        let mut out = self.out;
        out.write_all(&self.message).expect("a reader");
    }

    fn receive(&mut self) -> (u64, u64) {
        let mut into = self.into;
        into.read_exact(&mut self.message).expect("a writer");
        self.payload.read(&self.message)
    }

    fn check(&self, seq: u64) -> u64 {
        self.payload.check(seq)
    }
}

/// A pipe for each direction.
#[derive(Debug)]
pub struct Pipe<const N: usize> {
    ends: [(PipeReader, PipeWriter); 2],
    payload: Payload,
}

impl<const N: usize> Link<N> for Pipe<N> {
    const NAME: &'static str = "pipe";
    const WARM: u64 = COPIES_WARM;

    type End<'a> = BytesEnd<'a, PipeReader, PipeWriter>;

    fn new(job: Job) -> Self {
        Self {
            ends: [(); 2].map(|()| std::io::pipe().expect("a pipe")),
            payload: payload::<N>(job),
        }
    }

    fn open<'a>(&'a self, worker: usize, _meeting: &Meeting) -> Self::End<'a> {
        let (out, into) = crossed(worker, self.ends.each_ref());
        BytesEnd::new(&into.0, &out.1, &self.payload)
    }
}

/// A pair of connected Unix sockets.
#[derive(Debug)]
pub struct Socket<const N: usize> {
    ends: [UnixStream; 2],
    payload: Payload,
}

impl<const N: usize> Link<N> for Socket<N> {
    const NAME: &'static str = "Unix socket pair";
    const WARM: u64 = COPIES_WARM;

    type End<'a> = BytesEnd<'a, UnixStream, UnixStream>;

    fn new(job: Job) -> Self {
        let (one, other) = UnixStream::pair().expect("a pair of sockets");
        Self {
            ends: [one, other],
            payload: payload::<N>(job),
        }
    }

    fn open<'a>(&'a self, worker: usize, _meeting: &Meeting) -> Self::End<'a> {
        let (own, _) = crossed(worker, self.ends.each_ref());
        BytesEnd::new(own, own, &self.payload)
    }
}
