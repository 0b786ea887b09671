//! A queue from one process to one other, whose order is checked, and one of two producers and two consumers.

use std::time::{Duration, Instant};

use multiproc::{
    Bytes, Consumer, GetError, GetTimeoutError, Process, Producer, PutTimeoutError, Queue, Result,
    TryGetError, TryPutError,
};

use crate::common::numbers::Random;
use crate::letters::{HEAD, Progress, Stream, Tally, Until, address, watch};
use crate::{collect, settle};

/// How long a call with an end waits before it is made again.
const WHILE: Duration = Duration::from_millis(2);

/// The streams: of the one producer, and of two.
const ALONE: u64 = 11;
const CROWD: [u64; 2] = [12, 13];

#[test]
fn all_letters_pass_a_queue() {
    let queue = |capacity| {
        let builder = Queue::<Bytes>::builder().message_size(1000);
        builder.capacity(capacity).anonymous().unwrap()
    };
    let (alone, crowd) = (queue(50), queue(100));
    let producers: Vec<_> = [
        (&alone, ALONE, 0),
        (&crowd, CROWD[0], HEAD),
        (&crowd, CROWD[1], HEAD),
    ]
    .into_iter()
    .map(|(queue, number, least)| {
        Process::spawn(put, (queue.producer().unwrap(), number, least as u64)).unwrap()
    })
    .collect();
    let consumers: Vec<_> = [
        (&alone, vec![ALONE]),
        (&crowd, CROWD.into()),
        (&crowd, CROWD.into()),
    ]
    .into_iter()
    .zip(200..)
    .map(|((queue, numbers), role)| {
        Process::spawn(get, (queue.consumer().unwrap(), numbers, role)).unwrap()
    })
    .collect();
    let all = collect(producers.into_iter().chain(consumers));
    let (sent, received) = all.split_at(3);
    settle("queue", &sent[..1], &received[..1]);
    settle("queue of a crowd", &sent[1..], &received[1..]);
}

fn put(producer: Producer<Bytes>, number: u64, least: u64) -> Result<Tally> {
    watch();
    let stream = Stream::new(number, least as usize);
    let mut random = Random::new(100 + number);
    let mut tally = Tally::default();
    let until = Until::new();
    while !until.is_over(tally.letters) {
        let first = tally.letters;
        let count = put_some(&producer, &stream, first, &mut random)?;
        for letter in first..first + count {
            tally.count(number, letter, stream.len(letter));
        }
    }
    Ok(tally)
}

/// Puts the letter `next`, or some from that on, by a verb at random; how many.
fn put_some(
    producer: &Producer<Bytes>,
    stream: &Stream,
    next: u64,
    random: &mut Random,
) -> Result<u64> {
    let len = stream.len(next);
    match random.below(7) {
        0 => producer.put(stream.letter(next))?,
        1 => match producer.try_put(stream.letter(next)) {
            Err(TryPutError::Full) => producer.put(stream.letter(next))?,
            done => done?,
        },
        2 => again(|| producer.put_timeout(stream.letter(next), WHILE))?,
        3 => again(|| producer.put_deadline(stream.letter(next), Instant::now() + WHILE))?,
        4 => {
            let mut place = producer.claim(len)?;
            stream.write(next, &mut place);
            place.commit();
        }
        5 => {
            if let Ok(mut dropped) = producer.try_claim(len) {
                dropped.fill(0xff);
            }
            return Ok(0);
        }
        _ => {
            let count = 1 + random.below(20);
            let letters = (next..next + count).map(|letter| stream.letter(letter));
            return Ok(producer.put_many(letters)? as u64);
        }
    }
    Ok(1)
}

/// Makes the call until there is room.
fn again(mut call: impl FnMut() -> Result<(), PutTimeoutError>) -> Result<()> {
    loop {
        match call() {
            Err(PutTimeoutError::Timeout) => {}
            done => return Ok(done?),
        }
    }
}

/// What a consumer has got of each stream.
struct Reader {
    streams: Vec<(u64, Stream)>,
    /// The number that the next letter of each has at least; exactly, where this is the only consumer.
    next: Vec<u64>,
    tally: Tally,
}

fn get(consumer: Consumer<Bytes>, numbers: Vec<u64>, role: u64) -> Result<Tally> {
    watch();
    let (least, what) = match numbers.len() {
        1 => (0, "queue"),
        _ => (HEAD, "queue of a crowd"),
    };
    let mut random = Random::new(role);
    let mut progress = Progress::new(what);
    let streams = numbers.iter().map(|&n| (n, Stream::new(n, least)));
    let mut reader = Reader {
        streams: streams.collect(),
        next: vec![0; numbers.len()],
        tally: Tally::default(),
    };
    while reader.get_some(&consumer, &mut random)? {
        progress.tell(&reader.tally);
    }
    Ok(reader.tally)
}

impl Reader {
    /// A letter of the only stream is the next; of several streams each is one behind the last.
    fn check(&mut self, bytes: &[u8]) -> Result<()> {
        let said = address(bytes);
        let known = said.and_then(|(n, _)| self.streams.iter().position(|(known, _)| *known == n));
        let index = known.unwrap_or(0);
        let (number, stream) = &self.streams[index];
        let letter = match said {
            Some((_, letter)) if self.streams.len() > 1 => letter,
            _ => self.next[index],
        };
        stream.check(letter, bytes)?;
        if letter < self.next[index] {
            return Err(stream.wrong(letter, "out of order, or again"));
        }
        self.next[index] = letter + 1;
        self.tally.count(*number, letter, bytes.len());
        Ok(())
    }

    /// Gets letters by a verb at random; `false` once there are no more.
    fn get_some(&mut self, consumer: &Consumer<Bytes>, random: &mut Random) -> Result<bool> {
        match random.below(8) {
            0 => match consumer.get() {
                Ok(letter) => self.check(&letter)?,
                Err(error) => return over(error),
            },
            1 => match consumer.try_get() {
                Ok(letter) => self.check(&letter)?,
                Err(TryGetError::Empty) => {}
                Err(TryGetError::Disconnected) => return Ok(false),
                Err(error) => return Err(error.into()),
            },
            2 => match consumer.get_timeout(WHILE) {
                Ok(letter) => self.check(&letter)?,
                Err(GetTimeoutError::Timeout) => {}
                Err(GetTimeoutError::Disconnected) => return Ok(false),
                Err(error) => return Err(error.into()),
            },
            3 => match consumer.get_owned() {
                Ok(letter) => self.check(&letter)?,
                Err(error) => return over(error),
            },
            4 => match consumer.lease() {
                Ok(letter) => {
                    self.check(&letter)?;
                    letter.ack();
                }
                Err(error) => return over(error),
            },
            5 => match consumer.get_many(1 + random.below(10) as usize) {
                Ok(letters) => letters.iter().try_for_each(|letter| self.check(letter))?,
                Err(error) => return over(error),
            },
            6 => {
                for letter in consumer.try_iter().take(random.below(50) as usize) {
                    self.check(&letter)?;
                }
            }
            _ => match consumer.get() {
                Ok(letter) => {
                    let lease = letter.detach();
                    self.check(&lease)?;
                    lease.ack();
                }
                Err(error) => return over(error),
            },
        }
        Ok(true)
    }
}

/// Whether this is the end that follows the last letter, or an error.
fn over(error: GetError) -> Result<bool> {
    match error {
        GetError::Disconnected => Ok(false),
        error => Err(error.into()),
    }
}
