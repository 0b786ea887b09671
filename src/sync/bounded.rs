//! Permits that have owners: one word for each.
//!
//! | value | meaning |
//! |---|---|
//! | 0 | free |
//! | 1 to 4,094 | held by that participant |
//! | 4,095 | nobody's: given away by its holder, until anybody gives it back |
//!
//! A permit is taken by one exchange that names its holder, so at no instant is one held by nobody knows whom. When a
//! holder dies its permits are found by its number and freed, each by an exchange from exactly that number; the sweep does
//! it, and the number gets no new owner before.
//!
//! Who wants several becomes the first in line, takes what there is, and gives it all back if it is not enough: nobody
//! holds a part while he waits. How permits are waited for says [`Turnstile`].

use super::line::Line;
use super::turnstile::{Attempt, Stock, Turnstile, Waiting};
#[cfg(not(loom))]
use crate::segment::{Segment, layout::Offset};
use crate::sys::atomic::{
    AtomicU16, AtomicU32,
    Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst},
    spin_loop,
};
use crate::sys::backoff;
use crate::sys::identity::{Oracle, Participant};
use crate::sys::membarrier;
use crate::sys::seeded::seeded;
use crate::sys::step::step;
use crate::sys::until::{Over, Until};
use std::cell::{Cell, RefCell};

/// One permit; see the table above.
#[derive(Debug)]
#[cfg_attr(not(loom), repr(C))]
pub(crate) struct PermitWord(AtomicU16);

const FREE: u16 = 0;
const LEAKED: u16 = 4095;

/// What lies before the permits of a semaphore. All zero bytes are one without any.
#[cfg(not(loom))]
#[derive(Debug)]
#[repr(C)]
pub(crate) struct BoundedHead {
    turnstile: Turnstile,
    /// How many permits there are; never changes once others can see it.
    count: AtomicU32,
    pad: AtomicU32,
}

/// What a semaphore must know of its members, and have done about them: supplied by the floor above.
pub(crate) trait Undertaker: Oracle {
    /// Cleans up after `who` if it is dead; true if it was.
    fn bury(&self, who: Participant) -> bool;
}

/// The permits of one semaphore and the waiting room before them, for the length of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawBounded<'a> {
    turnstile: &'a Turnstile,
    permits: &'a [PermitWord],
}

/// Fewer permits are nobody's than were to be given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotLeaked;

#[cfg(not(loom))]
impl BoundedHead {
    /// Fills in a new semaphore of `count` permits, whose bytes are all zero.
    pub(crate) fn prepare(&self, count: u32) {
        step("permits.prepare");
        self.count.store(count, Relaxed); // published with the object
    }

    /// How many permits there are, as shared memory says.
    pub(crate) fn count(&self) -> u32 {
        self.count.load(Relaxed) // see `prepare`
    }

    /// The semaphore with these `permits`.
    #[inline]
    pub(crate) fn with<'a>(&'a self, permits: &'a [PermitWord]) -> RawBounded<'a> {
        RawBounded::new(&self.turnstile, permits)
    }
}

/// The bytes of a semaphore of `count` permits.
#[cfg(not(loom))]
pub(crate) const fn permits_len(count: u32) -> u64 {
    (size_of::<BoundedHead>() + size_of::<PermitWord>() * count as usize) as u64
}

/// Does what the death of the participant `dead` asks for at the semaphore in the `len` bytes from `place`; the caller
/// knows that it is dead.
///
/// The count is a word in shared memory, and reaches no further than that: behind it others may have numbers that look
/// like the dead one's.
#[cfg(not(loom))]
pub(crate) fn repair_permits(segment: &Segment, (place, len): (u64, u64), dead: Participant) {
    let Some(head) = segment.get(Offset::<BoundedHead>::new(place)) else {
        return;
    };
    let words = Offset::new(place + permits_len(0));
    let room = len.saturating_sub(permits_len(0)) / size_of::<PermitWord>() as u64;
    let count = u64::from(head.count().min(RawBounded::MOST)).min(room);
    if let Some(permits) = segment.slice(words, count) {
        head.with(permits).repair(dead);
    }
}

impl<'a> RawBounded<'a> {
    /// The most permits that there can be.
    pub(crate) const MOST: u32 = 1 << 20;

    /// The semaphore of these `permits`.
    pub(super) fn new(turnstile: &'a Turnstile, permits: &'a [PermitWord]) -> Self {
        RawBounded { turnstile, permits }
    }

    /// Takes a permit for `me` if one is free and they are not kept for somebody; begins its search at `hint`.
    #[inline]
    pub(crate) fn try_acquire(self, me: Participant, hint: u32) -> Option<u32> {
        if self.turnstile.load().is_kept() {
            return None;
        }
        let near = self.permits.get(hint as usize)?;
        if near.claim(me) {
            return Some(hint);
        }
        self.claim_any(me, hint)
    }

    fn claim_any(self, me: Participant, hint: u32) -> Option<u32> {
        self.indices(hint)
            .find(|&i| self.permits[i as usize].claim(me))
    }

    /// Every permit once, those from `hint` on first.
    fn indices(self, hint: u32) -> impl Iterator<Item = u32> {
        let count = self.permits.len() as u32;
        let hint = hint.min(count);
        (hint..count).chain(0..hint)
    }

    /// Takes `count` permits or none.
    fn claim_all(self, me: Participant, hint: u32, count: u32) -> Option<Vec<u32>> {
        let free = self
            .indices(hint)
            .filter(|&i| self.permits[i as usize].claim(me));
        let taken: Vec<u32> = free.take(count as usize).collect();
        if taken.len() == count as usize {
            return Some(taken);
        }
        taken.iter().for_each(|&i| self.permits[i as usize].free());
        None
    }

    /// Waits until `count` permits can be taken for `me`, and takes them.
    ///
    /// # Errors
    ///
    /// Why `until` is over. Nothing is taken.
    #[cold]
    pub(crate) fn acquire(
        self,
        count: u32,
        until: Until<'_>,
        me: Participant,
        hint: u32,
        peers: &dyn Undertaker,
    ) -> Result<Vec<u32>, Over> {
        let request = Request {
            raw: self,
            me,
            hint,
            count,
            peers: Some(peers),
            taken: RefCell::default(),
            pauses_left: Cell::new(backoff::usual_pauses()),
            next_asked: Cell::new(0),
        };
        let waiting = Waiting::new(count, until, Some(me), peers).beside_holders();
        self.turnstile.pass(&request, waiting)?;
        Ok(request.taken.into_inner())
    }

    /// Gives the permit `index` back, which the caller's process holds.
    ///
    /// By a store while nobody has announced himself, which is half the cost. Who then does waits until every processor
    /// has passed a barrier, and looks once more.
    #[inline]
    pub(crate) fn release(self, index: u32) {
        let permit = &self.permits[index as usize];
        if self.turnstile.load().is_watched() || !membarrier::is_ready() {
            return self.release_watched(permit);
        }
        step("permit.store");
        permit.0.store(FREE, Release); // pairs with the next `claim`
        membarrier::light(); // the store above, before the look below; pairs with `settle`
        let seen = self.turnstile.load();
        if seen.is_watched() {
            self.turnstile.wake(seen, 1);
        }
    }

    #[inline(never)]
    fn release_watched(self, permit: &PermitWord) {
        permit.free();
        let seen = self.turnstile.look();
        self.turnstile.wake(seen, 1);
    }

    /// Gives several back and wakes as many.
    pub(crate) fn release_all(self, taken: &[u32]) {
        taken.iter().for_each(|&i| self.permits[i as usize].free());
        let seen = self.turnstile.look();
        self.turnstile.wake(seen, taken.len() as u32);
    }

    /// Makes the permit `index`, which the caller's process holds, nobody's.
    pub(crate) fn leak(self, index: u32) {
        step("permit.leak");
        // Release: pairs with `give_back`.
        self.permits[index as usize].0.swap(LEAKED, AcqRel);
    }

    /// Gives `count` permits back that were nobody's.
    ///
    /// # Errors
    ///
    /// [`NotLeaked`], and none is given back, if there are not so many.
    pub(crate) fn give_back(self, count: u32, me: Participant) -> Result<(), NotLeaked> {
        let leaked = |permit: &&PermitWord| permit.0.load(Relaxed) == LEAKED;
        if self
            .permits
            .iter()
            .filter(leaked)
            .take(count as usize)
            .count()
            < count as usize
        {
            return Err(NotLeaked);
        }
        // Through the own hands: others may be giving back the same ones.
        let taken: Vec<u32> = self
            .indices(0)
            .filter(|&i| self.permits[i as usize].exchange(LEAKED, me.get()))
            .take(count as usize)
            .collect();
        if taken.len() < count as usize {
            taken.iter().for_each(|&i| self.leak(i));
            return Err(NotLeaked);
        }
        self.release_all(&taken);
        Ok(())
    }

    /// How many permits are free.
    pub(crate) fn available(self) -> u32 {
        self.permits
            .iter()
            .filter(|permit| permit.is_free())
            .count() as u32
    }

    /// Frees what the participant `dead` held, of which the caller knows that it is dead, and does what it still had to
    /// do here.
    pub(crate) fn repair(self, dead: Participant) {
        for permit in self.permits {
            if permit.0.load(Relaxed) == dead.get() && !seeded("permits-not-returned") {
                permit.exchange(dead.get(), FREE);
            }
        }
        let request = Request {
            raw: self,
            me: dead,
            hint: 0,
            count: 0,
            peers: None,
            taken: RefCell::default(),
            pauses_left: Cell::new(0),
            next_asked: Cell::new(0),
        };
        self.turnstile.repair(&request, dead);
    }
}

impl PermitWord {
    #[cfg(test)]
    pub(super) fn new() -> Self {
        PermitWord(AtomicU16::new(FREE))
    }

    fn is_free(&self) -> bool {
        self.0.load(SeqCst) == FREE // after an announcement; pairs with `free`
    }

    #[inline]
    fn claim(&self, me: Participant) -> bool {
        self.is_free() && self.exchange(FREE, me.get())
    }

    #[inline]
    fn exchange(&self, from: u16, to: u16) -> bool {
        step("permit.exchange");
        // SeqCst: a permit that becomes free is seen by who has announced himself. Acquire pairs with `free`.
        self.0.compare_exchange(from, to, SeqCst, Relaxed).is_ok()
    }

    #[inline]
    fn free(&self) {
        step("permit.free");
        // SeqCst: before the look at who waits. Release pairs with the next `claim`.
        self.0.swap(FREE, SeqCst);
    }
}

/// One call that wants permits for a process.
struct Request<'a> {
    raw: RawBounded<'a>,
    me: Participant,
    hint: u32,
    count: u32,
    peers: Option<&'a dyn Undertaker>,
    taken: RefCell<Vec<u32>>,
    /// How much longer one who may not wait looks on while another takes several.
    pauses_left: Cell<u32>,
    /// The permit whose holder is asked about next.
    next_asked: Cell<u32>,
}

impl Request<'_> {
    fn take(&self, taken: Vec<u32>) -> Attempt {
        self.taken.replace(taken);
        Attempt::Done
    }

    fn short(&self) -> Attempt {
        Attempt::Short {
            some: self.count > 1 && self.left() > 0,
        }
    }

    fn one(&self) -> Attempt {
        let one = self.raw.claim_any(self.me, self.hint);
        one.map_or(self.short(), |index| self.take(vec![index]))
    }

    /// Of those who want several one at a time looks for them: two would be in each other's way, and both have too few.
    fn several(&self, seen: Line) -> Attempt {
        if seen.first().is_some() {
            let left = self.pauses_left.get();
            self.pauses_left.set(left.saturating_sub(1));
            spin_loop();
            return if left > 0 {
                Attempt::Again
            } else {
                self.short()
            };
        }
        if self.left() < self.count {
            return self.short();
        }
        let headed = seen.headed_by(self.me);
        step("permit.head");
        // SeqCst: before the look at what there is.
        let word = &self.raw.turnstile.word;
        if word
            .compare_exchange(seen.0, headed.0, SeqCst, Relaxed)
            .is_err()
        {
            return Attempt::Again;
        }
        let taken = self.raw.claim_all(self.me, self.hint, self.count);
        self.step_back();
        taken.map_or(self.short(), |taken| self.take(taken))
    }

    /// Lets the next one look who wants several, and whoever has found less than there is now.
    fn step_back(&self) {
        let turnstile = self.raw.turnstile;
        let mut seen = turnstile.load();
        while seen.first() == Some(self.me) && !turnstile.step_aside(self, seen) {
            seen = turnstile.load();
        }
    }

    fn first(&self) -> Attempt {
        if self.left() < self.count {
            return self.short();
        }
        match self.raw.claim_all(self.me, self.hint, self.count) {
            Some(taken) => self.take(taken),
            None => self.short(),
        }
    }

    /// Asks about those who hold a permit, but no more than `most` of them, and cleans up after the dead among them.
    fn bury_holders(&self, peers: &dyn Undertaker, most: usize) -> bool {
        let mut asked = [0_u64; 64];
        let mut left = most;
        let mut buried = false;
        for index in self.raw.indices(self.next_asked.get()) {
            let owner = self.raw.permits[index as usize].0.load(Acquire);
            let Some(who) = Participant::new(owner).filter(|&who| who != self.me) else {
                continue;
            };
            let (word, bit) = (usize::from(who.get()) / 64, 1 << (who.get() % 64));
            if asked[word] & bit != 0 {
                continue;
            }
            if left == 0 {
                self.next_asked.set(index);
                break;
            }
            asked[word] |= bit;
            left -= 1;
            buried |= !peers.is_alive(who) && peers.bury(who);
        }
        buried
    }
}

/// So many holders a sleeper asks about before each sleep; the next time about others. That is all there are for most, and
/// little enough where there are a thousand of both.
const ASKED_EACH_TIME: usize = 3;

impl Stock for Request<'_> {
    fn attempt(&self, waiting: &Waiting<'_>, seen: Line) -> Attempt {
        match self.count {
            _ if waiting.is_first => self.first(),
            _ if seen.is_kept() => self.short(),
            1 => self.one(),
            _ => self.several(seen),
        }
    }

    fn left(&self) -> u32 {
        self.raw.available()
    }

    fn settle(&self) {
        membarrier::heavy();
    }

    fn reclaim(&self, thorough: bool) -> bool {
        let Some(peers) = self.peers else {
            return false;
        };
        if !thorough {
            peers.look_out();
            return self.bury_holders(peers, ASKED_EACH_TIME);
        }
        self.left() < self.count && self.bury_holders(peers, usize::MAX)
    }
}

// SAFETY: repr(C), one atomic.
#[cfg(not(loom))]
unsafe impl crate::segment::layout::Layout for PermitWord {}

#[cfg(not(loom))]
const _: () = assert!(size_of::<PermitWord>() == 2);

// SAFETY: repr(C), atomics only.
#[cfg(not(loom))]
unsafe impl crate::segment::layout::Layout for BoundedHead {}

#[cfg(not(loom))]
const _: () = assert!(size_of::<BoundedHead>() == 40);

#[cfg(all(test, not(loom)))]
mod tests;
