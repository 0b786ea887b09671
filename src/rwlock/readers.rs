//! The threads of one process that read by one lock: which row each of them has.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

use crate::segment::Places;
use crate::sync::{Reader, ReaderRow};
use crate::sys::atfork::ForkMutex;
use crate::sys::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sys::identity::Participant;
use crate::sys::serial;
use crate::tenancy::Small;

/// What all handles of one process on one lock share. A thread keeps its row until it ends, and the process gives all of
/// them back with its last handle.
pub(super) struct Readers {
    rows: Places<ReaderRow>,
    /// `{serial:48 | row:16}` of threads that have one, at `serial % KNOWN`; a row counts from 1. A child of a fork finds
    /// its parent's here, and none of its own, whose serials are new.
    known: [AtomicU64; KNOWN],
    /// As whom this process has its rows: a [`Participant`], or 0.
    who: AtomicU64,
    home: Small,
}

const KNOWN: usize = 64;
const ROW_BITS: u32 = 16;

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
            known: [const { AtomicU64::new(0) }; KNOWN],
            who: AtomicU64::new(0),
            home: home.clone(),
        });
        all.insert(key(home), Arc::downgrade(&readers));
        readers
    }

    pub(super) fn rows(&self) -> &[ReaderRow] {
        self.rows.get()
    }

    /// The row of the thread with the serial `here`, the calling one, if it has had one lately.
    #[inline(always)]
    pub(super) fn row_here(&self, here: u64) -> Option<&ReaderRow> {
        let known = self.known[here as usize % KNOWN].load(Relaxed); // memory of this process
        if known >> ROW_BITS != here {
            return None;
        }
        let index = (known as u16).wrapping_sub(1); // no row at all is beyond all
        self.rows.get().get(usize::from(index))
    }

    fn reader(&self, here: u64) -> Option<Reader> {
        let who = Participant::new(self.who.load(Relaxed) as u16)?; // memory of this process
        Some(Reader::new(who, here))
    }

    /// The row of the calling thread, which takes one if it has none; `None` if there is none to be had.
    #[cold]
    pub(super) fn row(&self) -> Option<&ReaderRow> {
        let me = self.home.tenant().me();
        // Before the serial: where a thread is ending already it gets neither.
        LEAVES.try_with(|leaves| leaves.0.set(true)).ok()?;
        let here = serial::arrived()?;
        self.who.store(me.get().into(), Relaxed); // no step: memory of this process
        let reader = Reader::new(me, here);
        let rows = self.rows.get();
        let own = rows.iter().position(|row| row.is_of(reader));
        // Each begins its search elsewhere: neighbours would look at each other's lines.
        let from = here as usize % rows.len().max(1);
        let mut order = (from..rows.len()).chain(0..from);
        let index = own.or_else(|| order.find(|&index| rows[index].claim(reader)))?;
        let known = here << ROW_BITS | (index as u64 + 1);
        self.known[here as usize % KNOWN].store(known, Relaxed); // no step: memory of this process
        Some(&rows[index])
    }

    /// Gives back the row of the thread with the serial `here`, which is ending.
    fn give_up(&self, here: u64) {
        if let Some(reader) = self.reader(here)
            && self.is_here()
        {
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

fn key(home: &Small) -> (u64, u64) {
    (home.tenant().segment().id(), home.place())
}
