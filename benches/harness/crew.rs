//! Real processes that work together: forked, pinned, started at once, their results brought home.
//!
//! Peers that cannot cross a process border work as threads, pinned and started in the same way.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::backoff::Backoff;
use super::machine;
use super::shared::Shared;

/// What one worker brings home.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Report {
    /// When its work began, in ticks.
    pub begin: u64,
    /// When its work ended, in ticks.
    pub end: u64,
    /// How many messages (or operations) it handled.
    pub count: u64,
    /// Sum of their sequence numbers.
    pub sum: u64,
    /// Sum of every payload word.
    pub check: u64,
    /// Whatever else the workload measures.
    pub values: [f64; 8],
}

/// Where workers wait for each other.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Meeting {
    parties: AtomicU32,
    arrived: AtomicU32,
    held: AtomicU32,
    finished: AtomicU32,
}

impl Meeting {
    /// Counts a worker whose work is done; returns how many are, with this one.
    pub fn finish(&self) -> usize {
        // Pairs with itself: whoever counts last has everything before it that the others did.
        self.finished.fetch_add(1, Ordering::AcqRel) as usize + 1
    }

    /// Waits until every worker of the crew has come here.
    pub fn meet(&self) {
        let held = self.held.load(Ordering::Acquire);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.parties.load(Ordering::Relaxed) {
            self.arrived.store(0, Ordering::Relaxed);
            // Pairs with the load below: whoever leaves sees everything done before anybody arrived.
            self.held.store(held + 1, Ordering::Release);
            return;
        }
        let mut backoff = Backoff::new();
        while self.held.load(Ordering::Acquire) == held {
            backoff.wait();
        }
    }
}

type Work<'a> = Box<dyn FnOnce(&Meeting) -> Report + Send + 'a>;

/// A set of workers, each a process of its own; worker `i` runs on processor `i % 2`.
#[derive(Default)]
pub struct Crew<'a> {
    workers: Vec<Work<'a>>,
}

impl std::fmt::Debug for Crew<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Crew")
            .field("workers", &self.workers.len())
            .finish()
    }
}

impl<'a> Crew<'a> {
    /// A run that takes longer is stuck, and is ended with a failure.
    const LIMIT: Duration = Duration::from_secs(60);

    /// Nobody yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a worker.
    pub fn hire(&mut self, work: impl FnOnce(&Meeting) -> Report + Send + 'a) {
        self.workers.push(Box::new(work));
    }

    /// Starts all, waits for all.
    ///
    /// # Panics
    ///
    /// When a worker panics, is killed or takes longer than a minute.
    pub fn run(self) -> Vec<Report> {
        let count = self.workers.len();
        let table = size_of::<Meeting>().next_multiple_of(128);
        let shared = Shared::new(table + count * size_of::<Report>());
        // SAFETY: atomics are valid for any bytes.
        let meeting: &Meeting = unsafe { shared.at(0) };
        meeting.parties.store(count as u32, Ordering::Relaxed);
        let seat = |worker: usize| table + worker * size_of::<Report>();
        let mut pids = Vec::with_capacity(count);
        for (worker, work) in self.workers.into_iter().enumerate() {
            // SAFETY: the seat lies within the mapping, and each worker has one of its own.
            let seat = unsafe { shared.base().add(seat(worker)).cast::<Report>() };
            pids.push(fork(worker, || {
                let report = work(meeting);
                // SAFETY: as above; the parent reads only after this process has ended.
                unsafe { seat.write(report) };
            }));
        }
        pids.into_iter().for_each(reap);
        // SAFETY: every worker has ended after writing its report.
        (0..count)
            .map(|worker| unsafe { *shared.at::<Report>(seat(worker)) })
            .collect()
    }

    /// As [`run`](Self::run), with threads of the calling process.
    ///
    /// # Panics
    ///
    /// When a worker panics.
    pub fn run_as_threads(self) -> Vec<Report> {
        let meeting = Meeting::default();
        meeting
            .parties
            .store(self.workers.len() as u32, Ordering::Relaxed);
        let start = |(worker, work): (usize, Work<'a>)| {
            let meeting = &meeting;
            move || {
                let cpus = machine::cpus();
                machine::pin(cpus[worker % cpus.len()]);
                work(meeting)
            }
        };
        std::thread::scope(|scope| {
            let works: Vec<_> = self.workers.into_iter().enumerate().map(start).collect();
            let threads: Vec<_> = works.into_iter().map(|work| scope.spawn(work)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().expect("a worker failed"))
                .collect()
        })
    }
}

/// A process that is started alone, and may be killed.
#[derive(Clone, Copy, Debug)]
pub struct Victim(libc::pid_t);

impl Victim {
    /// Starts a process on processor `worker % 2`.
    pub fn start(worker: usize, work: impl FnOnce()) -> Self {
        Self(fork(worker, work))
    }

    /// Ends it by SIGKILL; any process of the family may call this.
    pub fn kill(self) {
        // SAFETY: no pointers are passed; the process is not reaped before the bench says so, so the id is its own.
        unsafe { libc::kill(self.0, libc::SIGKILL) };
    }

    /// Stops it by SIGSTOP; when this returns it runs no more.
    pub fn stop(self) {
        let mut status = 0;
        // SAFETY: no pointers but `status`, which is writable; the child is ours.
        unsafe {
            libc::kill(self.0, libc::SIGSTOP);
            libc::waitpid(self.0, &raw mut status, libc::WUNTRACED);
        }
    }

    /// Waits for its end, whatever it was.
    pub fn reap(self) {
        let mut status = 0;
        // SAFETY: `status` is writable; the child is ours and waited for once.
        unsafe { libc::waitpid(self.0, &raw mut status, 0) };
    }
}

/// Runs `work` in a child of the calling process, which must have one thread only.
fn fork(worker: usize, work: impl FnOnce()) -> libc::pid_t {
    // SAFETY: benches are single-threaded, so the child may go on as if nothing had happened.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork");
    if pid != 0 {
        return pid;
    }
    // SAFETY: these calls take no pointers.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        libc::alarm(Crew::LIMIT.as_secs() as u32);
    }
    let cpus = machine::cpus();
    machine::pin(cpus[worker % cpus.len()]);
    let outcome = catch_unwind(AssertUnwindSafe(work));
    // SAFETY: ends the child at once, without running the parent's exit handlers a second time.
    unsafe { libc::_exit(if outcome.is_ok() { 0 } else { 101 }) }
}

fn reap(pid: libc::pid_t) {
    let mut status = 0;
    // SAFETY: `status` is writable; the child is ours and waited for once.
    let found = unsafe { libc::waitpid(pid, &mut status, 0) };
    assert_eq!(found, pid, "waitpid");
    assert_eq!(status, 0, "a worker failed (wait status {status:#x})");
}
