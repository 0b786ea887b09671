//! The two ends on words: publish and look, acknowledge and release, and what who takes an end over finds.
//!
//! *Order.* A header is stored after its record was written (Release), and loaded before it is read (Acquire). Room is
//! freed by a store of `free` (Release) that the sender loads (Acquire) before it writes there. These two pairs carry all
//! data.
//!
//! *What looks like a header.* Only a word that carries the lap in which the receiver comes by. In a lane whose records
//! have one size each header has a place of its own, and every lap overwrites it. Else a record spans several granules,
//! and the next header may come to lie where a payload was: so the receiver blanks the first word of each such granule
//! before it frees them, and a sender does the same with what it wrote and did not publish, or what a dead one may have.
//!
//! *Sleeping.* Who stores looks at the other's gate behind the store. The sleeper arms the gate, has all processors pass a
//! barrier, and looks once more: so one of them sees the other, and the store needs no fence (see `membarrier`). Each gate
//! has one sleeper, so that one found armed still has been seen since, and needs no second barrier.

use super::super::gate::{Gate, Ticket};
use super::control::LaneControl;
use super::cursor::Cursor;
use super::header::{Content, Header};
use crate::sys::atomic::AtomicU64;
use crate::sys::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use crate::sys::bell::Bells;
use crate::sys::membarrier;
use crate::sys::seeded::seeded;
use crate::sys::step::step;
use crate::sys::unforked::Unforked;
use std::cell::Cell;

/// The receiver frees the ring in so many parts.
pub(super) const STRETCHES: u32 = 8;

/// A lane's words, wherever they are.
pub(super) trait Memory: Copy {
    /// The words beside the records.
    fn control(&self) -> &LaneControl;
    /// The first word of a granule.
    fn header(&self, granule: u32) -> &AtomicU64;
    /// Who is to be rung when something happens to those words.
    fn bells(&self) -> &impl Bells;
    /// How many granules there are.
    fn granules(&self) -> u32;
    /// The granules that a message of `len` bytes takes in this lane.
    fn granules_of(&self, len: u32) -> u32;

    /// Whether every record has one granule, so that nothing but a header ever lies where one may.
    fn is_uniform(&self) -> bool;

    /// The granules of a record; bounded, whatever shared memory says.
    fn span(&self, at: Cursor, content: Content) -> u32 {
        let count = match content {
            Content::Inline(len) => self.granules_of(len),
            Content::Block => 1,
            Content::Skip(granules) => granules,
        };
        count.clamp(1, at.to_end(self.granules()))
    }
}

/// Stores `value` to a word and wakes who sleeps at `gate` for it.
#[inline(always)]
fn store_and_wake(word: &AtomicU64, value: u64, gate: &Gate, bells: &impl Bells) {
    if !membarrier::is_ready() {
        return exchange_and_wake(word, value, gate, bells);
    }
    word.store(value, Release); // no step: by the callers, each under a name of its own
    membarrier::light(); // pairs with the barrier in `arm_and_look`
    gate.wake_after_release(bells);
}

/// The same where no barrier of the sleeper's reaches this process.
#[cold]
fn exchange_and_wake(word: &AtomicU64, value: u64, gate: &Gate, bells: &impl Bells) {
    word.swap(value, SeqCst); // no step: as above. SeqCst, before the look at the gate
    gate.wake(bells);
}

/// Stores how far everything is acknowledged: for who takes over, which reads what was acknowledged before, and ahead of the
/// blanking that destroys it; and for a sender that waits for a block.
#[inline(always)]
fn store_done<M: Memory>(memory: M, word: &AtomicU64, done: u64) {
    step("pipe.done");
    // Release: pairs with `Reader::take_over`, `Writer::acknowledged` and `scan`.
    match memory.is_uniform() || membarrier::is_ready() {
        true => word.store(done, Release),
        // SeqCst, before the look at the gate: no barrier of the sleeper's reaches this process.
        false => _ = word.swap(done, SeqCst), // no step: as above
    }
}

/// Announces a sleeper, has everybody's stores seen who did not see it, and looks once more; `Err` if there is nothing, and
/// the caller is to wait.
pub(super) fn arm_and_look<R>(gate: &Gate, look: impl FnOnce() -> Option<R>) -> Result<R, Ticket> {
    let blind = seeded("pipe-arm-after-look");
    let (ticket, first) = gate.arm_alone();
    if first {
        membarrier::heavy(); // pairs with `light` in `store_and_wake`
    }
    (!blind).then(look).flatten().ok_or(ticket)
}

/// Where an end stands, in single words: those that change with every record, and those that change with every lap.
///
/// The granule may be the one behind the ring's end: whoever finds it there [turns](Track::turn) to the next lap.
#[derive(Debug)]
struct Track {
    granule: Cell<u32>,
    lap: Cell<u32>,
    /// The position of the lap's first granule.
    base: Cell<u64>,
    /// What publishes a message of a uniform lane in this lap.
    header: Cell<Header>,
}

/// The header of a message of a uniform lane.
#[inline(always)]
fn header_in(lap: u32) -> Header {
    Header::new(lap, Content::Inline(0))
}

impl Track {
    fn new(at: Cursor) -> Self {
        Track {
            granule: Cell::new(at.granule),
            lap: Cell::new(at.lap),
            base: Cell::new(at.position - u64::from(at.granule)),
            header: Cell::new(header_in(at.lap)),
        }
    }

    fn set(&self, at: Cursor) {
        self.granule.set(at.granule);
        self.lap.set(at.lap);
        self.base.set(at.position - u64::from(at.granule));
        self.header.set(header_in(at.lap));
    }

    #[inline(always)]
    fn position(&self) -> u64 {
        self.base.get() + u64::from(self.granule.get())
    }

    /// The cursor, in the lap to which it belongs.
    fn turn(&self, granules: u32) -> Cursor {
        let at = Cursor {
            position: self.position(),
            granule: self.granule.get(),
            lap: self.lap.get(),
        };
        if at.granule < granules {
            return at;
        }
        let turned = at.turned();
        self.set(turned);
        turned
    }
}

/// The sending end: where the next record goes, and how far it may reach.
#[derive(Debug)]
pub(super) struct Writer {
    track: Track,
    /// The granule up to which this lap may be written, as far as this end knows: 0, and with it nothing, once it is over.
    until: Cell<u32>,
}

impl Writer {
    /// The end as the last sender left it, if there was one: behind everything that was published.
    ///
    /// Nobody else sends meanwhile. The receiver may be at work.
    pub(super) fn take_over<M: Memory>(memory: M) -> Self {
        let writer = Writer {
            track: Track::new(scan(memory, |_, _| {})),
            until: Cell::new(0),
        };
        writer.blank_ahead(memory);
        writer.refill(memory);
        writer
    }

    /// A dead sender may have written a message here and not published it; of all that is free, as long as it cannot be
    /// told where.
    fn blank_ahead<M: Memory>(&self, memory: M) {
        if memory.is_uniform() || seeded("pipe-take-over-without-blanking") {
            return;
        }
        let mut at = self.at(memory);
        for _ in 0..self.room(memory) {
            blank(memory, at.granule);
            at = at.behind(1, memory.granules());
        }
    }

    pub(super) fn at<M: Memory>(&self, memory: M) -> Cursor {
        if self.track.granule.get() >= memory.granules() {
            self.until.set(0);
        }
        self.track.turn(memory.granules())
    }

    /// The granule where the next record goes; behind the ring's end, if that is where the last one ended.
    #[inline(always)]
    pub(super) fn granule(&self) -> u32 {
        self.track.granule.get()
    }

    /// Whether the next record goes to `granule`, and there is certainly room for it.
    #[inline(always)]
    pub(super) fn is_free(&self, granule: u32) -> bool {
        granule == self.track.granule.get() && granule < self.until.get()
    }

    /// The position up to which the receiver has freed.
    pub(super) fn freed<M: Memory>(&self, memory: M) -> u64 {
        memory.control().free.load(Acquire) // pairs with `Reader::release`
    }

    /// The position up to which the receiver has acknowledged: nobody reads messages before it any more. What of them lies
    /// in the ring is not free yet.
    pub(super) fn acknowledged<M: Memory>(&self, memory: M) -> u64 {
        memory.control().done.load(Acquire) // pairs with `Reader::acknowledge`
    }

    /// Granules that are free, all around the ring.
    fn room<M: Memory>(&self, memory: M) -> u32 {
        let used = self.at(memory).position.saturating_sub(self.freed(memory));
        let used = u32::try_from(used).unwrap_or(u32::MAX);
        match seeded("pipe-stale-room") {
            false => memory.granules().saturating_sub(used),
            true => memory.granules(),
        }
    }

    /// Looks how far the receiver is; how many granules are free in one piece.
    fn refill<M: Memory>(&self, memory: M) -> u32 {
        let to_end = self.at(memory).to_end(memory.granules());
        let left = self.room(memory).min(to_end);
        self.until.set(self.track.granule.get() + left);
        left
    }

    /// Whether a record of `count` granules can be written at the cursor. What remains of the ring, where it does not fit
    /// any more, is left out.
    #[inline]
    pub(super) fn reach<M: Memory>(&self, memory: M, count: u32) -> bool {
        self.is_within(count) || self.reach_anew(memory, count)
    }

    /// Whether it certainly can, without a look at anything that is shared.
    #[inline(always)]
    pub(super) fn is_within(&self, count: u32) -> bool {
        self.track.granule.get() + count <= self.until.get()
    }

    #[cold]
    fn reach_anew<M: Memory>(&self, memory: M, count: u32) -> bool {
        if self.refill(memory) >= count {
            return true;
        }
        let rest = self.at(memory).to_end(memory.granules());
        if rest >= count || !self.is_within(rest) {
            return false;
        }
        self.publish(memory, rest, Content::Skip(rest));
        self.refill(memory) >= count
    }

    /// Publishes the record of `count` granules that was written at the cursor, and wakes the receiver.
    #[inline(always)]
    pub(super) fn publish<M: Memory>(&self, memory: M, count: u32, content: Content) {
        let granule = self.track.granule.get();
        let header = Header::new(self.track.lap.get(), content);
        self.track.granule.set(granule + count);
        publish_as(memory, memory.header(granule), header);
    }

    /// The same for a message of a uniform lane, at a granule that [is free](Writer::is_free), whose header this is.
    #[inline(always)]
    pub(super) fn publish_at<M: Memory>(&self, memory: M, granule: u32, word: &AtomicU64) {
        self.track.granule.set(granule + 1);
        publish_as(memory, word, self.track.header.get());
    }

    /// Blanks what was written at the cursor and is not published, from its granule `first` up to `end`: the next record
    /// may end in front of any of them.
    #[cold]
    pub(super) fn blank<M: Memory>(&self, memory: M, first: u32, end: u32) {
        let at = self.at(memory);
        let end = end.min(at.to_end(memory.granules()));
        (first..end).for_each(|granule| blank(memory, at.granule + granule));
    }
}

/// Publishes what is written behind a header, and wakes the receiver.
#[inline(always)]
fn publish_as<M: Memory>(memory: M, word: &AtomicU64, header: Header) {
    step("pipe.publish");
    store_and_wake(word, header.0, &memory.control().filled, memory.bells());
}

/// Where the next record's header will be, and in which lap.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight<'m> {
    word: &'m AtomicU64,
    lap: u32,
}

impl Sight<'_> {
    /// Whether a record, of whatever kind, was published there.
    #[inline(always)]
    pub(super) fn is_published(self) -> bool {
        // Pairs with the store in `publish_as`.
        (self.word.load(Acquire) >> 32) as u32 == self.lap
    }
}

/// The receiving end: where the next record will be, and what was done with those before.
#[derive(Debug)]
pub(super) struct Reader {
    track: Track,
    /// Up to here everything is acknowledged.
    done: Cell<u64>,
    /// Up to here the sender may write anew.
    freed: Cell<Cursor>,
    /// Once so much is acknowledged, there is a stretch of it to free. 0 where the end is somebody else's.
    enough: Unforked,
}

/// See [`Reader::enough`].
fn enough_behind<M: Memory>(memory: M, freed: u64) -> u64 {
    freed + u64::from(memory.granules() / STRETCHES)
}

impl Reader {
    /// The end as the last receiver left it: what it did not acknowledge is received again.
    pub(super) fn take_over<M: Memory>(memory: M) -> Self {
        let control = memory.control();
        // Pairs with the stores of the last receiver, through the seat or the kernel's answer that he is dead.
        let free = control.free.load(Acquire);
        let done = control.done.load(Acquire).max(free);
        let reader = Reader {
            track: Track::new(Cursor::at(done, memory.granules())),
            done: Cell::new(done),
            freed: Cell::new(Cursor::at(free, memory.granules())),
            enough: Unforked::new(enough_behind(memory, free)),
        };
        reader.release(memory);
        reader
    }

    pub(super) fn next<M: Memory>(&self, memory: M) -> Cursor {
        self.track.turn(memory.granules())
    }

    /// The granule of the next record; behind the ring's end, if that is where the last one ended.
    #[inline(always)]
    pub(super) fn granule(&self) -> u32 {
        self.track.granule.get()
    }

    /// Granules that were passed and are not acknowledged.
    #[inline(always)]
    pub(super) fn in_hand(&self) -> u64 {
        self.track.position() - self.done.get()
    }

    /// Whether a message of this lap was published under this header of a uniform lane.
    #[inline(always)]
    pub(super) fn is_published(&self, header: &AtomicU64) -> bool {
        // Pairs with the store in `publish_as`.
        header.load(Acquire) == self.track.header.get().0
    }

    /// The word that publishes the next record, for who looks at it again and again.
    #[inline(always)]
    pub(super) fn sight<'m, M: Memory>(&self, memory: &'m M) -> Sight<'m> {
        let at = self.next(*memory);
        Sight {
            word: memory.header(at.granule),
            lap: at.lap,
        }
    }

    /// What lies at the cursor, if something was published there.
    #[inline]
    pub(super) fn look<M: Memory>(&self, memory: M) -> Option<Content> {
        match look_at(memory, self.next(memory))? {
            Content::Skip(granules) => self.look_behind(memory, granules),
            content => Some(content),
        }
    }

    #[cold]
    fn look_behind<M: Memory>(&self, memory: M, granules: u32) -> Option<Content> {
        self.pass(memory, Content::Skip(granules));
        // A second one in a row is nothing that a sender writes.
        look_at(memory, self.next(memory)).filter(|next| !matches!(next, Content::Skip(_)))
    }

    /// Goes on behind the record at the cursor.
    #[inline]
    pub(super) fn pass<M: Memory>(&self, memory: M, content: Content) {
        let count = memory.span(self.next(memory), content);
        self.track.granule.set(self.track.granule.get() + count);
    }

    /// Goes on at this granule, or behind the ring's end, in a uniform lane.
    #[inline(always)]
    pub(super) fn go_to(&self, granule: u32) {
        self.track.granule.set(granule);
    }

    /// Everything passed is acknowledged; says whether its room is to be freed: because there is a stretch of it, or the
    /// sender sleeps, or slept, until something is acknowledged or free.
    #[inline(always)]
    pub(super) fn acknowledge<M: Memory>(&self, memory: M) -> bool {
        let done = self.track.position();
        self.acknowledge_to(memory, done) || done >= self.enough.get()
    }

    /// The same where there is certainly no stretch to free yet, and the end is this process's; else `None`, and nothing is
    /// done.
    #[inline(always)]
    pub(super) fn acknowledge_early<M: Memory>(&self, memory: M) -> Option<bool> {
        let done = self.track.position();
        (done < self.enough.get()).then(|| self.acknowledge_to(memory, done))
    }

    #[inline(always)]
    fn acknowledge_to<M: Memory>(&self, memory: M, done: u64) -> bool {
        self.done.set(done);
        let control = memory.control();
        store_done(memory, &control.done, done);
        membarrier::light(); // pairs with the barrier in `arm_and_look`
        control.freed.was_armed()
    }

    /// The end is this process's from now on, or somebody else's.
    pub(super) fn set_mine<M: Memory>(&self, memory: M, mine: bool) {
        let freed = self.freed.get().position;
        self.enough.set(match mine {
            true => enough_behind(memory, freed),
            false => 0,
        });
    }

    /// Of the granules of a uniform lane that are acknowledged and not free yet, those whose numbers are multiples of `step`.
    pub(super) fn each_freeable<M: Memory>(&self, memory: M, step: u32, mut each: impl FnMut(u32)) {
        let at = self.freed.get();
        // At most the ring.
        let count = (self.done.get() - at.position) as u32;
        let here = count.min(at.to_end(memory.granules()));
        let first = at.granule.next_multiple_of(step);
        (first..at.granule + here)
            .step_by(step as usize)
            .for_each(&mut each);
        (0..count - here).step_by(step as usize).for_each(each);
    }

    /// Frees everything acknowledged, blanked first.
    #[cold]
    #[inline(never)]
    pub(super) fn release<M: Memory>(&self, memory: M) {
        let mut at = self.freed.get();
        if at.position >= self.done.get() {
            return;
        }
        if memory.is_uniform() {
            at = Cursor::at(self.done.get(), memory.granules());
        }
        while at.position < self.done.get() {
            let content = look_at(memory, at).unwrap_or(Content::Block);
            let count = memory.span(at, content);
            if !seeded("pipe-release-without-blanking") {
                (1..count).for_each(|granule| blank(memory, at.granule + granule));
            }
            at = at.behind(count, memory.granules());
        }
        self.freed.set(at);
        self.enough.set(enough_behind(memory, at.position));
        let control = memory.control();
        step("pipe.free");
        // Release: pairs with `Writer::freed`, behind the blanking.
        store_and_wake(&control.free, at.position, &control.freed, memory.bells());
    }

    /// Receives again from what was acknowledged last.
    pub(super) fn rewind<M: Memory>(&self, memory: M) {
        self.track
            .set(Cursor::at(self.done.get(), memory.granules()));
    }
}

/// Looks at every record that is not acknowledged, and says where the next one will be.
///
/// Where an end is at work at the same time, what it acknowledges meanwhile may still be seen.
pub(super) fn scan<M: Memory>(memory: M, mut visit: impl FnMut(Cursor, Content)) -> Cursor {
    // Pairs with `Reader::release`.
    let free = memory.control().free.load(Acquire);
    // Pairs with `Reader::acknowledge`.
    let done = memory.control().done.load(Acquire);
    let mut at = Cursor::at(free, memory.granules());
    while at.position - free < u64::from(memory.granules()) {
        let Some(content) = look_at(memory, at) else {
            break;
        };
        if at.position >= done {
            visit(at, content);
        }
        at = at.behind(memory.span(at, content), memory.granules());
    }
    at
}

#[inline(always)]
fn look_at<M: Memory>(memory: M, at: Cursor) -> Option<Content> {
    // Pairs with the store in `publish_as`.
    Header(memory.header(at.granule).load(Acquire)).content(at.lap)
}

/// Makes sure that nothing which lies in `granule` looks like a header.
fn blank<M: Memory>(memory: M, granule: u32) {
    let word = memory.header(granule);
    // Relaxed: what others write here they write after this was seen, by `free`.
    if word.load(Relaxed) != 0 {
        step("pipe.blank");
        // Release: behind `done`, which says that the record is not needed any more.
        word.store(0, Release);
    }
}
