//! The participants of one segment: a slot for each process that has it open.
//!
//! The kernel's byte lock is the truth about who lives; the state words here are a cache of it, and the bitmap of
//! occupied slots a cache of those. Each is written before what depends on it and cleared after, so that a crash leaves
//! too many marks and never too few: the sweep takes surplus marks for a dead member and frees the slot.

use crate::error::{Error, ErrorKind, Result};
use crate::segment::Segment;
use crate::segment::layout::{LINE, Layout, Offset, PAGE, assert_offsets};
use crate::sys::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::sys::identity::{self, Participant};
use crate::sys::step::step;
use crate::tenancy::locks::Held;
use crate::tenancy::sweep;
use std::os::fd::BorrowedFd;

/// The slot is nobody's.
const FREE: u32 = 0;
/// Somebody is moving in and owns nothing yet.
const JOINING: u32 = 1;
/// Somebody has moved in; whether it still lives is the kernel's to say.
const LIVE: u32 = 2;

/// Slots per 4 KiB page, the unit in which the roster grows.
const SLOTS_PER_PAGE: u64 = 32;
const SLOTS: u64 = 4096;

/// One participant. A member costs its segment this much memory, and one lock in the kernel.
#[repr(C, align(128))]
#[derive(Debug)]
pub(crate) struct Slot {
    state: AtomicU32,
    /// How often the slot has changed hands.
    generation: AtomicU32,
    pid: AtomicU32,
    /// The roles that the process has taken at this object, one bit each.
    roles: AtomicU32,
    start_time: AtomicU64,
    /// The command name, padded with zero bytes.
    name: [AtomicU64; 2],
    /// Words for the object's own use, zero when the participant joins.
    scratch: [AtomicU64; 4],
    _reserved: [AtomicU64; 7],
}

const _: () = assert!(size_of::<Slot>() == 128 && align_of::<Slot>() == LINE);
const _: () = assert!(size_of::<Slot>() as u64 * SLOTS_PER_PAGE == 4096);
assert_offsets!(Slot {
    state: 0,
    generation: 4,
    pid: 8,
    roles: 12,
    start_time: 16,
    name: 24,
    scratch: 40,
});

// SAFETY: repr(C), atomics of fixed width only, no padding: valid for any bytes.
unsafe impl Layout for Slot {}

/// Words of the header page that belong to the roster.
mod words {
    /// When the next sleeper may look for the dead, in nanoseconds of the monotonic clock.
    pub(super) const NEXT_VIGIL: usize = 0;
    /// How many slots have memory; grows only.
    pub(super) const GROWN: usize = 1;
    /// The first of 64 words with one bit per slot that is occupied; a hint. On lines of their own.
    pub(super) const OCCUPIED: usize = 16;
}

/// A participant as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) who: Participant,
    pub(crate) generation: u32,
    pub(crate) process: identity::Process,
    pub(crate) roles: u32,
    pub(crate) name: String,
}

/// The roster of one segment.
#[derive(Clone, Copy)]
pub(crate) struct Roster<'a> {
    segment: &'a Segment,
}

impl<'a> Roster<'a> {
    /// The roster of `segment`.
    pub(crate) fn of(segment: &'a Segment) -> Self {
        Roster { segment }
    }

    pub(super) fn segment(&self) -> &'a Segment {
        self.segment
    }

    /// The word of the rate limit that all sleepers share.
    pub(super) fn next_vigil(&self) -> &'a AtomicU64 {
        &self.segment.header().roster_words()[words::NEXT_VIGIL]
    }

    fn grown_word(&self) -> &'a AtomicU64 {
        &self.segment.header().roster_words()[words::GROWN]
    }

    /// How many slots have memory, slot 0 included.
    fn grown(&self) -> u64 {
        // Acquire pairs with the Release in `grow`: the memory was allocated before.
        self.grown_word().load(Ordering::Acquire).min(SLOTS)
    }

    fn occupied_word(&self, index: u16) -> &'a AtomicU64 {
        &self.segment.header().roster_words()[words::OCCUPIED + usize::from(index)]
    }

    /// The slot of `who`, if the roster has grown that far.
    #[inline]
    pub(crate) fn slot(&self, who: Participant) -> Option<&'a Slot> {
        let first = Offset::<Slot>::new(self.segment.roster().0);
        let index = u64::from(who.get());
        (index < self.grown()).then(|| self.segment.at(first.nth(index)))
    }

    /// Whether the slot is marked as taken, by the living or the dead.
    pub(super) fn is_taken(&self, who: Participant) -> bool {
        // Acquire pairs with the Release of the joiner: a sweeper sees what the dead wrote before.
        self.slot(who)
            .is_some_and(|slot| slot.state.load(Ordering::Acquire) != FREE)
    }

    /// Every participant whose bit is set.
    pub(crate) fn occupied(&self) -> impl Iterator<Item = Participant> + use<'a> {
        let roster = *self;
        (0..64).flat_map(move |word| {
            // Acquire pairs with the Release in `mark`.
            let bits = roster.occupied_word(word).load(Ordering::Acquire);
            bits_of(bits).filter_map(move |bit| Participant::new(word * 64 + bit))
        })
    }

    /// How many bits are set.
    pub(crate) fn population(&self) -> u32 {
        let bits = |word| self.occupied_word(word).load(Ordering::Relaxed); // a hint
        (0..64).map(|word| bits(word).count_ones()).sum()
    }

    /// The slots with memory whose bit is clear, lowest first.
    fn vacant(&self) -> impl Iterator<Item = Participant> + use<'a> {
        let roster = *self;
        let grown = self.grown();
        (0..grown.div_ceil(64) as u16).flat_map(move |word| {
            let bits = roster.occupied_word(word).load(Ordering::Relaxed); // a hint
            bits_of(!bits)
                .filter_map(move |bit| Participant::new(word * 64 + bit))
                .filter(move |who| u64::from(who.get()) < grown)
        })
    }

    /// Moves into the first slot of a segment that nobody else can see yet.
    pub(crate) fn join_first(&self, fd: BorrowedFd<'_>) -> Result<Participant> {
        step("roster.first");
        self.grown_word().store(SLOTS_PER_PAGE, Ordering::Release);
        let who = Participant::FIRST;
        match identity::lock_own(fd, who) {
            Ok(true) => {
                self.move_in(who);
                Ok(who)
            }
            Ok(false) => Err(Error::new(
                ErrorKind::Corrupt,
                "a new segment is already in use",
            )),
            Err(cause) => Err(cannot_lock(cause)),
        }
    }

    /// Takes a free slot, cleaning up after a dead owner first.
    ///
    /// The caller holds the gate, and no other thread uses `fd` for locks.
    ///
    /// # Errors
    ///
    /// `NoSpace` when 4,094 processes live here, or when the roster cannot grow.
    pub(crate) fn join(
        &self,
        fd: BorrowedFd<'_>,
        repair: &dyn Fn(Participant),
    ) -> Result<Participant> {
        loop {
            for who in self.vacant() {
                if self.try_slot(fd, who, repair)? {
                    return Ok(who);
                }
            }
            // Before it grows, the roster gets rid of its dead: otherwise crash loops would fill it.
            if sweep::sweep(*self, fd, None, repair) == 0 {
                self.grow()?;
            }
        }
    }

    fn try_slot(
        &self,
        fd: BorrowedFd<'_>,
        who: Participant,
        repair: &dyn Fn(Participant),
    ) -> Result<bool> {
        if self.is_taken(who) {
            // The bit was lost: its owner died between its marks, or is about to set it.
            sweep::bury(*self, fd, who, repair)?;
        }
        let Some(_key) = Held::key(fd, who).map_err(cannot_lock)? else {
            return Ok(false);
        };
        // With the key nobody else moves in, so a slot that is free now stays free.
        if self.is_taken(who) || !identity::lock_own(fd, who).map_err(cannot_lock)? {
            return Ok(false);
        }
        self.move_in(who);
        Ok(true)
    }

    /// Fills in the slot; its byte is locked by the caller.
    fn move_in(&self, who: Participant) {
        let Some(slot) = self.slot(who) else { return };
        step("roster.join.joining");
        slot.state.store(JOINING, Ordering::Release);
        self.mark(who);
        let (process, name) = this_process();
        // Relaxed: all of it is published by the state below.
        step("roster.join.identity");
        slot.generation.fetch_add(1, Ordering::Relaxed);
        slot.pid.store(process.pid, Ordering::Relaxed);
        slot.start_time.store(process.start_time, Ordering::Relaxed);
        slot.roles.store(0, Ordering::Relaxed);
        for (word, value) in slot
            .name
            .iter()
            .zip(name)
            .chain(slot.scratch.iter().zip([0; 4]))
        {
            // no step: all of it is one write before the state below
            word.store(value, Ordering::Relaxed);
        }
        step("roster.join.live");
        slot.state.store(LIVE, Ordering::Release);
    }

    /// Frees the slot: of a dead participant by a sweeper with the broom, or of its own by a living one.
    pub(super) fn vacate(&self, who: Participant) {
        if let Some(slot) = self.slot(who) {
            step("roster.vacate.free");
            // Release: the repair happened before, for whoever moves in.
            slot.state.store(FREE, Ordering::Release);
        }
        let (word, bit) = place(who);
        step("roster.vacate.bit");
        self.occupied_word(word).fetch_and(!bit, Ordering::Release);
    }

    fn mark(&self, who: Participant) {
        let (word, bit) = place(who);
        step("roster.mark");
        // Release: a sweeper that sees the bit sees the state.
        self.occupied_word(word).fetch_or(bit, Ordering::Release);
    }

    /// Gives the next page of slots memory.
    #[cold]
    fn grow(&self) -> Result<()> {
        let grown = self.grown();
        if grown >= SLOTS {
            return Err(Error::new(
                ErrorKind::NoSpace,
                "4,094 processes use this object already; no more can join",
            ));
        }
        let (roster, _) = self.segment.roster();
        let page = roster + grown * size_of::<Slot>() as u64;
        self.segment.ensure_allocated(page, PAGE)?;
        step("roster.grow");
        // Release pairs with `grown`. Two that grow at once allocate the same page.
        self.grown_word()
            .fetch_max(grown + SLOTS_PER_PAGE, Ordering::Release);
        Ok(())
    }

    /// Sets or clears role bits of the caller's own slot.
    pub(crate) fn set_roles(&self, me: Participant, roles: u32) {
        if let Some(slot) = self.slot(me) {
            step("roster.roles");
            // Release: what was done in a role that is given up is seen by who finds it given up.
            slot.roles.store(roles, Ordering::Release);
        }
    }

    /// The roles that `who` has taken, whether it lives or not.
    pub(crate) fn roles(&self, who: Participant) -> u32 {
        // Acquire pairs with the Release of `set_roles`.
        self.slot(who)
            .map_or(0, |slot| slot.roles.load(Ordering::Acquire))
    }

    /// What the slot of `who` says; `None` if nobody has moved in.
    pub(crate) fn member(&self, who: Participant) -> Option<Member> {
        let slot = self.slot(who)?;
        // Acquire pairs with the Release in `move_in`.
        if slot.state.load(Ordering::Acquire) != LIVE {
            return None;
        }
        let name = slot
            .name
            .each_ref()
            .map(|word| word.load(Ordering::Relaxed));
        Some(Member {
            who,
            generation: slot.generation.load(Ordering::Relaxed),
            process: identity::Process {
                pid: slot.pid.load(Ordering::Relaxed),
                start_time: slot.start_time.load(Ordering::Relaxed),
            },
            roles: slot.roles.load(Ordering::Relaxed),
            name: unpack(name),
        })
    }
}

fn place(who: Participant) -> (u16, u64) {
    (who.get() / 64, 1 << (who.get() % 64))
}

fn bits_of(mut bits: u64) -> impl Iterator<Item = u16> {
    std::iter::from_fn(move || {
        let bit = bits.trailing_zeros();
        bits &= bits.wrapping_sub(1);
        (bit < 64).then_some(bit as u16)
    })
}

pub(super) fn cannot_lock(cause: std::io::Error) -> Error {
    Error::os("cannot lock a byte of a shared object's file", cause)
}

/// The calling process and its command name; read from `/proc` once in the life of the process.
fn this_process() -> (identity::Process, [u64; 2]) {
    use crate::sys::atfork::ForkMutex;
    type Known = Option<(identity::Process, [u64; 2])>;
    static KNOWN: ForkMutex<Known> = ForkMutex::new(None, || None);
    let mut known = KNOWN.lock();
    match *known {
        Some(found) if found.0.pid == identity::current_pid() => found,
        _ => *known.insert((identity::Process::current(), pack(&command_name()))),
    }
}

fn command_name() -> Vec<u8> {
    let mut name = std::fs::read("/proc/self/comm").unwrap_or_default();
    name.truncate(name.trim_ascii_end().len());
    name
}

fn pack(name: &[u8]) -> [u64; 2] {
    let mut bytes = [0; 16];
    let len = name.len().min(15);
    bytes[..len].copy_from_slice(&name[..len]);
    let (first, second) = (bytes.first_chunk(), bytes.last_chunk());
    [first, second].map(|part| u64::from_le_bytes(*part.expect("16 bytes have two halves")))
}

fn unpack(words: [u64; 2]) -> String {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text)
        .chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}
