//! `RwLock`: many who look, one who changes, and what the living see of the dead.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier as Meeting;
use std::thread;
use std::time::{Duration, Instant};

use multiproc::{
    ErrorKind, Event, LockError, LockTimeoutError, Process, RwLock, TryLockError, Until, Value,
};

#[path = "common/sleeper.rs"]
mod sleeper;

use sleeper::asleep;

/// Longer than anything here takes, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn name(of: &str) -> String {
    format!("rwlock-{of}-{}", std::process::id())
}

/// Runs `body` in so many threads at a time, and waits until all have given their rows back: a thread does that behind its
/// end, for which a scope does not wait by itself, and a join does.
fn in_threads_until_they_are_gone(count: usize, body: &(impl Fn() + Sync)) {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(body)).collect();
        threads.into_iter().for_each(|it| it.join().unwrap());
    });
}

// Who gets in.

#[test]
fn readers_are_in_together() {
    let lock = RwLock::new(7).unwrap();
    let inside = Meeting::new(4);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let data = lock.read().unwrap();
                inside.wait(); // returns once all four read
                assert_eq!(*data, 7);
            });
        }
    });
}

#[test]
fn a_crowd_of_threads_reads_together_again_and_again() {
    // More than the process notes the rows of; those of the second wave come to places that others have left.
    const CROWD: usize = 80;
    let lock = RwLock::for_readers(7, CROWD as u32).unwrap();
    for _ in 0..2 {
        let inside = Meeting::new(CROWD);
        let look = || {
            for _ in 0..3 {
                let (outer, inner) = (lock.read().unwrap(), lock.read().unwrap());
                inside.wait(); // returns once all read
                drop(outer);
                assert!(matches!(lock.try_write(), Err(TryLockError::WouldBlock)));
                assert_eq!(*inner, 7);
            }
        };
        in_threads_until_they_are_gone(CROWD, &look);
        drop(lock.try_write().expect("all have left"));
    }
}

#[test]
fn nobody_is_in_beside_a_writer() {
    let lock = RwLock::new([0_u64; 16]).unwrap();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..2_000 {
                    lock.write().unwrap().iter_mut().for_each(|n| *n += 1);
                }
            });
            scope.spawn(|| {
                for _ in 0..20_000 {
                    let data = lock.read().unwrap();
                    assert!(data.iter().all(|n| *n == data[0]), "{data:?}");
                }
            });
        }
    });
    assert_eq!(*lock.read().unwrap(), [4_000; 16]);
}

#[test]
fn processes_read_and_write_what_others_see() {
    fn work(lock: RwLock<[u64; 8]>, rounds: u64) -> multiproc::Result<()> {
        for round in 0..rounds {
            if round % 10 == 0 {
                lock.write()?.iter_mut().for_each(|n| *n += 1);
            }
            let data = lock.read()?;
            assert!(data.iter().all(|n| *n == data[0]));
        }
        Ok(())
    }
    let lock = RwLock::new([0; 8]).unwrap();
    let workers = [(); 4].map(|()| Process::spawn(work, (lock.clone(), 2_000_u64)).unwrap());
    for worker in workers {
        worker.join().unwrap();
    }
    assert_eq!(lock.read().unwrap()[0], 4 * 200);
}

#[test]
fn a_writer_that_waits_goes_before_readers_that_come_later() {
    let lock = RwLock::new(0).unwrap();
    thread::scope(|scope| {
        let first = lock.read().unwrap();
        let writer = asleep(scope, || *lock.write().unwrap() = 1);
        let late = scope.spawn(|| lock.try_read().map(|data| *data));
        assert_eq!(late.join().unwrap(), Err(TryLockError::WouldBlock));
        let patient = asleep(scope, || *lock.read().unwrap());
        drop(first);
        writer.join().unwrap();
        assert_eq!(patient.join().unwrap(), 1);
    });
}

#[test]
fn who_reads_may_read_again_though_a_writer_waits() {
    let lock = RwLock::new(3).unwrap();
    thread::scope(|scope| {
        let outer = lock.read().unwrap();
        let writer = asleep(scope, || *lock.write().unwrap() += 1);
        let inner = lock.read().unwrap();
        let same = lock.clone();
        let third = same.try_read().unwrap();
        drop(outer);
        assert_eq!((*inner, *third), (3, 3));
        drop((inner, third));
        writer.join().unwrap();
    });
    assert_eq!(*lock.read().unwrap(), 4);
}

#[test]
fn who_would_wait_for_himself_is_told() {
    let lock = RwLock::new(0).unwrap();
    let look = lock.read().unwrap();
    assert_eq!(lock.write().unwrap_err(), LockError::Deadlock);
    assert_eq!(lock.try_write().unwrap_err(), TryLockError::WouldBlock);
    assert_eq!(lock.recover().unwrap_err(), LockError::Deadlock);
    drop(look);
    let change = lock.write().unwrap();
    assert_eq!(lock.read().unwrap_err(), LockError::Deadlock);
    let late = lock.write_timeout(PATIENCE).unwrap_err();
    assert_eq!(late, LockTimeoutError::Deadlock);
    drop(change);
    assert!(lock.write().is_ok());
}

#[test]
fn times_are_kept_and_leave_nothing_behind() {
    let lock = RwLock::new(0).unwrap();
    let short = Duration::from_millis(20);
    thread::scope(|scope| {
        let look = lock.read().unwrap();
        let writer = scope.spawn(|| {
            let begin = Instant::now();
            let late = lock.write_timeout(short).map(drop);
            assert!(begin.elapsed() >= short);
            late
        });
        assert_eq!(writer.join().unwrap(), Err(LockTimeoutError::Timeout));
        let other = scope.spawn(|| lock.try_read().map(|data| *data));
        assert_eq!(other.join().unwrap(), Ok(0), "the gate is open again");
        drop(look);
        let change = lock.write().unwrap();
        let reader = scope.spawn(|| lock.read_deadline(Instant::now() + short).map(drop));
        assert_eq!(reader.join().unwrap(), Err(LockTimeoutError::Timeout));
        drop(change);
        drop(lock.write_timeout(Duration::ZERO).unwrap());
    });
}

#[test]
fn a_wait_ends_with_another_process() {
    fn end_at_once() {}
    let lock = RwLock::new(0).unwrap();
    let change = lock.write().unwrap();
    let other = Process::spawn(end_at_once, ()).unwrap();
    let ended = || Until::timeout(PATIENCE).or_end_of(&other);
    thread::scope(|scope| {
        let reader = scope.spawn(|| lock.read_until(ended()).map(drop));
        let writer = scope.spawn(|| lock.write_until(ended()).map(drop));
        assert_eq!(reader.join().unwrap(), Err(LockTimeoutError::Ended));
        assert_eq!(writer.join().unwrap(), Err(LockTimeoutError::Ended));
        let late = scope.spawn(|| lock.read_until(Until::timeout(Duration::ZERO)).map(drop));
        assert_eq!(late.join().unwrap(), Err(LockTimeoutError::Timeout));
    });
    drop(change);
    let until = Until::forever().or_end_of(&other);
    assert_eq!(
        *lock.read_until(until).unwrap(),
        0,
        "what is waited for comes first"
    );
    *lock.write_until(until).unwrap() = 1;
    other.join().unwrap();
}

#[test]
fn a_writer_goes_on_reading_with_nobody_in_between() {
    let lock = RwLock::new(0).unwrap();
    thread::scope(|scope| {
        let mut change = lock.write().unwrap();
        *change = 1;
        let writer = asleep(scope, || *lock.write().unwrap() = 2);
        let look = change.downgrade().unwrap();
        assert_eq!(*look, 1);
        drop(look);
        writer.join().unwrap();
    });
    assert_eq!(*lock.read().unwrap(), 2);
}

#[test]
fn threads_beyond_the_rows_read_one_after_the_other() {
    let lock = RwLock::for_readers(5, 1).unwrap();
    let by_row = lock.read().unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..100 {
                    assert_eq!(*lock.read().unwrap(), 5);
                }
            });
        }
    });
    drop(by_row);
    *lock.write().unwrap() = 6;
    let other = thread::scope(|scope| scope.spawn(|| *lock.read().unwrap()).join());
    assert_eq!(other.unwrap(), 6);
    let down = thread::scope(|scope| {
        let downgrade = || *lock.write().unwrap().downgrade().unwrap();
        scope.spawn(downgrade).join()
    });
    assert_eq!(down.unwrap(), 6);
    assert!(lock.write().is_ok());
}

#[test]
fn rows_come_back_with_threads_and_with_handles() {
    let lock = RwLock::for_readers(0_u8, 2).unwrap();
    for _ in 0..50 {
        in_threads_until_they_are_gone(1, &|| drop(lock.read().unwrap()));
    }
    fn look(lock: RwLock<u8>) -> multiproc::Result<()> {
        drop(lock.read()?);
        Ok(())
    }
    for _ in 0..3 {
        let child = Process::spawn(look, (lock.clone(),)).unwrap();
        child.join().unwrap();
    }
    let both = Meeting::new(2);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let look = lock.read().unwrap();
                both.wait(); // both have a row: without, they would read one after the other
                drop(look);
            });
        }
    });
}

#[test]
fn a_handle_dropped_in_between_takes_nobodys_row() {
    let lock = RwLock::new(0_u32).unwrap();
    let look = lock.read().unwrap();
    let name = name("between");
    let named = RwLock::create(&name, 1_u32).unwrap();
    let (first, second) = (RwLock::<u32>::open(&name).unwrap(), named.clone());
    let outer = first.read().unwrap();
    drop(second);
    drop(named);
    assert_eq!((*look, *outer), (0, 1));
    let writer = thread::scope(|s| s.spawn(|| first.try_write().map(drop)).join().unwrap());
    assert_eq!(writer, Err(TryLockError::WouldBlock));
}

// The dead.

fn read_and_die(lock: RwLock<u32>, ready: Event) {
    std::mem::forget(lock.read().unwrap());
    ready.set();
    std::process::abort();
}

#[test]
fn a_dead_readers_hold_ends() {
    let (lock, ready) = (RwLock::new(0_u32).unwrap(), Event::new().unwrap());
    let reader = Process::spawn(read_and_die, (lock.clone(), ready.clone())).unwrap();
    ready.wait();
    *lock.write_timeout(PATIENCE).unwrap() += 1;
    assert!(reader.join().is_err());
    assert_eq!(*lock.read().unwrap(), 1);
}

#[test]
fn a_stopped_reader_keeps_its_hold() {
    fn read_and_wait(lock: RwLock<u32>, ready: Event, end: Event) -> multiproc::Result<u32> {
        let data = lock.read()?;
        ready.set();
        end.wait();
        Ok(*data)
    }
    let lock = RwLock::new(1_u32).unwrap();
    let (ready, end) = (Event::new().unwrap(), Event::new().unwrap());
    let arguments = (lock.clone(), ready.clone(), end.clone());
    let reader = Process::spawn(read_and_wait, arguments).unwrap();
    ready.wait();
    // SAFETY: a signal to a child of ours that has not been waited for.
    unsafe { libc::kill(reader.pid(), libc::SIGSTOP) };
    let long = Duration::from_millis(300); // time it is: that many looks at the stopped reader repair nothing
    let late = lock.write_timeout(long).unwrap_err();
    assert_eq!(late, LockTimeoutError::Timeout);
    // SAFETY: as above.
    unsafe { libc::kill(reader.pid(), libc::SIGCONT) };
    end.set();
    assert_eq!(reader.join().unwrap(), 1);
    *lock.write_timeout(PATIENCE).unwrap() = 2;
}

fn write_half(lock: RwLock<[u32; 2]>) {
    let mut data = lock.write().unwrap();
    data[0] += 1;
    std::process::abort();
}

#[test]
fn a_dead_writers_change_is_told_to_all_until_it_is_mended() {
    let lock = RwLock::new([0, 0]).unwrap();
    let writer = Process::spawn(write_half, (lock.clone(),)).unwrap();
    let dead = writer.pid() as u32;
    assert!(writer.join().is_err());
    for _ in 0..2 {
        assert!(matches!(lock.read(), Err(LockError::OwnerDied { pid, .. }) if pid == dead));
        assert!(
            matches!(lock.try_write(), Err(TryLockError::OwnerDied { pid, .. }) if pid == dead)
        );
    }
    let unmended = lock.recover().unwrap();
    assert!(unmended.is_marked());
    assert!(unmended.downgrade().is_none());
    assert!(lock.read().is_err());
    let mut half = lock.recover().unwrap();
    half[1] = half[0];
    half.mark_consistent();
    drop(half);
    assert_eq!(*lock.read().unwrap(), [1, 1]);
    assert_eq!(*lock.write().unwrap(), [1, 1]);
}

#[test]
fn a_writer_that_dies_waiting_has_changed_nothing() {
    fn wait_for_reader(lock: RwLock<u32>) -> multiproc::Result<()> {
        drop(lock.write()?);
        Ok(())
    }
    let lock = RwLock::new(1_u32).unwrap();
    let look = lock.read().unwrap();
    let writer = Process::spawn(wait_for_reader, (lock.clone(),)).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while !format!("{lock:?}").contains("written by") {
        assert!(Instant::now() < deadline, "{lock:?}");
        thread::yield_now();
    }
    writer.kill().unwrap();
    assert!(writer.join().is_err());
    let again = thread::scope(|s| s.spawn(|| lock.read_timeout(PATIENCE).map(|d| *d)).join());
    assert_eq!(again.unwrap(), Ok(1));
    drop(look);
    *lock.write().unwrap() = 2;
}

#[test]
fn a_panic_of_a_writer_marks_and_one_of_a_reader_does_not() {
    let lock = RwLock::new(0).unwrap();
    let torn = catch_unwind(AssertUnwindSafe(|| {
        let _look = lock.read().unwrap();
        panic!("while looking");
    }));
    assert!(torn.is_err());
    *lock.write().unwrap() = 1;
    let torn = catch_unwind(AssertUnwindSafe(|| {
        let _change = lock.write().unwrap();
        panic!("while changing");
    }));
    assert!(torn.is_err());
    let pid = std::process::id();
    assert!(matches!(lock.read(), Err(LockError::OwnerDied { pid: who, .. }) if who == pid));
    assert_eq!(*lock.reset(9).unwrap(), 9);
    assert_eq!(*lock.read().unwrap(), 9);
}

#[test]
fn a_child_of_a_fork_has_rows_of_its_own() {
    fn fork_and_read(lock: RwLock<u32>) -> multiproc::Result<()> {
        let look = lock.read()?;
        // SAFETY: this process has one thread.
        let child = unsafe {
            let lock = lock.clone();
            multiproc::process::fork(move || *lock.read().unwrap())
        }?;
        assert_eq!(child.join()?, 4);
        assert_eq!(
            lock.write().unwrap_err(),
            LockError::Deadlock,
            "its guard is whole"
        );
        drop(look);
        *lock.write()? = 5;
        Ok(())
    }
    let lock = RwLock::new(4_u32).unwrap();
    let process = Process::spawn(fork_and_read, (lock.clone(),)).unwrap();
    process.join().unwrap();
    assert_eq!(*lock.read().unwrap(), 5);
}

// Names and handles.

multiproc::shared! {
    /// Two locks in one struct.
    struct Tables from TablesInit { prices: RwLock<[u32; 2]>, stock: RwLock<u64>, looks: Value<u64> }
}

#[test]
fn locks_are_fields_of_a_struct_and_leave_it() {
    fn raise(tables: multiproc::Shared<Tables>, stock: RwLock<u64>) -> multiproc::Result<()> {
        tables.prices.write()?[1] += 1;
        *stock.write()? += 1;
        std::mem::forget(stock.read()?);
        std::mem::forget(tables.prices.write()?);
        std::process::abort();
    }
    let init = TablesInit {
        prices: [1, 2],
        stock: 7,
        looks: 0,
    };
    let tables = multiproc::Shared::<Tables>::new(init).unwrap();
    let arguments = (tables.clone(), tables.stock.clone());
    let child = Process::spawn(raise, arguments).unwrap();
    assert!(child.join().is_err());
    assert!(matches!(
        tables.prices.read(),
        Err(LockError::OwnerDied { .. })
    ));
    *tables.stock.write_timeout(PATIENCE).unwrap() += 1;
    let mut prices = tables.prices.recover().unwrap();
    prices.mark_consistent();
    drop(prices);
    assert_eq!(
        (
            *tables.prices.read().unwrap(),
            *tables.stock.read().unwrap()
        ),
        ([1, 3], 9)
    );
    assert_eq!(tables.looks.load(), 0);
}

#[test]
fn a_name_leads_to_the_same_lock_of_the_same_type() {
    let name = name("same");
    let lock = RwLock::create_for_readers(&name, 1_u64, 3).unwrap();
    let taken = RwLock::create(&name, 1_u64).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
    let same = RwLock::open_or_create(&name, 9_u64).unwrap();
    assert_eq!(*same.read().unwrap(), 1);
    assert_eq!(
        RwLock::<u32>::open(&name).unwrap_err().kind(),
        ErrorKind::WrongType
    );
    *same.write().unwrap() = 2;
    assert_eq!(*lock.read().unwrap(), 2);
    assert!(format!("{lock:?}").contains("rows: 3"));
    RwLock::<u64>::remove(&name).unwrap();
    assert_eq!(
        RwLock::<u64>::open(&name).unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[test]
fn the_number_of_rows_has_bounds() {
    for readers in [0, 4095, u32::MAX] {
        let refused = RwLock::for_readers(0, readers).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    }
    let large = RwLock::for_readers([7_u8; 5000], 4094).unwrap();
    assert_eq!(large.read().unwrap()[4999], 7);
    large.write().unwrap()[0] = 1;
}

#[test]
fn many_threads_count_readers_and_writers_exactly() {
    let lock = RwLock::new(0_u64).unwrap();
    let looks = Value::new(0_u64).unwrap();
    thread::scope(|scope| {
        for n in 0..8 {
            let (lock, looks) = (&lock, &looks);
            scope.spawn(move || {
                let mut seen = HashSet::new();
                for round in 0..500 {
                    if (round + n) % 8 == 0 {
                        *lock.write().unwrap() += 1;
                    }
                    seen.insert(*lock.read().unwrap());
                    looks.fetch_add(1);
                }
                assert!(!seen.is_empty());
            });
        }
    });
    assert_eq!((*lock.read().unwrap(), looks.load()), (500, 4_000));
}
