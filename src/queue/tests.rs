//! What can only be tested from inside: rubbish in a slot, and blocks that must not leak.

use super::*;
use crate::message::Bytes;
use crate::message::Validation;
use crate::ring::Fit;

/// Puts bytes that are no `String`.
fn put_rubbish(queue: &Queue<String>) {
    let words = queue.core.words(Fit::Any);
    let mut hold = queue.core.claim(Deadline::NOW).unwrap();
    let room = hold.room(words, Fit::Any);
    room[..64].fill(std::mem::MaybeUninit::new(0x81));
    hold.commit(words, 64, Fit::Any);
}

fn checked() -> Queue<String> {
    let builder = Queue::builder().capacity(4).max_deliveries(2);
    builder.validation(Validation::Check).anonymous().unwrap()
}

#[test]
fn rubbish_is_an_error_each_time_and_then_a_dead_letter() {
    let queue = checked();
    put_rubbish(&queue);
    queue.put("fine").unwrap();
    assert!(matches!(queue.get(), Err(GetError::Invalid(_))));
    assert!(matches!(queue.lease(), Err(GetError::Invalid(_))));
    assert_eq!(&*queue.get().unwrap(), "fine");
    assert_eq!(queue.try_get().unwrap_err(), TryGetError::Empty);
    assert!(queue.dead_letters().is_empty(), "nobody can read it");
    queue.join();
}

#[test]
fn iterators_pass_over_rubbish() {
    let queue = checked();
    put_rubbish(&queue);
    queue.put("one").unwrap();
    put_rubbish(&queue);
    queue.put("two").unwrap();
    queue.close();
    let words: Vec<String> = queue.iter().map(|m| m.to_string()).collect();
    assert_eq!(words, ["one", "two"]);
}

#[test]
fn the_policy_of_the_creator_holds_for_every_handle() {
    let queue = checked();
    assert!(queue.check && queue.clone().check);
    let attached = <Queue<String> as Handle>::attach(&queue.to_raw()).unwrap();
    assert!(attached.check);
}

/// Blocks that are not free.
fn blocks<T: Message>(queue: &Queue<T>) -> u32 {
    let store = queue.core.ring.blocks().expect("messages of any length");
    store.usage().unwrap().0
}

#[test]
fn long_messages_that_were_not_put_leave_no_block() {
    let queue = Queue::<Bytes>::new(1).unwrap();
    queue.put(b"in the way").unwrap();
    for _ in 0..100 {
        assert_eq!(queue.try_put(vec![1; 100_000]), Err(TryPutError::Full));
        assert!(queue.try_claim(100_000).is_err());
    }
    assert_eq!(blocks(&queue), 0);
    queue.get().unwrap().ack();
    drop(queue.claim(100_000).unwrap());
    assert_eq!(blocks(&queue), 0);
    queue.close();
    assert_eq!(queue.put(vec![1; 100_000]), Err(PutError::Closed));
    assert_eq!(blocks(&queue), 0);
}

#[test]
fn long_messages_that_were_read_leave_no_block() {
    let queue = Queue::<Vec<String>>::new(4).unwrap();
    let long = vec!["x".repeat(100); 1000];
    queue.put(&long).unwrap();
    queue.put(&long).unwrap();
    assert_eq!(blocks(&queue), 2);
    let lease = queue.lease().unwrap();
    queue.put(&lease).unwrap();
    lease.ack();
    queue.get().unwrap().give_back();
    assert_eq!(queue.try_iter().filter(|m| m.len() == 1000).count(), 2);
    assert_eq!(blocks(&queue), 0);
}

#[test]
fn a_message_that_is_longer_than_guessed_finds_its_block_late() {
    // The first element is taken as typical, and here it is not.
    let queue = Queue::<Vec<String>>::new(2).unwrap();
    let mut surprising = vec![String::new(); 10];
    surprising[9] = "y".repeat(50_000);
    queue.put(&surprising).unwrap();
    assert_eq!(queue.get_owned().unwrap(), surprising);

    let mut worse = vec!["z".repeat(200); 100];
    worse[99] = "z".repeat(500_000);
    queue.put(&worse).unwrap();
    assert_eq!(queue.get_owned().unwrap(), worse);
    assert_eq!(blocks(&queue), 0);
}
