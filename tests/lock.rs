//! `Lock`: exclusion between threads and processes, and what the living see of the dead.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::thread;
use std::time::{Duration, Instant};

use multiproc::{
    ErrorKind, Lock, LockError, LockTimeoutError, Process, Queue, TryLockError, Value,
};

/// Longer than anything here takes, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for another process to come so far.
fn wait_for(mut what: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !what() {
        assert!(
            Instant::now() < deadline,
            "the other process did not get so far"
        );
        thread::yield_now();
    }
}

/// Who died with the lock, if anybody.
fn dead(error: LockError) -> Option<u32> {
    match error {
        LockError::OwnerDied { pid, .. } => Some(pid),
        _ => None,
    }
}

fn hold<T: multiproc::Plain>(lock: Lock<T>, ready: Value<u32>) {
    let _guard = lock.lock().unwrap();
    ready.fetch_add(1);
    loop {
        thread::park();
    }
}

/// A child that holds the lock by the time this returns.
fn holder<T: multiproc::Plain>(lock: &Lock<T>) -> Process<()> {
    let ready = Value::new(0_u32).unwrap();
    let child = Process::spawn(hold::<T>, (lock.clone(), ready.clone())).unwrap();
    wait_for(|| ready.load() == 1);
    child
}

fn kill<R: multiproc::Message>(child: &Process<R>) {
    child.kill().unwrap();
    assert!(child.join().is_err());
}

// Exclusion.

fn add(lock: Lock<[u64; 2]>, times: u64) -> multiproc::Result<()> {
    for _ in 0..times {
        let mut guard = lock.lock()?;
        guard[0] += 1;
        guard[1] += 1;
        assert_eq!(guard[0], guard[1]);
    }
    Ok(())
}

#[test]
fn threads_and_processes_take_turns() {
    let lock = Lock::new([0_u64; 2]).unwrap();
    let children: Vec<_> = (0..3)
        .map(|_| Process::spawn(add, (lock.clone(), 5000)).unwrap())
        .collect();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| add(lock.clone(), 5000).unwrap());
        }
    });
    children.iter().for_each(|child| child.join().unwrap());
    assert_eq!(*lock.lock().unwrap(), [30_000; 2]);
}

#[test]
fn a_thread_is_told_that_it_would_wait_for_itself() {
    let lock = Lock::new(1).unwrap();
    let mut guard = lock.lock().unwrap();
    assert_eq!(lock.lock().unwrap_err(), LockError::Deadlock);
    assert_eq!(lock.recover().unwrap_err(), LockError::Deadlock);
    assert_eq!(
        lock.lock_timeout(PATIENCE).unwrap_err(),
        LockTimeoutError::Deadlock
    );
    assert_eq!(lock.try_lock().unwrap_err(), TryLockError::WouldBlock);
    *guard += 1;
    drop(guard);
    assert_eq!(*lock.lock().unwrap(), 2);
}

#[test]
fn waiting_ends_with_the_time_given_and_not_before() {
    let lock = Lock::new(()).unwrap();
    let _guard = lock.lock().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            for millis in [0, 1, 7] {
                let (begin, timeout) = (Instant::now(), Duration::from_millis(millis));
                let refused = lock.lock_timeout(timeout).unwrap_err();
                assert_eq!(refused, LockTimeoutError::Timeout);
                assert!(begin.elapsed() >= timeout);
                let deadline = Instant::now() + timeout;
                assert!(lock.lock_deadline(deadline).is_err());
                assert!(Instant::now() >= deadline);
            }
        });
    });
}

#[test]
fn a_lock_that_gets_free_in_time_is_taken() {
    let lock = Lock::new(0).unwrap();
    let guard = lock.lock().unwrap();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| lock.lock_timeout(PATIENCE).map(|g| *g));
        drop(guard);
        assert_eq!(waiter.join().unwrap(), Ok(0));
    });
}

fn lock_all(locks: Vec<Lock<u32>>, turns: u32) -> multiproc::Result<()> {
    for turn in 0..turns {
        let mut guards: Vec<_> = locks.iter().map(Lock::lock).collect::<Result<_, _>>()?;
        guards.iter_mut().for_each(|guard| **guard += 1);
        // Given up in an order that is neither that of taking nor its reverse.
        drop(guards.swap_remove((turn as usize) % locks.len()));
        guards.rotate_left((turn as usize) % (locks.len() - 1));
    }
    Ok(())
}

#[test]
fn several_locks_are_held_together_and_given_up_in_any_order() {
    let locks: Vec<_> = (0..5).map(|_| Lock::new(0).unwrap()).collect();
    let children: Vec<_> = (0..3)
        .map(|_| Process::spawn(lock_all, (locks.clone(), 300)).unwrap())
        .collect();
    children.iter().for_each(|child| child.join().unwrap());
    assert!(locks.iter().all(|lock| *lock.lock().unwrap() == 900));
}

// Death.

#[test]
fn the_death_of_a_holder_reaches_those_who_wait() {
    let lock = Lock::new(7).unwrap();
    let child = holder(&lock);
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| lock.lock().map(drop)))
            .collect();
        kill(&child);
        for waiter in waiters {
            let refused = waiter.join().unwrap().unwrap_err();
            assert_eq!(dead(refused), Some(child.pid() as u32));
        }
    });
}

#[test]
fn the_death_of_a_holder_is_told_to_those_who_come_later() {
    let lock = Lock::new(7).unwrap();
    let child = holder(&lock);
    kill(&child);
    let pid = child.pid() as u32;
    assert_eq!(dead(lock.lock().unwrap_err()), Some(pid));
    assert!(matches!(lock.try_lock(), Err(TryLockError::OwnerDied { pid: p, .. }) if p == pid));
    let refused = lock.lock_timeout(PATIENCE).unwrap_err();
    assert!(matches!(refused, LockTimeoutError::OwnerDied { pid: p, .. } if p == pid));
    let error = multiproc::Error::from(refused);
    assert_eq!(error.kind(), ErrorKind::OwnerDied);
    assert!(error.to_string().contains(&pid.to_string()), "{error}");
}

#[test]
fn a_marked_lock_stays_so_until_somebody_declares_the_data_whole() {
    let lock = Lock::new(7).unwrap();
    let child = holder(&lock);
    kill(&child);
    let guard = lock.recover().unwrap();
    assert!(guard.is_marked());
    drop(guard);
    assert_eq!(
        dead(lock.lock().unwrap_err()),
        Some(child.pid() as u32),
        "not mended"
    );
    let mut guard = lock.recover().unwrap();
    *guard = 8;
    guard.mark_consistent();
    assert!(!guard.is_marked());
    drop(guard);
    assert_eq!(*lock.lock().unwrap(), 8);
    assert!(
        !lock.recover().unwrap().is_marked(),
        "recover of a sound lock is lock"
    );
}

#[test]
fn reset_mends_with_a_new_value() {
    let lock = Lock::new(7).unwrap();
    kill(&holder(&lock));
    assert_eq!(*lock.reset(1).unwrap(), 1);
    assert_eq!(*lock.lock().unwrap(), 1);
}

fn recover_and_hold(lock: Lock<i32>, ready: Value<u32>) {
    let _guard = lock.recover().unwrap();
    ready.fetch_add(1);
    loop {
        thread::park();
    }
}

#[test]
fn who_dies_recovering_leaves_the_lock_marked_in_its_own_name() {
    let lock = Lock::new(7).unwrap();
    kill(&holder(&lock));
    let ready = Value::new(0_u32).unwrap();
    let second = Process::spawn(recover_and_hold, (lock.clone(), ready.clone())).unwrap();
    wait_for(|| ready.load() == 1);
    kill(&second);
    assert_eq!(dead(lock.lock().unwrap_err()), Some(second.pid() as u32));
    lock.recover().unwrap().mark_consistent();
    assert!(lock.lock().is_ok());
}

fn write_one_of_two(lock: Lock<[u64; 2]>, ready: Value<u32>) {
    let mut guard = lock.lock().unwrap();
    guard[0] = 1;
    ready.fetch_add(1);
    thread::park();
    guard[1] = 1;
}

#[test]
fn a_half_done_update_is_seen_by_who_recovers_and_by_nobody_else() {
    let lock = Lock::new([0_u64; 2]).unwrap();
    let ready = Value::new(0_u32).unwrap();
    let child = Process::spawn(write_one_of_two, (lock.clone(), ready.clone())).unwrap();
    wait_for(|| ready.load() == 1);
    kill(&child);
    assert!(lock.lock().is_err());
    let mut guard = lock.recover().unwrap();
    assert_eq!(*guard, [1, 0]);
    guard[1] = guard[0];
    guard.mark_consistent();
    drop(guard);
    assert_eq!(*lock.lock().unwrap(), [1, 1]);
}

fn wait_in_vain(lock: Lock<i32>, ready: Value<u32>) {
    ready.fetch_add(1);
    drop(lock.lock());
}

#[test]
fn dead_waiters_take_nothing_with_them() {
    let lock = Lock::new(0).unwrap();
    let guard = lock.lock().unwrap();
    let ready = Value::new(0_u32).unwrap();
    let waiters: Vec<_> = (0..4)
        .map(|_| Process::spawn(wait_in_vain, (lock.clone(), ready.clone())).unwrap())
        .collect();
    wait_for(|| ready.load() == 4);
    waiters.iter().take(3).for_each(kill);
    drop(guard);
    waiters[3].join().unwrap();
    assert!(lock.lock().is_ok());
}

fn hold_all(locks: Vec<Lock<u64>>, ready: Value<u32>) {
    let guards: Vec<_> = locks.iter().map(|lock| lock.lock().unwrap()).collect();
    ready.fetch_add(1);
    loop {
        thread::park();
        assert_eq!(guards.len(), locks.len());
    }
}

/// The kernel marks 2,048 locks of a dead thread and no more; the rest is found by asking.
#[test]
fn every_one_of_ten_thousand_locks_is_recovered() {
    for count in [3_000, 10_000] {
        let locks: Vec<_> = (0..count).map(|_| Lock::new(0).unwrap()).collect();
        let ready = Value::new(0_u32).unwrap();
        let child = Process::spawn(hold_all, (locks.clone(), ready.clone())).unwrap();
        wait_for(|| ready.load() == 1);
        kill(&child);
        let begin = Instant::now();
        for lock in &locks {
            assert_eq!(dead(lock.lock().unwrap_err()), Some(child.pid() as u32));
            lock.recover().unwrap().mark_consistent();
        }
        let spent = begin.elapsed();
        println!("{count} locks of one dead process recovered in {spent:?}");
        assert!(locks.iter().all(|lock| lock.try_lock().is_ok()));
    }
}

/// A robust mutex of the C library, locked while a lock of ours is held, takes our place in the kernel's eyes.
fn hold_beside_a_mutex(lock: Lock<i32>, ready: Value<u32>) {
    let _guard = lock.lock().unwrap();
    let mut mutex = Box::new(libc::PTHREAD_MUTEX_INITIALIZER);
    // SAFETY: attribute and mutex are initialised before they are used, and neither moves.
    unsafe {
        let mut attributes: libc::pthread_mutexattr_t = std::mem::zeroed();
        libc::pthread_mutexattr_init(&raw mut attributes);
        libc::pthread_mutexattr_setrobust(&raw mut attributes, libc::PTHREAD_MUTEX_ROBUST);
        libc::pthread_mutex_init(&raw mut *mutex, &raw const attributes);
        libc::pthread_mutex_lock(&raw mut *mutex);
        libc::pthread_mutex_unlock(&raw mut *mutex);
    }
    ready.fetch_add(1);
    loop {
        thread::park();
    }
}

#[test]
fn a_death_that_the_kernel_does_not_tell_is_found_by_asking() {
    let lock = Lock::new(0).unwrap();
    let ready = Value::new(0_u32).unwrap();
    let child = Process::spawn(hold_beside_a_mutex, (lock.clone(), ready.clone())).unwrap();
    wait_for(|| ready.load() == 1);
    thread::scope(|scope| {
        let asleep = scope.spawn(|| lock.lock().map(drop));
        kill(&child);
        assert_eq!(dead(lock.lock().unwrap_err()), Some(child.pid() as u32));
        assert!(dead(asleep.join().unwrap().unwrap_err()).is_some());
    });
}

fn hold_until(lock: Lock<u32>, ready: Value<u32>, go: Value<u32>) {
    let mut guard = lock.lock().unwrap();
    ready.fetch_add(1);
    wait_for(|| go.load() == 1);
    *guard += 1;
}

#[test]
fn a_stopped_holder_keeps_its_lock() {
    let lock = Lock::new(0).unwrap();
    let [ready, go] = [0, 0].map(|zero| Value::new(zero).unwrap());
    let args = (lock.clone(), ready.clone(), go.clone());
    let child = Process::spawn(hold_until, args).unwrap();
    wait_for(|| ready.load() == 1);
    // SAFETY: a signal to a child that has not been waited for.
    let signal = |number| assert_eq!(unsafe { libc::kill(child.pid(), number) }, 0);
    signal(libc::SIGSTOP);
    go.store(1);
    for _ in 0..3 {
        let refused = lock.lock_timeout(Duration::from_millis(30)).unwrap_err();
        assert_eq!(refused, LockTimeoutError::Timeout);
        assert_eq!(lock.try_lock().unwrap_err(), TryLockError::WouldBlock);
    }
    signal(libc::SIGCONT);
    child.join().unwrap();
    assert_eq!(*lock.lock().unwrap(), 1);
}

// Panics and forgetful threads.

#[test]
fn a_panic_with_the_guard_in_hand_marks_the_lock() {
    let lock = Lock::new(0).unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let mut guard = lock.lock().unwrap();
        *guard = 1;
        panic!("half way");
    }));
    assert!(panicked.is_err());
    assert_eq!(dead(lock.lock().unwrap_err()), Some(std::process::id()));
    assert_eq!(*lock.recover().unwrap(), 1);
}

#[test]
fn a_panic_reaches_those_who_wait() {
    let lock = Lock::new(0).unwrap();
    let ready = Value::new(0).unwrap();
    thread::scope(|scope| {
        let culprit = scope.spawn(|| {
            let _guard = lock.lock().unwrap();
            ready.store(1);
            wait_for(|| ready.load() == 2);
            panic!("with the guard in hand");
        });
        wait_for(|| ready.load() == 1);
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    ready.compare_exchange(1, 2).ok();
                    lock.lock().map(drop)
                })
            })
            .collect();
        assert!(culprit.join().is_err());
        for waiter in waiters {
            assert!(dead(waiter.join().unwrap().unwrap_err()).is_some());
        }
    });
}

#[test]
fn a_lock_taken_and_given_up_while_unwinding_is_sound() {
    struct CountsOnDrop<'a>(&'a Lock<i32>);
    impl Drop for CountsOnDrop<'_> {
        fn drop(&mut self) {
            *self.0.lock().unwrap() += 1;
        }
    }
    let lock = Lock::new(0).unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _counts = CountsOnDrop(&lock);
        panic!("without a guard");
    }));
    assert!(panicked.is_err());
    assert_eq!(*lock.lock().unwrap(), 1);
}

/// Without glibc nobody tells of the end of a thread, only of its process's.
#[test]
#[cfg_attr(
    not(target_env = "gnu"),
    ignore = "a thread's end is told by glibc's robust list"
)]
fn a_thread_that_forgets_a_guard_holds_the_lock_until_it_ends() {
    let lock = Lock::new(0).unwrap();
    thread::scope(|scope| {
        let forgetful = scope.spawn(|| {
            std::mem::forget(lock.lock().unwrap());
            assert_eq!(lock.lock().unwrap_err(), LockError::Deadlock);
        });
        forgetful.join().unwrap();
    });
    assert_eq!(dead(lock.lock().unwrap_err()), Some(std::process::id()));
}

/// The thread's list leads through the forgotten lock for ever, so its memory must not go.
#[test]
fn a_forgotten_guard_does_not_harm_later_locks() {
    let forget = |lock: Lock<i32>| std::mem::forget(lock.lock().unwrap());
    forget(Lock::new(1).unwrap());
    let name = format!("forgotten-{}", std::process::id());
    forget(Lock::create(&name, 2).unwrap());
    for value in 0..100 {
        let [a, b] = [value, 2 * value].map(|v| Lock::new(v).unwrap());
        let (a, b) = (a.lock().unwrap(), b.lock().unwrap());
        assert_eq!((*a, *b), (value, 2 * value));
    }
    assert_eq!(
        Lock::<i32>::open(&name).unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[test]
fn a_forked_copy_of_a_guard_gives_nothing_up() {
    let lock = Lock::new(0).unwrap();
    let guard = lock.lock().unwrap();
    // SAFETY: the child calls nothing that another thread may have left locked, and ends at once.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: the copy of the guard is dropped once in this process.
        drop(unsafe { ptr::read(&raw const guard) });
        let held = lock.try_lock().err() == Some(TryLockError::WouldBlock);
        // SAFETY: ends the process without running what the test harness has registered.
        unsafe { libc::_exit(i32::from(!held)) };
    }
    let mut status = -1;
    // SAFETY: `status` is writable, and the child is ours.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0);
    drop(guard);
    assert!(lock.try_lock().is_ok());
}

// Data and names.

#[test]
fn data_that_are_no_value_are_refused_until_they_are_reset() {
    let lock = Lock::new(true).unwrap();
    {
        let mut guard = lock.lock().unwrap();
        // SAFETY: one byte of the guarded data, which nobody reads as a bool before it is one again.
        unsafe { (&raw mut *guard).cast::<u8>().write(2) };
    }
    assert_eq!(lock.lock().unwrap_err(), LockError::Invalid);
    assert_eq!(lock.try_lock().unwrap_err(), TryLockError::Invalid);
    assert_eq!(lock.recover().unwrap_err(), LockError::Invalid);
    assert!(!*lock.reset(false).unwrap());
    assert!(!*lock.lock().unwrap());
}

#[test]
fn data_of_any_size_and_alignment_have_room() {
    multiproc::plain! {
        #[repr(align(256))]
        struct Wide { bytes: [u8; 256] }
    }
    let wide = Lock::new(Wide { bytes: [7; 256] }).unwrap();
    let guard = wide.lock().unwrap();
    assert!((&raw const *guard).is_aligned() && guard.bytes == [7; 256]);
    let large = Lock::new([3_u64; 10_000]).unwrap();
    assert!(large.lock().unwrap().iter().all(|&n| n == 3));
    let none = Lock::new(()).unwrap();
    assert_eq!(*none.lock().unwrap(), ());
}

#[test]
fn a_name_leads_to_the_same_lock_of_the_same_type() {
    let name = format!("named-lock-{}", std::process::id());
    assert_eq!(
        Lock::<u32>::open(&name).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    let lock = Lock::create(&name, 5_u32).unwrap();
    assert_eq!(
        Lock::create(&name, 6_u32).unwrap_err().kind(),
        ErrorKind::AlreadyExists
    );
    assert_eq!(
        Lock::<i32>::open(&name).unwrap_err().kind(),
        ErrorKind::WrongType
    );
    assert_eq!(
        Value::<u32>::open(&name).unwrap_err().kind(),
        ErrorKind::WrongType
    );
    let same = Lock::open_or_create(&name, 7_u32).unwrap();
    let guard = same.lock().unwrap();
    assert_eq!(
        (*guard, lock.try_lock().unwrap_err()),
        (5, TryLockError::WouldBlock)
    );
    drop(guard);
    Lock::<u32>::remove(&name).unwrap();
    assert_eq!(
        Lock::<u32>::open(&name).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(*lock.lock().unwrap(), 5, "who has it keeps it");
}

#[test]
fn the_last_user_of_a_name_removes_it() {
    let name = format!("last-lock-{}", std::process::id());
    let lock = Lock::create(&name, 5_u32).unwrap();
    drop(lock.clone());
    assert!(Lock::<u32>::open(&name).is_ok());
    drop(lock);
    assert_eq!(
        Lock::<u32>::open(&name).unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[test]
fn a_lock_travels_in_a_message() {
    let queue = Queue::<Lock<u64>>::new(4).unwrap();
    let lock = Lock::new(1).unwrap();
    queue.put(&lock).unwrap();
    let same = queue.get_owned().unwrap();
    *same.lock().unwrap() += 1;
    assert_eq!(*lock.lock().unwrap(), 2);
}

#[test]
fn the_state_is_shown_without_waiting() {
    let lock = Lock::new(3).unwrap();
    assert!(format!("{lock:?}").contains("free"));
    let guard = lock.lock().unwrap();
    assert!(format!("{lock:?}").contains(&format!("held by process {}", std::process::id())));
    assert_eq!(format!("{guard} {guard:?}"), "3 3");
}

/// Blocks are freed with the last handle unless somebody else may have one.
#[test]
fn creating_and_dropping_needs_no_more_and_more_memory() {
    for _ in 0..20_000 {
        Lock::new([0_u8; 1984]).unwrap(); // 2 KiB with its head; all together more than the arena has
    }
}
