//! What is sent: letters whose length and bytes follow from the seed, the stream and their number.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use multiproc::{Error, ErrorKind, Result};

use crate::common::numbers::{Random, size};

multiproc::message! {
    /// What went through one end.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Tally {
        pub letters: u64,
        pub bytes: u64,
        /// Of a hash of each: the same only where the same letters came.
        pub sum: u64,
    }
}

impl Tally {
    pub fn of(all: &[Tally]) -> Tally {
        all.iter().fold(Tally::default(), |a, b| Tally {
            letters: a.letters + b.letters,
            bytes: a.bytes + b.bytes,
            sum: a.sum.wrapping_add(b.sum),
        })
    }

    pub fn count(&mut self, stream: u64, number: u64, len: usize) {
        PASSED.fetch_add(1, Relaxed);
        self.letters += 1;
        self.bytes += len as u64;
        self.sum = self.sum.wrapping_add(mix(stream << 48 ^ number));
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gigabytes = self.bytes as f64 / 1e9;
        write!(f, "{} messages, {gigabytes:.2} GB", self.letters)
    }
}

/// Letters that this process has sent or received.
static PASSED: AtomicU64 = AtomicU64::new(0);

/// Longer than any letter takes, on the busiest machine.
const HANG: Duration = Duration::from_secs(60);

/// Ends this process, with the seed, once nothing passes any more: a lost letter may also show by that.
pub fn watch() {
    let (mut seen, mut since) = (0, Instant::now());
    thread::spawn(move || {
        loop {
            thread::sleep(HANG / 60); // the pace of a poll: who hangs announces nothing
            let passed = PASSED.load(Relaxed);
            if passed != seen {
                (seen, since) = (passed, Instant::now());
            } else if since.elapsed() > HANG {
                eprintln!("{}: nothing passes after {passed} letters", seed());
                std::process::exit(1);
            }
        }
    });
}

/// The seed, as it is given again.
pub fn seed() -> String {
    format!("MULTIPROC_SEED={}", size("MULTIPROC_SEED", SEED))
}

/// That of [`Random`].
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// A letter that has room for it begins with its stream, its number and the checksum of all its other bytes.
pub const HEAD: usize = 24;

/// The longest letter that lies in a ring of these tests, their rings, and longer than all of that.
const LENGTHS: [u64; 4] = [200, 4096, 16 << 10, 256 << 10];
pub const RING: usize = 64 << 10;
/// Blocks from 4 MiB on are not kept.
const HUGE: u64 = 5 << 20;

fn mix(mut word: u64) -> u64 {
    word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

fn checksum(bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(8);
    let mut sum = bytes.len() as u64;
    for word in &mut words {
        let word = u64::from_le_bytes(word.try_into().expect("eight bytes"));
        sum = (sum.rotate_left(5) ^ word).wrapping_mul(0x0100_0000_01b3);
    }
    let rest = words.remainder().iter();
    rest.fold(sum, |sum, &byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn word(bytes: &[u8], index: usize) -> u64 {
    let word = &bytes[8 * index..8 * index + 8];
    u64::from_le_bytes(word.try_into().expect("eight bytes"))
}

/// One sequence of letters.
#[derive(Debug)]
pub struct Stream {
    number: u64,
    key: u64,
    /// No letter is shorter.
    least: usize,
}

impl Stream {
    pub fn new(number: u64, least: usize) -> Stream {
        let key = Random::new(number).next();
        Stream { number, key, least }
    }

    fn key(&self, letter: u64) -> u64 {
        mix(self.key ^ letter.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// How long a letter is: mostly short, and now and then longer than its ring.
    pub fn len(&self, letter: u64) -> usize {
        let key = self.key(letter);
        let (choice, length) = (key % 4096, key >> 12);
        let most = match choice {
            0 => HUGE,
            1..64 => LENGTHS[3],
            64..256 => LENGTHS[2],
            256..1024 => LENGTHS[1],
            _ => LENGTHS[0],
        };
        let len = if choice % 16 == 15 { 0 } else { length % most };
        self.least.max(len as usize)
    }

    /// Writes a letter to the room of its length.
    pub fn write(&self, letter: u64, room: &mut [u8]) {
        let mut key = self.key(letter);
        let mut words = room.chunks_exact_mut(8);
        for word in &mut words {
            word.copy_from_slice(&key.to_le_bytes());
            key = key.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        }
        let rest = words.into_remainder();
        rest.copy_from_slice(&key.to_le_bytes()[..rest.len()]);
        if room.len() >= HEAD {
            room[..8].copy_from_slice(&self.number.to_le_bytes());
            room[8..16].copy_from_slice(&letter.to_le_bytes());
            let sum = checksum(&room[HEAD..]) ^ mix(letter);
            room[16..24].copy_from_slice(&sum.to_le_bytes());
        }
    }

    pub fn letter(&self, letter: u64) -> Vec<u8> {
        let mut bytes = vec![0; self.len(letter)];
        self.write(letter, &mut bytes);
        bytes
    }

    /// Whether these are the bytes of that letter.
    pub fn check(&self, letter: u64, bytes: &[u8]) -> Result<()> {
        let expected = self.len(letter);
        if bytes.len() != expected {
            let found = format!("{} bytes, not {expected}{}", bytes.len(), headline(bytes));
            return Err(self.wrong(letter, &found));
        }
        let same = match bytes.len() >= HEAD {
            true => {
                (word(bytes, 0), word(bytes, 1)) == (self.number, letter)
                    && word(bytes, 2) == checksum(&bytes[HEAD..]) ^ mix(letter)
            }
            false => bytes == self.letter(letter),
        };
        match same {
            true => Ok(()),
            false => Err(self.wrong(letter, &format!("other bytes{}", headline(bytes)))),
        }
    }

    #[cold]
    pub fn wrong(&self, letter: u64, found: &str) -> Error {
        let (number, seed) = (self.number, seed());
        let text = format!("{seed}: stream {number}, letter {letter}: {found}");
        Error::new(ErrorKind::Corrupt, text)
    }
}

/// Which stream and letter a letter says it is.
pub fn address(bytes: &[u8]) -> Option<(u64, u64)> {
    (bytes.len() >= HEAD).then(|| (word(bytes, 0), word(bytes, 1)))
}

fn headline(bytes: &[u8]) -> String {
    address(bytes).map_or_else(String::new, |(stream, letter)| {
        format!(", which say to be stream {stream}, letter {letter}")
    })
}

/// When a sender is done: after so many letters, or so long.
#[derive(Debug)]
pub struct Until {
    begin: Instant,
    seconds: u64,
    letters: u64,
}

impl Until {
    pub fn new() -> Until {
        Until {
            begin: Instant::now(),
            seconds: size("MULTIPROC_SOAK_SECONDS", 0),
            letters: size("MULTIPROC_SOAK_MESSAGES", 10_000),
        }
    }

    pub fn is_over(&self, letters: u64) -> bool {
        match self.seconds {
            0 => letters >= self.letters,
            seconds => self.begin.elapsed().as_secs() >= seconds,
        }
    }
}

/// What a receiver says from time to time.
#[derive(Debug)]
pub struct Progress {
    what: &'static str,
    begin: Instant,
    next: Duration,
}

impl Progress {
    const PERIOD: Duration = Duration::from_secs(30);

    pub fn new(what: &'static str) -> Progress {
        Progress {
            what,
            begin: Instant::now(),
            next: Progress::PERIOD,
        }
    }

    pub fn tell(&mut self, tally: &Tally) {
        let passed = self.begin.elapsed();
        if passed >= self.next {
            println!("soak: {}: {tally}, {} s", self.what, passed.as_secs());
            self.next = passed + Progress::PERIOD;
        }
    }
}

#[test]
fn a_letter_that_was_changed_or_is_another_is_refused() {
    let stream = Stream::new(1, 0);
    for letter in 0..500 {
        let mut bytes = stream.letter(letter);
        stream.check(letter, &bytes).unwrap();
        let short = bytes.len() < HEAD;
        let other = stream.check(letter + 1, &bytes);
        assert!(other.is_err() || short, "{letter}");
        let at = letter as usize * 7 % bytes.len().max(1);
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1 << (letter % 8);
            assert!(stream.check(letter, &bytes).is_err(), "{letter}, byte {at}");
        }
    }
}
