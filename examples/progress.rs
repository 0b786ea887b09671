//! A bar that shows how far a pool is, and what its workers' ends have cost: some tasks never end, and are given up.
//!
//! `cargo run --release --example progress -- 5000`

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use multiproc::{Pool, TaskError};

/// Steps of the Collatz sequence from each of a thousand numbers to 1, at most. Some begin at 0, and never get there.
fn longest_chain(thousand: u64) -> u64 {
    let first = if thousand % 16 == 9 {
        0
    } else {
        thousand * 1000 + 1
    };
    let steps = |first: u64| {
        let (mut n, mut steps) = (first, 0);
        while n != 1 {
            n = if n % 2 == 0 { n / 2 } else { 3 * n + 1 };
            steps += 1;
        }
        steps
    };
    (first..first + 1000).map(steps).max().unwrap_or(0)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    multiproc::init();
    let tasks: u64 = std::env::args().nth(1).map_or(Ok(1000), |n| n.parse())?;
    let pool = Pool::builder()
        .name("chains")
        .task_timeout(Duration::from_millis(500))
        .build()?;
    let bar = ProgressBar::new(tasks);
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}")?);
    let (mut longest, mut given_up) = (0, 0);
    for result in pool.imap_unordered(longest_chain, 0..tasks) {
        match result {
            Ok(steps) => longest = longest.max(steps),
            Err(TaskError::TimedOut { .. }) => given_up += 1,
            Err(error) => return Err(error.into()),
        }
        let progress = pool.progress();
        bar.set_position(progress.done + progress.failed);
        bar.set_message(format!("{} workers replaced", progress.replaced));
    }
    bar.finish_and_clear();
    println!(
        "{tasks} tasks, of which {given_up} took too long; the longest chain has {longest} steps"
    );
    Ok(())
}
