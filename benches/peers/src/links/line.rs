//! A bare line for each direction: what the machine takes for eight bytes, if the reader looks after every pause.

use std::sync::atomic::{AtomicU64, Ordering};

use super::link::{Job, Link, crossed};
use super::looks::Looks;
use crate::harness::{Endpoint, Meeting, Shared};

/// Both lines, in memory that the workers inherit.
#[derive(Debug)]
pub struct Line(Shared);

/// One worker's end.
#[derive(Debug)]
pub struct LineEnd<'a> {
    out: &'a AtomicU64,
    into: &'a AtomicU64,
    seen: u64,
}

impl Line {
    const APART: usize = 1024;
}

impl Link<1> for Line {
    const NAME: &'static str = "bare line";
    const SLEEPS: bool = false;
    const STREAMS: bool = false;

    type End<'a> = LineEnd<'a>;

    fn new(_job: Job) -> Self {
        Self(Shared::new(2 * Self::APART))
    }

    fn open<'a>(&'a self, worker: usize, _meeting: &Meeting) -> Self::End<'a> {
        // SAFETY: an atomic is valid for any bytes.
        let word = |line: usize| unsafe { self.0.at(line * Self::APART) };
        let (out, into) = crossed(worker, [word(0), word(1)]);
        LineEnd { out, into, seen: 0 }
    }
}

impl Endpoint for LineEnd<'_> {
    #[inline]
    fn send(&mut self, seq: u64) {
        // A line that nobody has written holds zero.
        self.out.store(seq + 1, Ordering::Release);
    }

    #[inline]
    fn receive(&mut self) -> (u64, u64) {
        let mut looks = Looks::new();
        loop {
            let found = self.into.load(Ordering::Acquire);
            if found != self.seen {
                self.seen = found;
                return (found - 1, found - 1);
            }
            looks.wait();
        }
    }

    fn check(&self, seq: u64) -> u64 {
        seq
    }
}
