//! Models of a lane: the real ends on the model checker's atomics, futexes and threads.
//!
//! A record's payload is a cell for each of its granules, so that the checker reports whoever reads what is being written;
//! and granules behind the first hold, where a header may come to lie, what looks most like one.

use super::control::LaneControl;
use super::cursor::Cursor;
use super::header::{Content, Header};
use super::protocol::{Memory, Reader, Writer, arm_and_look};
use crate::sys::atomic::AtomicU64;
use crate::sys::atomic::Ordering::{Acquire, Relaxed};
use crate::sys::bell::{Bells, ModelBell};
use crate::sys::clock::Deadline;
use crate::sys::identity::Participant;
use crate::sys::step::model::until_step;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

struct Model {
    control: LaneControl,
    headers: Vec<AtomicU64>,
    cells: Vec<UnsafeCell<u64>>,
    uniform: bool,
    bell: ModelBell,
}

impl Memory for &Model {
    fn control(&self) -> &LaneControl {
        &self.control
    }
    fn header(&self, granule: u32) -> &AtomicU64 {
        &self.headers[granule as usize]
    }
    fn granules(&self) -> u32 {
        self.headers.len() as u32
    }
    /// The length of a message is the number of its granules.
    fn granules_of(&self, len: u32) -> u32 {
        len.max(1)
    }
    fn bells(&self) -> &impl Bells {
        &self.bell
    }
    fn is_uniform(&self) -> bool {
        self.uniform
    }
}

impl Model {
    fn new(granules: usize, uniform: bool) -> Arc<Self> {
        Arc::new(Model {
            control: LaneControl::new(),
            headers: (0..granules).map(|_| AtomicU64::new(0)).collect(),
            cells: (0..granules).map(|_| UnsafeCell::new(0)).collect(),
            bell: ModelBell::new(),
            uniform,
        })
    }

    /// Writes `value` to every granule of a record, and a word like a header behind the first.
    fn write(&self, at: Cursor, count: u32, value: u64) {
        for granule in at.granule..at.granule + count {
            // SAFETY: the room is the writer's; the model checker reports any concurrent access.
            self.cells[granule as usize].with_mut(|cell| unsafe { *cell = value });
            if granule > at.granule {
                let looks_like_one = Header::new(at.lap, Content::Inline(1)).0;
                // no step: payload
                self.headers[granule as usize].store(looks_like_one, Relaxed);
            }
        }
    }

    /// The value of a record, the same in all its granules.
    fn read(&self, at: Cursor, count: u32) -> u64 {
        let values = (at.granule..at.granule + count).map(|granule| {
            // SAFETY: the record is the reader's; the model checker reports any concurrent access.
            self.cells[granule as usize].with(|cell| unsafe { *cell })
        });
        let values: Vec<_> = values.collect();
        assert!(values.iter().all(|&value| value == values[0]));
        values[0]
    }

    fn content(&self, count: u32) -> Content {
        Content::Inline(if self.uniform { 0 } else { count })
    }

    /// The blocking send.
    fn send(&self, writer: &Writer, count: u32, value: u64) {
        while !writer.reach(self, count) {
            let room = || writer.reach(self, count).then_some(());
            if let Err(ticket) = arm_and_look(&self.control.freed, room) {
                self.control.freed.wait(ticket, Deadline::NEVER);
            }
        }
        self.write(writer.at(self), count, value);
        writer.publish(self, count, self.content(count));
    }

    fn try_recv(&self, reader: &Reader) -> Option<u64> {
        let content = reader.look(self)?;
        let at = reader.next(self);
        let count = (&self).span(at, content);
        let value = self.read(at, count);
        reader.pass(self, content);
        Some(value)
    }

    /// The blocking receive, which frees each message at once.
    fn recv(&self, reader: &Reader) -> Option<u64> {
        loop {
            let end = self.control.sender.end();
            if let Some(value) = self.try_recv(reader) {
                _ = reader.acknowledge(self);
                reader.release(self);
                return Some(value);
            }
            if end.is_some() {
                return None;
            }
            let over = || self.control.sender.end().map(drop);
            let answer = || reader.look(self).map(drop).or_else(over);
            if let Err(ticket) = arm_and_look(&self.control.filled, answer) {
                self.control.filled.wait(ticket, Deadline::NEVER);
            }
        }
    }
}

const SENDER: Participant = Participant::FIRST;

/// Sends records of these granules from another thread, and receives them here in their order.
fn pass(granules: usize, uniform: bool, counts: &'static [u32]) {
    loom::model(move || {
        let model = Model::new(granules, uniform);
        let theirs = Arc::clone(&model);
        let sending = thread::spawn(move || {
            let writer = Writer::take_over(&*theirs);
            for (value, &count) in (1..).zip(counts) {
                theirs.send(&writer, count, value);
            }
        });
        let reader = Reader::take_over(&*model);
        for value in 1..=counts.len() as u64 {
            assert_eq!(model.recv(&reader), Some(value));
        }
        sending.join().unwrap();
        assert_eq!(model.try_recv(&reader), None);
    });
}

#[test]
fn loom_messages_of_one_size_go_around_the_ring() {
    pass(2, true, &[1, 1, 1]);
}

#[test]
fn loom_a_ring_of_one_place_is_passed_to_and_fro() {
    pass(1, true, &[1, 1]);
}

#[test]
fn loom_long_records_leave_nothing_that_looks_like_a_header() {
    pass(2, false, &[2, 1, 1]);
}

#[test]
fn loom_what_does_not_fit_the_rest_of_the_ring_begins_it_anew() {
    pass(3, false, &[2, 2, 1]);
}

#[test]
fn loom_who_waits_is_told_of_the_end_behind_the_last_message() {
    loom::model(|| {
        let model = Model::new(2, true);
        assert!(model.control.sender.take_first(SENDER, 7));
        let theirs = Arc::clone(&model);
        let sending = thread::spawn(move || {
            let writer = Writer::take_over(&*theirs);
            theirs.send(&writer, 1, 1);
            assert!(theirs.control.sender.close(SENDER));
            theirs.control.filled.wake_all(&theirs.bell);
        });
        let reader = Reader::take_over(&*model);
        assert_eq!(model.recv(&reader), Some(1));
        assert_eq!(model.recv(&reader), None);
        sending.join().unwrap();
    });
}

/// A block may be written again once its message is acknowledged, whether or not the record's room is free.
#[test]
fn loom_who_waits_for_a_block_is_woken_by_the_acknowledgement() {
    loom::model(|| {
        let model = Model::new(16, false);
        let theirs = Arc::clone(&model);
        let sending = thread::spawn(move || {
            let writer = Writer::take_over(&*theirs);
            theirs.send(&writer, 1, 1);
            let is_done = || (writer.acknowledged(&*theirs) == 1).then_some(());
            while is_done().is_none() {
                if let Err(ticket) = arm_and_look(&theirs.control.freed, is_done) {
                    theirs.control.freed.wait(ticket, Deadline::NEVER);
                }
            }
        });
        let reader = Reader::take_over(&*model);
        while model.try_recv(&reader).is_none() {
            thread::yield_now();
        }
        if reader.acknowledge(&*model) {
            reader.release(&*model);
        }
        sending.join().unwrap();
    });
}

/// A sender that dies before its step `n` sends a prefix; its successor goes on behind that, and nothing in between is
/// taken for a message.
#[test]
fn loom_a_successor_sends_behind_what_the_dead_had_sent() {
    for n in 0..8 {
        loom::model(move || {
            let model = Model::new(4, false);
            let theirs = Arc::clone(&model);
            let dying = thread::spawn(move || {
                until_step(n, || {
                    let writer = Writer::take_over(&*theirs);
                    theirs.send(&writer, 1, 1);
                    theirs.send(&writer, 2, 2);
                });
            });
            let reader = Reader::take_over(&*model);
            let early = model.try_recv(&reader);
            if early.is_some() {
                _ = reader.acknowledge(&*model);
                reader.release(&*model);
            }
            dying.join().unwrap();
            let writer = Writer::take_over(&*model);
            model.send(&writer, 1, 3);
            let mut all: Vec<_> = early.into_iter().collect();
            while let Some(value) = model.try_recv(&reader) {
                all.push(value);
                _ = reader.acknowledge(&*model);
            }
            reader.release(&*model);
            assert_eq!(all.pop(), Some(3));
            assert_eq!(all, (1..=all.len() as u64).collect::<Vec<_>>());
            assert_eq!(
                model.control.free.load(Acquire),
                writer.at(&*model).position
            );
        });
    }
}

/// A receiver that dies before its step `n` has acknowledged a prefix; its successor receives the rest, in order.
#[test]
fn loom_a_successor_receives_what_the_dead_had_not_acknowledged() {
    for n in 0..10 {
        loom::model(move || {
            let model = Model::new(4, false);
            let theirs = Arc::clone(&model);
            let sending = thread::spawn(move || {
                let writer = Writer::take_over(&*theirs);
                for (value, count) in [(1, 2), (2, 2)] {
                    theirs.send(&writer, count, value);
                }
            });
            let received = until_step(n, || {
                let reader = Reader::take_over(&*model);
                model.try_recv(&reader)?;
                _ = reader.acknowledge(&*model);
                reader.release(&*model);
                Some(())
            });
            sending.join().unwrap();
            let done = model.control.done.load(Acquire);
            assert!(received != Some(Some(())) || done == 2);
            let reader = Reader::take_over(&*model);
            let rest: Vec<_> = std::iter::from_fn(|| model.try_recv(&reader)).collect();
            assert_eq!(rest, [1, 2][done as usize / 2..]);
        });
    }
}
