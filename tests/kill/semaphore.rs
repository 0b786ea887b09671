//! The semaphores' cells: takers and givers of plain permits; holders, waiters, users at random of permits with owners;
//! creators of both are killed.

use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use multiproc::{BoundedSemaphore, Semaphore};

use crate::cell::{Body, Books, Cell, Gates, HANG, run};
use crate::common::board::Zeroed;
use crate::witness;

const NAME: &str = "semaphore";

/// The books of one round, in permits.
#[derive(Debug)]
pub struct Ledger {
    gates: Gates,
    taking: AtomicU64,
    taken: AtomicU64,
    giving: AtomicU64,
    given: AtomicU64,
    /// Who came in last and has not left, by its process id.
    inside: AtomicU32,
}

// SAFETY: gates and atomics.
unsafe impl Zeroed for Ledger {}

impl Books for Ledger {
    const COUNTED: [&'static str; 2] = ["permits taken", "given"];

    fn gates(&self) -> &Gates {
        &self.gates
    }

    fn counts(&self) -> [u64; 2] {
        [self.taken.load(SeqCst), self.given.load(SeqCst)]
    }
}

type Aim = fn(&Ledger, u32) -> bool;

fn cell(name: &'static str, bodies: [Body<Ledger>; 3], creation: bool, aim: Aim) {
    let [auditor, victims, others] = bodies;
    run(&Cell {
        name,
        auditor,
        victims,
        others,
        pause: if creation { 2000 } else { 1000 },
        creation,
        aim,
    });
}

/// Those who take, one and two at a time.
pub fn takers_killed() {
    cell("semaphore takers", [audit, take, give], false, |_, _| true);
}

/// Those who give, often between that and the wake-up.
pub fn givers_killed() {
    cell("semaphore givers", [audit, give, take], false, |_, _| true);
}

/// The first process of each semaphore dies, often while it makes it.
pub fn creators_killed() {
    cell("semaphore creators", [audit, give, take], true, |_, _| true);
}

fn open() -> Semaphore {
    Semaphore::open_or_create(NAME, 0).expect("open or create")
}

fn take(ledger: &Ledger) {
    let semaphore = open();
    for n in [1, 2].into_iter().cycle() {
        if ledger.gates.stop.is_open() {
            return;
        }
        ledger.taking.fetch_add(n, SeqCst);
        semaphore.acquire_many(n as u32);
        ledger.taken.fetch_add(n, SeqCst);
        witness::moved();
    }
}

/// Gives whenever there is too little for anybody, and in the end enough for all who still wait.
fn give(ledger: &Ledger) {
    let semaphore = open();
    while !ledger.gates.stop.is_open() {
        if semaphore.available() < 2 {
            give_one(&semaphore, ledger);
        }
        witness::moved();
        std::thread::sleep(Duration::from_micros(20)); // the pace of this cell; nothing is waited for
    }
    (0..4).for_each(|_| give_one(&semaphore, ledger));
}

fn give_one(semaphore: &Semaphore, ledger: &Ledger) {
    ledger.giving.fetch_add(1, SeqCst);
    semaphore.release(1).expect("room");
    ledger.given.fetch_add(1, SeqCst);
}

/// In the end the value is what was given less what was taken, and all of it can be taken.
fn audit(ledger: &Ledger) {
    let semaphore = open();
    ledger.gates.until_audit();
    let count = |of: &AtomicU64| of.load(SeqCst) as i64;
    let least = count(&ledger.given) - count(&ledger.taking);
    let most = count(&ledger.giving) - count(&ledger.taken);
    let value = i64::from(semaphore.available());
    assert!(
        (least..=most).contains(&value),
        "{value} is not {least} to {most}"
    );
    let all = semaphore.acquire_many_timeout(semaphore.available(), HANG);
    all.expect("kept for the dead");
}

/// Permits of the bounded semaphore.
const PERMITS: u32 = 2;

/// Every kill hits somebody who holds permits.
pub fn holders_killed() {
    let aim = |ledger: &Ledger, pid| ledger.inside.load(SeqCst) == pid;
    bounded("bounded semaphore holders", work, false, aim);
}

/// Every kill hits somebody who holds none, and therefore nearly always waits.
pub fn waiters_killed() {
    let aim = |ledger: &Ledger, pid| {
        let inside = ledger.inside.load(SeqCst);
        inside != 0 && inside != pid
    };
    bounded("bounded semaphore waiters", work, false, aim);
}

/// Kills at random instants of a loop that does nothing but take and give back.
pub fn users_killed() {
    bounded("bounded semaphore users at random", hurry, false, |_, _| {
        true
    });
}

/// The first process of each bounded semaphore dies, often while it makes it.
pub fn bounded_creators_killed() {
    bounded("bounded semaphore creators", work, true, |_, _| true);
}

fn bounded(name: &'static str, body: Body<Ledger>, creation: bool, aim: Aim) {
    ADMITTED.get_or_init(memory_file);
    cell(name, [audit_bounded, body, body], creation, aim);
}

/// A file of which each permit is a byte, locked while it is held: the kernel's own account of who is inside.
static ADMITTED: OnceLock<File> = OnceLock::new();

fn memory_file() -> File {
    // SAFETY: the name ends with a zero byte.
    let fd = unsafe { libc::memfd_create(c"admitted".as_ptr(), 0) };
    assert!(fd >= 0, "memfd_create");
    // SAFETY: the kernel just gave us this descriptor and nobody else has it.
    unsafe { File::from_raw_fd(fd) }
}

/// This process's view of [`ADMITTED`], with locks of its own.
///
/// Opened before the semaphore, so that the kernel closes it first when the process dies: whoever gets the permit of the
/// dead finds its byte free.
struct Doors(File);

impl Doors {
    fn open() -> Self {
        let fd = ADMITTED.get().expect("made by the driver").as_raw_fd();
        let path = format!("/proc/self/fd/{fd}");
        let file = File::options().read(true).write(true).open(path);
        Doors(file.expect("/proc"))
    }

    fn set(&self, byte: u32, what: libc::c_int) -> bool {
        // SAFETY: zero is a valid value of each field.
        let mut lock: libc::flock = unsafe { std::mem::zeroed() };
        lock.l_type = what as _;
        lock.l_whence = libc::SEEK_SET as _;
        lock.l_start = byte.into();
        lock.l_len = 1;
        // SAFETY: the lock lives through the call.
        unsafe { libc::fcntl(self.0.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) == 0 }
    }

    /// One byte for each permit; no more than there are can be inside.
    fn enter(&self, n: u32) {
        let entered = (0..PERMITS).filter(|&byte| self.set(byte, libc::F_WRLCK));
        let entered = entered.take(n as usize).count();
        assert_eq!(entered, n as usize, "more permits are held than there are");
    }

    fn leave(&self) {
        (0..PERMITS).for_each(|byte| assert!(self.set(byte, libc::F_UNLCK)));
    }
}

fn open_bounded() -> BoundedSemaphore {
    BoundedSemaphore::open_or_create(NAME, PERMITS).expect("open or create")
}

fn pass(semaphore: &BoundedSemaphore, doors: &Doors, n: u32, ledger: &Ledger, time: Duration) {
    let permits = semaphore.acquire_many(n);
    doors.enter(n);
    ledger.inside.store(std::process::id(), SeqCst);
    ledger.taken.fetch_add(n.into(), SeqCst);
    let begin = Instant::now();
    while begin.elapsed() < time {
        std::hint::spin_loop();
    }
    ledger.inside.store(0, SeqCst);
    doors.leave();
    drop(permits);
    ledger.given.fetch_add(n.into(), SeqCst);
    witness::moved();
}

/// Stays inside for a while, so that others wait, and then lets them in.
fn work(ledger: &Ledger) {
    let (doors, semaphore) = (Doors::open(), open_bounded());
    for n in [1, 1, PERMITS].into_iter().cycle() {
        if ledger.gates.stop.is_open() {
            return;
        }
        pass(&semaphore, &doors, n, ledger, Duration::from_micros(100));
        std::thread::sleep(Duration::from_micros(20)); // the pace of this cell; nothing is waited for
    }
}

fn hurry(ledger: &Ledger) {
    let (doors, semaphore) = (Doors::open(), open_bounded());
    for n in [1, PERMITS].into_iter().cycle() {
        if ledger.gates.stop.is_open() {
            return;
        }
        pass(&semaphore, &doors, n, ledger, Duration::ZERO);
    }
}

/// In the end all permits are there, each once.
fn audit_bounded(ledger: &Ledger) {
    let semaphore = open_bounded();
    ledger.gates.until_audit();
    let all = semaphore.acquire_many_timeout(PERMITS, HANG);
    let all = all.expect("all permits come back");
    assert_eq!(semaphore.available(), 0);
    assert!(semaphore.try_acquire().is_err());
    drop(all);
    assert_eq!(semaphore.available(), PERMITS);
}
