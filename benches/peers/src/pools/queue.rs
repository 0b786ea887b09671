//! Two queues of this library and a forked worker: what a task there and its result back cost without a pool.

use multiproc::Queue;

use super::plain::Forked;
use super::pool::{Pool, square, windowed};
use crate::harness::ours::fresh_name;

/// How many tasks and how many results the queues hold.
const CAPACITY: usize = 1024;

/// The number of a task, and its argument or result.
type Numbered = Queue<[u64; 2]>;

/// A queue of tasks, which the workers share, and one of results.
#[derive(Debug)]
pub struct Queues {
    _workers: Forked,
    tasks: Numbered,
    results: Numbered,
}

fn create(name: &str) -> Numbered {
    let knobs = Queue::builder().capacity(CAPACITY).prefault(true);
    knobs.name(name).create().expect("a queue")
}

fn open(name: &str) -> Numbered {
    Queue::builder().name(name).open().expect("a queue")
}

impl Pool for Queues {
    const NAME: &'static str = "multiproc Queue, and back";

    fn start() -> Self {
        let names = [fresh_name(), fresh_name()];
        let [tasks, results] = names.each_ref().map(|name| create(name));
        let mut ends = None;
        let workers = Forked::start(|_| {
            let (tasks, results) = ends.get_or_insert_with(|| (open(&names[0]), open(&names[1])));
            let (task, x) = take(tasks);
            put(results, task, square(x));
        });
        Self {
            _workers: workers,
            tasks,
            results,
        }
    }

    fn squares(&mut self, tasks: u64) -> Vec<u64> {
        let give = |pool: &mut Self, x| put(&pool.tasks, x, x);
        let window = CAPACITY as u64;
        windowed(self, (tasks, window), give, |pool| take(&pool.results))
    }

    fn apply(&mut self, x: u64) -> u64 {
        put(&self.tasks, x, x);
        take(&self.results).1
    }
}

#[inline]
fn put(queue: &Numbered, task: u64, value: u64) {
    queue.put([task, value]).expect("an open queue");
}

#[inline]
fn take(queue: &Numbered) -> (u64, u64) {
    let message = queue.get().expect("a message");
    (message[0].to_native(), message[1].to_native())
}
