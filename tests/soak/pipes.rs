//! Two processes and three lanes between them: a connection, both ways at a time, and a split queue.

use std::thread;
use std::time::{Duration, Instant};

use multiproc::{
    Bytes, Connection, Pipe, Process, Queue, Receiver, RecvError, RecvIntoError, RecvTimeoutError,
    Result, SendTimeoutError, Sender, TryRecvError, TrySendError,
};

use crate::common::numbers::Random;
use crate::letters::{Progress, RING, Stream, Tally, Until, watch};
use crate::{collect, settle};

/// How long a call with an end waits before it is made again.
const WHILE: Duration = Duration::from_millis(2);

/// The streams: from here to there, from there to here, and through the queue.
const OUT: u64 = 1;
const HOME: u64 = 2;
const SPLIT: u64 = 3;

#[test]
fn all_letters_pass_a_pipe_and_a_split_queue() {
    let (near, far) = Pipe::builder().capacity(RING).pair().unwrap();
    let queue = Queue::<Bytes>::builder().capacity(50).message_size(1000);
    let (tx, rx) = queue.split().unwrap();
    let first = Process::spawn(here, (near, tx)).unwrap();
    let second = Process::spawn(there, (far, rx)).unwrap();
    let [(sent, received), (answered, arrived)]: [_; 2] =
        collect([first, second]).try_into().expect("two processes");
    settle("pipe, out", &sent[..1], &arrived[..1]);
    settle("pipe, home", &answered, &received);
    settle("split queue", &sent[1..], &arrived[1..]);
}

/// What a process sent, and what it received.
type Account = (Vec<Tally>, Vec<Tally>);

fn here(connection: Connection<Bytes, Bytes>, tx: Sender<Bytes>) -> Result<Account> {
    watch();
    let (sender, receiver) = connection.split();
    thread::scope(|scope| {
        let out = scope.spawn(|| send(sender, OUT));
        let split = scope.spawn(|| send(tx, SPLIT));
        let received = receive(receiver, HOME, "pipe, home")?;
        let sent = [out, split].map(|thread| thread.join().expect("no panic"));
        Ok((sent.into_iter().collect::<Result<_>>()?, vec![received]))
    })
}

fn there(connection: Connection<Bytes, Bytes>, rx: Receiver<Bytes>) -> Result<Account> {
    watch();
    let (sender, receiver) = connection.split();
    thread::scope(|scope| {
        let out = scope.spawn(|| receive(receiver, OUT, "pipe, out"));
        let split = scope.spawn(|| receive(rx, SPLIT, "split queue"));
        let sent = send(sender, HOME)?;
        let received = [out, split].map(|thread| thread.join().expect("no panic"));
        Ok((vec![sent], received.into_iter().collect::<Result<_>>()?))
    })
}

fn send(mut sender: Sender<Bytes>, number: u64) -> Result<Tally> {
    let stream = Stream::new(number, 0);
    let mut random = Random::new(100 + number);
    let mut tally = Tally::default();
    let until = Until::new();
    while !until.is_over(tally.letters) {
        let first = tally.letters;
        let count = send_some(&mut sender, &stream, first, &mut random)?;
        for letter in first..first + count {
            tally.count(number, letter, stream.len(letter));
        }
    }
    Ok(tally)
}

/// Sends the letter `next`, or some from that on, by a verb at random; how many.
fn send_some(
    sender: &mut Sender<Bytes>,
    stream: &Stream,
    next: u64,
    random: &mut Random,
) -> Result<u64> {
    let len = stream.len(next);
    match random.below(8) {
        0 => sender.send(stream.letter(next))?,
        1 => match sender.try_send(stream.letter(next)) {
            Err(TrySendError::Full) => sender.send(stream.letter(next))?,
            done => done?,
        },
        2 => again(|| sender.send_timeout(stream.letter(next), WHILE))?,
        3 => again(|| sender.send_deadline(stream.letter(next), Instant::now() + WHILE))?,
        4 => {
            let mut place = sender.claim(len)?;
            stream.write(next, &mut place);
            place.commit()?;
        }
        5 => {
            let mut place = sender.claim(len + random.below(5000) as usize)?;
            place.fill(0xff);
            stream.write(next, &mut place[..len]);
            place.commit_first(len)?;
        }
        6 => {
            if let Ok(mut dropped) = sender.try_claim(len) {
                dropped.fill(0xff);
            }
            return Ok(0);
        }
        _ => {
            let count = 1 + random.below(20);
            let letters = (next..next + count).map(|letter| stream.letter(letter));
            return Ok(sender.send_many(letters)? as u64);
        }
    }
    Ok(1)
}

/// Makes the call until there is room.
fn again(mut call: impl FnMut() -> Result<(), SendTimeoutError>) -> Result<()> {
    loop {
        match call() {
            Err(SendTimeoutError::Timeout) => {}
            done => return Ok(done?),
        }
    }
}

/// A receiver, and what it has received.
struct Reader {
    receiver: Receiver<Bytes>,
    stream: Stream,
    number: u64,
    tally: Tally,
}

fn receive(receiver: Receiver<Bytes>, number: u64, what: &'static str) -> Result<Tally> {
    let mut reader = Reader {
        receiver,
        stream: Stream::new(number, 0),
        number,
        tally: Tally::default(),
    };
    let mut random = Random::new(200 + number);
    let mut progress = Progress::new(what);
    let mut buffer = vec![0; 8 << 20];
    while reader.receive_some(&mut random, &mut buffer)? {
        progress.tell(&reader.tally);
    }
    Ok(reader.tally)
}

impl Reader {
    /// Receives letters by a verb at random; `false` once there are no more.
    fn receive_some(&mut self, random: &mut Random, buffer: &mut [u8]) -> Result<bool> {
        let (receiver, tally) = (&self.receiver, &mut self.tally);
        let mut check = |bytes: &[u8]| -> Result<()> {
            self.stream.check(tally.letters, bytes)?;
            tally.count(self.number, tally.letters, bytes.len());
            Ok(())
        };
        match random.below(9) {
            0 => match receiver.recv() {
                Ok(letter) => check(&letter)?,
                end => return over(end.map(drop)),
            },
            1 => match receiver.try_recv() {
                Ok(letter) => check(&letter)?,
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return Ok(false),
                Err(error) => return Err(error.into()),
            },
            2 => match receiver.recv_timeout(WHILE) {
                Ok(letter) => check(&letter)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(false),
                Err(error) => return Err(error.into()),
            },
            3 => match receiver.recv_owned() {
                Ok(letter) => check(&letter)?,
                end => return over(end.map(drop)),
            },
            4 => match receiver.try_recv_owned() {
                Ok(letter) => check(&letter)?,
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => {}
                Err(error) => return Err(error.into()),
            },
            5 => {
                let short = random.below(300) as usize;
                let read = match receiver.recv_into(&mut buffer[..short]) {
                    Err(RecvIntoError::TooShort { .. }) => receiver.recv_into(buffer),
                    done => done,
                };
                match read {
                    Ok(len) => check(&buffer[..len])?,
                    Err(RecvIntoError::Recv(error)) => return over(Err(error)),
                    Err(error) => return Err(error.into()),
                }
            }
            6 => {
                for letter in receiver.drain().take(random.below(100) as usize) {
                    check(&letter)?;
                }
            }
            7 => {
                let held: Vec<_> = receiver.drain().take(random.below(6) as usize).collect();
                for letter in &held {
                    check(letter)?;
                }
            }
            _ => match receiver.recv() {
                Ok(letter) => letter.give_back(),
                end => return over(end.map(drop)),
            },
        }
        Ok(true)
    }
}

/// Whether the end is one that follows the last letter: `false`, or an error.
fn over(end: Result<(), RecvError>) -> Result<bool> {
    match end {
        Err(RecvError::Disconnected) => Ok(false),
        end => Ok(end.map(|()| true)?),
    }
}
