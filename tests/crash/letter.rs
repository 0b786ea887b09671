//! The ways a message lies in a pipe, each with its number inside and bytes that show every mistake.

use std::time::Duration;

use multiproc::{Bytes, Connection, Message, Pipe, SendTimeoutError};

use crate::common::numbers::{checksum, payload};

/// One end of a pipe that carries these messages both ways.
pub type End<L> = Connection<<L as Letter>::Message, <L as Letter>::Message>;

/// A kind of message.
pub trait Letter: 'static {
    type Message: Message;
    /// Bytes of each ring.
    const CAPACITY: usize;
    /// Messages that pass each way before anybody else comes: the rings have been used, and soon end.
    const WARM: u64;
    /// Messages of which exactly so many fit, if that is known.
    const FITS: Option<u64> = None;
    /// Messages that pass each way in the end.
    const VOLUME: u64 = 150;

    fn pair() -> (End<Self>, End<Self>) {
        let builder = Pipe::<Self::Message, Self::Message>::builder();
        builder.capacity(Self::CAPACITY).pair().expect("a pipe")
    }

    fn send(end: &End<Self>, id: u64, limit: Duration) -> Result<(), SendTimeoutError>;
    /// Begins a message in place and drops it unfinished.
    fn abort(end: &mut End<Self>, id: u64);
    /// Sends a message that is changed where it lies, and was claimed longer than it is.
    fn cut_short(end: &mut End<Self>, id: u64);
    /// The number of a message whose bytes are as they were sent; panics when they are not.
    fn read(view: &<Self::Message as Message>::View) -> u64;
}

/// Messages of one size: each has a place of its own.
#[derive(Debug)]
pub struct Fixed;

fn words(id: u64) -> [u64; 4] {
    let tail = checksum(&id.to_le_bytes());
    [id, !id, id ^ tail, tail]
}

impl Letter for Fixed {
    type Message = [u64; 4];
    const CAPACITY: usize = 4 * 64;
    const WARM: u64 = 19;
    const FITS: Option<u64> = Some(4);

    fn send(end: &End<Self>, id: u64, limit: Duration) -> Result<(), SendTimeoutError> {
        end.send_timeout(words(id), limit)
    }

    fn abort(end: &mut End<Self>, id: u64) {
        drop(end.claim_value(words(id)).expect("there is room"));
    }

    fn cut_short(end: &mut End<Self>, id: u64) {
        let mut place = end.claim_value([0; 4]).expect("there is room");
        (place.iter_mut().zip(words(id))).for_each(|(word, value)| *word = value.into());
        place.commit().expect("somebody receives");
    }

    fn read(view: &<[u64; 4] as Message>::View) -> u64 {
        let found: Vec<u64> = view.iter().map(|w| u64::from(*w)).collect();
        assert_eq!(found, words(found[0]), "a torn message");
        found[0]
    }
}

/// What a header of a message of eight bytes in the second lap of a ring looks like.
const LIKE_A_HEADER: u64 = 2 << 32 | 1 << 30 | 8;
/// Where a message's bytes begin in its first line, and from line to line.
const HEADER: usize = 8;
const LINE: usize = 64;

/// A message that looks, wherever a header may come to lie later, as if there were one.
fn lookalike(id: u64, len: usize) -> Vec<u8> {
    let mut bytes = payload(id, len);
    for at in (LINE - HEADER..len - 8).step_by(LINE) {
        bytes[at..at + 8].copy_from_slice(&LIKE_A_HEADER.to_le_bytes());
    }
    bytes[..8].copy_from_slice(&id.to_le_bytes());
    bytes
}

fn abort_bytes<L: Letter<Message = Bytes>>(end: &mut End<L>, bytes: &[u8]) {
    let mut place = end.claim(bytes.len()).expect("there is room");
    place.copy_from_slice(bytes);
}

/// Claims more than is sent, and writes to all of it.
fn cut_bytes<L: Letter<Message = Bytes>>(end: &mut End<L>, bytes: &[u8], surplus: &[u8]) {
    let len = bytes.len();
    let mut place = end.claim(len + surplus.len()).expect("there is room");
    place[..len].copy_from_slice(bytes);
    place[len..].copy_from_slice(surplus);
    place.commit_first(len).expect("somebody receives");
}

fn number(view: &[u8]) -> u64 {
    u64::from_le_bytes(view[..8].try_into().expect("eight bytes"))
}

/// Messages of several lengths that lie in the ring, in one to six of its 64 lines.
#[derive(Debug)]
pub struct Inline;

impl Inline {
    fn bytes(id: u64) -> Vec<u8> {
        lookalike(id, [20, 100, 150, 360, 300][id as usize % 5])
    }
}

impl Letter for Inline {
    type Message = Bytes;
    const CAPACITY: usize = 64 * LINE;
    // They take 63 lines of the first lap: of any but the shortest the next one must begin the second.
    const WARM: u64 = 19;

    fn send(end: &End<Self>, id: u64, limit: Duration) -> Result<(), SendTimeoutError> {
        end.send_timeout(&Self::bytes(id)[..], limit)
    }

    fn abort(end: &mut End<Self>, id: u64) {
        abort_bytes::<Self>(end, &Self::bytes(id));
    }

    fn cut_short(end: &mut End<Self>, id: u64) {
        // The surplus begins in a line that it shares with the message, and goes on for two more.
        let (bytes, rest) = (Self::bytes(id), lookalike(0, 150));
        let to_line = (LINE - (bytes.len() + HEADER) % LINE) % LINE;
        let surplus: Vec<u8> = (0..to_line).map(|_| 0).chain(rest[56..].to_vec()).collect();
        cut_bytes::<Self>(end, &bytes, &surplus);
    }

    fn read(view: &[u8]) -> u64 {
        let id = number(view);
        assert!(*view == Self::bytes(id), "a torn message");
        id
    }
}

/// Messages of any length that lie in a block beside the ring, from here on.
const SPILLED: usize = 600;
/// So long that few blocks of their size are used in turn: one that leaked is missed at once.
const LARGE: usize = 530_000;

fn long(id: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![id as u8 | 1; len];
    bytes[..8].copy_from_slice(&id.to_le_bytes());
    bytes[len - 8..].copy_from_slice(&id.to_le_bytes());
    bytes
}

macro_rules! in_blocks {
    ($(#[$docs:meta])* $name:ident, $len:expr, $warm:expr, $volume:expr) => {
        $(#[$docs])*
        #[derive(Debug)]
        pub struct $name;

        impl Letter for $name {
            type Message = Bytes;
            const CAPACITY: usize = 64 * LINE;
            const WARM: u64 = $warm;
            const VOLUME: u64 = $volume;

            fn send(end: &End<Self>, id: u64, limit: Duration) -> Result<(), SendTimeoutError> {
                end.send_timeout(&long(id, $len)[..], limit)
            }

            fn abort(end: &mut End<Self>, id: u64) {
                abort_bytes::<Self>(end, &long(id, $len));
            }

            fn cut_short(end: &mut End<Self>, id: u64) {
                cut_bytes::<Self>(end, &long(id, $len), &[0xff; 100]);
            }

            fn read(view: &[u8]) -> u64 {
                let id = number(view);
                assert!(*view == long(id, $len), "a torn message");
                id
            }
        }
    };
}

in_blocks!(
    /// Messages that do not fit the ring.
    Spilled, SPILLED, 5, 70
);
in_blocks!(
    /// Very long ones, by which the memory is measured.
    Large, LARGE, 2, 6
);
