//! The shared counter against a bare atomic.
//!
//! `cargo bench --bench value -- [--quick] [--rounds N] [TEXT]`. The goals bind the first of a row against the second.

use multiproc::Value;

mod harness;

use harness::baseline::mutex::count;
use harness::baseline::raw;
use harness::{Bench, Goal, Unit, contender, sized};

fn main() {
    // Two processors at one line come by it in turns of any length: runs of the same code differ by a factor of four.
    let mut bench = Bench::of_rounds("value", 201);
    bench.section("fetch_add");
    let span = bench.options.span / 3;
    for workers in [1, 2, 4] {
        let contenders = vec![
            contender("multiproc Value", {
                // Kept, so that each run has a line of its own, as the bare atomic's has: some are faster than others.
                let mut kept = Vec::new();
                sized(span, move |each| ours(workers, each, &mut kept))
            }),
            contender("bare atomic", sized(span, move |each| bare(workers, each))),
        ];
        let name = format!("{workers} processes");
        // A rate of 1/1.05 of the bare one is a cost of 1.05 times its.
        let goal = Goal::must(1.0 / 1.05).aim(1.0);
        bench.row(&name, Unit::PerSecond, goal, contenders);
    }
}

fn ours(workers: usize, each: u64, kept: &mut Vec<Value<u64>>) -> f64 {
    let value = Value::new(0_u64).expect("a value");
    kept.push(value.clone());
    let add = || {
        value.fetch_add(1);
    };
    count(workers, each, false, add, || value.load())
}

fn bare(workers: usize, each: u64) -> f64 {
    raw::fetch_add(workers, each)
}
