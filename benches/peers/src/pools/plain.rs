//! Bare rings in shared memory between the caller and two forked workers: what no pool can beat that survives a crash.

use std::ops::Range;

use super::pool::{Bulk, Pool, WORKERS, square, windowed};
use crate::harness::baseline::{PlainRing, Record, Records, Words};
use crate::harness::{Endpoint, Payload, Victim};

const NAME: &str = "plain ring";

/// How many tasks and how many results the rings hold.
const CAPACITY: u64 = 1024;

/// A task, or a result: the number of the task, and its argument or result.
type Numbered = PlainRing<Words<2>>;

/// Forked workers, who work until they are killed.
#[derive(Debug)]
pub struct Forked([Victim; WORKERS]);

impl Forked {
    /// Starts workers who do `work` again and again, each with its number.
    pub fn start(mut work: impl FnMut(usize)) -> Self {
        // The caller runs on processor 0.
        Self([0, 1].map(|worker| {
            Victim::start(worker + 1, || {
                loop {
                    work(worker);
                }
            })
        }))
    }
}

impl Drop for Forked {
    fn drop(&mut self) {
        for worker in self.0 {
            worker.kill();
            worker.reap();
        }
    }
}

/// Tasks in one ring, results in another: one lane that both workers share, or one for each.
#[derive(Debug)]
pub struct Plain<const LANES: usize> {
    _workers: Forked,
    tasks: [Numbered; LANES],
    results: [Numbered; LANES],
}

impl<const LANES: usize> Pool for Plain<LANES> {
    const NAME: &'static str = match LANES {
        1 => NAME,
        _ => "plain rings, half to each",
    };
    const SLEEPS: bool = false;

    fn start() -> Self {
        let rings = || std::array::from_fn(|_| Numbered::new(CAPACITY));
        let (tasks, results): ([Numbered; LANES], [Numbered; LANES]) = (rings(), rings());
        let workers = Forked::start(|worker| {
            let lane = worker % LANES;
            let [task, x] = tasks[lane].pop(|task| *task);
            put(&results[lane], [task, square(x)]);
        });
        Self {
            _workers: workers,
            tasks,
            results,
        }
    }

    fn squares(&mut self, tasks: u64) -> Vec<u64> {
        let mut lanes = (0..LANES).cycle();
        let give = |pool: &mut Self, x| put(&pool.tasks[x as usize % LANES], [x, x]);
        let take = |pool: &mut Self| take(&pool.results[lanes.next().expect("a lane")]);
        windowed(self, (tasks, CAPACITY), give, take)
    }

    fn apply(&mut self, x: u64) -> u64 {
        put(&self.tasks[0], [x, x]);
        take(&self.results[0]).1
    }
}

#[inline]
fn put(ring: &Numbered, item: Words<2>) {
    ring.push(|slot| {
        slot.write(item);
    });
}

#[inline]
fn take(ring: &Numbered) -> (u64, u64) {
    ring.pop(|[task, result]| (*task, *result))
}

/// The same for long arguments, which are written and read in place.
#[derive(Debug)]
pub struct PlainBulk {
    _workers: Forked,
    tasks: PlainRing<Record<{ super::MIB }>>,
    results: Numbered,
    payload: Payload,
}

impl Bulk for PlainBulk {
    const NAME: &'static str = NAME;

    fn start(payload: &Payload) -> Self {
        let (tasks, results) = (
            PlainRing::new(super::OUTSTANDING),
            Numbered::new(super::OUTSTANDING),
        );
        let workers = Forked::start(|_| {
            let (seq, sum) = Records::new(&tasks, payload.clone()).receive();
            put(&results, [seq, sum]);
        });
        Self {
            _workers: workers,
            tasks,
            results,
            payload: payload.clone(),
        }
    }

    fn sums(&mut self, seqs: Range<u64>) -> Vec<u64> {
        let mut sums = vec![0; (seqs.end - seqs.start) as usize];
        let mut arguments = Records::new(&self.tasks, self.payload.clone());
        seqs.clone().for_each(|seq| arguments.send(seq));
        for _ in seqs.clone() {
            let (seq, sum) = take(&self.results);
            sums[(seq - seqs.start) as usize] = sum;
        }
        sums
    }
}
