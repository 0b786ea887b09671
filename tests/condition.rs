//! `Condition`: waiting for data to change, in order, and what the living see of the dead.

use std::thread;
use std::time::{Duration, Instant};

use multiproc::{
    Condition, ConditionError, ConditionTimeoutError, ErrorKind, Lock, LockError, Process, Queue,
    TryLockError, Until, Value,
};

/// Longer than anything here takes, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for others to come so far.
fn wait_for(mut what: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !what() {
        assert!(Instant::now() < deadline, "the others did not get so far");
        thread::yield_now();
    }
}

/// Calls `notify` until it has notified somebody: who is about to wait may not do so yet.
fn until_notified(mut notify: impl FnMut() -> u32) {
    wait_for(|| notify() > 0);
}

/// How many wait, as they have counted themselves before they gave the lock up.
fn until_wait(condition: &Condition<u32>, count: u32) {
    wait_for(|| *condition.lock().unwrap() == count);
}

#[test]
fn nothing_is_notified_where_nobody_waits() {
    let condition = Condition::new(0_u32).unwrap();
    assert!(!condition.notify_one());
    assert_eq!((condition.notify(7), condition.notify_all()), (0, 0));
    let mut guard = condition.lock().unwrap();
    assert_eq!(condition.notify_all(), 0);
    assert_eq!(
        guard.wait_timeout(Duration::from_millis(1)),
        Err(ConditionTimeoutError::Timeout),
        "a notification is not kept for who comes later"
    );
}

/// CPython: `wait(0)` gives up the lock and takes it again, `wait_for` returns the predicate.
#[test]
fn no_time_at_all_is_a_time_out() {
    let condition = Condition::new(3_u32).unwrap();
    let mut guard = condition.lock().unwrap();
    let timeout = Err(ConditionTimeoutError::Timeout);
    assert_eq!(guard.wait_timeout(Duration::ZERO), timeout);
    assert_eq!(guard.wait_deadline(Instant::now()), timeout);
    assert_eq!(guard.wait_until(Until::timeout(Duration::ZERO)), timeout);
    assert_eq!(
        guard.wait_while_timeout(Duration::ZERO, |n| *n == 3),
        timeout
    );
    assert_eq!(
        guard.wait_while_timeout(Duration::ZERO, |n| *n == 4),
        Ok(())
    );
    assert_eq!(
        guard.wait_while_deadline(Instant::now(), |n| *n != 3),
        Ok(())
    );
    assert_eq!(guard.wait_while(|n| *n != 3), Ok(()));
    assert_eq!(*guard, 3);
    assert_eq!(
        condition.try_lock().map(drop),
        Err(TryLockError::WouldBlock)
    );
    drop(guard);
    assert_eq!(condition.try_lock().map(drop), Ok(()));
}

#[test]
fn waiting_ends_with_the_time_given_and_not_before() {
    let condition = Condition::new(()).unwrap();
    let mut guard = condition.lock().unwrap();
    let (begin, timeout) = (Instant::now(), Duration::from_millis(20));
    assert_eq!(
        guard.wait_timeout(timeout),
        Err(ConditionTimeoutError::Timeout)
    );
    assert!(begin.elapsed() >= timeout);
    let begin = Instant::now();
    let asked = guard.wait_while_timeout(timeout, |()| true);
    assert_eq!(asked, Err(ConditionTimeoutError::Timeout));
    assert!(begin.elapsed() >= timeout);
}

/// What came in the last instant counts, notified or not.
#[test]
fn the_predicate_is_asked_once_more_when_the_time_is_over() {
    let condition = Condition::new(0_u32).unwrap();
    let mut guard = condition.lock().unwrap();
    let mut asked = 0;
    let waited = guard.wait_while_timeout(Duration::ZERO, |_| {
        asked += 1;
        asked == 1
    });
    assert_eq!((waited, asked), (Ok(()), 2));
}

#[test]
fn the_end_of_a_process_ends_a_wait() {
    fn leaves() {}
    let condition = Condition::new(()).unwrap();
    let process = Process::spawn(leaves, ()).unwrap();
    let mut guard = condition.lock().unwrap();
    let until = Until::timeout(PATIENCE).or_end_of(&process);
    assert_eq!(guard.wait_until(until), Err(ConditionTimeoutError::Ended));
    let until = Until::timeout(PATIENCE).or_end_of(&process);
    let asked = guard.wait_while_until(until, |()| true);
    assert_eq!(asked, Err(ConditionTimeoutError::Ended));
    process.join().unwrap();
}

#[test]
fn the_lock_is_given_up_while_one_waits() {
    let condition = Condition::new(0_u32).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut guard = condition.lock().unwrap();
            *guard = 1;
            guard.wait_while(|n| *n == 1).unwrap();
            assert_eq!(
                condition.try_lock().map(drop),
                Err(TryLockError::WouldBlock)
            );
            *guard = 3;
        });
        until_wait(&condition, 1);
        *condition.lock().unwrap() = 2;
        until_notified(|| condition.notify_all());
    });
    assert_eq!(*condition.lock().unwrap(), 3);
}

/// With the lock held, and without it; from another thread than the one that waits.
#[test]
fn notifying_needs_no_lock_and_minds_none() {
    let condition = Condition::new(0_u32).unwrap();
    for locked in [true, false] {
        *condition.lock().unwrap() = 0;
        thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                let mut guard = condition.lock().unwrap();
                *guard = 1;
                guard.wait().unwrap();
            });
            until_wait(&condition, 1);
            let guard = locked.then(|| condition.lock().unwrap());
            assert!(condition.notify_one(), "it waited when it gave the lock up");
            drop(guard);
            waiter.join().unwrap();
        });
    }
}

/// CPython: `notify(n)` wakes `n` at most. Here they are also the first `n`.
#[test]
fn waiters_are_let_through_in_their_order_and_no_more_than_asked_for() {
    const WAITERS: u32 = 5;
    let condition = Condition::new(0_u32).unwrap();
    let through = Queue::<u32>::new(64).unwrap();
    thread::scope(|scope| {
        for n in 0..WAITERS {
            let (condition, through) = (&condition, &through);
            scope.spawn(move || {
                let mut guard = condition.lock().unwrap();
                *guard += 1;
                guard.wait().unwrap();
                through.put(n).unwrap();
            });
            until_wait(condition, n + 1);
        }
        assert_eq!(condition.notify(2), 2);
        let mut first = [through.get_owned().unwrap(), through.get_owned().unwrap()];
        first.sort_unstable(); // which of the two gets the lock first is the lock's affair
        assert_eq!(first, [0, 1]);
        for n in 2..4 {
            assert!(condition.notify_one());
            assert_eq!(through.get_owned().unwrap(), n);
        }
        assert_eq!(condition.notify_all(), 1);
        assert_eq!(through.get_owned().unwrap(), 4);
    });
    assert!(through.is_empty() && !condition.notify_one());
}

fn wait_once(condition: Condition<u32>, through: Value<u32>) -> multiproc::Result<()> {
    let mut guard = condition.lock()?;
    *guard += 1;
    guard.wait()?;
    through.fetch_add(1);
    Ok(())
}

#[test]
fn processes_are_notified_exactly() {
    let condition = Condition::new(0_u32).unwrap();
    let through = Value::new(0_u32).unwrap();
    let spawn = || Process::spawn(wait_once, (condition.clone(), through.clone())).unwrap();
    let waiters = [(); 3].map(|()| spawn());
    until_wait(&condition, 3);
    assert_eq!(condition.notify(2), 2);
    wait_for(|| through.load() == 2);
    assert_eq!(condition.notify(2), 1);
    for waiter in waiters {
        waiter.join().unwrap();
    }
    assert_eq!((through.load(), condition.notify_all()), (3, 0));
}

fn wait_for_ever(condition: Condition<u32>, through: Value<u32>) {
    let mut guard = condition.lock().unwrap();
    *guard += 1;
    guard.wait().unwrap();
    through.fetch_add(1);
    loop {
        thread::park();
    }
}

fn stop<R: multiproc::Message>(process: &Process<R>, signal: i32) {
    // SAFETY: kill has no memory preconditions, and the process is ours.
    unsafe { libc::kill(process.pid(), signal) };
}

/// The first in the queue is dead when it is its turn: the next is notified in its place.
#[test]
fn a_dead_waiter_does_not_take_the_notification_with_it() {
    let condition = Condition::new(0_u32).unwrap();
    let through = Value::new(0_u32).unwrap();
    let dead = Process::spawn(wait_for_ever, (condition.clone(), through.clone())).unwrap();
    until_wait(&condition, 1);
    let living = Process::spawn(wait_once, (condition.clone(), through.clone())).unwrap();
    until_wait(&condition, 2);
    stop(&dead, libc::SIGKILL);
    assert!(dead.join().is_err());
    condition.notify_one();
    living.join().unwrap();
    assert_eq!(through.load(), 1);
}

/// The first in the queue is stopped, then notified, then dead: the notification comes back.
#[test]
fn a_waiter_that_dies_notified_passes_the_notification_on() {
    let condition = Condition::new(0_u32).unwrap();
    let through = Value::new(0_u32).unwrap();
    let dead = Process::spawn(wait_for_ever, (condition.clone(), through.clone())).unwrap();
    until_wait(&condition, 1);
    let living = Process::spawn(wait_once, (condition.clone(), through.clone())).unwrap();
    until_wait(&condition, 2);
    stop(&dead, libc::SIGSTOP);
    assert!(condition.notify_one());
    stop(&dead, libc::SIGKILL);
    assert!(dead.join().is_err());
    living.join().unwrap();
    assert_eq!(through.load(), 1);
}

fn hold_and_die(condition: Condition<u32>) {
    let mut guard = condition.recover().unwrap();
    *guard += 100;
    std::process::abort();
}

#[test]
fn the_death_of_a_holder_reaches_those_who_wait() {
    let condition = Condition::new(0_u32).unwrap();
    let mut guard = condition.lock().unwrap();
    let holder = Process::spawn(hold_and_die, (condition.clone(),)).unwrap();
    let pid = holder.pid() as u32;
    let died = guard.wait_while(|n| *n == 0);
    assert!(matches!(died, Err(ConditionError::OwnerDied { pid: dead, .. }) if dead == pid));
    assert!(guard.is_marked() && *guard == 100, "the guard is kept");
    let again = guard.wait_timeout(PATIENCE);
    assert!(
        matches!(again, Err(ConditionTimeoutError::OwnerDied { .. })),
        "nobody gives up a marked lock as if it were whole"
    );
    drop(guard);
    assert!(holder.join().is_err());
    let marked = matches!(condition.lock(), Err(LockError::OwnerDied { .. }));
    assert!(marked, "dropped without a word that the data are whole");
    let mut guard = condition.recover().unwrap();
    guard.mark_consistent();
    assert!(!guard.is_marked());
    drop(guard);
    drop(condition.reset(5).unwrap());
    assert_eq!(*condition.lock().unwrap(), 5);
}

#[test]
fn a_panic_with_the_guard_in_hand_marks_the_lock() {
    let condition = Condition::new(0_u32).unwrap();
    let torn = thread::scope(|scope| {
        let torn = scope.spawn(|| {
            let mut guard = condition.lock().unwrap();
            let _ = guard.wait_while_timeout(PATIENCE, |_| panic!("in the predicate"));
        });
        torn.join()
    });
    assert!(torn.is_err());
    assert!(matches!(condition.lock(), Err(LockError::OwnerDied { .. })));
}

#[test]
fn conditions_share_a_lock_and_not_their_waiters() {
    let lock = Lock::new(0_u32).unwrap();
    let [one, two] = [(); 2].map(|()| Condition::with_lock(&lock).unwrap());
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let mut guard = one.lock().unwrap();
            *guard = 1;
            guard.wait().unwrap();
            assert!(lock.try_lock().is_err() && two.try_lock().is_err());
        });
        wait_for(|| *lock.lock().unwrap() == 1);
        assert_eq!(two.notify_all(), 0);
        assert_eq!(one.notify_all(), 1);
        waiter.join().unwrap();
    });
}

fn wait_once_sent(post: Queue<(Condition<u32>, Value<u32>)>) -> multiproc::Result<()> {
    let (condition, through) = post.get_owned()?;
    wait_once(condition, through)
}

#[test]
fn a_condition_travels_in_a_message_with_its_lock() {
    let lock = Lock::new(0_u32).unwrap();
    let through = Value::new(0_u32).unwrap();
    let shared = Condition::with_lock(&lock).unwrap();
    for condition in [Condition::new(0).unwrap(), shared] {
        let post = Queue::<(Condition<u32>, Value<u32>)>::new(4).unwrap();
        post.put((condition.clone(), through.clone())).unwrap();
        let waiter = Process::spawn(wait_once_sent, (post.clone(),)).unwrap();
        until_wait(&condition, 1);
        assert!(condition.notify_one());
        waiter.join().unwrap();
    }
    assert_eq!((through.load(), *lock.lock().unwrap()), (2, 1));
}

#[test]
fn a_name_leads_to_the_same_condition_of_the_same_type() {
    let name = format!("condition-{}", std::process::id());
    let created = Condition::create(&name, 1_u32).unwrap();
    let opened = Condition::<u32>::open(&name).unwrap();
    *opened.lock().unwrap() += 1;
    assert_eq!(*created.lock().unwrap(), 2);
    assert_eq!(
        Condition::create(&name, 0_u32).unwrap_err().kind(),
        ErrorKind::AlreadyExists
    );
    assert_eq!(
        Condition::<i32>::open(&name).unwrap_err().kind(),
        ErrorKind::WrongType
    );
    assert_eq!(
        Lock::<u32>::open(&name).unwrap_err().kind(),
        ErrorKind::WrongType
    );
    let third = Condition::open_or_create(&name, 9_u32).unwrap();
    assert_eq!(*third.lock().unwrap(), 2);
    Condition::<u32>::remove(&name).unwrap();
    assert_eq!(
        Condition::<u32>::open(&name).unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

multiproc::plain! {
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Large { head: u64, body: [u64; 2000] }
}

#[test]
fn data_of_any_size_have_room() {
    let large = Condition::new(Large {
        head: 7,
        body: [8; 2000],
    })
    .unwrap();
    let mut guard = large.lock().unwrap();
    let _ = guard.wait_timeout(Duration::ZERO);
    assert!(guard.head == 7 && guard.body == [8; 2000]);
    let wide = Condition::new([u128::MAX; 3]).unwrap();
    assert_eq!(*wide.lock().unwrap(), [u128::MAX; 3]);
    assert_eq!(wide.notify_all(), 0);
}

#[test]
fn more_than_can_wait_are_told_so() {
    const MOST: u32 = 1024;
    let condition = Condition::new(0_u32).unwrap();
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..MOST)
            .map(|_| {
                let small = thread::Builder::new().stack_size(64 << 10);
                let wait = || {
                    let mut guard = condition.lock().unwrap();
                    *guard += 1;
                    guard.wait().unwrap();
                };
                small.spawn_scoped(scope, wait).unwrap()
            })
            .collect();
        until_wait(&condition, MOST);
        let mut guard = condition.lock().unwrap();
        assert_eq!(guard.wait(), Err(ConditionError::TooManyWaiters));
        *guard += 1; // the guard is kept
        drop(guard);
        assert_eq!(condition.notify_all(), MOST);
        waiters
            .into_iter()
            .for_each(|waiter| waiter.join().unwrap());
    });
    let mut guard = condition.lock().unwrap();
    assert_eq!(
        guard.wait_timeout(Duration::ZERO),
        Err(ConditionTimeoutError::Timeout)
    );
}
