//! `ReentrantLock`: depth, the thread as its owner, and what the living see of the dead.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use multiproc::{
    ErrorKind, Lock, LockError, LockTimeoutError, Process, Queue, ReentrantLock, TryLockError,
    Value,
};

fn is_marked<T: multiproc::Plain>(lock: &ReentrantLock<T>) -> bool {
    matches!(lock.lock(), Err(LockError::OwnerDied { .. }))
}

/// How another thread finds the lock.
fn elsewhere<T: multiproc::Plain>(lock: &ReentrantLock<T>) -> Result<(), TryLockError> {
    thread::scope(|scope| scope.spawn(|| lock.try_lock().map(drop)).join().unwrap())
}

#[test]
fn the_lock_is_held_until_the_last_guard_is_gone() {
    let lock = ReentrantLock::new(0_u32).unwrap();
    let first = lock.lock().unwrap();
    let second = lock.try_lock().unwrap();
    let third = lock.clone().lock_timeout(Duration::ZERO).map(|g| g.depth());
    assert_eq!(third, Ok(3));
    let third = lock.lock_deadline(Instant::now()).unwrap();
    let fourth = lock.recover().unwrap();
    assert_eq!((first.depth(), fourth.depth()), (4, 4));
    for guard in [second, fourth, first] {
        drop(guard);
        assert_eq!(elsewhere(&lock), Err(TryLockError::WouldBlock));
    }
    assert_eq!(third.depth(), 1);
    drop(third);
    assert_eq!(elsewhere(&lock), Ok(()));
}

#[test]
fn guards_of_one_thread_see_one_another_s_writes() {
    let lock = ReentrantLock::new([1_u32, 2]).unwrap();
    let (outer, inner) = (lock.lock().unwrap(), lock.lock().unwrap());
    inner.set([3, 4]);
    assert_eq!(outer.get(), [3, 4]);
    assert_eq!(outer.replace([5, 6]), [3, 4]);
    inner.update(|pair| pair[0] += outer.get()[1]);
    assert_eq!(outer.with(|pair| pair.iter().sum::<u32>()), 17);
    assert_eq!(format!("{outer:?}"), "[11, 6]");
}

/// CPython: a lock that is not one's own cannot be given up; here there is no way to say it. It can be waited for.
#[test]
fn another_thread_waits_whatever_the_depth() {
    let lock = ReentrantLock::new(0_u32).unwrap();
    let guards = [lock.lock().unwrap(), lock.lock().unwrap()];
    let timeout = Duration::from_millis(1);
    thread::scope(|scope| {
        let other = scope.spawn(|| lock.lock_timeout(timeout).map(drop));
        assert_eq!(other.join().unwrap(), Err(LockTimeoutError::Timeout));
        let other = scope.spawn(|| lock.lock().map(|guard| (guard.depth(), guard.get())));
        guards[0].set(7);
        drop(guards);
        assert_eq!(other.join().unwrap(), Ok((1, 7)));
    });
}

/// Others taken in between link and unlink the lock in its thread's list.
#[test]
fn depth_does_not_mind_other_locks() {
    let lock = ReentrantLock::new(0_u32).unwrap();
    let (before, between) = (Lock::new(0).unwrap(), Lock::new(0).unwrap());
    for _ in 0..3 {
        let early = before.lock().unwrap();
        let outer = lock.lock().unwrap();
        let late = between.lock().unwrap();
        let inner = lock.lock().unwrap();
        drop(early);
        let innermost = lock.lock().unwrap();
        assert_eq!(innermost.depth(), 3);
        drop(late);
        drop(lock.lock().unwrap());
        drop((inner, outer));
        assert_eq!(elsewhere(&lock), Err(TryLockError::WouldBlock));
        drop(innermost);
        assert_eq!(elsewhere(&lock), Ok(()));
        assert!(before.try_lock().is_ok() && between.try_lock().is_ok());
    }
}

fn add_deep(lock: &ReentrantLock<u64>, depth: u32) {
    let guard = lock.lock().unwrap();
    match depth {
        0 => guard.update(|sum| *sum += 1),
        _ => add_deep(lock, depth - 1),
    }
}

fn add(lock: ReentrantLock<u64>, times: u32) {
    (0..times).for_each(|n| add_deep(&lock, n % 4));
}

#[test]
fn threads_and_processes_take_turns() {
    const TIMES: u32 = 2000;
    let lock = ReentrantLock::new(0_u64).unwrap();
    let processes = [0, 1].map(|_| Process::spawn(add, (lock.clone(), TIMES)).unwrap());
    thread::scope(|scope| {
        scope.spawn(|| add(lock.clone(), TIMES));
        add(lock.clone(), TIMES);
    });
    for process in processes {
        process.join().unwrap();
    }
    assert_eq!(lock.lock().unwrap().get(), u64::from(4 * TIMES));
}

fn die_deep(lock: ReentrantLock<u32>, depth: u32) {
    let guards: Vec<_> = (0..depth).map(|_| lock.lock().unwrap()).collect();
    guards[0].set(depth);
    std::process::abort();
}

#[test]
fn the_death_of_a_holder_is_told_at_any_depth() {
    for depth in 1..4 {
        let lock = ReentrantLock::new(0_u32).unwrap();
        let holder = Process::spawn(die_deep, (lock.clone(), depth)).unwrap();
        let pid = holder.pid() as u32;
        assert!(holder.join().is_err());
        assert!(matches!(lock.lock(), Err(LockError::OwnerDied { pid: dead, .. }) if dead == pid));
        let guard = lock.recover().unwrap();
        assert_eq!((guard.get(), guard.depth()), (depth, 1));
        assert!(
            guard.is_marked() && is_marked(&lock),
            "nobody gets in unawares, the holder neither"
        );
        let nested = lock.recover().unwrap();
        assert_eq!(nested.depth(), 2);
        drop((nested, guard));
        assert!(
            is_marked(&lock),
            "dropped without a word that the data are whole"
        );
        let outer = lock.recover().unwrap();
        lock.recover().unwrap().mark_consistent();
        assert!(!outer.is_marked() && lock.lock().is_ok());
        drop(outer);
        assert_eq!(elsewhere(&lock), Ok(()));
    }
}

#[test]
fn reset_mends_with_a_new_value_at_any_depth() {
    let lock = ReentrantLock::new(0_u32).unwrap();
    let holder = Process::spawn(die_deep, (lock.clone(), 2)).unwrap();
    assert!(holder.join().is_err());
    let outer = lock.recover().unwrap();
    let inner = lock.reset(9).unwrap();
    assert_eq!(
        (outer.get(), inner.depth(), outer.is_marked()),
        (9, 2, false)
    );
    drop((outer, inner));
    assert_eq!(lock.reset(5).unwrap().get(), 5);
    assert!(!is_marked(&lock));
}

/// The panic is caught where the thread still has a guard: until the data are declared whole they are not.
#[test]
fn a_panic_at_depth_marks_the_lock_in_the_end() {
    let lock = ReentrantLock::new(0_u32).unwrap();
    for mended in [false, true] {
        let outer = lock.lock().unwrap();
        let torn = catch_unwind(AssertUnwindSafe(|| {
            let inner = lock.lock().unwrap();
            inner.set(1);
            panic!("with two guards");
        }));
        assert!(torn.is_err() && outer.is_marked() && is_marked(&lock));
        assert_eq!(outer.depth(), 1);
        if mended {
            outer.mark_consistent();
        }
        drop(outer);
        assert_eq!(is_marked(&lock), !mended);
        drop(lock.reset(0).unwrap());
    }
}

#[test]
fn an_update_that_panics_changes_nothing() {
    let lock = ReentrantLock::new(3_u32).unwrap();
    let guard = lock.lock().unwrap();
    let torn = catch_unwind(AssertUnwindSafe(|| {
        guard.update(|n| {
            *n = 4;
            panic!("in the middle")
        })
    }));
    assert!(torn.is_err());
    assert_eq!(
        (guard.get(), guard.is_marked()),
        (3, false),
        "no guard was dropped"
    );
}

#[test]
fn a_forked_copy_of_a_guard_gives_nothing_up() {
    let lock = ReentrantLock::new(0_u32).unwrap();
    let guards = [lock.lock().unwrap(), lock.lock().unwrap()];
    // SAFETY: the child drops two guards and ends; nothing in there needs another thread's lock.
    match unsafe { libc::fork() } {
        0 => {
            drop(guards);
            // SAFETY: _exit ends the child without running the destructors it inherited.
            unsafe { libc::_exit(0) }
        }
        child => {
            let mut status = 0;
            // SAFETY: `status` lives through the call.
            unsafe { libc::waitpid(child, &mut status, 0) };
            assert_eq!(status, 0);
        }
    }
    assert_eq!(guards[0].depth(), 2);
    assert_eq!(elsewhere(&lock), Err(TryLockError::WouldBlock));
    drop(guards);
    assert_eq!(elsewhere(&lock), Ok(()));
}

fn add_sent(post: Queue<ReentrantLock<u64>>, done: Value<u32>) -> multiproc::Result<()> {
    add_deep(&post.get_owned()?, 3);
    done.fetch_add(1);
    Ok(())
}

#[test]
fn a_lock_travels_and_has_a_name() {
    let (post, done) = (Queue::new(2).unwrap(), Value::new(0).unwrap());
    let lock = ReentrantLock::new(1_u64).unwrap();
    post.put(lock.clone()).unwrap();
    Process::spawn(add_sent, (post, done.clone()))
        .unwrap()
        .join()
        .unwrap();
    assert_eq!((lock.lock().unwrap().get(), done.load()), (2, 1));

    let name = format!("reentrant-{}", std::process::id());
    let created = ReentrantLock::create(&name, [7_u128; 4]).unwrap();
    let opened = ReentrantLock::<[u128; 4]>::open(&name).unwrap();
    let (one, two) = (created.lock().unwrap(), opened.lock().unwrap());
    assert_eq!((two.depth(), two.get()), (2, [7; 4]));
    drop((one, two));
    let wrong = Lock::<[u128; 4]>::open(&name).unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::WrongType);
    let third = ReentrantLock::open_or_create(&name, [0_u128; 4]).unwrap();
    assert_eq!(third.lock().unwrap().get(), [7; 4]);
    ReentrantLock::<[u128; 4]>::remove(&name).unwrap();
}
