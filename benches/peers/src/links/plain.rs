//! The plain ring of the harness, which survives no crash: what is within reach.

use super::link::{Job, Link, Load, capacity, crossed};
use crate::harness::baseline::{PlainRing, Words};
use crate::harness::{Endpoint, Meeting};

/// One ring for each direction, in memory that the workers inherit.
#[derive(Debug)]
pub struct Plain<const N: usize> {
    rings: [PlainRing<Words<N>>; 2],
    load: Load<N>,
}

/// One worker's end.
#[derive(Debug)]
pub struct PlainEnd<'a, const N: usize> {
    out: &'a PlainRing<Words<N>>,
    into: &'a PlainRing<Words<N>>,
    load: &'a Load<N>,
}

impl<const N: usize> Link<N> for Plain<N> {
    const NAME: &'static str = "plain ring";
    const SLEEPS: bool = false;

    type End<'a> = PlainEnd<'a, N>;

    fn new(job: Job) -> Self {
        Self {
            rings: [(); 2].map(|()| PlainRing::new(capacity(N) as u64)),
            load: Load::new(job.touched),
        }
    }

    fn open<'a>(&'a self, worker: usize, _meeting: &Meeting) -> Self::End<'a> {
        let (out, into) = crossed(worker, self.rings.each_ref());
        let load = &self.load;
        PlainEnd { out, into, load }
    }
}

impl<const N: usize> Endpoint for PlainEnd<'_, N> {
    #[inline]
    fn send(&mut self, seq: u64) {
        self.out.push(|slot| {
            // SAFETY: shared memory is zeroed at creation and only ever written with words, and any bytes are words.
            self.load.write(unsafe { slot.assume_init_mut() }, seq);
        });
    }

    #[inline]
    fn receive(&mut self) -> (u64, u64) {
        self.into.pop(|words| self.load.read(words))
    }

    fn check(&self, seq: u64) -> u64 {
        self.load.check(seq)
    }
}
