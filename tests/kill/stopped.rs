//! A process that stands still is not a dead one: however long it takes, nothing of its is repaired.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use multiproc::{
    Bytes, Connection, ErrorKind, GetTimeoutError, Lock, LockTimeoutError, Pipe, Queue, RecvError,
    RecvTimeoutError, SendTimeoutError,
};

use crate::cell::HANG;
use crate::common::board::{Board, Gate, Zeroed};
use crate::common::child::{Child, End};
use crate::common::folder::Folder;

const NAME: &str = "queue";

/// Longer than every slice after which a waiter looks for the dead.
const LONG: Duration = Duration::from_millis(700);

#[derive(Debug)]
struct Shared {
    ready: Gate,
    done: AtomicU64,
}

// SAFETY: a gate and an atomic.
unsafe impl Zeroed for Shared {}

/// Stops a process that holds something, lets another one wait beside it, and lets it go on.
fn stand_still(holder: fn(&Shared) -> i32, beside: fn(&Shared) -> i32) {
    let _folder = Folder::enter();
    let shared = Board::<Shared>::new();
    let mut holder = Child::fork(|| holder(&shared));
    assert!(shared.ready.wait());
    holder.stop();
    let mut other = Child::fork(|| beside(&shared));
    assert_eq!(
        other.wait(HANG),
        End::Exited(0),
        "beside the one that stands still"
    );
    holder.resume();
    assert_eq!(
        holder.wait(HANG),
        End::Exited(0),
        "the one that stood still"
    );
}

/// Passes the time until the other one has looked long enough.
fn hold(shared: &Shared) {
    shared.ready.open();
    while shared.done.load(SeqCst) == 0 {
        std::thread::yield_now();
    }
}

pub fn reader_keeps_its_message() {
    let read = |shared: &Shared| {
        let queue = Queue::<Bytes>::open_or_create(NAME).expect("create");
        queue.put(&b"mine"[..]).expect("room");
        let message = queue.get().expect("what was just put");
        hold(shared);
        assert_eq!((&*message, message.delivery_count()), (&b"mine"[..], 1));
        message.ack();
        assert_eq!(queue.stats().redelivered, 0);
        0
    };
    let wait = |shared: &Shared| {
        let queue = Queue::<Bytes>::open(NAME).expect("open");
        assert_eq!(
            queue.get_timeout(LONG).err(),
            Some(GetTimeoutError::Timeout),
            "taken from the living"
        );
        shared.done.store(1, SeqCst);
        0
    };
    stand_still(read, wait);
}

pub fn writer_keeps_its_claim() {
    let write = |shared: &Shared| {
        let queue = Queue::<Bytes>::open_or_create(NAME).expect("create");
        let mut claim = queue.claim(5).expect("room");
        hold(shared);
        claim.copy_from_slice(b"later");
        claim.commit();
        let message = queue.get_timeout(HANG).expect("what was committed late");
        assert_eq!((&*message, message.delivery_count()), (&b"later"[..], 1));
        0
    };
    let wait = |shared: &Shared| {
        let queue = Queue::<Bytes>::open(NAME).expect("open");
        assert_eq!(
            queue.get_timeout(LONG).err(),
            Some(GetTimeoutError::Timeout),
            "passed a living writer"
        );
        shared.done.store(1, SeqCst);
        0
    };
    stand_still(write, wait);
}

pub fn holder_keeps_its_lock() {
    let hold_it = |shared: &Shared| {
        let lock = Lock::open_or_create("lock", [0_u64; 2]).expect("create");
        let mut guard = lock.lock().expect("free");
        guard[0] = 1;
        hold(shared);
        guard[1] = 1;
        0
    };
    let wait = |shared: &Shared| {
        let lock = Lock::<[u64; 2]>::open("lock").expect("open");
        assert_eq!(
            lock.lock_timeout(LONG).map(drop),
            Err(LockTimeoutError::Timeout),
            "taken from the living"
        );
        shared.done.store(1, SeqCst);
        0
    };
    stand_still(hold_it, wait);
}

type PipeEnd = Connection<u64, u64>;

/// With a message in hand; the other end finds neither messages nor room, and is not told that anybody died.
pub fn pipe_end_is_kept() {
    let hold_it = |shared: &Shared| {
        let (near, far) = Pipe::<u64, u64>::builder()
            .capacity(4 * 16)
            .pair()
            .expect("a pipe");
        far.send(1).expect("room");
        let message = near.recv().expect("what was just sent");
        let queue = Queue::<PipeEnd>::create(NAME).expect("create");
        queue.put(&far).expect("room");
        hold(shared);
        assert_eq!(message.to_native(), 1);
        message.ack();
        let more = (0..3).map(|_| near.recv_owned());
        assert_eq!(more.collect::<Vec<_>>(), [Ok(2), Ok(3), Ok(4)]);
        assert_eq!(near.recv_owned(), Err(RecvError::Disconnected));
        0
    };
    let wait = |shared: &Shared| {
        let queue = Queue::<PipeEnd>::open(NAME).expect("open");
        let far = queue.get_owned().expect("the far end");
        (2..5).for_each(|n| far.send(n).expect("room"));
        assert_eq!(far.send_timeout(9, LONG), Err(SendTimeoutError::Timeout));
        let none = far.recv_timeout(LONG).map(drop);
        assert_eq!(none, Err(RecvTimeoutError::Timeout), "dead for the living");
        let taken = Connection::resume(&far.peer_ticket()).map(drop);
        let refused = taken.expect_err("taken from the living");
        assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
        shared.done.store(1, SeqCst);
        0
    };
    stand_still(hold_it, wait);
}
