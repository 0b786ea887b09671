//! `OnceValue` and `Once`: made once among threads and processes, and again after a death.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use multiproc::{Error, ErrorKind, Once, OnceError, OnceValue, Process, Queue, Until, Value};

/// Longer than anything here takes, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn wait_for(mut what: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !what() {
        assert!(Instant::now() < deadline, "the others did not get so far");
        thread::yield_now();
    }
}

#[test]
fn it_begins_empty_and_is_made_by_the_first() {
    let value = OnceValue::<u64>::new().unwrap();
    assert_eq!(value.get(), None);
    assert_eq!(format!("{value:?}"), "OnceValue(<empty>)");
    assert_eq!(value.get_or_init(|| 1), Ok(&1));
    assert_eq!(value.get_or_init(|| 2), Ok(&1));
    assert_eq!(value.get(), Some(&1));
    assert_eq!(value.set(3), Err(OnceError::AlreadySet));
    assert_eq!(format!("{value:?}"), "OnceValue(1)");
}

#[test]
fn values_of_any_size_and_alignment_have_room() {
    fn check<T: multiproc::Plain + PartialEq + std::fmt::Debug + Copy>(value: T) {
        let once = OnceValue::<T>::new().unwrap();
        assert_eq!(once.set(value), Ok(()));
        assert_eq!(once.get(), Some(&value));
        assert_eq!(once.clone().get(), Some(&value));
    }
    check(());
    check(7_u8);
    check(true);
    check([1_u16, 2, 3]);
    check(u128::MAX);
    check([[9_u64; 32]; 32]);
}

#[test]
fn threads_make_it_once() {
    let (value, made) = (OnceValue::new().unwrap(), AtomicU32::new(0));
    thread::scope(|scope| {
        for n in 0..8_u64 {
            let (value, made) = (&value, &made);
            scope.spawn(move || {
                let make = || {
                    made.fetch_add(1, SeqCst);
                    [n; 4]
                };
                let found = value.get_or_init(make).unwrap();
                assert_eq!(Some(found), value.get());
                assert_eq!(found, &[found[0]; 4]);
            });
        }
    });
    assert_eq!(made.into_inner(), 1);
}

#[test]
fn processes_make_it_once() {
    fn make(value: OnceValue<u32>, made: Value<u32>) -> multiproc::Result<u32> {
        let init = || {
            made.fetch_add(1);
            std::process::id()
        };
        Ok(*value.get_or_init(init)?)
    }
    let (value, made) = (OnceValue::new().unwrap(), Value::new(0).unwrap());
    let start = |_| Process::spawn(make, (value.clone(), made.clone())).unwrap();
    let workers: Vec<_> = (0..4).map(start).collect();
    let found: Vec<_> = workers.iter().map(|w| w.join().unwrap()).collect();
    assert_eq!(found, [found[0]; 4]);
    assert_eq!((value.get(), made.load()), (Some(&found[0]), 1));
}

#[test]
fn an_initialiser_that_fails_or_panics_leaves_it_to_the_next() {
    let value = OnceValue::<u32>::new().unwrap();
    let failed = value.get_or_try_init(|| Err(Error::new(ErrorKind::NotFound, "no")));
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::NotFound);
    let panicked = catch_unwind(AssertUnwindSafe(|| value.get_or_init(|| panic!("no"))));
    assert!(panicked.is_err());
    assert_eq!(value.get(), None);
    assert_eq!(value.get_or_init(|| 5), Ok(&5));
}

#[test]
fn an_initialiser_that_asks_for_its_own_value_is_told() {
    let value = OnceValue::<u32>::new().unwrap();
    let made = value.get_or_init(|| {
        assert_eq!(value.get_or_init(|| 1), Err(OnceError::Deadlock));
        assert_eq!(value.set(1), Err(OnceError::Deadlock));
        assert_eq!(value.get(), None);
        2
    });
    assert_eq!(made, Ok(&2));
}

#[test]
fn one_value_may_be_made_from_another() {
    let (base, derived) = (
        OnceValue::<u32>::new().unwrap(),
        OnceValue::<u32>::new().unwrap(),
    );
    let make = || base.get_or_init(|| 20).unwrap() + 1;
    assert_eq!(derived.get_or_init(make), Ok(&21));
    assert_eq!(base.get(), Some(&20));
}

#[test]
fn waiting_for_an_initialiser_ends_with_the_time_given() {
    let value = OnceValue::<u32>::new().unwrap();
    let soon = Duration::from_millis(2);
    let made = value.get_or_init(|| {
        thread::scope(|scope| {
            let other = scope.spawn(|| {
                let late = Err(OnceError::Timeout);
                assert_eq!(value.get_or_init_timeout(Duration::ZERO, || 1), late);
                assert_eq!(value.get_or_init_timeout(soon, || 1), late);
                assert_eq!(value.get_or_init_deadline(Instant::now(), || 1), late);
                assert_eq!(value.try_get_or_init(|| 1), late);
                assert_eq!(value.get_or_init_until(Until::timeout(soon), || 1), late);
                let (soon_late, now) = (Instant::now() + soon, Instant::now());
                assert_eq!(value.try_get_or_try_init(|| Ok(1)), late);
                assert_eq!(value.get_or_try_init_timeout(soon, || Ok(1)), late);
                assert_eq!(value.get_or_try_init_deadline(soon_late, || Ok(1)), late);
                assert_eq!(value.get_or_try_init_deadline(now, || Ok(1)), late);
                let late = Err(OnceError::Timeout);
                assert_eq!(value.try_set(1), late);
                assert_eq!(value.set_timeout(soon, 1), late);
                assert_eq!(value.set_deadline(Instant::now(), 1), late);
            });
            other.join().unwrap();
        });
        2
    });
    assert_eq!(made, Ok(&2));
    assert_eq!(value.get_or_init_timeout(Duration::ZERO, || 3), Ok(&2));
}

#[test]
fn what_nobody_makes_is_made_in_every_form() {
    let made = |make: fn(&OnceValue<u32>) -> Result<(), OnceError>| {
        let value = OnceValue::new().unwrap();
        assert_eq!((make(&value), value.get()), (Ok(()), Some(&5)));
        value
    };
    made(|value| value.try_get_or_init(|| 5).map(drop));
    made(|value| value.get_or_init_until(Until::forever(), || 5).map(drop));
    made(|value| value.try_get_or_try_init(|| Ok(5)).map(drop));
    made(|value| value.get_or_try_init_timeout(PATIENCE, || Ok(5)).map(drop));
    made(|value| {
        let now = Instant::now();
        value.get_or_try_init_deadline(now, || Ok(5)).map(drop)
    });
    made(|value| value.try_set(5));
    made(|value| value.set_timeout(PATIENCE, 5));
    let value = made(|value| value.set_deadline(Instant::now(), 5));
    assert_eq!(value.get_or_init_until(Until::forever(), || 6), Ok(&5));
    assert_eq!(value.try_set(6), Err(OnceError::AlreadySet));
}

#[test]
fn a_body_runs_once_in_every_form() {
    let runs = |call: fn(&Once, &dyn Fn()) -> Result<(), OnceError>| {
        let (once, runs) = (Once::new().unwrap(), AtomicU32::new(0));
        let run = || {
            runs.fetch_add(1, SeqCst);
        };
        assert_eq!([call(&once, &run), call(&once, &run)], [Ok(()); 2]);
        assert_eq!((runs.load(SeqCst), once.is_completed()), (1, true));
    };
    runs(|once, run| once.call_once(run));
    runs(|once, run| once.try_call_once(run));
    runs(|once, run| once.call_once_timeout(PATIENCE, run));
    runs(|once, run| once.call_once_deadline(Instant::now(), run));
    let once = Once::new().unwrap();
    let inner = || assert_eq!(once.try_call_once(|| ()), Err(OnceError::Deadlock));
    assert_eq!(once.call_once(inner), Ok(()));
}

#[test]
fn waiting_for_an_initialiser_ends_with_another_process() {
    let (value, ready) = (OnceValue::new().unwrap(), Value::new(0).unwrap());
    let slow = Process::spawn(stall, (value.clone(), ready.clone())).unwrap();
    wait_for(|| ready.load() == 1);
    let ended = Process::spawn(std::thread::yield_now, ()).unwrap();
    let found = value.get_or_init_until(Until::forever().or_end_of(&ended), || 1);
    assert_eq!(found, Err(OnceError::Ended));
    // What was waited for comes first, also when both have happened.
    slow.kill().unwrap();
    assert!(slow.join().is_err());
    let found = value.get_or_init_until(Until::forever().or_end_of(&ended), || 2);
    assert_eq!(found, Ok(&2));
}

fn stall(value: OnceValue<u32>, ready: Value<u32>) {
    let _ = value.get_or_init(|| {
        ready.fetch_add(1);
        loop {
            thread::park();
        }
    });
}

#[test]
fn the_death_of_an_initialiser_lets_who_waits_make_it() {
    let (value, ready) = (OnceValue::new().unwrap(), Value::new(0).unwrap());
    let child = Process::spawn(stall, (value.clone(), ready.clone())).unwrap();
    wait_for(|| ready.load() == 1);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| value.get_or_init_timeout(PATIENCE, || 4));
        child.kill().unwrap();
        assert!(child.join().is_err());
        assert_eq!(waiter.join().unwrap(), Ok(&4));
    });
    assert_eq!(value.get_or_init(|| 5), Ok(&4));
}

#[test]
fn once_is_called_once() {
    let (once, calls) = (Once::new().unwrap(), AtomicU32::new(0));
    assert!(!once.is_completed());
    let panicked = catch_unwind(AssertUnwindSafe(|| once.call_once(|| panic!("no"))));
    assert!(panicked.is_err() && !once.is_completed());
    for _ in 0..3 {
        let call = || _ = calls.fetch_add(1, SeqCst);
        assert_eq!(once.call_once(call), Ok(()));
    }
    assert!(once.is_completed());
    assert_eq!(calls.into_inner(), 1);
    assert_eq!(once.call_once(|| panic!("once too often")), Ok(()));
}

#[test]
fn names_and_messages_lead_to_the_same_value() {
    let name = format!("once-test-{}", std::process::id());
    let value = OnceValue::<u64>::create(&name).unwrap();
    let wrong = OnceValue::<u32>::open(&name).unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::WrongType);
    OnceValue::<u64>::open_or_create(&name)
        .unwrap()
        .set(9)
        .unwrap();
    let post = Queue::<OnceValue<u64>>::new(1).unwrap();
    post.put(&value).unwrap();
    assert_eq!(post.get_owned().unwrap().get(), Some(&9));
    drop(value);
    let absent = OnceValue::<u64>::open(&name).unwrap_err();
    assert_eq!(absent.kind(), ErrorKind::NotFound);
}
