//! The receiving end of a lane: no type, and no name.

use super::super::stream::Stream;
use super::beside::Beside;
use super::course::{Course, Fitted, Words};
use super::cursor::Cursor;
use super::duct::{Duct, RawEnd, Side};
use super::header::Content;
use super::known::Known;
use super::protocol::{Memory, Reader, arm_and_look};
use super::seat::End;
use super::wait::{Fault, Other, Poll, Vigil};
use crate::ring::linger::{Linger, Luck};
use crate::ring::wait::Peers;
use crate::segment::narrow;
use crate::sys::atomic::AtomicU32;
use crate::sys::atomic::Ordering::Relaxed;
use crate::sys::atomic::spin_loop;
use crate::sys::backoff;
use crate::sys::clock::Deadline;
use crate::sys::cpu;
use crate::sys::identity::Participant;
use crate::sys::membarrier;
use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::Arc;

/// The receiving end of lane `which`, held by `me`. One thread uses it at a time.
#[derive(Debug)]
pub(crate) struct RawReceiver<F> {
    reader: Reader,
    /// Of several messages in hand, those that were done with; and [`SPOILED`].
    closed: Cell<u64>,
    rewrites: bool,
    course: Course<F>,
    duct: Arc<Duct>,
    which: usize,
    me: Participant,
    known: Known,
    /// Messages of any length that were taken.
    taken: Cell<u64>,
    /// As many of them as are not in hand any more.
    settled: Cell<u64>,
    stream: Stream,
    poll: Poll,
    luck: Luck,
    /// How often to look before anything else: as often as takes a microsecond, and once on a single processor.
    looks: u32,
    beside: Beside,
}

/// One of the messages in hand was not done with: all since the last acknowledged are received again.
const SPOILED: u64 = 1 << 63;

impl<F: Fitted> RawReceiver<F> {
    #[inline(always)]
    fn words(&self) -> Words<'_, F> {
        self.course.words()
    }

    /// The bytes of the next message, if it is there and the end is this process's: a message in hand, which keeps its place, and all behind it theirs,
    /// until it is acknowledged or given back.
    #[inline(always)]
    pub(crate) fn take_next(&self) -> Option<NonNull<[u8]>> {
        if !F::FIT.is_fixed() {
            return self.take_any();
        }
        let next = self.reader.granule();
        let granule = self.words().granule(next)?;
        if !self.reader.is_published(granule.header()) {
            return None;
        }
        self.reader.go_to(next + 1);
        Some(granule.message())
    }

    #[inline]
    fn take_any(&self) -> Option<NonNull<[u8]>> {
        let words = self.words();
        if !words.is_open() {
            return None;
        }
        let content = self.reader.look(words)?;
        let at = self.reader.next(words);
        let bytes = match content {
            Content::Block => self.in_block(words, at),
            Content::Inline(len) | Content::Skip(len) => {
                self.known.expect_none();
                words.message(at, len as usize)
            }
        };
        self.reader.pass(words, content);
        self.taken.set(self.taken.get() + 1);
        Some(bytes)
    }

    /// The bytes of the message at the cursor, which lies in a block; none at all when the reference was scribbled over.
    #[inline(always)]
    fn in_block(&self, words: Words<'_, F>, at: Cursor) -> NonNull<[u8]> {
        // Relaxed: published by the header.
        let [block, len] = words.reference(at).map(|word| word.load(Relaxed));
        let bytes = self.known.bytes(self.duct.blocks(), block, len);
        bytes.unwrap_or_else(|| narrow(words.message(at, 0), 0))
    }

    /// Messages that were taken and are not acknowledged, nor given back. That they are not counted where they need not be is
    /// for speed: a word that each message counts up and down is one for whose last store each has to wait.
    #[inline(always)]
    fn in_hand(&self) -> u64 {
        match F::FIT.is_fixed() {
            true => self.reader.in_hand(),
            false => self.taken.get() - self.settled.get(),
        }
    }

    /// Acknowledges the only message in hand, if nothing else is to be done, and the end is this process's; false if it has
    /// to be [done with care](RawReceiver::ack).
    #[inline(always)]
    pub(crate) fn try_ack(&self) -> bool {
        let alone = self.in_hand() == 1;
        let Some(release) = alone
            .then(|| self.reader.acknowledge_early(self.words()))
            .flatten()
        else {
            return false;
        };
        if !F::FIT.is_fixed() {
            self.settled.set(self.taken.get());
        }
        if release {
            self.release();
        }
        true
    }

    /// Acknowledges a message in hand; with the last of several, all of them. For whose end it is.
    pub(crate) fn ack(&self) {
        match self.in_hand() {
            1 => self.acknowledge(),
            _ => self.ack_later(),
        }
    }

    fn acknowledge(&self) {
        if !F::FIT.is_fixed() {
            self.settled.set(self.taken.get());
        }
        if self.reader.acknowledge(self.words()) {
            self.release();
        }
    }

    /// Others are in hand yet, or will come again.
    fn ack_later(&self) {
        let closed = self.closed.get() + 1;
        if closed & !SPOILED != self.in_hand() {
            return self.closed.set(closed);
        }
        self.closed.set(0);
        if closed & SPOILED == 0 {
            return self.acknowledge();
        }
        self.settled.set(self.taken.get());
        self.reader.rewind(self.words());
    }

    /// Frees what was acknowledged.
    fn release(&self) {
        let words = self.words();
        if self.rewrites && Words::<F>::REWRITES {
            self.reader
                .each_freeable(words, Words::<F>::TO_A_LINE, |granule| {
                    // SAFETY: its message is acknowledged and not free yet: it is this end's, and no guard of it is left.
                    unsafe { words.rewrite_lines(granule) };
                });
        }
        self.reader.release(words);
    }

    /// Gives a message back: it is received again, and with it all that came after the last one acknowledged.
    #[cold]
    pub(crate) fn give_back(&self) {
        self.closed.set(self.closed.get() | SPOILED);
        self.ack_later();
    }

    /// Waits until a message is there, and leaves it where it is.
    ///
    /// # Errors
    ///
    /// [`Fault::TimedOut`] at the deadline, [`Fault::Ended`] when nothing is left and nobody sends.
    #[cold]
    #[inline(never)]
    pub(crate) fn wait(&self, peers: &dyn Peers, deadline: Deadline) -> Result<(), Fault> {
        self.reader.next(self.words());
        if deadline == Deadline::NOW {
            return self.look_once(peers);
        }
        if self.rewrites && Words::<F>::REWRITES {
            self.release(); // while there is nothing else to do
        }
        let alone = self.let_gather() == 0;
        if alone && self.beside.is_likely() {
            return self.wait_patiently(peers, deadline, false);
        }
        match self.look_for_a_moment() {
            true => {
                self.beside.note(false);
                Ok(())
            }
            false => self.wait_patiently(peers, deadline, true),
        }
    }

    /// For who only polls: most often nothing is there, and nothing else is to be done.
    fn look_once(&self, peers: &dyn Peers) -> Result<(), Fault> {
        self.release();
        // Before the look: what was published before the end is seen by it.
        let has_ended = self.peer_end().is_some();
        if self.is_there() {
            return Ok(());
        }
        match !has_ended && self.poll.is_idle() {
            true => Err(Fault::TimedOut),
            false => self.wait_patiently(peers, Deadline::NOW, true),
        }
    }

    /// Whether a message comes within about a microsecond, as the answer to one just sent does. Everything else that waiting
    /// takes comes later.
    #[inline(always)]
    fn look_for_a_moment(&self) -> bool {
        let words = self.words();
        let sight = self.reader.sight(&words);
        for _ in 0..self.looks {
            self.fetch(words);
            if sight.is_published() && self.is_there() {
                return true;
            }
            spin_loop();
        }
        false
    }

    /// Asks for the line of the next message that is not its header's, if there is one and it is known.
    #[inline(always)]
    fn fetch(&self, words: Words<'_, F>) {
        match F::FIT.is_fixed() {
            true => words.fetch(self.reader.granule()),
            false => self.known.fetch(),
        }
    }

    /// Asks for the line of the message that comes so many behind the next one, of messages that all have one size: for who knows
    /// that it is there. A line that is asked for too early is taken from the sender while he writes it.
    #[inline(always)]
    pub(crate) fn fetch_behind(&self, messages: u32) {
        let behind = self.words().granule(self.reader.granule() + messages);
        if let Some(granule) = behind {
            cpu::fetch(std::ptr::from_ref(granule.header()).cast());
        }
    }

    /// Whether a message is there.
    #[inline(always)]
    pub(crate) fn is_there(&self) -> bool {
        let words = self.words();
        self.fetch(words);
        match F::FIT.is_fixed() {
            true => words
                .granule(self.reader.granule())
                .is_some_and(|granule| self.reader.is_published(granule.header())),
            false => self.reader.look(words).is_some(),
        }
    }

    #[cold]
    fn wait_patiently(
        &self,
        peers: &dyn Peers,
        deadline: Deadline,
        spinning: bool,
    ) -> Result<(), Fault> {
        let look = || self.is_there().then_some(());
        let words = self.words();
        let control = words.control();
        self.release();
        let mut vigil = Vigil::new(self.other(peers), deadline);
        let mut linger = Linger::new(&self.luck, deadline);
        if !spinning {
            vigil.spin_no_more();
            if self.beside.lets_act() && look().is_some() {
                return Ok(());
            }
        }
        loop {
            if vigil.spin(look).is_some() {
                if spinning {
                    self.beside.note(vigil.came_by_yielding());
                }
                return Ok(());
            }
            // Before the look: what was published before the end is seen by it.
            let end = vigil.end();
            if look().is_some() {
                return Ok(());
            }
            if let Some(end) = end {
                return Err(Fault::Ended(end));
            }
            if spinning && linger.once() {
                continue;
            }
            vigil.before_sleep(&self.poll)?;
            match arm_and_look(&control.filled, look) {
                Ok(()) => return Ok(()),
                Err(ticket) if vigil.end().is_none() => vigil.sleep(&control.filled, ticket),
                Err(_) => {}
            }
        }
    }

    /// Whether a message is there, or the sender is gone.
    #[inline]
    pub(crate) fn is_ready(&self) -> bool {
        self.is_there() || self.peer_end().is_some()
    }

    /// Announces a watcher, who is enrolled under [`gate`](RawReceiver::gate); he looks once more behind a barrier.
    pub(crate) fn watch(&self) {
        self.release();
        self.words().control().filled.watch();
    }

    /// The word under which those enrol who watch for messages.
    pub(crate) fn gate(&self) -> &AtomicU32 {
        self.course.control().filled.word()
    }

    /// Asks whether the sender lives, and buries him if not; whether there is something to see now.
    pub(crate) fn is_ready_behind_the_dead(&self, peers: &dyn Peers) -> bool {
        self.other(peers).was_buried();
        self.is_ready()
    }

    fn other<'a>(&'a self, peers: &'a dyn Peers) -> Other<'a> {
        Other {
            duct: &self.duct,
            seat: &self.course.control().sender,
            me: self.me,
            peers,
        }
    }

    /// The fast path is open to this process, or shut.
    fn set_mine(&self, mine: bool) {
        self.words().set_open(mine);
        self.reader.set_mine(self.words(), mine);
    }

    /// Leaves a stream of messages alone for a moment; see [`Stream`]. How many steps: 0 where messages come alone.
    pub(crate) fn let_gather(&self) -> u32 {
        let steps = self.stream.steps(match F::FIT.is_fixed() {
            true => self.reader.next(self.words()).position,
            false => self.taken.get(),
        });
        let pauses: u32 = (0..steps).map(|step| 1 << step.min(4)).sum();
        (0..pauses).for_each(|_| spin_loop());
        steps
    }
}

impl<F: Fitted> RawEnd for RawReceiver<F> {
    const SIDE: Side = Side::Receiver;

    fn new(duct: Arc<Duct>, which: usize, me: Participant) -> Self {
        let course = Course::new(&duct, which);
        let reader = Reader::take_over(course.words());
        // The last receiver may have armed the gate and died before its barrier.
        membarrier::heavy();
        RawReceiver {
            reader,
            closed: Cell::new(0),
            rewrites: cpu::prefers_written_lines(),
            course,
            duct,
            which,
            me,
            known: Known::new(),
            taken: Cell::new(0),
            settled: Cell::new(0),
            stream: Stream::default(),
            poll: Poll::default(),
            luck: Luck::default(),
            looks: backoff::pauses_in_a_microsecond().max(1),
            beside: Beside::default(),
        }
    }

    #[inline(always)]
    fn me(&self) -> Participant {
        self.me
    }

    fn peer_end(&self) -> Option<End> {
        self.words().control().sender.end()
    }

    /// Not while a message is in hand: whoever came next would acknowledge it, and it would be overwritten while it is
    /// read here.
    fn offer(&self) -> Option<u16> {
        if self.in_hand() != 0 {
            return None;
        }
        self.release();
        let offered = self.words().control().receiver.offer(self.me);
        self.set_mine(offered.is_none());
        offered
    }

    fn withdraw(&self, epoch: u16) -> bool {
        let mine = self.words().control().receiver.withdraw(epoch, self.me);
        self.set_mine(mine);
        mine
    }

    /// The sender is told at its next call.
    fn close(&self) {
        self.duct.close(self.which, Side::Receiver, self.me);
    }
}
