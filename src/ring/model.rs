//! Models of the ring's protocol: the real steps on the model checker's atomics, futexes and threads.

use super::control::Control;
use super::protocol::{self, Memory, Nothing};
use super::word::{Position, State, Word};
use crate::sys::atomic::AtomicU64;
use crate::sys::atomic::Ordering::{Acquire, Relaxed};
use crate::sys::bell::{Bells, ModelBell};
use crate::sys::clock::Deadline;
use crate::sys::identity::Participant;
use crate::sys::membarrier;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

struct Model {
    control: Control,
    words: Vec<AtomicU64>,
    payload: Vec<UnsafeCell<u64>>,
    bell: ModelBell,
}

impl Memory for &Model {
    fn control(&self) -> &Control {
        &self.control
    }
    fn word(&self, index: u32) -> &AtomicU64 {
        &self.words[index as usize]
    }
    fn capacity(&self) -> u32 {
        self.words.len() as u32
    }
    fn bells(&self) -> &impl Bells {
        &self.bell
    }
}

fn member(slot: u16) -> Participant {
    Participant::new(slot).unwrap()
}

impl Model {
    fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Model {
            control: Control::new(),
            words: (0..capacity).map(|_| AtomicU64::new(0)).collect(),
            payload: (0..capacity).map(|_| UnsafeCell::new(0)).collect(),
            bell: ModelBell::new(),
        })
    }

    fn write(&self, at: Position, value: u64) {
        // SAFETY: the slot is claimed by this thread; the model checker reports any concurrent access.
        self.payload[at.index() as usize].with_mut(|cell| unsafe { *cell = value });
    }

    fn read(&self, at: Position) -> u64 {
        // SAFETY: the slot is taken by this thread; the model checker reports any concurrent access.
        self.payload[at.index() as usize].with(|cell| unsafe { *cell })
    }

    /// The blocking `put` of the ring: claim, wake, write, publish; sleep while full.
    fn put(&self, me: Participant, value: u64) {
        let at = loop {
            // As the ring does: where the hint says, then further on.
            if let Some(at) = protocol::claim_here(self, me) {
                break at;
            }
            if let Ok(at) = protocol::try_claim(self, me) {
                break at;
            }
            let ticket = self.control.not_full.arm();
            match protocol::try_claim(self, me) {
                Ok(at) => break at,
                Err(in_the_way) if in_the_way.state() == State::Full => {
                    self.control.not_full.wait(ticket, Deadline::NEVER);
                }
                // Behind a message in somebody's hands the ring sleeps in short slices.
                Err(_) => thread::yield_now(),
            }
        };
        let awaited = self.control.not_empty.is_armed();
        self.write(at, value);
        if awaited {
            protocol::publish_and_look(self, at);
            self.control.not_empty.wake(&self.bell);
        } else {
            protocol::publish(self, at);
            membarrier::light();
            self.control.not_empty.wake_after_release(&self.bell);
        }
    }

    fn try_get(&self, me: Participant) -> Result<u64, Nothing> {
        let here = protocol::take_here(self, me).map(Ok);
        let (at, mine) = here.unwrap_or_else(|| protocol::try_take(self, me))?;
        let value = self.read(at);
        protocol::free(self.word(at.index()), mine);
        self.control.not_full.wake_after_release(&self.bell);
        Ok(value)
    }

    /// The blocking `get` of the ring, which here sleeps until it is woken.
    fn get(&self, me: Participant) -> u64 {
        loop {
            if let Ok(value) = self.try_get(me) {
                return value;
            }
            let ticket = self.control.not_empty.arm();
            let look = self.try_get(me).or_else(|nothing| {
                if nothing == Nothing::Empty {
                    return Err(nothing);
                }
                membarrier::heavy();
                self.try_get(me)
            });
            match look {
                Ok(value) => return value,
                Err(_) => _ = self.control.not_empty.wait(ticket, Deadline::NEVER),
            }
        }
    }

    /// As `wait_any` gets: announced, behind a barrier, it looks once more and then sleeps on its bell.
    fn get_among_others(&self, me: Participant) -> u64 {
        loop {
            self.bell.hush();
            self.control.not_empty.watch();
            membarrier::heavy();
            if protocol::find_message(self).is_err() {
                self.bell.wait();
            }
            if let Ok(value) = self.try_get(me) {
                return value;
            }
        }
    }

    /// What survivors do once the kernel says that `dead` is: the slot half of the ring's repair.
    fn repair(&self, dead: Participant) {
        for index in 0..self.capacity() {
            let word = Word(self.word(index).load(Acquire));
            match word.state() {
                State::Writing if word.is_owned_by(dead) => {
                    protocol::skip_dead_writer(self, index, word);
                }
                State::Taken if word.is_owned_by(dead) => {
                    protocol::offer_again(self, index, word);
                }
                _ => {}
            }
        }
        protocol::announce_return(self);
    }

    fn take_returned(&self, me: Participant) -> Option<u64> {
        (0..self.capacity()).find_map(|index| {
            let seen = Word(self.word(index).load(Acquire));
            (seen.state() == State::Returned).then_some(())?;
            let mine = protocol::retake(self, index, seen, me)?;
            let at = Position::new(mine.lap(), index);
            let value = self.read(at);
            protocol::free(self.word(index), mine);
            Some(value)
        })
    }
}

/// Explores every schedule with at most `preemptions` forced switches, or the environment's `LOOM_MAX_PREEMPTIONS` if
/// that is less; models with two sleepers have too many states for more than one.
fn check_within(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    let wanted = builder.preemption_bound.unwrap_or(preemptions);
    builder.preemption_bound = Some(wanted.min(preemptions));
    builder.max_branches = 100_000; // behind a message in flight the models yield
    builder.check(model);
}

fn check(model: impl Fn() + Sync + Send + 'static) {
    check_within(3, model);
}

#[test]
fn loom_ring_one_producer_one_consumer_in_order() {
    check(|| {
        let model = Model::new(1);
        let producer = {
            let model = model.clone();
            thread::spawn(move || (1..=2).for_each(|n| model.put(member(1), n)))
        };
        assert_eq!((model.get(member(2)), model.get(member(2))), (1, 2));
        producer.join().unwrap();
    });
}

#[test]
fn loom_ring_two_producers_lose_nothing() {
    check(|| {
        let model = Model::new(2);
        let producers: Vec<_> = (1..=2)
            .map(|n| {
                let model = model.clone();
                thread::spawn(move || model.put(member(n), u64::from(n)))
            })
            .collect();
        let got = model.get(member(3)) + model.get(member(3));
        assert_eq!(got, 3);
        producers.into_iter().for_each(|p| p.join().unwrap());
    });
}

#[test]
fn loom_ring_two_consumers_each_message_once() {
    check_within(1, || {
        let model = Model::new(2);
        let consumers: Vec<_> = (1..=2)
            .map(|n| {
                let model = model.clone();
                thread::spawn(move || model.get(member(n)))
            })
            .collect();
        model.put(member(3), 1);
        model.put(member(3), 2);
        let sum: u64 = consumers.into_iter().map(|c| c.join().unwrap()).sum();
        assert_eq!(sum, 3);
    });
}

#[test]
fn loom_ring_a_watcher_misses_no_message() {
    check(|| {
        let model = Model::new(1);
        let theirs = Arc::clone(&model);
        let producer = thread::spawn(move || (1..=2).for_each(|n| theirs.put(member(1), n)));
        for n in 1..=2 {
            assert_eq!(model.get_among_others(member(2)), n);
        }
        producer.join().unwrap();
    });
}

#[test]
fn loom_ring_a_watcher_takes_no_wake_up_from_a_sleeper() {
    check_within(2, || {
        let model = Model::new(2);
        let [sleeping, putting] = [Arc::clone(&model), Arc::clone(&model)];
        let sleeper = thread::spawn(move || sleeping.get(member(2)));
        let producer = thread::spawn(move || (1..=2).for_each(|n| putting.put(member(1), n)));
        let watched = model.get_among_others(member(3));
        assert_eq!(watched + sleeper.join().unwrap(), 3);
        producer.join().unwrap();
    });
}

#[test]
fn loom_ring_claim_of_a_dead_writer_is_skipped() {
    check(|| {
        let model = Model::new(2);
        let died = {
            let model = model.clone();
            thread::spawn(move || {
                // Ends between claim and publish.
                let at = protocol::try_claim(&*model, member(1)).unwrap();
                model.write(at, 99);
            })
        };
        died.join().unwrap();
        let survivor = {
            let model = model.clone();
            thread::spawn(move || model.put(member(2), 7))
        };
        let repairers = {
            let model = model.clone();
            thread::spawn(move || model.repair(member(1)))
        };
        model.repair(member(1));
        assert_eq!(model.get(member(3)), 7);
        survivor.join().unwrap();
        repairers.join().unwrap();
    });
}

#[test]
fn loom_ring_message_of_a_dead_reader_is_taken_once() {
    check(|| {
        let model = Model::new(1);
        model.put(member(1), 5);
        let died = {
            let model = model.clone();
            thread::spawn(move || _ = protocol::try_take(&*model, member(2)).unwrap())
        };
        died.join().unwrap();
        let taker = |who| {
            let model = model.clone();
            thread::spawn(move || {
                model.repair(member(2));
                model.take_returned(member(who))
            })
        };
        let (a, b) = (taker(3), taker(4));
        let got: Vec<u64> = [a, b]
            .into_iter()
            .filter_map(|t| t.join().unwrap())
            .collect();
        assert_eq!(got, [5]);
        assert!(protocol::try_claim(&*model, member(1)).is_ok());
    });
}

#[test]
fn loom_ring_close_against_put() {
    check(|| {
        let model = Model::new(1);
        let producer = {
            let model = model.clone();
            thread::spawn(move || {
                let at = protocol::try_claim(&*model, member(1)).unwrap();
                if protocol::is_closed(&*model) {
                    protocol::abandon(&*model, at);
                    return false;
                }
                model.write(at, 3);
                protocol::publish(&*model, at);
                true
            })
        };
        protocol::close(&*model);
        let found = loop {
            match model.try_get(member(2)) {
                Ok(_) => break true,
                Err(Nothing::Empty) => break false,
                Err(Nothing::InFlight(..)) => thread::yield_now(),
            }
        };
        // What was accepted is found by whoever looks after closing; what was refused is never seen.
        assert_eq!(producer.join().unwrap(), found);
    });
}
