//! Who has slept for long looks about seldom, and must still not wait for the dead: for what they held, and for the
//! wake-up that they owed.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use multiproc::{Bytes, Queue};

use crate::cell::{HANG, PROMISE};
use crate::common::board::{Board, Gate, Zeroed, eventually};
use crate::common::child::{Child, End};
use crate::common::folder::Folder;
use crate::common::numbers::{Random, Times};
use crate::witness::{Since, Witnesses};

/// Worlds beside each other: sleeping costs nothing.
const WORLDS: usize = 8;

/// Long enough for slices of several hundred milliseconds, if there were such.
const LONG: Duration = Duration::from_millis(1500);

/// What the processes of one world have in common.
#[derive(Debug)]
struct World {
    there: AtomicU64,
    go: Gate,
    /// Somebody is about to take what the dying one gives up.
    #[cfg_attr(not(debug_assertions), allow(dead_code))]
    at_it: Gate,
    done: Gate,
    since: Since,
    /// How long somebody waited for the dead, in microseconds, less what the machine was late.
    waited: AtomicU64,
}

// SAFETY: atomics and gates.
unsafe impl Zeroed for World {}

impl World {
    /// In a process that is prepared: waits until all have slept for long.
    fn until_all_sleep(&self) {
        self.there.fetch_add(1, SeqCst);
        assert!(self.go.wait());
    }

    /// In a process that goes to sleep now.
    fn about_to_sleep(&self) {
        self.there.fetch_add(1, SeqCst);
    }

    /// In the sleeper: it has what it waited for.
    fn went_on(&self) {
        self.waited.store(self.since.unexplained(), SeqCst);
        self.done.open();
    }
}

type Body = fn(&World, &str);

fn die() -> ! {
    // SAFETY: kill and getpid have no memory preconditions.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    unreachable!("killed")
}

/// Worlds of these processes, left alone until their sleepers have slept for long.
fn nobody_waits(what: &str, bodies: &[Body]) {
    let _folder = Folder::enter();
    let _control = Witnesses::new();
    let worlds = Board::<[World; WORLDS]>::new();
    let mut random = Random::new(what.len() as u64);
    let mut children = Vec::new();
    for (n, world) in worlds.iter().enumerate() {
        children.extend(bodies.iter().map(|body| {
            Child::fork(|| {
                body(world, &format!("world-{n}"));
                0
            })
        }));
    }
    let all = |world: &World| world.there.load(SeqCst) == bodies.len() as u64;
    assert!(eventually(HANG, || worlds.iter().all(all)), "not all came");
    std::thread::sleep(LONG); // time it is: that they have slept for so long
    for world in worlds.iter() {
        std::thread::sleep(Duration::from_millis(random.below(30))); // at any instant of a slice
        world.go.open();
    }
    for child in &mut children {
        let end = child.wait(HANG);
        assert!(end.killed() || end == End::Exited(0), "{what}: {end:?}");
    }
    let mut times = Times::default();
    worlds
        .iter()
        .for_each(|w| times.push(w.waited.load(SeqCst)));
    println!("  {what}: from the death, less what the machine was late: {times}");
    assert_eq!(
        times.over(PROMISE),
        0,
        "{what}: a sleeper waited for the dead"
    );
}

fn open(name: &str) -> Queue<Bytes> {
    let mut queue = None;
    let found = eventually(HANG, || {
        queue = Queue::open(name).ok();
        queue.is_some()
    });
    assert!(found, "nobody creates the queue");
    queue.expect("just found")
}

/// One of two sleeping consumers is woken for a message and dies of it; the other must get it.
pub fn a_sleeper_gets_what_the_dead_held() {
    let keep: Body = |world, name| {
        let queue = Queue::<Bytes>::create(name).expect("create");
        world.until_all_sleep();
        queue.put(&b"message"[..]).expect("room");
        assert!(world.done.wait()); // without looking for the dead itself
    };
    let sleep: Body = |world, name| {
        let queue = open(name);
        world.about_to_sleep();
        let message = queue.get_timeout(HANG).expect("the message");
        if message.delivery_count() == 1 {
            world.since.begin();
            die();
        }
        world.went_on();
        message.ack();
    };
    nobody_waits("a message of the dead", &[keep, sleep, sleep]);
}

#[cfg(debug_assertions)]
mod owed {
    //! The dead had done what they woke for, and died before the wake-up: a crash point is there.

    use super::*;
    use multiproc::{Lock, PutTimeoutError, crash_steps};
    use std::hint::spin_loop;
    use std::time::Instant;

    /// A consumer frees a slot of a full queue and wakes nobody.
    pub fn for_room() {
        let take: Body = |world, name| {
            let queue = Queue::<u64>::builder().name(name).capacity(4).create();
            let queue = queue.expect("create");
            while queue.put_timeout(1, Duration::ZERO) != Err(PutTimeoutError::Timeout) {}
            world.until_all_sleep();
            let message = queue.get().expect("one of four");
            crash_steps::arm(1); // after the slot is free
            world.since.begin();
            message.ack();
            panic!("nobody slept");
        };
        let put: Body = |world, name| {
            let mut queue = None;
            let full = eventually(HANG, || {
                queue = Queue::<u64>::open(name).ok();
                queue.as_ref().is_some_and(|queue| queue.len() == 4)
            });
            assert!(full);
            world.about_to_sleep();
            let queue = queue.expect("just found");
            queue.put_timeout(2, HANG).expect("room");
            world.went_on();
        };
        nobody_waits("room made by the dead", &[take, put]);
    }

    /// A holder gives its lock up and wakes nobody; before the kernel does it in its place, somebody else is inside.
    pub fn for_a_lock() {
        let hold: Body = |world, name| {
            let lock = Lock::create(name, 0_u64).expect("create");
            let guard = lock.lock().expect("free");
            world.until_all_sleep();
            assert!(world.at_it.wait());
            crash_steps::arm(1); // after the word is free
            drop(guard);
            panic!("nobody slept");
        };
        let pass: Body = |world, name| {
            let lock = held(name);
            world.until_all_sleep();
            world.at_it.open();
            let begin = Instant::now();
            let inside = loop {
                match lock.try_lock() {
                    Ok(guard) => break guard,
                    Err(_) if begin.elapsed() < HANG => spin_loop(),
                    Err(held) => panic!("{held}"),
                }
            };
            std::thread::sleep(Duration::from_millis(5)); // either order is right; mostly the other one, who leaves no mark of it, is dead by then
            world.since.begin();
            drop(inside);
            assert!(world.done.wait()); // who leaves wakes everybody
        };
        let sleep: Body = |world, name| {
            let lock = held(name);
            world.about_to_sleep();
            drop(lock.lock_timeout(HANG).expect("free in the end"));
            world.went_on();
        };
        nobody_waits("a lock of the dead", &[hold, pass, sleep]);
    }

    fn held(name: &str) -> Lock<u64> {
        let mut lock = None;
        let held = eventually(HANG, || {
            lock = lock.take().or_else(|| Lock::open(name).ok());
            lock.as_ref().is_some_and(|lock| lock.try_lock().is_err())
        });
        assert!(held, "nobody holds the lock");
        lock.expect("just found")
    }
}

#[cfg(debug_assertions)]
pub use owed::{for_a_lock, for_room};
