//! A condition among other things that are waited for: registered waiters, notified before and after, dropped and killed.

use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use multiproc::{
    Condition, Event, Lock, LockError, Process, Queue, RegisterError, TryLockError, Waiter, Watch,
    try_wait_any, wait_any, wait_any_timeout,
};

/// Far more than a slice: what takes so long was lost.
const LONG: Duration = Duration::from_secs(20);

fn register(condition: &Condition<u64>) -> Waiter<'_, u64> {
    condition.lock().unwrap().register().unwrap()
}

/// Nobody who lives is left in the queue, nor anybody dead who was not looked for.
fn is_empty(condition: &Condition<u64>) -> bool {
    condition.notify_all();
    condition.notify_all() == 0
}

#[test]
fn a_notification_that_comes_first_is_found() {
    let condition = Condition::new(0).unwrap();
    let never = Event::new().unwrap();
    let waiter = register(&condition);
    assert_eq!(try_wait_any(&[&never, &waiter]).unwrap(), None);
    assert!(condition.notify_one());
    assert!(!condition.notify_one(), "it has one already");
    assert_eq!(try_wait_any(&[&never, &waiter]).unwrap(), Some(1));
    assert_eq!(wait_any(&[&never, &waiter]).unwrap(), 1);
    *waiter.lock().unwrap() += 1;
    assert_eq!(wait_any(&[&never, &waiter]).unwrap(), 1, "it waits no more");
    assert_eq!(*condition.lock().unwrap(), 1);
}

#[test]
fn registering_gives_the_lock_up_and_locking_leaves_the_queue() {
    let condition = Condition::new(0).unwrap();
    let waiter = register(&condition);
    {
        let guard = condition.try_lock().expect("given up");
        assert_eq!(waiter.try_lock().unwrap_err(), TryLockError::WouldBlock);
        assert_eq!(waiter.lock().unwrap_err(), LockError::Deadlock);
        assert!(waiter.lock_timeout(Duration::ZERO).is_err());
        drop(guard);
    }
    assert!(
        condition.notify_one(),
        "a lock that was not taken leaves it its place"
    );
    assert_eq!(waiter.try_lock().as_deref(), Ok(&0));
    let other = register(&condition);
    drop(other.lock_timeout(LONG).unwrap());
    assert!(!condition.notify_one(), "both have left");
    drop(other.lock().unwrap());
}

#[test]
fn who_is_dropped_passes_its_notification_on() {
    let condition = Condition::new(0).unwrap();
    let [first, second, third] = [(); 3].map(|()| register(&condition));
    assert!(condition.notify_one());
    drop(second);
    assert!(first.is_notified() && !third.is_notified());
    drop(first);
    assert!(third.is_notified());
    drop(third.lock().unwrap());
    drop(third);
    assert!(!condition.notify_one());
}

/// Who sleeps on the condition gets what a waiter had no use for.
#[test]
fn sleepers_and_waiters_stand_in_one_queue() {
    let condition = Condition::new(0).unwrap();
    let never = Event::new().unwrap();
    thread::scope(|scope| {
        let waiter = register(&condition);
        let (entered, guard) = (Event::new().unwrap(), condition.lock().unwrap());
        let sleeper = scope.spawn({
            let (condition, entered) = (&condition, entered.clone());
            move || {
                let mut guard = condition.lock().unwrap();
                entered.set();
                guard.wait_while(|number| *number == 0).unwrap();
            }
        });
        drop(guard);
        entered.wait();
        *condition.lock().unwrap() = 1; // it has given the lock up by now
        assert!(condition.notify_one());
        assert_eq!(wait_any_timeout(&[&never, &waiter], LONG).unwrap(), Some(1));
        drop(waiter);
        sleeper.join().unwrap();
    });
    assert!(is_empty(&condition));
}

fn notify_in_turn(condition: Condition<u64>, queue: Queue<u64>, event: Event, go: Queue<u64>) {
    while let Ok(round) = go.get_owned() {
        match round % 4 {
            0 => queue.put(round).unwrap(),
            1 => event.set(),
            2 => {
                *condition.lock().unwrap() = round;
                assert!(condition.notify_one());
            }
            _ => {
                let mut guard = condition.lock().unwrap();
                *guard = round;
                assert_eq!(condition.notify_all(), 1); // with the lock held
            }
        }
    }
}

/// The waiter sleeps each time, for nothing is ready before it has asked for it.
#[test]
fn another_process_notifies_who_waits_for_many() {
    let condition = Condition::new(0).unwrap();
    let (queue, event) = (Queue::<u64>::new(4).unwrap(), Event::new().unwrap());
    let go = Queue::<u64>::new(2).unwrap();
    let handles = (condition.clone(), queue.clone(), event.clone(), go.clone());
    let child = Process::spawn(notify_in_turn, handles).unwrap();
    for round in 0..300 {
        let waiter = register(&condition);
        go.put(round).unwrap();
        let found = wait_any_timeout(&[&queue, &event, &waiter], LONG).unwrap();
        assert_eq!(found, Some((round as usize % 4).min(2)), "round {round}");
        match found.unwrap() {
            0 => assert_eq!(queue.try_get_owned(), Ok(round)),
            1 => event.clear(),
            _ => assert_eq!(*waiter.lock().unwrap(), round),
        }
    }
    go.close();
    child.join().unwrap();
    assert!(!condition.notify_one(), "all have left");
}

fn take_one(stock: Condition<u64>, stop: Event, taken: Queue<u64>) {
    let mut guard = stock.lock().unwrap();
    while !stop.is_set() {
        if *guard > 0 {
            *guard -= 1;
            taken.put(1).unwrap();
        }
        let waiter = guard.register().unwrap();
        assert!(wait_any_timeout(&[&waiter, &stop], LONG).unwrap().is_some());
        guard = waiter.lock().unwrap();
    }
}

/// One notification for each that there is, several processes that take: none is lost, however they are woken.
#[test]
fn watchers_of_several_processes_take_what_each_was_notified_of() {
    let (stock, stop) = (Condition::new(0).unwrap(), Event::new().unwrap());
    let taken = Queue::<u64>::new(64).unwrap();
    let start = || Process::spawn(take_one, (stock.clone(), stop.clone(), taken.clone())).unwrap();
    let takers: Vec<_> = (0..3).map(|_| start()).collect();
    for round in 0..200 {
        *stock.lock().unwrap() += 1;
        stock.notify_one();
        assert!(taken.get_timeout(LONG).is_ok(), "round {round} was lost");
    }
    stop.set();
    takers.into_iter().for_each(|taker| taker.join().unwrap());
    assert!(is_empty(&stock));
}

fn wait_for_all(condition: Condition<u64>, never: Event, done: Queue<u64>) {
    let waiter = register(&condition);
    done.put(0).unwrap();
    assert_eq!(wait_any_timeout(&[&never, &waiter], LONG).unwrap(), Some(1));
    done.put(*waiter.lock().unwrap()).unwrap();
}

#[test]
fn all_are_notified_together() {
    let (condition, never) = (Condition::new(0).unwrap(), Event::new().unwrap());
    let done = Queue::<u64>::new(16).unwrap();
    let handles = || (condition.clone(), never.clone(), done.clone());
    let children: Vec<_> = (0..3)
        .map(|_| Process::spawn(wait_for_all, handles()).unwrap())
        .collect();
    for _ in &children {
        assert_eq!(done.get_timeout(LONG).unwrap().to_native(), 0);
    }
    *condition.lock().unwrap() = 7;
    assert_eq!(condition.notify_all(), 3);
    for child in children {
        child.join().unwrap();
        assert_eq!(done.try_get_owned(), Ok(7));
    }
}

fn register_and_park(condition: Condition<u64>, ready: Event, watches: bool) {
    let waiter = register(&condition);
    if watches {
        let watch = Watch::new(waiter).unwrap();
        assert!(!watch.rearm().unwrap());
        std::mem::forget(watch);
    } else {
        std::mem::forget(waiter);
    }
    ready.set();
    loop {
        thread::park();
    }
}

/// Killed with the notification, or before it, watching or not: the next one in the queue has it.
#[test]
fn the_killed_lose_no_notification() {
    let never = Event::new().unwrap();
    for (watches, notified_first) in [(false, false), (false, true), (true, false), (true, true)] {
        let (condition, ready) = (Condition::new(0).unwrap(), Event::new().unwrap());
        let handles = (condition.clone(), ready.clone(), watches);
        let child = Process::spawn(register_and_park, handles).unwrap();
        ready.wait();
        let next = register(&condition);
        if notified_first {
            assert!(condition.notify_one());
        }
        child.kill().unwrap();
        assert_eq!(wait_any_timeout(&[&child], LONG).unwrap(), Some(0));
        if !notified_first {
            assert!(condition.notify_one());
            assert!(next.is_notified() || !watches, "who rings asks");
        }
        assert_eq!(wait_any_timeout(&[&never, &next], LONG).unwrap(), Some(1));
        assert!(next.is_notified());
        drop(next.lock().unwrap());
        assert!(is_empty(&condition));
        assert!(child.join().is_err());
    }
}

fn die_with_the_lock(condition: Condition<u64>, ready: Event) {
    let mut guard = condition.lock().unwrap();
    *guard = 1;
    ready.set();
    loop {
        thread::park();
    }
}

#[test]
fn a_lock_left_by_the_dead_makes_a_waiter_ready() {
    let (condition, ready) = (Condition::new(0).unwrap(), Event::new().unwrap());
    let never = Event::new().unwrap();
    let waiter = register(&condition);
    let child = Process::spawn(die_with_the_lock, (condition.clone(), ready.clone())).unwrap();
    ready.wait();
    assert_eq!(try_wait_any(&[&never, &waiter]).unwrap(), None);
    child.kill().unwrap();
    assert_eq!(wait_any_timeout(&[&never, &waiter], LONG).unwrap(), Some(1));
    assert!(!waiter.is_notified());
    let dead = child.pid().unsigned_abs();
    let refused = waiter.lock().map(drop).unwrap_err();
    assert!(matches!(refused, LockError::OwnerDied { pid, .. } if pid == dead));
    let guard = condition.recover().unwrap();
    assert!(waiter.is_notified(), "who recovers tells everybody");
    let refused = guard.register().map(drop).unwrap_err();
    assert!(matches!(refused, RegisterError::OwnerDied { pid, .. } if pid == dead));
    assert!(condition.lock().is_err(), "given up, and marked");
    condition.recover().unwrap().mark_consistent();
    assert_eq!(*waiter.lock().unwrap(), 1);
    assert!(child.join().is_err());
}

/// A condition beside a lock has its waiters in another segment than the lock.
#[test]
fn conditions_that_share_a_lock_are_told_apart() {
    let lock = Lock::new(0).unwrap();
    let [room, goods] = [(); 2].map(|()| Condition::with_lock(&lock).unwrap());
    let (for_room, for_goods) = (register(&room), register(&goods));
    thread::scope(|scope| {
        let watcher = scope.spawn(|| wait_any_timeout(&[&for_room, &for_goods], LONG).unwrap());
        *lock.lock().unwrap() = 5;
        assert!(goods.notify_one());
        assert_eq!(watcher.join().unwrap(), Some(1));
    });
    assert_eq!(*for_goods.lock().unwrap(), 5);
    assert!(!for_room.is_notified());
}

#[test]
fn a_full_queue_takes_nobody() {
    let condition = Condition::new(0).unwrap();
    let waiters: Vec<_> = (0..1024).map(|_| register(&condition)).collect();
    let refused = condition.lock().unwrap().register().map(drop).unwrap_err();
    assert_eq!(refused, RegisterError::TooManyWaiters);
    assert!(condition.try_lock().is_ok(), "given up all the same");
    drop(waiters);
    drop(register(&condition));
    assert!(!condition.notify_one());
}

/// Each is rung by itself, in the order of arrival, though all lie side by side.
#[test]
fn a_watch_tells_of_its_own_waiter_only() {
    let condition = Condition::new(0).unwrap();
    let watches: Vec<_> = (0..3)
        .map(|_| Watch::new(register(&condition)).unwrap())
        .collect();
    for watch in &watches {
        assert!(watch.is_prompt() && !watch.rearm().unwrap());
    }
    for (told, watch) in watches.iter().enumerate() {
        assert!(condition.notify_one());
        assert_eq!(wait_any_timeout(&[&watch.as_fd()], LONG).unwrap(), Some(0));
        assert!(watch.rearm().unwrap() && watch.is_notified());
        let later = &watches[told + 1..];
        assert!(later.iter().all(|later| !later.is_notified()));
        drop(watch.lock().unwrap());
    }
}

/// Runs in a process of its own, which has one thread. Whether the parent's place outlives the copy of it that a forked
/// child has locked by and dropped.
fn share_a_waiter_with_a_forked_child() -> bool {
    let condition = Condition::new(0).unwrap();
    let waiter = std::mem::ManuallyDrop::new(register(&condition));
    // SAFETY: no lock is held, and one thread runs here; the child drops the waiter in its own memory only.
    let child = unsafe {
        multiproc::process::fork(|| {
            *waiter.lock().unwrap() = 1;
            drop(std::ptr::read(&raw const *waiter));
        })
    };
    child.unwrap().join().unwrap();
    let waiter = std::mem::ManuallyDrop::into_inner(waiter);
    condition.notify_one() && waiter.is_notified() && *waiter.lock().unwrap() == 1
}

#[test]
fn a_forked_child_leaves_its_parents_place_alone() {
    let child = Process::spawn(share_a_waiter_with_a_forked_child, ()).unwrap();
    assert!(child.join().unwrap());
}
