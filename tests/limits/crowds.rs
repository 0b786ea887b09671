//! Hundreds of processes on one object.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use multiproc::{Barrier, Condition, Lock, Queue};

use crate::common::board::{Board, Gate, Zeroed, eventually};
use crate::common::child::{Child, End};
use crate::common::folder::Folder;
use crate::common::numbers::size;

pub const LONG: Duration = Duration::from_secs(600);

#[derive(Debug)]
pub struct Shared {
    pub ready: Gate,
    pub go: Gate,
    pub stop: Gate,
    pub there: AtomicU64,
    /// Of the indices that a barrier gave.
    sum: AtomicU64,
    squares: AtomicU64,
    /// Waiters of a condition that were notified.
    pub through: AtomicU64,
}

// SAFETY: gates and atomics.
unsafe impl Zeroed for Shared {}

/// Starts `count` processes of `body` and waits until each has said so often that it is there.
pub fn crowd(shared: &Board<Shared>, count: u64, each: u64, body: fn(&Shared)) -> Vec<Child> {
    let start = || {
        Child::fork(|| {
            body(shared);
            0
        })
    };
    let children: Vec<Child> = (0..count).map(|_| start()).collect();
    assert!(
        eventually(LONG, || shared.there.load(SeqCst) == count * each),
        "not all came"
    );
    children
}

pub fn keeper(shared: &Board<Shared>, body: impl FnOnce(&Shared)) -> Child {
    let keeper = Child::fork(|| {
        body(shared);
        0
    });
    assert!(shared.ready.wait(), "the object was never made");
    keeper
}

pub fn settle(shared: &Board<Shared>, children: Vec<Child>, mut keeper: Child) {
    for mut child in children {
        assert_eq!(child.wait(LONG), End::Exited(0));
    }
    shared.stop.open();
    assert_eq!(keeper.wait(LONG), End::Exited(0), "the keeper");
}

pub fn waits(gate: &Gate) {
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
    let children = crowd(&shared, processes, 1, |shared| {
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

/// Threads of each process.
pub const THREADS: u64 = 50;

/// A thousand threads of twenty processes meet, three times: each passes, and every index is given once.
pub fn a_thousand_meet_at_a_barrier() {
    let _folder = Folder::enter();
    let shared = Board::<Shared>::new();
    let processes = size("MULTIPROC_WAITERS", 1000).div_ceil(THREADS);
    let keeper = keeper(&shared, |shared| {
        let parties = (size("MULTIPROC_WAITERS", 1000).div_ceil(THREADS) * THREADS) as u32;
        let barrier = Barrier::create("crowd", parties).expect("create");
        shared.ready.open();
        waits(&shared.stop);
        assert_eq!((barrier.waiting(), barrier.is_broken()), (0, false));
        let n = u64::from(parties);
        assert_eq!(shared.sum.load(SeqCst), 3 * n * (n - 1) / 2);
        assert_eq!(
            shared.squares.load(SeqCst),
            3 * (n - 1) * n * (2 * n - 1) / 6
        );
    });
    let begin = Instant::now();
    let children = crowd(&shared, processes, 1, |shared| {
        let barrier = Barrier::open("crowd").expect("open");
        shared.there.fetch_add(1, SeqCst);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| (0..3).for_each(|_| meet(&barrier, shared)));
            }
        });
    });
    settle(&shared, children, keeper);
    println!(
        "  {processes} processes of {THREADS} threads: 3 rounds in {:.2}s",
        begin.elapsed().as_secs_f64()
    );
}

fn meet(barrier: &Barrier, shared: &Shared) {
    let turn = barrier.wait_timeout(LONG).expect("nobody dies here");
    let index = u64::from(turn.index());
    shared.sum.fetch_add(index, SeqCst);
    shared.squares.fetch_add(index * index, SeqCst);
}

/// What a crowd of idle sleepers may cost, in thousandths of one processor. A debug build takes its time.
const IDLE_COST: f64 = if cfg!(debug_assertions) { 90.0 } else { 30.0 };

/// Processes that wait in `get` where nothing comes.
pub fn idle_consumers_cost_little() {
    let keep = |shared: &Shared| {
        let queue = Queue::<u64>::create("idle").expect("create");
        shared.ready.open();
        waits(&shared.stop);
        assert!(queue.is_empty());
    };
    idle(keep, |shared| {
        let queue = Queue::<u64>::open("idle").expect("open");
        shared.there.fetch_add(1, SeqCst);
        let _ = queue.get_timeout(LONG);
    });
}

/// Processes that wait for a lock that somebody keeps.
pub fn idle_lockers_cost_little() {
    let keep = |shared: &Shared| {
        let lock = Lock::create("held", 0_u64).expect("create");
        let _guard = lock.lock().expect("free");
        shared.ready.open();
        waits(&shared.stop);
    };
    idle(keep, |shared| {
        let lock = Lock::<u64>::open("held").expect("open");
        shared.there.fetch_add(1, SeqCst);
        let _ = lock.lock_timeout(LONG);
    });
}

/// Threads of many processes wait for one condition; so many go on as are notified, and all in the end.
pub fn a_crowd_is_notified_exactly() {
    let waiters = size("MULTIPROC_NOTIFIED", 1000) / THREADS * THREADS;
    let _folder = Folder::enter();
    let shared = Board::<Shared>::new();
    let through = &shared.through;
    let keeper = keeper(&shared, |shared| {
        let condition = Condition::create("crowd", 0_u64).expect("create");
        shared.ready.open();
        let all_wait = || *condition.lock().expect("nobody dies") == waiters;
        assert!(eventually(LONG, all_wait), "not all came");
        let (some, begin) = (waiters / 3, Instant::now());
        assert_eq!(u64::from(condition.notify(some as u32)), some);
        assert!(eventually(LONG, || through.load(SeqCst) == some));
        assert_eq!(u64::from(condition.notify_all()), waiters - some);
        assert!(eventually(LONG, || through.load(SeqCst) == waiters));
        assert_eq!(condition.notify_all(), 0);
        let elapsed = begin.elapsed().as_secs_f64();
        println!("  {waiters} waiters notified exactly, in {elapsed:.3}s");
        waits(&shared.stop);
    });
    let children = crowd(&shared, waiters / THREADS, 1, |shared| {
        let condition = Condition::<u64>::open("crowd").expect("open");
        shared.there.fetch_add(1, SeqCst);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    let mut guard = condition.lock().expect("nobody dies");
                    *guard += 1;
                    guard.wait().expect("nobody dies");
                    drop(guard);
                    shared.through.fetch_add(1, SeqCst);
                });
            }
        });
    });
    settle(&shared, children, keeper);
}

/// Processor time is what counts, not the time of day: how busy the machine is makes no difference to it.
pub fn idle(keep: impl FnOnce(&Shared), sleep: fn(&Shared)) {
    let waiters = size("MULTIPROC_WAITERS", 50);
    let seconds = Duration::from_secs(size("MULTIPROC_IDLE_SECONDS", 2));
    let _folder = Folder::enter();
    let shared = Board::<Shared>::new();
    let keeper = keeper(&shared, keep);
    let mut children = crowd(&shared, waiters, 1, sleep);
    // Time it is, here and below: every sleeper is to have come to its longest slices, and then to go on like that.
    std::thread::sleep(seconds.min(Duration::from_secs(12)));
    let (before, begin) = (spent(&children), Instant::now());
    std::thread::sleep(seconds); // time it is: over which is measured
    let permille = (spent(&children) - before).as_secs_f64() / begin.elapsed().as_secs_f64() * 1e3;
    println!(
        "  {waiters} idle waiters: {:.2} % of one processor",
        permille / 10.0
    );
    children
        .iter_mut()
        .for_each(|child| assert!(child.kill().killed()));
    settle(&shared, Vec::new(), keeper);
    assert!(
        permille <= IDLE_COST,
        "{permille:.1} thousandths of a processor"
    );
}

/// Processor time of all children, to the nanosecond.
fn spent(children: &[Child]) -> Duration {
    let of = |child: &Child| {
        let (mut clock, mut time) = (
            0,
            libc::timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
        );
        // SAFETY: both results live through the calls.
        let done = unsafe {
            libc::clock_getcpuclockid(child.pid(), &mut clock) == 0
                && libc::clock_gettime(clock, &mut time) == 0
        };
        assert!(done, "no processor clock of {}", child.pid());
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    };
    children.iter().map(of).sum()
}
