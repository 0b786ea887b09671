//! A lane in one process, with members whose life and death the test decides.

use super::geometry::{LaneFit, LaneGeometry, Room};
use super::{Duct, End, Fault, Fitted, RawEnd, RawReceiver, RawSender};
use crate::ring::{Peers, Role};
use crate::segment::{Draft, Kind, Spec, peek, poke};
use crate::sys::clock::Deadline;
use crate::sys::identity::{Oracle, Participant};
use std::cell::RefCell;
use std::sync::Arc;

/// Members that are alive until the test says otherwise.
#[derive(Default)]
struct Village(RefCell<Vec<Participant>>);

impl Oracle for Village {
    fn is_alive(&self, who: Participant) -> bool {
        !self.0.borrow().contains(&who)
    }
}

impl Peers for Village {
    fn any_with(&self, _: Role) -> bool {
        true
    }
    fn bury(&self, who: Participant, repair: &dyn Fn(Participant)) -> bool {
        let dead = !self.is_alive(who);
        if dead {
            repair(who);
        }
        dead
    }
}

#[derive(Debug)]
struct Any;

impl Fitted for Any {
    const FIT: LaneFit = LaneFit::of(None, 8);
}

#[derive(Debug)]
struct Word;

impl Fitted for Word {
    const FIT: LaneFit = LaneFit::of(Some(8), 8);
}

const SENDER: Participant = Participant::FIRST;
const RECEIVER: Participant = Participant::LAST;

fn duct<F: Fitted>(bytes: u64) -> Arc<Duct> {
    let lane = |bytes| LaneGeometry::of(F::FIT, Room::Bytes(bytes)).unwrap();
    let shapes = [lane(bytes), lane(0)];
    let mut spec = Spec::new(Kind::Test);
    spec.body_len = Duct::body_len(&shapes);
    Duct::note(&shapes, &mut spec.params);
    let segment = Arc::new(Draft::anonymous(&spec).unwrap().publish(None).unwrap());
    let duct = Arc::new(Duct::attach(&segment).unwrap());
    let control = duct.lane(0).control();
    assert!(control.sender.take_first(SENDER, 1) && control.receiver.take_first(RECEIVER, 2));
    duct
}

fn ends<F: Fitted>(duct: &Arc<Duct>) -> (RawSender<F>, RawReceiver<F>) {
    let sender = RawSender::new(Arc::clone(duct), 0, SENDER);
    (sender, RawReceiver::new(Arc::clone(duct), 0, RECEIVER))
}

/// Sends `len` bytes of `value`, beside the ring if they are too long for it.
fn send(sender: &RawSender<Any>, village: &Village, len: usize, value: u8) -> Result<(), Fault> {
    let bytes = vec![value; len];
    if len <= sender.inline() {
        // SAFETY: the room of a claim is ours.
        unsafe { poke(sender.claim(len, village, Deadline::NOW)?, &bytes) };
        sender.commit(len);
        return Ok(());
    }
    let block = sender.spill(len, village, Deadline::NOW)?;
    // SAFETY: the block is ours until it is published.
    unsafe { poke(sender.spilled(block, len), &bytes) };
    sender.commit_spilled(block, len, village, Deadline::NOW)
}

fn recv(receiver: &RawReceiver<Any>, village: &Village) -> Result<Vec<u8>, Fault> {
    receiver.wait(village, Deadline::NOW)?;
    let message = receiver.take_next().expect("it is there");
    // SAFETY: the message is in our hands.
    let bytes = unsafe { peek(message) };
    receiver.ack();
    Ok(bytes)
}

#[test]
fn long_messages_use_few_blocks_in_turn_and_give_back_the_largest() {
    let duct = duct::<Any>(64 << 10);
    let (sender, receiver) = ends::<Any>(&duct);
    let village = Village::default();
    for (round, len) in [100_000, 1 << 20, 9 << 20]
        .into_iter()
        .cycle()
        .take(300)
        .enumerate()
    {
        send(&sender, &village, len, round as u8).unwrap();
        assert_eq!(recv(&receiver, &village), Ok(vec![round as u8; len]));
    }
    let (taken, pages) = duct.blocks().usage().unwrap();
    assert!(taken <= 40, "{taken} blocks");
    assert!(pages * 4096 <= 48 << 20, "{pages} pages");
    sender.close();
    assert_eq!(
        duct.blocks().usage().unwrap().0,
        0,
        "nothing is left behind"
    );
}

#[test]
fn memory_is_bounded_while_nobody_receives() {
    let duct = duct::<Any>(64 << 10);
    let (sender, receiver) = ends::<Any>(&duct);
    let village = Village::default();
    let mut sent = 0;
    while send(&sender, &village, 1 << 20, sent).is_ok() {
        sent += 1;
    }
    assert!((4..=16).contains(&sent), "{sent} messages of 1 MiB");
    for value in 0..sent {
        assert_eq!(recv(&receiver, &village), Ok(vec![value; 1 << 20]));
    }
    assert_eq!(recv(&receiver, &village), Err(Fault::TimedOut));
    send(&sender, &village, 1 << 20, 99).unwrap();
}

#[test]
fn blocks_of_a_dead_sender_are_his_successors_or_nobodys() {
    let duct = duct::<Any>(64 << 10);
    let (sender, receiver) = ends::<Any>(&duct);
    let village = Village::default();
    for value in 0..3 {
        send(&sender, &village, 100_000, value).unwrap();
    }
    let _unsent = sender.spill(100_000, &village, Deadline::NOW).unwrap();
    std::mem::forget(sender);
    village.0.borrow_mut().push(SENDER);
    assert_eq!(recv(&receiver, &village), Ok(vec![0; 100_000]));
    duct.repair(SENDER);
    assert_eq!(duct.lane(0).control().sender.end(), Some(End::Died(1)));

    duct.lane(0).control().sender.resume(RECEIVER, 3).unwrap();
    let successor = RawSender::<Any>::new(Arc::clone(&duct), 0, RECEIVER);
    send(&successor, &village, 100_000, 3).unwrap();
    for value in 1..4 {
        assert_eq!(recv(&receiver, &village), Ok(vec![value; 100_000]));
    }
    assert_eq!(recv(&receiver, &village), Err(Fault::TimedOut));
    successor.close();
    assert_eq!(
        duct.blocks().usage().unwrap().0,
        0,
        "nothing is left behind"
    );
}

#[test]
fn who_polls_finds_out_that_the_sender_died() {
    let duct = duct::<Any>(4096);
    let (sender, receiver) = ends::<Any>(&duct);
    let village = Village::default();
    send(&sender, &village, 3, 7).unwrap();
    village.0.borrow_mut().push(SENDER);
    assert_eq!(recv(&receiver, &village), Ok(vec![7; 3]));
    let told = (0..1_000_000).find_map(|_| match recv(&receiver, &village) {
        Err(Fault::TimedOut) => None,
        other => Some(other),
    });
    assert_eq!(told, Some(Err(Fault::Ended(End::Died(1)))));
}

#[test]
fn a_receiver_frees_room_as_soon_as_it_has_nothing_to_do() {
    let duct = duct::<Word>(16 * 64);
    let (sender, receiver) = ends::<Word>(&duct);
    let village = Village::default();
    for round in 0..1000 {
        for _ in 0..64 {
            assert!(sender.claim(8, &village, Deadline::NOW).is_ok(), "{round}");
            sender.commit(8);
        }
        let full = sender.claim(8, &village, Deadline::NOW);
        assert_eq!(full.unwrap_err(), Fault::TimedOut);
        for _ in 0..64 {
            receiver.wait(&village, Deadline::NOW).unwrap();
            let _message = receiver.take_next().expect("it is there");
            receiver.ack();
        }
        assert!(receiver.wait(&village, Deadline::NOW).is_err());
    }
}
