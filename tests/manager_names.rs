//! The primitives that a manager has under names: one of each, from several processes.

use std::time::Duration;

use multiproc::{
    Barrier, BoundedSemaphore, Cell, Condition, ErrorKind, Event, Latch, Lock, Manager, Named,
    Once, Process, Queue, ReentrantLock, RwLock, Semaphore, Shared, Value,
};

/// Longer than anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

multiproc::shared! {
    struct Progress from ProgressInit { done: Value<u32>, finished: Event }
}

fn kind_of<T>(result: multiproc::Result<T>) -> ErrorKind {
    result.map(drop).unwrap_err().kind()
}

#[test]
fn each_primitive_is_made_once_and_found_again() {
    let manager = Manager::new().unwrap();
    manager.queue("queue", 4).unwrap().put(7_u32).unwrap();
    assert_eq!(*manager.queue::<u32>("queue", 9).unwrap().get().unwrap(), 7);
    *manager.lock("lock", 1_u64).unwrap().lock().unwrap() = 2;
    assert_eq!(*manager.lock("lock", 1_u64).unwrap().lock().unwrap(), 2);
    let reentrant = manager.reentrant_lock("reentrant", 3_u64).unwrap();
    let guard = reentrant.lock().unwrap();
    let again = manager.find::<ReentrantLock<u64>>("reentrant").unwrap();
    assert_eq!(again.lock().unwrap().get(), 3);
    drop(guard);
    *manager.rwlock("rwlock", 4_u8).unwrap().write().unwrap() = 5;
    assert_eq!(*manager.rwlock("rwlock", 0_u8).unwrap().read().unwrap(), 5);
    *manager
        .condition("condition", 6_i32)
        .unwrap()
        .lock()
        .unwrap() += 1;
    assert_eq!(
        *manager.condition("condition", 0).unwrap().lock().unwrap(),
        7
    );
    manager.event("event").unwrap().set();
    assert!(manager.event("event").unwrap().is_set());
    manager.latch("latch", 2).unwrap().count_down().unwrap();
    assert_eq!(manager.latch("latch", 9).unwrap().count(), 1);
    manager.semaphore("semaphore", 1).unwrap().acquire();
    let semaphore = manager.semaphore("semaphore", 1).unwrap();
    assert!(semaphore.try_acquire().is_err());
    let bounded = manager.bounded_semaphore("bounded", 1).unwrap();
    let permit = bounded.acquire();
    assert!(
        manager
            .bounded_semaphore("bounded", 9)
            .unwrap()
            .try_acquire()
            .is_err()
    );
    drop(permit);
    manager.value("value", 8_u16).unwrap().fetch_add(1);
    assert_eq!(manager.value("value", 0_u16).unwrap().load(), 9);
    manager.once::<u64>("once").unwrap().set(10).unwrap();
    assert_eq!(manager.once::<u64>("once").unwrap().get(), Some(&10));
    let init = || ProgressInit {
        done: 0,
        finished: false,
    };
    manager
        .shared::<Progress>("shared", init())
        .unwrap()
        .done
        .fetch_add(1);
    assert_eq!(
        manager
            .shared::<Progress>("shared", init())
            .unwrap()
            .done
            .load(),
        1
    );
    let names =
        "queue lock reentrant rwlock condition event latch semaphore bounded value once shared";
    assert_eq!(manager.names().unwrap().join(" "), names);
}

#[test]
fn a_barrier_brings_together_who_found_it_by_name() {
    let manager = Manager::new().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| manager.barrier("start", 2).unwrap().wait().unwrap().index());
        }
    });
    assert_eq!(kind_of(manager.barrier("start", 3)), ErrorKind::WrongType);
}

#[test]
fn another_type_is_refused_by_the_directory() {
    let manager = Manager::new().unwrap();
    manager.queue::<u32>("queue", 4).unwrap();
    manager.lock("lock", 1_u32).unwrap();
    manager.cell("cell", 1_u32).unwrap();
    manager.value("value", 1_u32).unwrap();
    let wrong = [
        kind_of(manager.queue::<u64>("queue", 4)),
        kind_of(manager.lock("lock", 1_u64)),
        kind_of(manager.lock("queue", 1_u32)),
        kind_of(manager.reentrant_lock("lock", 1_u32)),
        kind_of(manager.event("cell")),
        kind_of(manager.cell("lock", 1_u32)),
        kind_of(manager.value("value", 1.0_f32)),
        kind_of(manager.find::<Semaphore>("value")),
    ];
    assert!(
        wrong.iter().all(|&kind| kind == ErrorKind::WrongType),
        "{wrong:?}"
    );
    fn absent<N: Named>(manager: &Manager) -> bool {
        matches!(manager.find::<N>("nothing"), Err(error) if error.kind() == ErrorKind::NotFound)
    }
    assert!(absent::<Queue<u32>>(&manager) && absent::<Barrier>(&manager));
    assert!(absent::<RwLock<u8>>(&manager) && absent::<Condition<u8>>(&manager));
    assert!(absent::<Latch>(&manager) && absent::<BoundedSemaphore>(&manager));
    assert!(absent::<Once>(&manager) && absent::<Shared<Progress>>(&manager));
    assert_eq!(kind_of(manager.event("")), ErrorKind::InvalidInput);
    let named = Queue::<u32>::builder().name("mine");
    assert_eq!(
        kind_of(manager.queue_with("other", named)),
        ErrorKind::InvalidInput
    );
}

#[test]
fn a_failed_first_attempt_leaves_the_name_free() {
    let manager = Manager::new().unwrap();
    assert_eq!(
        kind_of(manager.queue::<u32>("jobs", 0)),
        ErrorKind::InvalidInput
    );
    assert_eq!(manager.names().unwrap(), [""; 0]);
    manager.lock("jobs", 5_u32).unwrap();
    manager.cell("x", 1_u8).unwrap();
    assert_eq!(
        *manager.find::<Lock<u32>>("jobs").unwrap().lock().unwrap(),
        5
    );
}

#[test]
fn messages_outlive_the_process_that_put_them() {
    fn produce(manager: Manager, end: bool) -> multiproc::Result<()> {
        let jobs = manager.queue("jobs", 16)?;
        for n in 0..5_u64 {
            jobs.put(n)?;
        }
        if end {
            std::process::abort();
        }
        Ok(())
    }
    for end in [false, true] {
        let manager = Manager::new().unwrap();
        let producer = Process::spawn(produce, (manager.clone(), end)).unwrap();
        assert_eq!(producer.join().is_err(), end);
        let jobs = manager.queue::<u64>("jobs", 16).unwrap();
        let got: Vec<u64> = jobs.try_iter().map(|job| job.to_native()).collect();
        assert_eq!(got, [0, 1, 2, 3, 4]);
    }
}

#[test]
fn of_several_that_make_it_at_the_same_time_one_does() {
    fn work(manager: Manager, start: Event) -> multiproc::Result<()> {
        start.wait();
        for turn in 0..20 {
            let queue = manager.queue(&format!("queue {turn}"), 16)?;
            queue.put(std::process::id())?;
            manager.value("done", 0_u32)?.fetch_add(1);
        }
        Ok(())
    }
    let (manager, start) = (Manager::new().unwrap(), Event::new().unwrap());
    let workers = [(); 4].map(|()| Process::spawn(work, (manager.clone(), start.clone())));
    start.set();
    for worker in workers {
        worker.unwrap().join().unwrap();
    }
    assert_eq!(manager.find::<Value<u32>>("done").unwrap().load(), 80);
    for turn in 0..20 {
        let queue = manager
            .find::<Queue<u32>>(&format!("queue {turn}"))
            .unwrap();
        assert_eq!(queue.len(), 4, "{turn}");
    }
}

#[test]
fn handles_of_them_are_messages_and_values_of_cells() {
    fn answer(cell: Cell<Queue<u32>>) -> multiproc::Result<()> {
        let queue = cell.get_owned()?;
        queue.put(queue.get_owned_timeout(PATIENCE)? + 1)?;
        Ok(())
    }
    let manager = Manager::new().unwrap();
    let queue = manager.queue("jobs", 4).unwrap();
    let cell = manager.cell("current", &queue).unwrap();
    queue.put(1).unwrap();
    let child = Process::spawn(answer, (cell,)).unwrap();
    child.join().unwrap();
    assert_eq!(queue.get_owned().unwrap(), 2);
    drop(manager);
    queue.put(3).unwrap(); // a handle works on when the manager is gone
    assert_eq!(queue.get_owned().unwrap(), 3);
}

#[test]
fn a_manager_that_stays_keeps_them() {
    let name = format!("names-{}", std::process::id());
    let kept = Manager::builder().name(&name).persist(true);
    let kept = kept.create().unwrap();
    kept.queue("jobs", 4).unwrap().put(5_u8).unwrap();
    drop(kept);
    let again = Manager::open(&name).unwrap();
    let jobs = again.queue::<u8>("jobs", 4).unwrap();
    assert_eq!(jobs.get_owned().unwrap(), 5);
    Manager::remove(&name).unwrap();
    jobs.put(6).unwrap();
    assert_eq!(
        again.queue::<u8>("jobs", 4).unwrap().get_owned().unwrap(),
        6
    );
}
