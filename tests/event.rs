//! Events and latches from outside: Python's contracts, as tables where they are tables.

use std::thread;
use std::time::{Duration, Instant};

use multiproc::{CountError, ErrorKind, Event, Latch, Queue, TimedOut, Until, WaitError};

const TINY: Duration = Duration::from_nanos(1);

/// What may be done to an event.
#[derive(Clone, Copy, Debug)]
enum Do {
    Set,
    Clear,
}

/// `is_set`, and every form of `wait` that does not wait, agree after any sequence of calls.
#[test]
fn an_event_is_set_when_it_was_set_last() {
    use Do::{Clear, Set};
    let table: &[(&[Do], bool)] = &[
        (&[], false),
        (&[Set], true),
        (&[Set, Set], true),
        (&[Clear], false),
        (&[Set, Clear], false),
        (&[Set, Clear, Clear], false),
        (&[Set, Set, Clear], false),
        (&[Clear, Set], true),
        (&[Set, Clear, Set], true),
    ];
    for &(calls, set) in table {
        let event = Event::new().unwrap();
        for call in calls {
            match call {
                Set => event.set(),
                Clear => event.clear(),
            }
        }
        let waited = if set { Ok(()) } else { Err(TimedOut) };
        let until = if set { Ok(()) } else { Err(WaitError::Timeout) };
        assert_eq!(event.is_set(), set, "{calls:?}");
        assert_eq!(event.try_wait(), waited, "{calls:?}");
        for timeout in [Duration::ZERO, TINY] {
            assert_eq!(event.wait_timeout(timeout), waited, "{calls:?}");
            assert_eq!(event.wait_until(Until::timeout(timeout)), until);
        }
        // An instant that has passed: Python's negative time-out.
        assert_eq!(event.wait_deadline(Instant::now()), waited, "{calls:?}");
        assert!(format!("{event:?}").contains(&format!("is_set: {set}")));
    }
}

#[test]
fn a_wait_lasts_as_long_as_it_says() {
    let event = Event::new().unwrap();
    let begin = Instant::now();
    let timeout = Duration::from_millis(20);
    assert_eq!(event.wait_timeout(timeout), Err(TimedOut));
    assert!(begin.elapsed() >= timeout);
}

/// Set and cleared while somebody waits: that one is let through, and who comes later waits.
#[test]
fn who_waits_does_not_miss_a_pulse() {
    for round in 0..200 {
        let (event, done) = (Event::new().unwrap(), Event::new().unwrap());
        thread::scope(|scope| {
            scope.spawn(|| {
                event.wait();
                done.set();
            });
            // Nobody says when the waiter waits, so there are pulses until one has met it.
            while !done.is_set() {
                event.set();
                event.clear();
                if round % 2 == 0 {
                    thread::yield_now();
                }
            }
        });
        assert_eq!(event.try_wait(), Err(TimedOut));
    }
}

#[test]
fn an_event_travels_and_has_a_name() {
    let name = format!("test-event-{}", std::process::id());
    let event = Event::create(&name).unwrap();
    assert_eq!(
        Event::create(&name).unwrap_err().kind(),
        ErrorKind::AlreadyExists
    );
    assert_eq!(Latch::open(&name).unwrap_err().kind(), ErrorKind::WrongType);
    let post = Queue::new(1).unwrap();
    post.put(&event).unwrap();
    let received: Event = post.get_owned().unwrap();
    received.set();
    assert!(Event::open_or_create(&name).unwrap().is_set());
    Event::remove(&name).unwrap();
    assert_eq!(Event::open(&name).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(event.is_set(), "who has it keeps it");
}

/// Counts, and what is left: `None` where nothing may be counted.
#[test]
fn a_latch_counts_exactly() {
    let table: &[(u32, &[u32], Option<u32>)] = &[
        (0, &[], Some(0)),
        (0, &[0], Some(0)),
        (0, &[1], None),
        (1, &[1], Some(0)),
        (1, &[1, 1], None),
        (3, &[1, 0, 1], Some(1)),
        (3, &[4], None),
        (3, &[2, 2], None),
        (Latch::MAX, &[Latch::MAX - 1], Some(1)),
        (5, &[u32::MAX], None),
    ];
    for &(count, steps, left) in table {
        let latch = Latch::new(count).unwrap();
        let (last, first) = steps.split_last().map_or((0, steps), |(l, f)| (*l, f));
        first.iter().for_each(|&n| latch.count_down_by(n).unwrap());
        let before = latch.count();
        let last = latch.count_down_by(last);
        assert_eq!(latch.count(), left.unwrap_or(before));
        match left {
            Some(_) => assert_eq!(last, Ok(())),
            None => assert_eq!(last, Err(CountError::TooFew { left: before })),
        }
        let open = latch.count() == 0;
        let waited = if open { Ok(()) } else { Err(TimedOut) };
        assert_eq!(latch.try_wait(), waited);
        assert_eq!(latch.wait_timeout(Duration::ZERO), waited);
        assert_eq!(latch.wait_timeout(TINY), waited);
        assert_eq!(latch.wait_deadline(Instant::now()), waited);
        assert_eq!(latch.wait_until(Until::timeout(TINY)).is_ok(), open);
    }
    let too_many = Latch::new(Latch::MAX + 1).unwrap_err();
    assert_eq!(too_many.kind(), ErrorKind::InvalidInput);
}

#[test]
fn who_arrives_where_nothing_is_left_is_told_and_does_not_wait() {
    let latch = Latch::new(0).unwrap();
    assert_eq!(latch.arrive_and_wait(), Err(CountError::TooFew { left: 0 }));
    let error = multiproc::Error::from(latch.count_down().unwrap_err());
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn the_last_to_arrive_lets_all_others_through() {
    const PARTIES: u32 = 8;
    let latch = Latch::new(PARTIES).unwrap();
    thread::scope(|scope| {
        for _ in 0..PARTIES {
            scope.spawn(|| latch.arrive_and_wait().unwrap());
        }
    });
    assert_eq!(latch.count(), 0);
}

#[test]
fn a_latch_travels_and_has_a_name() {
    let name = format!("test-latch-{}", std::process::id());
    let latch = Latch::create(&name, 2).unwrap();
    let post = Queue::new(1).unwrap();
    post.put(&latch).unwrap();
    let received: Latch = post.get_owned().unwrap();
    received.count_down().unwrap();
    // It exists, so the count given is not its count.
    assert_eq!(Latch::open_or_create(&name, 9).unwrap().count(), 1);
    assert_eq!(Event::open(&name).unwrap_err().kind(), ErrorKind::WrongType);
    Latch::remove(&name).unwrap();
    assert_eq!(latch.count(), 1);
}
