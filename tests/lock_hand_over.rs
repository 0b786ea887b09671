//! `Lock`: guards that are leaked and adopted, and locks that are fair.

use std::thread;
use std::time::Duration;

use multiproc::{AdoptError, Event, Lock, LockError, Process, TryLockError, Value};

fn held<T: multiproc::Plain>(lock: &Lock<T>) -> bool {
    matches!(lock.try_lock(), Err(TryLockError::WouldBlock))
}

#[test]
fn a_leaked_guard_is_adopted_by_another_thread_of_the_process() {
    let lock = Lock::new(1).unwrap();
    let other = Lock::new(()).unwrap();
    let beside = other.lock().unwrap(); // the thread holds another lock all the time
    lock.lock().unwrap().leak();
    assert!(held(&lock));
    thread::scope(|scope| {
        scope.spawn(|| *lock.adopt().unwrap() += 1).join().unwrap();
    });
    assert_eq!(*lock.lock().unwrap(), 2);
    drop(beside);
    assert!(other.try_lock().is_ok());
}

#[test]
fn the_thread_that_leaked_a_guard_may_adopt_it_itself() {
    let lock = Lock::new(()).unwrap();
    for _ in 0..3 {
        lock.lock().unwrap().leak();
        drop(lock.adopt().unwrap());
    }
    assert!(lock.try_lock().is_ok());
}

#[test]
fn only_what_was_leaked_is_adopted() {
    let lock = Lock::new(0).unwrap();
    assert_eq!(lock.adopt().unwrap_err(), AdoptError::NotLeaked);
    let guard = lock.lock().unwrap();
    assert_eq!(lock.adopt().unwrap_err(), AdoptError::NotLeaked);
    thread::scope(|scope| {
        let there = scope.spawn(|| lock.adopt().map(drop));
        assert_eq!(there.join().unwrap(), Err(AdoptError::NotLeaked));
    });
    guard.leak();
    let adopted = lock.adopt().unwrap();
    assert_eq!(lock.adopt().unwrap_err(), AdoptError::NotLeaked);
    drop(adopted);
    assert!(lock.try_lock().is_ok());
}

fn adopt_and_add(lock: Lock<u64>) -> multiproc::Result<()> {
    *lock.adopt()? += 1;
    Ok(())
}

#[test]
fn a_leaked_guard_is_adopted_by_another_process() {
    let lock = Lock::new(0_u64).unwrap();
    for n in 1..=3 {
        lock.lock().unwrap().leak();
        let child = Process::spawn(adopt_and_add, (lock.clone(),)).unwrap();
        child.join().unwrap();
        assert_eq!(*lock.lock().unwrap(), n);
    }
}

fn leak_and_end(lock: Lock<u64>) {
    lock.lock().unwrap().leak();
}

#[test]
fn who_leaks_a_guard_and_ends_leaves_the_lock_marked() {
    let lock = Lock::new(0_u64).unwrap();
    let child = Process::spawn(leak_and_end, (lock.clone(),)).unwrap();
    let pid = child.pid() as u32;
    child.join().unwrap();
    let dead = |error| matches!(error, LockError::OwnerDied { pid: its, .. } if its == pid);
    assert!(dead(lock.lock().unwrap_err()));
    let adopted = lock.adopt().map(drop);
    assert!(matches!(adopted, Err(AdoptError::OwnerDied { pid: its, .. }) if its == pid));
    lock.recover().unwrap().mark_consistent();
    assert!(lock.try_lock().is_ok());
}

#[test]
fn a_thread_may_end_that_leaked_a_guard() {
    let lock = Lock::new(0).unwrap();
    let there = lock.clone();
    thread::spawn(move || there.lock().unwrap().leak())
        .join()
        .unwrap();
    assert!(held(&lock), "the process lives, and the lock is its");
    drop(lock.adopt().unwrap());
    assert!(lock.try_lock().is_ok());
}

#[test]
fn the_guard_of_a_marked_lock_comes_back_marked() {
    let lock = Lock::new(0_u64).unwrap();
    let child = Process::spawn(leak_and_end, (lock.clone(),)).unwrap();
    child.join().unwrap();
    lock.recover().unwrap().leak();
    let mut adopted = lock.adopt().unwrap();
    assert!(adopted.is_marked());
    adopted.mark_consistent();
    drop(adopted);
    assert!(lock.lock().is_ok());
}

fn wait_in_line(lock: Lock<u64>) -> multiproc::Result<()> {
    *lock.lock()? += 1;
    Ok(())
}

#[test]
fn those_who_wait_for_a_leaked_guard_are_woken_by_who_adopted_it() {
    let lock = Lock::new(0_u64).unwrap();
    lock.lock().unwrap().leak();
    let children: Vec<_> = (0..3)
        .map(|_| Process::spawn(wait_in_line, (lock.clone(),)).unwrap())
        .collect();
    drop(lock.adopt().unwrap());
    children.iter().for_each(|child| child.join().unwrap());
    assert_eq!(*lock.lock().unwrap(), 3);
}

// Fairness.

fn add(lock: Lock<u64>, times: u64) -> multiproc::Result<()> {
    for _ in 0..times {
        *lock.lock()? += 1;
    }
    Ok(())
}

#[test]
fn a_fair_lock_is_a_lock() {
    let lock = Lock::new(0_u64).unwrap().fair().unwrap();
    let children: Vec<_> = (0..4)
        .map(|_| Process::spawn(add, (lock.clone(), 500)).unwrap())
        .collect();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| add(lock.clone(), 500).unwrap());
        }
    });
    children.iter().for_each(|child| child.join().unwrap());
    assert_eq!(*lock.lock().unwrap(), 3500);
    assert!(lock.lock_timeout(Duration::ZERO).is_ok());
}

/// Sleeps for the lock, and says so; `line` counts who was let in.
fn sleeper(lock: Lock<u64>, place: Value<u64>, in_line: Event, line: Value<u64>) {
    in_line.set();
    let _guard = lock.lock().unwrap();
    place.store(line.fetch_add(1));
}

/// Whether a thread of the process sleeps in `futex(2)`, as who waits for a lock does in the end.
fn sleeps(pid: i32) -> bool {
    let call = std::fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
    let number = call.split(' ').next().and_then(|n| n.parse::<i64>().ok());
    number
        == Some(if cfg!(target_arch = "aarch64") {
            98
        } else {
            202
        })
}

#[test]
fn a_fair_lock_goes_to_who_sleeps_and_not_to_who_comes() {
    let lock = Lock::new(0_u64).unwrap().fair().unwrap();
    let line = Value::new(0_u64).unwrap();
    let place = Value::new(u64::MAX).unwrap();
    let guard = lock.lock().unwrap();
    let in_line = Event::new().unwrap();
    let arguments = (lock.clone(), place.clone(), in_line.clone(), line.clone());
    let child = Process::spawn(sleeper, arguments).unwrap();
    in_line.wait();
    while !sleeps(child.pid()) {
        thread::yield_now();
    }
    drop(guard);
    // Whoever comes now waits until the sleeper has been inside.
    let mine = lock.lock().unwrap();
    assert_eq!((place.load(), line.load()), (0, 1));
    drop(mine);
    child.join().unwrap();
}

#[test]
fn a_lock_that_one_holds_cannot_be_made_fair_by_him() {
    let lock = Lock::new(()).unwrap();
    let _guard = lock.lock().unwrap();
    let refused = lock.clone().fair().unwrap_err();
    assert_eq!(refused.kind(), multiproc::ErrorKind::Deadlock);
}
