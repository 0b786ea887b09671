//! The threads of one process that read by one lock: which row each of them has.

use std::cell::Cell;
use std::collections::HashMap;
use std::ptr::null_mut;
use std::sync::{Arc, Weak};

use crate::segment::Places;
use crate::sync::{Reader, ReaderRow};
use crate::sys::atfork::ForkMutex;
use crate::sys::atomic::{
    AtomicPtr, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use crate::sys::identity::Participant;
use crate::sys::serial;
use crate::tenancy::Small;

/// A row of the calling thread.
#[derive(Clone, Copy, Debug)]
pub(super) struct OwnRow<'a> {
    pub(super) row: &'a ReaderRow,
    pub(super) reader: Reader,
}

/// What all handles of one process on one lock share. A thread keeps its row until it ends, and the process gives all of
/// them back with its last handle.
pub(super) struct Readers {
    rows: Places<ReaderRow>,
    /// Threads that have one, each at its serial or, where that is taken, elsewhere.
    known: [Known; KNOWN],
    /// As whom this process has its rows: a [`Participant`], or 0.
    who: AtomicU64,
    home: Small,
}

/// More threads than these look through all rows for their own, each time that they read.
const KNOWN: usize = 64;

/// Which row a thread has, in memory of this process. Only the thread itself writes it, from when it has taken it to when
/// it ends, so what it reads here is one row's.
#[repr(align(32))]
struct Known {
    /// Its serial. A child of a fork finds its parent's threads here, and none of its own, whose serials are new.
    thread: AtomicU64,
    row: AtomicPtr<ReaderRow>,
    reader: AtomicU64,
}

/// No thread's serial, and no thread's either.
const NOBODY: u64 = u64::MAX - 1;
const TAKING: u64 = u64::MAX - 2;

// No step in what follows: memory of this process.
impl Known {
    const fn of_nobody() -> Known {
        Known {
            thread: AtomicU64::new(NOBODY),
            row: AtomicPtr::new(null_mut()),
            reader: AtomicU64::new(0),
        }
    }

    /// Whether it is the calling thread's, whose serial is `here`.
    #[inline(always)]
    fn is_of(&self, here: u64) -> bool {
        self.thread.load(Relaxed) == here // its own store, or somebody else's
    }

    /// Takes it for the calling thread, if it is nobody's. It is the thread's once all of it is written: a signal handler
    /// may read by the lock in between.
    fn take(&self, here: u64, OwnRow { row, reader }: OwnRow<'_>) -> bool {
        // Acquire: pairs with `forget`, whose thread has read what is written next.
        let taken = self
            .thread
            .compare_exchange(NOBODY, TAKING, Acquire, Relaxed); // no step: memory of this process
        if taken.is_ok() {
            let row: *const ReaderRow = row;
            self.row.store(row.cast_mut(), Relaxed); // no step: memory of this process
            self.reader.store(reader.to_bits(), Relaxed); // no step: memory of this process
            self.thread.store(here, Release); // no step: as above; behind what it stands for
        }
        taken.is_ok()
    }

    /// Gives it up if it is the calling thread's.
    fn forget(&self, here: u64) {
        if self.is_of(here) {
            self.thread.store(NOBODY, Release); // no step: memory of this process. Pairs with `take`
        }
    }
}

/// By segment and place.
type All = HashMap<(u64, u64), Weak<Readers>>;

static ALL: ForkMutex<Option<All>> = ForkMutex::new(None, || None);

thread_local! {
    /// Set in threads that have a row somewhere.
    static LEAVES: Leaves = const { Leaves(Cell::new(false)) };
}

/// Gives a thread's rows back when it ends.
struct Leaves(Cell<bool>);

impl Drop for Leaves {
    fn drop(&mut self) {
        let here = serial::here();
        let all: Vec<_> = match ALL.lock().as_ref() {
            Some(all) => all.values().filter_map(Weak::upgrade).collect(),
            None => Vec::new(),
        };
        all.iter().for_each(|readers| readers.give_up(here));
        serial::ends();
    }
}

impl Readers {
    /// The readers of this process by the lock in `home`, whose rows these are.
    pub(super) fn of(home: &Small, rows: Places<ReaderRow>) -> Arc<Self> {
        let mut all = ALL.lock();
        let all = all.get_or_insert_default();
        if let Some(found) = all.get(&key(home)).and_then(Weak::upgrade) {
            return found;
        }
        let readers = Arc::new(Readers {
            rows,
            known: [const { Known::of_nobody() }; KNOWN],
            who: AtomicU64::new(0),
            home: home.clone(),
        });
        all.insert(key(home), Arc::downgrade(&readers));
        readers
    }

    pub(super) fn rows(&self) -> &[ReaderRow] {
        self.rows.get()
    }

    /// The row of the calling thread, if it is where the thread looks first.
    #[inline(always)]
    pub(super) fn own(&self) -> Option<OwnRow<'_>> {
        let here = serial::here();
        let known = &self.known[here as usize % KNOWN];
        known.is_of(here).then(|| self.own_by(known))
    }

    /// What the calling thread, whose it is, has noted there.
    #[inline(always)]
    fn own_by(&self, known: &Known) -> OwnRow<'_> {
        let row = known.row.load(Relaxed); // this thread's own store, as the next
        // SAFETY: one of `self.rows`, which `self` keeps mapped; noted by this thread when it took the place.
        let row = unsafe { &*row };
        let reader = Reader::from_bits(known.reader.load(Relaxed));
        OwnRow { row, reader }
    }

    /// The row of the calling thread, if it has one.
    pub(super) fn find(&self) -> Option<OwnRow<'_>> {
        let here = serial::here();
        let known = from(&self.known, here).find(|known| known.is_of(here));
        let own = known.map(|known| self.own_by(known));
        own.filter(|own| own.row.is_of(own.reader)) // and not emptied by who took this process for dead
    }

    /// The row of the calling thread, which takes one if it has none; `None` if there is none to be had.
    #[cold]
    pub(super) fn take_row(&self) -> Option<OwnRow<'_>> {
        self.find().or_else(|| self.take_new())
    }

    fn take_new(&self) -> Option<OwnRow<'_>> {
        let me = self.home.tenant().me();
        // Before the serial: where a thread is ending already it gets neither.
        LEAVES.try_with(|leaves| leaves.0.set(true)).ok()?;
        let here = serial::arrived()?;
        self.who.store(me.get().into(), Relaxed); // no step: memory of this process
        let reader = Reader::new(me, here);
        // Each begins its search elsewhere: neighbours would look at each other's lines.
        let rows = || from(self.rows.get(), here);
        let own = rows().find(|row| row.is_of(reader)); // that of a thread too many to be known
        let row = own.or_else(|| rows().find(|row| row.claim(reader)))?;
        let own = OwnRow { row, reader };
        self.known.iter().for_each(|known| known.forget(here));
        from(&self.known, here).any(|known| known.take(here, own));
        Some(own)
    }

    /// Gives back the row of the thread with the serial `here`, which is ending.
    fn give_up(&self, here: u64) {
        self.known.iter().for_each(|known| known.forget(here));
        if let Some(who) = Participant::new(self.who.load(Relaxed) as u16) // memory of this process
            && self.is_here()
        {
            let reader = Reader::new(who, here);
            let own = self.rows.get().iter().find(|row| row.is_of(reader));
            own.inspect(|row| row.give_up(reader));
        }
    }

    /// Whether this is the process that took the rows, and not a child of it.
    fn is_here(&self) -> bool {
        let who = self.home.tenant().who();
        who.is_some_and(|who| u64::from(who.get()) == self.who.load(Relaxed)) // memory of this process
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        // Under the lock, so that who attaches again at the same time either finds these or takes rows later.
        let mut all = ALL.lock();
        let all = all.get_or_insert_default();
        let key = key(&self.home);
        if all.get(&key).is_some_and(|it| it.strong_count() == 0) {
            all.remove(&key);
        }
        let me = self.home.tenant().who();
        if let Some(me) = me.filter(|_| self.is_here() && !all.contains_key(&key)) {
            self.rows().iter().for_each(|row| row.give_up_for(me));
        }
    }
}

/// All of them, from the one that the thread with the serial `here` has before others.
fn from<T>(all: &[T], here: u64) -> impl Iterator<Item = &T> {
    let (before, behind) = all.split_at(here as usize % all.len().max(1));
    behind.iter().chain(before)
}

fn key(home: &Small) -> (u64, u64) {
    (home.tenant().segment().id(), home.place())
}
