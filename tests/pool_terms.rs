//! What a pool gives its tasks beside their items, and what it does not let them take.

use std::fs;
use std::thread;
use std::time::Duration;

use multiproc::{Context, Event, In, Pool, Process, Queue, TaskError, Value};

const PATIENCE: Duration = Duration::from_secs(60);

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

fn add(sum: u64, n: u64) -> u64 {
    sum + n
}

#[test]
fn a_fold_sees_every_item_once_and_in_order() {
    let pool = Pool::new(3).unwrap();
    for count in [0, 1, 2, 10, 1000, 50_000] {
        let sum = pool.fold(|| 0, add, 0..count, add).unwrap();
        assert_eq!(sum, (0..count).sum::<u64>(), "{count}");
        let largest = pool.map_reduce(|n: u64| n * n, u64::max, 0..count);
        assert_eq!(largest.unwrap(), (0..count).max().map(|n| n * n));
    }
    fn append(mut text: String, word: In<'_, String>) -> String {
        text.push_str(&word);
        text
    }
    let words: Vec<String> = (0..5000).map(|n| format!("{n} ")).collect();
    let unknown = words.iter().filter(|_| true);
    let all = pool.fold(String::new, append, unknown, |a, b| a + &b);
    assert_eq!(all.unwrap(), words.concat());
    let long: Vec<Vec<u64>> = vec![vec![1; 50_000]; 30];
    let length = |sum: u64, numbers: In<'_, Vec<u64>>| sum + numbers.len() as u64;
    let lengths = pool.fold(|| 0, length, &long, add);
    assert_eq!(lengths.unwrap(), 30 * 50_000);
}

#[test]
fn a_fold_names_the_items_that_it_lost() {
    fn picky(sum: u64, n: u64) -> std::io::Result<u64> {
        match n {
            500 => Err(std::io::Error::other("not this one")),
            n => Ok(sum + n),
        }
    }
    let pool = Pool::new(2).unwrap();
    let error = pool.fold(|| 0, picky, 0..1000u64, add).unwrap_err();
    let [(range, TaskError::Failed { text, .. })] = &error.lost[..] else {
        panic!("{:?}", error.lost);
    };
    assert!(range.contains(&500) && text.contains("not this one"));
    let missing: u64 = range.clone().map(|n| n as u64).sum();
    assert_eq!(error.partial, Some((0..1000).sum::<u64>() - missing));
    pool.close();
    let error = pool.fold(|| 0, add, 0..1000u64, add).unwrap_err();
    assert_eq!(
        error
            .lost
            .iter()
            .map(|(range, _)| range.len())
            .sum::<usize>(),
        1000
    );
    assert_eq!(error.partial, None);
}

/// What is lost and what is not are all items together, each once; and nothing is where items may be run again.
#[test]
fn kills_during_a_fold_cost_shares_or_nothing() {
    let pool = Pool::builder().workers(2).retries(100).build().unwrap();
    for round in 0..6 {
        let (victim, done) = (pool.clone(), pool.progress().done);
        let killer = thread::spawn(move || {
            while victim.progress().done < done + 50 {
                thread::yield_now();
            }
            victim.pids().into_iter().for_each(kill_worker);
        });
        let all = 0..500_000_u64;
        if round % 2 == 0 {
            let sum = pool.idempotent().fold(|| 0, add, all.clone(), add).unwrap();
            assert_eq!(sum, all.sum::<u64>());
        } else if let Err(error) = pool.fold(|| 0, add, all.clone(), add) {
            assert!(error.lost.len() <= 2);
            let missing = error.lost.iter().flat_map(|(range, _)| range.clone());
            let missing: u64 = missing.map(|n| n as u64).sum();
            assert_eq!(error.partial, Some(all.sum::<u64>() - missing));
        }
        killer.join().unwrap();
    }
}

/// Sleeps for so many milliseconds, or for ever.
fn take(millis: u64) -> u64 {
    match millis {
        0 => loop {
            thread::park();
        },
        n => thread::sleep(Duration::from_millis(n)), // time it is: what a limit is held against
    }
    millis
}

fn by_time((_, error): &(usize, TaskError)) -> bool {
    matches!(error, TaskError::TimedOut { .. })
}

#[test]
fn a_task_that_takes_too_long_fails_alone() {
    let pool = Pool::builder()
        .workers(2)
        .task_timeout(Duration::from_millis(50))
        .build()
        .unwrap();
    let times = (0..40).map(|n| if n % 10 == 3 { 0 } else { 1 });
    let error = pool.map(take, times).unwrap_err();
    assert_eq!(error.results.len() + error.failures.len(), 40);
    assert!(error.failures.iter().all(by_time), "{:?}", error.failures);
    let stuck = [3, 13, 23, 33];
    assert!(
        stuck
            .iter()
            .all(|n| error.failures.iter().any(|(at, _)| at == n))
    );
    // One for which nobody waits, also where a task may be run again.
    let task = pool.idempotent().apply(take, (0,));
    assert!(
        matches!(task.get(), Err(TaskError::TimedOut { limit, .. }) if limit.as_millis() == 50)
    );
    let patient = pool.task_timeout(PATIENCE);
    assert_eq!(patient.map(take, [120, 1]).unwrap(), [120, 1]);
}

#[test]
fn a_limit_is_for_the_tasks_that_have_it() {
    let pool = Pool::new(2).unwrap();
    assert_eq!(pool.map(take, [1, 1]).unwrap(), [1, 1]);
    let slow = pool.apply(take, (200,));
    let hasty = pool.task_timeout(Duration::from_millis(20));
    let stuck = hasty.apply(take, (0,));
    assert!(matches!(stuck.get(), Err(TaskError::TimedOut { .. })));
    assert_eq!(slow.get(), Ok(200));
    let many = hasty
        .task_timeout(Duration::from_secs(10))
        .map(|n: u64| n, 0..20_000);
    assert_eq!(many.unwrap().len(), 20_000);
    let lone = Pool::new(1)
        .unwrap()
        .task_timeout(Duration::from_millis(400));
    let total = lone.fold(|| 0, |sum: u64, n: u64| sum + take(n), [150; 12], add);
    assert_eq!(total, Ok(1800), "each item of a share has as long");
}

/// Quick tasks go out many at a time; what is behind a slow one goes to another worker.
#[test]
fn a_slow_task_among_quick_ones_costs_itself_alone() {
    fn stop_at((n, stuck): (u64, u64)) -> u64 {
        if n == stuck {
            take(0);
        }
        n
    }
    let pool = Pool::new(2).unwrap();
    let hasty = pool.task_timeout(Duration::from_millis(100));
    for stuck in [0, 1, 19_000, 29_999] {
        let error = hasty.map(stop_at, (0..30_000).map(|n| (n, stuck)));
        let error = error.unwrap_err();
        assert!(error.failures.iter().all(by_time), "{:?}", error.failures);
        assert!(error.failures.iter().any(|&(at, _)| at as u64 == stuck));
        assert_eq!(error.results.len() + error.failures.len(), 30_000);
        assert!(error.results.iter().all(|&(at, n)| at as u64 == n));
    }
}

/// Kills and limits at once: every task is answered once.
#[test]
fn limits_and_deaths_are_told_apart() {
    let pool = Pool::builder().workers(2).retries(100).build().unwrap();
    let hasty = pool.task_timeout(Duration::from_millis(30)).idempotent();
    let victim = pool.clone();
    let killer = thread::spawn(move || {
        for done in [20, 60, 100, 140] {
            while victim.progress().done < done {
                thread::yield_now();
            }
            victim.pids().into_iter().for_each(kill_worker);
        }
    });
    let times = (0..200).map(|n| if n % 50 == 7 { 0 } else { 1 });
    let error = hasty.map(take, times).unwrap_err();
    killer.join().unwrap();
    assert!(error.failures.iter().all(by_time), "{:?}", error.failures);
    assert_eq!(error.results.len() + error.failures.len(), 200);
    assert!(error.failures.len() >= 4);
}

#[test]
fn a_task_that_takes_too_much_memory_fails_alone() {
    fn allocate((mebibytes, politely): (u64, bool)) -> u64 {
        let mut memory = Vec::<u8>::new();
        let bytes = (mebibytes << 20) as usize;
        if politely && memory.try_reserve_exact(bytes).is_err() {
            return 0;
        }
        memory.resize(bytes, 1);
        std::hint::black_box(memory).len() as u64 >> 20
    }
    let builder = Pool::builder().workers(2).worker_memory(64 << 20);
    let pool = builder.build().unwrap();
    let items = [
        (1, false),
        (32, false),
        (200, false),
        (2, false),
        (200, true),
    ];
    let error = pool.map(allocate, items).unwrap_err();
    assert_eq!(error.results, [(0, 1), (1, 32), (3, 2), (4, 0)]);
    let [(2, TaskError::WorkerDied { signal, .. })] = error.failures[..] else {
        panic!("{:?}", error.failures);
    };
    assert_eq!(signal, Some(libc::SIGABRT));
    // What is read where it lies is not the worker's own.
    let long = Context::new(vec![7u64; 10 << 20]).unwrap();
    assert_eq!(pool.map_with(&long, at, [1, 2, 9 << 20]).unwrap(), [7; 3]);
}

/// What workers need for themselves is far below any limit that is of use.
#[test]
fn a_worker_needs_little_memory_for_itself() {
    fn data() -> u64 {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let data = status.lines().find_map(|line| line.strip_prefix("VmData:"));
        data.unwrap()
            .trim()
            .trim_end_matches(" kB")
            .parse()
            .unwrap()
    }
    let pool = Pool::new(1).unwrap();
    let kibibytes = pool.apply(data, ()).get().unwrap();
    assert!(kibibytes < 4 << 10, "{kibibytes} KiB");
}

#[test]
fn results_are_looked_at_where_they_lie_and_in_order() {
    fn repeat(n: u64) -> Vec<String> {
        assert_ne!(n, 5, "not this one");
        vec![n.to_string(); n as usize % 300]
    }
    let pool = Pool::new(2).unwrap();
    let mut next = 0;
    let error = pool.map_each(repeat, 0..2000, |index, words| {
        next += usize::from(next == 5);
        assert_eq!((index, words.len()), (next, next % 300));
        assert!(words.iter().all(|word| **word == *next.to_string()));
        if next % 500 == 1 {
            assert_eq!(
                pool.map(|n: u64| n, [7]).unwrap(),
                [7],
                "it may use the pool"
            );
        }
        next += 1;
    });
    assert_eq!(next, 2000);
    let failures = error.unwrap_err().failures;
    assert!(matches!(failures[..], [(5, TaskError::Panicked(_))]));
}

fn hold(begun: Event) {
    begun.set();
    loop {
        thread::park();
    }
}

/// Whether that process is no more, or waits for its parent to take note.
fn has_ended(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let rest = stat.rsplit(')').next().unwrap_or_default();
    rest.is_empty() || rest.trim_start().starts_with(['Z', 'X'])
}

/// As Ctrl-C at a terminal: to all processes of the foreground job.
#[test]
fn an_interrupt_leaves_no_worker_and_no_object() {
    fn busy(pids: Queue<i32>) -> multiproc::Result<()> {
        let pool = Pool::new(2)?;
        let context = Context::<u64>::new(1)?;
        let begun = Event::new()?;
        let stuck = pool.apply(hold, (begun.clone(),));
        begun.wait();
        for pid in pool.pids() {
            pids.put(pid)?;
        }
        let _ = pool.map_with(&context, |_: In<'_, u64>, n: u64| n, 0..u64::MAX);
        drop(stuck);
        Ok(())
    }
    let directory = tempfile::tempdir().unwrap();
    // Who starts the tests may have interrupts ignored, and what is ignored stays so in children.
    // SAFETY: has no memory preconditions; nothing in this process handles interrupts.
    unsafe { libc::signal(libc::SIGINT, libc::SIG_DFL) };
    let pids = Queue::new(2).unwrap();
    let owner = Process::builder()
        .detached(true) // leads a group of its own, as a shell's foreground job does
        .env("MULTIPROC_DIR", directory.path())
        .spawn(busy, (pids.clone(),))
        .unwrap();
    let workers = [pids.get_owned().unwrap(), pids.get_owned().unwrap()];
    // SAFETY: has no memory preconditions; the group is the child's own.
    assert_eq!(unsafe { libc::kill(-owner.pid(), libc::SIGINT) }, 0);
    let status = owner.child().wait().unwrap();
    assert_eq!(status.signal(), Some(libc::SIGINT));
    for pid in workers {
        while !has_ended(pid) {
            thread::yield_now();
        }
    }
    let left: Vec<_> = fs::read_dir(directory.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Ends with a pool that still has tasks; each counts.
fn leave_a_pool(runs: Value<u64>) -> multiproc::Result<()> {
    let pool = Pool::builder().workers(2).daemon(false).build()?;
    for _ in 0..500 {
        drop(pool.apply(|runs: Value<u64>| _ = runs.fetch_add(1), (runs.clone(),)));
    }
    std::mem::forget(pool);
    Ok(())
}

/// Ends with a pool of daemons, one of which never ends by itself.
fn leave_daemons(pids: Queue<i32>) -> multiproc::Result<()> {
    let pool = Pool::new(2)?;
    let (begun, never) = (Event::new()?, Event::new()?);
    let wait = |begun: Event, never: Event| {
        begun.set();
        never.wait();
    };
    drop(pool.apply(wait, (begun.clone(), never)));
    begun.wait();
    for pid in pool.pids() {
        pids.put(pid)?;
    }
    std::mem::forget(pool);
    Ok(())
}

#[test]
fn what_a_program_leaves_to_a_pool_is_done_unless_its_workers_are_daemons() {
    let runs = Value::new(0).unwrap();
    let leaver = Process::spawn(leave_a_pool, (runs.clone(),)).unwrap();
    leaver.join().unwrap();
    assert_eq!(runs.load(), 500);
    let pids = Queue::new(4).unwrap();
    let leaver = Process::spawn(leave_daemons, (pids.clone(),)).unwrap();
    leaver.join().unwrap();
    for _ in 0..2 {
        let pid = pids.get_owned().unwrap();
        assert!(has_ended(pid), "{pid}");
    }
}
