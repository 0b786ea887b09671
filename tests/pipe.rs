//! The pipe as its users see it: order, ends, sizes, taking an end over, and what does not compile.

use std::collections::VecDeque;
use std::thread;
use std::time::Duration;

use multiproc::{
    Bytes, Connection, Encode, ErrorKind, Message, Pipe, Process, Queue, Receiver, RecvError,
    RecvIntoError, RecvTimeoutError, SendError, SendTimeoutError, Sender, Ticket, TryRecvError,
    TrySendError,
};

const SOON: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(20);

/// Bytes that tell where they came from.
fn pattern(len: usize, seed: u64) -> Vec<u8> {
    (0..len as u64)
        .map(|i| (i.wrapping_mul(31) + seed) as u8)
        .collect()
}

#[test]
fn messages_of_one_size_come_in_their_order_around_the_ring() {
    let (a, b) = Pipe::<u64, u64>::builder().capacity(256).pair().unwrap();
    let mut sent = 0..;
    let mut received = 0..;
    for burst in (1..=16).cycle().take(200) {
        for _ in 0..burst {
            a.send(sent.next().unwrap()).unwrap();
        }
        for _ in 0..burst {
            assert_eq!(Some(b.recv_owned().unwrap()), received.next());
        }
    }
    assert_eq!(b.try_recv().unwrap_err(), TryRecvError::Empty);
}

#[test]
fn a_full_pipe_says_so_and_loses_nothing() {
    let (a, b) = Pipe::<u64, ()>::builder().capacity(16 * 4).pair().unwrap();
    for n in 0..4 {
        assert_eq!(a.try_send(n), Ok(()));
    }
    assert_eq!(a.try_send(4), Err(TrySendError::Full));
    assert_eq!(a.send_timeout(4, SOON), Err(SendTimeoutError::Timeout));
    assert_eq!(b.recv_owned(), Ok(0));
    assert_eq!(a.send_timeout(4, PATIENCE), Ok(()));
    assert_eq!(
        b.drain().map(|n| n.to_native()).collect::<Vec<_>>(),
        [1, 2, 3, 4]
    );
    assert_eq!(b.recv_timeout(SOON).unwrap_err(), RecvTimeoutError::Timeout);
}

#[test]
fn messages_of_any_length_pass_a_small_ring() {
    let (a, b) = Pipe::<Bytes, Bytes>::builder()
        .capacity(4096)
        .pair()
        .unwrap();
    let lengths = [
        0,
        1,
        55,
        56,
        57,
        120,
        121,
        400,
        500,
        504,
        505,
        4096,
        70_000,
        3,
        1 << 20,
    ];
    thread::scope(|scope| {
        scope.spawn(|| {
            let a = a;
            for (seed, &len) in lengths.iter().cycle().take(600).enumerate() {
                a.send(&pattern(len, seed as u64)[..]).unwrap();
            }
        });
        for (seed, &len) in lengths.iter().cycle().take(600).enumerate() {
            assert!(
                *b.recv().unwrap() == pattern(len, seed as u64)[..],
                "{seed}: {len}"
            );
        }
        assert_eq!(b.recv().unwrap_err(), RecvError::Disconnected);
    });
}

#[test]
fn long_messages_wait_for_memory_and_come_in_their_order() {
    let (a, b) = Pipe::<Vec<u64>, ()>::one_way_pair();
    thread::scope(|scope| {
        scope.spawn(move || {
            for n in 0..60_u64 {
                a.send(vec![n; 200_000]).unwrap();
                a.send(vec![n]).unwrap();
            }
        });
        for n in 0..60_u64 {
            let long = b.recv().unwrap();
            assert!(long.len() == 200_000 && long.iter().all(|m| *m == n));
            drop(long);
            assert_eq!(b.recv_owned().unwrap(), [n]);
        }
    });
}

/// What the tests above need of both kinds of pipe.
trait OneWayPair<T: multiproc::Message> {
    fn one_way_pair() -> (Sender<T>, Receiver<T>);
}

impl<T: multiproc::Message> OneWayPair<T> for Pipe<T, ()> {
    fn one_way_pair() -> (Sender<T>, Receiver<T>) {
        Pipe::one_way().unwrap()
    }
}

#[test]
fn several_messages_in_hand_are_acknowledged_together() {
    let (a, b) = Pipe::<u64, ()>::builder().capacity(16 * 4).pair().unwrap();
    a.send_many(0..4_u64).unwrap();
    let mut held: VecDeque<_> = b.drain().collect();
    assert_eq!(held.len(), 4);
    drop(held.pop_back());
    assert_eq!(a.try_send(4), Err(TrySendError::Full));
    held.clear();
    assert_eq!(a.try_send(4), Ok(()));
    assert_eq!(b.recv_owned(), Ok(4));
}

#[test]
fn what_is_given_back_comes_again_and_so_does_what_a_panic_drops() {
    let (a, b) = Pipe::<String, ()>::new().unwrap();
    a.send("first").unwrap();
    a.send("second").unwrap();
    b.recv().unwrap().give_back();
    let panicked = thread::spawn(move || {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let message = b.recv().unwrap();
            assert_eq!(&*message, "never equal", "on purpose");
        }));
        assert!(result.is_err());
        b
    });
    let b = panicked.join().unwrap();
    assert_eq!(b.recv_owned().unwrap(), "first");
    assert_eq!(b.recv_owned().unwrap(), "second");
}

#[test]
fn what_was_done_with_comes_again_behind_what_is_given_back() {
    fn check<T: Message + PartialEq + std::fmt::Debug>(values: [T; 4])
    where
        for<'v> &'v T: Encode<T>,
    {
        let (a, b) = Pipe::<T, ()>::new().unwrap();
        a.send_many(&values).unwrap();
        for _ in 0..3 {
            let mut held: VecDeque<_> = b.drain().take(3).collect();
            drop(held.remove(1));
            held.pop_front().unwrap().give_back();
            drop(held);
        }
        let again: Vec<T> = b
            .drain()
            .map(|message| message.to_owned().unwrap())
            .collect();
        assert_eq!(again, values);
        assert_eq!(b.try_recv_owned().unwrap_err(), TryRecvError::Empty);
    }
    check([1_u64, 2, 3, 4]);
    check(["one", "two", "three", "four"].map(String::from));
}

#[test]
fn an_iterator_may_itself_use_the_end_that_sends_it() {
    let (a, b) = Pipe::<u64, ()>::builder().capacity(16 * 7).pair().unwrap();
    let received = thread::spawn(move || b.iter().map(|n| n.to_native()).collect::<Vec<_>>());
    let twice = |n| {
        a.send(1000 + n).unwrap();
        n
    };
    assert_eq!(a.send_many((0..1000).map(twice)), Ok(1000));
    drop(a);
    let expected = (0..1000).flat_map(|n| [1000 + n, n]);
    assert_eq!(received.join().unwrap(), expected.collect::<Vec<_>>());
}

#[test]
fn a_buffer_that_is_too_short_leaves_the_message() {
    let (a, b) = Pipe::<Bytes, Bytes>::new().unwrap();
    let long = pattern(100_000, 1);
    a.send(&long[..]).unwrap();
    let mut buffer = vec![0; 100_000];
    let short = b.recv_into(&mut buffer[..10]);
    assert_eq!(short, Err(RecvIntoError::TooShort { needed: 100_000 }));
    assert_eq!(b.recv_into(&mut buffer), Ok(100_000));
    assert_eq!(buffer, long);
}

#[test]
fn claims_are_sent_cut_short_or_dropped() {
    let (mut a, b) = Pipe::<Bytes, Bytes>::builder()
        .capacity(4096)
        .pair()
        .unwrap();
    for round in 0..100_u64 {
        let len = 300 + round as usize;
        let mut dropped = a.claim(len).unwrap();
        dropped.fill(0xff);
        drop(dropped);
        let mut short = a.claim(len).unwrap();
        short.copy_from_slice(&pattern(len, round));
        short.commit_first(len / 3).unwrap();
        let mut long = a.claim(50_000).unwrap();
        long.copy_from_slice(&pattern(50_000, round));
        long.commit().unwrap();
        assert!(*b.recv().unwrap() == pattern(len, round)[..len / 3]);
        assert!(*b.recv().unwrap() == pattern(50_000, round)[..]);
    }
    assert!(b.try_recv().is_err());
}

#[test]
fn letting_go_ends_the_other_side_after_everything_was_received() {
    let (a, b) = Pipe::<u64, u64>::new().unwrap();
    a.send(1).unwrap();
    drop(a);
    assert!(b.poll(Duration::ZERO));
    assert_eq!(b.recv_owned(), Ok(1));
    assert_eq!(b.recv_owned(), Err(RecvError::Disconnected));
    assert!(b.poll(Duration::ZERO), "the end is an answer");
    assert_eq!(b.send(1), Err(SendError::Disconnected));
    assert!(b.is_disconnected());
}

#[test]
fn letting_go_wakes_who_sleeps_on_either_side() {
    let (a, b) = Pipe::<u64, ()>::builder().capacity(16).pair().unwrap();
    let receiving = thread::spawn(move || b.recv_owned().and_then(|_| b.recv_owned()));
    a.send(1).unwrap();
    drop(a);
    assert_eq!(receiving.join().unwrap(), Err(RecvError::Disconnected));

    let (a, b) = Pipe::<u64, ()>::builder().capacity(16).pair().unwrap();
    a.send(1).unwrap();
    let sending = thread::spawn(move || a.send(2));
    drop(b);
    assert_eq!(sending.join().unwrap(), Err(SendError::Disconnected));
}

fn echo(connection: Connection<Bytes, Bytes>) -> multiproc::Result<usize> {
    let mut count = 0;
    while let Ok(message) = connection.recv() {
        connection.send(&message)?;
        count += 1;
    }
    Ok(count)
}

#[test]
fn a_child_echoes_messages_of_all_lengths() {
    let (here, there) = Pipe::<Bytes, Bytes>::builder()
        .capacity(8192)
        .pair()
        .unwrap();
    let child = Process::spawn(echo, (there,)).unwrap();
    for (seed, len) in [0, 1, 60, 1000, 5000, 100_000]
        .into_iter()
        .cycle()
        .take(300)
        .enumerate()
    {
        let sent = pattern(len, seed as u64);
        here.send(&sent[..]).unwrap();
        assert!(*here.recv().unwrap() == sent[..]);
    }
    drop(here);
    assert_eq!(child.join().unwrap(), 300);
}

#[test]
fn a_connection_travels_through_a_queue_and_belongs_to_its_receiver() {
    let (a, b) = Pipe::<u64, u64>::new().unwrap();
    let queue = Queue::<Connection<u64, u64>>::new(2).unwrap();
    a.send(7).unwrap();
    queue.put(&b).unwrap();
    let moved = queue.get_owned().unwrap();
    assert_eq!(b.recv().unwrap_err(), RecvError::Elsewhere);
    assert_eq!(b.send(1), Err(SendError::Elsewhere));
    drop(b);
    assert_eq!(moved.recv_owned(), Ok(7));
    moved.send(8).unwrap();
    assert_eq!(a.recv_owned(), Ok(8));
}

#[test]
fn an_offer_is_taken_back_by_using_the_end() {
    let (a, b) = Pipe::<u64, u64>::new().unwrap();
    let queue = Queue::<Connection<u64, u64>>::new(2).unwrap();
    queue.put(&b).unwrap();
    a.send(7).unwrap();
    assert_eq!(b.recv_owned(), Ok(7));
    b.send(8).unwrap();
    assert_eq!(a.recv_owned(), Ok(8));
    assert!(queue.get_owned().is_err(), "the handle fits no more");
}

#[test]
fn an_end_with_a_message_in_hand_stays() {
    let (a, b) = Pipe::<u64, u64>::new().unwrap();
    let queue = Queue::<Connection<u64, u64>>::new(2).unwrap();
    a.send_many([7, 8]).unwrap();
    let held = b.recv().unwrap();
    queue.put(&b).unwrap();
    assert!(queue.get_owned().is_err());
    assert_eq!(*held, 7);
    drop(held);
    assert_eq!(b.recv_owned(), Ok(8));
    queue.put(&b).unwrap();
    assert!(queue.get_owned().is_err(), "the first handle, once more");
}

#[test]
fn an_end_that_is_on_its_way_is_not_gone() {
    let (a, b) = Pipe::<u64, ()>::new().unwrap();
    let queue = Queue::<Connection<(), u64>>::new(2).unwrap();
    queue.put(b).unwrap();
    assert_eq!(a.send(7), Ok(()));
    let arrived = queue.get_owned().unwrap();
    assert_eq!(arrived.recv_owned(), Ok(7));
}

fn die_with(connection: Connection<u64, u64>) {
    connection.send(1).unwrap();
    let held = connection.recv().unwrap();
    assert_eq!(held.to_native(), 10);
    std::process::abort();
}

#[test]
fn the_end_of_the_dead_is_told_with_his_pid_and_taken_over_without_loss() {
    let (here, there) = Pipe::<u64, u64>::new().unwrap();
    let ticket = here.peer_ticket();
    let child = Process::spawn(die_with, (there,)).unwrap();
    let pid = child.pid().cast_unsigned();
    here.send_many(10..20_u64).unwrap();
    assert!(child.join().is_err());
    assert_eq!(here.recv_owned(), Ok(1));
    assert_eq!(here.recv_owned(), Err(RecvError::PeerDied { pid }));
    assert_eq!(here.send(1), Err(SendError::PeerDied { pid }));

    let successor = Connection::resume(&ticket).unwrap();
    let received: Vec<_> = successor.drain().map(|n| n.to_native()).collect();
    assert_eq!(received, (10..20).collect::<Vec<_>>());
    successor.send(2).unwrap();
    assert_eq!(here.recv_owned(), Ok(2));
    here.send(3).unwrap();
    assert_eq!(successor.recv_owned(), Ok(3));
    let again = Connection::resume(&ticket).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::AlreadyExists);
}

#[test]
fn the_living_and_the_closed_are_not_taken_over() {
    let (a, b) = Pipe::<u64, u64>::new().unwrap();
    let ticket: Ticket<u64, u64> = a.ticket();
    let taken = Connection::resume(&ticket).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
    drop(a);
    assert_eq!(
        Connection::resume(&ticket).unwrap_err().kind(),
        ErrorKind::Closed
    );
    drop(b);
}

fn die_with_sender(_sender: Sender<u64>) {
    std::process::abort();
}

#[test]
fn who_cannot_resume_both_halves_is_not_taken_for_the_dead() {
    let (here, there) = Pipe::<u64, u64>::new().unwrap();
    let ticket = there.ticket();
    let (sender, receiver) = there.split();
    let child = Process::spawn(die_with_sender, (sender,)).unwrap();
    let pid = child.pid().cast_unsigned();
    assert!(child.join().is_err());
    assert_eq!(here.recv_owned(), Err(RecvError::PeerDied { pid }));
    let refused = Connection::resume(&ticket).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
    assert_eq!(here.recv_owned(), Err(RecvError::PeerDied { pid }));
    drop(receiver);
}

fn sum(receiver: Receiver<u64>) -> u64 {
    receiver.iter().map(|n| n.to_native()).sum()
}

#[test]
fn halves_live_in_processes_of_their_own() {
    let (sender, receiver) = Pipe::<u64, ()>::one_way().unwrap();
    let child = Process::spawn(sum, (receiver,)).unwrap();
    sender.send_many(0..100_000_u64).unwrap();
    drop(sender);
    assert_eq!(child.join().unwrap(), 4_999_950_000);
}

#[test]
fn a_pipe_has_a_size_that_can_be_had() {
    let huge = Pipe::<u64, u64>::builder().capacity(usize::MAX).pair();
    assert_eq!(huge.unwrap_err().kind(), ErrorKind::InvalidInput);
}

/// Writes to a pipe of the kernel's, and waits for what is written to another.
type Line = (std::io::PipeReader, std::io::PipeWriter);

fn await_word(line: &mut Line) {
    std::io::Read::read_exact(&mut line.0, &mut [0]).unwrap();
}

fn say_word(line: &mut Line) {
    std::io::Write::write_all(&mut line.1, &[1]).unwrap();
}

/// Forks while a message is in hand and a place is claimed; both go on to be used here and are let go of there.
fn fork_between(message: &[u8], place_len: usize) -> bool {
    let (mut near, far) = Pipe::<Bytes, Bytes>::new().unwrap();
    far.send(message).unwrap();
    let (mut place, mut lines) = {
        let lines = [std::io::pipe().unwrap(), std::io::pipe().unwrap()];
        (near.claim(place_len).unwrap(), lines)
    };
    let (numbers_in, numbers_out) = Pipe::<u64, ()>::one_way().unwrap();
    numbers_in.send_many([1, 2, 3u64]).unwrap();
    let number = numbers_out.recv().unwrap();
    // SAFETY: the process has one thread.
    let child = unsafe { libc::fork() };
    if child == 0 {
        await_word(&mut lines[0]);
        drop(place);
        drop(number);
        let none = numbers_out.try_recv().err() == Some(TryRecvError::Elsewhere)
            && numbers_in.send(9) == Err(SendError::Elsewhere)
            && numbers_in.send_many([9u64]) == Err(SendError::Elsewhere)
            && far.send(b"from a child") == Err(SendError::Elsewhere)
            && far.try_recv().err() == Some(TryRecvError::Elsewhere);
        say_word(&mut lines[1]);
        // SAFETY: ends the child.
        unsafe { libc::_exit(i32::from(!none)) };
    }
    place[..8].copy_from_slice(b"eight by");
    place.commit_first(8).unwrap();
    near.send(b"the next one").unwrap();
    say_word(&mut lines[0]);
    await_word(&mut lines[1]);
    let mut status = 0;
    // SAFETY: the child is ours, and `status` is writable.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    drop(number);
    status == 0
        && *far.recv().unwrap() == *b"eight by"
        && *far.recv().unwrap() == *b"the next one"
        && *near.recv().unwrap() == *message
        && numbers_out.drain().map(|n| n.to_native()).eq([2, 3])
}

fn fork_in_the_middle() -> multiproc::Result<bool> {
    Ok(fork_between(b"short", 600) && fork_between(&[7; 100_000], 200_000))
}

#[test]
fn a_forked_child_has_no_part_in_its_parents_ends() {
    let forks = Process::spawn(fork_in_the_middle, ()).unwrap();
    assert!(forks.join().unwrap());
}
