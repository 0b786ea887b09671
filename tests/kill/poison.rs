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

/// While one consumer sits on a lease, the queue has its whole capacity and the others take everything else.
pub fn lease_is_in_nobodys_way() {
    let _folder = Folder::enter();
    let shared = Board::<Shared>::new();
    let seconds = Duration::from_secs(size("MULTIPROC_LEASE_SECONDS", 1));
    let queue = || Queue::<Bytes>::open_or_create(NAME).expect("open or create");
    let mut holder = Child::fork(|| {
        let queue = queue();
        queue.put(&b"held"[..]).expect("room");
        let lease = queue.lease().expect("what was just put");
        shared.ready.open();
        assert!(shared.stop.wait());
        assert_eq!(&*lease, b"held");
        lease.ack();
        queue.join_timeout(HANG).map_or(1, |()| 0)
    });
    assert!(shared.ready.wait());
    let rate = |done: u64, begin: Instant| done as f64 / begin.elapsed().as_secs_f64();
    let mut others = Child::fork(|| {
        let queue = queue();
        let (begin, mut n) = (Instant::now(), 0u64);
        while begin.elapsed() < seconds {
            lap(&queue, n);
            n += 1;
        }
        println!(
            "  lease held: {:.0} laps of the whole capacity per second",
            rate(n, begin)
        );
        0
    });
    assert_eq!(others.wait(HANG + seconds), End::Exited(0));
    shared.stop.open();
    assert_eq!(holder.wait(HANG), End::Exited(0));
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
