//! The pool's cell: workers are killed in the middle of chunks.

use std::sync::mpsc::channel;
use std::thread;

use multiproc::{MapError, Pool, TaskError, Value};

use crate::cell::HANG;
use crate::common::numbers::size;

/// Tasks of a map, and of a chunk.
const TASKS: u64 = 1000;
const CHUNK: usize = 50;

fn square(n: u64, runs: Value<u64>) -> u64 {
    runs.fetch_add(1);
    n * n
}

/// Each task has its result, but for those that a worker died with; none is run twice.
pub fn workers_killed() {
    let pool = Pool::new(2).expect("two workers").chunk(CHUNK);
    let runs = Value::new(0).expect("a count");
    let (wanted, mut kills, mut died) = (size("MULTIPROC_KILLS", 100), 0, 0);
    while kills < wanted {
        let before = runs.load();
        let failed = map_and_kill(&pool, &runs);
        kills += 2;
        died += failed;
        let run = runs.load() - before;
        let may_be = TASKS - failed..=TASKS;
        assert!(
            may_be.contains(&run),
            "{run} runs of {TASKS} tasks, {failed} deaths"
        );
    }
    println!("  pool workers: {kills} kills, {died} tasks died with them");
}

/// One map during which two workers are killed; how many tasks died.
fn map_and_kill(pool: &Pool, runs: &Value<u64>) -> u64 {
    let (done, answer) = channel();
    let caller = pool.clone();
    let items: Vec<_> = (0..TASKS).map(|n| (n, runs.clone())).collect();
    let before = runs.load();
    let caller = thread::spawn(move || {
        // Who waits no more has said why.
        let _ = done.send(caller.starmap(square, items));
    });
    for (worker, begun) in [TASKS / 5, TASKS / 2].into_iter().enumerate() {
        while runs.load() - before < begun && !caller.is_finished() {
            thread::yield_now();
        }
        let pids = pool.pids();
        // SAFETY: a worker of this pool, or nobody any more.
        unsafe { libc::kill(pids[worker % pids.len()], libc::SIGKILL) };
    }
    let results = answer.recv_timeout(HANG);
    let results = results.expect("what is left of a chunk goes out again");
    caller.join().expect("the map was heard");
    check(results)
}

fn check(results: Result<Vec<u64>, MapError<u64>>) -> u64 {
    let (results, failures) = match results {
        Ok(results) => (results.into_iter().enumerate().collect(), Vec::new()),
        Err(error) => (error.results, error.failures),
    };
    let squares = |&(at, n): &(usize, u64)| n == (at * at) as u64;
    assert!(results.iter().all(squares), "a result of another task");
    let is_death = |(_, error): &(usize, TaskError)| matches!(error, TaskError::WorkerDied { .. });
    assert!(failures.iter().all(is_death), "{failures:?}");
    assert!(failures.len() <= 2, "{failures:?}");
    assert_eq!(
        (results.len() + failures.len()) as u64,
        TASKS,
        "results and failures"
    );
    failures.len() as u64
}
