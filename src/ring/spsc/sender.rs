//! The sending end of a lane: no type, and no name.

use super::course::{Course, Fitted, Granule, Words};
use super::duct::{Duct, RawEnd, Side};
use super::header::Content;
use super::pool::{Answer, Pool, Slot};
use super::protocol::{Memory, Writer, arm_and_look, scan};
use super::seat::End;
use super::wait::{Fault, Other, Poll, Vigil};
use crate::ring::linger::{Linger, Luck};
use crate::ring::wait::Peers;
use crate::segment::blocks::BlockRef;
use crate::sys::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::sys::clock::Deadline;
use crate::sys::identity::Participant;
use crate::sys::membarrier;
use crate::sys::seeded::seeded;
use crate::sys::step::step;
use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::sync::Arc;

/// The sending end of lane `which`, held by `me`. One thread uses it at a time.
#[derive(Debug)]
pub(crate) struct RawSender<F> {
    writer: Writer,
    course: Course<F>,
    duct: Arc<Duct>,
    which: usize,
    me: Participant,
    pool: RefCell<Pool>,
    /// Granules from the cursor on that may hold something which was not published: a claim that is open, or was forgotten.
    claimed: Cell<u32>,
    poll: Poll,
    luck: Luck,
}

impl<F: Fitted> RawSender<F> {
    /// The blocks of messages that are not free yet become this end's; those of messages that are, free.
    fn adopt_blocks(&self) {
        let (blocks, lane) = (self.duct.blocks(), self.duct.lane(self.which));
        scan(lane, |at, content| {
            // Relaxed: published by the header that the scan has acquired.
            let bits = lane.reference(at, content).map(|word| word.load(Relaxed));
            if let Some(block) = bits.and_then(BlockRef::from_bits)
                && blocks.own(self.me, block).unwrap_or(false)
            {
                self.pool.borrow_mut().adopt(block, at.position + 1);
            }
        });
        // An error means descriptors without memory: nothing was allocated there.
        let _ = blocks.reclaim(&mut |block| self.duct.refers_to(block));
    }

    #[inline(always)]
    fn words(&self) -> Words<'_, F> {
        self.course.words()
    }

    /// Bytes that fit the ring.
    #[inline(always)]
    pub(crate) fn inline(&self) -> usize {
        self.duct.lane(self.which).geometry().inline()
    }

    /// The granule of the next message.
    #[inline(always)]
    pub(crate) fn next(&self) -> u32 {
        self.writer.granule()
    }

    /// The place of the next message where all have one size, if it is granule `next`, and there is room and somebody to
    /// receive it.
    ///
    /// A caller that sends several counts them himself: what he knows need not be stored and loaded again in between.
    #[inline(always)]
    pub(crate) fn room_at(&self, next: u32) -> Option<Granule<'_, F>> {
        if !F::FIT.is_fixed() || !self.writer.is_free(next) {
            return None;
        }
        let words = self.words();
        let granule = words.granule(next)?;
        // Relaxed: a hint; the seat tells.
        if words.control().receiver_over.load(Relaxed) != 0 {
            return None;
        }
        if seeded("pipe-commit-before-write") {
            self.writer.publish_at(words, next, granule.header());
        }
        words.prepare_header(next);
        Some(granule)
    }

    /// Publishes the message that was written to [`room_at`](RawSender::room_at).
    #[inline(always)]
    pub(crate) fn publish_at(&self, next: u32, granule: Granule<'_, F>) {
        if !seeded("pipe-commit-before-write") {
            let words = self.words();
            self.writer.publish_at(words, next, granule.header());
        }
    }

    /// The place for a message of `len` bytes, which fit the ring; waits for room.
    ///
    /// # Errors
    ///
    /// [`Fault`]; nothing is claimed then.
    #[inline(always)]
    pub(crate) fn claim(
        &self,
        len: usize,
        peers: &dyn Peers,
        deadline: Deadline,
    ) -> Result<NonNull<[u8]>, Fault> {
        let words = self.words();
        let count = words.granules_of(len as u32);
        self.reach(words, count, peers, deadline)?;
        self.claimed.set(count);
        let at = self.writer.at(words);
        words.prepare_header(at.granule);
        Ok(words.message(at, len))
    }

    /// Waits for room for `count` granules at the cursor.
    #[inline(always)]
    fn reach(
        &self,
        words: Words<'_, F>,
        count: u32,
        peers: &dyn Peers,
        deadline: Deadline,
    ) -> Result<(), Fault> {
        // Relaxed: a hint; the seat tells.
        let over = words.control().receiver_over.load(Relaxed) != 0;
        match !over && self.claimed.get() == 0 && self.writer.is_within(count) {
            true => Ok(()),
            false => self.reach_patiently(words, count, peers, deadline),
        }
    }

    #[cold]
    fn reach_patiently(
        &self,
        words: Words<'_, F>,
        count: u32,
        peers: &dyn Peers,
        deadline: Deadline,
    ) -> Result<(), Fault> {
        if self.claimed.get() != 0 {
            self.clean(words, 1); // a claim that was forgotten; before the cursor moves
        }
        // Relaxed: as above.
        let over = words.control().receiver_over.load(Relaxed) != 0;
        if over || !self.writer.reach(words, count) {
            self.wait(peers, deadline, |writer, words| writer.reach(words, count))?;
        }
        Ok(())
    }

    /// Blanks what was claimed at the cursor, but for its first `count` granules: the next record may end in front of any.
    #[inline(always)]
    fn clean(&self, words: Words<'_, F>, count: u32) {
        let claimed = self.claimed.replace(0);
        if count < claimed && !words.is_uniform() {
            self.writer.blank(words, count, claimed);
        }
    }

    /// Publishes the first `len` of the bytes at the claimed place.
    #[inline]
    pub(crate) fn commit(&self, len: usize) {
        let words = self.words();
        let count = words.granules_of(len as u32);
        self.clean(words, count);
        let content = if words.is_uniform() { 0 } else { len as u32 };
        self.writer.publish(words, count, Content::Inline(content));
    }

    /// Gives the claimed place back.
    #[cold]
    pub(crate) fn abort(&self) {
        self.clean(self.words(), 1);
    }

    /// A block for a message of `len` bytes; waits until one is free.
    ///
    /// # Errors
    ///
    /// [`Fault`].
    #[inline(always)]
    pub(crate) fn spill(
        &self,
        len: usize,
        peers: &dyn Peers,
        deadline: Deadline,
    ) -> Result<Slot, Fault> {
        let known = self.pool.borrow_mut().take_known(len);
        match known {
            Some(slot) => Ok(slot),
            None => self.spill_patiently(len, peers, deadline),
        }
    }

    #[cold]
    fn spill_patiently(
        &self,
        len: usize,
        peers: &dyn Peers,
        deadline: Deadline,
    ) -> Result<Slot, Fault> {
        loop {
            let done = self.writer.acknowledged(self.words());
            let mut pool = self.pool.borrow_mut();
            let answer = pool.take(self.duct.blocks(), self.me, len as u64, done);
            drop(pool);
            match answer.map_err(|_| Fault::NoSpace)? {
                Answer::Ready(slot) => return Ok(slot),
                Answer::Wait(until) => self.wait(peers, deadline, |writer, words| {
                    writer.acknowledged(words) >= until.min(writer.at(words).position)
                })?,
            }
        }
    }

    /// The bytes of a block, as many as it was taken for.
    #[inline(always)]
    pub(crate) fn spilled(&self, slot: Slot, len: usize) -> NonNull<[u8]> {
        self.pool.borrow().bytes(slot, len)
    }

    /// Gives a block back whose message is not to be sent.
    pub(crate) fn give_back(&self, slot: Slot) {
        self.pool.borrow_mut().give_back(slot);
    }

    /// Publishes the first `len` bytes of a block; waits for room in the ring.
    ///
    /// # Errors
    ///
    /// [`Fault`]; the block is given back then.
    #[inline]
    pub(crate) fn commit_spilled(
        &self,
        slot: Slot,
        len: usize,
        peers: &dyn Peers,
        deadline: Deadline,
    ) -> Result<(), Fault> {
        let words = self.words();
        self.reach(words, 1, peers, deadline)
            .inspect_err(|_| self.give_back(slot))?;
        let [block, length] = words.reference(self.writer.at(words));
        let mut pool = self.pool.borrow_mut();
        step("pipe.reference");
        // Relaxed: published by the header.
        block.store(pool.block(slot).to_bits(), Relaxed);
        length.store(len as u64, Relaxed); // no step: as above
        self.writer.publish(words, 1, Content::Block);
        pool.keep(slot, self.writer.at(words).position);
        Ok(())
    }

    /// Waits until `ready`, or there is nobody to receive.
    #[cold]
    #[inline(never)]
    fn wait(
        &self,
        peers: &dyn Peers,
        deadline: Deadline,
        ready: impl Fn(&Writer, Words<'_, F>) -> bool,
    ) -> Result<(), Fault> {
        let words = self.words();
        let control = words.control();
        let mut vigil = Vigil::new(
            Other {
                duct: &self.duct,
                seat: &control.receiver,
                me: self.me,
                peers,
            },
            deadline,
        );
        let mut linger = Linger::new(&self.luck, deadline);
        let ready = || ready(&self.writer, words).then_some(());
        loop {
            if let Some(end) = vigil.end() {
                return Err(Fault::Ended(end));
            }
            self.believe_seat();
            if vigil.spin(ready).or_else(ready).is_some() {
                return Ok(());
            }
            if linger.once() {
                continue;
            }
            vigil.before_sleep(&self.poll)?;
            let answer = || vigil.end().map(drop).or_else(ready);
            if let Err(ticket) = arm_and_look(&control.freed, answer) {
                vigil.sleep(&control.freed, ticket);
            }
        }
    }

    /// The hint says that there is no receiver, and the seat that there is: one has taken over.
    fn believe_seat(&self) {
        let words = self.words();
        let control = words.control();
        // Acquire: pairs with `Duct::tell_sender`; whoever orphaned the seat did so before.
        if control.receiver_over.load(Acquire) != 0 && control.receiver.end().is_none() {
            step("pipe.not-over");
            control.receiver_over.store(0, Release); // a hint: who set it late finds the seat as it is
        }
    }
}

impl<F: Fitted> RawEnd for RawSender<F> {
    const SIDE: Side = Side::Sender;

    fn new(duct: Arc<Duct>, which: usize, me: Participant) -> Self {
        let course = Course::new(&duct, which);
        let writer = Writer::take_over(course.words());
        // The last sender's sleeper may have armed the gate and died before its barrier.
        membarrier::heavy();
        let for_all = duct.lane(which).geometry().blocks_for_all;
        let sender = RawSender {
            writer,
            course,
            duct,
            which,
            me,
            pool: RefCell::new(Pool::new(for_all)),
            claimed: Cell::new(0),
            poll: Poll::default(),
            luck: Luck::default(),
        };
        sender.adopt_blocks();
        sender
    }

    #[inline(always)]
    fn me(&self) -> Participant {
        self.me
    }

    fn peer_end(&self) -> Option<End> {
        self.words().control().receiver.end()
    }

    fn offer(&self) -> Option<u16> {
        let words = self.words();
        let done = self.writer.acknowledged(words);
        self.pool
            .borrow_mut()
            .let_go(self.duct.blocks(), self.me, done);
        let offered = self.words().control().sender.offer(self.me);
        self.words().set_open(offered.is_none());
        offered
    }

    fn withdraw(&self, epoch: u16) -> bool {
        let mine = self.words().control().sender.withdraw(epoch, self.me);
        if mine {
            self.words().set_open(true);
            self.adopt_blocks();
        }
        mine
    }

    /// The receiver reads what there is and is told.
    fn close(&self) {
        let done = self.writer.acknowledged(self.words());
        self.pool
            .borrow_mut()
            .let_go(self.duct.blocks(), self.me, done);
        self.duct.close(self.which, Side::Sender, self.me);
    }
}
