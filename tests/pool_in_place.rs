//! Results that are read where workers wrote them: where they lie, how long they stay, and that nobody waits for who keeps
//! them.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use multiproc::{Bytes, Event, Pool, Process, Returned, TaskError};

/// Bytes of which each says where it is, and in whose result.
fn pattern(seed: u64, len: u64) -> Bytes {
    (0..len)
        .map(|at| (seed + at) as u8)
        .collect::<Vec<_>>()
        .into()
}

fn is_pattern(seed: u64, bytes: &[u8]) -> bool {
    let mut numbered = bytes.iter().zip(0..);
    numbered.all(|(byte, at)| *byte == (seed + at) as u8)
}

fn kilobyte(seed: u64) -> Bytes {
    pattern(seed, 1000)
}

fn kill(pid: i32) {
    // SAFETY: a worker of this test's pool, or nobody any more.
    unsafe { libc::kill(pid, libc::SIGKILL) };
}

/// Whether these bytes lie in memory that processes share.
fn is_shared(bytes: &[u8]) -> bool {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let at = bytes.as_ptr() as usize;
    let has = |line: &&str| {
        let (from, rest) = line.split_once('-').unwrap();
        let to = rest.split(' ').next().unwrap();
        let address = |text| usize::from_str_radix(text, 16).unwrap();
        (address(from)..address(to)).contains(&at)
    };
    let line = maps.lines().find(has).unwrap();
    line.split(' ').nth(1).unwrap().ends_with('s')
}

#[test]
fn long_results_lie_in_shared_memory_and_short_ones_come_along() {
    let pool = Pool::new(2).unwrap();
    for len in [17, 200, 5_000, 1 << 20, 5 << 20] {
        let long = pool.apply_in_place(pattern, (3, len)).get().unwrap();
        assert!(is_shared(&long) && is_pattern(3, &long), "{len}");
        assert_eq!(long.len() as u64, len);
        assert!(is_pattern(3, &long.to_owned().unwrap()));
    }
    let short = pool.apply_in_place(|n: u64| n.to_string(), (77,));
    let short = short.get().unwrap();
    assert!(&*short == "77" && !is_shared(short.as_bytes()));
    let number = pool.apply_in_place(|n: u64| n + 1, (6,)).get().unwrap();
    assert_eq!(number.to_native(), 7);
    let nothing = pool.apply_in_place(|| (), ()).get().unwrap();
    nothing.to_owned().unwrap();
}

#[test]
fn a_failure_is_as_one_without_a_place() {
    fn odd(n: u64) -> std::io::Result<String> {
        assert_ne!(n, 2, "not this one");
        match n % 2 {
            0 => Err(std::io::Error::other("an even number")),
            _ => Ok("an odd number, and a long text".into()),
        }
    }
    let pool = Pool::new(2).unwrap();
    let error = pool.map_in_place(odd, 1..5).unwrap_err();
    assert!(matches!(
        &error.failures[..],
        [(1, TaskError::Panicked(_)), (3, TaskError::Failed { .. })]
    ));
    let results = error.results.iter().map(|(at, text)| (*at, text.len()));
    assert!(results.eq([(0, 30), (2, 30)]));
}

#[test]
fn whoever_keeps_all_results_holds_nobody_up() {
    const COUNT: u64 = 5_000;
    let pool = Pool::new(1).unwrap();
    let all = pool.map_in_place(kilobyte, 0..COUNT).unwrap();
    let few: Vec<Returned<Bytes>> = (pool.imap_in_place(kilobyte, 0..COUNT))
        .collect::<Result<_, _>>()
        .unwrap();
    let lengths = pool.map(|n: u64| n.to_string().repeat(20), 0..COUNT);
    assert_eq!(lengths.unwrap().len() as u64, COUNT, "the pool goes on");
    let shared = all.iter().filter(|bytes| is_shared(bytes)).take(100);
    assert_eq!(shared.count(), 100, "the first of them lie in place");
    pool.join();
    for (seed, bytes) in (0..).zip(&all).chain((0..).zip(&few)) {
        assert!(is_pattern(seed, bytes), "{seed}");
    }
    // In another order than that in which they came, on another thread.
    thread::spawn(move || all.into_iter().rev().for_each(drop))
        .join()
        .unwrap();
}

/// By how many KiB of shared memory a process grows that has one long result after the other.
fn take_one_after_the_other() -> u64 {
    let pool = Pool::new(1).unwrap();
    let before = shared_kib();
    for seed in 0..300 {
        let bytes = pool.apply_in_place(|s: u64| pattern(s, 1 << 20), (seed,));
        assert_eq!(bytes.get().unwrap()[77], (seed + 77) as u8);
    }
    shared_kib() - before
}

fn shared_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("RssShmem:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn what_is_dropped_makes_room_for_others() {
    let taker = Process::spawn(take_one_after_the_other, ()).unwrap();
    let more = taker.join().unwrap();
    assert!(more < 32 << 10, "{more} KiB of 300 MiB stay");
    let pool = Pool::new(1).unwrap();
    for seed in 0..3_000 {
        let bytes = pool.apply_in_place(kilobyte, (seed,)).get().unwrap();
        assert!(is_shared(&bytes), "result {seed} found no place");
    }
}

#[test]
fn a_result_outlasts_its_worker_and_its_pool() {
    fn hold(begun: Event) -> Bytes {
        begun.set();
        loop {
            thread::park();
        }
    }
    let pool = Pool::new(1).unwrap();
    let kept: Vec<_> = [30, 1_000, 1 << 20]
        .map(|len| pool.apply_in_place(pattern, (9, len)).get().unwrap())
        .into();
    let begun = Event::new().unwrap();
    let held = pool.apply_in_place(hold, (begun.clone(),));
    begun.wait();
    pool.pids().into_iter().for_each(kill);
    assert!(matches!(held.get(), Err(TaskError::WorkerDied { .. })));
    let others = pool.map_in_place(kilobyte, 0..600).unwrap();
    assert!(kept.iter().all(|bytes| is_pattern(9, bytes)));
    pool.terminate();
    drop(pool);
    assert!(kept.iter().all(|bytes| is_pattern(9, bytes)));
    let mut numbered = (0..).zip(&others);
    assert!(numbered.all(|(seed, bytes)| is_pattern(seed, bytes)));
}

#[test]
fn kills_leave_every_result_whole() {
    fn large(seed: u64) -> Bytes {
        pattern(seed, 20 * (seed % 500))
    }
    const COUNT: u64 = 20_000;
    let pool = Pool::builder().workers(2).retries(100).build().unwrap();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut next, mut victims) = (500, 0);
            while !over.load(Relaxed) {
                let done = pool.progress().done;
                if done >= next && victims < 20 {
                    pool.pids().into_iter().for_each(kill);
                    (next, victims) = (done + 500, victims + 1);
                }
                thread::yield_now();
            }
        });
        let all = pool.idempotent().map_in_place(large, 0..COUNT);
        over.store(true, Relaxed);
        let all = all.unwrap();
        assert_eq!(all.len() as u64, COUNT);
        for (seed, bytes) in (0..).zip(&all) {
            assert!(bytes.len() as u64 == 20 * (seed % 500) && is_pattern(seed, bytes));
        }
    });
    assert!(pool.progress().replaced > 0);
}

/// Drops its copy of what its parent keeps in a forked child; the parent's stays as it is.
fn fork_with_a_result() -> multiproc::Result<bool> {
    let pool = Pool::new(1)?;
    let mut kept: Vec<_> = [100, 5_000]
        .map(|len| pool.apply_in_place(pattern, (1, len)).get().unwrap())
        .into();
    // SAFETY: the child drops what it has of the results, and ends without running anything else of its parent's.
    let child = unsafe { libc::fork() };
    if child == 0 {
        kept.clear();
        // SAFETY: ends this process.
        unsafe { libc::_exit(0) };
    }
    let mut status = -1;
    // SAFETY: the child is ours, and `status` is writable.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    // As many as take every place that the child may have made free.
    let others = pool.map_in_place(|len: u64| pattern(2, len), [100; 300]);
    let others = others.unwrap();
    let are_whole = others.iter().all(|bytes| is_pattern(2, bytes));
    Ok(status == 0 && are_whole && kept.iter().all(|bytes| is_pattern(1, bytes)))
}

#[test]
fn a_forked_child_has_no_part_in_its_parents_results() {
    let forks = Process::spawn(fork_with_a_result, ()).unwrap();
    assert!(forks.join().unwrap());
}
