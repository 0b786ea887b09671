//! The semaphore on one word, without processes: threads stand for them.

use super::*;
use crate::sys::atomic::AtomicU32;
use crate::sys::atomic::Ordering::AcqRel;
use crate::sys::clock::Deadline;
use std::thread;
use std::time::Duration;

/// Everybody lives but those beyond 1000.
struct Few;

impl Oracle for Few {
    fn is_alive(&self, who: Participant) -> bool {
        who.get() < 1000
    }
}

const ME: Option<Participant> = Some(Participant::FIRST);

fn dead() -> Participant {
    Participant::new(1001).unwrap()
}

fn acquire(semaphore: &RawSemaphore, count: u32, deadline: Deadline) -> Result<(), Over> {
    semaphore.acquire(count, deadline.into(), ME, &Few)
}

fn until_asleep(semaphore: &RawSemaphore) {
    while !semaphore.turnstile.load().has_sleepers() {
        thread::yield_now();
    }
}

fn until_kept(semaphore: &RawSemaphore) {
    while !semaphore.turnstile.load().is_kept() {
        thread::yield_now();
    }
}

#[test]
fn it_counts_exactly() {
    let semaphore = RawSemaphore::new(3);
    assert!(semaphore.try_acquire(2) && !semaphore.try_acquire(2) && semaphore.try_acquire(1));
    assert!(semaphore.try_acquire(0), "nothing is always there");
    assert_eq!(acquire(&semaphore, 1, Deadline::NOW), Err(Over::TimedOut));
    semaphore.release(0).unwrap();
    semaphore.release(5).unwrap();
    assert_eq!(acquire(&semaphore, 5, Deadline::NOW), Ok(()));
    assert_eq!(semaphore.value(), 0);
}

#[test]
fn more_than_the_word_has_room_for_is_refused() {
    let semaphore = RawSemaphore::new(RawSemaphore::MOST - 1);
    assert_eq!(semaphore.release(2), Err(TooMany));
    assert_eq!(semaphore.release(u32::MAX), Err(TooMany));
    assert_eq!(semaphore.release(1), Ok(()));
    assert_eq!(semaphore.release(1), Err(TooMany));
    assert_eq!(semaphore.turnstile.load(), Line(0).more(RawSemaphore::MOST));
    assert!(semaphore.try_acquire(RawSemaphore::MOST));
}

#[test]
fn sleepers_go_on_and_calm_comes_back() {
    let semaphore = RawSemaphore::new(0);
    thread::scope(|scope| {
        let sleepers = [(); 4].map(|()| scope.spawn(|| acquire(&semaphore, 1, Deadline::NEVER)));
        until_asleep(&semaphore);
        semaphore.release(1).unwrap();
        semaphore.release(3).unwrap();
        for sleeper in sleepers {
            assert_eq!(sleeper.join().unwrap(), Ok(()));
        }
    });
    assert_eq!(semaphore.value(), 0);
    semaphore.release(1).unwrap();
    assert!(
        !semaphore.turnstile.load().is_watched(),
        "nobody sleeps any more"
    );
}

/// A large request beside small ones that never all pause.
#[test]
fn a_large_request_is_served_beside_small_ones() {
    let semaphore = RawSemaphore::new(4);
    let done = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while done.load(Acquire) == 0 {
                    acquire(&semaphore, 1, Deadline::NEVER).unwrap();
                    thread::yield_now();
                    semaphore.release(1).unwrap();
                }
            });
        }
        for _ in 0..20 {
            acquire(&semaphore, 4, Deadline::NEVER).unwrap();
            assert_eq!(semaphore.value(), 0);
            semaphore.release(4).unwrap();
        }
        done.store(1, Release); // no step: a test
    });
    assert_eq!(semaphore.value(), 4);
    assert!(!semaphore.turnstile.load().is_kept());
}

#[test]
fn what_is_kept_is_refused_to_others_and_wakes_them_later() {
    let semaphore = RawSemaphore::new(0);
    thread::scope(|scope| {
        let large = scope.spawn(|| acquire(&semaphore, 3, Deadline::NEVER));
        until_asleep(&semaphore);
        semaphore.release(1).unwrap();
        until_kept(&semaphore);
        let small = scope.spawn(|| acquire(&semaphore, 1, Deadline::NEVER));
        semaphore.release(1).unwrap();
        assert_eq!(acquire(&semaphore, 1, Deadline::NOW), Err(Over::TimedOut));
        assert_eq!(semaphore.value(), 2);
        semaphore.release(2).unwrap();
        assert_eq!(large.join().unwrap(), Ok(()));
        assert_eq!(small.join().unwrap(), Ok(()));
    });
    assert_eq!(semaphore.value(), 0);
}

#[test]
fn who_comes_first_and_gives_up_lets_the_others_go_on() {
    let semaphore = RawSemaphore::new(0);
    thread::scope(|scope| {
        let large = scope.spawn(|| {
            let deadline = Deadline::after(Duration::from_millis(30));
            acquire(&semaphore, 3, deadline)
        });
        until_asleep(&semaphore);
        semaphore.release(1).unwrap();
        let small = scope.spawn(|| acquire(&semaphore, 1, Deadline::NEVER));
        assert_eq!(large.join().unwrap(), Err(Over::TimedOut));
        assert_eq!(small.join().unwrap(), Ok(()));
    });
    assert_eq!(
        semaphore.turnstile.load().without_first(),
        semaphore.turnstile.load()
    );
}

#[test]
fn what_was_kept_for_the_dead_is_everybodys() {
    let kept = || {
        let semaphore = RawSemaphore::new(2);
        let word = semaphore.turnstile.load().kept_for(dead()).0;
        semaphore.turnstile.word.store(word, Relaxed); // no step: a test
        semaphore
    };
    let semaphore = kept();
    assert!(!semaphore.try_acquire(1), "who does not ask stands back");
    assert_eq!(acquire(&semaphore, 1, Deadline::NOW), Ok(()));
    let semaphore = kept();
    semaphore.repair(Participant::FIRST);
    assert!(semaphore.turnstile.load().is_kept());
    semaphore.repair(dead());
    assert!(semaphore.try_acquire(2));
}

/// As a giver leaves it that died before its wake-up: the first sleeper to look wakes the other.
#[test]
fn sleepers_find_permits_by_themselves() {
    let semaphore = RawSemaphore::new(0);
    thread::scope(|scope| {
        let sleepers = [(); 2].map(|()| scope.spawn(|| acquire(&semaphore, 1, Deadline::NEVER)));
        until_asleep(&semaphore);
        let two = Line(0).more(2).0;
        semaphore.turnstile.word.fetch_add(two, AcqRel); // no step: a test
        for sleeper in sleepers {
            assert_eq!(sleeper.join().unwrap(), Ok(()));
        }
    });
}

/// The one thread of `who`.
fn thread_of(who: Participant) -> Word {
    Word::held(7, who)
}

#[test]
fn the_giver_gives_by_stores_and_everybody_counts_them() {
    membarrier::register();
    let giver = thread_of(Participant::FIRST);
    let semaphore = RawSemaphore::new(1);
    assert!(!semaphore.give_as(giver, 1), "nobody is the giver yet");
    semaphore.settle_on(giver);
    semaphore.settle_on(thread_of(dead()));
    assert!(
        !semaphore.give_as(thread_of(dead()), 1),
        "there is one already"
    );
    if !membarrier::is_ready() {
        return;
    }
    assert!(semaphore.give_as(giver, 2));
    assert_eq!(
        (semaphore.value(), semaphore.turnstile.load()),
        (3, Line(0).more(1))
    );
    assert!(semaphore.try_acquire(3) && !semaphore.try_acquire(1));
    assert!(semaphore.give_as(giver, 1), "the word is below zero");
    assert_eq!(acquire(&semaphore, 1, Deadline::NOW), Ok(()));
    assert_eq!(acquire(&semaphore, 1, Deadline::NOW), Err(Over::TimedOut));
    assert_eq!(semaphore.release(RawSemaphore::MOST), Ok(()));
    assert!(!semaphore.give_as(giver, 1), "there may be too many");
    assert_eq!(semaphore.release(1), Err(TooMany));
    assert!(semaphore.try_acquire(RawSemaphore::MOST));
    assert_eq!(semaphore.value(), 0);
}

#[test]
fn the_next_giver_counts_on_where_the_dead_one_ended() {
    membarrier::register();
    let semaphore = RawSemaphore::new(0);
    semaphore.settle_on(thread_of(dead()));
    let by_store = semaphore.give_as(thread_of(dead()), 2);
    semaphore.repair(Participant::FIRST);
    assert!(!semaphore.has_no_giver(), "another has died");
    semaphore.repair(dead());
    assert!(semaphore.has_no_giver());
    let next = thread_of(Participant::FIRST);
    semaphore.settle_on(next);
    assert_eq!(semaphore.give_as(next, 1), by_store);
    assert_eq!(semaphore.value(), if by_store { 3 } else { 0 });
}

#[test]
fn sleepers_hear_of_what_is_given_by_stores() {
    membarrier::register();
    let semaphore = RawSemaphore::new(0);
    let giver = thread_of(Participant::FIRST);
    semaphore.settle_on(giver);
    thread::scope(|scope| {
        let waits = || (0..2000).for_each(|_| acquire(&semaphore, 1, Deadline::NEVER).unwrap());
        let sleepers = [(); 2].map(|()| scope.spawn(waits));
        for turn in 0..4000 {
            if turn % 50 == 0 {
                until_asleep(&semaphore); // one is short of a permit until the last turn
            }
            if !semaphore.give_as(giver, 1) {
                semaphore.release(1).unwrap();
            }
        }
        for sleeper in sleepers {
            sleeper.join().unwrap();
        }
    });
    assert_eq!(semaphore.value(), 0);
}
