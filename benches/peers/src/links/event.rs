//! `raw_sync`: an event beside a buffer, for each direction. It has no queue, so one message at a time.

use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::atomic::{Ordering, fence};

use raw_sync::Timeout;
use raw_sync::events::{BusyEvent, Event, EventImpl, EventInit, EventState};

use super::link::{Job, Link, Load, crossed};
use crate::harness::baseline::Words;
use crate::harness::{Endpoint, Meeting, Shared};

/// Which event, and how it is called in the tables.
pub trait Kind: EventInit + 'static {
    /// The name.
    const NAME: &'static str;
    /// Whether one can sleep for it.
    const SLEEPS: bool;
}

impl Kind for Event {
    const NAME: &'static str = "raw_sync Event, buffer";
    const SLEEPS: bool = true;
}

impl Kind for BusyEvent {
    const NAME: &'static str = "raw_sync BusyEvent, buffer";
    const SLEEPS: bool = false;
}

/// For each direction, an event at the start of a mapping and a message on the next page.
pub struct Signalled<K, const N: usize> {
    rooms: [Shared; 2],
    load: Load<N>,
    kind: PhantomData<fn() -> K>,
}

impl<K, const N: usize> fmt::Debug for Signalled<K, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signalled").finish_non_exhaustive()
    }
}

/// One direction, as one worker has it.
struct Way {
    event: Box<dyn EventImpl>,
    message: NonNull<u8>,
}

/// One worker's end.
pub struct SignalledEnd<'a, const N: usize> {
    out: Way,
    into: Way,
    load: &'a Load<N>,
}

impl<const N: usize> fmt::Debug for SignalledEnd<'_, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignalledEnd").finish_non_exhaustive()
    }
}

const PAGE: usize = 4096;

impl<K: Kind, const N: usize> Link<N> for Signalled<K, N> {
    const NAME: &'static str = K::NAME;
    const SLEEPS: bool = K::SLEEPS;
    const STREAMS: bool = false;

    type End<'a> = SignalledEnd<'a, N>;

    fn new(job: Job) -> Self {
        Self {
            rooms: [(); 2].map(|()| Shared::new(PAGE + size_of::<Words<N>>())),
            load: Load::new(job.touched),
            kind: PhantomData,
        }
    }

    fn open<'a>(&'a self, worker: usize, meeting: &Meeting) -> Self::End<'a> {
        if worker == 1 {
            meeting.meet();
        }
        let [first, second] = self
            .rooms
            .each_ref()
            .map(|room| way::<K>(room, worker == 0));
        if worker == 0 {
            meeting.meet();
        }
        let (out, into) = crossed(worker, [first, second]);
        let load = &self.load;
        SignalledEnd { out, into, load }
    }
}

fn way<K: Kind>(room: &Shared, first: bool) -> Way {
    let base = room.base();
    // SAFETY: a page is more than an event needs. Worker 0 makes it, worker 1 uses it once that is done, and the mapping
    // outlives both ends. The message begins within the mapping.
    unsafe {
        let event = match first {
            true => K::new(base.as_ptr(), true),
            false => K::from_existing(base.as_ptr()),
        };
        let (event, _) = event.unwrap_or_else(|error| panic!("an event: {error}"));
        let message = base.add(PAGE);
        Way { event, message }
    }
}

impl<const N: usize> Endpoint for SignalledEnd<'_, N> {
    fn send(&mut self, seq: u64) {
        // SAFETY: the room is of this size, zeroed at first, aligned to a page; the other worker reads it between the
        // event below and its own answer.
        let room = unsafe { self.out.message.cast::<Words<N>>().as_mut() };
        self.load.write(room, seq);
        // A `BusyEvent` is set and seen by relaxed accesses.
        fence(Ordering::Release);
        let set = self.out.event.set(EventState::Signaled);
        set.unwrap_or_else(|error| panic!("set: {error}"));
    }

    fn receive(&mut self) -> (u64, u64) {
        let seen = self.into.event.wait(Timeout::Infinite);
        seen.unwrap_or_else(|error| panic!("wait: {error}"));
        fence(Ordering::Acquire);
        // SAFETY: as above; the other worker writes again only after this one's answer.
        self.load
            .read(unsafe { self.into.message.cast::<Words<N>>().as_ref() })
    }

    fn check(&self, seq: u64) -> u64 {
        self.load.check(seq)
    }
}
