//! A heap as one process has it.

use super::alone;
use super::geometry::{CHUNK, Extents, MOST_CONTENT, class_for};
use super::hazard::{Moved, clear, protect, protect_under};
use super::ledger::{self, Meaning};
use super::protocol::{self, Draft, Memory};
use super::room::{HeapHead, Room, stray};
use super::stock::{Effort, Stock};
use super::threads::{Readers, Slot};
use super::word::{Handle, is_tied};
use crate::error::{Error, ErrorKind, Result};
use crate::segment::Segment;
use crate::segment::layout::Offset;
use crate::sys::atfork::{self, BiasedMutex};
use crate::sys::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, SeqCst},
};
use crate::sys::identity::Participant;
use crate::sys::membarrier;
use crate::sys::serial;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;

/// How many stocks the threads of a process share.
const SHARDS: usize = 4;

/// A heap: blocks, the cells that lead to them, and the readers of them.
#[derive(Debug)]
pub(crate) struct Heap {
    room: Arc<Room>,
    readers: Readers,
    stocks: [BiasedMutex<Stock>; SHARDS],
    /// How many chunks there were when the dead were looked for last, because of growth.
    looked: AtomicU64,
}

/// A block in which a new content is written; it belongs to the participant that took it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fresh {
    pub(super) block: Handle,
    /// Where the content goes, at least as many bytes as were asked for, aligned to 16.
    pub(crate) room: NonNull<[u8]>,
}

impl Fresh {
    /// What is to come of it, with `len` bytes, at that home.
    #[inline(always)]
    fn draft(&self, len: usize, home: u64) -> Draft {
        Draft {
            block: self.block,
            len: len as u64,
            home,
        }
    }

    /// Which block it is.
    pub(crate) fn handle(self) -> Handle {
        self.block
    }
}

/// What a thread reads: a block that is not used again as long as this lives.
#[derive(Debug)]
pub(crate) struct Reading<'a> {
    slot: &'a AtomicU64,
    forks: u32,
    block: Handle,
    /// The content.
    pub(crate) bytes: NonNull<[u8]>,
    /// The slot is the thread's: another one could not tell whether it is free.
    thread: PhantomData<*mut ()>,
}

/// What one step retires: what it replaces, and what that had replaced.
struct Retired([Option<Handle>; 2]);

impl Retired {
    fn note(&mut self, block: Handle) {
        let place = usize::from(self.0[0].is_some());
        self.0[place] = Some(block);
    }
}

impl Drop for Reading<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        // In the child of a fork the slot is the parent's, which reads on.
        if self.forks == atfork::forks() {
            clear(self.slot);
        }
    }
}

impl Heap {
    /// Body and reserve of a segment whose heap may have up to `limit` bytes.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for more than there can be.
    pub(crate) fn lengths(limit: u64) -> Result<(u64, u64)> {
        Ok((size_of::<HeapHead>() as u64, Extents::reserve_for(limit)?))
    }

    /// The heap of a segment that was made for one.
    pub(crate) fn new(segment: &Arc<Segment>) -> Self {
        membarrier::register();
        let room = Arc::new(Room::new(Arc::clone(segment)));
        Heap {
            readers: Readers::new(Arc::clone(&room)),
            room,
            stocks: std::array::from_fn(|_| BiasedMutex::new(Stock::default(), Stock::default)),
            looked: AtomicU64::new(0),
        }
    }

    pub(crate) fn room(&self) -> &Room {
        &self.room
    }

    /// The bytes that have memory.
    pub(crate) fn size(&self) -> u64 {
        (self.room.grown() * CHUNK).saturating_sub(self.room.bare_bytes())
    }

    fn stock(&self) -> &BiasedMutex<Stock> {
        &self.stocks[serial::here() as usize % SHARDS]
    }

    /// Takes a block with room for `len` bytes. Before the heap grows for it, `bury` may look for the dead, whose blocks are free
    /// then, and says how many there were.
    ///
    /// # Errors
    ///
    /// `NoSpace` when the heap has reached its limit or there is no memory, and for more than a block can have.
    #[inline]
    pub(crate) fn alloc(
        &self,
        me: Participant,
        len: usize,
        bury: impl Fn() -> usize,
    ) -> Result<Fresh> {
        let class = class_for(len as u64).ok_or_else(|| too_long(len))?;
        let block = match self.take(me, class, Effort::Least) {
            Ok(Some(block)) => block,
            _ => self.make_room(me, class, bury)?,
        };
        match self.room.room_of(block, class) {
            Some(room) => Ok(Fresh { block, room }),
            None => Err(stray()),
        }
    }

    #[inline]
    fn take(&self, me: Participant, class: usize, effort: Effort) -> Result<Option<Handle>> {
        self.stock().lock().take(&self.room, me, class, effort)
    }

    /// Takes a block where a look at a few chunks has found none.
    #[cold]
    fn make_room(&self, me: Participant, class: usize, bury: impl Fn() -> usize) -> Result<Handle> {
        let effort = match self.has_grown() && bury() > 0 {
            true => Effort::All,
            false => Effort::Little,
        };
        let taken = match self.take(me, class, effort) {
            Err(_) => self.scrape(me, class)?,
            taken => taken?,
        };
        taken.ok_or_else(stray)
    }

    /// Whether the heap has grown by a sixteenth since that was asked last: what the dead have left is at most about as much.
    fn has_grown(&self) -> bool {
        let (grown, before) = (self.room.grown(), self.looked.load(Relaxed));
        let has = grown > before + before / 16;
        if has {
            self.looked.store(grown, Relaxed); // no step: of this process
        }
        has
    }

    /// Takes a block where there is no room to grow: first all are freed that this process has retired or kept.
    #[cold]
    fn scrape(&self, me: Participant, class: usize) -> Result<Option<Handle>> {
        for stock in &self.stocks {
            stock.lock().give_up(&self.room, me);
        }
        self.take(me, class, Effort::All)
    }

    /// Gives back a block to which nothing was led.
    pub(crate) fn give_back(&self, me: Participant, fresh: Fresh) {
        if protocol::give_back(&*self.room, me, fresh.block) {
            self.stock().lock().put_back(&self.room, fresh.block);
        }
    }

    /// What `cell` leads to, kept as long as the result lives; `None` if it leads nowhere.
    ///
    /// # Errors
    ///
    /// `NoSpace` if so many threads read already that there is no row for this one, `Corrupt` for a cell that leads to no
    /// block; what `me` says.
    #[inline(always)]
    pub(crate) fn read<'a>(
        &'a self,
        me: impl FnOnce() -> Result<Participant>,
        cell: &AtomicU64,
    ) -> Result<Option<Reading<'a>>> {
        let slot = self.readers.slot(me)?;
        match protect(slot.word, cell) {
            Some(block) => self.reading(slot, block).map(Some),
            None => self.read_absent(slot, cell),
        }
    }

    /// [`read`](Heap::read) of a cell that was seen to lead nowhere: it may be tied to a transaction.
    #[cold]
    fn read_absent<'a>(&'a self, slot: Slot<'a>, cell: &AtomicU64) -> Result<Option<Reading<'a>>> {
        loop {
            let bits = cell.load(Acquire); // pairs with `ledger::enter`
            let found = match (is_tied(bits), Handle::from_bits(bits)) {
                (true, _) => ledger::protect_tied(&*self.room, slot.word, cell, bits),
                (false, None) => Meaning::Nothing,
                (false, Some(_)) => {
                    protect(slot.word, cell).map_or(Meaning::Changed, Meaning::Block)
                }
            };
            match found {
                Meaning::Block(block) => return self.reading(slot, block).map(Some),
                Meaning::Nothing => return Ok(None),
                Meaning::Changed => std::hint::spin_loop(),
            }
        }
    }

    /// [`read`](Heap::read) of a cell that lies in `table`, to which `root` has led; `Err(Moved)` within if it leads to another
    /// one by now.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Heap::read).
    #[inline(always)]
    pub(crate) fn read_under<'a>(
        &'a self,
        me: impl FnOnce() -> Result<Participant>,
        cell: &AtomicU64,
        under: (&AtomicU64, Handle),
    ) -> Result<std::result::Result<Option<Reading<'a>>, Moved>> {
        let slot = self.readers.slot(me)?;
        match protect_under(slot.word, cell, under) {
            Ok(Some(block)) => self.reading(slot, block).map(|reading| Ok(Some(reading))),
            Ok(None) => self.read_absent_under(slot, cell, under),
            Err(moved) => Ok(Err(moved)),
        }
    }

    /// [`read_under`](Heap::read_under) of a cell that was seen to lead nowhere.
    #[cold]
    fn read_absent_under<'a>(
        &'a self,
        slot: Slot<'a>,
        cell: &AtomicU64,
        (root, table): (&AtomicU64, Handle),
    ) -> Result<std::result::Result<Option<Reading<'a>>, Moved>> {
        let found = self.read_absent(slot, cell)?;
        // SeqCst: as in `protect_under`.
        match root.load(SeqCst) == table.to_bits() {
            true => Ok(Ok(found)),
            false => Ok(Err(Moved)),
        }
    }

    /// What the slot keeps.
    #[inline(always)]
    fn reading<'a>(&'a self, slot: Slot<'a>, block: Handle) -> Result<Reading<'a>> {
        let Some(bytes) = self.room.bytes(block) else {
            clear(slot.word);
            return Err(stray());
        };
        Ok(Reading {
            slot: slot.word,
            forks: slot.forks,
            block,
            bytes,
            thread: PhantomData,
        })
    }

    /// What a cell says at the moment, for who keeps others from changing it: a handle, 0 or
    /// [`VACATED`](super::word::VACATED).
    #[inline(always)]
    pub(crate) fn said(&self, cell: &AtomicU64) -> u64 {
        cell.load(Acquire) // pairs with the exchange in `replace`: what it leads to is written
    }

    /// What the cell at `home` leads to at the moment.
    pub(crate) fn current(&self, home: u64) -> Option<Handle> {
        protocol::current(&*self.room, home)
    }

    /// Whether the cell at `home` is tied to a transaction.
    pub(crate) fn is_tied(&self, home: u64) -> bool {
        // Acquire: pairs with `ledger::enter`.
        let said = self.room.cell(home).map(|cell| cell.load(Acquire));
        said.is_some_and(is_tied)
    }

    /// The home of the cell that leads to the last ledger.
    pub(super) fn root(&self) -> u64 {
        self.room.root()
    }

    /// The room of a block of one's own as `len` bytes of words.
    pub(super) fn words_for(&self, fresh: Fresh, len: usize) -> Option<&[AtomicU64]> {
        let place = Offset::new(self.place_of(fresh.block));
        self.room
            .segment()
            .slice(place, (len / size_of::<u64>()) as u64)
    }

    /// Leads the cell at `home` from `old` to what was written into `fresh`, `len` bytes. `false` if the cell leads elsewhere
    /// by now; `fresh` is still `me`'s then.
    #[inline]
    pub(crate) fn replace(
        &self,
        me: Participant,
        home: u64,
        old: Option<Handle>,
        fresh: (Fresh, usize),
    ) -> bool {
        self.lead(me, home, old.map_or(0, Handle::to_bits), fresh)
    }

    /// [`replace`](Heap::replace) where the cell says `old`, which may be [`VACATED`](super::word::VACATED).
    #[inline]
    pub(crate) fn lead(
        &self,
        me: Participant,
        home: u64,
        old: u64,
        (fresh, len): (Fresh, usize),
    ) -> bool {
        let draft = fresh.draft(len, home);
        self.retiring(me, |retired| {
            protocol::replace(&*self.room, me, old, draft, &mut |block| {
                retired.note(block)
            })
        })
        .is_ok()
    }

    /// [`lead`](Heap::lead) for who holds a lock without which nobody changes the cell.
    #[inline]
    pub(crate) fn lead_alone(
        &self,
        me: Participant,
        home: u64,
        old: u64,
        (fresh, len): (Fresh, usize),
    ) -> bool {
        let draft = fresh.draft(len, home);
        self.retiring(me, |retired| {
            alone::replace(&*self.room, me, old, draft, &mut |block| {
                retired.note(block)
            })
        })
        .is_ok()
    }

    /// [`replace`](Heap::replace) where a table has become too small: there will be no such small one again for long, and its memory
    /// goes back to the system.
    pub(crate) fn outgrow(
        &self,
        me: Participant,
        home: u64,
        old: Option<Handle>,
        (fresh, len): (Fresh, usize),
    ) -> bool {
        let mut retired = Vec::new();
        let draft = fresh.draft(len, home);
        let old = old.map_or(0, Handle::to_bits);
        let mut note = |block| retired.push(block);
        let done = protocol::replace(&*self.room, me, old, draft, &mut note);
        let mut stock = self.stock().lock();
        for block in retired {
            stock.retire_memory(&self.room, me, block);
        }
        done.is_ok()
    }

    /// Takes the block away to which the cell at `home` leads; see [`protocol::vacate`] for what the caller must do.
    pub(crate) fn vacate(&self, me: Participant, home: u64, old: Handle) {
        self.retiring(me, |retired| {
            protocol::vacate(&*self.room, me, home, old, &mut |block| retired.note(block));
        });
    }

    /// Finishes what somebody began who died in [`vacate`](Heap::vacate).
    pub(crate) fn finish_vacating(&self, me: Participant, home: u64, old: Handle) {
        self.retiring(me, |retired| {
            let mut note = |block| retired.note(block);
            protocol::finish_vacating(&*self.room, me, home, old, &mut note);
        });
    }

    /// Says that `fresh`, with `len` bytes, is linked, although no cell leads to it yet; see [`protocol::link`] for what the caller
    /// must do.
    pub(crate) fn link(&self, me: Participant, home: u64, (fresh, len): (Fresh, usize)) {
        let draft = fresh.draft(len, home);
        protocol::link(&*self.room, me, draft);
    }

    /// Retires a linked block to which no cell leads any more, unless that was done before. The caller has noted it, or nobody
    /// would know of it if he died before this.
    pub(crate) fn retire(&self, me: Participant, block: Handle) {
        self.retiring(me, |retired| {
            if protocol::retire(&*self.room, Some(me), block) {
                retired.note(block);
            }
        });
    }

    /// Makes sure that `block`, to which the caller has seen a cell lead, says that it is linked: it may be led to from
    /// elsewhere then.
    pub(crate) fn complete(&self, me: Participant, block: Handle) {
        self.retiring(me, |retired| {
            protocol::complete(&*self.room, Some(me), block, &mut |block| {
                retired.note(block)
            });
        });
    }

    /// Frees, some time, what `act` retires.
    #[inline]
    fn retiring<R>(&self, me: Participant, act: impl FnOnce(&mut Retired) -> R) -> R {
        let mut retired = Retired([None; 2]);
        let done = act(&mut retired);
        if retired.0[0].is_some() {
            let mut stock = self.stock().lock();
            let all = retired.0.iter().flatten();
            all.for_each(|&block| stock.retire(&self.room, me, block));
        }
        done
    }

    /// [`retiring`](Heap::retiring) of any number.
    pub(super) fn retiring_all(&self, me: Participant, act: impl FnOnce(&mut Vec<Handle>)) {
        let mut retired = Vec::new();
        act(&mut retired);
        let mut stock = self.stock().lock();
        for block in retired {
            stock.retire(&self.room, me, block);
        }
    }

    /// Where the content of a block begins in the segment.
    #[inline(always)]
    pub(crate) fn place_of(&self, block: Handle) -> u64 {
        self.room.content(block.unit())
    }

    /// The content of a block that nobody takes from its cell as long as the caller looks at it.
    pub(crate) fn bytes(&self, block: Handle) -> Option<NonNull<[u8]>> {
        self.room.bytes(block)
    }

    /// The cell at an offset of the segment, and the number by which notes know it.
    pub(crate) fn home_at(&self, offset: u64) -> Option<u64> {
        let home = Room::home_of(offset);
        self.room.cell(home).map(|_| home)
    }
}

impl Reading<'_> {
    /// Which block it is.
    pub(crate) fn block(&self) -> Handle {
        self.block
    }
}

#[cold]
fn too_long(len: usize) -> Error {
    let text = format!("{len} bytes are more than one value can have ({MOST_CONTENT})");
    Error::new(ErrorKind::NoSpace, text)
}
