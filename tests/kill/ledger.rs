//! What every producer was promised and what became of every message, kept where no kill can reach it.

use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering::SeqCst};

use multiproc::{Bytes, Queue, Received};

use crate::cell::{Books, Gates};
use crate::common::board::Zeroed;
use crate::common::numbers::{checksum, payload};
use crate::witness;

/// Producers of one round; one that was killed, or ran out of numbers, is followed by another one.
pub const PRODUCERS: usize = 128;
/// Messages that one producer puts at most.
pub const MESSAGES: usize = 1 << 15;

const ACKING: u16 = 0x4000;
const ACKED: u16 = 0x8000;
/// How often it was taken: more often than any message may be delivered.
const TAKEN: u16 = 0x3fff;

/// The books of one round.
#[derive(Debug)]
pub struct Ledger {
    /// Messages whose `put` returned, by producer.
    accepted: [AtomicU32; PRODUCERS],
    /// How often each message was taken, whether its acknowledgement began, and whether it returned.
    fate: [[AtomicU16; MESSAGES]; PRODUCERS],
    /// Everything that succeeds anywhere.
    pub gets: AtomicU64,
    pub redelivered: AtomicU64,
    gates: Gates,
    /// The next producer's number.
    producers: AtomicU32,
}

// SAFETY: atomics and arrays of atomics.
unsafe impl Zeroed for Ledger {}

impl Books for Ledger {
    const COUNTED: [&'static str; 2] = ["messages", "redelivered"];

    fn gates(&self) -> &Gates {
        &self.gates
    }

    fn counts(&self) -> [u64; 2] {
        [self.gets.load(SeqCst), self.redelivered.load(SeqCst)]
    }
}

fn message(producer: usize, number: usize) -> Vec<u8> {
    let seed = (producer * MESSAGES + number) as u64;
    let mut bytes = payload(seed, 24 + (seed % 160) as usize);
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let sum = checksum(&bytes[16..]);
    bytes[8..16].copy_from_slice(&sum.to_le_bytes());
    bytes
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

impl Ledger {
    pub fn stopping(&self) -> bool {
        self.gates.stop.is_open()
    }

    /// A number for a producer that has none yet; `None` when the books are full.
    pub fn next_producer(&self) -> Option<usize> {
        let next = self.producers.fetch_add(1, SeqCst) as usize;
        (next < PRODUCERS).then_some(next)
    }

    pub fn until_stop(&self) {
        assert!(self.gates.stop.wait());
    }

    /// Puts the next message of `producer`; false when it has none left.
    pub fn put(&self, queue: &Queue<Bytes>, producer: usize) -> bool {
        let number = self.accepted[producer].load(SeqCst) as usize;
        if number == MESSAGES {
            return false;
        }
        let message = message(producer, number);
        queue.put(&message[..]).expect("nobody closes it");
        self.accepted[producer].fetch_add(1, SeqCst);
        witness::moved();
        true
    }

    /// Notes that a message came, and checks that it may: whole, and marked where it came before.
    pub fn taken(&self, bytes: &[u8], deliveries: u32) -> Ticket<'_> {
        let seed = word(bytes, 0) as usize;
        assert_eq!(word(bytes, 8), checksum(&bytes[16..]), "a torn message");
        let (producer, number) = (seed / MESSAGES, seed % MESSAGES);
        let accepted = self.accepted[producer].load(SeqCst) as usize;
        assert!(
            number <= accepted,
            "message {producer}.{number} was never put"
        );
        let fate = &self.fate[producer][number];
        let before = fate.fetch_add(1, SeqCst);
        assert_eq!(
            before & ACKED,
            0,
            "message {producer}.{number} came again, as delivery {deliveries}, after it was acknowledged, {before:#x}"
        );
        let times = u32::from(before & TAKEN);
        assert!(
            deliveries > times,
            "message {producer}.{number} came {} times and says {deliveries}",
            times + 1
        );
        self.gets.fetch_add(1, SeqCst);
        witness::moved();
        self.redelivered
            .fetch_add(u64::from(deliveries > 1), SeqCst);
        Ticket {
            fate,
            producer,
            number,
        }
    }

    /// Takes what is in the guard through the books.
    pub fn receive(&self, message: Received<'_, Bytes>) {
        let ticket = self.taken(&message, message.delivery_count());
        ticket.acking();
        message.ack();
        ticket.acked();
    }

    /// Messages that were accepted and of which nothing was heard since.
    pub fn lost(&self) -> Vec<(usize, usize)> {
        let promised = |p: usize| (0..self.accepted[p].load(SeqCst) as usize).map(move |n| (p, n));
        let open = |&(p, n): &(usize, usize)| self.fate[p][n].load(SeqCst) & (ACKING | ACKED) == 0;
        (0..PRODUCERS).flat_map(promised).filter(open).collect()
    }
}

/// A message on its way from taken to acknowledged.
#[derive(Clone, Copy, Debug)]
pub struct Ticket<'a> {
    fate: &'a AtomicU16,
    pub producer: usize,
    pub number: usize,
}

impl Ticket<'_> {
    pub fn acking(&self) {
        self.fate.fetch_or(ACKING, SeqCst);
    }

    pub fn acked(&self) {
        let before = self.fate.fetch_or(ACKED, SeqCst);
        assert_eq!(
            before & ACKED,
            0,
            "message {}.{} was acknowledged twice",
            self.producer,
            self.number
        );
    }
}

/// Messages of one producer come in order, redelivered ones aside.
#[derive(Debug)]
pub struct Order([Option<usize>; PRODUCERS]);

impl Order {
    pub fn new() -> Order {
        Order([None; PRODUCERS])
    }

    pub fn check(&mut self, ticket: &Ticket<'_>, deliveries: u32) {
        let last = &mut self.0[ticket.producer];
        if deliveries == 1 {
            assert!(
                last.is_none_or(|last| last < ticket.number),
                "out of order: {ticket:?} after {last:?}"
            );
            *last = Some(ticket.number);
        }
    }
}
