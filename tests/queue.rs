//! The queue: every verb, every end, every kind of message, in one process. Deaths have their own suite.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use multiproc::{
    Bytes, ErrorKind, GetError, GetTimeoutError, Lease, Message, PutTimeoutError, Queue,
    TryGetError, TryPutError, Validation,
};

multiproc::message! {
    /// Some of everything.
    #[derive(Debug, Clone, PartialEq)]
    struct Job {
        id: u64,
        words: Vec<String>,
        note: Option<String>,
    }

    #[derive(Debug, Clone, PartialEq)]
    enum Event {
        Started,
        Moved { x: f64, y: f64 },
        Said(String, u8),
    }
}

#[path = "common/sleeper.rs"]
mod sleeper;

use sleeper::asleep;

const SOON: Duration = Duration::from_millis(20);

fn job(id: u64) -> Job {
    Job {
        id,
        words: (0..id)
            .map(|i| format!("word number {i} of the job"))
            .collect(),
        note: id.is_multiple_of(2).then(|| "even".into()),
    }
}

#[test]
fn first_in_first_out_over_many_laps() {
    let queue = Queue::<u64>::new(5).unwrap();
    for lap in 0..100 {
        for i in 0..5 {
            queue.put(lap * 5 + i).unwrap();
        }
        for i in 0..5 {
            assert_eq!(queue.get_owned(), Ok(lap * 5 + i));
        }
    }
}

#[test]
fn a_queue_of_one_message_works() {
    let queue = Queue::<u64>::new(1).unwrap();
    for i in 0..1000 {
        queue.put(i).unwrap();
        assert_eq!(queue.try_put(7), Err(TryPutError::Full));
        assert_eq!(queue.get_owned(), Ok(i));
        assert_eq!(queue.try_get_owned(), Err(TryGetError::Empty));
    }
}

fn round<T: Message + PartialEq + std::fmt::Debug + Clone>(values: &[T]) {
    for validation in [Validation::Trust, Validation::Check] {
        let queue = Queue::<T>::builder()
            .capacity(4)
            .validation(validation)
            .anonymous()
            .unwrap();
        for value in values {
            queue.put(value).unwrap();
            queue.put(&queue.get().unwrap()).unwrap();
            queue.put(&queue.lease().unwrap()).unwrap();
            // The lease was dropped, so both the message and its copy come.
            assert_eq!(&queue.get_owned().unwrap(), value);
            assert_eq!(&queue.lease().unwrap().to_owned().unwrap(), value);
            while queue.try_get().is_ok() {}
        }
    }
}

#[test]
fn messages_of_every_kind() {
    round(&[0u8, 255]);
    round(&[u128::MAX]);
    round(&[()]);
    round(&['x', 'ß']);
    round(&[1.5f32]);
    round(&[[7u64; 64]]);
    round(&[[7u64; 4096]]);
    round(&[String::new(), "short".into(), "long ".repeat(5000)]);
    round(&[vec![1u32; 0], vec![2; 10], vec![3; 100_000]]);
    round(&[HashMap::from([(String::from("key"), vec![1u8, 2])])]);
    round(&[job(0), job(3), job(2000)]);
    round(&[
        Event::Started,
        Event::Moved { x: 1.0, y: 2.0 },
        Event::Said("words".into(), 1),
    ]);
    round(&[
        Bytes::default(),
        Bytes::from(b"raw"),
        Bytes::from(vec![7; 50_000]),
    ]);
    round(&[(1u8, String::from("two"), Some(3u64))]);
}

#[test]
fn lengths_around_the_slot() {
    let queue = Queue::<Bytes>::builder()
        .capacity(2)
        .message_size(256)
        .anonymous()
        .unwrap();
    for len in (0..600).chain([4095, 4096, 4097, 65_535, 65_536, 65_537]) {
        let bytes: Vec<u8> = (0..len).map(|i| i as u8).collect();
        queue.put(&bytes).unwrap();
        assert_eq!(&*queue.get().unwrap(), &bytes[..]);
    }
}

#[test]
fn sixty_four_mebibytes_and_nothing() {
    let queue = Queue::<Bytes>::new(4).unwrap();
    let big = vec![0xa5; 64 << 20];
    queue.put(b"").unwrap();
    queue.put(&big).unwrap();
    queue.put(b"").unwrap();
    assert!(queue.get().unwrap().is_empty());
    let lease = queue.lease().unwrap();
    assert!(lease[..] == big[..]);
    assert!(queue.get().unwrap().is_empty());
    lease.ack();
    queue.join();

    let queue = Queue::<Vec<u64>>::new(2).unwrap();
    let big = vec![u64::MAX - 1; 8 << 20];
    queue.put(&big).unwrap();
    assert!(queue.get_owned().unwrap() == big);
}

#[test]
fn long_messages_recycle_their_memory() {
    let queue = Queue::<Bytes>::new(2).unwrap();
    let big = vec![1; 8 << 20];
    for _ in 0..200 {
        queue.put(&big).unwrap();
        assert_eq!(queue.get().unwrap().len(), big.len());
    }
}

#[test]
fn timeouts_and_deadlines() {
    let queue = Queue::<u64>::new(1).unwrap();
    assert_eq!(
        queue.get_timeout(SOON).unwrap_err(),
        GetTimeoutError::Timeout
    );
    assert_eq!(queue.get_owned_timeout(SOON), Err(GetTimeoutError::Timeout));
    assert_eq!(
        queue.lease_timeout(SOON).unwrap_err(),
        GetTimeoutError::Timeout
    );
    let passed = Instant::now();
    assert_eq!(
        queue.get_deadline(passed).unwrap_err(),
        GetTimeoutError::Timeout
    );
    assert_eq!(
        queue.get_timeout(Duration::ZERO).unwrap_err(),
        GetTimeoutError::Timeout
    );
    queue.put_timeout(1, Duration::MAX).unwrap();
    assert_eq!(queue.put_timeout(2, SOON), Err(PutTimeoutError::Timeout));
    assert_eq!(queue.put_deadline(2, passed), Err(PutTimeoutError::Timeout));
    assert_eq!(queue.try_put(2), Err(TryPutError::Full));
    assert_eq!(queue.get_owned_deadline(Instant::now() + SOON), Ok(1));
    assert_eq!(queue.try_lease().unwrap_err(), TryGetError::Empty);
}

#[test]
fn a_waiting_reader_is_woken() {
    let queue = Queue::<u64>::new(4).unwrap();
    std::thread::scope(|scope| {
        let reader = asleep(scope, || queue.get_owned());
        queue.put(9).unwrap();
        assert_eq!(reader.join().unwrap(), Ok(9));
    });
}

#[test]
fn a_waiting_writer_is_woken() {
    let queue = Queue::<u64>::new(1).unwrap();
    queue.put(1).unwrap();
    std::thread::scope(|scope| {
        let writer = asleep(scope, || queue.put(2));
        assert_eq!(queue.get_owned(), Ok(1));
        assert_eq!(writer.join().unwrap(), Ok(()));
    });
    assert_eq!(queue.get_owned(), Ok(2));
}

#[test]
fn many_writers_and_readers_lose_and_double_nothing() {
    const EACH: u64 = 5_000;
    let queue = Queue::<(u64, String)>::new(16).unwrap();
    let seen = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|w| {
                let queue = &queue;
                scope.spawn(move || {
                    for i in 0..EACH {
                        queue
                            .put((w * EACH + i, format!("message {i} of writer {w}")))
                            .unwrap();
                    }
                })
            })
            .collect();
        for _ in 0..3 {
            scope.spawn(|| {
                let mine: Vec<u64> = queue.iter().map(|m| m.0.to_native()).collect();
                seen.lock().unwrap().extend(mine);
            });
        }
        for writer in writers {
            writer.join().unwrap();
        }
        queue.close();
    });
    let mut seen = seen.into_inner().unwrap();
    seen.sort_unstable();
    assert!(seen.into_iter().eq(0..4 * EACH));
}

#[test]
fn one_writers_order_is_kept() {
    let queue = Queue::<u64>::new(8).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| queue.put_many(0..20_000).unwrap());
        for i in 0..20_000 {
            assert_eq!(*queue.get().unwrap(), i);
        }
    });
}

#[test]
fn a_message_given_back_is_delivered_again_and_counted() {
    let queue = Queue::<u64>::new(4).unwrap();
    queue.put_many([1, 2]).unwrap();
    let first = queue.get().unwrap();
    assert_eq!((*first, first.delivery_count()), (1.into(), 1));
    let id = first.id();
    first.give_back();
    let again = queue.get().unwrap();
    assert_eq!((again.id(), again.delivery_count()), (id, 2));
    assert_eq!(*again, 1);
    drop(again);
    assert_eq!(queue.get_owned(), Ok(2));
    assert_eq!(queue.stats().redelivered, 1);
}

#[test]
fn a_panic_gives_the_message_back() {
    let queue = Queue::<u64>::new(4).unwrap();
    queue.put(1).unwrap();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let message = queue.get().unwrap();
            panic!("cannot work on {}", *message);
        });
        assert!(reader.join().is_err());
    });
    assert_eq!(queue.get().unwrap().delivery_count(), 2);
}

#[test]
fn leases_leave_the_ring_free() {
    let queue = Queue::<String>::new(2).unwrap();
    let leases: Vec<Lease<String>> = (0..100)
        .map(|i| {
            queue.put(format!("job number {i}")).unwrap();
            queue.lease().unwrap()
        })
        .collect();
    queue.put("there is room").unwrap();
    for (i, lease) in leases.iter().enumerate() {
        assert_eq!(&**lease, format!("job number {i}").as_str());
    }
    assert_eq!(queue.join_timeout(SOON).map_err(|e| e.to_string()), {
        Err("not every message was acknowledged until the time had passed".to_string())
    });
    for (i, lease) in leases.into_iter().enumerate() {
        if i % 2 == 0 {
            lease.ack()
        } else {
            lease.give_back()
        }
    }
    let rest: Vec<u32> = queue.try_iter().map(|m| m.delivery_count()).collect();
    assert_eq!(rest.iter().filter(|&&count| count == 2).count(), 50);
    assert_eq!(rest.len(), 51);
    queue.join();
}

#[test]
fn a_guard_becomes_a_lease() {
    let queue = Queue::<Vec<String>>::new(1).unwrap();
    queue
        .put(["something of some length, in a vector".to_string()])
        .unwrap();
    let guard = queue.get().unwrap();
    assert_eq!(queue.try_put(Vec::new()), Err(TryPutError::Full));
    let id = guard.id();
    let lease = guard.detach();
    queue.try_put(Vec::new()).unwrap();
    assert_eq!(lease.id(), id);
    assert_eq!(lease[0], "something of some length, in a vector");
    lease.ack();
}

#[test]
fn process_acknowledges_on_ok_only() {
    let queue = Queue::<u64>::new(4).unwrap();
    queue.put_many([1, 2]).unwrap();
    let double = |m: &Lease<u64>| match m.to_native() {
        1 => Err(multiproc::Error::new(ErrorKind::Failed, "not yet")),
        n => Ok(n * 2),
    };
    assert_eq!(queue.process(double).unwrap_err().kind(), ErrorKind::Failed);
    let results: Vec<_> = (0..2)
        .map(|_| queue.process(|m| Ok::<_, GetError>((m.to_native(), m.delivery_count()))))
        .collect();
    assert!(results.contains(&Ok((1, 2))));
    assert!(results.contains(&Ok((2, 1))));
    queue.join();
}

#[test]
fn a_message_that_keeps_coming_back_dies() {
    let queue = Queue::<String>::builder()
        .max_deliveries(3)
        .anonymous()
        .unwrap();
    queue.put("poison").unwrap();
    queue.put("food").unwrap();
    let mut deliveries = Vec::new();
    while let Ok(message) = queue.try_get() {
        if &*message == "poison" {
            deliveries.push(message.delivery_count());
            message.give_back();
        }
    }
    assert_eq!(deliveries, [1, 2, 3]);
    queue.join();

    let letters = queue.dead_letters();
    assert_eq!(letters.len(), 1);
    drop(letters);
    assert!(queue.try_get().is_err(), "a dropped letter stays dead");
    let letter = queue.dead_letters().pop().unwrap();
    queue.put(&letter).unwrap();
    letter.ack();
    assert_eq!(queue.get().unwrap().delivery_count(), 1);
    assert!(queue.dead_letters().is_empty());
}

#[test]
fn long_poison_dies_too() {
    let queue = Queue::<Bytes>::builder()
        .max_deliveries(1)
        .anonymous()
        .unwrap();
    queue.put(vec![9; 100_000]).unwrap();
    queue.get().unwrap().give_back();
    assert!(queue.try_get().is_err());
    let letters = queue.dead_letters();
    assert_eq!(letters[0].len(), 100_000);
    assert_eq!(letters[0].delivery_count(), 1);
}

#[test]
fn claims_write_in_place() {
    let queue = Queue::<Bytes>::new(2).unwrap();
    for len in [0, 5, 1000, 5000, 3 << 20] {
        let mut claim = queue.claim(len).unwrap();
        assert_eq!(claim.len(), len);
        claim.fill(7);
        let id = claim.id();
        claim.commit();
        let message = queue.get().unwrap();
        assert_eq!(message.id(), id);
        assert!(message.len() == len && message.iter().all(|&b| b == 7));
    }
    let queue = Queue::<(u64, [u8; 100])>::new(2).unwrap();
    let mut claim = queue.claim_value((1, [0; 100])).unwrap();
    claim.0 = 5.into();
    claim.1[99] = 1;
    claim.commit();
    let mut expected = (5, [0; 100]);
    expected.1[99] = 1;
    assert_eq!(queue.get_owned(), Ok(expected));
}

#[test]
fn a_dropped_claim_sends_nothing() {
    let queue = Queue::<Bytes>::new(2).unwrap();
    for len in [10, 1 << 20] {
        drop(queue.claim(len).unwrap());
        assert_eq!(queue.try_get().unwrap_err(), TryGetError::Empty);
    }
    queue.put(b"next").unwrap();
    assert_eq!(&*queue.get().unwrap(), b"next");
    let (_a, _b) = (queue.claim(1).unwrap(), queue.claim(1).unwrap());
    assert_eq!(queue.try_claim(1).unwrap_err(), TryPutError::Full);
    assert_eq!(
        queue.claim_timeout(1, SOON).unwrap_err(),
        PutTimeoutError::Timeout
    );
}

#[test]
fn a_reader_waits_behind_an_open_claim() {
    let queue = Queue::<Bytes>::new(4).unwrap();
    std::thread::scope(|scope| {
        let mut claim = queue.claim(5).unwrap();
        queue.put(b"later").unwrap();
        assert_eq!(queue.try_get().unwrap_err(), TryGetError::Empty);
        let reader = asleep(scope, || queue.get_owned());
        claim.copy_from_slice(b"first");
        claim.commit();
        assert_eq!(reader.join().unwrap(), Ok(Bytes::from(b"first")));
    });
    assert_eq!(&*queue.get().unwrap(), b"later");
}

#[test]
fn batches() {
    let queue = Queue::<u64>::new(64).unwrap();
    assert_eq!(queue.put_many(0..50).unwrap(), 50);
    let batch = queue.get_many(20).unwrap();
    assert!(batch.iter().map(|m| m.to_native()).eq(0..20));
    drop(batch);
    assert_eq!(queue.get_many(100).unwrap().len(), 30);
    assert!(queue.get_many(0).unwrap().is_empty());
    queue.close();
    assert_eq!(queue.get_many(5).unwrap_err(), GetError::Closed);
}

#[test]
fn claims_of_values_wait_no_longer_than_said() {
    let queue = Queue::<u64>::new(2).unwrap();
    let producer = queue.producer().unwrap();
    let mut claim = queue.try_claim_value(1).unwrap();
    *claim = 7.into();
    claim.commit();
    let later = Instant::now() + Duration::from_secs(60);
    producer.claim_value_deadline(8, later).unwrap().commit();

    assert_eq!(queue.try_claim_value(9).unwrap_err(), TryPutError::Full);
    let timeout = PutTimeoutError::Timeout;
    assert_eq!(queue.claim_value_timeout(9, SOON).unwrap_err(), timeout);
    let now = Instant::now();
    assert_eq!(producer.claim_value_deadline(9, now).unwrap_err(), timeout);

    assert_eq!((queue.get_owned(), queue.get_owned()), (Ok(7), Ok(8)));
    producer.claim_value_timeout(9, SOON).unwrap().commit();
    queue.close();
    assert_eq!(queue.try_claim_value(0).unwrap_err(), TryPutError::Closed);
    assert_eq!(queue.get_owned(), Ok(9));
}
