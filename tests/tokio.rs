//! Queues, pipes, events and processes awaited in a runtime (feature `tokio`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use multiproc::{
    Async, Condition, ConditionGuard, Connection, Consumer, ErrorKind, Event, GetError, Pipe,
    Process, Queue, Receiver, RecvError, Waiter,
};
use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinSet, yield_now};
use tokio::time::timeout;

#[path = "common/numbers.rs"]
#[allow(dead_code, reason = "each suite uses its own part of this")]
mod numbers;

use numbers::Random;

/// Far more than a slice: what takes so long was lost.
const LONG: Duration = Duration::from_secs(20);

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn threads() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(3).enable_all().build().unwrap()
}

/// Runs `test` in a runtime of either sort; it must end in time.
fn in_both<F: Future<Output = ()>>(test: impl Fn() -> F) {
    for runtime in [one_thread(), threads()] {
        let test = async { timeout(LONG, test()).await.expect("nothing is lost") };
        runtime.block_on(test);
    }
}

/// The compiler's word that a future can be spawned.
fn sendable<F: Future + Send>(future: F) -> F {
    future
}

/// Lets the other tasks run until those that wait are asleep; whatever is still awake is a case of its own.
async fn settle() {
    for _ in 0..200 {
        yield_now().await;
    }
}

#[test]
fn outside_of_a_runtime_is_an_error() {
    let error = Async::new(Event::new().unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn what_is_there_is_given_at_once() {
    in_both(|| async {
        let queue = Async::new(Queue::<String>::new(8).unwrap()).unwrap();
        queue.put_many(["in place", "owned", "leased"]).unwrap();
        assert_eq!(&*sendable(queue.get()).await.unwrap(), "in place");
        assert_eq!(sendable(queue.get_owned()).await.unwrap(), "owned");
        queue.lease().await.unwrap().ack();
        assert!(queue.is_empty());
        let (sender, receiver) = Pipe::<u64, ()>::one_way().unwrap();
        let mut receiver = Async::new(receiver).unwrap();
        sender.send_many([1, 2]).unwrap();
        assert_eq!(receiver.recv().await.unwrap().to_native(), 1);
        assert_eq!(sendable(receiver.recv_owned()).await, Ok(2));
        let event = Async::new(Event::new().unwrap()).unwrap();
        event.set();
        sendable(event.wait()).await;
        event.ready().await;
    });
}

fn serve(questions: Receiver<u64>, queue: Queue<u64>, event: Event, back: Connection<u64, ()>) {
    for question in questions.iter().map(|question| question.to_native()) {
        match question % 3 {
            0 => queue.put(question).unwrap(),
            1 => event.set(),
            _ => back.send(question).unwrap(),
        }
    }
}

/// Each answer comes after its question, and half of them after the task has gone to sleep.
#[test]
fn another_process_wakes_each_verb() {
    in_both(|| async {
        let (ask, asked) = Pipe::<u64, ()>::one_way().unwrap();
        let (queue, event) = (Queue::<u64>::new(4).unwrap(), Event::new().unwrap());
        let (near, far) = Pipe::<(), u64>::new().unwrap();
        let given = (asked, queue.clone(), event.clone(), far);
        let child = Async::new(Process::spawn(serve, given).unwrap()).unwrap();
        let (queue, event) = (Async::new(queue).unwrap(), Async::new(event).unwrap());
        let mut near = Async::new(near).unwrap();
        for round in 0..300 {
            ask.send(round).unwrap();
            match round % 3 {
                0 if round % 2 == 0 => assert_eq!(queue.get_owned().await, Ok(round)),
                0 => assert_eq!(queue.get().await.unwrap().to_native(), round),
                1 => {
                    event.wait().await;
                    event.clear();
                }
                _ if round % 2 == 0 => assert_eq!(near.recv_owned().await, Ok(round)),
                _ => assert_eq!(near.recv().await.unwrap().to_native(), round),
            }
        }
        drop(ask);
        child.join().await.unwrap();
    });
}

#[test]
fn a_sleeping_task_is_woken_by_each_verb() {
    in_both(|| async {
        let queue = Arc::new(Async::new(Queue::<u64>::new(4).unwrap()).unwrap());
        let consumer = Async::new(queue.consumer().unwrap()).unwrap();
        let mut leasing = JoinSet::new();
        leasing.spawn(async move { consumer.lease().await.unwrap().ack() });
        settle().await;
        queue.put(1).unwrap();
        leasing.join_next().await.unwrap().unwrap();

        let (sender, receiver) = Pipe::<u64, ()>::one_way().unwrap();
        let mut receiver = Async::new(receiver).unwrap();
        let mut receiving = JoinSet::new();
        receiving.spawn(async move {
            receiver.ready_mut().await;
            receiver.try_recv_owned().unwrap()
        });
        settle().await;
        sender.send(2).unwrap();
        assert_eq!(receiving.join_next().await.unwrap().unwrap(), 2);
    });
}

fn end(how: u64) -> u64 {
    if how == 1 {
        std::process::abort();
    }
    how
}

#[test]
fn children_are_joined() {
    in_both(|| async {
        for how in [0, 1] {
            let child = Async::new(Process::spawn(end, (how,)).unwrap()).unwrap();
            child.ready().await;
            assert_eq!(child.join().await.ok(), (how == 0).then_some(0));
        }
        // Many at once, each awaited by a task of its own.
        let mut children = JoinSet::new();
        for how in 2..10 {
            let child = Async::new(Process::spawn(end, (how,)).unwrap()).unwrap();
            children.spawn(async move { child.join().await.unwrap() });
        }
        assert_eq!(children.join_all().await.iter().sum::<u64>(), 44);
    });
}

#[test]
fn ends_wake_those_who_wait() {
    in_both(|| async {
        let queue = Async::new(Queue::<u64>::new(4).unwrap()).unwrap();
        let producer = queue.producer().unwrap();
        let (none, ()) = tokio::join!(queue.get_owned(), async {
            settle().await;
            drop(producer);
        });
        assert_eq!(none, Err(GetError::Disconnected));
        let closed = Async::new(Queue::<u64>::new(4).unwrap()).unwrap();
        let (none, ()) = tokio::join!(closed.get(), async {
            settle().await;
            closed.close();
        });
        assert_eq!(none.unwrap_err(), GetError::Closed);
        let (sender, receiver) = Pipe::<u64, ()>::one_way().unwrap();
        let mut receiver = Async::new(receiver).unwrap();
        let (none, ()) = tokio::join!(receiver.recv(), async {
            settle().await;
            drop(sender);
        });
        assert_eq!(none.unwrap_err(), RecvError::Disconnected);
    });
}

fn hold(_connection: Connection<u64, u64>, queue: Queue<u64>, ready: Event) {
    let _held = queue.get().unwrap();
    ready.set();
    loop {
        thread::park();
    }
}

#[test]
fn the_death_of_a_peer_is_told() {
    in_both(|| async {
        let (near, far) = Pipe::<u64, u64>::new().unwrap();
        let (queue, ready) = (Queue::<u64>::new(2).unwrap(), Event::new().unwrap());
        queue.put(5).unwrap();
        let child = Process::spawn(hold, (far, queue.clone(), ready.clone())).unwrap();
        Async::new(ready).unwrap().wait().await;
        let (mut near, queue) = (Async::new(near).unwrap(), Async::new(queue).unwrap());
        let child = Async::new(child).unwrap();
        let pid = child.pid().unsigned_abs();
        let (told, again, ()) = tokio::join!(near.recv_owned(), queue.get_owned(), async {
            settle().await;
            child.kill().unwrap();
        });
        assert_eq!(told, Err(RecvError::PeerDied { pid }));
        assert_eq!(again, Ok(5), "what the dead held");
        assert!(child.join().await.is_err());
    });
}

fn set_all(events: Vec<Event>, go: Event) {
    go.wait();
    events.iter().for_each(Event::set);
}

#[test]
fn a_thousand_events_are_awaited_at_once() {
    in_both(|| async {
        let events: Vec<_> = (0..1000).map(|_| Event::new().unwrap()).collect();
        let go = Event::new().unwrap();
        let child = Process::spawn(set_all, (events.clone(), go.clone())).unwrap();
        let mut waiting = JoinSet::new();
        for event in events {
            let event = Async::new(event).unwrap();
            waiting.spawn(async move { event.wait().await });
        }
        settle().await;
        go.set();
        assert_eq!(waiting.join_all().await.len(), 1000);
        Async::new(child).unwrap().join().await.unwrap();
    });
}

/// A pulse lets everybody through who had begun to wait.
#[test]
fn pulses_reach_every_task() {
    in_both(|| async {
        let event = Arc::new(Async::new(Event::new().unwrap()).unwrap());
        for _ in 0..200 {
            let mut waiting = JoinSet::new();
            let begun = Arc::new(AtomicU64::new(0));
            for _ in 0..6 {
                let (event, begun) = (Arc::clone(&event), Arc::clone(&begun));
                waiting.spawn(async move {
                    let mut wait = Box::pin(event.wait());
                    let first = std::future::poll_fn(|context| {
                        std::task::Poll::Ready(wait.as_mut().poll(context))
                    });
                    assert!(first.await.is_pending());
                    begun.fetch_add(1, Relaxed);
                    wait.await;
                });
            }
            while begun.load(Relaxed) < 6 {
                yield_now().await;
            }
            event.set();
            event.clear();
            waiting.join_all().await;
        }
    });
}

fn put_all(queue: Queue<u64>, from: u64, count: u64) {
    let mut random = Random::new(from + 7);
    for number in from..from + count {
        queue.put(number).unwrap();
        // Now and then those who get have time to fall asleep.
        for _ in 0..random.below(40).saturating_sub(34) * 20 {
            thread::yield_now();
        }
    }
}

/// Gets by all verbs until the queue has ended; gives up waiting, at random times.
async fn get_impatiently(queue: Arc<Async<Queue<u64>>>, mut random: Random) -> Vec<u64> {
    let mut got = Vec::new();
    loop {
        let patience = Duration::from_micros(random.below(1500));
        let message = match random.below(4) {
            0 => queue.get_owned().await,
            1 => match timeout(patience, queue.get_owned()).await {
                Ok(message) => message,
                Err(_) => continue,
            },
            2 => tokio::select! {
                biased;
                message = queue.get() => message.map(|message| message.to_native()),
                () = turns(random.below(30)) => continue,
            },
            _ => match timeout(patience, queue.lease()).await {
                Ok(lease) => lease.map(|lease| {
                    let number = lease.to_native();
                    lease.ack();
                    number
                }),
                Err(_) => continue,
            },
        };
        match message {
            Ok(number) => got.push(number),
            Err(GetError::Disconnected) => return got,
            Err(error) => panic!("{error}"),
        }
    }
}

async fn turns(count: u64) {
    for _ in 0..count {
        yield_now().await;
    }
}

/// No message is lost or doubled, and nobody sleeps on: the tasks end with the last of the producers.
#[test]
fn dropped_futures_lose_nothing() {
    const EACH: u64 = 4_000;
    let rounds = numbers::size("MULTIPROC_ROUNDS", 2);
    for (round, runtime) in (0..rounds).flat_map(|n| [(n, one_thread()), (n, threads())]) {
        runtime.block_on(async {
            let queue = Queue::<u64>::new(64).unwrap();
            let producer = queue.producer().unwrap();
            let putters = [0, EACH].map(|from| {
                let given = (queue.clone(), from, EACH);
                Async::new(Process::spawn(put_all, given).unwrap()).unwrap()
            });
            let queue = Arc::new(Async::new(queue).unwrap());
            let mut getting = JoinSet::new();
            for task in 0..20 {
                let random = Random::new(round * 100 + task);
                getting.spawn(sendable(get_impatiently(Arc::clone(&queue), random)));
            }
            for putter in putters {
                timeout(LONG, putter.join())
                    .await
                    .expect("nobody sleeps on")
                    .unwrap();
            }
            drop(producer);
            let got = timeout(LONG, getting.join_all()).await;
            let mut got = got.expect("nobody sleeps on").concat();
            got.sort_unstable();
            assert!(
                got.iter().copied().eq(0..2 * EACH),
                "{} of {}",
                got.len(),
                2 * EACH
            );
        });
    }
}

fn send_all(connection: Connection<u64, ()>, count: u64) {
    let mut random = Random::new(count);
    for number in 0..count {
        connection.send(number).unwrap();
        for _ in 0..random.below(40).saturating_sub(34) * 20 {
            thread::yield_now();
        }
    }
}

#[test]
fn a_reader_that_gives_up_receives_all_in_order() {
    const COUNT: u64 = 20_000;
    in_both(|| async {
        let (near, far) = Pipe::<(), u64>::new().unwrap();
        let child = Async::new(Process::spawn(send_all, (far, COUNT)).unwrap()).unwrap();
        let mut near = Async::new(near).unwrap();
        let mut random = Random::new(3);
        let mut next = 0;
        loop {
            let patience = Duration::from_micros(random.below(300));
            let answer = match random.below(3) {
                0 => timeout(patience, near.recv_owned()).await,
                1 => Ok(near.recv_owned().await),
                _ => {
                    let message = timeout(patience, near.recv()).await;
                    message.map(|message| message.map(|message| message.to_native()))
                }
            };
            match answer {
                Ok(Ok(number)) => assert_eq!(number, next),
                Ok(Err(end)) => break assert_eq!(end, RecvError::Disconnected),
                Err(_) => continue,
            }
            next += 1;
        }
        assert_eq!(next, COUNT);
        child.join().await.unwrap();
    });
}

/// One message wakes one task; the others sleep on, and each later message finds one of them.
#[test]
fn as_many_tasks_end_as_there_are_messages() {
    in_both(|| async {
        let queue = Queue::<u64>::new(64).unwrap();
        let consumer: Consumer<u64> = queue.consumer().unwrap();
        let consumer = Arc::new(Async::new(consumer).unwrap());
        let mut getting = JoinSet::new();
        for _ in 0..50 {
            let consumer = Arc::clone(&consumer);
            getting.spawn(async move { consumer.get_owned().await.unwrap() });
        }
        for number in 0..50 {
            if number % 3 == 0 {
                settle().await;
            }
            queue.put(number).unwrap();
        }
        let mut got = getting.join_all().await;
        got.sort_unstable();
        assert!(got.into_iter().eq(0..50));
    });
}

/// A stream that never ends leaves turns to the other tasks of its thread.
#[test]
fn a_busy_stream_lets_others_run() {
    one_thread().block_on(async {
        let queue = Async::new(Queue::<u64>::new(4).unwrap()).unwrap();
        let other = tokio::spawn(yield_now());
        while !other.is_finished() {
            queue.put(1).unwrap();
            assert_eq!(queue.get_owned().await, Ok(1));
        }
    });
}

/// No permit is worth as much.
const END: u64 = u64::MAX;

fn give_one_by_one(stock: Condition<u64>, taken: Queue<u64>) {
    for _ in 0..100 {
        *stock.lock().unwrap() += 1;
        stock.notify_one();
        drop(taken.get_timeout(LONG).unwrap());
    }
    *stock.lock().unwrap() = END;
    stock.notify_all();
}

fn take_all<'c>(mut guard: ConditionGuard<'c, u64>, taken: &Queue<u64>) -> Option<Waiter<'c, u64>> {
    if *guard == END {
        return None;
    }
    while *guard > 0 {
        *guard -= 1;
        taken.put(1).unwrap();
    }
    Some(guard.register().unwrap())
}

async fn take_until_the_end(stock: Condition<u64>, taken: Queue<u64>) {
    let mut registered = take_all(stock.lock().unwrap(), &taken);
    while let Some(waiter) = registered {
        let waiter = Async::new(waiter).unwrap();
        waiter.ready().await;
        registered = take_all(waiter.lock().unwrap(), &taken);
    }
}

/// Each task in a place of its own; what is given by another process is taken by one of them each time.
#[test]
fn conditions_are_awaited_by_registered_waiters() {
    in_both(|| async {
        let (stock, taken) = (Condition::new(0).unwrap(), Queue::new(4).unwrap());
        let mut tasks = JoinSet::new();
        for _ in 0..3 {
            tasks.spawn(sendable(take_until_the_end(stock.clone(), taken.clone())));
        }
        settle().await;
        let child = Process::spawn(give_one_by_one, (stock.clone(), taken.clone())).unwrap();
        Async::new(child).unwrap().join().await.unwrap();
        tasks.join_all().await;
        assert!(!stock.notify_one());
    });
}
