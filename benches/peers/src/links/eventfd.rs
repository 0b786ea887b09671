//! `eventfd`: a counter in the kernel, and whoever sleeps for it. It carries eight bytes, one value at a time.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::FromRawFd;

use super::link::{COPIES_WARM, Job, Link, crossed};
use crate::harness::{Endpoint, Meeting};

/// A counter for each direction.
#[derive(Debug)]
pub struct EventFd([File; 2]);

/// One worker's end.
#[derive(Debug)]
pub struct EventFdEnd<'a> {
    out: &'a File,
    into: &'a File,
}

impl Link<1> for EventFd {
    const NAME: &'static str = "eventfd";
    const WARM: u64 = COPIES_WARM;
    const STREAMS: bool = false;

    type End<'a> = EventFdEnd<'a>;

    fn new(_job: Job) -> Self {
        Self([(); 2].map(|()| {
            // SAFETY: no memory is passed; the descriptor is fresh and nobody else's.
            unsafe {
                let fd = libc::eventfd(0, libc::EFD_CLOEXEC);
                assert!(fd >= 0, "eventfd");
                File::from_raw_fd(fd)
            }
        }))
    }

    fn open<'a>(&'a self, worker: usize, _meeting: &Meeting) -> Self::End<'a> {
        let (out, into) = crossed(worker, self.0.each_ref());
        EventFdEnd { out, into }
    }
}

impl Endpoint for EventFdEnd<'_> {
    fn send(&mut self, seq: u64) {
        // A counter of zero wakes nobody.
        let value = (seq + 1).to_ne_bytes();
        self.out.write_all(&value).expect("an eventfd");
    }

    fn receive(&mut self) -> (u64, u64) {
        let mut value = [0; 8];
        self.into.read_exact(&mut value).expect("an eventfd");
        let seq = u64::from_ne_bytes(value) - 1;
        (seq, seq)
    }

    fn check(&self, seq: u64) -> u64 {
        seq
    }
}
