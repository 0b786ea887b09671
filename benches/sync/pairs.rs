//! Taking and giving back, alone: the other locks beside the plain one.

use multiproc::{Lock, ReentrantLock, Semaphore};

use crate::harness::{Bench, Goal, Unit, contender, nanos, ticks};

const PAIRS: u32 = 200_000;

/// The time of a pair, after some to warm up. The pair stands here once: whatever its length, it is inlined, so that nobody's
/// call is measured against another's loop.
fn per_pair(pair: impl Fn()) -> f64 {
    let [_, taken] = [PAIRS / 10, PAIRS].map(|pairs| {
        let begin = ticks();
        (0..pairs).for_each(|_| pair());
        nanos(ticks() - begin)
    });
    taken / f64::from(PAIRS)
}

/// The rows of this part.
pub fn rows(bench: &mut Bench) {
    bench.section("a pair, alone");
    let lock = Lock::new(0_u64).expect("a lock");
    let plain = || per_pair(|| *lock.lock().expect("free") += 1);
    let reentrant = ReentrantLock::new(0_u64).expect("a lock");
    let again = || {
        per_pair(|| {
            let guard = reentrant.lock().expect("free");
            guard.set(guard.get() + 1);
        })
    };
    let row = vec![contender("ReentrantLock", again), contender("Lock", plain)];
    bench.row("ReentrantLock", Unit::Nanos, Goal::must(1.3), row);
    let semaphore = Semaphore::new(1).expect("a semaphore");
    let permit = || {
        per_pair(|| {
            semaphore.acquire();
            semaphore.release(1).expect("one was taken");
        })
    };
    let row = vec![contender("Semaphore", permit), contender("Lock", plain)];
    bench.row("Semaphore", Unit::Nanos, Goal::must(1.3), row);
}
