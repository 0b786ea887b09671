//! Round trips: one message there, one back; and the same with a bare word.

use std::hint::black_box;
use std::sync::atomic::Ordering;
use std::time::Duration;

use multiproc::Result;

use super::{END, damaged, receive};
use crate::bench::backoff::Backoff;
use crate::bench::crew::Seat;
use crate::bench::page::Page;
use crate::bench::payload::Payload;
use crate::bench::report::Report;
use crate::bench::sys::{futex_wait, post};
use crate::bench::transport::{Sender, Transport};
use crate::clock::now_ns;

multiproc::message! {
    /// How often, and with what breaks.
    #[derive(Clone, Copy, Debug)]
    pub struct Pace {
        /// At most so many times, after so many that do not count.
        pub samples: u64,
        pub warm: u64,
        /// No longer than that, but for the first few.
        pub limit_ns: u64,
        /// The break before each, in which the other side falls asleep.
        pub gap_ns: u64,
        /// Whether the break is spent asleep; else the processor stays busy.
        pub rest: bool,
        /// Whether those who wait stay awake.
        pub spin: bool,
    }
}

/// So many times are taken however long they take.
const LEAST: usize = 10;

impl Pace {
    /// Whether there have been enough.
    pub fn is_over(&self, done: usize, since: u64) -> bool {
        done as u64 >= self.samples || (done >= LEAST && now_ns() - since > self.limit_ns)
    }

    /// The break before the next one.
    pub fn pause(&self) {
        if self.gap_ns == 0 {
            return;
        }
        if self.rest {
            // The break is the subject here: nothing is waited for that could be told otherwise.
            return std::thread::sleep(Duration::from_nanos(self.gap_ns));
        }
        let end = now_ns() + self.gap_ns;
        while now_ns() < end {
            std::hint::spin_loop();
        }
    }
}

/// Asks again and again, and takes the time of every answer.
pub fn ask<T: Transport>(
    seat: Seat,
    pace: Pace,
    len: u64,
    mut there: T::Sender,
    mut back: T::Receiver,
) -> Result<Report> {
    let page = seat.take()?;
    let payload = Payload::new(len as usize);
    let mut ball = |first| {
        let begin = now_ns();
        there.send(&payload, first)?;
        let answer = receive(&mut back, pace.spin)?;
        let time = now_ns() - begin;
        if answer != (first, payload.check(first)) {
            return Err(damaged());
        }
        Ok(time)
    };
    page.meet(seat.parties);
    for first in 0..pace.warm {
        ball(first)?;
    }
    let times = timed(&pace, &mut ball)?;
    there.send(&payload, END)?;
    Ok(Report::of_times(&times))
}

/// Sends back what comes.
pub fn answer<T: Transport>(
    seat: Seat,
    pace: Pace,
    len: u64,
    mut there: T::Receiver,
    mut back: T::Sender,
) -> Result<Report> {
    let page = seat.take()?;
    let payload = Payload::new(len as usize);
    page.meet(seat.parties);
    loop {
        // Else a message whose sum nobody wants is not read, where the compiler sees through all that is called.
        match black_box(receive(&mut there, pace.spin)?) {
            (END, _) => return Ok(Report::default()),
            (first, _) => back.send(&payload, first)?,
        }
    }
}

/// As [`ask`], with one bare word there and one back.
pub fn ask_bare(seat: Seat, pace: Pace) -> Result<Report> {
    let page = seat.take()?;
    let mut round = 0;
    let mut ball = |_| {
        round += 1;
        let begin = now_ns();
        tell(&page, &pace, true, round);
        hear(&page, &pace, false, round);
        Ok(now_ns() - begin)
    };
    page.meet(seat.parties);
    for first in 0..pace.warm.min(pace.samples) {
        ball(first)?;
    }
    let times = timed(&pace, &mut ball)?;
    page.last.store(1, Ordering::Release);
    tell(&page, &pace, true, round + 1);
    Ok(Report::of_times(&times))
}

/// As [`answer`], with one bare word there and one back.
pub fn answer_bare(seat: Seat, pace: Pace) -> Result<Report> {
    let page = seat.take()?;
    page.meet(seat.parties);
    for round in 1.. {
        hear(&page, &pace, true, round);
        if page.last.load(Ordering::Acquire) != 0 {
            break;
        }
        tell(&page, &pace, false, round);
    }
    Ok(Report::default())
}

fn timed(pace: &Pace, ball: &mut impl FnMut(u64) -> Result<u64>) -> Result<Vec<u64>> {
    let mut times = Vec::with_capacity(pace.samples as usize);
    let since = now_ns();
    while !pace.is_over(times.len(), since) {
        pace.pause();
        times.push(ball(times.len() as u64)?);
    }
    Ok(times)
}

/// Stores the round in the word there or back, and wakes who sleeps for it.
fn tell(page: &Page, pace: &Pace, there: bool, round: u32) {
    let word = if there { &page.there } else { &page.back };
    match pace.spin {
        true => word.store(round, Ordering::Release),
        false => post(word, round),
    }
}

/// Waits for the round in the word there or back.
fn hear(page: &Page, pace: &Pace, there: bool, round: u32) {
    let word = if there { &page.there } else { &page.back };
    let mut backoff = Backoff::new();
    loop {
        match word.load(Ordering::Acquire) {
            seen if seen == round => return,
            _ if pace.spin => backoff.wait(),
            seen => futex_wait(word, seen),
        }
    }
}
