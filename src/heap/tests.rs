//! A heap in one process: what it gives, takes back and refuses.

use super::core::Heap;
use super::geometry::CHUNK;
use super::hazard::SLOTS;
use super::room::Room;
use crate::error::{ErrorKind, Result};
use crate::segment::{Draft, Kind, Segment, Spec};
use crate::sys::actor::Actor;
use crate::sys::atomic::AtomicU64;
use crate::sys::identity::Participant;
use std::sync::Arc;

const ME: Participant = Participant::FIRST;
const OTHER: Participant = Participant::LAST;

fn me() -> Result<Participant> {
    Ok(ME)
}

fn heap(chunks: u64) -> (Heap, u64) {
    let (body_len, reserve_len) = Heap::lengths(chunks * CHUNK).unwrap();
    let spec = Spec {
        body_len,
        reserve_len,
        ..Spec::new(Kind::Test)
    };
    let segment = Draft::anonymous(&spec).unwrap().publish(None).unwrap();
    let heap = Heap::new(&Arc::new(segment));
    let cell = heap.room().object_row(0).unwrap();
    (heap, cell)
}

fn word(heap: &Heap, cell: u64) -> &AtomicU64 {
    let segment: &Segment = heap.room().segment();
    segment.at(crate::segment::layout::Offset::new(cell))
}

/// Writes `bytes` and leads the cell there.
fn put(heap: &Heap, cell: u64, who: Participant, bytes: &[u8]) -> Result<()> {
    let home = heap.home_at(cell).unwrap();
    let fresh = heap.alloc(who, bytes.len(), || 0)?;
    // SAFETY: the block is ours, and has as many bytes.
    unsafe { crate::segment::poke(fresh.room, bytes) };
    assert!(heap.replace(who, home, heap.current(home), (fresh, bytes.len())));
    Ok(())
}

fn get(heap: &Heap, cell: u64) -> Option<Vec<u8>> {
    let reading = heap.read(me, word(heap, cell)).unwrap()?;
    // SAFETY: a cell led to the block, and the hazard keeps it as it is.
    Some(unsafe { crate::segment::peek(reading.bytes) })
}

#[test]
fn a_cell_says_what_was_written_last() {
    let (heap, cell) = heap(64);
    assert_eq!(get(&heap, cell), None);
    for len in [0, 1, 16, 17, 1000, 32_704, 32_705, 65_488, 65_489, 1 << 20] {
        let bytes = vec![len as u8; len];
        put(&heap, cell, ME, &bytes).unwrap();
        assert_eq!(get(&heap, cell), Some(bytes));
    }
}

#[test]
fn a_heap_that_is_written_over_and_over_does_not_grow() {
    let (heap, cell) = heap(1 << 10);
    for turn in 0..100_000_u64 {
        put(&heap, cell, ME, &turn.to_ne_bytes()).unwrap();
    }
    assert_eq!(heap.size(), CHUNK);
    for _ in 0..1000 {
        put(&heap, cell, ME, &[7; 100_000]).unwrap();
    }
    assert!(heap.size() <= 24 * CHUNK, "{}", heap.size() / CHUNK);
}

#[test]
fn what_was_outgrown_takes_no_memory_until_it_is_needed_again() {
    let (heap, cell) = heap(1 << 10);
    let home = heap.home_at(cell).unwrap();
    let write = |len: usize| {
        let fresh = heap.alloc(ME, len, || 0).unwrap();
        // SAFETY: the block is ours, and has as many bytes.
        unsafe { crate::segment::poke(fresh.room, &vec![len as u8; len]) };
        (fresh, len)
    };
    put(&heap, cell, ME, &[1; 1 << 20]).unwrap();
    let reading = heap.read(me, word(&heap, cell)).unwrap().unwrap();
    let size = heap.size();
    assert!(heap.outgrow(ME, home, heap.current(home), write(100)));
    assert_eq!(heap.size(), size + CHUNK, "somebody reads it");
    // SAFETY: the hazard keeps the block as it is.
    assert_eq!(unsafe { crate::segment::peek(reading.bytes) }, [1; 1 << 20]);
    drop(reading);
    assert!(heap.outgrow(ME, home, heap.current(home), write(200)));
    put(&heap, cell, ME, &[2; 3 << 20]).unwrap();
    assert!(heap.outgrow(ME, home, heap.current(home), write(100)));
    assert!(heap.size() < 4 * CHUNK, "{}", heap.size());
    put(&heap, cell, ME, &[3; 1 << 20]).unwrap();
    assert_eq!(get(&heap, cell), Some(vec![3; 1 << 20]));
    assert!(heap.size() > size);
}

#[test]
fn the_limit_is_an_error_that_changes_nothing() {
    let (heap, cell) = heap(4);
    let kept = heap.room().object_row(1).unwrap();
    put(&heap, kept, ME, b"kept").unwrap();
    put(&heap, cell, ME, &[1; 100_000]).unwrap();
    let full = put(&heap, cell, ME, &[2; 100_000]).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::NoSpace);
    assert_eq!(get(&heap, cell), Some(vec![1; 100_000]));
    let long = put(&heap, cell, ME, &vec![0; 1 << 30]).unwrap_err();
    assert_eq!(long.kind(), ErrorKind::NoSpace);
    for turn in 0..10_000 {
        put(&heap, cell, ME, &[turn as u8; 3000]).unwrap();
    }
    assert_eq!(get(&heap, kept), Some(b"kept".to_vec()));
}

#[test]
fn what_is_read_stays_and_what_was_read_is_used_again() {
    let (heap, cell) = heap(4);
    put(&heap, cell, ME, b"old").unwrap();
    let held: Vec<_> = (0..SLOTS + 3)
        .map(|_| heap.read(me, word(&heap, cell)).unwrap().unwrap())
        .collect();
    for turn in 0..50_000_u64 {
        put(&heap, cell, ME, &turn.to_ne_bytes()[..3]).unwrap();
    }
    for reading in &held {
        // SAFETY: the hazard keeps the block as it is.
        assert_eq!(unsafe { crate::segment::peek(reading.bytes) }, b"old");
    }
    assert_eq!(heap.size(), CHUNK);
}

#[test]
fn rows_come_back_when_their_threads_end() {
    let (heap, cell) = heap(4);
    put(&heap, cell, ME, b"x").unwrap();
    for _ in 0..3 {
        std::thread::scope(|scope| {
            let reading = scope.spawn(|| assert_eq!(get(&heap, cell), Some(b"x".to_vec())));
            reading.join().unwrap(); // rows come back behind a thread's end, for which a scope does not wait
        });
    }
    let taken = |index| !heap.room().hazard_row(index).unwrap().claim(keeper());
    let taken = (0..4).filter(|&index| taken(index)).count();
    assert!(taken <= 1, "{taken} rows are still taken");
}

fn keeper() -> super::hazard::Keeper {
    super::hazard::Keeper::new(OTHER, 77)
}

#[test]
fn a_forked_child_clears_no_slot_of_its_parents() {
    let (heap, cell) = heap(4);
    put(&heap, cell, ME, b"old").unwrap();
    let reading = heap.read(me, word(&heap, cell)).unwrap().unwrap();
    let bytes = reading.bytes;
    let mut reading = Some(reading);
    let child = Actor::start(|_| drop(reading.take()));
    assert_eq!(child.join(), 0);
    for _ in 0..2000 {
        put(&heap, cell, ME, b"new").unwrap();
    }
    // SAFETY: the hazard keeps the block as it is.
    assert_eq!(unsafe { crate::segment::peek(bytes) }, b"old");
    drop(reading);
}

#[test]
fn the_dead_leave_what_they_finished_and_nothing_else() {
    let (heap, cell) = heap(4);
    put(&heap, cell, ME, b"mine").unwrap();
    put(&heap, cell, OTHER, b"theirs").unwrap();
    heap.alloc(OTHER, 100, || 0).unwrap();
    super::repair_heap(heap.room().segment(), OTHER);
    assert_eq!(get(&heap, cell), Some(b"theirs".to_vec()));
    put(&heap, cell, ME, b"mine").unwrap();
    let room = Room::new(Arc::clone(heap.room().segment()));
    let used = room
        .units()
        .filter(|&unit| !super::protocol::is_free(&room, unit));
    assert_eq!(
        used.count(),
        2,
        "what the cell leads to, and what was retired"
    );
}

#[test]
fn what_the_dead_had_is_used_before_the_heap_grows() {
    let (heap, _) = heap(256);
    let take = |who, bury: &dyn Fn() -> usize| {
        for _ in 0..500 {
            heap.alloc(who, 1000, bury).unwrap();
        }
        heap.room().grown()
    };
    let theirs = take(OTHER, &|| 0);
    let bury = || {
        super::repair_heap(heap.room().segment(), OTHER);
        1
    };
    assert_eq!(take(ME, &bury), theirs);
    assert!(take(ME, &|| 0) > theirs);
}
