//! The lock for readers and writers under the model checker: nobody reads what is being changed, and a death at any step
//! holds up nobody and hides no half change.
//!
//! The code is the lock's own. Barriers on other processors' behalf are full fences on both sides here. Slices do not
//! end in a model: where a death is to cost a slice, the model sweeps and ends the writer's.

use super::bounded::Undertaker;
use super::models::{actor_as, check};
use super::rwlock::{Entry, Gate, RawRwLock, Reader, ReaderRow};
use super::{RawLock, Refused};
use crate::sys::atomic::{AtomicU64, Ordering::SeqCst};
use crate::sys::clock::Deadline;
use crate::sys::identity::{Oracle, Participant};
use crate::sys::robust;
use crate::sys::step::model::until_step;
use crate::sys::step::step;
use loom::cell::UnsafeCell;
use loom::sync::Arc;

/// More steps than any victim below takes.
const STEPS: i64 = 24;

struct Shared {
    lock: RawLock,
    gate: Gate,
    rows: [ReaderRow; 2],
    /// Two halves, changed one after the other.
    data: [UnsafeCell<u32>; 2],
    /// Bit n is set once participant n is dead.
    dead: AtomicU64,
}

impl Oracle for Shared {
    fn is_alive(&self, who: Participant) -> bool {
        self.dead.load(SeqCst) & 1 << who.get() == 0
    }
}

impl Undertaker for Shared {
    fn bury(&self, _: Participant) -> bool {
        true // the lock buries the rows of whom it waits for by itself
    }
}

fn participant(who: u16) -> Participant {
    Participant::new(who).unwrap()
}

fn reader(who: u16) -> Reader {
    Reader::new(participant(who), who.into())
}

impl Shared {
    /// Participants 1 and 2 have rows.
    fn new() -> Arc<Self> {
        let shared = Shared {
            lock: RawLock::new(),
            gate: Gate::new(),
            rows: [ReaderRow::new(), ReaderRow::new()],
            data: [UnsafeCell::new(0), UnsafeCell::new(0)],
            dead: AtomicU64::new(0),
        };
        for who in [1, 2] {
            assert!(shared.row(who).claim(reader(who)));
        }
        Arc::new(shared)
    }

    fn raw(&self) -> RawRwLock<'_> {
        RawRwLock {
            lock: &self.lock,
            gate: &self.gate,
            rows: &self.rows,
        }
    }

    fn row(&self, who: u16) -> &ReaderRow {
        &self.rows[usize::from(who) - 1]
    }

    /// What `who` sees; both halves are the same, or the lock says that they may not be.
    fn read(&self, who: u16) -> Result<u32, Refused> {
        let row = self.row(who);
        if self.gate.enter(row, reader(who)) == Entry::GateClosed {
            self.raw().take(participant(who), self, Deadline::NEVER)?;
            self.raw().enter_and_give_up(row);
        }
        let seen = self.look();
        self.gate.leave(row, who.into());
        Ok(seen)
    }

    fn look(&self) -> u32 {
        // SAFETY: loom checks the claim that nobody writes meanwhile.
        let [first, second] = [0, 1].map(|n: usize| self.data[n].with(|half| unsafe { *half }));
        assert_eq!(first, second, "half a change is seen");
        first
    }

    fn write(&self, who: u16) -> Result<(), Refused> {
        self.raw().take(participant(who), self, Deadline::NEVER)?;
        self.raw().close(self, Deadline::NEVER).unwrap();
        self.change();
        self.raw().finish();
        Ok(())
    }

    fn change(&self) {
        self.data.iter().for_each(|half| {
            // SAFETY: loom checks the claim that this access is exclusive.
            half.with_mut(|half| unsafe { *half += 1 });
            step("model.between");
        });
    }

    /// What the kernel and a sweep do about a victim that has died, and the end of a slice.
    fn dies(&self, who: u16) {
        self.lock.kernel_walks();
        self.dead.fetch_or(1 << who, SeqCst); // no step: the model's own
        for row in &self.rows {
            row.bury(participant(who));
            row.end_slice();
        }
    }
}

#[test]
fn loom_rwlock_nobody_reads_what_is_being_changed() {
    check(|| {
        let shared = Shared::new();
        let reader = actor_as(&shared, 1, |s| {
            let first = s.read(1).unwrap();
            assert!(first <= s.read(1).unwrap());
        });
        robust::enter(3);
        shared.write(3).unwrap();
        reader.join().unwrap();
        assert_eq!(shared.look(), 1);
    });
}

#[test]
fn loom_rwlock_two_readers_and_a_writer() {
    check(|| {
        let shared = Shared::new();
        let readers = [1, 2].map(|who| actor_as(&shared, who, move |s| s.read(who).unwrap()));
        robust::enter(3);
        shared.write(3).unwrap();
        assert!(readers.map(|r| r.join().unwrap()).iter().all(|&n| n <= 1));
    });
}

#[test]
fn loom_rwlock_two_writers_and_a_reader() {
    check(|| {
        let shared = Shared::new();
        let writer = actor_as(&shared, 3, |s| s.write(3).unwrap());
        let reader = actor_as(&shared, 1, |s| s.read(1).unwrap());
        robust::enter(4);
        shared.write(4).unwrap();
        writer.join().unwrap();
        assert!(reader.join().unwrap() <= 2);
        assert_eq!(shared.look(), 2);
    });
}

#[test]
fn loom_rwlock_who_reads_on_after_writing_is_alone_until_then() {
    check(|| {
        let shared = Shared::new();
        let writer = actor_as(&shared, 3, |s| s.write(3).unwrap());
        robust::enter(1);
        let raw = shared.raw();
        raw.take(participant(1), &*shared, Deadline::NEVER).unwrap();
        raw.close(&*shared, Deadline::NEVER).unwrap();
        shared.change();
        let mine = shared.look();
        raw.downgrade(shared.row(1));
        assert_eq!(shared.look(), mine);
        shared.gate.leave(shared.row(1), 1);
        writer.join().unwrap();
        assert_eq!(shared.look(), 2);
    });
}

#[test]
fn loom_rwlock_a_dead_reader_holds_up_nobody() {
    for n in 0..STEPS {
        check(move || {
            let shared = Shared::new();
            let victim = actor_as(&shared, 1, move |s| {
                let _ = until_step(n, || s.read(1));
                s.dies(1);
            });
            robust::enter(3);
            shared.write(3).unwrap();
            victim.join().unwrap();
            shared.write(3).unwrap();
            assert_eq!(shared.look(), 2);
        });
    }
}

#[test]
fn loom_rwlock_a_dead_writers_half_change_is_told() {
    for n in 0..STEPS {
        check(move || {
            let shared = Shared::new();
            let victim = actor_as(&shared, 3, move |s| {
                let done = until_step(n, || s.write(3)).is_some();
                s.dies(3);
                done
            });
            robust::enter(1);
            let during = shared.read(1);
            let done = victim.join().unwrap();
            match shared.read(1) {
                Ok(seen) => {
                    assert!(!done || seen == 1);
                    assert!(during.is_ok(), "told of nothing");
                }
                Err(why) => {
                    assert!(!done && matches!(why, Refused::Marked(_)));
                    let origin = shared.raw().recover(participant(1), &*shared).unwrap();
                    assert!(origin.is_some());
                    shared.raw().finish();
                }
            }
            robust::enter(1);
            assert!(
                shared
                    .raw()
                    .take(participant(1), &*shared, Deadline::NEVER)
                    .is_ok()
            );
        });
    }
}
