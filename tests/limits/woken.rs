//! Many wait for one event, and for the permits of one semaphore; as many go on as should.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Instant;

use multiproc::{Event, Semaphore};

use crate::common::board::{Board, eventually};
use crate::common::folder::Folder;
use crate::common::numbers::size;
use crate::crowds::{LONG, Shared, THREADS, crowd, keeper, settle, waits};

fn waiters() -> u64 {
    size("MULTIPROC_NOTIFIED", 1000) / THREADS * THREADS
}

/// In one of many processes: threads that each wait, and count that they went on.
fn each_thread(shared: &Shared, wait: impl Fn() + Sync) {
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                shared.there.fetch_add(1, SeqCst);
                wait();
                shared.through.fetch_add(1, SeqCst);
            });
        }
    });
}

/// The threads of many processes wait for one event, which is set once: each goes on.
pub fn a_crowd_is_let_through() {
    let _folder = Folder::enter();
    let shared = Board::<Shared>::new();
    let keeper = keeper(&shared, |shared| {
        let event = Event::create("crowd").expect("create");
        shared.ready.open();
        waits(&shared.go);
        assert_eq!(shared.through.load(SeqCst), 0, "it is not set yet");
        let begin = Instant::now();
        event.set();
        assert!(eventually(LONG, || shared.through.load(SeqCst) == waiters()));
        let elapsed = begin.elapsed().as_secs_f64();
        println!("  {} waiters let through, in {elapsed:.3}s", waiters());
        waits(&shared.stop);
    });
    let children = crowd(&shared, waiters() / THREADS, THREADS, |shared| {
        let event = Event::open("crowd").expect("open");
        each_thread(shared, || event.wait());
    });
    shared.go.open();
    settle(&shared, children, keeper);
    assert_eq!(shared.through.load(SeqCst), waiters());
}

/// The threads of many processes wait for a permit each: so many go on as are given, and all in the end.
pub fn a_crowd_is_given_permits_exactly() {
    let _folder = Folder::enter();
    let shared = Board::<Shared>::new();
    let keeper = keeper(&shared, |shared| {
        let semaphore = Semaphore::create("crowd", 0).expect("create");
        shared.ready.open();
        waits(&shared.go);
        let (some, begin) = (waiters() / 3, Instant::now());
        let through = |n| eventually(LONG, || shared.through.load(SeqCst) == n);
        semaphore.release(some as u32).expect("room");
        assert!(through(some));
        assert_eq!(semaphore.available(), 0);
        (some..waiters()).for_each(|_| semaphore.release(1).expect("room"));
        assert!(through(waiters()));
        assert_eq!(semaphore.available(), 0);
        let elapsed = begin.elapsed().as_secs_f64();
        println!("  {} permits given, in {elapsed:.3}s", waiters());
        waits(&shared.stop);
    });
    let children = crowd(&shared, waiters() / THREADS, THREADS, |shared| {
        let semaphore = Semaphore::open("crowd").expect("open");
        each_thread(shared, || semaphore.acquire());
    });
    shared.go.open();
    settle(&shared, children, keeper);
    assert_eq!(shared.through.load(SeqCst), waiters());
}
