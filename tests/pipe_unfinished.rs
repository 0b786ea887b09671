//! The pipe and what was begun and not finished: claims that are forgotten, values that cannot be encoded, offers that are
//! taken back by halves.

use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};

use multiproc::{Bytes, Connection, Encode, Pipe, Queue, TryRecvError, WriteError};

/// Bytes that look like headers of the first lap, wherever one of the next records may end.
fn lookalike(len: usize) -> Vec<u8> {
    let word = (1_u64 << 32 | 1 << 30 | 8).to_le_bytes();
    word.into_iter().cycle().take(len).collect()
}

#[test]
fn claims_that_are_forgotten_leave_no_messages() {
    let (mut a, b) = Pipe::<Bytes, Bytes>::builder()
        .capacity(4096)
        .pair()
        .unwrap();
    for long in [0, 50_000] {
        let mut forgotten = a.claim(400).unwrap();
        forgotten.copy_from_slice(&lookalike(400));
        std::mem::forget(forgotten);
        let sent = vec![1; 10 + long];
        a.send(&sent[..]).unwrap();
        assert!(*b.recv().unwrap() == sent[..]);
        assert_eq!(b.try_recv().unwrap_err(), TryRecvError::Empty);
    }
}

/// A value whose encoding writes a lookalike, and then panics.
struct Panics;

impl Encode<Bytes> for Panics {
    fn guess(&self) -> usize {
        400
    }

    fn encode(&self, room: &mut [MaybeUninit<u8>]) -> Result<usize, WriteError> {
        for (to, from) in room.iter_mut().zip(lookalike(400)) {
            to.write(from);
        }
        panic!("on purpose");
    }
}

#[test]
fn a_message_whose_encoding_panics_was_never_there() {
    let (a, b) = Pipe::<Bytes, Bytes>::builder()
        .capacity(4096)
        .pair()
        .unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| a.send(Panics))).is_err());
    a.send(b"short").unwrap();
    assert_eq!(&*b.recv().unwrap(), b"short");
    assert_eq!(b.try_recv().unwrap_err(), TryRecvError::Empty);
}

#[test]
fn an_offer_of_which_one_half_is_taken_back_hurts_nobody() {
    let (a, b) = Pipe::<u64, u64>::new().unwrap();
    let queue = Queue::<Connection<u64, u64>>::new(2).unwrap();
    queue.put(&b).unwrap();
    a.send(7).unwrap();
    assert_eq!(b.recv_owned(), Ok(7));
    assert!(queue.get_owned().is_err(), "the handle fits no more");
    b.send(8).unwrap();
    assert_eq!(a.recv_owned(), Ok(8));
}
