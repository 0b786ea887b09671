//! Semaphores from outside: Python's contracts, as tables where they are tables, and permits that have owners.

use std::thread;
use std::time::{Duration, Instant};

use multiproc::{
    BoundedSemaphore, Error, ErrorKind, Process, Queue, Semaphore, TimedOut, Until, WaitError,
};

const TINY: Duration = Duration::from_nanos(1);

/// A value, what is given and taken in turn (less than 0 is taken), and what is left; `None` where the last is refused.
#[test]
fn a_semaphore_counts_exactly() {
    const MAX: i64 = Semaphore::MAX as i64;
    let table: &[(u32, &[i64], Option<u32>)] = &[
        (0, &[], Some(0)),
        (0, &[-1], None),
        (0, &[1, -1, -1], None),
        (1, &[-1], Some(0)),
        (1, &[1, 1], Some(3)),
        (2, &[-2, 2, -1], Some(1)),
        (2, &[-3], None),
        (2, &[0, -0], Some(2)),
        (Semaphore::MAX, &[-MAX], Some(0)),
        (Semaphore::MAX, &[1], None),
        (Semaphore::MAX - 1, &[2], None),
        (1, &[MAX], None),
    ];
    for &(value, changes, left) in table {
        let semaphore = Semaphore::new(value).unwrap();
        let change = |by: i64| match u32::try_from(by) {
            Ok(more) => semaphore.release(more).map_err(Error::from),
            Err(_) => semaphore.try_acquire_many(-by as u32).map_err(Error::from),
        };
        let (last, first) = changes.split_last().map_or((0, changes), |(l, f)| (*l, f));
        first.iter().for_each(|&by| change(by).unwrap());
        let before = semaphore.available();
        let last_done = change(last).map_err(|error| error.kind());
        assert_eq!(semaphore.available(), left.unwrap_or(before), "{changes:?}");
        let why = if last > 0 {
            ErrorKind::OverRelease
        } else {
            ErrorKind::Timeout
        };
        assert_eq!(last_done, left.map(|_| ()).ok_or(why), "{changes:?}");
    }
    let negative = Semaphore::new(-1_i32 as u32).unwrap_err();
    assert_eq!(negative.kind(), ErrorKind::InvalidInput);
}

#[test]
fn every_form_of_acquire_takes_what_is_there_and_nothing_else() {
    let full = || Semaphore::new(6).unwrap();
    let (now, until) = (Instant::now(), || Until::timeout(TINY));
    let semaphore = full();
    semaphore.acquire();
    assert_eq!(semaphore.try_acquire(), Ok(()));
    assert_eq!(semaphore.acquire_timeout(Duration::ZERO), Ok(()));
    assert_eq!(semaphore.acquire_timeout(TINY), Ok(()));
    assert_eq!(
        semaphore.acquire_deadline(now),
        Ok(()),
        "an instant that has passed"
    );
    assert_eq!(semaphore.acquire_until(until()), Ok(()));
    assert_eq!(semaphore.available(), 0);
    assert_eq!(semaphore.try_acquire(), Err(TimedOut));
    assert_eq!(semaphore.acquire_timeout(Duration::ZERO), Err(TimedOut));
    assert_eq!(semaphore.acquire_timeout(TINY), Err(TimedOut));
    assert_eq!(semaphore.acquire_deadline(now), Err(TimedOut));
    assert_eq!(semaphore.acquire_until(until()), Err(WaitError::Timeout));

    let semaphore = full();
    semaphore.acquire_many(2);
    assert_eq!(semaphore.try_acquire_many(5), Err(TimedOut));
    assert_eq!(semaphore.acquire_many_timeout(5, TINY), Err(TimedOut));
    assert_eq!(semaphore.acquire_many_deadline(5, now), Err(TimedOut));
    assert_eq!(
        semaphore.acquire_many_until(5, until()),
        Err(WaitError::Timeout)
    );
    assert_eq!(semaphore.available(), 4, "nothing was taken in vain");
    assert_eq!(semaphore.acquire_many_deadline(4, now), Ok(()));
    semaphore.acquire_many(0);
    assert_eq!(semaphore.try_acquire_many(0), Ok(()));
}

#[test]
fn who_did_not_take_may_give() {
    fn gives(signals: Semaphore) -> multiproc::Result<()> {
        (0..3).try_for_each(|_| signals.release(1))?;
        Ok(())
    }
    let signals = Semaphore::new(0).unwrap();
    let child = Process::spawn(gives, (signals.clone(),)).unwrap();
    signals.acquire_many(2);
    signals.acquire();
    child.join().unwrap();
    assert_eq!(signals.available(), 0);
}

/// What the dead had taken stays taken: the value is exact, and nobody owns it.
#[test]
fn a_dead_process_keeps_nothing_and_gives_nothing() {
    fn dies(semaphore: Semaphore) {
        semaphore.acquire();
        std::process::abort();
    }
    let semaphore = Semaphore::new(2).unwrap();
    let child = Process::spawn(dies, (semaphore.clone(),)).unwrap();
    assert!(child.join().is_err());
    assert_eq!(semaphore.available(), 1);
}

/// Nobody may be inside while a large request is, which comes again and again beside small ones.
#[test]
fn a_large_request_is_not_starved() {
    const ALL: u32 = 4;
    let semaphore = Semaphore::new(ALL).unwrap();
    let done = multiproc::Event::new().unwrap();
    thread::scope(|scope| {
        for _ in 0..ALL {
            scope.spawn(|| {
                while !done.is_set() {
                    semaphore.acquire();
                    semaphore.release(1).unwrap();
                }
            });
        }
        for _ in 0..20 {
            semaphore.acquire_many(ALL);
            assert_eq!(semaphore.available(), 0);
            semaphore.release(ALL).unwrap();
        }
        done.set();
    });
    assert_eq!(semaphore.available(), ALL);
}

#[test]
fn semaphores_travel_and_have_names() {
    let name = format!("test-semaphore-{}", std::process::id());
    let semaphore = Semaphore::create(&name, 3).unwrap();
    let wrong = BoundedSemaphore::open(&name).unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::WrongType);
    let post = Queue::new(1).unwrap();
    post.put(&semaphore).unwrap();
    let received: Semaphore = post.get_owned().unwrap();
    received.acquire();
    assert_eq!(Semaphore::open_or_create(&name, 9).unwrap().available(), 2);
    Semaphore::remove(&name).unwrap();

    let bounded = BoundedSemaphore::create(&name, 3).unwrap();
    let wrong = Semaphore::open(&name).unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::WrongType);
    let post = Queue::new(1).unwrap();
    post.put(&bounded).unwrap();
    let received: BoundedSemaphore = post.get_owned().unwrap();
    let permit = received.acquire();
    let same = BoundedSemaphore::open_or_create(&name, 9).unwrap();
    assert_eq!((same.permits(), same.available()), (3, 2));
    drop(permit);
    BoundedSemaphore::remove(&name).unwrap();
}

#[test]
fn a_bounded_semaphore_has_as_many_permits_as_it_says() {
    for count in [1, 2, 64, 2028, 2029, 100_000, BoundedSemaphore::MAX] {
        let semaphore = BoundedSemaphore::new(count).unwrap();
        let all = semaphore.acquire_many(count);
        assert_eq!((all.count(), semaphore.available()), (count, 0));
        assert!(semaphore.try_acquire().is_err());
        drop(all);
        assert_eq!(semaphore.available(), semaphore.permits());
    }
    for count in [0, BoundedSemaphore::MAX + 1, u32::MAX] {
        let refused = BoundedSemaphore::new(count).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    }
}

/// Python's `BoundedSemaphore` raises `ValueError` where more is released than was acquired.
#[test]
fn no_more_is_given_back_than_was_leaked() {
    // Permits, how many of them are leaked, and how many are then given back.
    let table = [
        (1, 0, 1),
        (1, 1, 1),
        (1, 1, 2),
        (3, 2, 1),
        (3, 2, 3),
        (3, 3, 3),
        (3, 0, 0),
    ];
    for (permits, leaked, back) in table {
        let semaphore = BoundedSemaphore::new(permits).unwrap();
        semaphore.acquire_many(leaked).leak();
        let refused = semaphore.release(back).map_err(|e| Error::from(e).kind());
        let fits = back <= leaked;
        let expected = if fits {
            Ok(())
        } else {
            Err(ErrorKind::OverRelease)
        };
        assert_eq!(refused, expected, "{permits} {leaked} {back}");
        let given = if fits { back } else { 0 };
        assert_eq!(semaphore.available(), permits - leaked + given);
    }
    let held = BoundedSemaphore::new(1).unwrap();
    let permit = held.acquire();
    assert!(held.release(1).is_err(), "it has an owner");
    drop(permit);
}

#[test]
fn every_form_gives_guards() {
    let semaphore = BoundedSemaphore::new(5).unwrap();
    let (soon, now) = (Duration::from_secs(60), Instant::now());
    let one = (
        semaphore.try_acquire().unwrap(),
        semaphore.acquire_timeout(soon).unwrap(),
        semaphore.acquire_deadline(now).unwrap(),
        semaphore.acquire_until(Until::timeout(TINY)).unwrap(),
    );
    assert_eq!(semaphore.available(), 1);
    assert!(semaphore.try_acquire_many(2).is_err());
    assert!(semaphore.acquire_many_timeout(2, TINY).is_err());
    assert!(semaphore.acquire_many_deadline(2, now).is_err());
    let ended = semaphore
        .acquire_many_until(2, Until::timeout(TINY))
        .map(drop);
    assert_eq!(ended, Err(WaitError::Timeout));
    assert_eq!(semaphore.available(), 1, "nothing was taken in vain");
    drop(one);
    assert_eq!(semaphore.acquire_many(0).count(), 0);
    assert_eq!(semaphore.acquire_many_timeout(5, soon).unwrap().count(), 5);
    assert_eq!(semaphore.available(), 5);
}

#[test]
#[should_panic(expected = "3 permits of 2")]
fn more_than_there_are_is_never_waited_for() {
    let semaphore = BoundedSemaphore::new(2).unwrap();
    let _ = semaphore.try_acquire_many(3);
}

/// The permits of the dead come back, those that are nobody's do not.
#[test]
fn what_the_dead_held_is_there_for_the_next() {
    fn dies(semaphore: BoundedSemaphore) {
        semaphore.acquire().leak();
        std::mem::forget(semaphore.acquire_many(2));
        std::mem::forget(semaphore.clone());
        std::process::abort();
    }
    let semaphore = BoundedSemaphore::new(4).unwrap();
    let child = Process::spawn(dies, (semaphore.clone(),)).unwrap();
    assert!(child.join().is_err());
    let three = semaphore.try_acquire_many(3).expect("without waiting");
    assert!(semaphore.try_acquire().is_err(), "one is nobody's");
    drop(three);
    semaphore.release(1).unwrap();
    assert_eq!(semaphore.available(), 4);
}

#[test]
fn a_permit_goes_to_whoever_waits_and_may_change_threads() {
    let semaphore = BoundedSemaphore::new(2).unwrap();
    let held = semaphore.acquire_many(2);
    thread::scope(|scope| {
        let large = scope.spawn(|| semaphore.acquire_many(2).count());
        let small = scope.spawn(|| drop(semaphore.acquire()));
        scope.spawn(move || drop(held));
        assert_eq!(large.join().unwrap(), 2);
        small.join().unwrap();
    });
    assert_eq!(semaphore.available(), 2);
}
