//! The array and the counter of a manager, from several processes.

use std::time::Duration;

use multiproc::{
    Array, Counter, Error, ErrorKind, Event, LockError, LockTimeoutError, Manager, Process,
    TryLockError,
};

fn manager() -> Manager {
    Manager::builder().limit(8 << 20).anonymous().unwrap()
}

#[test]
fn numbers_are_changed_one_by_one() {
    let array = manager().array("numbers", 3, 1.5_f64).unwrap();
    assert_eq!((array.len(), array.is_empty()), (3, false));
    array.at(0).unwrap().store(2.0);
    assert_eq!(array.at(0).unwrap().swap(4.0), 2.0);
    assert_eq!(array.at(1).unwrap().fetch_add(1.0), 1.5);
    assert_eq!(array.at(1).unwrap().fetch_max(9.0), 2.5);
    assert_eq!(array.at(2).unwrap().compare_exchange(1.0, 0.0), Err(1.5));
    let all = array.lock().unwrap();
    assert_eq!(all.read(..).unwrap(), [4.0, 9.0, 1.5]);
    assert_eq!(format!("{all:?}"), "[4.0, 9.0, 1.5]");
}

#[test]
fn each_kind_of_number_has_its_place() {
    let manager = manager();
    let bytes = manager.array_of("bytes", &[1_u8, 2, 3]).unwrap();
    let flags = manager.array("flags", 2, true).unwrap();
    let words = manager.array_of("words", &[-1_i16, 7]).unwrap();
    bytes.at(1).unwrap().fetch_or(0x80);
    assert!(flags.at(1).unwrap().fetch_and(false));
    words.at(0).unwrap().fetch_sub(1);
    assert_eq!(bytes.lock().unwrap().read(..).unwrap(), [1, 0x82, 3]);
    assert_eq!(flags.lock().unwrap().read(..).unwrap(), [true, false]);
    assert_eq!(words.lock().unwrap().read(..).unwrap(), [-2, 7]);
    let again = manager.array("bytes", 99, 0_u8).unwrap();
    assert_eq!(again.len(), 3, "it was there already");
    let wrong = manager.array("bytes", 3, 0_u16).unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::WrongType);
    assert_eq!(manager.find::<Array<bool>>("flags").unwrap().len(), 2);
    assert!(manager.array("none", 0, 0_u64).unwrap().is_empty());
}

#[test]
fn places_outside_are_refused() {
    let array = manager().array("numbers", 4, 0_u32).unwrap();
    let refused = array.at(4).unwrap_err();
    assert_eq!((refused.range.clone(), refused.len), (4..5, 4));
    assert_eq!(Error::from(refused).kind(), ErrorKind::InvalidInput);
    let mut guard = array.lock().unwrap();
    assert!(guard.at(usize::MAX).is_err());
    assert!(guard.read(3..5).is_err());
    assert!(guard.read(..=usize::MAX).is_err());
    #[allow(clippy::reversed_empty_ranges)]
    let reversed = 3..2;
    assert!(guard.read(reversed).is_err());
    assert!(guard.write(3, &[1, 2]).is_err());
    assert!(guard.write(usize::MAX, &[1]).is_err());
    assert!(guard.copy_to(1, &mut [0; 4]).is_err());
    assert!(guard.fill(2..9, 7).is_err());
    assert_eq!(guard.read(..).unwrap(), [0; 4], "nothing was written");
    guard.write(4, &[]).unwrap();
    assert_eq!(guard.read(4..).unwrap(), [0_u32; 0]);
}

#[test]
fn ranges_are_copied_with_the_lock() {
    let array = manager().array("numbers", 10_000, 0_u16).unwrap();
    let numbers: Vec<u16> = (0..10_000).collect();
    let mut guard = array.lock().unwrap();
    guard.write(0, &numbers).unwrap();
    guard.fill(10..=11, 1).unwrap();
    let mut part = [0; 5];
    guard.copy_to(8, &mut part).unwrap();
    assert_eq!(part, [8, 9, 1, 1, 12]);
    assert_eq!(guard.read(9_998..).unwrap(), [9_998, 9_999]);
    assert!(matches!(array.lock(), Err(LockError::Deadlock)));
    assert!(matches!(array.try_lock(), Err(TryLockError::WouldBlock)));
    std::thread::scope(|scope| {
        let other = scope.spawn(|| array.lock_timeout(Duration::from_millis(1)).map(drop));
        assert_eq!(other.join().unwrap(), Err(LockTimeoutError::Timeout));
        assert_eq!(array.at(9_999).unwrap().load(), 9_999, "one needs no lock");
    });
    drop(guard);
    assert!(array.try_lock().is_ok());
}

#[test]
fn the_death_of_a_holder_is_told() {
    fn tear(array: Array<u64>) -> multiproc::Result<()> {
        let mut guard = array.lock()?;
        guard.write(0, &[1])?;
        std::process::abort();
    }
    let manager = manager();
    let array = manager.array("halves", 2, 0_u64).unwrap();
    let child = Process::spawn(tear, (array.clone(),)).unwrap();
    let pid = child.pid() as u32;
    assert!(child.join().is_err());
    assert!(matches!(array.lock(), Err(LockError::OwnerDied { pid: who, .. }) if who == pid));
    drop(array.recover().unwrap()); // looked, and did not mend
    let again = array.lock_timeout(Duration::from_secs(30)).map(drop);
    assert!(matches!(again, Err(LockTimeoutError::OwnerDied { .. })));
    let mut mended = array.recover().unwrap();
    assert!(mended.is_marked());
    let first = mended.at(0).unwrap().load();
    mended.write(1, &[first]).unwrap();
    mended.mark_consistent();
    drop(mended);
    assert_eq!(array.lock().unwrap().read(..).unwrap(), [1, 1]);
}

#[test]
fn a_forgotten_guard_keeps_the_memory_of_its_lock() {
    let array = manager().array("numbers", 2, 0_u8).unwrap();
    std::thread::spawn(move || std::mem::forget(array.lock().map(|guard| guard.read(..))))
        .join()
        .unwrap();
    std::thread::spawn(|| {
        let array = manager().array("numbers", 2, 0_u8).unwrap();
        std::mem::forget(array.lock().unwrap());
        drop(array);
        let other = manager().array("others", 2, 0_u8).unwrap();
        drop(other.lock().unwrap());
    })
    .join()
    .unwrap();
}

#[test]
fn processes_count_in_it_and_in_counters() {
    fn work(array: Array<u32>, counter: Counter, start: Event) -> multiproc::Result<()> {
        start.wait();
        for turn in 0..5000 {
            array.at(turn % 4)?.fetch_add(1);
            counter.add(3);
            counter.sub(1);
            if turn % 100 == 0 {
                let mut guard = array.lock()?;
                let pair = guard.read(4..6)?;
                guard.write(4, &[pair[0] + 1, pair[1] + 1])?;
            }
        }
        Ok(())
    }
    let (manager, start) = (manager(), Event::new().unwrap());
    let array = manager.array("numbers", 6, 0_u32).unwrap();
    let counter = manager.counter("counter").unwrap();
    let arguments = || (array.clone(), counter.clone(), start.clone());
    let workers = [(); 3].map(|()| Process::spawn(work, arguments()));
    start.set();
    for worker in workers {
        worker.unwrap().join().unwrap();
    }
    let all = array.lock().unwrap().read(..).unwrap();
    assert_eq!(all, [3750, 3750, 3750, 3750, 150, 150]);
    assert_eq!(counter.get(), 30_000);
}

#[test]
fn a_counter_begins_at_zero_whatever_was_in_its_memory() {
    let manager = manager();
    let cell = manager.cell("cell", vec![u64::MAX; 12]).unwrap();
    for _ in 0..200 {
        cell.set(vec![u64::MAX; 12]).unwrap();
    }
    for n in 0..20 {
        let counter = manager.counter(&format!("counter {n}")).unwrap();
        assert_eq!(counter.get(), 0);
        counter.set(n);
        assert_eq!(counter.add(i64::MAX), i64::MAX.wrapping_add(n));
        counter.set(7);
        assert_eq!((counter.reset(), counter.get()), (7, 0));
    }
    assert_eq!(manager.find::<Counter>("counter 3").unwrap().add(1), 1);
    assert_eq!(
        manager.find::<Counter>("cell").unwrap_err().kind(),
        ErrorKind::WrongType
    );
}
