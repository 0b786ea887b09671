//! What the processes of a run do. Every function that is passed to `Crew::hire` is the whole of a child's work.

mod add;
mod beat;
mod copy;
mod ping;
mod stream;
mod wake;

pub use add::{add_bare, add_locked, add_on_threads, add_value};
pub use beat::{Beat, beat, hear};
pub use copy::copy;
pub use ping::{Pace, answer, answer_bare, ask, ask_bare};
pub use stream::{Flow, consume, produce};
pub use wake::{notify, set, wait_for_bare, wait_for_condition, wait_for_event, wake_bare};

use multiproc::{Error, ErrorKind, Result};

use super::backoff::Backoff;
use super::transport::Receiver;

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
