//! `Barrier`: the contract of Python's, table by table, and what the living see of the dead.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use multiproc::{
    Barrier, BarrierError, BarrierTurn, BrokenBy, ErrorKind, Process, Queue, Until, Value,
};

/// Longer than anything here takes, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

type Waited = Result<BarrierTurn, BarrierError>;

fn wait_for(mut what: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !what() {
        assert!(Instant::now() < deadline, "the others did not get so far");
        thread::yield_now();
    }
}

fn broken(by: BrokenBy) -> Waited {
    let pid = std::process::id();
    Err(BarrierError::Broken { by, pid })
}

/// Runs `body` in as many threads as there are parties; what each of them returned.
fn all<R: Send>(barrier: &Barrier, body: impl Fn(u32) -> R + Sync) -> Vec<R> {
    let body = &body;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..barrier.parties())
            .map(|n| scope.spawn(move || body(n)))
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    })
}

/// Runs `act` once all but one of the parties wait; what each of those returned.
fn while_waiting(barrier: &Barrier, act: impl FnOnce()) -> Vec<Waited> {
    thread::scope(|scope| {
        let threads: Vec<_> = (1..barrier.parties())
            .map(|_| scope.spawn(|| barrier.wait()))
            .collect();
        wait_for(|| barrier.waiting() == barrier.parties() - 1);
        act();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    })
}

// Rounds.

#[test]
fn parties_pass_in_lockstep() {
    let barrier = Barrier::new(5).unwrap();
    let (before, after) = (AtomicU32::new(0), AtomicU32::new(0));
    all(&barrier, |_| {
        for round in 0..200 {
            before.fetch_add(1, SeqCst);
            assert_eq!(after.load(SeqCst), round * 5);
            barrier.wait().unwrap();
            after.fetch_add(1, SeqCst);
            assert_eq!(before.load(SeqCst), (round + 1) * 5);
            barrier.wait().unwrap();
        }
    });
    assert_eq!(barrier.waiting(), 0);
    assert!(!barrier.is_broken());
}

#[test]
fn indices_are_distinct_and_one_leads() {
    let barrier = Barrier::new(5).unwrap();
    for _ in 0..50 {
        let turns = all(&barrier, |_| barrier.wait().unwrap());
        let mut indices: Vec<_> = turns.iter().map(BarrierTurn::index).collect();
        indices.sort_unstable();
        assert_eq!(indices, [0, 1, 2, 3, 4]);
        let leader = turns.iter().find(|turn| turn.is_leader()).unwrap();
        assert_eq!(leader.index(), 4);
        assert_eq!(turns.iter().filter(|turn| turn.is_leader()).count(), 1);
    }
}

#[test]
fn one_party_passes_at_once() {
    let barrier = Barrier::new(1).unwrap();
    for _ in 0..3 {
        assert_eq!(barrier.wait().unwrap().index(), 0);
        assert!(barrier.try_wait().unwrap().is_leader());
        assert!(barrier.wait_timeout(Duration::ZERO).is_ok());
    }
}

#[test]
fn more_threads_than_parties_meet_in_groups() {
    let barrier = Barrier::new(2).unwrap();
    // An even number of arrivals, taken by whoever comes first: nobody is left alone in the end.
    let (arrivals, passed) = (AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while arrivals.fetch_add(1, SeqCst) < 600 {
                    barrier.wait().unwrap();
                    passed.fetch_add(1, SeqCst);
                }
            });
        }
    });
    assert_eq!(passed.into_inner(), 600);
}

#[test]
fn the_number_of_parties_is_from_1_to_4000() {
    for parties in [0, 4001, u32::MAX] {
        let refused = Barrier::new(parties).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    }
    for parties in [1, 2, 15, 16, 100, 1000, 4000] {
        let barrier = Barrier::new(parties).unwrap();
        assert_eq!((barrier.parties(), barrier.waiting()), (parties, 0));
    }
}

fn meet(barrier: Barrier, rounds: u32, sum: Value<u64>) -> multiproc::Result<u64> {
    let mut indices = 0;
    for round in 1..=rounds {
        sum.fetch_add(1);
        indices += u64::from(barrier.wait()?.index());
        let all = u64::from(round * barrier.parties());
        assert!(sum.load() >= all);
        barrier.wait()?;
    }
    Ok(indices)
}

#[test]
fn processes_pass_in_lockstep_a_thousand_times() {
    let (barrier, sum) = (Barrier::new(3).unwrap(), Value::new(0).unwrap());
    let start = |_| Process::spawn(meet, (barrier.clone(), 500, sum.clone())).unwrap();
    let workers: Vec<_> = (0..3).map(start).collect();
    let indices: u64 = workers.iter().map(|w| w.join().unwrap()).sum();
    assert_eq!((indices, sum.load()), (500 * 3, 1500));
}

// Giving up, abort, reset.

#[test]
fn a_time_out_breaks_the_barrier_for_all() {
    let barrier = Barrier::new(3).unwrap();
    let waits: [fn(&Barrier) -> Waited; 3] = [
        |b| b.wait_timeout(Duration::ZERO),
        |b| b.wait_timeout(Duration::from_millis(5)),
        |b| b.wait_deadline(Instant::now()),
    ];
    for wait in waits {
        let others = while_waiting_for_one_more(&barrier, || {
            assert_eq!(wait(&barrier), Err(BarrierError::Timeout));
        });
        assert_eq!(others, broken(BrokenBy::Timeout));
        assert!(barrier.is_broken());
        assert_eq!(barrier.waiting(), 0);
        assert_eq!(barrier.wait(), broken(BrokenBy::Timeout));
        assert_eq!(barrier.try_wait(), broken(BrokenBy::Timeout));
        barrier.reset();
        assert!(!barrier.is_broken());
    }
}

/// Runs `act` once one party waits; what that one returned.
fn while_waiting_for_one_more(barrier: &Barrier, act: impl FnOnce()) -> Waited {
    thread::scope(|scope| {
        let other = scope.spawn(|| barrier.wait());
        wait_for(|| barrier.waiting() == 1);
        act();
        other.join().unwrap()
    })
}

#[test]
fn a_wait_ends_with_another_process() {
    fn nothing() {}
    let barrier = Barrier::new(2).unwrap();
    let helper = Process::spawn(nothing, ()).unwrap();
    let until = Until::timeout(PATIENCE).or_end_of(&helper);
    assert_eq!(barrier.wait_until(until), Err(BarrierError::Ended));
    assert!(barrier.is_broken());
    helper.join().unwrap();
}

#[test]
fn trying_breaks_nothing() {
    let barrier = Barrier::new(3).unwrap();
    let turns = while_waiting_for_one_more(&barrier, || {
        assert_eq!(barrier.try_wait(), Err(BarrierError::WouldBlock));
        assert_eq!(barrier.waiting(), 1);
        let second = while_waiting_for_both(&barrier);
        assert!(second.is_ok());
    });
    assert_eq!(turns.unwrap().index(), 0);
}

fn while_waiting_for_both(barrier: &Barrier) -> Waited {
    thread::scope(|scope| {
        let other = scope.spawn(|| barrier.wait());
        wait_for(|| barrier.waiting() == 2);
        assert!(barrier.try_wait().unwrap().is_leader());
        other.join().unwrap()
    })
}

#[test]
fn abort_breaks_for_those_who_wait_and_those_who_come() {
    let barrier = Barrier::new(4).unwrap();
    let others = while_waiting(&barrier, || barrier.abort());
    assert_eq!(others, [broken(BrokenBy::Abort); 3]);
    assert!(barrier.is_broken());
    assert_eq!(barrier.wait(), broken(BrokenBy::Abort));
    barrier.abort();
    barrier.reset();
    assert!(all(&barrier, |_| barrier.wait()).iter().all(Waited::is_ok));
}

#[test]
fn reset_breaks_for_those_who_wait_and_begins_anew() {
    let barrier = Barrier::new(5).unwrap();
    for _ in 0..20 {
        let others = while_waiting(&barrier, || barrier.reset());
        assert_eq!(others, [broken(BrokenBy::Reset); 4]);
        assert!(!barrier.is_broken());
        assert_eq!(barrier.waiting(), 0);
        assert!(all(&barrier, |_| barrier.wait()).iter().all(Waited::is_ok));
    }
}

#[test]
fn reset_of_an_empty_barrier_does_nothing() {
    let barrier = Barrier::new(2).unwrap();
    barrier.reset();
    assert!(all(&barrier, |_| barrier.wait()).iter().all(Waited::is_ok));
    barrier.reset();
    assert!(all(&barrier, |_| barrier.wait()).iter().all(Waited::is_ok));
}

// The action.

#[test]
fn the_action_runs_once_before_anybody_goes_on() {
    let done = Arc::new(AtomicU32::new(0));
    let count = done.clone();
    let barrier = Barrier::new(4).unwrap().with_action(move || {
        count.fetch_add(1, SeqCst);
    });
    for round in 1..=50 {
        all(&barrier, |_| {
            barrier.wait().unwrap();
            assert_eq!(done.load(SeqCst), round);
        });
    }
}

#[test]
fn a_panic_in_the_action_breaks_the_barrier_and_goes_on() {
    let barrier = Barrier::new(2).unwrap();
    let faulty = barrier.clone().with_action(|| panic!("in the action"));
    let other = while_waiting_for_one_more(&barrier, || {
        let panicked = catch_unwind(AssertUnwindSafe(|| faulty.wait()));
        let text = panicked.unwrap_err();
        assert_eq!(text.downcast_ref(), Some(&"in the action"));
    });
    assert_eq!(other, broken(BrokenBy::Panic));
    assert!(barrier.is_broken());
    barrier.reset();
    assert!(all(&barrier, |_| barrier.wait()).iter().all(Waited::is_ok));
}

#[test]
fn an_action_that_takes_too_long_is_not_waited_for() {
    let barrier = Barrier::new(2).unwrap();
    let (begin, go_on) = std::sync::mpsc::channel::<()>();
    let go_on = Mutex::new(go_on);
    let slow = barrier.clone().with_action(move || {
        go_on.lock().unwrap().recv().unwrap();
    });
    thread::scope(|scope| {
        let hasty = scope.spawn(|| barrier.wait_timeout(Duration::from_millis(20)));
        wait_for(|| barrier.waiting() == 1);
        let actor = scope.spawn(|| slow.wait());
        let hasty = hasty.join().unwrap();
        begin.send(()).unwrap();
        // On a busy machine the time may be over before the other arrives.
        assert_eq!(hasty, Err(BarrierError::Timeout));
        let expected = broken(BrokenBy::Timeout);
        assert_eq!(actor.join().unwrap(), expected);
    });
}

// Death.

fn wait_once(barrier: Barrier) -> multiproc::Result<()> {
    barrier.wait()?;
    Ok(())
}

fn hold(_barrier: Barrier, ready: Value<u32>) {
    ready.fetch_add(1);
    loop {
        thread::park();
    }
}

/// A child that has attached the barrier and does nothing.
fn idler(barrier: &Barrier) -> Process<()> {
    let ready = Value::new(0_u32).unwrap();
    let child = Process::spawn(hold, (barrier.clone(), ready.clone())).unwrap();
    wait_for(|| ready.load() == 1);
    child
}

fn kill<R: multiproc::Message>(child: &Process<R>) -> u32 {
    let pid = child.pid() as u32;
    child.kill().unwrap();
    assert!(child.join().is_err());
    pid
}

#[test]
fn the_death_of_a_party_that_has_not_come_is_told() {
    let barrier = Barrier::new(3).unwrap();
    let child = idler(&barrier);
    let mut pid = 0;
    let others = while_waiting(&barrier, || pid = kill(&child));
    assert_eq!(others, [Err(BarrierError::PeerDied { pid }); 2]);
    assert_eq!(barrier.wait(), Err(BarrierError::PeerDied { pid }));
    barrier.reset();
    assert!(all(&barrier, |_| barrier.wait()).iter().all(Waited::is_ok));
}

#[test]
fn the_death_of_a_party_that_waits_is_told() {
    let barrier = Barrier::new(3).unwrap();
    let child = Process::spawn(wait_once, (barrier.clone(),)).unwrap();
    wait_for(|| barrier.waiting() == 1);
    let pid = kill(&child);
    assert_eq!(barrier.wait(), Err(BarrierError::PeerDied { pid }));
    barrier.reset();
    assert_eq!(barrier.waiting(), 0);
}

#[test]
fn a_death_before_anybody_waits_is_told() {
    let barrier = Barrier::new(2).unwrap();
    let pid = kill(&idler(&barrier));
    assert_eq!(barrier.wait(), Err(BarrierError::PeerDied { pid }));
}

#[test]
fn a_death_is_told_though_its_seat_is_taken_again() {
    let barrier = Barrier::new(3).unwrap();
    let pid = kill(&idler(&barrier));
    // Comes to the seat of the dead, but not to its place: not as many as make a round have come yet.
    let next = idler(&barrier);
    assert_eq!(barrier.wait(), Err(BarrierError::PeerDied { pid }));
    kill(&next);
}

#[test]
fn a_newcomer_takes_the_place_of_the_dead() {
    let barrier = Barrier::new(2).unwrap();
    let first = Process::spawn(wait_once, (barrier.clone(),)).unwrap();
    barrier.wait().unwrap();
    first.join().unwrap();
    let second = Process::spawn(wait_once, (barrier.clone(),)).unwrap();
    wait_for(|| barrier.waiting() == 1);
    barrier.wait().unwrap();
    second.join().unwrap();
    kill(&idler(&barrier));
    let third = Process::spawn(wait_once, (barrier.clone(),)).unwrap();
    wait_for(|| barrier.waiting() == 1);
    barrier.wait().unwrap();
    third.join().unwrap();
}

#[test]
fn a_party_that_returns_without_coming_is_told() {
    fn not_today(_: Barrier) {}
    let barrier = Barrier::new(2).unwrap();
    let child = Process::spawn(not_today, (barrier.clone(),)).unwrap();
    let pid = child.pid() as u32;
    assert_eq!(barrier.wait(), Err(BarrierError::PeerLeft { pid }));
    child.join().unwrap();
}

#[test]
fn who_passes_the_handle_on_and_leaves_is_not_missed() {
    fn pass_on(barrier: Barrier, post: Queue<Barrier>) -> multiproc::Result<()> {
        post.put(&barrier)?;
        post.join();
        Ok(())
    }
    fn take_and_wait(post: Queue<Barrier>) -> multiproc::Result<u32> {
        let barrier = post.process(|message| -> multiproc::Result<_> { message.to_owned() })?;
        Ok(barrier.wait()?.index())
    }
    let (barrier, post) = (Barrier::new(2).unwrap(), Queue::new(1).unwrap());
    let postman = Process::spawn(pass_on, (barrier.clone(), post.clone())).unwrap();
    let turn = while_waiting_for_one_more(&barrier, || {
        let worker = Process::spawn(take_and_wait, (post,)).unwrap();
        assert_eq!(worker.join().unwrap(), 1);
        postman.join().unwrap();
    });
    assert_eq!(turn.unwrap().index(), 0);
}

#[test]
fn a_round_that_was_complete_stays_so_when_its_parties_end() {
    for _ in 0..20 {
        let barrier = Barrier::new(3).unwrap();
        let start = || Process::spawn(wait_once, (barrier.clone(),)).unwrap();
        let workers = [start(), start()];
        barrier.wait().unwrap();
        for worker in workers {
            worker.join().unwrap();
        }
        assert!(!barrier.is_broken());
    }
}

#[test]
fn the_death_of_who_acts_is_told() {
    fn die_acting(barrier: Barrier) {
        let deadly = barrier.with_action(|| std::process::abort());
        let _ = deadly.wait();
    }
    let barrier = Barrier::new(2).unwrap();
    let other = while_waiting_for_one_more(&barrier, || {
        let child = Process::spawn(die_acting, (barrier.clone(),)).unwrap();
        assert!(child.join().is_err());
    });
    assert!(matches!(other, Err(BarrierError::PeerDied { pid }) if pid != 0));
}

/// Whether the process is in that system call; on a kernel that does not tell, whether it is asleep.
fn sleeps_at_a_futex(pid: u32) -> bool {
    let of = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}"));
    match of("syscall") {
        Ok(call) => call.starts_with(&format!("{} ", libc::SYS_futex)),
        Err(_) => of("stat").is_ok_and(|stat| stat.contains(") S ")),
    }
}

/// Until somebody kills this process.
fn park_forever() {
    loop {
        std::thread::park();
    }
}

#[test]
fn the_last_to_arrive_hears_of_one_that_died_asleep() {
    let barrier = Barrier::new(2).unwrap();
    let sleeper = Process::spawn(wait_once, (barrier.clone(),)).unwrap();
    let pid = sleeper.pid() as u32;
    wait_for(|| barrier.waiting() == 1 && sleeps_at_a_futex(pid));
    sleeper.kill().unwrap();
    assert!(sleeper.join().is_err());
    assert_eq!(barrier.wait(), Err(BarrierError::PeerDied { pid }));
    barrier.reset();
    let again = while_waiting(&barrier, || {
        let worker = Process::spawn(wait_once, (barrier.clone(),)).unwrap();
        worker.join().unwrap();
    });
    assert_eq!(again.len(), 1);
}

#[test]
fn a_child_of_a_fork_is_a_party_from_its_first_wait_on() {
    fn fork_and_wait(barrier: Barrier) -> multiproc::Result<u32> {
        let child_of = barrier.clone();
        // SAFETY: this process has one thread.
        let child = unsafe {
            multiproc::process::fork(move || {
                child_of.wait().unwrap();
                park_forever();
            })
        }?;
        barrier.wait()?;
        let pid = child.pid() as u32;
        child.kill()?;
        assert!(child.join().is_err());
        assert_eq!(barrier.wait(), Err(BarrierError::PeerDied { pid }));
        Ok(pid)
    }
    let barrier = Barrier::new(2).unwrap();
    let process = Process::spawn(fork_and_wait, (barrier,)).unwrap();
    assert_ne!(process.join().unwrap(), 0);
}

// Names and handles.

#[test]
fn a_name_leads_to_the_same_barrier() {
    let name = format!("barrier-test-{}", std::process::id());
    let barrier = Barrier::create(&name, 2).unwrap();
    let taken = Barrier::create(&name, 2).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
    let same = Barrier::open_or_create(&name, 2).unwrap();
    let other = Barrier::open_or_create(&name, 3).unwrap_err();
    assert_eq!(other.kind(), ErrorKind::WrongType);
    assert_eq!(
        while_waiting(&barrier, || assert!(same.wait().is_ok())).len(),
        1
    );
    assert!(format!("{barrier:?}").contains("parties: 2"));
    Barrier::remove(&name).unwrap();
    let absent = Barrier::open(&name).unwrap_err();
    assert_eq!(absent.kind(), ErrorKind::NotFound);
}

#[test]
fn errors_have_kinds_and_words() {
    let died = BarrierError::PeerDied { pid: 7 };
    assert_eq!(multiproc::Error::from(died).kind(), ErrorKind::Broken);
    assert!(died.to_string().contains("process 7"));
    let aborted = broken(BrokenBy::Abort).unwrap_err();
    assert_eq!(multiproc::Error::from(aborted).kind(), ErrorKind::Broken);
    let late = multiproc::Error::from(BarrierError::Timeout);
    assert_eq!(late.kind(), ErrorKind::Timeout);
}
