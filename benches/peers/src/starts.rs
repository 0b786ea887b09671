//! Starting a process for an empty function, and waiting for its end.

use std::time::Instant;

use multiproc::Process;

use crate::harness::{Bench, Goal, Percentiles, Unit, contender};

const STARTS: usize = 40;

/// All rows about processes.
pub fn rows(bench: &mut Bench) {
    bench.section("process");
    let contenders = vec![
        contender("multiproc", || {
            median(|| {
                Process::spawn(nothing, ())
                    .expect("spawn")
                    .join()
                    .expect("join")
            })
        }),
        contender("procspawn", || {
            median(|| procspawn::spawn((), |()| ()).join().expect("join"))
        }),
    ];
    bench.row("spawn and join", Unit::Nanos, Goal::must(0.8), contenders);
}

fn nothing() {}

fn median(start: impl Fn()) -> f64 {
    let mut observed: Vec<f64> = (0..STARTS)
        .map(|_| {
            let begin = Instant::now();
            start();
            begin.elapsed().as_nanos() as f64
        })
        .collect();
    Percentiles::of(&mut observed).p50
}
