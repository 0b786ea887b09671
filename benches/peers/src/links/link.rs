//! What every link between two workers offers, to be compared with the others.

use crate::harness::{Endpoint, Lined, Meeting};
use crate::threads::{check, message, read};

/// What a link is made for.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    /// Whether every byte of a message is written and read, or only its first word.
    pub touched: bool,
    /// Whether receivers shall sleep rather than spin, where they have the choice.
    pub asleep: bool,
    /// The processor that both workers share, if they do.
    pub shared: Option<usize>,
}

/// A way for two workers to send messages of `N` words to each other.
pub trait Link<const N: usize>: Sync + Sized + 'static {
    /// The name in the tables; one with a dagger works between threads.
    const NAME: &'static str;
    /// Whether the workers are threads of one process.
    const THREADS: bool = false;
    /// Whether a receiver can sleep until there is a message.
    const SLEEPS: bool = true;
    /// Whether several messages may be on their way.
    const STREAMS: bool = true;
    /// Whether a message may be sent of which only the first word is written.
    const FIRST_WORD: bool = true;
    /// How many messages come before those that count: enough to touch all memory of the link.
    const WARM: u64 = 2 * capacity(N) as u64;
    /// The longest message, in words.
    const LONGEST: usize = usize::MAX;

    /// One worker's end: what it sends, the other receives.
    type End<'a>: Endpoint;

    /// Whether this system has it.
    fn is_there() -> bool {
        true
    }

    /// Made before the workers start.
    fn new(job: Job) -> Self;

    /// Opens the end of worker 0 or 1, which may meet the other.
    fn open<'a>(&'a self, worker: usize, meeting: &Meeting) -> Self::End<'a>;
}

/// How many messages of so many words fit into a link that lets one choose.
pub const fn capacity(words: usize) -> usize {
    match words {
        0..=128 => 1024,
        129..=8192 => 64,
        _ => 8,
    }
}

/// How many messages warm up a link that copies by way of the kernel.
pub const COPIES_WARM: u64 = 64;

/// What `worker` sends by and receives by, of one for each direction.
pub fn crossed<T>(worker: usize, [there, back]: [T; 2]) -> (T, T) {
    match worker {
        0 => (there, back),
        _ => (back, there),
    }
}

/// The contents of messages that are arrays of words; those of few words are computed, not copied.
#[derive(Debug)]
pub struct Load<const N: usize> {
    words: Lined<u64>,
    rest: u64,
    touched: bool,
}

impl<const N: usize> Load<N> {
    const COMPUTED: usize = 8;

    /// Messages of which every word is written and read, or only the first.
    pub fn new(touched: bool) -> Self {
        let word = |place: usize| (place as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let words: Vec<u64> = (0..N).map(word).collect();
        let rest = words[1..]
            .iter()
            .fold(0, |sum: u64, word| sum.wrapping_add(*word));
        Self {
            words: Lined::new(&words),
            rest,
            touched,
        }
    }

    /// Writes the message that carries `seq`.
    #[inline]
    pub fn write(&self, room: &mut [u64; N], seq: u64) {
        if N <= Self::COMPUTED {
            *room = message(seq);
            return;
        }
        if self.touched {
            room[1..].copy_from_slice(&self.words[1..]);
        }
        room[0] = seq;
    }

    /// The message that carries `seq`, by value.
    #[inline]
    pub fn message(&self, seq: u64) -> [u64; N] {
        let mut room = [0; N];
        self.write(&mut room, seq);
        room
    }

    /// The same on the heap, every word of it written.
    #[inline]
    pub fn boxed(&self, seq: u64) -> Box<[u64; N]> {
        if N <= Self::COMPUTED {
            return Box::new(message(seq));
        }
        let mut room: Box<[u64]> = (&*self.words).into();
        room[0] = seq;
        room.try_into().expect("as many words")
    }

    /// Reads a message: its number, and the sum of its words.
    #[inline]
    pub fn read(&self, words: &[u64; N]) -> (u64, u64) {
        if N <= Self::COMPUTED || self.touched {
            read(words)
        } else {
            (words[0], words[0])
        }
    }

    /// What [`read`](Self::read) must find.
    pub fn check(&self, seq: u64) -> u64 {
        if N <= Self::COMPUTED {
            check::<N>(seq)
        } else if self.touched {
            seq.wrapping_add(self.rest)
        } else {
            seq
        }
    }
}
