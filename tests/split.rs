//! A queue split into the two ends of a pipe: order, room, ends in other processes, and queues that cannot be split.

use std::collections::VecDeque;
use std::fmt::Debug;

use multiproc::{
    Bytes, ErrorKind, Message, Process, Queue, QueueBuilder, Receiver, RecvError, SendError,
    Sender, TryRecvError, TrySendError, Validation,
};

/// Sends and receives at random, `capacity` messages at most on their way: there is always room for that many.
fn always_has_room<T: Message + PartialEq + Debug>(
    capacity: usize,
    builder: QueueBuilder<T>,
    make: impl Fn(u64) -> T,
) {
    let (tx, rx) = builder.capacity(capacity).split().unwrap();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let (mut sent, mut received) = (0, 0);
    while received < 40 * capacity as u64 + 100 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        for _ in 0..random % (capacity as u64 + 1) {
            if sent - received == capacity as u64 {
                break;
            }
            let on_their_way = sent - received;
            assert_eq!(
                tx.try_send(make(sent)),
                Ok(()),
                "{on_their_way} of {capacity}"
            );
            sent += 1;
        }
        for _ in 0..(random >> 32) % (capacity as u64 + 1) {
            match rx.try_recv_owned() {
                Ok(message) => assert_eq!(message, make(received)),
                Err(error) => {
                    assert_eq!((error, received), (TryRecvError::Empty, sent));
                    break;
                }
            }
            received += 1;
        }
    }
}

fn bytes(len: u64) -> Bytes {
    vec![len as u8; len as usize].into()
}

#[test]
fn as_many_messages_of_one_size_fit_as_the_capacity_says_wherever_they_begin() {
    for capacity in [1, 2, 7, 8, 15, 16, 17, 63, 64, 100, 1000] {
        always_has_room(capacity, Queue::<u64>::builder(), |n| n);
        always_has_room(capacity, Queue::<()>::builder(), |_| ());
        always_has_room(capacity, Queue::<[u64; 8]>::builder(), |n| [n; 8]);
        always_has_room(capacity, Queue::<[u64; 100]>::builder(), |n| [n; 100]);
    }
}

#[test]
fn as_many_of_varying_size_fit_up_to_the_message_size() {
    for capacity in [1, 2, 7, 16, 100] {
        for size in [16, 48, 64, 1072, 8192] {
            let builder = || Queue::<Bytes>::builder().message_size(size);
            always_has_room(capacity, builder(), |_| bytes(size as u64));
            always_has_room(capacity, builder(), |n| bytes(n * 37 % (size as u64 + 1)));
            let text = Queue::<Vec<String>>::builder().message_size(size);
            let words =
                |n: u64| vec!["w".repeat(size / 4); 2 + (n % 2) as usize * (size / 100).min(1)];
            always_has_room(capacity, text, words);
        }
    }
}

#[test]
fn as_many_fit_that_are_too_long_for_the_ring() {
    always_has_room(40, Queue::<[u64; 2000]>::builder(), |n| [n; 2000]); // just in it
    always_has_room(100, Queue::<[u64; 3000]>::builder(), |n| [n; 3000]);
    let (tx, rx) = Queue::<[u64; 1 << 17]>::builder()
        .capacity(24)
        .split()
        .unwrap();
    let mut mebibyte = Box::new([0; 1 << 17]);
    for n in 0..24 {
        mebibyte.fill(n);
        assert_eq!(tx.try_send(mebibyte.as_ref()), Ok(()), "{n}");
    }
    for n in 0..24 {
        mebibyte.fill(n);
        assert!(*rx.recv().unwrap() == *mebibyte, "{n}");
    }
}

#[test]
fn a_full_one_says_so() {
    let (tx, rx) = Queue::<u64>::new(8).unwrap().split().unwrap();
    assert_eq!(tx.send_many(0..8_u64), Ok(8));
    assert_eq!(tx.try_send(8), Err(TrySendError::Full));
    assert_eq!(rx.recv_owned(), Ok(0));
    assert_eq!(tx.try_send(8), Ok(()));
    assert_eq!(rx.drain().count(), 8);
}

#[test]
fn a_queue_is_split_with_its_knobs() {
    let queue = Queue::<Bytes>::builder()
        .capacity(40)
        .message_size(4000)
        .prefault(true)
        .validation(Validation::Check)
        .anonymous();
    let (tx, rx) = queue.unwrap().split().unwrap();
    for n in 0..40 {
        assert_eq!(tx.try_send([n; 4000]), Ok(()));
    }
    let held: VecDeque<_> = rx.drain().collect();
    assert!(
        held.iter()
            .enumerate()
            .all(|(n, message)| message[..] == [n as u8; 4000])
    );
}

fn produce(tx: Sender<u64>, count: u64) -> multiproc::Result<()> {
    tx.send_many(0..count)?;
    Ok(())
}

#[test]
fn messages_come_in_their_order_from_process_to_process() {
    let (tx, rx) = Queue::<u64>::new(64).unwrap().split().unwrap();
    let child = Process::spawn(produce, (tx, 200_000)).unwrap();
    let mut expected = 0..;
    for message in rx.iter() {
        assert_eq!(Some(message.to_native()), expected.next());
    }
    assert_eq!(expected.next(), Some(200_000));
    assert_eq!(rx.recv_owned(), Err(RecvError::Disconnected));
    child.join().unwrap();
}

fn produce_and_die(tx: Sender<String>) {
    for n in 0..30 {
        tx.send(n.to_string()).unwrap();
    }
    std::process::abort();
}

#[test]
fn the_death_of_the_producer_is_told_after_all_that_it_put() {
    let (tx, rx) = Queue::<String>::builder().capacity(32).split().unwrap();
    let child = Process::spawn(produce_and_die, (tx,)).unwrap();
    let pid = child.pid().cast_unsigned();
    assert!(child.join().is_err());
    for n in 0..30 {
        assert_eq!(rx.recv_owned(), Ok(n.to_string()));
    }
    assert_eq!(rx.recv_owned(), Err(RecvError::PeerDied { pid }));
}

fn consume_one_and_die(rx: Receiver<u64>) {
    assert_eq!(rx.recv_owned(), Ok(0));
    std::process::abort();
}

#[test]
fn the_death_of_the_consumer_is_told_to_who_waits_for_room() {
    let (tx, rx) = Queue::<u64>::builder().capacity(4).split().unwrap();
    let child = Process::spawn(consume_one_and_die, (rx,)).unwrap();
    let pid = child.pid().cast_unsigned();
    assert_eq!(tx.send_many(0..), Err(SendError::PeerDied { pid }));
    assert!(child.join().is_err());
}

/// The queue comes back with the refusal.
fn refused(queue: Queue<u64>, kind: ErrorKind, word: &str) -> Queue<u64> {
    let refusal = queue.split().unwrap_err();
    assert_eq!(refusal.kind(), kind);
    assert!(refusal.to_string().contains(word), "{refusal}");
    refusal.into_queue()
}

#[test]
fn a_queue_that_others_have_is_not_split() {
    let queue = Queue::<u64>::new(4).unwrap();
    let clone = queue.clone();
    let queue = refused(queue, ErrorKind::InvalidInput, "other handles");
    drop(clone);
    let role = queue.producer();
    let queue = refused(queue, ErrorKind::InvalidInput, "other handles");
    drop(role);
    queue.split().unwrap();
}

fn hold(_queue: Queue<u64>, go: Queue<()>) -> multiproc::Result<()> {
    go.put(())?;
    go.join();
    Ok(())
}

#[test]
fn a_queue_that_another_process_has_is_not_split() {
    let (queue, go) = (Queue::<u64>::new(4).unwrap(), Queue::new(1).unwrap());
    let child = Process::spawn(hold, (queue.clone(), go.clone())).unwrap();
    let queue = refused(queue, ErrorKind::InvalidInput, "another process");
    let there = go.get().unwrap();
    let queue = refused(queue, ErrorKind::InvalidInput, "another process");
    there.ack();
    child.join().unwrap();
    queue.split().unwrap();
}

#[test]
fn a_queue_with_messages_is_not_split_and_keeps_them() {
    let queue = Queue::<u64>::new(4).unwrap();
    queue.put(7).unwrap();
    let queue = refused(queue, ErrorKind::InvalidInput, "messages");
    queue.get().unwrap().give_back();
    let queue = refused(queue, ErrorKind::InvalidInput, "messages");
    for _ in 1..16 {
        queue.get().unwrap().give_back();
    }
    assert!(queue.try_get().is_err(), "it is a dead letter");
    let queue = refused(queue, ErrorKind::InvalidInput, "dead letters");
    queue
        .dead_letters()
        .into_iter()
        .for_each(|letter| letter.ack());
    let (tx, rx) = queue.split().unwrap();
    tx.send(8).unwrap();
    assert_eq!(rx.recv_owned(), Ok(8));
}

#[test]
fn a_closed_queue_is_not_split() {
    let queue = Queue::<u64>::new(4).unwrap();
    queue.close();
    refused(queue, ErrorKind::Closed, "closed");
}

#[test]
fn a_queue_with_a_name_is_not_split() {
    let name = format!("split-{}", std::process::id());
    let queue = Queue::<u64>::create(&name).unwrap();
    let queue = refused(queue, ErrorKind::InvalidInput, "name");
    Queue::<u64>::remove(&name).unwrap();
    queue.split().unwrap();
}

#[test]
fn knobs_that_mean_nothing_to_the_ends_are_refused() {
    let builder = || Queue::<u64>::builder();
    let refused = [
        builder().name("some-name").split(),
        builder().max_deliveries(3).split(),
        builder().capacity(0).split(),
        builder().capacity(usize::MAX).split(),
    ];
    for result in refused {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    let limited = builder().max_deliveries(3).anonymous().unwrap();
    assert_eq!(limited.split().unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_handle_that_was_sent_before_leads_nowhere_afterwards() {
    let queue = Queue::<u64>::new(4).unwrap();
    let letters = Queue::<Queue<u64>>::new(1).unwrap();
    letters.put(&queue).unwrap();
    let ends = queue.split().unwrap();
    assert!(letters.get_owned().is_err());
    drop(ends);
}
