//! The ends of a queue, its names and knobs, and queues that travel, in one process. Deaths have their own suite.

use std::time::Duration;

use multiproc::{
    Bytes, ErrorKind, GetError, GetTimeoutError, PutError, PutTimeoutError, Queue, TryGetError,
    TryPutError, Validation,
};

multiproc::message! {
    /// Some of everything.
    #[derive(Debug, Clone, PartialEq)]
    struct Job {
        id: u64,
        words: Vec<String>,
        note: Option<String>,
    }

    /// The same layout as `Job`, by another name.
    struct Task {
        id: u64,
        words: Vec<String>,
        note: Option<String>,
    }

    /// Refers to a queue.
    struct Request {
        question: String,
        answers: Queue<u64>,
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

/// A name that no other run of any test uses.
fn name(what: &str) -> String {
    format!("test-queue-{what}-{}", std::process::id())
}

#[test]
fn closing_ends_it_after_draining() {
    let queue = Queue::<u64>::new(4).unwrap();
    queue.put_many([1, 2]).unwrap();
    queue.close();
    assert!(queue.is_closed());
    assert_eq!(queue.put(3), Err(PutError::Closed));
    assert_eq!(queue.try_put(3), Err(TryPutError::Closed));
    assert_eq!(queue.put_timeout(3, SOON), Err(PutTimeoutError::Closed));
    assert_eq!(queue.get_owned(), Ok(1));
    assert_eq!(queue.iter().map(|m| m.to_native()).collect::<Vec<_>>(), [2]);
    assert_eq!(queue.get_owned(), Err(GetError::Closed));
    assert_eq!(queue.try_get_owned(), Err(TryGetError::Closed));
    assert_eq!(queue.get_owned_timeout(SOON), Err(GetTimeoutError::Closed));
    queue.close();
}

#[test]
fn closing_wakes_everybody() {
    let queue = Queue::<u64>::new(1).unwrap();
    let full = Queue::<u64>::new(1).unwrap();
    full.put(1).unwrap();
    std::thread::scope(|scope| {
        let reader = asleep(scope, || queue.get_owned());
        let writer = asleep(scope, || full.put(2));
        queue.close();
        full.close();
        assert_eq!(reader.join().unwrap(), Err(GetError::Closed));
        assert_eq!(writer.join().unwrap(), Err(PutError::Closed));
    });
}

#[test]
fn producers_roles_are_exact() {
    let queue = Queue::<u64>::new(8).unwrap();
    assert_eq!(queue.try_get().unwrap_err(), TryGetError::Empty);
    let one = queue.producer().unwrap();
    let two = one.clone();
    one.put(1).unwrap();
    drop(one);
    assert_eq!(queue.get_owned(), Ok(1));
    assert_eq!(
        queue.get_timeout(SOON).unwrap_err(),
        GetTimeoutError::Timeout
    );
    two.try_put(2).unwrap();
    drop(two);
    assert_eq!(queue.iter().map(|m| m.to_native()).collect::<Vec<_>>(), [2]);
    assert_eq!(queue.get().unwrap_err(), GetError::Disconnected);
    assert_eq!(queue.try_get().unwrap_err(), TryGetError::Disconnected);
}

#[test]
fn the_last_producer_wakes_the_readers() {
    let queue = Queue::<u64>::new(8).unwrap();
    let producer = queue.producer().unwrap();
    std::thread::scope(|scope| {
        let reader = asleep(scope, || queue.get_owned());
        drop(producer);
        assert_eq!(reader.join().unwrap(), Err(GetError::Disconnected));
    });
}

#[test]
fn the_last_consumer_wakes_the_writers() {
    let queue = Queue::<u64>::new(1).unwrap();
    let consumer = queue.consumer().unwrap();
    queue.put(1).unwrap();
    std::thread::scope(|scope| {
        let writer = asleep(scope, || queue.put(2));
        drop(consumer);
        assert_eq!(writer.join().unwrap(), Err(PutError::Disconnected));
    });
}

#[test]
fn join_waits_for_the_last_acknowledgement() {
    let queue = Queue::<u64>::new(8).unwrap();
    queue.join();
    queue.put_many(0..3).unwrap();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| queue.join());
        let held: Vec<_> = queue.try_iter().collect();
        assert_eq!(queue.len(), 0);
        assert!(queue.join_timeout(SOON).is_err());
        drop(held);
        waiter.join().unwrap();
    });
}

#[test]
fn statistics() {
    let queue = Queue::<u64>::new(4).unwrap();
    assert_eq!(queue.stats(), Default::default());
    queue.put_many(0..4).unwrap();
    let _ = queue.put_timeout(9, SOON);
    drop(queue.get_many(2));
    let stats = queue.stats();
    assert_eq!((stats.puts, stats.gets, stats.redelivered), (4, 2, 0));
    assert_eq!((stats.high_water, stats.blocked), (4, 1));
    assert_eq!(
        (queue.len(), queue.capacity(), queue.is_empty()),
        (2, 4, false)
    );
    assert_eq!(format!("{queue:?}"), "Queue<u64>(2 of 4 messages)");
}

#[test]
fn named_queues_are_shared_and_removed() {
    let name = name("shared");
    let made = Queue::<Job>::create(&name).unwrap();
    assert_eq!(
        Queue::<Job>::create(&name).unwrap_err().kind(),
        ErrorKind::AlreadyExists
    );
    let opened = Queue::<Job>::open(&name).unwrap();
    made.put(job(3)).unwrap();
    assert_eq!(opened.get_owned(), Ok(job(3)));
    let again = Queue::<Job>::open_or_create(&name).unwrap();
    assert_eq!(again.capacity(), made.capacity());
    drop((made, opened, again));
    assert_eq!(
        Queue::<Job>::open(&name).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    let made = Queue::<Job>::open_or_create(&name).unwrap();
    Queue::<Job>::remove(&name).unwrap();
    assert_eq!(
        Queue::<Job>::open(&name).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    made.put(job(1)).unwrap();
}

#[test]
fn opening_as_another_type_is_an_error() {
    let name = name("typed");
    let _made = Queue::<Job>::create(&name).unwrap();
    for error in [
        Queue::<u64>::open(&name).unwrap_err(),
        Queue::<Task>::open(&name).unwrap_err(),
        Queue::<Bytes>::open_or_create(&name).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::WrongType);
        assert!(error.to_string().contains("Job"), "{error}");
    }
}

#[test]
fn knobs_out_of_range_are_refused() {
    let refused = |builder: multiproc::QueueBuilder<u64>| builder.anonymous().unwrap_err().kind();
    assert_eq!(
        refused(Queue::builder().capacity(0)),
        ErrorKind::InvalidInput
    );
    assert_eq!(
        refused(Queue::builder().capacity(usize::MAX)),
        ErrorKind::InvalidInput
    );
    assert_eq!(
        refused(Queue::builder().max_deliveries(0)),
        ErrorKind::InvalidInput
    );
    assert_eq!(
        refused(Queue::builder().max_deliveries(128)),
        ErrorKind::InvalidInput
    );
    assert_eq!(refused(Queue::builder().name("x")), ErrorKind::InvalidInput);
    assert_eq!(
        Queue::<u64>::builder().create().unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    assert_eq!(
        Queue::<u64>::create("a/b").unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
}

#[test]
fn every_knob_at_once() {
    let queue = Queue::<String>::builder()
        .capacity(100)
        .message_size(33)
        .max_deliveries(127)
        .validation(Validation::Check)
        .huge_pages(true)
        .prefault(true)
        .anonymous()
        .unwrap();
    queue.put("x".repeat(1000)).unwrap();
    assert_eq!(queue.get().unwrap().len(), 1000);
}

#[test]
fn a_queue_travels_in_a_message() {
    let requests = Queue::<Request>::new(4).unwrap();
    let answers = Queue::<u64>::new(4).unwrap();
    requests
        .put(Request {
            question: "6 x 7".into(),
            answers: answers.clone(),
        })
        .unwrap();
    let request = requests.get_owned().unwrap();
    assert_eq!(request.question, "6 x 7");
    request.answers.put(42).unwrap();
    assert_eq!(answers.get_owned(), Ok(42));

    let queues = Queue::<Queue<u64>>::new(4).unwrap();
    queues.put(&answers).unwrap();
    queues.get_owned().unwrap().put(43).unwrap();
    assert_eq!(answers.get_owned(), Ok(43));
}

#[test]
fn what_is_put_infers() {
    let queue = Queue::<u64>::new(16).unwrap();
    queue.put(5).unwrap();
    for number in &[6, 7] {
        queue.put(number).unwrap();
    }
    queue.put(&*queue.get().unwrap()).unwrap();
    let queue = Queue::<f32>::new(16).unwrap();
    queue.put(0.5).unwrap();
    let queue = Queue::<Option<u8>>::new(16).unwrap();
    queue.put(Some(1)).unwrap();
    queue.put(None).unwrap();

    // The type follows from a later use.
    let queue = Queue::new(4).unwrap();
    queue.put("text").unwrap();
    let _: &Queue<String> = &queue;
}

#[test]
fn errors_speak_and_convert() {
    let queue = Queue::<u64>::new(1).unwrap();
    queue.close();
    let error: multiproc::Error = queue.put(1).unwrap_err().into();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::Closed, "the queue is closed")
    );
    let error = multiproc::Error::from(queue.get().unwrap_err());
    assert_eq!(error.kind(), ErrorKind::Closed);
}
