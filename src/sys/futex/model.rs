//! The kernel's futex as loom sees it: one lock over all sleepers, which is what a bucket lock gives.
//!
//! Time does not pass in a model: a timed sleep lasts until it is woken.

use super::{Unsupported, Wake, Watch};
use crate::sys::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use crate::sys::clock::Deadline;
use loom::sync::{Arc, Condvar, Mutex};
use std::ptr;

struct Sleeper {
    addresses: Vec<usize>,
    bits: u32,
    woken: Arc<Condvar>,
    ticket: u64,
}

#[derive(Default)]
struct Sleepers {
    asleep: Vec<Sleeper>,
    next_ticket: u64,
}

loom::lazy_static! {
    static ref SLEEPERS: Mutex<Sleepers> = Mutex::new(Sleepers::default());
}

fn address<T>(word: &T) -> usize {
    ptr::from_ref(word).addr()
}

const ANY: u32 = u32::MAX;

pub(super) fn wait(word: &AtomicU32, expected: u32, deadline: Deadline) -> Wake {
    wait_bits(word, expected, ANY, deadline)
}

pub(super) fn wait_bits(word: &AtomicU32, expected: u32, bits: u32, _: Deadline) -> Wake {
    sleep(vec![address(word)], bits, || word.load(SeqCst) == expected)
}

pub(super) fn wait_low(word: &AtomicU64, expected: u32, _: Deadline) -> Wake {
    sleep(vec![address(word)], ANY, || {
        word.load(SeqCst) as u32 == expected
    })
}

pub(super) fn wait_several(watches: &[Watch<'_>], _: Deadline) -> Result<Wake, Unsupported> {
    let addresses = watches.iter().map(|w| address(w.word)).collect();
    Ok(sleep(addresses, ANY, || {
        watches.iter().all(|w| w.word.load(SeqCst) == w.expected)
    }))
}

/// Compares and goes to sleep under the one lock, as the kernel does: a wake falls before both or after both.
fn sleep(addresses: Vec<usize>, bits: u32, unchanged: impl FnOnce() -> bool) -> Wake {
    let mut sleepers = SLEEPERS.lock().unwrap();
    if !unchanged() {
        return Wake::Changed;
    }
    let ticket = sleepers.next_ticket;
    sleepers.next_ticket += 1;
    let woken = Arc::new(Condvar::new());
    sleepers.asleep.push(Sleeper {
        addresses,
        bits,
        woken: woken.clone(),
        ticket,
    });
    while sleepers.asleep.iter().any(|s| s.ticket == ticket) {
        sleepers = woken.wait(sleepers).unwrap();
    }
    Wake::Woken
}

pub(super) fn wake(word: &AtomicU32, count: u32) -> u32 {
    wake_at(address(word), ANY, count)
}

pub(super) fn wake_bits(word: &AtomicU32, bits: u32) -> u32 {
    wake_at(address(word), bits, u32::MAX)
}

pub(super) fn wake_low(word: &AtomicU64, count: u32) -> u32 {
    wake_at(address(word), ANY, count)
}

fn wake_at(address: usize, bits: u32, count: u32) -> u32 {
    let mut sleepers = SLEEPERS.lock().unwrap();
    let mut woken = 0;
    while woken < count {
        let hit = |s: &Sleeper| s.addresses.contains(&address) && s.bits & bits != 0;
        let Some(at) = sleepers.asleep.iter().position(hit) else {
            break;
        };
        sleepers.asleep.remove(at).woken.notify_one();
        woken += 1;
    }
    woken
}

#[cfg(test)]
mod tests {
    use crate::sys::atomic::{AtomicU32, Ordering::SeqCst};
    use crate::sys::clock::Deadline;
    use crate::sys::futex::{wait, wake};
    use loom::sync::Arc;

    #[test]
    fn a_store_and_its_wake_always_end_the_sleep() {
        loom::model(|| {
            let word = Arc::new(AtomicU32::new(0));
            let sleeper = {
                let word = word.clone();
                loom::thread::spawn(move || {
                    while word.load(SeqCst) == 0 {
                        wait(&word, 0, Deadline::NEVER);
                    }
                })
            };
            word.store(1, SeqCst);
            wake(&word, 1);
            sleeper.join().unwrap();
        });
    }
}
