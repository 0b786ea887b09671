//! What a flag costs that nobody waits for.

use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};

use multiproc::Event;

use crate::harness::{Bench, Goal, Unit, contender, nanos, ticks};

const FLAGS: usize = 512;
const LOOKS: u32 = 20_000;

/// The rows of this part.
pub fn rows(bench: &mut Bench) {
    bench.section("a flag, alone");
    let word = AtomicU32::new(1);
    let event = Event::new().expect("an event");
    event.set();
    let load = || per_look(|| black_box(&word).load(Ordering::Acquire) != 0);
    let is_set = || per_look(|| black_box(&event).is_set());
    let wait = || {
        per_look(|| {
            black_box(&event).wait();
            true
        })
    };
    let row = vec![contender("is_set", is_set), contender("atomic load", load)];
    bench.row("is_set", Unit::Nanos, Goal::NONE, row);
    let row = vec![contender("wait, set", wait), contender("atomic load", load)];
    bench.row("wait, set", Unit::Nanos, Goal::NONE, row);
    let events: Vec<_> = (0..FLAGS)
        .map(|_| Event::new().expect("an event"))
        .collect();
    let words: Vec<_> = (0..FLAGS).map(|_| AtomicU32::new(0)).collect();
    let set = || {
        events.iter().for_each(Event::clear);
        per_flag(|| events.iter().for_each(Event::set))
    };
    let raw = || {
        per_flag(|| {
            words
                .iter()
                .for_each(|word| _ = word.fetch_or(1, Ordering::AcqRel))
        })
    };
    let row = vec![
        contender("set, nobody waits", set),
        contender("atomic or", raw),
    ];
    bench.row("set", Unit::Nanos, Goal::NONE, row);
}

fn per_look(look: impl Fn() -> bool) -> f64 {
    let begin = ticks();
    for _ in 0..LOOKS {
        assert!(look());
    }
    nanos(ticks() - begin) / f64::from(LOOKS)
}

fn per_flag(all: impl Fn()) -> f64 {
    let begin = ticks();
    all();
    nanos(ticks() - begin) / FLAGS as f64
}
