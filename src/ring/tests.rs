//! The ring in one process, with members whose life and death the test decides.

use super::geometry::Fit;
use super::{ClaimError, Geometry, Peers, Ring, Role, Shape, TakeError, Taken};
use crate::segment::{Draft, Kind, Spec, peek, poke};
use crate::sys::clock::Deadline;
use crate::sys::identity::{Oracle, Participant};
use std::cell::RefCell;
use std::sync::Arc;

/// Members that are alive until the test says otherwise.
#[derive(Default)]
struct Village {
    dead: RefCell<Vec<Participant>>,
    deserted: RefCell<Vec<Role>>,
}

impl Oracle for Village {
    fn is_alive(&self, who: Participant) -> bool {
        !self.dead.borrow().contains(&who)
    }
}

impl Peers for Village {
    fn any_with(&self, role: Role) -> bool {
        !self.deserted.borrow().contains(&role)
    }
    fn bury(&self, who: Participant, repair: &dyn Fn(Participant)) -> bool {
        let dead = !self.is_alive(who);
        if dead {
            repair(who);
        }
        dead
    }
}

fn member(slot: u16) -> Participant {
    Participant::new(slot).unwrap()
}

const A: u16 = 1;
const B: u16 = 2;

fn ring(capacity: u32, shape: Shape, max_deliveries: u8) -> Ring {
    let geometry = Geometry {
        capacity,
        shape,
        max_deliveries,
    };
    let mut spec = Spec::new(Kind::Test);
    spec.body_len = geometry.body_len();
    spec.reserve_len = geometry.lease_reserve();
    let segment = Arc::new(Draft::anonymous(&spec).unwrap().publish(None).unwrap());
    Ring::attach(&segment, geometry)
}

const WORDS: Shape = Shape::Fixed { size: 8, align: 8 };

fn put(ring: &Ring, village: &Village, value: u64) -> Result<(), ClaimError> {
    let claim = ring.claim(member(A), village, Deadline::NOW)?;
    // SAFETY: the room of a claim is ours.
    unsafe {
        poke(
            ring.room(&claim, ring.words(), Fit::Any),
            &value.to_le_bytes(),
        )
    };
    ring.commit(claim, ring.words(), 8, Fit::Any);
    Ok(())
}

fn take(ring: &Ring, village: &Village, who: u16) -> Result<Taken, TakeError> {
    ring.take(member(who), village, Deadline::NOW)
}

fn value(ring: &Ring, taken: &Taken) -> u64 {
    // SAFETY: the payload of a message in hand is stable.
    let bytes = unsafe { peek(ring.payload(taken)) };
    u64::from_le_bytes(bytes.try_into().unwrap())
}

fn get(ring: &Ring, village: &Village) -> Result<u64, TakeError> {
    let taken = take(ring, village, B)?;
    let got = value(ring, &taken);
    ring.ack(taken, Fit::Any);
    Ok(got)
}

#[test]
fn messages_come_in_order_and_capacity_is_exact() {
    for capacity in [1, 2, 3, 5, 64] {
        let (ring, village) = (ring(capacity, WORDS, 16), Village::default());
        for lap in 0..5u64 {
            for n in 0..u64::from(capacity) {
                put(&ring, &village, lap * 100 + n).unwrap();
            }
            assert_eq!(put(&ring, &village, 0), Err(ClaimError::Full));
            assert_eq!(ring.len(), capacity as usize);
            for n in 0..u64::from(capacity) {
                assert_eq!(get(&ring, &village), Ok(lap * 100 + n));
            }
            assert_eq!(get(&ring, &village), Err(TakeError::Empty));
        }
    }
}

#[test]
fn an_aborted_claim_is_skipped() {
    let (ring, village) = (ring(2, WORDS, 16), Village::default());
    for n in 0..10 {
        let claim = ring.claim(member(A), &village, Deadline::NOW).unwrap();
        put(&ring, &village, n).unwrap();
        ring.abort(claim);
        assert_eq!(get(&ring, &village), Ok(n));
        assert_eq!(get(&ring, &village), Err(TakeError::Empty));
    }
}

#[test]
fn a_dead_writer_is_skipped_and_a_living_one_waited_for() {
    let (ring, village) = (ring(4, WORDS, 16), Village::default());
    let _unfinished = ring.claim(member(A), &village, Deadline::NOW).unwrap();
    let behind = ring.claim(member(B), &village, Deadline::NOW).unwrap();
    ring.commit(behind, ring.words(), 8, Fit::Any);
    assert_eq!(take(&ring, &village, B).unwrap_err(), TakeError::Empty);
    village.dead.borrow_mut().push(member(A));
    let taken = ring.take(member(B), &village, Deadline::NEVER).unwrap();
    assert_eq!((ring.id(&taken), taken.deliveries()), (1, 1));
    ring.ack(taken, Fit::Any);
}

#[test]
fn what_a_dead_reader_held_is_delivered_again_and_counted() {
    let (ring, village) = (ring(4, WORDS, 16), Village::default());
    put(&ring, &village, 7).unwrap();
    put(&ring, &village, 8).unwrap();
    let lost = take(&ring, &village, A).unwrap();
    village.dead.borrow_mut().push(member(A));
    ring.repair(member(A));
    ring.repair(member(A));
    let again = take(&ring, &village, B).unwrap();
    assert_eq!(
        (value(&ring, &again), ring.id(&again), again.deliveries()),
        (7, ring.id(&lost), 2)
    );
    ring.ack(again, Fit::Any);
    assert_eq!(get(&ring, &village), Ok(8));
    assert_eq!(get(&ring, &village), Err(TakeError::Empty));
    assert_eq!(ring.stats().redelivered, 1);
}

#[test]
fn a_poll_alone_finds_what_the_dead_held() {
    let (ring, village) = (ring(4, WORDS, 16), Village::default());
    put(&ring, &village, 7).unwrap();
    let _lost = take(&ring, &village, A).unwrap();
    village.dead.borrow_mut().push(member(A));
    let again = (0..).find_map(|_| take(&ring, &village, B).ok()).unwrap();
    assert_eq!(value(&ring, &again), 7);
}

#[test]
fn a_lease_frees_its_slot_and_survives_its_holder() {
    for shape in [WORDS, Shape::Variable { inline: 64 }] {
        let (ring, village) = (ring(1, shape, 16), Village::default());
        put(&ring, &village, 1).unwrap();
        let lease = ring.detach(member(A), take(&ring, &village, A).unwrap(), Fit::Any);
        assert!(lease.is_detached());
        assert_eq!(value(&ring, &lease), 1);
        put(&ring, &village, 2).unwrap();
        ring.repair(member(A));
        let again = take(&ring, &village, B).unwrap();
        assert_eq!(
            (value(&ring, &again), ring.id(&again), again.deliveries()),
            (1, ring.id(&lease), 2)
        );
        ring.give_back(again);
        let third = take(&ring, &village, B).unwrap();
        assert_eq!((value(&ring, &third), third.deliveries()), (1, 3));
        ring.ack(third, Fit::Any);
        assert_eq!(get(&ring, &village), Ok(2));
        assert_eq!(get(&ring, &village), Err(TakeError::Empty));
    }
}

#[test]
fn thousands_of_leases_each_come_back_once() {
    let (ring, village) = (ring(8, WORDS, 16), Village::default());
    for n in 0..1024 {
        put(&ring, &village, n).unwrap();
        assert!(
            ring.detach(member(A), take(&ring, &village, A).unwrap(), Fit::Any)
                .is_detached()
        );
    }
    ring.repair(member(A));
    let mut back: Vec<u64> = (0..1024).map(|_| get(&ring, &village).unwrap()).collect();
    back.sort_unstable();
    assert!(back.into_iter().eq(0..1024));
    assert_eq!(get(&ring, &village), Err(TakeError::Empty));
}

#[test]
fn a_message_delivered_too_often_is_a_dead_letter() {
    let (ring, village) = (ring(2, WORDS, 3), Village::default());
    put(&ring, &village, 13).unwrap();
    for delivery in 1..=3 {
        let taken = take(&ring, &village, B).unwrap();
        assert_eq!(taken.deliveries(), delivery);
        ring.give_back(taken);
    }
    assert_eq!(get(&ring, &village), Err(TakeError::Empty));
    let letter = ring.take_dead(member(B)).unwrap();
    assert_eq!(value(&ring, &letter), 13);
    ring.ack(letter, Fit::Any);
    assert!(ring.take_dead(member(B)).is_none());
    put(&ring, &village, 1).unwrap();
    put(&ring, &village, 2).unwrap();
    assert_eq!(put(&ring, &village, 3), Err(ClaimError::Full));
}

#[test]
fn closing_drains_and_then_ends() {
    let (ring, village) = (ring(4, WORDS, 16), Village::default());
    put(&ring, &village, 1).unwrap();
    ring.close();
    assert_eq!(put(&ring, &village, 2), Err(ClaimError::Closed));
    assert_eq!(get(&ring, &village), Ok(1));
    assert_eq!(
        ring.take(member(B), &village, Deadline::NEVER).unwrap_err(),
        TakeError::Closed
    );
}

#[test]
fn desertion_ends_the_waits_of_the_other_side() {
    let (ring, village) = (ring(1, WORDS, 16), Village::default());
    ring.announce_role(Role::Producer);
    ring.announce_role(Role::Consumer);
    put(&ring, &village, 1).unwrap();
    village
        .deserted
        .borrow_mut()
        .extend([Role::Producer, Role::Consumer]);
    let claim = ring.claim(member(A), &village, Deadline::NEVER);
    assert_eq!(claim.unwrap_err(), ClaimError::Disconnected);
    assert_eq!(get(&ring, &village), Ok(1));
    let take = ring.take(member(B), &village, Deadline::NEVER);
    assert_eq!(take.unwrap_err(), TakeError::Disconnected);
}

#[test]
fn a_spilled_message_moves_by_reference() {
    let (ring, village) = (
        ring(2, Shape::Variable { inline: 16 }, 16),
        Village::default(),
    );
    let blocks = ring.blocks().unwrap();
    for round in 0..4u8 {
        let len = 100_000;
        let block = blocks.alloc(member(A), len as u64).unwrap();
        let room = blocks.bytes(block, len as u64).unwrap();
        // SAFETY: a block of ours, `len` bytes long.
        unsafe { poke(room, &vec![round; len]) };
        let claim = ring.claim(member(A), &village, Deadline::NOW).unwrap();
        ring.commit_block(claim, block, len);
        let mut taken = take(&ring, &village, B).unwrap();
        if round % 2 == 0 {
            taken = ring.detach(member(B), taken, Fit::Any);
        }
        // SAFETY: the payload of a message in hand is stable.
        let bytes = unsafe { peek(ring.payload(&taken)) };
        assert!(bytes.len() == len && bytes.iter().all(|&b| b == round));
        ring.ack(taken, Fit::Any);
        assert_eq!(blocks.usage().unwrap().0, 0);
    }
}

#[test]
fn blocks_of_the_dead_stay_as_long_as_something_refers_to_them() {
    let (ring, village) = (
        ring(2, Shape::Variable { inline: 16 }, 16),
        Village::default(),
    );
    let blocks = ring.blocks().unwrap();
    let sent = blocks.alloc(member(A), 5000).unwrap();
    let _lost = blocks.alloc(member(A), 5000).unwrap();
    let claim = ring.claim(member(A), &village, Deadline::NOW).unwrap();
    ring.commit_block(claim, sent, 5000);
    ring.repair(member(A));
    assert_eq!(blocks.usage().unwrap().0, 1);
    let taken = take(&ring, &village, B).unwrap();
    assert_eq!(ring.payload(&taken).len(), 5000);
    ring.ack(taken, Fit::Any);
    assert_eq!(blocks.usage().unwrap().0, 0);
}

#[test]
fn all_done_waits_for_leases() {
    let (ring, village) = (ring(2, WORDS, 16), Village::default());
    assert!(ring.wait_all_done(member(A), &village, Deadline::NOW));
    put(&ring, &village, 1).unwrap();
    assert!(!ring.wait_all_done(member(A), &village, Deadline::NOW));
    let lease = ring.detach(member(B), take(&ring, &village, B).unwrap(), Fit::Any);
    assert!(!ring.wait_all_done(member(A), &village, Deadline::NOW));
    ring.ack(lease, Fit::Any);
    assert!(ring.wait_all_done(member(A), &village, Deadline::NOW));
}

#[test]
fn hints_that_lag_by_laps_are_caught_up_with() {
    let (ring, village) = (ring(3, WORDS, 16), Village::default());
    use crate::sys::atomic::Ordering::Relaxed;
    for n in 0..100 {
        put(&ring, &village, n).unwrap();
        if n % 7 == 0 {
            // no step: a test's own mischief
            ring.control().tail.store(0, Relaxed);
            ring.control().head.store(0, Relaxed);
        }
        assert_eq!(get(&ring, &village), Ok(n));
    }
}

#[test]
fn a_message_given_back_without_a_word_is_found_by_who_waits() {
    let (ring, village) = (ring(4, WORDS, 16), Village::default());
    put(&ring, &village, 7).unwrap();
    let taken = take(&ring, &village, A).unwrap();
    // The giver ends between the word and its announcement.
    let returned = taken.word().unowned(super::word::State::Returned);
    // no step: a test's own mischief
    let word = ring.slots.row(taken.index());
    word.store(returned.0, crate::sys::atomic::Ordering::SeqCst);
    let again = ring.take(member(B), &village, Deadline::NEVER).unwrap();
    assert_eq!((value(&ring, &again), again.deliveries()), (7, 2));
}

#[test]
fn a_dead_letter_whose_reader_died_is_a_dead_letter_again() {
    let (ring, village) = (ring(2, WORDS, 1), Village::default());
    put(&ring, &village, 13).unwrap();
    ring.give_back(take(&ring, &village, B).unwrap());
    let _lost = ring.take_dead(member(B)).unwrap();
    ring.repair(member(B));
    assert!(ring.wait_all_done(member(A), &village, Deadline::NOW));
    assert_eq!(value(&ring, &ring.take_dead(member(A)).unwrap()), 13);
}

#[test]
fn the_end_is_told_only_after_what_the_dead_held() {
    for closed in [true, false] {
        let (ring, village) = (ring(4, WORDS, 16), Village::default());
        ring.announce_role(Role::Producer);
        put(&ring, &village, 7).unwrap();
        let _lost = take(&ring, &village, A).unwrap();
        village.dead.borrow_mut().push(member(A));
        if closed {
            ring.close();
        } else {
            village.deserted.borrow_mut().push(Role::Producer);
        }
        assert_eq!(get(&ring, &village), Ok(7));
        let end = if closed {
            TakeError::Closed
        } else {
            TakeError::Disconnected
        };
        assert_eq!(get(&ring, &village), Err(end));
    }
}

#[test]
fn the_length_counts_neither_the_skipped_nor_by_stale_hints() {
    use crate::sys::atomic::Ordering::Relaxed;
    let (ring, village) = (ring(4, WORDS, 16), Village::default());
    for n in 0..3 {
        put(&ring, &village, n).unwrap();
    }
    // no step: a test's own mischief
    ring.control().tail.store(0, Relaxed);
    assert_eq!(ring.len(), 3);
    for n in 0..3 {
        assert_eq!(get(&ring, &village), Ok(n));
    }
    let _unfinished = ring.claim(member(A), &village, Deadline::NOW).unwrap();
    assert_eq!(ring.len(), 1);
    ring.repair(member(A));
    assert_eq!(ring.len(), 0);
}
