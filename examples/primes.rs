//! Counts the primes below a number, in ranges that take longer and longer: whoever is free takes the next one.
//!
//! `cargo run --release --example primes -- 20000000`

use multiproc::Pool;

/// Primes from `from` up to `to`, by trial division.
fn primes_in(from: u64, to: u64) -> u64 {
    let is_prime = |n: u64| {
        n >= 2
            && (2..)
                .take_while(|d| d * d <= n)
                .all(|d| !n.is_multiple_of(d))
    };
    (from..to).filter(|&n| is_prime(n)).count() as u64
}

const RANGE: u64 = 10_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    multiproc::init();
    let limit: u64 = std::env::args()
        .nth(1)
        .map_or(Ok(1_000_000), |n| n.parse())?;
    let pool = Pool::builder().name("primes").build()?;
    let ranges = (0..limit)
        .step_by(RANGE as usize)
        .map(|from| (from, (from + RANGE).min(limit)));
    let count: u64 = pool.starmap(primes_in, ranges)?.iter().sum();
    println!(
        "{count} primes below {limit}, by {} workers",
        pool.pids().len()
    );
    Ok(())
}
