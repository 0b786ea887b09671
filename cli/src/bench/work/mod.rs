//! What the processes of a run do. Every function that is passed to `Crew::hire` is the whole of a child's work.

mod add;
mod beat;
mod copy;
mod keep;
mod ping;
mod stream;
mod wake;

pub use add::{add_locked, add_value};
pub use beat::Beat;
pub use keep::{Deed, KEYS, Kept, keep};
pub use ping::Pace;
pub use stream::Flow;
pub use wake::{notify, set, wait_for_any, wait_for_condition, wait_for_event};

use multiproc::{Error, ErrorKind, Result};

use super::backoff::Backoff;
use super::crew::Seat;
use super::report::Report;
use super::transport::{Receiver, Transport};

multiproc::message! {
    /// What a process does with its ends of a transport.
    #[derive(Clone, Copy, Debug)]
    pub enum Errand {
        /// Asks, and takes the time of the answers.
        Ask { pace: Pace, len: u64 },
        /// Sends back what comes.
        Answer { pace: Pace, len: u64 },
        /// Sends as much as goes.
        Produce { flow: Flow },
        /// Receives it.
        Consume { flow: Flow },
        /// Sends at a pace.
        Beat { beat: Beat },
        /// Receives it, and takes the age of each message.
        Hear { beat: Beat },
    }

    /// What a process does without the library, for a limit or a peer.
    #[derive(Clone, Debug)]
    pub enum Bare {
        /// Stores a word, waits for another, and takes the time.
        Ask { pace: Pace },
        /// Waits for a word, and stores another.
        Answer { pace: Pace },
        /// Waits for a word, awake or not, and takes the time since its waker began.
        Wait { spin: bool },
        /// Stores it, and wakes.
        Wake { pace: Pace },
        /// Adds to a word.
        Add { span_ns: u64 },
        /// Reads a word.
        Load { span_ns: u64 },
        /// Adds to a number under a mutex, with a thread for each processor.
        Mutex { span_ns: u64, cpus: Vec<u32> },
        /// Reads or sets entries of a map, or elements of a vector, under a mutex, with a thread for each processor.
        Keep {
            span_ns: u64,
            cpus: Vec<u32>,
            is_map: bool,
            sets: bool,
        },
        /// Copies a payload.
        Copy { span_ns: u64, len: u64 },
    }
}

/// The entry of all processes that use a transport: one function, because each costs the compiler a spawn of its own.
///
/// # Errors
///
/// When a message did not arrive as it was sent, or the system refuses something.
pub fn carry<T: Transport>(
    seat: Seat,
    errand: Errand,
    sender: Option<T::Sender>,
    receiver: Option<T::Receiver>,
) -> Result<Report> {
    match (errand, sender, receiver) {
        (Errand::Ask { pace, len }, Some(there), Some(back)) => {
            ping::ask::<T>(seat, pace, len, there, back)
        }
        (Errand::Answer { pace, len }, Some(back), Some(there)) => {
            ping::answer::<T>(seat, pace, len, there, back)
        }
        (Errand::Produce { flow }, Some(out), _) => stream::produce::<T>(seat, flow, out),
        (Errand::Consume { flow }, _, Some(into)) => stream::consume::<T>(seat, flow, into),
        (Errand::Beat { beat }, Some(out), _) => beat::beat::<T>(seat, beat, out),
        (Errand::Hear { beat }, _, Some(into)) => beat::hear::<T>(seat, beat, into),
        _ => Err(Error::new(
            ErrorKind::InvalidInput,
            "an end of the transport is missing",
        )),
    }
}

/// The entry of all processes that do without the library.
///
/// # Errors
///
/// When the system refuses something.
pub fn bare(seat: Seat, errand: Bare) -> Result<Report> {
    match errand {
        Bare::Ask { pace } => ping::ask_bare(seat, pace),
        Bare::Answer { pace } => ping::answer_bare(seat, pace),
        Bare::Wait { spin } => wake::wait_for_bare(seat, spin),
        Bare::Wake { pace } => wake::wake_bare(seat, pace),
        Bare::Add { span_ns } => add::add_bare(seat, span_ns),
        Bare::Load { span_ns } => add::load_bare(seat, span_ns),
        Bare::Mutex { span_ns, cpus } => add::add_on_threads(span_ns, cpus),
        Bare::Keep {
            span_ns,
            cpus,
            is_map: true,
            sets,
        } => keep::map_on_threads(span_ns, &cpus, sets),
        Bare::Keep {
            span_ns,
            cpus,
            sets,
            ..
        } => keep::vec_on_threads(span_ns, &cpus, sets),
        Bare::Copy { span_ns, len } => copy::copy(seat, span_ns, len),
    }
}

/// The first word of the message that ends everything.
const END: u64 = u64::MAX;

/// Receives one message, awake or as the transport waits.
#[inline]
fn receive<R: Receiver>(end: &mut R, spin: bool) -> Result<(u64, u64)> {
    if !spin {
        return end.receive();
    }
    let mut backoff = Backoff::new();
    loop {
        if let Some(read) = end.try_receive()? {
            return Ok(read);
        }
        backoff.wait();
    }
}

/// A message that is not the one that was sent.
#[cold]
fn damaged() -> Error {
    Error::new(ErrorKind::Corrupt, "a message was lost or damaged")
}
