//! A thousand entries that several workers read and write by name.
//!
//! A new contender is a type that is a [`Dict`], in a file of its own, and a line in [`row`].

mod dict;
mod lmdb;
mod ours;
mod plain;
mod std_map;

use std::hint::black_box;

use crate::harness::{
    Bench, Contender, Crew, Goal, Meeting, Report, Unit, contender, rate, sized, ticks,
};
use crate::python;
use dict::{Access, Dict, Entries};

/// How many entries there are.
const KEYS: u64 = 1_000;

/// All rows about dictionaries.
pub fn rows(bench: &mut Bench) {
    bench.section("dict");
    for access in [Access::Get, Access::Set] {
        row(bench, access, 1);
        row(bench, access, 2);
    }
    long(bench);
}

fn row(bench: &mut Bench, access: Access, workers: usize) {
    let mut lineup = Lineup::new(bench, access, workers);
    lineup.add::<ours::Ours>();
    lineup.add::<lmdb::Lmdb>();
    lineup.add::<std_map::StdMap>();
    lineup.add::<plain::Plain>();
    if python::is_there() {
        let run = move || python::dict(access.name(), workers as u64);
        lineup.contenders.push(contender(python::DICT, run));
    }
    let plural = if workers == 1 { "" } else { "es" };
    let name = format!("{}, {workers} process{plural}", access.name());
    let goal = match access {
        Access::Get => Goal::must(2.5),
        Access::Set => Goal::must(2.0),
    };
    bench.row(&name, Unit::PerSecond, goal, lineup.contenders);
}

/// A value is found as fast however long it is, as long as nobody reads it.
fn long(bench: &mut Bench) {
    let mut lineup = Lineup::new(bench, Access::Get, 1);
    lineup.add::<ours::OursBytes<4096>>();
    lineup.add::<ours::OursBytes<8>>();
    lineup.add::<std_map::StdBytes<4096>>();
    let name = "get of 4 KiB, first word";
    bench.row(name, Unit::PerSecond, Goal::NONE, lineup.contenders);
}

/// The contenders of one row.
struct Lineup {
    access: Access,
    workers: usize,
    span: std::time::Duration,
    contenders: Vec<Contender<'static>>,
}

impl Lineup {
    fn new(bench: &Bench, access: Access, workers: usize) -> Self {
        Self {
            access,
            workers,
            span: bench.options.span,
            contenders: Vec::new(),
        }
    }

    fn add<D: Dict>(&mut self) {
        let (access, workers) = (self.access, self.workers);
        let run = move |operations| run::<D>(access, workers, operations);
        self.contenders
            .push(contender(D::NAME, sized(self.span, run)));
    }
}

/// Operations per second of all workers together.
fn run<D: Dict>(access: Access, workers: usize, operations: u64) -> f64 {
    let each = operations.div_ceil(workers as u64);
    let dict = &D::new();
    let mut crew = Crew::new();
    for worker in 0..workers {
        crew.hire(move |meeting| {
            let keys: Vec<String> = (0..KEYS).map(|key| format!("key:{key}")).collect();
            let mut entries = open(dict, &keys, worker, meeting);
            let warm = Picks::of(worker + workers).take(KEYS as usize);
            warm.for_each(|key| _ = black_box(entries.get(&keys[key])));
            meeting.meet();
            let report = match access {
                Access::Get => get(&mut entries, &keys, worker, each),
                Access::Set => set(&mut entries, &keys, worker, each),
            };
            meeting.meet();
            if worker == 0 {
                verify(&mut entries, &keys, access, workers, each);
            }
            meeting.meet();
            report
        });
    }
    let reports = match D::THREADS {
        true => crew.run_as_threads(),
        false => crew.run(),
    };
    let done: u64 = reports.iter().map(|report| report.count).sum();
    assert_eq!(done, workers as u64 * each, "operations");
    rate(&reports, done)
}

/// The entries as a worker has them; the first one has made them.
fn open<'a, D: Dict>(
    dict: &'a D,
    keys: &[String],
    worker: usize,
    meeting: &Meeting,
) -> D::Entries<'a> {
    if worker > 0 {
        meeting.meet();
        return dict.open();
    }
    let mut entries = dict.open();
    for (key, value) in keys.iter().zip(0..) {
        entries.set(key, first(value));
    }
    meeting.meet();
    entries
}

fn get(entries: &mut impl Entries, keys: &[String], worker: usize, each: u64) -> Report {
    let begin = ticks();
    let picks = Picks::of(worker).take(each as usize);
    let (count, sum) = picks.fold((0, 0_u64), |(count, sum), key| {
        match black_box(entries.get(&keys[key])) {
            Some(value) => (count + 1, sum.wrapping_add(value)),
            None => (count, sum),
        }
    });
    let end = ticks();
    let picks = Picks::of(worker).take(each as usize);
    let wanted = picks.fold(0, |sum: u64, key| sum.wrapping_add(first(key as u64)));
    assert_eq!(sum, wanted, "sum of what was read");
    Report {
        begin,
        end,
        count,
        sum,
        ..Report::default()
    }
}

fn set(entries: &mut impl Entries, keys: &[String], worker: usize, each: u64) -> Report {
    let begin = ticks();
    let mut count = 0;
    for key in Picks::of(worker).take(each as usize) {
        entries.set(&keys[key], written(worker, count));
        count += 1;
    }
    Report {
        begin,
        end: ticks(),
        count,
        ..Report::default()
    }
}

/// Each entry must have what one of the workers wrote there last, or what it had if none did.
fn verify(entries: &mut impl Entries, keys: &[String], access: Access, workers: usize, each: u64) {
    let last = |worker: usize| {
        let mut last = vec![None; keys.len()];
        for (key, count) in Picks::of(worker).zip(0..each) {
            last[key] = Some(written(worker, count));
        }
        last
    };
    let writers = match access {
        Access::Get => 0,
        Access::Set => workers,
    };
    let last: Vec<Vec<Option<u64>>> = (0..writers).map(last).collect();
    for (key, name) in keys.iter().enumerate() {
        let found = entries.get(name).expect("an entry");
        let mut written = last.iter().filter_map(|last| last[key]).peekable();
        let right = match written.peek() {
            Some(_) => written.any(|value| value == found),
            None => found == first(key as u64),
        };
        assert!(right, "{found} at {name} was not the last to be written");
    }
}

/// What an entry has at first.
fn first(key: u64) -> u64 {
    key.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// What a worker writes as its `count`th value.
#[inline]
fn written(worker: usize, count: u64) -> u64 {
    (worker as u64 + 1) << 48 | count
}

/// Keys in an order that no processor foresees, another one for each worker (`xorshift64*`).
struct Picks(u64);

impl Picks {
    fn of(worker: usize) -> Self {
        Self(first(worker as u64 + 1))
    }
}

impl Iterator for Picks {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let random = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32;
        Some(((random * KEYS) >> 32) as usize)
    }
}
