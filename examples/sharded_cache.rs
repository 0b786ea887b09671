//! A cache of an expensive function that several processes fill and read at once, without a server and without a lock to read.
//!
//! `cargo run --release --example sharded_cache -- [WORKERS] [REQUESTS]`

use std::time::{Duration, Instant};

use multiproc::{Dict, Manager, Process};

/// How many different questions there are.
const QUESTIONS: u64 = 400;

multiproc::message! {
    /// What a worker has to tell.
    #[derive(Debug, Default)]
    struct Account {
        found: u64,
        computed: u64,
        /// The time that its computations took.
        computing: Duration,
    }
}

/// The number up to `limit` with the longest way down to 1: halved when even, three times and one more when odd.
fn longest_way(limit: u64) -> u64 {
    let steps = |start: &u64| {
        let next = |n: &u64| match n % 2 {
            0 => Some(n / 2),
            _ if *n == 1 => None,
            _ => Some(3 * n + 1),
        };
        std::iter::successors(Some(*start), next).count()
    };
    (1..=limit).max_by_key(steps).unwrap_or(1)
}

/// Questions of which few are asked often, and each at times; another sequence for each worker.
fn questions(worker: u64, requests: u64) -> impl Iterator<Item = u64> {
    let mut random = (worker + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (0..requests).map(move |_| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let (one, two) = (random >> 32 & 0xffff, random >> 48);
        1 + ((one * two * QUESTIONS) >> 32)
    })
}

/// Answers from the cache, or computes and leaves the answer to all.
fn answer(cache: &Dict<u64, u64>, question: u64, account: &mut Account) -> multiproc::Result<u64> {
    if let Some(found) = cache.get(&question)? {
        account.found += 1;
        return Ok(found.to_native());
    }
    let begin = Instant::now();
    let answer = longest_way(question * 5);
    account.computing += begin.elapsed();
    account.computed += 1;
    cache.insert_new(&question, answer)?; // whoever computed it at the same time has the same answer
    Ok(answer)
}

fn work(cache: Dict<u64, u64>, worker: u64, requests: u64) -> multiproc::Result<Account> {
    let mut account = Account::default();
    for question in questions(worker, requests) {
        let answer = answer(&cache, question, &mut account)?;
        assert!((1..=question * 5).contains(&answer));
    }
    Ok(account)
}

fn main() -> multiproc::Result<()> {
    multiproc::init();
    let mut numbers = std::env::args().skip(1).map_while(|arg| arg.parse().ok());
    let workers: u64 = numbers.next().unwrap_or(4);
    let requests: u64 = numbers.next().unwrap_or(100_000);

    let manager = Manager::new()?;
    let cache = manager.dict::<u64, u64>("longest ways")?;
    let working = (0..workers)
        .map(|worker| Process::spawn(work, (cache.clone(), worker, requests)))
        .collect::<multiproc::Result<Vec<_>>>()?;
    let mut computed = 0;
    for (worker, process) in working.iter().enumerate() {
        let account = process.join()?;
        let share = 100.0 * account.found as f64 / requests.max(1) as f64;
        let ms = account.computing.as_millis();
        println!(
            "worker {worker}: {share:.2} % found, {} computed in {ms} ms",
            account.computed
        );
        computed += account.computed;
    }
    let answers = cache.snapshot()?;
    let count = answers.len() as u64;
    println!("{workers} workers, {requests} requests each, {count} different ones");
    let kib = manager.size() >> 10;
    println!(
        "{} computed more than once, all of it in {kib} KiB",
        computed - count
    );

    let is_right = |&(question, answer): &_| answer == longest_way(question * 5);
    assert!(answers.iter().all(is_right));
    Ok(())
}
