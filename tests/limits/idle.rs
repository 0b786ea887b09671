//! What hundreds of processes cost that wait for a primitive, and for nothing to come of it.

use std::sync::atomic::Ordering::SeqCst;

use multiproc::{
    Barrier, BoundedSemaphore, Condition, Event, Latch, ReentrantLock, Result, RwLock, Semaphore,
};

use crate::crowds::{LONG, Shared, idle, waits};

const NAME: &str = "idle";

/// The keeper makes the object and keeps it, and whatever guard comes with it; the others wait.
macro_rules! idle {
    ($($test:ident: $noun:ty, $make:expr, |$kept:ident| $keep:expr, |$waiting:ident| $wait:expr;)*) => {$(
        pub fn $test() {
            let keep = |shared: &Shared| {
                let $kept: $noun = $make.expect("create");
                let _guard = $keep;
                shared.ready.open();
                waits(&shared.stop);
            };
            idle(keep, |shared| {
                let $waiting = <$noun>::open(NAME).expect("open");
                shared.there.fetch_add(1, SeqCst);
                let _ = $wait;
                // The first to be killed breaks a barrier for the others, who are to be there when their turn comes.
                loop {
                    std::thread::park();
                }
            });
        }
    )*};
}

fn barrier() -> Result<Barrier> {
    Barrier::create(NAME, 4000)
}

idle! {
    events: Event, Event::create(NAME), |_event| (), |event| event.wait_timeout(LONG);
    latches: Latch, Latch::create(NAME, 1), |_latch| (), |latch| latch.wait_timeout(LONG);
    semaphores: Semaphore, Semaphore::create(NAME, 0), |_semaphore| (),
        |semaphore| semaphore.acquire_timeout(LONG);
    bounded_semaphores: BoundedSemaphore, BoundedSemaphore::create(NAME, 1),
        |semaphore| semaphore.acquire(), |semaphore| semaphore.acquire_timeout(LONG).map(drop);
    conditions: Condition<u64>, Condition::create(NAME, 0_u64), |_condition| (),
        |condition| condition.lock().expect("nobody dies").wait_timeout(LONG);
    reentrant_locks: ReentrantLock<u64>, ReentrantLock::create(NAME, 0_u64),
        |lock| lock.lock().expect("free"), |lock| lock.lock_timeout(LONG).map(drop);
    readers: RwLock<u64>, RwLock::create(NAME, 0_u64),
        |lock| lock.write().expect("free"), |lock| lock.read_timeout(LONG).map(drop);
    writers: RwLock<u64>, RwLock::create(NAME, 0_u64),
        |lock| lock.read().expect("free"), |lock| lock.write_timeout(LONG).map(drop);
    barriers: Barrier, barrier(), |_barrier| (), |barrier| barrier.wait_timeout(LONG);
}
