//! One message there and one back, again and again: how long each takes.

use std::hint::black_box;
use std::time::Duration;

use super::clock::{busy_wait, nanos, ticks};
use super::crew::{Crew, Meeting, Report};
use super::stats::Percentiles;
use super::workload::Endpoint;

/// How a game of ping-pong is played.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How many balls.
    pub rounds: u64,
    /// How many more before them that do not count: enough to touch all memory of the transport.
    pub warm: u64,
    /// How long to wait before each, so that the other side falls asleep; zero: it stays awake.
    pub gap: Duration,
    /// Whether the two players are threads of one process.
    pub threads: bool,
}

impl Pace {
    /// Without a break: nobody who waits by spinning falls asleep.
    pub const fn spinning(rounds: u64) -> Self {
        Self {
            rounds,
            warm: 0,
            gap: Duration::ZERO,
            threads: false,
        }
    }

    /// With so long a break before each ball that the other side has fallen asleep.
    pub const fn asleep(rounds: u64) -> Self {
        Self {
            gap: Duration::from_micros(200),
            ..Self::spinning(rounds)
        }
    }

    /// The same with `warm` balls before those that count.
    pub const fn warmed(self, warm: u64) -> Self {
        Self { warm, ..self }
    }

    /// The same between threads.
    pub const fn threaded(self) -> Self {
        Self {
            threads: true,
            ..self
        }
    }
}

/// Two transports of one direction each, as one worker uses them.
#[derive(Debug)]
pub struct Duplex<E> {
    out: E,
    into: E,
}

impl<E> Duplex<E> {
    /// The view of `worker`: worker 0 sends by the first end, worker 1 by the second.
    pub fn of(worker: usize, (there, back): (E, E)) -> Self {
        let (out, into) = match worker {
            0 => (there, back),
            _ => (back, there),
        };
        Self { out, into }
    }
}

impl<E: Endpoint> Endpoint for Duplex<E> {
    #[inline]
    fn send(&mut self, seq: u64) {
        self.out.send(seq);
    }

    #[inline]
    fn receive(&mut self) -> (u64, u64) {
        self.into.receive()
    }

    fn check(&self, seq: u64) -> u64 {
        self.out.check(seq)
    }
}

/// One message there, one back: nanoseconds per round trip. `open` gives each side the end it sends by and the end it
/// receives by.
///
/// # Panics
///
/// When an answer is not the one to the question.
pub fn round_trip<E: Endpoint>(
    pace: Pace,
    open: impl Fn(usize, &Meeting) -> (E, E) + Sync,
) -> Percentiles {
    ping_pong(pace, |worker, meeting| {
        Duplex::of(worker, open(worker, meeting))
    })
}

/// The same with ends that carry both directions: what worker 0 sends by its own, worker 1 receives by its own.
///
/// # Panics
///
/// When an answer is not the one to the question.
pub fn ping_pong<E: Endpoint>(
    pace: Pace,
    open: impl Fn(usize, &Meeting) -> E + Sync,
) -> Percentiles {
    let open = &open;
    let mut crew = Crew::new();
    crew.hire(move |meeting| {
        let mut end = open(0, meeting);
        meeting.meet();
        let observed = ask(pace, &mut end);
        meeting.meet();
        observed
    });
    crew.hire(move |meeting| {
        let mut end = open(1, meeting);
        meeting.meet();
        for _ in 0..pace.warm + pace.rounds {
            // Else a message whose sum nobody wants is not read, where the compiler sees through all that is called.
            let (seq, _) = black_box(end.receive());
            end.send(seq);
        }
        meeting.meet();
        Report::default()
    });
    let reports = if pace.threads {
        crew.run_as_threads()
    } else {
        crew.run()
    };
    let [p50, p99, p999, max, ..] = reports[0].values;
    Percentiles {
        p50,
        p99,
        p999,
        max,
    }
}

fn ask<E: Endpoint>(pace: Pace, end: &mut E) -> Report {
    let mut observed = Vec::with_capacity((pace.warm + pace.rounds) as usize);
    for seq in 0..pace.warm + pace.rounds {
        if !pace.gap.is_zero() && seq >= pace.warm {
            busy_wait(pace.gap);
        }
        let begin = ticks();
        end.send(seq);
        let answer = end.receive();
        observed.push(nanos(ticks() - begin));
        assert_eq!(
            answer,
            (seq, end.check(seq)),
            "an answer to another question"
        );
    }
    let skipped = pace.warm + pace.rounds / 4;
    let found = Percentiles::of(&mut observed[skipped as usize..]);
    Report {
        values: [
            found.p50, found.p99, found.p999, found.max, 0.0, 0.0, 0.0, 0.0,
        ],
        ..Report::default()
    }
}

/// Plays so many rounds that they last several times `span`, and at least as many as a p99 needs: new memory takes some
/// 20 ms until the processors' last cache holds as much of it as it will.
pub fn paced<'a>(
    span: Duration,
    mut run: impl FnMut(u64) -> Percentiles + 'a,
) -> impl FnMut() -> Percentiles + 'a {
    const SPANS: f64 = 5.0;
    let wanted = move |found: Percentiles| {
        (SPANS * span.as_nanos() as f64 / found.p50).clamp(200.0, 20_000.0)
    };
    let mut known = None;
    move || {
        let rounds = known.unwrap_or_else(|| wanted(run(200)));
        let found = run(rounds as u64);
        known = Some(wanted(found));
        found
    }
}
