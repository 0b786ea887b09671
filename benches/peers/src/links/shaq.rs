//! `shaq`: a queue for one sender and one receiver in a file in memory, one for each direction.

use std::fmt;
use std::fs::File;
use std::num::NonZeroUsize;
use std::os::fd::FromRawFd;
use std::time::Duration;

use shaq::spsc::{Consumer, Producer, minimum_file_size};

use super::link::{Job, Link, Load, capacity, crossed};
use super::looks::Looks;
use crate::harness::baseline::Words;
use crate::harness::{Endpoint, Meeting};

/// The files of both directions, which the workers inherit.
#[derive(Debug)]
pub struct Shaq<const N: usize> {
    files: [File; 2],
    load: Load<N>,
}

/// One worker's end. Receivers have its own waiting, which sleeps after some thousands of looks; senders cannot wait.
pub struct ShaqEnd<'a, const N: usize> {
    producer: Producer<Words<N>>,
    consumer: Consumer<Words<N>>,
    load: &'a Load<N>,
}

impl<const N: usize> fmt::Debug for ShaqEnd<'_, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShaqEnd").finish_non_exhaustive()
    }
}

impl<const N: usize> Link<N> for Shaq<N> {
    const NAME: &'static str = "shaq";

    type End<'a> = ShaqEnd<'a, N>;

    fn new(job: Job) -> Self {
        Self {
            files: [(); 2].map(|()| file()),
            load: Load::new(job.touched),
        }
    }

    fn open<'a>(&'a self, worker: usize, meeting: &Meeting) -> Self::End<'a> {
        let (out, into) = crossed(worker, self.files.each_ref());
        let size = minimum_file_size::<Words<N>>(capacity(N));
        if worker == 1 {
            meeting.meet();
        }
        // SAFETY: worker 0 alone initialises the files, before worker 1 joins them; each of them has one producer and
        // one consumer, and all use the same type, for which any bytes are valid.
        let (producer, consumer) = unsafe {
            match worker {
                0 => (Producer::create(out, size), Consumer::create(into, size)),
                _ => (Producer::join(out), Consumer::join(into)),
            }
        };
        if worker == 0 {
            meeting.meet();
        }
        ShaqEnd {
            producer: producer.expect("a queue"),
            consumer: consumer.expect("a queue"),
            load: &self.load,
        }
    }
}

fn file() -> File {
    // SAFETY: the name is a string; the descriptor is fresh and nobody else's.
    unsafe {
        let fd = libc::memfd_create(c"shaq".as_ptr(), libc::MFD_CLOEXEC);
        assert!(fd >= 0, "memfd_create");
        File::from_raw_fd(fd)
    }
}

impl<const N: usize> Endpoint for ShaqEnd<'_, N> {
    #[inline]
    fn send(&mut self, seq: u64) {
        let mut looks = Looks::new();
        loop {
            let mut batch = self.producer.write_batch();
            // SAFETY: a slot that is handed out is written before the batch is dropped.
            if let Some(slot) = unsafe { batch.try_as_mut() } {
                // SAFETY: a new file is zeroed, and slots are only ever written with words; any bytes are words.
                self.load.write(unsafe { slot.assume_init_mut() }, seq);
                return;
            }
            looks.wait();
        }
    }

    #[inline]
    fn receive(&mut self) -> (u64, u64) {
        let consumer = &mut self.consumer;
        let batch = consumer.reserve_read_batch_timeout(NonZeroUsize::MIN, Duration::MAX);
        let batch = batch.expect("a wait without an end");
        self.load.read(batch.get(0).expect("a message"))
    }

    fn check(&self, seq: u64) -> u64 {
        self.load.check(seq)
    }
}
