//! Messages of pipes that are numbered from 1 in each direction, and books in which a number says it all.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use multiproc::{Bytes, Connection, Message, SendTimeoutError};

use crate::cell::{Books, Gates};
use crate::common::board::Zeroed;
use crate::common::numbers::checksum;

/// An end of a pipe that carries these messages both ways, and the ticket for one.
pub type End<M> = Connection<<M as Mail>::Message, <M as Mail>::Message>;
pub type Ticket<M> = multiproc::Ticket<<M as Mail>::Message, <M as Mail>::Message>;

/// A kind of message.
pub trait Mail: 'static {
    type Message: Message;
    /// Bytes of each ring.
    const CAPACITY: usize;

    fn send(end: &End<Self>, number: u64, limit: Duration) -> Result<(), SendTimeoutError>;
    /// The number of a message that is as it was sent; panics when it is not.
    fn read(view: &<Self::Message as Message>::View) -> u64;
}

/// Four words each, in a ring of sixteen.
#[derive(Debug)]
pub struct Words;

fn words(number: u64) -> [u64; 4] {
    let tail = checksum(&number.to_le_bytes());
    [number, !number, number ^ tail, tail]
}

impl Mail for Words {
    type Message = [u64; 4];
    const CAPACITY: usize = 16 * 64;

    fn send(end: &End<Self>, number: u64, limit: Duration) -> Result<(), SendTimeoutError> {
        end.send_timeout(words(number), limit)
    }

    fn read(view: &<[u64; 4] as Message>::View) -> u64 {
        let found: Vec<u64> = view.iter().map(|word| u64::from(*word)).collect();
        assert_eq!(found, words(found[0]), "a torn message");
        found[0]
    }
}

/// From some bytes to more than 64 KiB: in a line of the ring, in many, or beside it.
#[derive(Debug)]
pub struct Parcels;

fn parcel(number: u64) -> Vec<u8> {
    let len = match number % 61 {
        0 => 70_000 + number as usize % 1000,
        1 | 30 => 9000,
        2..5 => 3000,
        short => 16 + 9 * short as usize,
    };
    let mut bytes = vec![number as u8; len];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes
}

impl Mail for Parcels {
    type Message = Bytes;
    const CAPACITY: usize = 32 << 10;

    fn send(end: &End<Self>, number: u64, limit: Duration) -> Result<(), SendTimeoutError> {
        end.send_timeout(&parcel(number)[..], limit)
    }

    fn read(view: &[u8]) -> u64 {
        let number = u64::from_le_bytes(view[..8].try_into().expect("eight bytes"));
        assert!(*view == parcel(number), "a torn message");
        number
    }
}

/// Ends of all pipes of a round.
const ENDS: usize = 4;
/// Messages of one direction of which nobody was told whether they were sent: one for each death of a sender, at most.
const MAYBES: usize = 64;

/// The books of one round.
#[derive(Debug)]
pub struct Ledger {
    gates: Gates,
    /// By the number of the end that sends.
    lanes: [Lane; ENDS],
}

/// One direction of a pipe; each word is written by who has the end meanwhile.
#[derive(Debug)]
pub struct Lane {
    /// The last message that was begun, and the last one whose sending returned.
    started: AtomicU64,
    accepted: AtomicU64,
    /// Messages that were begun by somebody who died before he could note more, and how many there are.
    maybes: [AtomicU64; MAYBES],
    count: AtomicU64,
    /// The last message whose acknowledgement was begun, and the last one whose returned.
    acking: AtomicU64,
    acked: AtomicU64,
}

// SAFETY: gates, and lanes, which are atomics and arrays of them.
unsafe impl Zeroed for Ledger {}

impl Books for Ledger {
    const COUNTED: [&'static str; 2] = ["messages", "left unsure by the dead"];

    fn gates(&self) -> &Gates {
        &self.gates
    }

    fn counts(&self) -> [u64; 2] {
        let all = |of: fn(&Lane) -> &AtomicU64| self.lanes.iter().map(|l| of(l).load(SeqCst)).sum();
        [all(|lane| &lane.acked), all(|lane| &lane.count)]
    }
}

impl Ledger {
    pub fn stopping(&self) -> bool {
        self.gates.stop.is_open()
    }

    pub fn until_stop(&self) {
        assert!(self.gates.stop.wait());
    }

    /// The direction in which the end of that number sends.
    pub fn sending(&self, number: usize) -> &Lane {
        &self.lanes[number]
    }

    /// The direction in which it receives.
    pub fn receiving(&self, number: usize) -> &Lane {
        &self.lanes[number ^ 1]
    }
}

impl Lane {
    /// In who has just got the sending end: the number of the first message to send.
    pub fn succeed(&self) -> u64 {
        let (started, accepted) = (self.started.load(SeqCst), self.accepted.load(SeqCst));
        if started > accepted {
            let free = self.count.fetch_add(1, SeqCst) as usize;
            self.maybes[free].store(started, SeqCst);
        }
        started + 1
    }

    pub fn sending(&self, number: u64) {
        self.started.store(number, SeqCst);
    }

    pub fn sent(&self, number: u64) {
        self.accepted.store(number, SeqCst);
    }

    fn may_be_missing(&self, number: u64) -> bool {
        self.maybes.iter().any(|maybe| maybe.load(SeqCst) == number)
    }

    pub fn acknowledged(&self) -> u64 {
        self.acked.load(SeqCst)
    }

    /// Message `number` came, after `last`: once, and nothing that was sent between the two is missing.
    pub fn came(&self, last: u64, number: u64) -> u64 {
        assert!(
            number > last,
            "message {number} came again, or late, after {last}"
        );
        let started = self.started.load(SeqCst);
        assert!(number <= started, "message {number} was never sent");
        let acking = self.acking.load(SeqCst);
        let lost = (last + 1..number).find(|&n| n > acking && !self.may_be_missing(n));
        assert_eq!(lost, None, "lost between {last} and {number}");
        number
    }

    pub fn acknowledging(&self, number: u64) {
        self.acking.store(number, SeqCst);
    }

    pub fn acknowledge(&self, number: u64) {
        self.acked.store(number, SeqCst);
    }

    /// At the end, when nothing more is to be received.
    pub fn check_nothing_is_lost(&self) {
        let (last, accepted) = (self.acked.load(SeqCst), self.accepted.load(SeqCst));
        let acking = self.acking.load(SeqCst);
        let lost = (last + 1..=accepted).find(|&n| n > acking && !self.may_be_missing(n));
        assert_eq!(
            lost, None,
            "lost behind {last}, of {accepted} that were sent"
        );
    }
}
