//! Forked workers and the kernel's pipes: one of tasks, one of results, a message for each.

use std::io::{PipeReader, PipeWriter, Read, Write};

use super::plain::Forked;
use super::pool::{Pool, square, windowed};

/// How many messages fit into a pipe, half of it left free.
const WINDOW: u64 = 2048;

/// The number of a task, and its argument or result.
const MESSAGE: usize = 16;

type Ends = (PipeReader, PipeWriter);

/// A pipe of tasks, which the workers share, and one of results.
#[derive(Debug)]
pub struct Pipe {
    _workers: Forked,
    tasks: Ends,
    results: Ends,
}

impl Pool for Pipe {
    const NAME: &'static str = "pipe";

    fn start() -> Self {
        let ends = || std::io::pipe().expect("a pipe");
        let (tasks, results) = (ends(), ends());
        let workers = Forked::start(|_| {
            let (task, x) = take(&tasks);
            put(&results, task, square(x));
        });
        Self {
            _workers: workers,
            tasks,
            results,
        }
    }

    fn squares(&mut self, tasks: u64) -> Vec<u64> {
        let give = |pool: &mut Self, x| put(&pool.tasks, x, x);
        windowed(self, (tasks, WINDOW), give, |pool| take(&pool.results))
    }

    fn apply(&mut self, x: u64) -> u64 {
        put(&self.tasks, x, x);
        take(&self.results).1
    }
}

/// Messages do not mix: each is written and read in one call, and the pipe holds nothing but whole ones.
fn put(pipe: &Ends, task: u64, value: u64) {
    let mut message = [0; MESSAGE];
    message[..8].copy_from_slice(&task.to_ne_bytes());
    message[8..].copy_from_slice(&value.to_ne_bytes());
    (&pipe.1).write_all(&message).expect("a reader");
}

fn take(pipe: &Ends) -> (u64, u64) {
    let mut message = [0; MESSAGE];
    (&pipe.0).read_exact(&mut message).expect("a writer");
    let [task, value] = [0, 8].map(|at| {
        let word = message[at..][..8].try_into();
        u64::from_ne_bytes(word.expect("8 bytes"))
    });
    (task, value)
}
