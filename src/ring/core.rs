//! The ring as the floors above see it: what it is made of, set-up, state and statistics.

use super::control::Control;
use super::gate::Ticket;
use super::geometry::{Fit, Geometry, Shape};
use super::lease::RecordHead;
use super::linger::Luck;
use super::protocol::{self, Memory};
use super::stream::Stream;
use super::wait::{Patience, Peers, Role, Watch};
use super::word::{Position, State, Word};
use crate::segment::blocks::Blocks;
use crate::segment::{Place, Rows, Segment, Table};
use crate::sys::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use crate::sys::atomic::{AtomicU32, AtomicU64};
use crate::sys::bell::Bells;
use crate::sys::clock::{Deadline, now_ns};
use crate::sys::cpu;
use crate::sys::identity::Participant;
use crate::sys::membarrier;
use crate::sys::step::step;
use std::sync::Arc;
use std::time::Duration;

/// A bounded queue of messages in a segment.
///
/// Shared by all threads of a process; every call names the participant for whom it acts.
#[derive(Debug)]
#[repr(C)] // in this order: what a look takes is a line or two
pub(crate) struct Ring {
    control: Place<Control>,
    pub(super) slots: Table<AtomicU64>,
    pub(super) seen: Seen,
    pub(super) geometry: Geometry,
    /// `geometry`'s answers for the hot path.
    pub(super) payload_at: usize,
    pub(super) inline: usize,
    /// Whether readers write the lines of a message before they free its slot.
    pub(super) rewrites: bool,
    /// `{spilled:1 | length:63}` of each message (variable messages only).
    pub(super) metas: Option<Table<AtomicU64>>,
    /// The block of each spilled message, in place of its bytes.
    pub(super) refs: Option<Table<AtomicU64>>,
    pub(super) records: Table<RecordHead>,
    pub(super) records_at: u64,
    pub(super) blocks: Option<Blocks>,
    pub(super) local: Local,
}

/// Up to where this process has looked in vain.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The position behind all messages.
    pub(super) end: AtomicU64,
    /// The value of `returns` up to which everything given back was looked for.
    pub(super) returns: AtomicU32,
}

/// What this process remembers for itself; wrong values here cost time, never a message.
#[derive(Debug, Default)]
pub(super) struct Local {
    /// How waiting for one message that was being written, or read, went.
    pub(super) luck_with_writers: Luck,
    pub(super) luck_with_readers: Luck,
    /// How messages came.
    pub(super) stream: Stream,
    /// Where the search for messages given back goes on.
    pub(super) search_from: AtomicU32,
    /// Where the search for a free lease record goes on.
    pub(super) record_from: AtomicU32,
    /// When the members were last watched, and how many nanoseconds it took.
    pub(super) last_watch: AtomicU64,
    watch_cost: AtomicU64,
    /// When a holder in the way was last asked for by somebody who only polls.
    last_probe: AtomicU64,
    /// When a living holder of each role was last seen.
    role_seen: [AtomicU64; 2],
}

/// A claimed position: write to its [`room`](Ring::room), then commit or abort.
#[derive(Clone, Copy, Debug)]
#[must_use = "a claim that is neither committed nor aborted blocks the queue until its owner dies"]
pub(crate) struct Claim {
    pub(super) at: Position,
    /// Whether anybody may have fallen asleep without having seen this claim, and must be woken for the message.
    pub(super) awaited: bool,
}

impl Claim {
    /// The identity of the message that will be published here.
    pub(crate) fn id(&self) -> u64 {
        self.at.0
    }

    /// The claim is in the user's hands for as long as he likes: without barriers, the one who falls asleep behind it
    /// has to be looked for.
    pub(crate) fn held(self) -> Self {
        Claim {
            awaited: self.awaited || !membarrier::is_ready(),
            ..self
        }
    }
}

pub(super) const SPILLED: u64 = 1 << 63;

/// Why a claim failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClaimError {
    /// No slot became free before the deadline.
    Full,
    /// The ring is closed.
    Closed,
    /// Consumer roles were taken, and every holder of one is gone.
    Disconnected,
}

/// Why a take failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TakeError {
    /// Nothing came before the deadline.
    Empty,
    /// The ring is closed and drained.
    Closed,
    /// Producer roles were taken, every holder of one is gone, and the ring is drained.
    Disconnected,
}

/// Counts since the ring was made.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RawStats {
    /// Positions claimed.
    pub(crate) puts: u64,
    /// Positions taken.
    pub(crate) gets: u64,
    /// How often a producer waited for room.
    pub(crate) blocked: u64,
    /// How often a message was offered again.
    pub(crate) redelivered: u64,
    /// The greatest length seen.
    pub(crate) high_water: u64,
}

/// The words of a ring in registers: what the protocol works on during one call.
#[derive(Clone, Copy)]
pub(crate) struct Words<'a> {
    ring: &'a Ring,
    control: &'a Control,
    pub(super) slots: Rows<'a, AtomicU64>,
}

impl Memory for Words<'_> {
    #[inline]
    fn control(&self) -> &Control {
        self.control
    }

    #[inline]
    fn word(&self, index: u32) -> &AtomicU64 {
        self.slots.row(index)
    }

    #[inline]
    fn capacity(&self) -> u32 {
        self.slots.count()
    }

    #[inline]
    fn bells(&self) -> &impl Bells {
        self.ring.bells()
    }
}

impl Ring {
    #[inline(always)]
    pub(super) fn words(&self) -> Words<'_> {
        self.words_of(Fit::Any)
    }

    /// The words for messages of this fit: the stride of some need not be asked for.
    ///
    /// Kept in registers during one call. Hand them to nothing that is not inlined, or they go to memory and back.
    #[inline(always)]
    pub(crate) fn words_of(&self, fit: Fit) -> Words<'_> {
        Words {
            ring: self,
            control: self.control(),
            slots: match fit.stride() {
                Some(stride) => self.slots.rows_of(stride),
                None => self.slots.rows(),
            },
        }
    }

    #[inline(always)]
    pub(super) fn control(&self) -> &Control {
        self.control.get()
    }

    /// Who is rung when something happens here.
    #[inline]
    pub(super) fn bells(&self) -> &Segment {
        self.slots.segment()
    }

    #[inline]
    pub(super) fn capacity(&self) -> u32 {
        self.geometry.capacity
    }
}

/// Set-up.
impl Ring {
    /// The ring of `geometry` whose control block and slots are the segment's body, and its lease records the
    /// reserve. Zeroed memory is an empty ring, so there is nothing to initialise.
    pub(crate) fn attach(segment: &Arc<Segment>, geometry: Geometry) -> Self {
        let (body, _) = segment.body();
        let slots_at = body + geometry.slots_at();
        let (stride, count) = (geometry.stride(), geometry.capacity);
        let variable = matches!(geometry.shape, Shape::Variable { .. });
        let beside = |at: u64| variable.then(|| Table::new(segment, slots_at + at, stride, count));
        let (records_at, _) = segment.reserve();
        Ring {
            geometry,
            payload_at: geometry.payload_at(),
            inline: geometry.inline(),
            rewrites: cpu::prefers_written_lines(),
            control: Place::new(segment, body),
            slots: Table::new(segment, slots_at, stride, count),
            metas: beside(8),
            refs: beside(16),
            records: Table::new(
                segment,
                records_at,
                geometry.record_stride(),
                geometry.records(),
            ),
            records_at,
            blocks: variable.then(|| Blocks::new(Arc::clone(segment))),
            seen: Seen::default(),
            local: Local::default(),
        }
    }

    /// The segment in which the ring lies.
    pub(crate) fn segment(&self) -> &Arc<Segment> {
        self.slots.segment()
    }

    /// Its geometry.
    pub(crate) fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// The blocks of long messages; `None` when every message has the same size.
    #[inline]
    pub(crate) fn blocks(&self) -> Option<&Blocks> {
        self.blocks.as_ref()
    }
}

/// Waiting.
impl Ring {
    /// Whether to ask the kernel for a holder that is in the way: always before a sleep, now and then in a poll.
    pub(super) fn may_probe(&self, deadline: Deadline) -> bool {
        const BETWEEN_PROBES: u64 = 100_000;
        if deadline != Deadline::NOW {
            return true;
        }
        let now = now_ns();
        // Private bookkeeping of one process; a lost update costs one probe.
        let due = now.saturating_sub(self.local.last_probe.load(Relaxed)) >= BETWEEN_PROBES;
        if due {
            // no step: private to this process
            self.local.last_probe.store(now, Relaxed);
        }
        due
    }

    pub(super) fn doze(
        &self,
        gate: &super::gate::Gate,
        ticket: Ticket,
        watch: Watch,
        patience: &mut Patience,
        peers: &dyn Peers,
        deadline: Deadline,
    ) {
        let cost = Duration::from_nanos(self.local.watch_cost.load(Relaxed));
        let slice = patience.slice(watch, peers.population(), cost, deadline);
        if gate.wait(ticket, slice) {
            patience.stirred();
        }
    }

    /// Looks whether anything is in other hands, and repairs what is in dead ones.
    pub(super) fn watch(&self, me: Participant, peers: &dyn Peers) -> Watch {
        let start = now_ns();
        // no step: private to this process
        self.local.last_watch.store(start, Relaxed);
        peers.look_out();
        let is_held = self.repair_what_the_dead_hold(me, peers);
        // Once it may just have been preempted; what it always costs is soon believed.
        let believable = 2 * self.local.watch_cost.load(Relaxed) + 50_000;
        let cost = (now_ns() - start).min(believable);
        // no step: private to this process
        self.local.watch_cost.store(cost, Relaxed);
        if is_held { Watch::Held } else { Watch::Idle }
    }

    /// Whether `role` was ever taken and no living member holds it now.
    pub(super) fn deserted(&self, role: Role, peers: &dyn Peers) -> bool {
        const FRESH: u64 = 1_000_000;
        // Pairs with the fetch_or in `announce_role`.
        if self.control().roles.load(Acquire) & role.bit() == 0 {
            return false;
        }
        let seen = &self.local.role_seen[role as usize];
        let now = now_ns();
        if now.saturating_sub(seen.load(Relaxed)) < FRESH {
            return false;
        }
        let somebody = peers.any_with(role);
        if somebody {
            // no step: private to this process
            seen.store(now, Relaxed);
        }
        !somebody
    }
}

/// State and statistics.
impl Ring {
    /// Ends the ring for everybody: puts fail at once, takes fail once it is drained.
    pub(crate) fn close(&self) {
        protocol::close(self.words());
    }

    /// Whether it was closed.
    pub(crate) fn is_closed(&self) -> bool {
        protocol::is_closed(self.words())
    }

    /// Messages put and not yet taken; exact while nobody moves.
    pub(crate) fn len(&self) -> usize {
        protocol::length(self.words()) as usize
    }

    /// Remembers that `role` is in use, so that its desertion means something.
    pub(crate) fn announce_role(&self, role: Role) {
        step("queue.announce-role");
        // Pairs with the load in `deserted`.
        self.control().roles.fetch_or(role.bit(), SeqCst);
    }

    /// Wakes everybody to look again: a holder of a role left, or the dead were repaired.
    pub(crate) fn stir(&self) {
        self.control().not_empty.wake_all(self.bells());
        self.control().not_full.wake_all(self.bells());
        self.control().all_done.wake_all(self.bells());
    }

    /// Waits until every message is acknowledged or among the dead letters; false when the deadline came first.
    pub(crate) fn wait_all_done(
        &self,
        me: Participant,
        peers: &dyn Peers,
        deadline: Deadline,
    ) -> bool {
        let mut patience = Patience::new(deadline);
        loop {
            let ticket = self.control().all_done.arm();
            // What was delivered too often is done with, also when nobody looks for messages any more.
            self.bury_the_undeliverable(me);
            if !self.anything_open() {
                return true;
            }
            if deadline.expired() {
                return false;
            }
            let watch = self.watch(me, peers);
            self.doze(
                &self.control().all_done,
                ticket,
                watch,
                &mut patience,
                peers,
                deadline,
            );
        }
    }

    /// Whether any message is neither acknowledged nor a dead letter.
    fn anything_open(&self) -> bool {
        // Pairs with the stores of those states; SeqCst because it is the look after arming.
        let slot = |i| Word(self.slots.row(i).load(SeqCst)).state();
        (0..self.geometry.capacity).any(|i| slot(i) != State::Free)
            || self
                .open_records()
                .any(|(_, word)| word.state() != State::Dead)
    }

    /// Counts since the ring was made.
    pub(crate) fn stats(&self) -> RawStats {
        self.sample_length();
        let control = self.control();
        // Counts; each by itself, no order between them.
        let ordinal =
            |hint: &AtomicU64| Position(hint.load(Relaxed)).ordinal(self.geometry.capacity);
        RawStats {
            puts: ordinal(&control.tail),
            gets: ordinal(&control.head),
            blocked: control.blocked.load(Relaxed),
            redelivered: control.redelivered.load(Relaxed),
            high_water: control.high_water.load(Relaxed),
        }
    }

    #[cold]
    pub(super) fn sample_length(&self) {
        let length = protocol::length(self.words());
        let high = &self.control().high_water;
        // A statistic: the load only spares the line a needless write.
        if high.load(Relaxed) < length {
            step("queue.high-water");
            high.fetch_max(length, Release);
        }
    }
}
