//! What is done with a transport: streamed through, or put and taken by one process.

use std::cell::Cell;
use std::ops::Range;
use std::time::Duration;

use super::clock::{nanos, ticks};
use super::crew::{Crew, Meeting, Report};

/// The sequence number that ends a stream.
pub const END: u64 = u64::MAX >> 1;

/// One process's end of a transport. Both directions block, each transport in its own way.
pub trait Endpoint {
    /// Sends one message that carries `seq` in its first word, every byte of it written.
    fn send(&mut self, seq: u64);

    /// Receives one message, every byte of it read: its first word, and the sum of all its words.
    fn receive(&mut self) -> (u64, u64);

    /// The sum of all words of the message that carries `seq`.
    fn check(&self, seq: u64) -> u64;

    /// Sends one message for each number; transports with batches send them together.
    #[inline]
    fn send_batch(&mut self, seqs: Range<u64>) {
        seqs.for_each(|seq| self.send(seq));
    }

    /// Receives at least one message and at most `most`.
    #[inline]
    fn receive_batch(&mut self, _most: u64, into: &mut Batch) {
        into.add(self.receive());
    }
}

/// What a consumer has received so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Batch {
    count: u64,
    sum: u64,
    check: u64,
    ends: u64,
}

impl Batch {
    /// Counts one received message.
    #[inline]
    pub fn add(&mut self, (seq, check): (u64, u64)) {
        if seq == END {
            self.ends += 1;
        } else {
            self.count += 1;
            self.sum = self.sum.wrapping_add(seq);
            self.check = self.check.wrapping_add(check);
        }
    }
}

/// How many processes send, how many receive, and how many messages travel together.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Sending processes.
    pub producers: usize,
    /// Receiving processes.
    pub consumers: usize,
    /// Messages per call.
    pub batch: u64,
    /// Messages of each producer before the clock starts: enough to touch all memory of the transport.
    pub warm: u64,
    /// Whether the workers are threads of one process, for peers that cannot cross its border.
    pub threads: bool,
}

impl Shape {
    /// The shapes of every throughput table.
    pub const ALL: [Shape; 4] = [
        Shape::of(1, 1),
        Shape::of(2, 2),
        Shape::of(4, 4),
        Shape::of(4, 1),
    ];

    /// One message per call.
    pub const fn of(producers: usize, consumers: usize) -> Self {
        Self {
            producers,
            consumers,
            batch: 1,
            warm: 4096,
            threads: false,
        }
    }

    /// The same with `batch` messages per call.
    pub const fn batched(self, batch: u64) -> Self {
        Self { batch, ..self }
    }

    /// The same with `warm` messages before the clock starts.
    pub const fn warmed(self, warm: u64) -> Self {
        Self { warm, ..self }
    }

    /// The same among threads.
    pub const fn threaded(self) -> Self {
        Self {
            threads: true,
            ..self
        }
    }

    /// `2p2c`.
    pub fn name(self) -> String {
        format!("{}p{}c", self.producers, self.consumers)
    }
}

/// Sends about `messages` messages from all producers to all consumers; returns messages per second, from the first
/// send to the last receipt. `open` runs in each worker with the worker's number, and may meet the others.
///
/// # Panics
///
/// When a message was lost, doubled or damaged.
pub fn stream<E: Endpoint>(
    shape: Shape,
    messages: u64,
    open: impl Fn(usize, &Meeting) -> E + Sync,
) -> f64 {
    let each = (messages / shape.producers as u64)
        .max(1)
        .next_multiple_of(shape.batch);
    let open = &open;
    let mut crew = Crew::new();
    for worker in 0..shape.producers + shape.consumers {
        crew.hire(move |meeting| {
            let mut end = open(worker, meeting);
            let mut turn = |lap: usize, each: u64| {
                meeting.meet();
                if worker < shape.producers {
                    let first = worker as u64 * each;
                    produce(&mut end, meeting, shape, lap, first..first + each)
                } else {
                    consume(&mut end, shape)
                }
            };
            turn(1, shape.warm.next_multiple_of(shape.batch));
            let report = turn(2, each);
            meeting.meet();
            report
        });
    }
    let reports = if shape.threads {
        crew.run_as_threads()
    } else {
        crew.run()
    };
    let (sent, received) = reports.split_at(shape.producers);
    verify(sent, received);
    rate(&reports, each * shape.producers as u64)
}

fn produce<E: Endpoint>(
    end: &mut E,
    meeting: &Meeting,
    shape: Shape,
    lap: usize,
    seqs: Range<u64>,
) -> Report {
    let begin = ticks();
    if shape.batch == 1 {
        seqs.clone().for_each(|seq| end.send(seq));
    } else {
        let starts = seqs.clone().step_by(shape.batch as usize);
        starts.for_each(|first| end.send_batch(first..first + shape.batch));
    }
    let finish = ticks();
    if meeting.finish() == lap * shape.producers {
        // Everything was sent before, so every consumer's mark comes after every message.
        (0..shape.consumers).for_each(|_| end.send(END));
    }
    let count = seqs.end - seqs.start;
    let sum = seqs.clone().fold(0, u64::wrapping_add);
    let check = seqs.fold(0, |sum: u64, seq| sum.wrapping_add(end.check(seq)));
    Report {
        begin,
        end: finish,
        count,
        sum,
        check,
        ..Report::default()
    }
}

fn consume<E: Endpoint>(end: &mut E, shape: Shape) -> Report {
    let begin = ticks();
    let mut found = Batch::default();
    while found.ends == 0 {
        if shape.batch == 1 {
            found.add(end.receive());
        } else {
            end.receive_batch(shape.batch, &mut found);
        }
    }
    let finish = ticks();
    // A batch may have held the marks of other consumers.
    (1..found.ends).for_each(|_| end.send(END));
    Report {
        begin,
        end: finish,
        count: found.count,
        sum: found.sum,
        check: found.check,
        ..Report::default()
    }
}

fn verify(sent: &[Report], received: &[Report]) {
    let total =
        |side: &[Report], of: fn(&Report) -> u64| side.iter().map(of).fold(0, u64::wrapping_add);
    for (what, of) in [
        (
            "messages",
            (|report: &Report| report.count) as fn(&Report) -> u64,
        ),
        ("sequence numbers", |report| report.sum),
        ("payload words", |report| report.check),
    ] {
        assert_eq!(total(sent, of), total(received, of), "sum of {what}");
    }
}

/// Operations per second from the first worker's begin to the last worker's end.
pub fn rate(reports: &[Report], operations: u64) -> f64 {
    let begin = reports.iter().map(|report| report.begin).min().unwrap_or(0);
    let end = reports.iter().map(|report| report.end).max().unwrap_or(0);
    operations as f64 / nanos(end - begin) * 1e9
}

/// Runs a workload so that it lasts about `span`: the first run is short, each one corrects the size of the next.
pub fn sized<'a>(span: Duration, mut run: impl FnMut(u64) -> f64 + 'a) -> impl FnMut() -> f64 + 'a {
    let known = Cell::new(None);
    let wanted = move |rate: f64| (rate * span.as_secs_f64()).max(64.0) as u64;
    move || {
        let size = known.get().unwrap_or_else(|| wanted(run(2_000)));
        let rate = run(size);
        known.set(Some(wanted(rate)));
        rate
    }
}

/// One process that sends to itself: nanoseconds for one send and one receive, warm.
pub fn pair<E: Endpoint>(pairs: u64, open: impl Fn(usize, &Meeting) -> E + Sync) -> f64 {
    let mut crew = Crew::new();
    crew.hire(|meeting| {
        let mut end = open(0, meeting);
        let mut found = Batch::default();
        let turn = |end: &mut E, found: &mut Batch, seq: u64| {
            end.send(seq);
            found.add(end.receive());
        };
        (0..2_000).for_each(|seq| turn(&mut end, &mut found, seq));
        let begin = ticks();
        (0..pairs).for_each(|seq| turn(&mut end, &mut found, seq));
        let finish = ticks();
        assert_eq!(found.count, pairs + 2_000, "messages");
        Report {
            begin,
            end: finish,
            count: pairs,
            sum: found.sum,
            check: found.check,
            ..Report::default()
        }
    });
    let report = crew.run()[0];
    nanos(report.end - report.begin) / pairs as f64
}
