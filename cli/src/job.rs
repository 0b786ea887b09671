//! The main job: producers, workers, and this process, which merges their results.

use std::ops::ControlFlow;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use multiproc::{Error, ErrorKind, GetTimeoutError, Lease, Process, Queue};

use crate::aggregate::Aggregate;
use crate::args::Options;
use crate::chaos::Chaos;
use crate::crew::Crew;
use crate::feed::{Fed, feed};
use crate::interrupt::{Deferred, Interrupt};
use crate::outcome::Outcome;
use crate::producer::produce;
use crate::progress::Progress;
use crate::record::{ArchivedPartial, Partial, Produced, Record, Task};
use crate::walk::Input;
use crate::worker::Pace;

/// How often this process looks after its children while results come in.
const TICK: Duration = Duration::from_millis(2);
/// Leases that all workers together may hold: there is room for 1,024 in a queue of this capacity. Fewer would mean more
/// reports, each with most of the same words; more, and a kill would cost more work.
const LEASES: u32 = 960;
/// A worker reports after so long at the latest.
const LONGEST_PACE: Duration = Duration::from_millis(250);
/// Deliveries of a record before this process counts it itself.
const DELIVERIES: u8 = 127;
/// The seat in a partial that no worker sent: a mark of this process's own.
const MARK: u32 = u32::MAX;

/// Why a job has no outcome.
#[derive(Debug)]
pub enum Ended {
    /// A signal asked for it; this is the exit status.
    Interrupted(u8),
    /// Something failed.
    Failed(Error),
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Ended::Failed(error)
    }
}

/// Runs the whole job with processes of its own, and leaves none of them behind, however it ends.
///
/// # Errors
///
/// When a signal asked for the end, or a process or a queue failed.
pub fn run(named: &[Input], options: &Options, interrupt: &Interrupt) -> Result<Outcome, Ended> {
    let start = Instant::now();
    let signals = interrupt.defer();
    let mut job = Job::start(named, options)?;
    let outcome = match job.work(&signals) {
        Ok(()) => job.finish(start).map_err(Ended::from),
        Err(ended) => {
            job.stop();
            Err(ended)
        }
    };
    // Ctrl-C reaches the children as well, and their death may be noticed first.
    match signals.status() {
        Some(status) => Err(Ended::Interrupted(status)),
        None => outcome,
    }
}

struct Job {
    tasks: Queue<Task>,
    records: Queue<Record>,
    results: Queue<Partial>,
    /// Those that still run, and what the others did.
    producers: Vec<Process<Produced>>,
    produced: Produced,
    crew: Crew,
    feeder: JoinHandle<Fed>,
    chaos: Option<Chaos>,
    aggregate: Aggregate,
    letters: Letters,
    progress: Progress,
}

impl Job {
    fn start(named: &[Input], options: &Options) -> multiproc::Result<Self> {
        let tasks = Queue::builder().capacity(256).anonymous()?;
        // Most records are longer than any slot and lie in blocks, so that leasing one moves no byte of it.
        let records = Queue::builder()
            .capacity(options.capacity)
            .message_size(SLOT)
            .max_deliveries(DELIVERIES)
            .anonymous()?;
        let places = options.workers as usize;
        let results = Queue::builder()
            .capacity(2 * places + 8)
            .message_size(SLOT)
            .anonymous()?;
        let crew = Crew::start(&records, &results, options.workers, pace(options))?;
        let producers = (0..options.producers).map(|n| {
            let builder = Process::builder()
                .name(format!("producer-{n}"))
                .daemon(true);
            builder.spawn(produce, (tasks.clone(), records.clone()))
        });
        let producers = producers.collect::<multiproc::Result<_>>()?;
        let progress = Progress::new(options);
        Ok(Job {
            feeder: feeder(named.to_vec(), options, tasks.clone(), progress.clone()),
            tasks,
            records,
            results,
            producers,
            produced: Produced::default(),
            crew,
            chaos: options.chaos.map(Chaos::new),
            aggregate: Aggregate::new(places),
            letters: Letters::default(),
            progress,
        })
    }

    /// Merges results until all records that were put are merged.
    fn work(&mut self, signals: &Deferred<'_>) -> Result<(), Ended> {
        let results = self.results.clone();
        let mut looked = Instant::now();
        while !self.is_done() {
            match results.get_timeout(self.patience()) {
                Ok(partial) => self.merge(&partial)?,
                Err(GetTimeoutError::Timeout) => {}
                Err(error) => return Err(Ended::Failed(error.into())),
            }
            if let Some(status) = signals.status() {
                return Err(Ended::Interrupted(status));
            }
            if looked.elapsed() >= self.patience() {
                self.look_after()?;
                looked = Instant::now();
            }
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.producers.is_empty()
            && self.aggregate.merged() == self.produced.records
            && (self.chaos.is_none() || self.crew.killed() > 0)
    }

    fn patience(&self) -> Duration {
        let chaos = self.chaos.as_ref().map_or(TICK, Chaos::pause);
        chaos.min(TICK)
    }

    fn merge(&mut self, partial: &ArchivedPartial) -> multiproc::Result<()> {
        if partial.seat == MARK {
            self.progress.add(self.letters.count(&mut self.aggregate));
            return Ok(());
        }
        let merged = self.aggregate.merge(partial);
        let bytes = merged.map_err(|_| {
            let text = "a partial result covers records that were counted and others that were not";
            Error::new(ErrorKind::Corrupt, text)
        })?;
        self.progress.add(bytes);
        self.crew.made_progress();
        Ok(())
    }

    /// What is to be done now and then: about children that ended, letters, chaos.
    fn look_after(&mut self) -> multiproc::Result<()> {
        self.tend_producers()?;
        self.crew.tend()?;
        if self.crew.killed() > 0 {
            self.letters.collect(&self.records, &self.results);
        }
        // The first kill must not come too late for there to be anything left to do.
        let late = self.producers.is_empty() && self.crew.killed() == 0;
        let places = self.aggregate.shares.len();
        if let Some(victim) = self
            .chaos
            .as_mut()
            .and_then(|chaos| chaos.victim(places, late))
        {
            self.crew.kill(victim)?;
        }
        Ok(())
    }

    /// Adds what ended producers did. One that died took its place in the input with it: that ends the job.
    fn tend_producers(&mut self) -> multiproc::Result<()> {
        let mut running = Vec::new();
        for producer in self.producers.drain(..) {
            match producer.try_join()? {
                Some(produced) => self.produced.add(produced),
                None => running.push(producer),
            }
        }
        self.producers = running;
        Ok(())
    }

    /// Lets the workers end, and puts everything together.
    fn finish(mut self, start: Instant) -> multiproc::Result<Outcome> {
        let elapsed = start.elapsed();
        self.progress.finish();
        self.records.close();
        self.crew.finish()?;
        let mut workers = self.aggregate.shares.clone();
        for (worker, kills) in workers.iter_mut().zip(&self.crew.kills) {
            worker.kills = *kills;
        }
        Ok(Outcome {
            fed: self.feeder.join().expect("the feeder does not panic"),
            latency: self.aggregate.latency(),
            queue_share: self.aggregate.queue_share(),
            tally: self.aggregate.tally,
            table: self.aggregate.table,
            produced: self.produced,
            elapsed,
            workers,
            kills: self.crew.killed(),
            redelivered: self.records.stats().redelivered,
            verified: false,
        })
    }

    /// Ends all children.
    fn stop(&self) {
        self.progress.finish();
        self.tasks.close();
        for producer in &self.producers {
            // It may have ended already; then there is nothing to do.
            let _ = producer.kill();
            let _ = producer.join();
        }
        self.crew.stop();
    }
}

/// Bytes of a message that lie in the queue itself.
const SLOT: usize = 512;

/// When workers report: often enough that under chaos most of them live to do it.
fn pace(options: &Options) -> Pace {
    let time = options
        .chaos
        .map_or(LONGEST_PACE, |every| (every / 4).min(LONGEST_PACE));
    Pace {
        records: (LEASES / options.workers).max(1),
        time_ns: time.as_nanos() as u64,
    }
}

/// Walks and hands out tasks beside everything else.
fn feeder(
    named: Vec<Input>,
    options: &Options,
    tasks: Queue<Task>,
    progress: Progress,
) -> JoinHandle<Fed> {
    let (all, repeat) = (options.all, options.repeat);
    thread::spawn(move || {
        let fed = feed(&named, all, repeat, |task| {
            progress.expect(&task, repeat);
            match tasks.put(task) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        });
        tasks.close();
        fed
    })
}

/// Records that no worker survived: this process counts them itself.
///
/// A partial that covers such a record may still be in the results. So a mark is put behind everything that is there,
/// and the record is counted when the mark comes out: by then, what was before it was merged.
#[derive(Debug, Default)]
struct Letters {
    waiting: Vec<Lease<Record>>,
    marked: bool,
}

impl Letters {
    /// Takes the dead letters, if there are any, and puts the mark.
    fn collect(&mut self, records: &Queue<Record>, results: &Queue<Partial>) {
        if self.waiting.is_empty() {
            self.waiting = records.dead_letters();
        }
        if !self.waiting.is_empty() && !self.marked {
            let mark = Partial {
                seat: MARK,
                ..Partial::default()
            };
            // When there is no room, the next look has another try.
            self.marked = results.try_put(&mark).is_ok();
        }
    }

    /// Counts the letters that were waiting for the mark; returns their bytes.
    fn count(&mut self, aggregate: &mut Aggregate) -> u64 {
        self.marked = false;
        let letters = self.waiting.drain(..);
        letters
            .map(|letter| {
                let bytes = aggregate.count_here(letter.id(), &letter.block);
                letter.ack();
                bytes
            })
            .sum()
    }
}
