//! What a pool gives its tasks beside their items, and what it does not let them take.

use std::fs;
use std::thread;

use multiproc::{Context, In, Pool, TaskError, Value};

fn kill_worker(pid: i32) {
    // SAFETY: a worker of this test's pool, or nobody any more.
    unsafe { libc::kill(pid, libc::SIGKILL) };
}

fn by_death((_, error): &(usize, TaskError)) -> bool {
    matches!(error, TaskError::WorkerDied { .. })
}

/// The number at this place of the context.
fn at(numbers: In<'_, Vec<u64>>, index: u64) -> u64 {
    numbers[index as usize].to_native()
}

/// Whether that process has an anonymous shared object of 32 MiB.
fn has_long(pid: i32) -> bool {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let lines = maps
        .lines()
        .filter(|line| line.contains("/memfd:multiproc-"));
    let mut lengths = lines.filter_map(|line| {
        let (from, to) = line.split_whitespace().next()?.split_once('-')?;
        Some(u64::from_str_radix(to, 16).ok()? - u64::from_str_radix(from, 16).ok()?)
    });
    lengths.any(|len| (32 << 20..40 << 20).contains(&len))
}

#[test]
fn every_task_reads_the_context_where_it_lies() {
    let pool = Pool::new(2).unwrap();
    let numbers: Vec<u64> = (0..10_000).map(|n| n * n).collect();
    assert_eq!(pool.map_with(&numbers, at, 0..10_000).unwrap(), numbers);
    let context = Context::new(&numbers).unwrap();
    let clone = context.clone();
    for _ in 0..3 {
        let some = pool.map_with(&context, at, (0..100).rev()).unwrap();
        assert!(some.iter().rev().eq(&numbers[..100]));
    }
    let stream = pool.imap_with(&clone, at, 0..);
    drop((context, clone)); // the stream has it
    assert!(
        stream
            .take(5000)
            .flatten()
            .eq(numbers[..5000].iter().copied())
    );
    fn both(words: In<'_, Vec<String>>, item: In<'_, String>) -> bool {
        words.iter().any(|word| **word == **item)
    }
    let words: Vec<String> = ["to", "be"].map(Into::into).into();
    let found = pool.map_with(&words, both, ["be", "not", "to"]).unwrap();
    assert_eq!(found, [true, false, true]);
    fn sum(numbers: In<'_, Vec<u64>>, (n, total): (u64, Value<u64>)) {
        total.fetch_add(numbers[n as usize].to_native());
    }
    let total = Value::new(0u64).unwrap();
    let items = (0..1000).map(|n| (n, total.clone()));
    pool.for_each_with(&numbers, sum, items).unwrap();
    assert_eq!(total.load(), numbers[..1000].iter().sum::<u64>());
    let error = pool.map_with(&numbers, at, [1, 1 << 40]).unwrap_err();
    assert!(matches!(error.failures[..], [(1, TaskError::Panicked(_))]));
}

#[test]
fn contexts_take_turns() {
    let pool = Pool::new(2).unwrap();
    let contexts: Vec<_> = (0..20).map(|n| Context::<u64>::new(n).unwrap()).collect();
    let add = |base: In<'_, u64>, n: u64| base.to_native() + n;
    thread::scope(|scope| {
        for chunk in contexts.chunks(10) {
            let pool = pool.clone();
            scope.spawn(move || {
                for _ in 0..5 {
                    for context in chunk {
                        let base = context.to_native();
                        let sums = pool.map_with(context, add, 0..50).unwrap();
                        assert!(sums.into_iter().eq((0..50).map(|n| base + n)));
                    }
                }
            });
        }
    });
}

#[test]
fn a_context_outlasts_the_workers_and_goes_with_its_last_user() {
    let pool = Pool::new(2).unwrap();
    let own = std::process::id() as i32;
    let context = Context::new(vec![7u64; 4 << 20]).unwrap();
    for _ in 0..3 {
        let (victim, done) = (pool.clone(), pool.progress().done);
        let killer = thread::spawn(move || {
            while victim.progress().done < done + 2000 {
                thread::yield_now();
            }
            victim.pids().into_iter().for_each(kill_worker);
        });
        let items = (0..20_000).map(|n| n % (1 << 20));
        let (results, failures) = match pool.map_with(&context, at, items) {
            Ok(results) => (results.len(), Vec::new()),
            Err(error) => (error.results.len(), error.failures),
        };
        killer.join().unwrap();
        assert!(failures.len() <= 2 && failures.iter().all(by_death));
        assert_eq!(results + failures.len(), 20_000);
    }
    assert!(has_long(own));
    drop(context);
    assert!(!has_long(own));
    // Nobody is told: they let go when there is nothing to do.
    for pid in pool.pids() {
        while has_long(pid) {
            thread::yield_now();
        }
    }
    assert_eq!(pool.map(|n: u64| n, 0..100).unwrap().len(), 100);
}
