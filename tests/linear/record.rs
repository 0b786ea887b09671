//! Who does what when: events by a clock that all processes share, and where they begin together.

use std::time::{Duration, Instant};

use multiproc::{Result, Value};

use super::checker::{Deed, Event};

multiproc::message! {
    /// What was done with something that has a value or none. No value is ever stored twice.
    #[derive(Clone, Copy, Debug)]
    pub enum Did {
        /// This was there.
        Saw { found: Option<u64> },
        /// Stored whatever was there; with `was_there` it was said whether anything was.
        Stored { value: u64, was_there: Option<bool> },
        /// Stored if nothing was there, and was told whether that was so.
        StoredNew { value: u64, was_new: bool },
        /// Taken away, if it was there.
        Removed { was_there: bool },
        /// Made of what was seen.
        Changed { from: Option<u64>, to: u64 },
        /// Not replaced, because this was not there any more.
        Kept { seen: u64 },
    }

    /// An event of one process.
    #[derive(Clone, Copy, Debug)]
    pub struct Entry {
        /// Its history.
        pub round: u64,
        /// With what it was done.
        pub place: u64,
        pub begin: u64,
        pub end: u64,
        pub did: Did,
    }
}

impl Deed for Did {
    type State = Option<u64>;

    fn apply(&self, state: &Option<u64>) -> Option<Option<u64>> {
        let there = state.is_some();
        match *self {
            Did::Saw { found } => (*state == found).then_some(found),
            Did::Stored { value, was_there } => {
                let fits = was_there.is_none_or(|said| said == there);
                fits.then_some(Some(value))
            }
            Did::StoredNew { was_new, .. } if was_new == there => None,
            Did::StoredNew { value, was_new } => Some(if was_new { Some(value) } else { *state }),
            Did::Removed { was_there } => (was_there == there).then_some(None),
            Did::Changed { from, to } => (*state == from).then_some(Some(to)),
            Did::Kept { seen } => (*state != Some(seen)).then_some(*state),
        }
    }
}

impl Entry {
    /// As the checker wants it.
    pub fn event(&self) -> Event<Did> {
        Event {
            begin: self.begin,
            end: self.end,
            did: self.did,
        }
    }
}

/// Nanoseconds by the clock of the machine.
pub fn now() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel writes one timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// What `act` did, and when; `act` returns what is to be noted beside the time.
pub fn timed<R>(act: impl FnOnce() -> Result<R>) -> Result<(u64, u64, R)> {
    let begin = now();
    let done = act()?;
    Ok((begin, now(), done))
}

/// Waits until all processes have come here as often as this one, awake, so that all go on at once.
pub fn meet(arrived: &Value<u64>) {
    let parties = super::workers();
    let mine = arrived.fetch_add(1);
    let all = (mine / parties + 1) * parties;
    let begin = Instant::now();
    for look in 0_u64.. {
        if arrived.load() >= all {
            return;
        }
        match look % AWAKE {
            0 if look > 0 => std::thread::yield_now(), // there may be fewer processors than processes
            _ => std::hint::spin_loop(),
        }
        let is_stuck = look % (1000 * AWAKE) == 0 && begin.elapsed() > Duration::from_secs(60);
        assert!(!is_stuck, "somebody never came");
    }
}

/// Looks between two offers of the processor to others.
const AWAKE: u64 = 1000;

/// A small generator: the same sequence each time.
pub struct Random(u64);

impl Random {
    pub fn of(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) % bound
    }
}
