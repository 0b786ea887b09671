//! A message that kills its readers, and a lease that is held for long.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use multiproc::{Bytes, PutTimeoutError, Queue};

use crate::cell::HANG;
use crate::common::board::{Board, Gate, Zeroed, eventually};
use crate::common::child::{Child, End};
use crate::common::folder::Folder;
use crate::common::numbers::size;

const NAME: &str = "queue";
const POISON: &[u8] = b"poison";
const MAX_DELIVERIES: u8 = 5;
const WORKERS: usize = 3;

#[derive(Debug)]
struct Shared {
    ready: Gate,
    stop: Gate,
    done: AtomicU64,
    sips: AtomicU32,
}

// SAFETY: gates and atomics.
unsafe impl Zeroed for Shared {}

/// Workers die of one message until it is a dead letter; everything else is done, by workers that live.
pub fn poison_is_buried() {
    let _folder = Folder::enter();
    let shared = Board::<Shared>::new();
    let rounds = size("MULTIPROC_KILLS", 100)
        .div_ceil(u64::from(MAX_DELIVERIES))
        .min(1000);
    let mut kills = 0;
    for _ in 0..rounds {
        shared.clear();
        kills += poison_once(&shared);
    }
    println!(
        "  poison: {kills} workers died of {rounds} messages, each delivered {MAX_DELIVERIES} times"
    );
}

fn poison_once(shared: &Board<Shared>) -> u64 {
    const WORK: u64 = 60;
    let mut keeper = Child::fork(|| poisoner(shared, WORK));
    assert!(shared.ready.wait(), "nobody creates the queue");
    let mut workers: Vec<Child> = (0..WORKERS)
        .map(|_| Child::fork(|| worker(shared)))
        .collect();
    let mut deaths = 0;
    let finished = eventually(HANG, || {
        for worker in &mut workers {
            if let Some(end) = worker.poll() {
                assert!(end.killed(), "a worker ended {end:?}");
                deaths += 1;
                *worker = Child::fork(|| self::worker(shared));
            }
        }
        shared.done.load(SeqCst) == WORK && deaths == u64::from(MAX_DELIVERIES)
    });
    assert!(
        finished,
        "{} of {WORK} done, {deaths} deaths",
        shared.done.load(SeqCst)
    );
    assert!(
        workers.iter_mut().all(|w| w.poll().is_none()),
        "a worker died after the burial"
    );
    shared.stop.open();
    assert_eq!(keeper.wait(HANG), End::Exited(0), "the keeper");
    workers
        .iter_mut()
        .for_each(|w| assert_eq!(w.wait(HANG), End::Exited(0)));
    deaths
}

fn poisoner(shared: &Shared, work: u64) -> i32 {
    let builder = Queue::<Bytes>::builder()
        .name(NAME)
        .capacity(8)
        .max_deliveries(MAX_DELIVERIES);
    let queue = builder.create().expect("create");
    shared.ready.open();
    for n in 0..work {
        if n == work / 3 {
            queue.put(POISON).expect("room");
        }
        queue.put(&n.to_le_bytes()[..]).expect("room");
    }
    assert!(shared.stop.wait());
    queue
        .join_timeout(HANG)
        .expect("everything is done or dead");
    let letters = queue.dead_letters();
    assert_eq!(letters.len(), 1, "one message is a dead letter");
    assert_eq!(&*letters[0], POISON);
    letters.into_iter().for_each(|letter| letter.ack());
    0
}

/// Every other worker dies by the guard, the others by the lease.
fn worker(shared: &Shared) -> i32 {
    let Ok(queue) = Queue::<Bytes>::open(NAME) else {
        // Started last, and everybody else has left: the queue went with them.
        return i32::from(!shared.stop.is_open());
    };
    while !shared.stop.is_open() {
        let Ok(message) = queue.get_timeout(Duration::from_millis(20)) else {
            continue;
        };
        if &*message != POISON {
            message.ack();
            shared.done.fetch_add(1, SeqCst);
            continue;
        }
        let sip = shared.sips.fetch_add(1, SeqCst) + 1;
        assert_eq!(message.delivery_count(), sip);
        if sip.is_multiple_of(2) {
            std::mem::forget(message.detach());
        } else {
            std::mem::forget(message);
        }
        // SAFETY: kill and getpid have no memory preconditions.
        unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    }
    0
}

/// What the others do while somebody sits on a lease, at least, in thousandths of what they do otherwise.
const RATE_BESIDE_A_LEASE: u128 = 900;

/// While one consumer sits on a lease, the queue has its whole capacity and the others take everything else, as fast
/// as without the lease.
///
/// Short windows with the lease held and without it follow each other, so that whatever else goes on hits both alike,
/// and their processor time is compared, which leaves out what other processes took. Then one lease is held for long.
pub fn lease_is_in_nobodys_way() {
    let _folder = Folder::enter();
    let shared = Board::<Shared>::new();
    let seconds = Duration::from_secs(size("MULTIPROC_LEASE_SECONDS", 1));
    let queue = || Queue::<Bytes>::open_or_create(NAME).expect("open or create");
    let mut holder = Child::fork(|| sit_on_a_lease(&queue(), &shared));
    assert!(shared.ready.wait());
    let mut others = Child::fork(|| {
        let queue = queue();
        let (mut pairs, begin) = (Vec::new(), Instant::now());
        while pairs.len() < 10 || begin.elapsed() < seconds {
            let spent = [false, true].map(|held| {
                let window = shared.turn_to(held);
                let before = processor_time();
                (0..WINDOW).for_each(|n| lap(&queue, window + n));
                processor_time() - before
            });
            pairs.push(spent[0].as_nanos() * 1000 / spent[1].as_nanos());
        }
        pairs.sort_unstable();
        let permille = pairs[pairs.len() / 2];
        println!(
            "  beside a lease: {permille} thousandths of the rate without, median of {} pairs of windows",
            pairs.len()
        );
        assert!(permille >= RATE_BESIDE_A_LEASE, "a lease slows others down");
        let (begin, mut n) = (Instant::now(), shared.turn_to(false));
        shared.turn_to(true);
        while begin.elapsed() < seconds {
            lap(&queue, n);
            n += 1;
        }
        0
    });
    let end = others.wait(3 * HANG + 2 * seconds);
    shared.stop.open();
    assert_eq!(end, End::Exited(0));
    assert_eq!(holder.wait(HANG), End::Exited(0));
}

/// Laps of one window.
const WINDOW: u64 = 20;

impl Shared {
    /// Has the holder take its lease, or acknowledge it, and says how often that was done.
    fn turn_to(&self, held: bool) -> u64 {
        let turn = u64::from(self.sips.fetch_add(1, SeqCst) + 1);
        assert_eq!(turn.is_multiple_of(2), held);
        assert!(eventually(HANG, || self.done.load(SeqCst) == turn));
        turn
    }
}

/// Holds a lease in every other turn.
fn sit_on_a_lease(queue: &Queue<Bytes>, shared: &Shared) -> i32 {
    let mut lease: Option<multiproc::Lease<Bytes>> = None;
    shared.ready.open();
    while !shared.stop.is_open() {
        let turn = u64::from(shared.sips.load(SeqCst));
        if turn == shared.done.load(SeqCst) {
            std::thread::sleep(Duration::from_millis(1)); // a poll that leaves the processor to the others
            continue;
        }
        match turn.is_multiple_of(2) {
            true => {
                queue.put(&b"held"[..]).expect("room");
                lease = Some(queue.lease().expect("what was just put"));
            }
            false => {
                if let Some(held) = lease.take() {
                    assert_eq!(&*held, b"held");
                    held.ack();
                }
            }
        }
        shared.done.store(turn, SeqCst);
    }
    lease.into_iter().for_each(multiproc::Lease::ack);
    queue.join_timeout(HANG).map_or(1, |()| 0)
}

/// What this process has used of the processors.
fn processor_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` lives through the call.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Fills the queue to the brim, which is its capacity, and drains it in order.
fn lap(queue: &Queue<Bytes>, lap: u64) {
    let capacity = queue.capacity() as u64;
    for n in 0..capacity {
        queue
            .put_timeout(&(lap + n).to_le_bytes()[..], Duration::ZERO)
            .expect("room up to the capacity");
    }
    assert_eq!(
        queue.put_timeout(&[0][..], Duration::ZERO),
        Err(PutTimeoutError::Timeout)
    );
    for n in 0..capacity {
        let message = queue.try_get().expect("what was just put");
        assert_eq!(
            (&*message, message.delivery_count()),
            (&(lap + n).to_le_bytes()[..], 1)
        );
    }
}
