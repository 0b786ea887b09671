//! Messages at a pace: every so often some are sent, and the receiver says how old each one is when it has been read.

use std::time::Duration;

use multiproc::Result;

use super::{END, damaged, receive};
use crate::bench::crew::Seat;
use crate::bench::payload::Payload;
use crate::bench::report::Report;
use crate::bench::transport::{Sender, Transport};
use crate::clock::now_ns;

multiproc::message! {
    /// When how many messages are sent.
    #[derive(Clone, Copy, Debug)]
    pub struct Beat {
        /// Bytes of a message.
        pub len: u64,
        /// From one beat to the next.
        pub period_ns: u64,
        /// Messages at each.
        pub burst: u64,
        /// How many beats.
        pub beats: u64,
        /// Messages before the first beat; they do not count.
        pub warm: u64,
        /// Whether the receiver stays awake.
        pub spin: bool,
    }
}

/// The first word of a message that does not count.
const WARM: u64 = 0;

/// Sends; the first word of a message is the time.
pub fn beat<T: Transport>(seat: Seat, beat: Beat, mut out: T::Sender) -> Result<Report> {
    let page = seat.take()?;
    let payload = Payload::new(beat.len as usize);
    page.meet(seat.parties);
    for _ in 0..beat.warm {
        out.send(&payload, WARM)?;
    }
    let mut due = now_ns();
    for _ in 0..beat.beats {
        due += beat.period_ns;
        // The pace is the subject here: what is waited for is the time itself.
        std::thread::sleep(Duration::from_nanos(due.saturating_sub(now_ns())));
        for _ in 0..beat.burst {
            out.send(&payload, now_ns())?;
        }
    }
    out.send(&payload, END)?;
    Ok(Report::default())
}

/// Receives, and takes the age of each message.
pub fn hear<T: Transport>(seat: Seat, beat: Beat, mut into: T::Receiver) -> Result<Report> {
    let page = seat.take()?;
    let payload = Payload::new(beat.len as usize);
    let mut times = Vec::with_capacity((beat.beats * beat.burst) as usize);
    page.meet(seat.parties);
    loop {
        let (first, check) = receive(&mut into, beat.spin)?;
        let now = now_ns();
        match first {
            END => break,
            _ if check != payload.check(first) => return Err(damaged()),
            WARM => {}
            sent => times.push(now.saturating_sub(sent)),
        }
    }
    match times.len() as u64 == beat.beats * beat.burst {
        true => Ok(Report::of_times(&times)),
        false => Err(damaged()),
    }
}
