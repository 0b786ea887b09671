//! The pool as its users see it: order, failures, deaths, cancelling, ends.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use multiproc::{Bytes, ErrorKind, Event, In, Pool, Process, Queue, TaskError, Value};

const PATIENCE: Duration = Duration::from_secs(60);

fn square(n: u64) -> u64 {
    n * n
}

fn kill_worker(pid: i32) {
    // SAFETY: a worker of this test's pool, or nobody any more.
    unsafe { libc::kill(pid, libc::SIGKILL) };
}

fn die(n: u64) -> u64 {
    if n == 3 {
        std::process::abort();
    }
    n
}

#[test]
fn results_come_in_the_order_of_the_items() {
    let pool = Pool::new(3).unwrap();
    for count in [0, 1, 5, 1000, 10_000] {
        let squares = pool.map(square, 0..count).unwrap();
        assert!(squares.into_iter().eq((0..count).map(square)), "{count}");
    }
    let words = ["a", "bc", "def"];
    assert_eq!(
        pool.map(|s: String| s.len() as u64, words).unwrap(),
        [1, 2, 3]
    );
    let sums = pool.starmap(|a: u64, b: String| format!("{a}{b}"), [(1, "x".into())]);
    assert_eq!(sums.unwrap(), ["1x"]);
    assert_eq!(pool.progress().outstanding(), 0);
}

#[test]
fn a_stream_takes_no_more_of_an_endless_input_than_it_has_use_for() {
    static TAKEN: AtomicU64 = AtomicU64::new(0);
    let pool = Pool::new(2).unwrap();
    let endless = (0..).inspect(|_| _ = TAKEN.fetch_add(1, Relaxed));
    let some: Vec<_> = pool.imap(square, endless).take(100).flatten().collect();
    assert!(some.into_iter().eq((0..100).map(square)));
    assert!(TAKEN.load(Relaxed) < 10_000);
    let again: u64 = pool.imap_unordered(square, 0..1000).flatten().sum();
    assert_eq!(again, (0..1000).map(square).sum::<u64>());
}

#[test]
fn a_stream_that_is_dropped_leaves_out_what_nobody_has_begun() {
    type Item = (u64, Value<u64>, Event, Event);
    fn count((n, runs, begun, go_on): Item) -> u64 {
        if n == 1 {
            begun.set();
            go_on.wait();
        }
        runs.fetch_add(1)
    }
    let pool = Pool::new(1).unwrap();
    let (begun, go_on) = (Event::new().unwrap(), Event::new().unwrap());
    let runs = Value::new(0u64).unwrap();
    let items = (0..100).map(|n| (n, runs.clone(), begun.clone(), go_on.clone()));
    let mut stream = pool.imap(count, items);
    assert_eq!(stream.next(), Some(Ok(0)));
    begun.wait();
    drop(stream);
    go_on.set();
    let last = pool.apply(|runs: Value<u64>| runs.load(), (runs,));
    assert_eq!(last.get(), Ok(2));
}

#[test]
fn streams_of_one_pool_can_feed_one_another() {
    let pool = Pool::new(2).unwrap();
    let squares = pool.imap(square, 0..3000).map(Result::unwrap);
    let fourth: Vec<_> = pool.imap(square, squares).flatten().collect();
    assert!(fourth.into_iter().eq((0..3000).map(square).map(square)));
}

#[test]
fn failures_and_panics_are_those_of_their_tasks_alone() {
    fn picky(n: u64) -> std::io::Result<u64> {
        assert_ne!(n, 2, "not this one");
        match n {
            4 => Err(std::io::Error::other("nor that one")),
            n => Ok(n),
        }
    }
    let pool = Pool::new(2).unwrap();
    let error = pool.map(picky, 0..6u64).unwrap_err();
    assert_eq!(error.results, [(0, 0), (1, 1), (3, 3), (5, 5)]);
    let [
        (2, TaskError::Panicked(panic)),
        (4, TaskError::Failed { text, .. }),
    ] = &error.failures[..]
    else {
        panic!("{:?}", error.failures);
    };
    assert!(panic.message.contains("not this one"));
    assert!(panic.location.as_ref().unwrap().contains("tests/pool.rs"));
    assert!(text.contains("nor that one"));
    assert!(error.to_string().contains("2 of 6 tasks have no result"));
    assert_eq!(pool.progress().failed, 2);
}

#[test]
fn a_death_costs_the_task_in_hand_and_nothing_else() {
    let pool = Pool::new(2).unwrap();
    let error = pool.map(die, 0..100u64).unwrap_err();
    assert_eq!(error.results.len(), 99);
    assert!(error.results.iter().all(|&(at, n)| at as u64 == n));
    let [(3, TaskError::WorkerDied { pid, signal, .. })] = error.failures[..] else {
        panic!("{:?}", error.failures);
    };
    assert_eq!(signal, Some(libc::SIGABRT));
    assert!(!pool.pids().contains(&pid));
    assert_eq!((pool.pids().len(), pool.progress().replaced), (2, 1));
}

#[test]
fn tasks_that_all_kill_their_workers_do_not_wear_the_pool_out() {
    fn abort(_: u64) {
        std::process::abort()
    }
    let pool = Pool::new(1).unwrap();
    let error = pool.map(abort, 0..40u64).unwrap_err();
    let by_death = |(_, error): &(usize, TaskError)| matches!(error, TaskError::WorkerDied { .. });
    assert!(error.failures.len() == 40 && error.failures.iter().all(by_death));
    assert_eq!(pool.apply(square, (5,)).get(), Ok(25));
}

#[test]
fn a_task_that_may_be_run_again_is_until_it_has_killed_enough() {
    fn die_twice(tries: Value<u64>) -> u64 {
        if tries.fetch_add(1) < 2 {
            std::process::abort();
        }
        tries.load()
    }
    let pool = Pool::builder().workers(2).retries(2).build().unwrap();
    let tries = Value::new(0).unwrap();
    let task = pool.idempotent().apply(die_twice, (tries.clone(),));
    assert_eq!(task.get(), Ok(3));
    assert!((1..=2).contains(&pool.progress().retried));
    let pool = Pool::builder().workers(1).build().unwrap();
    tries.store(0);
    let task = pool.idempotent().apply(die_twice, (tries.clone(),));
    assert!(matches!(task.get(), Err(TaskError::WorkerDied { .. })));
    assert_eq!(tries.load(), 2, "begun twice, and not a third time");
}

fn count_and_square(n: u64, runs: Value<u64>) -> u64 {
    runs.fetch_add(1);
    square(n)
}

/// So many workers are killed in a map.
const KILLS: u64 = 50;

/// Runs maps of `count` tasks in which workers are killed, until there were `kills`: every task is run once and no more, but
/// for those that a worker died with.
fn kill_during_maps(pool: &Pool, count: u64, kills: u32) {
    let runs = Value::new(0).unwrap();
    let (mut killed, mut tasks, mut died) = (0, 0, 0);
    while killed < kills {
        let items = (0..count).map(|n| (n, runs.clone()));
        let (victim, before) = (pool.clone(), pool.progress());
        let killer = thread::spawn(move || {
            let is_going_on = |done: u64| victim.progress().done - before.done >= done;
            let mut killed = 0;
            for done in (0..KILLS).map(|n| (2 * n + 1) * count / (2 * KILLS + 4)) {
                while !is_going_on(done) {
                    thread::yield_now();
                }
                kill_worker(victim.pids()[killed % 2]);
                killed += 1;
            }
            killed as u32
        });
        let (results, failures) = match pool.starmap(count_and_square, items) {
            Ok(results) => (results.into_iter().enumerate().collect(), Vec::new()),
            Err(error) => (error.results, error.failures),
        };
        killed += killer.join().unwrap();
        assert!(results.iter().all(|&(at, n)| square(at as u64) == n));
        let by_death =
            |(_, error): &(usize, TaskError)| matches!(error, TaskError::WorkerDied { .. });
        assert!(failures.iter().all(by_death), "{failures:?}");
        assert_eq!(results.len() + failures.len(), count as usize);
        assert!(failures.len() <= KILLS as usize);
        tasks += count;
        died += failures.len() as u64;
    }
    let runs = runs.load();
    assert!((tasks - died..=tasks).contains(&runs), "{runs} of {tasks}");
    assert_eq!(pool.progress().outstanding(), 0);
}

fn kills(unless_said: u32) -> u32 {
    std::env::var("MULTIPROC_KILLS").map_or(unless_said, |n| n.parse().unwrap())
}

#[test]
fn kills_during_a_map_lose_no_result_and_double_none() {
    let pool = Pool::new(2).unwrap();
    kill_during_maps(&pool.chunk(1), 100_000, kills(200) / 2);
    kill_during_maps(&pool, 100_000, kills(200) / 2);
}

#[test]
fn kills_during_a_map_in_large_chunks_lose_no_result_and_double_none() {
    let pool = Pool::new(2).unwrap();
    kill_during_maps(&pool.chunk(500), 100_000, kills(200) / 10);
}

#[test]
fn a_death_in_a_chunk_costs_the_task_in_hand_and_nothing_else() {
    fn die_of_three(n: u64, runs: Value<u64>) -> u64 {
        runs.fetch_add(1);
        die(n)
    }
    let pool = Pool::new(2).unwrap();
    let runs = Value::new(0).unwrap();
    let items = (0..200).map(|n| (n, runs.clone()));
    let error = pool.chunk(50).starmap(die_of_three, items).unwrap_err();
    assert!(matches!(
        error.failures[..],
        [(3, TaskError::WorkerDied { .. })]
    ));
    let others = (0..200).filter(|n| *n != 3);
    assert!(
        error
            .results
            .into_iter()
            .eq(others.map(|n| (n as usize, n)))
    );
    assert_eq!(runs.load(), 200, "each was begun once");
    assert_eq!((pool.progress().failed, pool.progress().replaced), (1, 1));
}

#[test]
fn a_chunk_of_which_every_task_kills_goes_on_to_its_end() {
    fn abort(n: u64) -> u64 {
        if n.is_multiple_of(2) {
            std::process::abort();
        }
        n
    }
    let pool = Pool::new(2).unwrap();
    let error = pool.chunk(100).map(abort, 0..20u64).unwrap_err();
    assert!(
        error
            .failures
            .iter()
            .map(|(at, _)| *at)
            .eq((0..20).step_by(2))
    );
    assert!(
        error
            .results
            .iter()
            .map(|(at, _)| *at)
            .eq((1..20).step_by(2))
    );
}

#[test]
fn a_task_of_a_chunk_that_may_be_run_again_is_and_its_neighbours_are_not() {
    fn die_once(n: u64, tries: Value<u64>) -> u64 {
        if n % 10 == 7 && tries.fetch_add(1).is_multiple_of(2) {
            std::process::abort();
        }
        n
    }
    let pool = Pool::new(2).unwrap();
    let tries = Value::new(0).unwrap();
    let items = (0..40).map(|n| (n, tries.clone()));
    let again = pool.chunk(40).idempotent();
    assert!(
        again
            .starmap(die_once, items)
            .unwrap()
            .into_iter()
            .eq(0..40)
    );
    assert_eq!((tries.load(), pool.progress().retried), (8, 4));
}

#[test]
fn chunks_are_left_where_they_are_when_nobody_wants_the_rest() {
    type Item = (u64, Value<u64>, Event, Event);
    fn count((n, runs, begun, go_on): Item) -> u64 {
        if n == 5 {
            begun.set();
            go_on.wait();
        }
        runs.fetch_add(1)
    }
    let pool = Pool::new(1).unwrap();
    let (begun, go_on) = (Event::new().unwrap(), Event::new().unwrap());
    let runs = Value::new(0u64).unwrap();
    let items = (0..100).map(|n| (n, runs.clone(), begun.clone(), go_on.clone()));
    let mut stream = pool.chunk(50).imap(count, items);
    assert_eq!(
        stream.next(),
        Some(Ok(0)),
        "a result waits for no other of its chunk"
    );
    begun.wait();
    drop(stream);
    go_on.set();
    let last = pool.apply(|runs: Value<u64>| runs.load(), (runs,));
    assert_eq!(last.get(), Ok(6));
    fn check(n: u64) -> std::io::Result<u64> {
        match n {
            ..70 => Ok(n),
            _ => Err(std::io::Error::other("too large")),
        }
    }
    let error = pool.chunk(64).try_map(check, 0..1_000_000_000).unwrap_err();
    assert_eq!((error.results.len(), error.failures[0].0), (70, 70));
    while pool.progress().outstanding() > 0 {
        thread::yield_now(); // the task that had begun
    }
}

#[test]
fn chunks_carry_arguments_and_results_of_any_length() {
    let pool = Pool::new(2).unwrap();
    let words: Vec<String> = (0..500).map(|n| "word".repeat(n * n % 97)).collect();
    let longest = ["x".repeat(40_000), String::new(), "y".repeat(1 << 20)];
    let words: Vec<String> = words.into_iter().chain(longest).collect();
    for pool in [pool.chunk(64), pool.chunk(usize::MAX), pool] {
        let doubled = pool
            .map(|word: String| word.clone() + &word, &words)
            .unwrap();
        assert!(
            doubled
                .into_iter()
                .eq(words.iter().map(|word| word.repeat(2)))
        );
        let lengths = pool.map(|word: In<'_, String>| word.len() as u64, &words);
        assert!(
            lengths
                .unwrap()
                .into_iter()
                .eq(words.iter().map(|w| w.len() as u64))
        );
        let wide = pool.map(|n: u8| u128::from(n) << 100, 0..200).unwrap();
        assert!(wide.into_iter().eq((0..200).map(|n| n << 100)));
        let none = pool.map(|(): ()| (), vec![(); 3000]).unwrap();
        assert_eq!(none.len(), 3000);
    }
}

#[test]
fn kills_during_a_map_that_may_be_run_again_cost_nothing() {
    let pool = Pool::builder().workers(2).retries(100).build().unwrap();
    for _ in 0..5 {
        let victim = pool.clone();
        let before = pool.progress().done;
        let killer = thread::spawn(move || {
            while victim.progress().done < before + 5_000 {
                thread::yield_now();
            }
            victim.pids().into_iter().for_each(kill_worker);
        });
        let squares = pool.idempotent().map(square, 0..20_000).unwrap();
        assert!(squares.into_iter().eq((0..20_000).map(square)));
        killer.join().unwrap();
    }
}

#[test]
fn tasks_that_nobody_waits_for_are_run_all_the_same() {
    let pool = Pool::new(2).unwrap();
    let (runs, over) = (Value::new(0u64).unwrap(), Event::new().unwrap());
    fn count(runs: Value<u64>, over: Event) {
        if runs.fetch_add(1) == 4_999 {
            over.set();
        }
    }
    let tasks: Vec<_> = (0..5_000)
        .map(|_| pool.apply(count, (runs.clone(), over.clone())))
        .collect();
    assert!(over.wait_timeout(PATIENCE).is_ok());
    assert!(tasks.into_iter().all(|task| task.get() == Ok(())));
}

#[test]
fn several_threads_share_a_pool() {
    let pool = Pool::new(2).unwrap();
    thread::scope(|scope| {
        for thread in 0..4 {
            let pool = pool.clone();
            scope.spawn(move || {
                for round in 0..20 {
                    let from = thread * 1_000_000 + round;
                    let squares = pool.map(square, from..from + 500).unwrap();
                    assert!(squares.into_iter().eq((from..from + 500).map(square)));
                    assert_eq!(pool.apply(square, (from,)).get(), Ok(square(from)));
                }
            });
        }
    });
    assert_eq!(pool.progress().done, 4 * 20 * 501);
}

fn hold(begun: Event, go_on: Event) {
    begun.set();
    go_on.wait();
}

#[test]
fn a_task_is_cancelled_before_it_begins_and_while_it_runs() {
    let pool = Pool::new(1).unwrap();
    let (begun, go_on) = (Event::new().unwrap(), Event::new().unwrap());
    let running = pool.apply(hold, (begun.clone(), go_on.clone()));
    let runs = Value::new(0u64).unwrap();
    fn count(runs: Value<u64>) -> u64 {
        runs.fetch_add(1)
    }
    let waiting = pool.apply(count, (runs.clone(),));
    let last = pool.apply(count, (runs.clone(),));
    begun.wait();
    assert!(waiting.cancel());
    assert!(!waiting.cancel(), "it is over");
    assert_eq!(waiting.get(), Err(TaskError::Cancelled));
    let running = running.get_timeout(Duration::from_millis(1)).unwrap_err();
    assert!(running.cancel());
    assert_eq!(running.get(), Err(TaskError::Cancelled));
    assert_eq!(last.get(), Ok(0), "the one before it was not run");
    assert_eq!(pool.progress().replaced, 1);
}

#[test]
fn a_closed_pool_ends_what_it_has_and_takes_no_more() {
    let pool = Pool::new(2).unwrap();
    let tasks: Vec<_> = (0..100u64).map(|n| pool.apply(square, (n,))).collect();
    pool.close();
    assert_eq!(pool.apply(square, (1,)).get(), Err(TaskError::Closed));
    let error = pool.map(square, [1, 2u64]).unwrap_err();
    assert_eq!(error.failures.len(), 2);
    assert_eq!(multiproc::Error::from(error).kind(), ErrorKind::Closed);
    pool.join();
    let results: Vec<_> = tasks.into_iter().map(|task| task.get().unwrap()).collect();
    assert!(results.into_iter().eq((0..100).map(square)));
}

#[test]
fn a_dropped_pool_leaves_no_process_and_its_tasks_their_results() {
    let pool = Pool::new(2).unwrap();
    let pids = pool.pids();
    let task = pool.apply(square, (7,));
    drop(pool);
    assert_eq!(task.get(), Ok(49));
    for pid in pids {
        // SAFETY: asks only whether there is such a process.
        assert_eq!(unsafe { libc::kill(pid, 0) }, -1, "{pid} was reaped");
    }
}

#[test]
fn a_terminated_pool_is_gone_at_once() {
    let pool = Pool::new(2).unwrap();
    let (begun, never) = (Event::new().unwrap(), Event::new().unwrap());
    let stuck = pool.apply(hold, (begun.clone(), never.clone()));
    begun.wait();
    pool.terminate();
    assert_eq!(stuck.get(), Err(TaskError::Closed));
    drop(pool);
}

#[test]
fn workers_change_after_their_share_of_tasks() {
    fn pid(_: u64) -> u32 {
        std::process::id()
    }
    let pool = Pool::builder()
        .workers(1)
        .tasks_per_worker(10)
        .build()
        .unwrap();
    let mut pids = pool.map(pid, 0..100).unwrap();
    for of_one in pids.chunks(10) {
        assert!(of_one.iter().all(|&pid| pid == of_one[0]));
    }
    pids.dedup();
    assert_eq!(pids.len(), 10);
}

#[test]
fn an_initializer_that_fails_is_told_and_not_tried_for_ever() {
    fn refuse() -> std::io::Result<()> {
        Err(std::io::Error::other("no licence"))
    }
    let pool = Pool::builder()
        .workers(2)
        .initializer(refuse)
        .build()
        .unwrap();
    let Err(TaskError::NotStarted { text, .. }) = pool.apply(square, (1,)).get() else {
        panic!("nobody can have run it");
    };
    assert!(text.contains("no licence"), "{text}");
    fn abort() {
        std::process::abort()
    }
    let pool = Pool::builder()
        .workers(2)
        .initializer(abort)
        .build()
        .unwrap();
    let refused = pool.map(square, [1u64]).unwrap_err();
    assert!(matches!(
        refused.failures[..],
        [(0, TaskError::NotStarted { .. })]
    ));
}

#[test]
fn arguments_and_results_may_be_long() {
    let pool = Pool::new(2).unwrap();
    let long: Vec<Vec<u8>> = [0, 1, 100, 20_000, 1 << 20, 64 << 20]
        .iter()
        .map(|&len| (0..len).map(|n| n as u8).collect())
        .collect();
    fn reverse(bytes: Bytes) -> Bytes {
        let mut bytes = bytes.into_vec();
        bytes.reverse();
        bytes.into()
    }
    let reversed = pool
        .map(reverse, long.iter().map(|bytes| &bytes[..]))
        .unwrap();
    for (bytes, reversed) in long.iter().zip(reversed) {
        assert!(bytes.iter().rev().eq(reversed.iter()));
    }
    fn sum(bytes: In<'_, Bytes>) -> u64 {
        bytes.iter().map(|&byte| u64::from(byte)).sum()
    }
    let sums = pool.map(sum, long.iter().map(|bytes| &bytes[..])).unwrap();
    let expected = long
        .iter()
        .map(|bytes| bytes.iter().map(|&b| u64::from(b)).sum::<u64>());
    assert!(sums.into_iter().eq(expected));
    let first = |words: In<'_, Vec<String>>| words.first().map(|word| word.to_string());
    let words = [vec!["a".into(), "b".into()], Vec::<String>::new()];
    assert_eq!(pool.map(first, words).unwrap(), [Some("a".into()), None]);
    let many = (0..100).map(|_| &long[4][..]);
    let lengths = pool.map(|bytes: Bytes| bytes.len() as u64, many).unwrap();
    assert_eq!(lengths, [1 << 20; 100]);
}

#[test]
fn a_worker_can_have_a_pool() {
    fn sum_of_squares(to: u64) -> multiproc::Result<u64> {
        Ok(Pool::new(2)?.map(square, 0..to)?.iter().sum())
    }
    let pool = Pool::new(2).unwrap();
    assert_eq!(pool.map(sum_of_squares, [3, 5u64]).unwrap(), [5, 30]);
}

#[test]
fn workers_end_with_the_process_that_has_the_pool() {
    fn make_and_hang(pids: Queue<i32>) -> multiproc::Result<()> {
        let pool = Pool::new(2)?;
        for pid in pool.pids() {
            pids.put(pid)?;
        }
        loop {
            thread::park();
        }
    }
    let pids = Queue::new(2).unwrap();
    let owner = Process::spawn(make_and_hang, (pids.clone(),)).unwrap();
    let workers = [pids.get_owned().unwrap(), pids.get_owned().unwrap()];
    owner.kill().unwrap();
    owner.join().unwrap_err();
    for pid in workers {
        // Their new parent reaps them, some time.
        // SAFETY: asks only whether there is such a process.
        while unsafe { libc::kill(pid, 0) } == 0 && !is_zombie(pid) {
            thread::yield_now();
        }
    }
}

fn is_zombie(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .is_none_or(|rest| rest.trim_start().starts_with(['Z', 'X']))
}

/// Uses and drops its copy of its parent's pool in a forked child; the parent goes on.
fn fork_with_a_pool() -> multiproc::Result<bool> {
    let pool = Pool::new(1)?;
    let task = pool.apply(square, (3,));
    // SAFETY: the child does nothing but what the pool leaves to it, which waits for no other thread.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let refused = |result| {
            matches!(
                result,
                Err(TaskError::NotStarted {
                    kind: ErrorKind::Gone,
                    ..
                })
            )
        };
        let refuses = refused(pool.apply(square, (3,)).get())
            && pool.map(square, 0..5000).unwrap_err().failures.len() == 5000
            && refused(pool.imap(square, 0..3).next().unwrap())
            && task.get() == Err(TaskError::Closed);
        drop(pool);
        // SAFETY: ends the child.
        unsafe { libc::_exit(i32::from(!refuses)) };
    }
    let mut status = 0;
    // SAFETY: the child is ours, and `status` is writable.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    Ok(status == 0 && task.get() == Ok(9) && pool.map(square, [4u64])? == [16])
}

#[test]
fn a_forked_child_has_no_part_in_its_parents_pool() {
    let forks = Process::spawn(fork_with_a_pool, ()).unwrap();
    assert!(forks.join().unwrap());
}

#[test]
fn a_pool_has_workers_and_says_so() {
    let error = Pool::new(0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let pool = Pool::builder().name("named").build().unwrap();
    assert_eq!(
        pool.pids().len(),
        thread::available_parallelism().unwrap().get()
    );
    assert!(format!("{pool:?}").contains("pids"));
}
