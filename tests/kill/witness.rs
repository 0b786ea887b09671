//! What every survivor says about a kill: when it went on, and how late the machine itself was meanwhile.
//!
//! The driver announces a kill once the kernel has taken the victim apart. Every other process answers with the first
//! thing that it gets done after that, and so does each of them after a *sham*: an announcement for which nobody was
//! killed. A control process does nothing but sleep for a millisecond at a time and add up by how much it overslept.
//! A wait that neither the shams nor the control explain is one for the dead.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use crate::common::board::{Board, Gate, Zeroed, eventually};
use crate::common::child::{Child, End};

/// Processes that answer, at most.
const SEATS: usize = 8;

/// Nobody sits there, or somebody who has nothing left to do.
const EMPTY: u64 = 0;
/// Somebody comes who has not begun yet.
const COMING: u64 = 1;

#[derive(Debug)]
struct Witness {
    /// The number of the last announcement, stored after the others of its fields.
    kill: AtomicU64,
    /// When the victim was signalled.
    at: AtomicU64,
    /// When the kernel had taken it apart, and what the control had overslept by then.
    dead: AtomicU64,
    late: AtomicU64,
    control: Control,
    seats: [Seat; SEATS],
}

/// One process that answers.
#[derive(Debug)]
struct Seat {
    /// When it started, [`COMING`] or [`EMPTY`].
    started: AtomicU64,
    /// The last announcement that it answered.
    answered: AtomicU64,
    /// How long after the signal.
    waited: AtomicU64,
    /// How long after the death, less what the control overslept meanwhile.
    unexplained: AtomicU64,
}

/// What the control process says.
#[derive(Debug)]
struct Control {
    overslept: AtomicU64,
    /// When its sleep should end.
    due: AtomicU64,
    stop: Gate,
}

// SAFETY: atomics, and structures and arrays of them.
unsafe impl Zeroed for Witness {}
// SAFETY: atomics only.
unsafe impl Zeroed for Seat {}

impl Seat {
    fn answer(&self) -> Answer {
        Answer {
            waited: self.waited.load(SeqCst) / 1000,
            unexplained: self.unexplained.load(SeqCst) / 1000,
        }
    }
}

static WITNESS: LazyLock<Board<Witness>> = LazyLock::new(Board::new);

/// The seat of this process.
static SEAT: AtomicU32 = AtomicU32::new(u32::MAX);

/// The time in nanoseconds, the same for all processes.
pub fn now() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` lives through the call.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// How late everything was: what the control overslept so far, the sleep that it is in included.
fn lateness() -> u64 {
    let control = &WITNESS.control;
    let overdue = match control.due.load(SeqCst) {
        0 => 0,
        due => now().saturating_sub(due),
    };
    control.overslept.load(SeqCst) + overdue
}

/// An instant that one process notes and another one counts from.
#[derive(Debug)]
pub struct Since {
    at: AtomicU64,
    late: AtomicU64,
}

// SAFETY: atomics only.
unsafe impl Zeroed for Since {}

impl Since {
    /// It is now.
    pub fn begin(&self) {
        self.late.store(lateness(), SeqCst);
        self.at.store(now(), SeqCst);
    }

    /// Microseconds since then, without the control's oversleeping; 0 if it is still to come.
    pub fn unexplained(&self) -> u64 {
        let (now, at) = (now(), self.at.load(SeqCst));
        let late = lateness().saturating_sub(self.late.load(SeqCst));
        let waited = if at == 0 { 0 } else { now.saturating_sub(at) };
        waited.saturating_sub(late) / 1000
    }
}

/// One answer, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answer {
    /// From the signal to the first thing done.
    pub waited: u64,
    /// From the death to it, without the control's oversleeping.
    pub unexplained: u64,
}

/// In a process that answers: takes its seat.
pub fn arrive(seat: usize) {
    let its = &WITNESS.seats[seat];
    its.started.store(now(), SeqCst);
    SEAT.store(seat as u32, SeqCst);
}

/// In a process that answers: something is done.
pub fn moved() {
    let kill = WITNESS.kill.load(SeqCst);
    let Some(its) = WITNESS.seats.get(SEAT.load(SeqCst) as usize) else {
        return;
    };
    if its.answered.load(SeqCst) == kill {
        return;
    }
    let (now, late) = (now(), lateness().saturating_sub(WITNESS.late.load(SeqCst)));
    // Who starts after the kill waits from its start.
    let since =
        |begin: &AtomicU64| now.saturating_sub(begin.load(SeqCst).max(its.started.load(SeqCst)));
    its.waited.store(since(&WITNESS.at), SeqCst);
    let unexplained = since(&WITNESS.dead).saturating_sub(late);
    its.unexplained.store(unexplained, SeqCst);
    its.answered.store(kill, SeqCst);
}

/// In a process that answers: it has nothing left to do, and will not answer any more.
pub fn retire() {
    if let Some(its) = WITNESS.seats.get(SEAT.load(SeqCst) as usize) {
        its.started.store(EMPTY, SeqCst);
    }
}

/// The driver's end.
#[derive(Debug)]
pub struct Witnesses {
    control: Child,
}

impl Witnesses {
    pub fn new() -> Witnesses {
        WITNESS.clear();
        let control = Child::fork(|| {
            oversleep(&WITNESS.control);
            0
        });
        Witnesses { control }
    }

    /// Forgets all who were seated; only while none of them runs.
    pub fn clear(&self) {
        for seat in &WITNESS.seats {
            seat.started.store(EMPTY, SeqCst);
        }
    }

    /// The process at `seat` is no more.
    pub fn bury(&self, seat: usize) {
        WITNESS.seats[seat].started.store(EMPTY, SeqCst);
    }

    /// From now on there is a process at `seat`, which is about to [`arrive`].
    pub fn expect(&self, seat: usize) {
        WITNESS.seats[seat].answered.store(0, SeqCst);
        WITNESS.seats[seat].started.store(COMING, SeqCst);
    }

    /// Asks everybody now that the victim `signalled` at that time is dead, and waits until each of them has answered;
    /// the longest wait.
    pub fn ask(&self, signalled: u64, limit: Duration) -> Option<Answer> {
        WITNESS.at.store(signalled, SeqCst);
        WITNESS.dead.store(now(), SeqCst);
        WITNESS.late.store(lateness(), SeqCst);
        let kill = WITNESS.kill.fetch_add(1, SeqCst) + 1;
        let answered = |seat: &Seat| seat.answered.load(SeqCst) == kill;
        let settled = |seat: &Seat| seat.started.load(SeqCst) == EMPTY || answered(seat);
        let all = || WITNESS.seats.iter().all(settled);
        eventually(limit, all).then(|| {
            let answers = WITNESS.seats.iter().filter(|seat| answered(seat));
            answers.map(Seat::answer).fold(Answer::default(), |a, b| {
                if a.unexplained < b.unexplained { b } else { a }
            })
        })
    }
}

impl Drop for Witnesses {
    fn drop(&mut self) {
        WITNESS.control.stop.open();
        let end = self.control.wait(Duration::from_secs(20));
        if !std::thread::panicking() {
            assert_eq!(end, End::Exited(0), "the control process");
        }
    }
}

/// The control: sleeps a millisecond, adds up how much longer it was, and sleeps again.
fn oversleep(control: &Control) {
    const STEP: Duration = Duration::from_millis(1);
    // Else every timer may be late by 50 us, by design.
    // SAFETY: prctl with a number for its argument touches no memory.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1) };
    while !control.stop.is_open() {
        let due = now() + STEP.as_nanos() as u64;
        control.due.store(due, SeqCst);
        std::thread::sleep(STEP); // time it is: how late the machine makes it is what is measured
        let late = now().saturating_sub(due);
        control.due.store(0, SeqCst);
        control.overslept.fetch_add(late, SeqCst);
    }
}
