//! Waiting for the first of many things, and descriptors for event loops.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use multiproc::{
    Connection, ErrorKind, Event, Pipe, Process, Queue, Receiver, RecvError, TryGetError, Waitable,
    Watch, try_wait_any, wait_any, wait_any_deadline, wait_any_timeout,
};

/// Far more than a slice: what takes so long was lost.
const LONG: Duration = Duration::from_secs(20);

fn all<W: Waitable>(things: &[W]) -> Vec<&dyn Waitable> {
    things.iter().map(|thing| thing as &dyn Waitable).collect()
}

#[test]
fn nothing_to_wait_for_is_an_error() {
    assert_eq!(wait_any(&[]).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(
        try_wait_any(&[]).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
}

#[test]
fn every_sort_of_thing_is_found_ready() {
    let queue = Queue::<u64>::new(4).unwrap();
    let (sender, receiver) = Pipe::<u64, ()>::one_way().unwrap();
    let (near, far) = Pipe::<u64, String>::new().unwrap();
    let event = Event::new().unwrap();
    let (mut theirs, ours) = UnixStream::pair().unwrap();
    let things: [&dyn Waitable; 5] = [&queue, &receiver, &far, &event, &ours];
    assert_eq!(try_wait_any(&things).unwrap(), None);
    assert_eq!(
        wait_any_timeout(&things, Duration::from_millis(3)).unwrap(),
        None
    );

    queue.put(1).unwrap();
    assert_eq!(wait_any(&things).unwrap(), 0);
    assert_eq!(queue.try_get_owned(), Ok(1));
    sender.send(2).unwrap();
    assert_eq!(wait_any(&things).unwrap(), 1);
    assert_eq!(receiver.try_recv_owned(), Ok(2));
    near.send(3).unwrap();
    assert_eq!(wait_any(&things).unwrap(), 2);
    assert_eq!(far.try_recv_owned(), Ok(3));
    event.set();
    assert_eq!(wait_any(&things).unwrap(), 3);
    event.clear();
    theirs.write_all(b"x").unwrap();
    assert_eq!(
        wait_any_deadline(&things, Instant::now() + LONG).unwrap(),
        Some(4)
    );
}

#[test]
fn one_of_several_of_a_sort_is_found_wherever_it_stands() {
    let numbers: Vec<_> = (0..3).map(|_| Queue::<u64>::new(4).unwrap()).collect();
    let words: Vec<_> = (0..2).map(|_| Queue::<String>::new(4).unwrap()).collect();
    let events: Vec<_> = (0..3).map(|_| Event::new().unwrap()).collect();
    let alone = Event::new().unwrap();
    let mut things = all(&numbers);
    things.extend(all(&words));
    things.extend(all(&events));
    things.extend([&numbers[0] as &dyn Waitable, &alone]);
    let is_found = |at| {
        assert_eq!(try_wait_any(&things).unwrap(), Some(at));
        assert_eq!(wait_any_timeout(&things, LONG).unwrap(), Some(at));
    };
    for (at, queue) in numbers.iter().enumerate().skip(1) {
        queue.put(1).unwrap();
        is_found(at);
        assert_eq!(queue.try_get_owned(), Ok(1));
    }
    for (at, queue) in words.iter().enumerate() {
        queue.put("word").unwrap();
        is_found(3 + at);
        assert_eq!(queue.try_get_owned().unwrap(), "word");
    }
    for (at, event) in events.iter().chain([&alone]).enumerate() {
        event.set();
        is_found(if at < 3 { 5 + at } else { 9 });
        event.clear();
    }
    assert_eq!(try_wait_any(&things).unwrap(), None);
}

#[test]
fn ends_are_ready() {
    let queue = Queue::<u64>::new(4).unwrap();
    assert_eq!(try_wait_any(&[&queue]).unwrap(), None);
    let producer = queue.producer().unwrap();
    assert_eq!(try_wait_any(&[&queue]).unwrap(), None);
    drop(producer);
    assert_eq!(
        wait_any_timeout(&[&queue], LONG).unwrap(),
        Some(0),
        "nobody puts"
    );
    let closed = Queue::<u64>::new(4).unwrap();
    closed.close();
    assert_eq!(try_wait_any(&[&closed]).unwrap(), Some(0));
    let (near, far) = Pipe::<u64, u64>::new().unwrap();
    drop(far);
    assert_eq!(wait_any(&[&near]).unwrap(), 0);
    assert_eq!(
        near.try_recv().unwrap_err(),
        multiproc::TryRecvError::Disconnected
    );
}

/// A message that was given back is taken out of order, and found so.
#[test]
fn what_was_given_back_is_ready() {
    let queue = Queue::<u64>::new(4).unwrap();
    queue.put(1).unwrap();
    queue.get().unwrap().give_back();
    assert_eq!(wait_any(&[&queue]).unwrap(), 0);
    assert_eq!(queue.try_get_owned(), Ok(1));
    // Whoever finds nothing has looked for more that was given back.
    assert_eq!(queue.try_get_owned(), Err(TryGetError::Empty));
    assert_eq!(try_wait_any(&[&queue]).unwrap(), None);
}

#[test]
fn none_of_several_is_passed_over() {
    let events: Vec<_> = (0..5).map(|_| Event::new().unwrap()).collect();
    events.iter().for_each(Event::set);
    let things = all(&events);
    let mut found: Vec<_> = (0..5).map(|_| wait_any(&things).unwrap()).collect();
    found.sort_unstable();
    assert_eq!(found, [0, 1, 2, 3, 4]);
}

fn answer(go: Receiver<u64>, queue: Queue<u64>, event: Event, back: Connection<u64, ()>) {
    for round in go.iter() {
        match round.to_native() % 3 {
            0 => queue.put(round.to_native()).unwrap(),
            1 => event.set(),
            _ => back.send(round.to_native()).unwrap(),
        }
    }
}

/// The waiter sleeps each time, for nothing is ready before it has asked for it, and the asked one is another process that
/// is given the processor first.
#[test]
fn another_process_wakes_who_waits_for_many() {
    let (go, gone) = Pipe::<u64, ()>::one_way().unwrap();
    let (queue, event) = (Queue::<u64>::new(4).unwrap(), Event::new().unwrap());
    let (near, far) = Pipe::<(), u64>::new().unwrap();
    let child = Process::spawn(answer, (gone, queue.clone(), event.clone(), far)).unwrap();
    for round in 0..300 {
        go.send(round).unwrap();
        let found = wait_any_timeout(&[&queue, &event, &near], LONG).unwrap();
        assert_eq!(found, Some(round as usize % 3), "round {round}");
        match found.unwrap() {
            0 => assert_eq!(queue.try_get_owned(), Ok(round)),
            1 => event.clear(),
            _ => assert_eq!(near.try_recv_owned(), Ok(round)),
        }
    }
    drop(go);
    child.join().unwrap();
}

fn set_all(events: Vec<Event>, go: Receiver<u64>) {
    for index in go.iter() {
        events[index.to_native() as usize].set();
    }
}

/// Far more than the 128 words of `futex_waitv`, all of them small objects that share segments.
#[test]
fn a_thousand_events_and_a_slow_one() {
    let events: Vec<_> = (0..1000).map(|_| Event::new().unwrap()).collect();
    let (go, gone) = Pipe::<u64, ()>::one_way().unwrap();
    let child = Process::spawn(set_all, (events.clone(), gone)).unwrap();
    let things = all(&events);
    for index in (0..1000).step_by(37).chain([999]) {
        go.send(index).unwrap();
        assert_eq!(
            wait_any_timeout(&things, LONG).unwrap(),
            Some(index as usize)
        );
        events[index as usize].clear();
    }
    assert_eq!(
        wait_any_timeout(&things, Duration::from_millis(2)).unwrap(),
        None
    );
    drop(go);
    child.join().unwrap();
}

#[test]
fn a_thousand_queues_and_connections() {
    let queues: Vec<_> = (0..500).map(|_| Queue::<u64>::new(2).unwrap()).collect();
    let pipes = (0..500).map(|_| Pipe::<u64, ()>::builder().capacity(64).one_way().unwrap());
    let (senders, receivers): (Vec<_>, Vec<_>) = pipes.unzip();
    let things: Vec<_> = all(&queues).into_iter().chain(all(&receivers)).collect();
    let putter = queues[499].clone();
    let sleeper = thread::spawn(move || {
        thread::yield_now();
        putter.put(7).unwrap();
    });
    assert_eq!(wait_any_timeout(&things, LONG).unwrap(), Some(499));
    sleeper.join().unwrap();
    assert_eq!(queues[499].try_get_owned(), Ok(7));
    senders[123].send(8).unwrap();
    assert_eq!(wait_any_timeout(&things, LONG).unwrap(), Some(623));
}

fn end(how: u64) -> u64 {
    if how == 1 {
        std::process::abort();
    }
    how
}

#[test]
fn processes_are_ready_when_they_have_ended() {
    let never = Queue::<u64>::new(2).unwrap();
    for how in [0, 1] {
        let child = Process::spawn(end, (how,)).unwrap();
        assert_eq!(wait_any_timeout(&[&never, &child], LONG).unwrap(), Some(1));
        assert_eq!(child.join().is_ok(), how == 0);
    }
}

fn die_with(_connection: Connection<u64, u64>, ready: Event) {
    ready.set();
    loop {
        thread::park();
    }
}

#[test]
fn the_death_of_a_peer_is_found() {
    let (near, far) = Pipe::<u64, u64>::new().unwrap();
    let ready = Event::new().unwrap();
    let child = Process::spawn(die_with, (far, ready.clone())).unwrap();
    ready.wait();
    assert_eq!(try_wait_any(&[&near]).unwrap(), None);
    child.kill().unwrap();
    assert_eq!(wait_any_timeout(&[&near], LONG).unwrap(), Some(0));
    let pid = child.pid().unsigned_abs();
    assert_eq!(near.recv().unwrap_err(), RecvError::PeerDied { pid });
    assert!(child.join().is_err());
}

fn take_and_die(queue: Queue<u64>, ready: Event) {
    let _held = queue.get().unwrap();
    ready.set();
    loop {
        thread::park();
    }
}

#[test]
fn what_the_dead_held_is_ready_again() {
    let (queue, ready) = (Queue::<u64>::new(2).unwrap(), Event::new().unwrap());
    queue.put(5).unwrap();
    let child = Process::spawn(take_and_die, (queue.clone(), ready.clone())).unwrap();
    ready.wait();
    child.kill().unwrap();
    assert_eq!(
        wait_any_timeout(&[&queue, &ready.clone()], Duration::ZERO).unwrap(),
        Some(1)
    );
    ready.clear();
    assert_eq!(wait_any_timeout(&[&queue, &ready], LONG).unwrap(), Some(0));
    assert_eq!(queue.try_get_owned(), Ok(5));
    assert!(child.join().is_err());
}

/// A watcher is rung beside the sleeper, and takes nothing from it.
#[test]
fn sleepers_and_watchers_are_both_woken() {
    let queue = Queue::<u64>::new(8).unwrap();
    let other = Event::new().unwrap();
    thread::scope(|scope| {
        let watchers: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| wait_any_timeout(&[&queue, &other], LONG).unwrap()))
            .collect();
        let sleeper = scope.spawn(|| queue.get_timeout(LONG).map(|m| m.to_native()));
        (0..4).for_each(|n| queue.put(n).unwrap());
        assert!(sleeper.join().unwrap().is_ok());
        for watcher in watchers {
            assert_eq!(watcher.join().unwrap(), Some(0));
        }
    });
}

/// Whether a descriptor is readable within some time, as an event loop would see it.
fn is_readable(fd: BorrowedFd<'_>, within: Duration) -> bool {
    wait_any_timeout(&[&fd], within).unwrap().is_some()
}

fn send_each(sender: multiproc::Sender<u64>, go: Queue<u64>) {
    while let Ok(number) = go.get_owned() {
        sender.send(number).unwrap();
    }
}

#[test]
fn a_watch_tells_by_its_descriptor() {
    let (sender, receiver) = Pipe::<u64, ()>::one_way().unwrap();
    let go = Queue::<u64>::new(2).unwrap();
    let child = Process::spawn(send_each, (sender, go.clone())).unwrap();
    let watch = Watch::new(receiver).unwrap();
    assert!(watch.is_prompt());
    for number in 0..100 {
        while watch.rearm().unwrap() {
            assert!(watch.try_recv().is_err(), "nothing was sent");
        }
        go.put(number).unwrap();
        let mut got = None;
        while got.is_none() {
            assert!(is_readable(watch.as_fd(), LONG), "number {number} was lost");
            if watch.rearm().unwrap() {
                got = watch.try_recv_owned().ok();
            }
        }
        assert_eq!(got, Some(number));
    }
    go.close();
    child.join().unwrap();
    assert!(is_readable(watch.as_fd(), LONG));
    assert!(watch.rearm().unwrap(), "the sender is gone");
}

/// In either order: what was not taken is told of again.
#[test]
fn a_watch_stays_readable_until_all_is_taken() {
    let queue = Queue::<u64>::new(8).unwrap();
    let watch = Watch::new(queue.clone()).unwrap();
    assert!(!watch.rearm().unwrap());
    queue.put_many(0..3).unwrap();
    for left in (0..3).rev() {
        assert!(is_readable(watch.as_fd(), LONG));
        assert!(watch.rearm().unwrap());
        drop(watch.try_get().unwrap());
        assert_eq!(queue.len(), left);
    }
    assert!(!watch.rearm().unwrap());
}

#[test]
fn watches_of_processes_sockets_and_pulses() {
    let child = Process::spawn(end, (0,)).unwrap();
    let watch = Watch::new(&child).unwrap();
    assert!(is_readable(watch.as_fd(), LONG));
    assert!(watch.rearm().unwrap());

    let event = Event::new().unwrap();
    let watch = Watch::new(event.clone()).unwrap();
    assert!(!watch.rearm().unwrap());
    event.set();
    event.clear();
    assert!(is_readable(watch.as_fd(), LONG), "a pulse");
    assert!(watch.rearm().unwrap());
    assert!(!watch.rearm().unwrap());
}

/// A row is given up with its watch, and the rows of many are found by the same change.
#[test]
fn many_watches_of_one_queue_are_all_told() {
    let queue = Queue::<u64>::new(8).unwrap();
    for _ in 0..3 {
        let watches: Vec<_> = (0..200)
            .map(|_| Watch::new(queue.clone()).unwrap())
            .collect();
        for watch in &watches {
            assert!(watch.is_prompt() && !watch.rearm().unwrap());
        }
        queue.put(1).unwrap();
        for watch in &watches {
            assert!(is_readable(watch.as_fd(), LONG));
        }
        drop(queue.get().unwrap());
    }
}

/// Runs in a process of its own, which has one thread. How the parent's watch fares when a forked child that uses the queue
/// by itself drops its copy of it.
fn share_a_watch_with_a_forked_child() -> bool {
    let queue = Queue::<u64>::new(4).unwrap();
    let watch = Watch::new(queue.clone()).unwrap();
    assert!(!watch.rearm().unwrap());
    // The child gets the only handle that there is on the watch of its own memory; the parent's is read back below.
    let theirs = std::mem::ManuallyDrop::new(watch);
    let copy = queue.clone();
    // SAFETY: nothing is claimed or taken, and one thread runs here; the child drops the watch in its own memory only.
    let child = unsafe {
        multiproc::process::fork(|| {
            copy.put(1).unwrap();
            let refused = theirs.rearm().is_err();
            drop(std::ptr::read(&raw const *theirs));
            refused
        })
    };
    assert!(child.unwrap().join().unwrap(), "a copy is of no use");
    let watch = std::mem::ManuallyDrop::into_inner(theirs);
    while watch.rearm().unwrap() {
        drop(watch.try_get());
    }
    queue.put(2).unwrap();
    is_readable(watch.as_fd(), Duration::ZERO) // rung by the put itself, and not found by a look after the dead
}

#[test]
fn a_forked_child_leaves_its_parents_watch_alone() {
    let child = Process::spawn(share_a_watch_with_a_forked_child, ()).unwrap();
    assert!(child.join().unwrap());
}
