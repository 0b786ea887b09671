//! Queues between processes: as arguments, in messages, with roles, and over a death.

use std::time::Duration;

use multiproc::{
    Bytes, Consumer, GetError, GetTimeoutError, Process, Producer, PutError, Queue, Result,
};

multiproc::message! {
    struct Question {
        text: String,
        answers: Queue<String>,
    }
}

/// Longer than anything here takes, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn answer(questions: Queue<Question>) -> Result<()> {
    for question in &questions {
        let question = question.to_owned()?;
        question.answers.put(format!("{}? yes", question.text))?;
    }
    Ok(())
}

#[test]
fn a_child_answers_on_the_queue_that_came_with_the_question() {
    let questions = Queue::new(4).unwrap();
    let child = Process::spawn(answer, (questions.clone(),)).unwrap();
    let answers = Queue::new(4).unwrap();
    for text in [
        "really",
        "a long question that does not fit a pointer's room",
    ] {
        let question = Question {
            text: text.into(),
            answers: answers.clone(),
        };
        questions.put(question).unwrap();
        assert_eq!(answers_in(&answers), format!("{text}? yes"));
    }
    questions.close();
    child.join().unwrap();
}

fn answers_in(answers: &Queue<String>) -> String {
    answers.get_owned_timeout(PATIENCE).unwrap()
}

fn produce(numbers: Producer<u64>, from: u64) -> Result<()> {
    numbers.put_many(from..from + 1000)?;
    Ok(())
}

#[test]
fn the_readers_learn_when_the_last_producing_child_is_done() {
    let queue = Queue::new(16).unwrap();
    let producer = queue.producer().unwrap();
    let children: Vec<_> = (0..3)
        .map(|i| Process::spawn(produce, (producer.clone(), i * 1000)).unwrap())
        .collect();
    drop(producer);
    let mut seen: Vec<u64> = queue.iter().map(|m| m.to_native()).collect();
    assert_eq!(queue.get().unwrap_err(), GetError::Disconnected);
    seen.sort_unstable();
    assert!(seen.into_iter().eq(0..3000));
    for child in children {
        child.join().unwrap();
    }
}

fn consume_one(numbers: Consumer<u64>, started: Queue<()>) -> Result<u64> {
    let number = numbers.get_owned()?;
    started.put(())?;
    Ok(number)
}

#[test]
fn the_writers_learn_when_the_last_consuming_child_is_done() {
    let queue = Queue::new(1).unwrap();
    let started = Queue::new(1).unwrap();
    let consumer = queue.consumer().unwrap();
    let child = Process::spawn(consume_one, (consumer, started.clone())).unwrap();
    queue.put(5).unwrap();
    started.get_owned_timeout(PATIENCE).unwrap();
    // One fits, the next one waits for a reader who will not come.
    assert_eq!(queue.put_many(0..).unwrap_err(), PutError::Disconnected);
    assert_eq!(child.join().unwrap(), 5);
}

fn hold(jobs: Queue<String>, holding: Queue<u64>) -> Result<()> {
    let guard = jobs.get()?;
    let lease = jobs.lease()?;
    holding.put(guard.id())?;
    holding.put(lease.id())?;
    loop {
        std::thread::park();
    }
}

#[test]
fn what_a_killed_child_held_is_delivered_again() {
    let jobs = Queue::<String>::new(4).unwrap();
    let holding = Queue::new(4).unwrap();
    jobs.put("read in place").unwrap();
    jobs.put("leased").unwrap();
    let child = Process::spawn(hold, (jobs.clone(), holding.clone())).unwrap();
    let mut held: Vec<u64> = (0..2)
        .map(|_| holding.get_owned_timeout(PATIENCE).unwrap())
        .collect();
    child.kill().unwrap();
    let mut again = Vec::new();
    for _ in 0..2 {
        let job = jobs.lease_timeout(PATIENCE).unwrap();
        assert_eq!(job.delivery_count(), 2);
        again.push(job.id());
        job.ack();
    }
    held.sort_unstable();
    again.sort_unstable();
    assert_eq!(again, held);
    jobs.join();
    assert_eq!(jobs.stats().redelivered, 2);
    assert!(child.join().is_err());
}

fn sum(blobs: Queue<Bytes>) -> Result<u64> {
    let mut sum = 0;
    for blob in &blobs {
        sum += blob.iter().map(|&b| u64::from(b)).sum::<u64>();
    }
    Ok(sum)
}

#[test]
fn long_messages_cross_in_place() {
    let blobs = Queue::<Bytes>::new(2).unwrap();
    let child = Process::spawn(sum, (blobs.clone(),)).unwrap();
    let mut expected = 0;
    for len in [0, 1, 1000, 100_000, 64 << 20] {
        let mut claim = blobs.claim(len).unwrap();
        claim.fill(3);
        claim.commit();
        expected += 3 * len as u64;
    }
    blobs.close();
    assert_eq!(child.join().unwrap(), expected);
}

fn put_by_name(name: String) -> Result<()> {
    let queue = Queue::<u64>::open(name)?;
    queue.put(7)?;
    queue.join();
    Ok(())
}

#[test]
fn a_named_queue_is_found_by_name() {
    let name = format!("test-queue-family-{}", std::process::id());
    let queue = Queue::<u64>::create(&name).unwrap();
    let child = Process::spawn(put_by_name, (name.clone(),)).unwrap();
    assert_eq!(queue.get_owned_timeout(PATIENCE), Ok(7));
    child.join().unwrap();
    drop(queue);
    assert!(Queue::<u64>::open(&name).is_err());
}

fn poison(jobs: Queue<String>) -> Result<()> {
    let _job = jobs.lease()?;
    std::process::abort()
}

#[test]
fn a_message_that_ends_its_readers_ends_in_the_dead_letters() {
    let jobs = Queue::<String>::builder()
        .max_deliveries(3)
        .anonymous()
        .unwrap();
    jobs.put("poison").unwrap();
    for _ in 0..3 {
        assert!(
            Process::spawn(poison, (jobs.clone(),))
                .unwrap()
                .join()
                .is_err()
        );
    }
    jobs.put("food").unwrap();
    assert_eq!(&*jobs.get_timeout(PATIENCE).unwrap(), "food");
    assert_eq!(
        jobs.get_timeout(Duration::from_millis(50)).unwrap_err(),
        GetTimeoutError::Timeout
    );
    let letters = jobs.dead_letters();
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (&*letters[0] as &str, letters[0].delivery_count()),
        ("poison", 3)
    );
}

/// Forks with two leases in hand; the child lets go of its copies of both.
fn fork_with_leases(jobs: Queue<String>) -> Result<bool> {
    let (one, other) = (jobs.lease()?, jobs.lease()?);
    // SAFETY: the child drops what it has of the leases, which waits for no other thread.
    let child = unsafe { libc::fork() };
    if child == 0 {
        drop(one);
        other.ack();
        // SAFETY: ends the child.
        unsafe { libc::_exit(0) };
    }
    let mut status = -1;
    // SAFETY: the child is ours, and `status` is writable.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    let is_nobodys = jobs.try_get().is_err();
    one.ack();
    other.give_back();
    Ok(status == 0 && is_nobodys && jobs.try_get().is_ok_and(|job| &*job == "other"))
}

#[test]
fn a_forked_child_neither_ends_nor_gives_back_its_parents_leases() {
    let jobs = Queue::<String>::new(4).unwrap();
    jobs.put("one").unwrap();
    jobs.put("other").unwrap();
    let forks = Process::spawn(fork_with_leases, (jobs,)).unwrap();
    assert!(forks.join().unwrap());
}

/// Forks with a message in hand and a place claimed; the child lets go of its copies of both.
fn fork_between(jobs: Queue<u64>) -> Result<bool> {
    let one = jobs.get()?;
    let mut place = jobs.claim_value(2)?;
    // SAFETY: the child drops what it has of the queue, which waits for no other thread.
    let child = unsafe { libc::fork() };
    if child == 0 {
        drop(one);
        drop(place);
        // SAFETY: ends the child.
        unsafe { libc::_exit(0) };
    }
    let mut status = -1;
    // SAFETY: the child is ours, and `status` is writable.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    let is_full = jobs.try_put(3).is_err() && one.to_native() == 1;
    *place = 4.into();
    place.commit();
    one.ack();
    Ok(status == 0 && is_full && jobs.get_owned()? == 4)
}

#[test]
fn a_forked_child_changes_nothing_by_letting_go_of_its_parents_guards() {
    let jobs = Queue::<u64>::new(2).unwrap();
    jobs.put(1).unwrap();
    let forks = Process::spawn(fork_between, (jobs,)).unwrap();
    assert!(forks.join().unwrap());
}
