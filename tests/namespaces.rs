//! Processes that have the same pid in different pid namespaces, on one lock.
//!
//! The kernel cleans up after a dying thread by its id. An id of another namespace would have it take a lock from a living
//! holder that happens to have the same one.

use std::io::Read;
use std::process::{Child, Command, Stdio};

use multiproc::{Lock, LockError, Value};

const ROLE: &str = "MULTIPROC_NAMESPACE_ROLE";
const LOCK: &str = "MULTIPROC_NAMESPACE_LOCK";

fn main() {
    std::thread::spawn(end_with_the_driver_or_in_a_minute);
    match std::env::var(ROLE).as_deref() {
        Ok("hold") => hold(),
        Ok("add") => add(),
        Ok("wait") => wait(),
        _ => drive(),
    }
    println!("test result: ok. namespaces");
}

/// Roles end with their driver, whose end of the pipe is closed then; and a driver that hangs has failed.
fn end_with_the_driver_or_in_a_minute() {
    if std::env::var(ROLE).is_ok() {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
    } else {
        std::thread::sleep(std::time::Duration::from_secs(60)); // the time-out of the test, not a wait for anything
        eprintln!("the test hangs");
    }
    std::process::exit(1);
}

fn name() -> String {
    std::env::var(LOCK).unwrap_or_else(|_| format!("namespaces-{}", std::process::id()))
}

/// This program again, as the first process of a pid namespace of its own.
fn alone(role: &str, name: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child"]);
    command.arg(std::env::current_exe().unwrap());
    command
        .env(ROLE, role)
        .env(LOCK, name)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

/// Kills the process; when this returns it has ended, as its end of the pipe has been closed.
fn end(child: &mut Child) {
    child.kill().unwrap();
    let mut rest = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut rest).unwrap();
    child.wait().unwrap();
}

fn drive() {
    let permitted = Command::new("unshare")
        .args(["--pid", "--fork", "true"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !permitted {
        println!(
            "skipped: pid namespaces cannot be unshared here (unshare --pid --fork true fails)"
        );
        return;
    }
    let name = name();
    let lock = Lock::create(&name, [0_u64; 2]).unwrap();
    let ready = Value::create(&format!("{name}-ready"), 0_u64).unwrap();
    everybody_counts(&name, &lock);
    the_dead_take_nothing_from_the_living(&name, &lock, &ready);
    the_dead_are_noticed(&name, &lock, &ready);
}

/// Exclusion holds between namespaces, and with this process.
fn everybody_counts(name: &str, lock: &Lock<[u64; 2]>) {
    let mut crowd: Vec<_> = (0..3)
        .map(|_| alone("add", name).spawn().unwrap())
        .collect();
    let _pipes: Vec<_> = crowd.iter_mut().map(|one| one.stdin.take()).collect();
    (0..ROUNDS).for_each(|_| step_up(lock));
    for one in &mut crowd {
        assert!(one.wait().unwrap().success());
    }
    assert_eq!(*lock.lock().unwrap(), [4 * ROUNDS; 2]);
}

const ROUNDS: u64 = 2000;

fn step_up(lock: &Lock<[u64; 2]>) {
    let mut guard = lock.lock().unwrap();
    guard[0] += 1;
    guard[1] += 1;
    assert_eq!(guard[0], guard[1]);
}

fn add() {
    assert_eq!(std::process::id(), 1);
    let lock = Lock::open(&name()).unwrap();
    (0..ROUNDS).for_each(|_| step_up(&lock));
}

/// The first process of one namespace holds the lock; the first of another, of the same pid, dies waiting for it.
fn the_dead_take_nothing_from_the_living(name: &str, lock: &Lock<[u64; 2]>, ready: &Value<u64>) {
    ready.store(0);
    let mut holder = alone("hold", name).spawn().unwrap();
    until(|| ready.load() == 1);
    let mut waiter = alone("wait", name).spawn().unwrap();
    until(|| ready.load() == 2 && sleeps_in_futex(waiter.id()));
    end(&mut waiter);
    let tried = lock.try_lock().map(drop);
    assert_eq!(
        tried,
        Err(multiproc::TryLockError::WouldBlock),
        "the holder lives"
    );
    end(&mut holder);
    assert!(matches!(lock.lock(), Err(LockError::OwnerDied { .. })));
    lock.recover().unwrap().mark_consistent();
}

/// A holder in another namespace is killed while this process waits.
fn the_dead_are_noticed(name: &str, lock: &Lock<[u64; 2]>, ready: &Value<u64>) {
    ready.store(0);
    let mut holder = alone("hold", name).spawn().unwrap();
    until(|| ready.load() == 1);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| lock.lock().map(drop));
        end(&mut holder);
        assert!(matches!(
            waiter.join().unwrap(),
            Err(LockError::OwnerDied { .. })
        ));
    });
    lock.recover().unwrap().mark_consistent();
}

fn hold() {
    let lock = Lock::<[u64; 2]>::open(&name()).unwrap();
    let _guard = lock.lock().unwrap();
    assert!(matches!(lock.lock(), Err(LockError::Deadlock)));
    Value::<u64>::open(&format!("{}-ready", name()))
        .unwrap()
        .store(1);
    loop {
        std::thread::park();
    }
}

fn wait() {
    let lock = Lock::<[u64; 2]>::open(&name()).unwrap();
    Value::<u64>::open(&format!("{}-ready", name()))
        .unwrap()
        .store(2);
    let _ = lock.lock().map(drop);
    unreachable!("killed while it waits");
}

/// Whether the only child of `unshare` sleeps in `futex(2)`.
fn sleeps_in_futex(unshare: u32) -> bool {
    let read = |path: String| std::fs::read_to_string(path).unwrap_or_default();
    let child = read(format!("/proc/{unshare}/task/{unshare}/children"));
    let call = read(format!("/proc/{}/syscall", child.trim()));
    let futex = if cfg!(target_arch = "aarch64") {
        98
    } else {
        202
    };
    call.split(' ').next().and_then(|n| n.parse().ok()) == Some(futex)
}

fn until(what: impl Fn() -> bool) {
    while !what() {
        std::thread::yield_now();
    }
}
