//! Shared objects as arguments of processes, and what their death does to the others.

use std::io::{BufRead, BufReader, Write};
use std::time::Duration;

use multiproc::process::Stdio;
use multiproc::{ErrorKind, GetError, Process, Producer, Queue};

/// Longer than anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

fn announce(line: &str) {
    std::io::stdout().write_all(line.as_bytes()).unwrap();
}

fn next_line(process: &Process<impl Sized>) -> String {
    let mut line = String::new();
    let stdout = process.take_stdout().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    line
}

fn forever() -> ! {
    loop {
        std::thread::park();
    }
}

#[test]
fn a_queue_is_the_same_on_both_sides() {
    fn answer(questions: Queue<u64>, answers: Queue<String>) -> multiproc::Result<()> {
        while let Ok(question) = questions.get_owned() {
            answers.put(format!("{question}!"))?;
        }
        Ok(())
    }
    let (questions, answers) = (Queue::new(4).unwrap(), Queue::new(4).unwrap());
    let process = Process::spawn(answer, (questions.clone(), answers.clone())).unwrap();
    for n in 0..100_u64 {
        questions.put(n).unwrap();
        assert_eq!(
            answers.get_owned_timeout(PATIENCE).unwrap(),
            format!("{n}!")
        );
    }
    questions.close();
    process.join().unwrap();
}

#[test]
fn what_the_parent_gives_up_reaches_the_child_all_the_same() {
    fn take(queue: Queue<u32>) -> multiproc::Result<u32> {
        Ok(queue.get_owned()?)
    }
    let processes: Vec<_> = (0..20)
        .map(|n| {
            let queue = Queue::new(1).unwrap();
            queue.put(n).unwrap();
            (n, Process::spawn(take, (queue,)).unwrap()) // the only handle
        })
        .collect();
    for (n, process) in processes {
        assert_eq!(process.join().unwrap(), n);
    }
}

#[test]
fn grandchildren_get_what_children_got() {
    fn pass_on(queue: Queue<u32>) -> multiproc::Result<()> {
        fn put(queue: Queue<u32>, n: u32) -> multiproc::Result<()> {
            Ok(queue.put(n)?)
        }
        Process::spawn(put, (queue, 7))?.join()
    }
    let queue = Queue::new(1).unwrap();
    Process::spawn(pass_on, (queue.clone(),))
        .unwrap()
        .join()
        .unwrap();
    assert_eq!(queue.get_owned_timeout(PATIENCE).unwrap(), 7);
}

#[test]
fn a_handle_can_be_part_of_the_value() {
    fn give_back(queue: Queue<u8>) -> multiproc::Result<Queue<u8>> {
        queue.put(5)?;
        Ok(queue)
    }
    let queue = Queue::new(1).unwrap();
    let same = Process::spawn(give_back, (queue.clone(),))
        .unwrap()
        .join()
        .unwrap();
    assert_eq!(same.get_owned_timeout(PATIENCE).unwrap(), 5);

    // An object that nobody holds any more is gone, with a typed error.
    let process = Process::spawn(|| Queue::<u8>::new(1), ()).unwrap();
    assert_eq!(process.join().unwrap_err().kind(), ErrorKind::Gone);
}

#[test]
fn a_role_does_not_lapse_on_the_way() {
    fn produce(queue: Producer<u32>, count: u32) -> multiproc::Result<()> {
        (0..count).try_for_each(|n| Ok(queue.put(n)?))
    }
    for round in 0..20 {
        let queue = Queue::new(4).unwrap();
        let producer = queue.producer().unwrap();
        let process = Process::spawn(produce, (producer, round)).unwrap();
        // Ends when the child's role does: no sooner, or messages were missing, and no later, or this would hang.
        let mut got = Vec::new();
        loop {
            match queue.get_owned() {
                Ok(n) => got.push(n),
                Err(GetError::Disconnected) => break,
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(got, (0..round).collect::<Vec<_>>());
        process.join().unwrap();
    }
}

#[test]
fn the_role_of_a_child_that_never_began_ends_with_it() {
    fn produce(_: Producer<u32>) {}
    let queue = Queue::<u32>::new(4).unwrap();
    let producer = queue.producer().unwrap();
    let nowhere = Process::builder().cwd("/no/such/place");
    assert!(nowhere.spawn(produce, (producer,)).is_err());
    assert_eq!(queue.get_owned().unwrap_err(), GetError::Disconnected);
}

#[test]
fn what_a_killed_child_held_is_there_again_once_its_end_is_seen() {
    fn hold(queue: Queue<u64>) -> multiproc::Result<()> {
        let _lease = queue.lease()?;
        let _guard = queue.get()?;
        announce("held\n");
        forever()
    }
    let queue = Queue::new(4).unwrap();
    queue.put(1_u64).unwrap();
    queue.put(2_u64).unwrap();
    let builder = Process::builder().stdout(Stdio::piped());
    let process = builder.spawn(hold, (queue.clone(),)).unwrap();
    assert_eq!(next_line(&process), "held\n");
    assert!(queue.try_get().is_err());
    process.kill().unwrap();
    assert_eq!(process.join().unwrap_err().kind(), ErrorKind::Signaled);
    let mut again = [
        queue.try_get_owned().unwrap(),
        queue.try_get_owned().unwrap(),
    ];
    again.sort_unstable();
    assert_eq!(again, [1, 2]);
}

#[test]
fn a_waiter_goes_on_when_the_holder_was_killed() {
    fn hold(queue: Queue<u64>) -> multiproc::Result<()> {
        let _guard = queue.get()?;
        announce("held\n");
        forever()
    }
    let queue = Queue::new(1).unwrap();
    queue.put(1_u64).unwrap();
    let builder = Process::builder().stdout(Stdio::piped());
    let process = builder.spawn(hold, (queue.clone(),)).unwrap();
    next_line(&process);
    let wait = |queue: Queue<u64>| Ok::<_, multiproc::Error>(queue.get_owned()?);
    let waiter = Process::spawn(wait, (queue.clone(),)).unwrap();
    process.kill().unwrap();
    process.child().wait().unwrap();
    assert_eq!(waiter.join_timeout(PATIENCE).unwrap(), 1);
}

#[test]
fn handing_objects_over_leaks_no_descriptor() {
    fn spawn_many() -> multiproc::Result<(usize, usize)> {
        fn touch(queue: Queue<u8>) -> u64 {
            queue.len() as u64
        }
        let count = || std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        let queue = Queue::new(1)?;
        Process::spawn(touch, (queue.clone(),))?.join()?;
        let before = count();
        for _ in 0..100 {
            let own = Queue::new(1)?;
            Process::spawn(touch, (queue.clone(),))?.join()?;
            Process::spawn(touch, (own,))?.join()?;
        }
        Ok((before, count()))
    }
    let (before, after) = Process::spawn(spawn_many, ()).unwrap().join().unwrap();
    assert_eq!(before, after);
}
