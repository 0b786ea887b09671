//! The three ways a message lies in a queue, each with its number and a checksum inside.

use std::time::Duration;

use multiproc::{Bytes, Message, PutTimeoutError, Queue};

use crate::common::numbers::{checksum, payload};

/// The queue of every world.
pub const NAME: &str = "queue";
/// Messages that fit it.
pub const CAPACITY: usize = 4;

/// A kind of message.
pub trait Load {
    type Message: Message;

    fn put(queue: &Queue<Self::Message>, id: u64, limit: Duration) -> Result<(), PutTimeoutError>;
    /// Begins a message and drops it unfinished.
    fn abort(queue: &Queue<Self::Message>);

    /// The number of a message whose bytes are as they were put; panics when they are not.
    fn read(view: &<Self::Message as Message>::View) -> u64;

    fn create(max_deliveries: u8) -> Queue<Self::Message> {
        let builder = Queue::builder()
            .name(NAME)
            .capacity(CAPACITY)
            .message_size(256);
        builder
            .max_deliveries(max_deliveries)
            .create()
            .expect("create")
    }

    fn open() -> Queue<Self::Message> {
        Queue::open(NAME).expect("open")
    }
}

/// A message of fixed size, in its slot.
#[derive(Debug)]
pub struct Fixed;

impl Load for Fixed {
    type Message = [u64; 4];

    fn put(queue: &Queue<[u64; 4]>, id: u64, limit: Duration) -> Result<(), PutTimeoutError> {
        let tail = checksum(&id.to_le_bytes());
        queue.put_timeout([id, !id, id ^ tail, tail], limit)
    }

    fn abort(queue: &Queue<[u64; 4]>) {
        drop(queue.claim_value([99; 4]).expect("there is room"));
    }

    fn read(view: &<[u64; 4] as Message>::View) -> u64 {
        let words: Vec<u64> = view.iter().map(|w| u64::from(*w)).collect();
        let id = words[0];
        let tail = checksum(&id.to_le_bytes());
        assert_eq!(words, [id, !id, id ^ tail, tail], "a torn message");
        id
    }
}

/// A message of varying size that fits its slot.
#[derive(Debug)]
pub struct Inline;

/// A message of varying size that lies in a block beside the queue.
#[derive(Debug)]
pub struct Spilled;

fn put_bytes(
    queue: &Queue<Bytes>,
    id: u64,
    len: usize,
    limit: Duration,
) -> Result<(), PutTimeoutError> {
    let mut bytes = payload(id, len);
    bytes[..8].copy_from_slice(&id.to_le_bytes());
    queue.put_timeout(&bytes[..], limit)
}

fn read_bytes(view: &[u8], len: usize) -> u64 {
    assert_eq!(view.len(), len, "a message of another length");
    let id = u64::from_le_bytes(view[..8].try_into().expect("eight bytes"));
    assert_eq!(
        checksum(&view[8..]),
        checksum(&payload(id, len)[8..]),
        "a torn message"
    );
    id
}

impl Load for Inline {
    type Message = Bytes;

    fn put(queue: &Queue<Bytes>, id: u64, limit: Duration) -> Result<(), PutTimeoutError> {
        put_bytes(queue, id, 200, limit)
    }

    fn abort(queue: &Queue<Bytes>) {
        drop(queue.claim(200).expect("there is room"));
    }

    fn read(view: &[u8]) -> u64 {
        read_bytes(view, 200)
    }
}

impl Load for Spilled {
    type Message = Bytes;

    fn put(queue: &Queue<Bytes>, id: u64, limit: Duration) -> Result<(), PutTimeoutError> {
        put_bytes(queue, id, 400, limit)
    }

    fn abort(queue: &Queue<Bytes>) {
        drop(queue.claim(400).expect("there is room"));
    }

    fn read(view: &[u8]) -> u64 {
        read_bytes(view, 400)
    }
}
