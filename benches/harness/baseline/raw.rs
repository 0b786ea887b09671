//! Bare hardware and kernel: one cache line, one futex, one counter.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::mutex::count;
use crate::harness::backoff::Backoff;
use crate::harness::clock::{busy_wait, nanos, ticks};
use crate::harness::crew::{Crew, Meeting, Report};
use crate::harness::shared::Shared;
use crate::harness::stats::Percentiles;

/// Two words on lines of their own.
#[derive(Debug)]
#[repr(C, align(256))]
struct Line<T>(T);

/// One line there, one line back, spinning: nanoseconds per round trip.
pub fn line_round_trip(rounds: u64) -> Percentiles {
    let shared = Shared::new(4096);
    // SAFETY: atomics are valid for any bytes.
    let (there, back): (&Line<AtomicU64>, &Line<AtomicU64>) =
        unsafe { (shared.at(0), shared.at(1024)) };
    let ask = |round: u64| {
        there.0.store(round, Ordering::Release);
        spin_until(&back.0, round);
    };
    let answer = |round: u64| {
        spin_until(&there.0, round);
        back.0.store(round, Ordering::Release);
    };
    ping_pong(rounds, Duration::ZERO, ask, answer)
}

/// Two processes that sleep in the kernel until the other one wakes them: nanoseconds per round trip.
pub fn futex_round_trip(rounds: u64, gap: Duration) -> Percentiles {
    let shared = Shared::new(4096);
    // SAFETY: atomics are valid for any bytes.
    let (there, back): (&Line<AtomicU32>, &Line<AtomicU32>) =
        unsafe { (shared.at(0), shared.at(1024)) };
    let ask = |round: u64| {
        post(&there.0, round as u32);
        sleep_until(&back.0, round as u32);
    };
    let answer = |round: u64| {
        sleep_until(&there.0, round as u32);
        post(&back.0, round as u32);
    };
    ping_pong(rounds, gap, ask, answer)
}

/// `workers` processes that add to one counter: additions per second.
///
/// Each call has a line of its own, as far as they go: fresh memory is mostly that of the call before.
pub fn fetch_add(workers: usize, each: u64) -> f64 {
    const LINES: usize = 256;
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let line = CALLS.fetch_add(1, Ordering::Relaxed) % LINES;
    let shared = Shared::new(LINES * size_of::<Line<AtomicU64>>());
    // SAFETY: an atomic is valid for any bytes, and the line lies within.
    let counter: &Line<AtomicU64> = unsafe { shared.at(line * size_of::<Line<AtomicU64>>()) };
    let add = || {
        counter.0.fetch_add(1, Ordering::SeqCst);
    };
    count(workers, each, false, add, || {
        counter.0.load(Ordering::Relaxed)
    })
}

fn ping_pong(
    rounds: u64,
    gap: Duration,
    ask: impl Fn(u64) + Sync,
    answer: impl Fn(u64) + Send + Sync,
) -> Percentiles {
    let mut crew = Crew::new();
    crew.hire(|meeting| {
        meeting.meet();
        let mut observed = Vec::with_capacity(rounds as usize);
        for round in 1..=rounds {
            if !gap.is_zero() {
                busy_wait(gap);
            }
            let begin = ticks();
            ask(round);
            observed.push(nanos(ticks() - begin));
        }
        let found = Percentiles::of(&mut observed[rounds as usize / 10..]);
        let values = [
            found.p50, found.p99, found.p999, found.max, 0.0, 0.0, 0.0, 0.0,
        ];
        Report {
            values,
            ..Report::default()
        }
    });
    crew.hire(|meeting| {
        meeting.meet();
        (1..=rounds).for_each(answer);
        Report::default()
    });
    let [p50, p99, p999, max, ..] = crew.run()[0].values;
    Percentiles {
        p50,
        p99,
        p999,
        max,
    }
}

/// Spins until the word is `wanted`.
pub fn spin_until(word: &AtomicU64, wanted: u64) {
    let mut backoff = Backoff::new();
    while word.load(Ordering::Acquire) != wanted {
        backoff.wait();
    }
}

/// Stores `value` and wakes one who sleeps for it.
pub fn post(word: &AtomicU32, value: u32) {
    word.store(value, Ordering::SeqCst);
    wake_one(word);
}

/// Wakes one who sleeps on the word.
pub fn wake_one(word: &AtomicU32) {
    // SAFETY: the word outlives the call; waking touches no memory of ours.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, 1) };
}

/// Sleeps until the word is `wanted`.
pub fn sleep_until(word: &AtomicU32, wanted: u32) {
    loop {
        let seen = word.load(Ordering::Acquire);
        if seen == wanted {
            return;
        }
        wait_while(word, seen);
    }
}

/// Sleeps until it is woken, if the word is still `seen`.
pub fn wait_while(word: &AtomicU32, seen: u32) {
    let forever = std::ptr::null::<libc::timespec>();
    // SAFETY: the word outlives the call; the kernel only reads it.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT,
            seen,
            forever,
        )
    };
}
