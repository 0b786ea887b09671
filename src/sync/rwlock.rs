//! The lock for many readers or one writer: a row for each reading thread, and a gate in front of them.
//!
//! A reader stores that it reads into a row of its own and then looks at the gate: no exchange, and no line that two
//! readers write. A writer takes the robust lock, closes the gate, has all processors pass a barrier, so that each
//! reader has seen the gate closed or its row is seen, and waits until all rows are empty. Who finds the gate closed
//! takes its row back and queues for the lock like a writer; once it has the lock it reads by its row, and gives the
//! lock up at once.
//!
//! | row: bits | meaning |
//! |---|---|
//! | 63..52 | participant, 0: the row is free |
//! | 51..20 | serial of the thread |
//! | 19..0 | how many guards the thread has |
//!
//! | gate | meaning |
//! |---|---|
//! | 0 | open: readers come and go |
//! | 1 | closing: the holder of the lock waits for readers to leave |
//! | 2 | closed: the holder of the lock changes the data |
//!
//! Only its thread stores to a row; when its process has died, each row is emptied by an exchange from exactly what it
//! said.
//!
//! | dies | state left | survivors |
//! |---|---|---|
//! | reader, before its row or after it | row empty | nothing happened |
//! | reader | row of the dead | the writer that waits for it asks, and empties it |
//! | reader, with the lock for a moment | lock marked, gate open | take the lock over: the data are whole |
//! | writer, waiting for readers | lock marked, gate closing | the same, and open the gate |
//! | writer | lock marked, gate closed | refuse, until somebody has recovered the data |
//! | writer, giving up | lock marked, gate open | take the lock over: the data are whole |

use super::bounded::Undertaker;
use super::lock::{RawLock, Refused};
use super::patience::Patience;
use super::word::Owner;
#[cfg(not(loom))]
use crate::segment::{
    Segment,
    layout::{LINE, Offset},
};
use crate::sys::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
    publish_then_look,
};
use crate::sys::clock::Deadline;
use crate::sys::futex;
use crate::sys::identity::Participant;
use crate::sys::membarrier;
use crate::sys::seeded::seeded;
use crate::sys::step::step;
use crate::sys::until::Over;

/// What one thread reads, or nothing; see the table above. All zero bytes are a free row.
#[derive(Debug)]
#[cfg_attr(not(loom), repr(C))]
pub(crate) struct ReaderRow {
    word: AtomicU64,
    /// The rest of two lines, which some processors fetch together.
    #[cfg(not(loom))]
    pad: [u8; 120],
}

/// The gate, and what else readers look at. All zero bytes are an open one.
#[derive(Debug)]
#[cfg_attr(not(loom), repr(C))]
pub(crate) struct Gate {
    state: AtomicU64,
    /// How many rows there are, and how far behind the gate they begin; neither changes once others can see it.
    rows: AtomicU32,
    rows_at: AtomicU32,
}

const OPEN: u64 = 0;
const CLOSING: u64 = 1;
const CLOSED: u64 = 2;

/// Who has a row: a thread of a participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reader(u64);

const SERIAL_SHIFT: u32 = 20;
const PARTICIPANT_SHIFT: u32 = 52;
const DEPTH: u64 = (1 << SERIAL_SHIFT) - 1;

impl Reader {
    /// The thread with this serial, of which the lower 32 bits tell it from those that it can meet.
    pub(crate) fn new(who: Participant, serial: u64) -> Self {
        let serial = u64::from(serial as u32) << SERIAL_SHIFT;
        Reader(u64::from(who.get()) << PARTICIPANT_SHIFT | serial)
    }

    /// Whose row says `word`.
    fn of(word: u64) -> Self {
        Reader(word & !DEPTH)
    }

    fn participant(self) -> Option<Participant> {
        Participant::new((self.0 >> PARTICIPANT_SHIFT) as u16)
    }

    /// To keep it in a word.
    #[cfg(not(loom))]
    #[inline(always)]
    pub(crate) fn to_bits(self) -> u64 {
        self.0
    }

    /// From [`to_bits`](Reader::to_bits).
    #[cfg(not(loom))]
    #[inline(always)]
    pub(crate) fn from_bits(bits: u64) -> Self {
        Reader(bits)
    }

    /// What its row says while it does not read.
    #[inline(always)]
    fn idle(self) -> u64 {
        self.0
    }

    /// What its row says while it has one guard.
    #[inline(always)]
    fn reading(self) -> u64 {
        self.0 + 1
    }
}

/// What came of an attempt to read by a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// The thread reads.
    Entered,
    /// A writer is in, or wants to be.
    GateClosed,
    /// The thread has as many guards as can be counted.
    TooDeep,
}

impl ReaderRow {
    #[cfg(loom)]
    pub(super) fn new() -> Self {
        ReaderRow {
            word: AtomicU64::new(0),
        }
    }

    /// Takes the free row for `reader`.
    pub(crate) fn claim(&self, reader: Reader) -> bool {
        step("rwlock.row.claim");
        // Acquire and release: what was read by way of this row before was read before it was free.
        let free = self.word.load(Relaxed) == 0; // spares the lines of others an exchange
        free && self
            .word
            .compare_exchange(0, reader.idle(), SeqCst, Relaxed)
            .is_ok()
    }

    /// Whether it is the row of `reader`.
    pub(crate) fn is_of(&self, reader: Reader) -> bool {
        Reader::of(self.word.load(Relaxed)) == reader // its own store, or somebody else's row
    }

    /// Gives the row of `reader`, who does not read, to whoever comes.
    pub(crate) fn give_up(&self, reader: Reader) {
        step("rwlock.row.free");
        // Release: pairs with `claim`. It stays where the thread has forgotten a guard.
        let _ = self
            .word
            .compare_exchange(reader.idle(), 0, Release, Relaxed);
    }

    /// Gives up the row if it is of a thread of `who` that does not read.
    pub(crate) fn give_up_for(&self, who: Participant) {
        let seen = Reader::of(self.word.load(Relaxed));
        if seen.participant() == Some(who) {
            self.give_up(seen);
        }
    }

    #[inline(always)]
    fn load(&self) -> u64 {
        self.word.load(Relaxed) // of its own row: only this thread stores to it
    }

    /// Whether `reader`, whose row it is, reads.
    pub(crate) fn is_reading(&self, reader: Reader) -> bool {
        let word = self.load();
        Reader::of(word) == reader && word & DEPTH != 0
    }

    /// The thread found the gate closed, and its row says what it said before.
    #[cold]
    fn back_off(&self, reader: Reader) -> Entry {
        step("rwlock.back-off");
        self.word.store(reader.idle(), Release); // nothing was read; the writer may have seen the row, and sleeps
        self.wake_writer();
        Entry::GateClosed
    }

    /// The first guard for its thread, which has the lock and so keeps writers out.
    fn enter_behind(&self) {
        step("rwlock.enter.behind");
        // Release, and before the lock is given up: the next writer sees the row.
        self.word.store(self.load() + 1, Release);
    }

    /// Empties the row if it is of a dead participant.
    pub(super) fn bury(&self, dead: Participant) {
        if seeded("rwlock-waits-for-the-dead") {
            return;
        }
        let seen = self.word.load(Acquire); // pairs with its owner's last store
        if Reader::of(seen).participant() == Some(dead) {
            step("rwlock.row.bury");
            // From exactly what the dead left: a row that was taken anew says something else.
            let _ = self.word.compare_exchange(seen, 0, SeqCst, Relaxed);
        }
    }

    /// Its thread says whether it reads, before it looks at the gate: either the writer sees what it says, or it sees
    /// the gate closed.
    #[inline(always)]
    fn say(&self, word: u64) {
        let order = if seeded("rwlock-missing-release") {
            Relaxed
        } else {
            Release // pairs with the writer's look at the row: what was read was read before
        };
        if membarrier::is_ready() {
            self.word.store(word, order); // no step: those who call this pass one
            membarrier::light(); // pairs with the barrier in `close`
        } else {
            self.say_alone(word);
        }
    }

    /// [`say`](ReaderRow::say) where the barriers of others are not passed.
    #[cold]
    fn say_alone(&self, word: u64) {
        self.word.swap(word, SeqCst); // no step: those who call this pass one. Before the look at the gate
        publish_then_look();
    }

    /// Ends the sleep of the writer that waits for this row, as the end of a slice does, which a model has not.
    #[cfg(loom)]
    pub(super) fn end_slice(&self) {
        self.wake_writer();
    }

    fn wake_writer(&self) {
        step("rwlock.row.wake");
        futex::wake_low(&self.word, 1);
    }
}

impl Gate {
    #[cfg(loom)]
    pub(super) fn new() -> Self {
        Gate {
            state: AtomicU64::new(OPEN),
            rows: AtomicU32::new(0),
            rows_at: AtomicU32::new(0),
        }
    }

    /// Fills in the gate of a new lock, whose bytes are all zero.
    #[cfg(not(loom))]
    pub(crate) fn prepare(&self, rows: u32, rows_at: u32) {
        step("rwlock.prepare");
        self.rows.store(rows, Relaxed); // both are published with the object
        self.rows_at.store(rows_at, Relaxed); // no step: as above
    }

    /// How many rows there are, as shared memory says.
    #[cfg(not(loom))]
    pub(crate) fn rows(&self) -> u32 {
        self.rows.load(Relaxed) // see `prepare`
    }

    /// How far behind the gate they begin, as shared memory says.
    #[cfg(not(loom))]
    pub(crate) fn rows_at(&self) -> u32 {
        self.rows_at.load(Relaxed) // see `prepare`
    }

    /// One guard more for `reader`, whose row this is, if the gate is open or it has one already.
    #[inline(always)]
    pub(crate) fn enter(&self, row: &ReaderRow, reader: Reader) -> Entry {
        if row.load() != reader.idle() {
            return enter_deeper(row, reader);
        }
        step("rwlock.enter");
        if !seeded("rwlock-unseen-reader") {
            row.say(reader.reading());
        }
        // Acquire: pairs with the opening of the gate; what the writer wrote is read after this. SeqCst: see `say`.
        if self.state.load(SeqCst) == OPEN {
            Entry::Entered
        } else {
            row.back_off(reader)
        }
    }

    /// One guard less for the thread with this serial; nothing if the row is another's, as the parent's is in the child of
    /// a fork.
    #[inline(always)]
    pub(crate) fn leave(&self, row: &ReaderRow, serial: u64) {
        let word = row.load();
        if !reads_once(word, serial) {
            return leave_deeper(row, serial);
        }
        step("rwlock.leave");
        row.say(word - 1);
        if self.state.load(SeqCst) != OPEN {
            row.wake_writer();
        }
    }

    /// Whether no writer is in, or wants to be.
    #[cfg(not(loom))]
    pub(crate) fn is_open(&self) -> bool {
        self.state.load(Acquire) == OPEN // pairs with `set`
    }

    /// Lets readers in; the caller has the lock.
    #[cfg(not(loom))]
    pub(crate) fn open(&self) {
        self.set(OPEN);
    }

    fn set(&self, state: u64) {
        step("rwlock.gate");
        // SeqCst: against the readers' stores where there are no barriers. Release: readers see what was written.
        self.state.swap(state, SeqCst);
    }
}

/// Whether a row that says `word` is that of the thread with this serial.
#[inline(always)]
fn is_of_thread(word: u64, serial: u64) -> bool {
    (word >> SERIAL_SHIFT) as u32 == serial as u32
}

/// Whether that thread has one guard: the same as above and a depth of 1, compared at once.
#[inline(always)]
fn reads_once(word: u64, serial: u64) -> bool {
    const ABOVE: u32 = u64::BITS - PARTICIPANT_SHIFT;
    word << ABOVE == (serial << SERIAL_SHIFT | 1) << ABOVE
}

/// One guard more for a thread that has some: no writer is in, whatever the gate says.
#[cold]
fn enter_deeper(row: &ReaderRow, reader: Reader) -> Entry {
    let word = row.load();
    if Reader::of(word) != reader || word & DEPTH == DEPTH {
        return Entry::TooDeep;
    }
    step("rwlock.enter.deeper");
    row.word.store(word + 1, Relaxed); // the writer waits already, or will
    Entry::Entered
}

/// One guard less of several.
#[cold]
fn leave_deeper(row: &ReaderRow, serial: u64) {
    let word = row.load();
    if is_of_thread(word, serial) && word & DEPTH > 1 {
        step("rwlock.leave.deeper");
        row.word.store(word - 1, Relaxed); // the thread reads on
    }
}

/// The parts of one lock, for the length of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawRwLock<'a> {
    pub(crate) lock: &'a RawLock,
    pub(crate) gate: &'a Gate,
    pub(crate) rows: &'a [ReaderRow],
}

impl<'a> RawRwLock<'a> {
    /// Takes the lock alone; readers come and go as before. What the dead did with the lock alone harmed nothing.
    pub(crate) fn take(
        self,
        me: Participant,
        peers: &impl Undertaker,
        deadline: Deadline,
    ) -> Result<(), Refused> {
        match self.lock.lock(me, peers, deadline) {
            Err(Refused::Marked(_)) if !self.is_torn() => self.heal(me, peers, deadline),
            Ok(()) => {
                self.open_if_closing();
                Ok(())
            }
            refused => refused,
        }
    }

    /// Whether somebody may have been in the middle of a change.
    fn is_torn(self) -> bool {
        self.gate.state.load(Acquire) == CLOSED // pairs with `set`
    }

    /// The lock is marked, but nobody had begun to write.
    #[cold]
    fn heal(
        self,
        me: Participant,
        peers: &impl Undertaker,
        deadline: Deadline,
    ) -> Result<(), Refused> {
        let origin = self.lock.recover(me, peers, deadline)?;
        match origin {
            // Somebody else had mended it, and died in the middle of a change.
            Some(owner) if self.is_torn() => {
                self.lock.unlock_marked(Some(owner));
                Err(Refused::Marked(owner))
            }
            _ => {
                self.open_if_closing();
                Ok(())
            }
        }
    }

    /// The holder of the lock opens what one that died waiting for readers has left closed.
    fn open_if_closing(self) {
        if self.gate.state.load(Relaxed) != OPEN {
            self.gate.set(OPEN);
        }
    }

    /// Closes the gate and waits until nobody reads; the caller has the lock.
    ///
    /// # Errors
    ///
    /// Why the wait is over. The gate is open again, and the caller has the lock still.
    pub(crate) fn close(self, peers: &impl Undertaker, deadline: Deadline) -> Result<(), Over> {
        self.close_from(OPEN, peers, deadline)
    }

    /// The same for data that somebody left half changed: the gate stays as it was.
    pub(crate) fn close_torn(self, peers: &impl Undertaker) {
        let never = self.close_from(CLOSED, peers, Deadline::NEVER);
        debug_assert!(never.is_ok());
    }

    fn close_from(
        self,
        before: u64,
        peers: &impl Undertaker,
        deadline: Deadline,
    ) -> Result<(), Over> {
        self.gate.set(CLOSING.max(before));
        if !seeded("rwlock-missing-barrier") {
            membarrier::heavy(); // pairs with `light` in `publish` and `leave`
        }
        let mut patience = Patience::new(deadline.into(), peers).beside_holders();
        for row in self.rows {
            if let Err(over) = wait_for(row, &mut patience, peers) {
                self.gate.set(before);
                return Err(over);
            }
        }
        self.gate.set(CLOSED);
        Ok(())
    }

    /// The writer is done, and the data are whole: opens the gate and gives up the lock.
    pub(crate) fn finish(self) {
        self.gate.set(OPEN);
        self.lock.unlock();
    }

    /// The writer reads on by its `row`, and lets others read.
    pub(crate) fn downgrade(self, row: &ReaderRow) {
        row.enter_behind();
        self.finish();
    }

    /// The holder of the lock reads by its `row`, and gives the lock up.
    pub(crate) fn enter_and_give_up(self, row: &ReaderRow) {
        row.enter_behind();
        self.lock.unlock();
    }
}

/// The most rows that there can be.
pub(crate) const MOST_ROWS: u32 = 4094;

/// Does what the death of the participant `dead` asks for at the lock in `(place, len)`, beside what it does to the robust lock
/// there; the caller knows that it is dead.
#[cfg(not(loom))]
pub(crate) fn repair_readers(segment: &Segment, (place, len): (u64, u64), dead: Participant) {
    let at = place + GATE_AT;
    if let Some(gate) = segment.get(Offset::<Gate>::new(at)) {
        let rows_at = u64::from(gate.rows_at());
        // Nothing is touched outside of the object, whatever its words say.
        let room = len.saturating_sub(GATE_AT + rows_at) / size_of::<ReaderRow>() as u64;
        let count = u64::from(gate.rows().min(MOST_ROWS)).min(room);
        let rows = segment.slice(Offset::<ReaderRow>::new(at + rows_at), count);
        rows.unwrap_or_default()
            .iter()
            .for_each(|row| row.bury(dead));
    }
}

/// Where the gate lies, from the beginning of the robust lock: on a line of its own, with the data behind it.
#[cfg(not(loom))]
pub(crate) const GATE_AT: u64 = LINE as u64;

/// Waits until nobody reads by this row.
fn wait_for(
    row: &ReaderRow,
    patience: &mut Patience<'_>,
    peers: &impl Undertaker,
) -> Result<(), Over> {
    loop {
        // SeqCst: after the gate was closed, where there are no barriers. Acquire: pairs with `leave`.
        let seen = row.word.load(SeqCst);
        if seen & DEPTH == 0 {
            return Ok(());
        }
        if patience.spin() {
            continue;
        }
        if let Some(over) = patience.over() {
            return Err(over);
        }
        let reader = Reader::of(seen).participant();
        if let Some(dead) = reader.filter(|&who| !peers.is_alive(who))
            && !seeded("rwlock-waits-for-the-dead")
        {
            peers.bury(dead);
            row.bury(dead);
            continue;
        }
        step("rwlock.drain");
        futex::wait_low(&row.word, seen as u32, patience.slice());
    }
}

/// Who held the lock last, of those who may have left the data half changed.
pub(crate) type Origin = Option<Owner>;

impl RawRwLock<'_> {
    /// Takes the lock and keeps readers out, whatever the dead have left; says who left the data half changed, if
    /// somebody may have.
    ///
    /// # Errors
    ///
    /// [`Refused::Deadlock`] if the calling thread has the lock.
    pub(crate) fn recover(
        self,
        me: Participant,
        peers: &impl Undertaker,
    ) -> Result<Origin, Refused> {
        let origin = self.lock.recover(me, peers, Deadline::NEVER)?;
        let torn = self.is_torn() && origin.is_some();
        if torn {
            self.close_torn(peers);
        } else {
            let never = self.close(peers, Deadline::NEVER);
            debug_assert!(never.is_ok());
        }
        Ok(origin.filter(|_| torn))
    }
}

// SAFETY: repr(C), an atomic and bytes, valid for all bytes.
#[cfg(not(loom))]
unsafe impl crate::segment::layout::Layout for ReaderRow {}
// SAFETY: repr(C), nothing but atomics.
#[cfg(not(loom))]
unsafe impl crate::segment::layout::Layout for Gate {}

#[cfg(not(loom))]
const _: () = {
    assert!(size_of::<ReaderRow>() == crate::segment::layout::LINE);
    assert!(size_of::<Gate>() == 16);
};
#[cfg(not(loom))]
crate::segment::layout::assert_offsets!(Gate {
    state: 0,
    rows: 8,
    rows_at: 12
});
#[cfg(not(loom))]
crate::segment::layout::assert_offsets!(ReaderRow { word: 0, pad: 8 });
