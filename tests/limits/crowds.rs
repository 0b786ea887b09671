//! Hundreds of processes on one object.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use multiproc::{Lock, Queue};

use crate::common::board::{Board, Gate, Zeroed, eventually};
use crate::common::child::{Child, End};
use crate::common::folder::Folder;
use crate::common::numbers::size;

const LONG: Duration = Duration::from_secs(600);

#[derive(Debug)]
struct Shared {
    ready: Gate,
    go: Gate,
    stop: Gate,
    there: AtomicU64,
}

// SAFETY: gates and an atomic.
unsafe impl Zeroed for Shared {}

/// Starts `count` processes of `body` and waits until each has said that it is there.
fn crowd(shared: &Board<Shared>, count: u64, body: fn(&Shared)) -> Vec<Child> {
    let start = || {
        Child::fork(|| {
            body(shared);
            0
        })
    };
    let children: Vec<Child> = (0..count).map(|_| start()).collect();
    assert!(
        eventually(LONG, || shared.there.load(SeqCst) == count),
        "not all came"
    );
    children
}

fn keeper(shared: &Board<Shared>, body: impl FnOnce(&Shared)) -> Child {
    let keeper = Child::fork(|| {
        body(shared);
        0
    });
    assert!(shared.ready.wait(), "the object was never made");
    keeper
}

fn settle(shared: &Board<Shared>, children: Vec<Child>, mut keeper: Child) {
    for mut child in children {
        assert_eq!(child.wait(LONG), End::Exited(0));
    }
    shared.stop.open();
    assert_eq!(keeper.wait(LONG), End::Exited(0), "the keeper");
}

fn waits(gate: &Gate) {
    assert!(gate.wait_for(LONG));
}

/// Every one of them locks, adds one, unlocks, again and again; not one addition is lost.
pub fn many_processes_count_exactly() {
    let processes = size("MULTIPROC_PROCESSES", 200);
    let expected = processes * size("MULTIPROC_INCREMENTS", 200);
    let _folder = Folder::enter();
    let shared = Board::<Shared>::new();
    let keeper = keeper(&shared, |shared| {
        let total = Lock::create("total", 0_u64).expect("create");
        shared.ready.open();
        waits(&shared.stop);
        assert_eq!(*total.lock().expect("the total"), expected);
    });
    let children = crowd(&shared, processes, |shared| {
        let total = Lock::<u64>::open("total").expect("open");
        shared.there.fetch_add(1, SeqCst);
        waits(&shared.go);
        for _ in 0..size("MULTIPROC_INCREMENTS", 200) {
            *total.lock().expect("the total") += 1;
        }
    });
    let begin = Instant::now();
    shared.go.open();
    settle(&shared, children, keeper);
    println!(
        "  {processes} processes: {expected} increments in {:.2}s",
        begin.elapsed().as_secs_f64()
    );
}

/// Processes that wait in `get` where nothing comes.
pub fn idle_waiters_cost_little() {
    let waiters = size("MULTIPROC_WAITERS", 50);
    let _folder = Folder::enter();
    let shared = Board::<Shared>::new();
    let keeper = keeper(&shared, |shared| {
        let queue = Queue::<u64>::create("idle").expect("create");
        shared.ready.open();
        waits(&shared.stop);
        assert!(queue.is_empty());
    });
    let mut children = crowd(&shared, waiters, |shared| {
        let queue = Queue::<u64>::open("idle").expect("open");
        shared.there.fetch_add(1, SeqCst);
        let _ = queue.get_timeout(LONG);
    });
    // Long enough for every sleeper to have come to its longest slices.
    std::thread::sleep(Duration::from_secs(size("MULTIPROC_IDLE_SECONDS", 2)));
    let (before, begin) = (ticks(&children), Instant::now());
    std::thread::sleep(Duration::from_secs(size("MULTIPROC_IDLE_SECONDS", 2)));
    // SAFETY: sysconf reads a constant.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64;
    let spent = (ticks(&children) - before) as f64 / per_second / begin.elapsed().as_secs_f64();
    println!(
        "  {waiters} idle waiters: {:.1} % of one processor",
        spent * 100.0
    );
    children
        .iter_mut()
        .for_each(|child| assert!(child.kill().killed()));
    settle(&shared, Vec::new(), keeper);
}

/// Processor time of all children, in clock ticks: fields 14 and 15 of their `stat`.
fn ticks(children: &[Child]) -> u64 {
    let of = |child: &Child| {
        let stat =
            std::fs::read_to_string(format!("/proc/{}/stat", child.pid())).unwrap_or_default();
        let fields = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace();
        fields
            .skip(11)
            .take(2)
            .filter_map(|f| f.parse::<u64>().ok())
            .sum::<u64>()
    };
    children.iter().map(of).sum()
}
