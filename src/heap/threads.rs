//! Which rows of hazards the threads of this process have.
//!
//! A thread keeps its rows until it ends; those of all threads are given back when the process leaves the segment. What is
//! noted here is memory of this process: without it a thread finds its row by looking through all of them.

use super::hazard::Keeper;
use super::room::Room;
use crate::error::{Error, ErrorKind, Result};
use crate::sys::atfork::{self, ForkMutex};
use crate::sys::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sys::identity::Participant;
use crate::sys::serial;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// The rooms of this process, by the numbers under which threads note them. A child that was forked while another thread
/// changed the table forgets it: its threads' rows are then given back when it leaves.
static ROOMS: ForkMutex<Option<HashMap<u64, Weak<Room>>>> = ForkMutex::new(None, || None);

/// The number of the last room.
static LAST: AtomicU64 = AtomicU64::new(0);

/// A row that a thread has in a room.
#[derive(Clone, Copy, Debug)]
struct Known {
    room: u64,
    /// A child of a fork finds its parent's rows here, under another number of forks, and none of its own.
    forks: u32,
    index: u32,
    keeper: Keeper,
}

thread_local! {
    /// The row that the thread used last.
    static USED: Cell<Option<Known>> = const { Cell::new(None) };
    static ROWS: Rows = const { Rows(RefCell::new(Vec::new())) };
}

/// All rows of a thread, which are given back when it ends.
struct Rows(RefCell<Vec<Known>>);

impl Drop for Rows {
    fn drop(&mut self) {
        USED.set(None);
        for known in self.0.take() {
            if known.forks != atfork::forks() {
                continue; // the parent's
            }
            let room = ROOMS
                .lock()
                .as_ref()
                .and_then(|all| all.get(&known.room)?.upgrade());
            if let Some(row) = room
                .as_ref()
                .and_then(|room| room.hazard_row_at(known.index))
            {
                row.give_up(known.keeper);
            }
        }
    }
}

/// The readers of one room.
#[derive(Debug)]
pub(super) struct Readers {
    room: Arc<Room>,
    number: u64,
}

/// A slot of the calling thread's, in which nothing stands.
#[derive(Debug)]
pub(super) struct Slot<'a> {
    pub(super) word: &'a AtomicU64,
    pub(super) forks: u32,
}

impl Readers {
    pub(super) fn new(room: Arc<Room>) -> Self {
        let number = LAST.fetch_add(1, Relaxed) + 1; // no step: memory of this process
        let mut rooms = ROOMS.lock();
        let rooms = rooms.get_or_insert_default();
        rooms.insert(number, Arc::downgrade(&room));
        Readers { room, number }
    }

    /// A slot of a row of the calling thread, which takes a row if it has none with one.
    ///
    /// # Errors
    ///
    /// `NoSpace` when all rows are taken, or there is no memory for more; what `me` says.
    #[inline(always)]
    pub(super) fn slot(&self, me: impl FnOnce() -> Result<Participant>) -> Result<Slot<'_>> {
        let forks = atfork::forks();
        if let Some(known) = USED.get()
            && known.room == self.number
            && known.forks == forks
            && let Some(word) = self.free_slot(known)
        {
            return Ok(Slot { word, forks });
        }
        self.find(me()?, forks)
    }

    #[inline(always)]
    fn free_slot(&self, known: Known) -> Option<&AtomicU64> {
        self.room.hazard_row_at(known.index)?.free_slot()
    }

    /// A slot in another row than the one that was used last.
    #[cold]
    fn find(&self, me: Participant, forks: u32) -> Result<Slot<'_>> {
        ROWS.try_with(|rows| {
            let mut rows = rows.0.borrow_mut();
            rows.retain(|known| known.forks == forks);
            let here = rows.iter().filter(|known| known.room == self.number);
            let mut free = here.filter_map(|known| Some((*known, self.free_slot(*known)?)));
            if let Some((known, word)) = free.next() {
                USED.set(Some(known));
                return Ok(Slot { word, forks });
            }
            let known = self.take(me, forks, &rows)?;
            let word = self.free_slot(known).ok_or_else(ending)?;
            rows.push(known);
            USED.set(Some(known));
            Ok(Slot { word, forks })
        })
        .unwrap_or_else(|_| Err(ending()))
    }

    /// Takes a row that is nobody's.
    fn take(&self, me: Participant, forks: u32, rows: &[Known]) -> Result<Known> {
        let keeper = Keeper::new(me, serial::arrived().ok_or_else(ending)?);
        let taken = |index: u32| {
            let has_it = |known: &Known| known.room == self.number && known.index == index;
            let row = self.room.hazard_row(index)?;
            // Its own: noted for another handle of this process, which is gone.
            let own = row.is_of(keeper) && !rows.iter().any(has_it);
            Ok::<_, Error>(own || row.claim(keeper))
        };
        let mut index = 0;
        while !taken(index)? {
            index += 1;
        }
        Ok(Known {
            room: self.number,
            forks,
            index,
            keeper,
        })
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        if let Some(rooms) = ROOMS.lock().as_mut() {
            rooms.remove(&self.number);
        }
    }
}

#[cold]
fn ending() -> Error {
    let text = "the calling thread is ending, and reads no shared object any more";
    Error::new(ErrorKind::InvalidInput, text)
}
