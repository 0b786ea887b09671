//! The baseline: the same work in one process, with the same splitter, counter and hasher.

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::time::Instant;

use crate::args::Options;
use crate::count::Counter;
use crate::feed::feed;
use crate::outcome::{Latency, Outcome};
use crate::progress::Progress;
use crate::reader;
use crate::record::{Produced, Record};
use crate::walk::Input;

/// Counts everything here.
pub fn run(named: &[Input], options: &Options) -> Outcome {
    let start = Instant::now();
    let progress = Progress::new(options);
    let (mut counter, mut record, mut produced) =
        (Counter::new(), Record::default(), Produced::default());
    let fed = feed(named, options.all, options.repeat, |task| {
        progress.expect(&task, options.repeat);
        let read = reader::read(&task, &mut record, &mut produced, |record| {
            counter.count(&record.block);
            progress.add(record.block.len() as u64);
            Ok::<_, Infallible>(())
        });
        read.map_or_else(|never| match never {}, ControlFlow::Continue)
    });
    progress.finish();
    Outcome {
        tally: counter.tally,
        table: counter.table,
        produced,
        fed,
        elapsed: start.elapsed(),
        latency: Latency::default(),
        queue_share: 0.0,
        workers: Vec::new(),
        kills: 0,
        redelivered: 0,
        verified: false,
    }
}
