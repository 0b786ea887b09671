//! The steps of the queue on its words: claim, publish, take, acknowledge, give back, repair.
//!
//! Everything here is generic over [`Memory`], so that the model checker runs the very same steps on its own atomics.
//!
//! # Orderings
//!
//! * The claim (SeqCst compare-and-swap) reads-from the freeing swap of the last lap: the old reader is done with the
//!   bytes before the new writer starts. SeqCst also orders it before the look at the gate.
//! * Publishing (Release) pairs with the take (Acquire): the reader sees every byte written. No fence follows it: who
//!   was armed before the claim was seen by the look behind the claim, and who arms later and finds the message in
//!   flight passes a barrier on to the writer's processor before the last look.
//! * Freeing (Release store) pairs with the claim. No fence follows it: the look at the producers' gate is ordered by
//!   the *take* (SeqCst), as a producer that finds a slot `Full` and goes to sleep was armed before that take; one
//!   that finds it `Taken` sleeps in short slices only.
//! * `head` and `tail` are hints. They are stored Release only after the slot word that justifies them, and read
//!   Acquire, so a hint is never ahead of the word that justifies it; a late store may set one *back*, which costs
//!   the next comer a walk and nothing else.

use super::control::Control;
use super::word::{Position, Relation, State, Word};
use crate::sys::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use crate::sys::atomic::{AtomicU64, publish_then_look};
use crate::sys::bell::Bells;
use crate::sys::identity::Participant;
use crate::sys::seeded::seeded;
use crate::sys::step::step;

/// Where the words of a ring are.
pub(crate) trait Memory: Copy {
    /// The control block.
    fn control(&self) -> &Control;
    /// The word of slot `index`, which is below [`capacity`](Memory::capacity).
    fn word(&self, index: u32) -> &AtomicU64;
    /// Who is to be rung when something happens to those words.
    fn bells(&self) -> &impl Bells;
    /// The number of slots, from private memory.
    fn capacity(&self) -> u32;
}

/// Why nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nothing {
    /// No position was claimed that is not yet taken.
    Empty,
    /// The next message is claimed by a writer that has not published it yet.
    InFlight(Position, Word),
}

/// Reads a hint; whatever a scribbler wrote there, the index stays inside the ring.
#[inline(always)]
fn hint<M: Memory>(memory: M, of: &AtomicU64) -> Position {
    let lap = || Position(of.load(Acquire)).lap(); // as in `near_hint`
    near_hint(memory, of).unwrap_or_else(|| Position::new(lap(), 0))
}

/// A hint that lies inside the ring, as every hint does that no scribbler wrote.
#[inline(always)]
fn near_hint<M: Memory>(memory: M, of: &AtomicU64) -> Option<Position> {
    // Pairs with the Release store of the hint.
    let position = Position(of.load(Acquire));
    (position.index() < memory.capacity()).then_some(position)
}

/// Moves a hint forward to `position`, which the caller's compare-and-swap has just justified.
///
/// Not a compare-and-swap: a lost one would leave the hint behind for good and send everybody walking (measured: 0.02
/// times the throughput with four producers). A process that was stopped between load and store may set the hint
/// back; the next comer walks.
#[inline(always)]
fn advance(hint: &AtomicU64, position: Position) {
    if position.is_after(Position(hint.load(Relaxed))) {
        step("queue.hint");
        // Pairs with the Acquire load in `hint`.
        hint.store(position.0, Release);
    }
}

/// Claims the next free position for `me`: one compare-and-swap on the slot's word.
///
/// # Errors
///
/// The word of the slot that is in the way, when the ring is full.
pub(crate) fn try_claim<M: Memory>(memory: M, me: Participant) -> Result<Position, Word> {
    let at = hint(memory, &memory.control().tail);
    claim_further(memory, at, me)
}

/// [`try_claim`] where the hint says, or not at all: all that is inlined.
#[inline(always)]
pub(crate) fn claim_here<M: Memory>(memory: M, me: Participant) -> Option<Position> {
    let at = near_hint(memory, &memory.control().tail)?;
    // Pairs with the freeing store of the lap before.
    let seen = Word(memory.word(at.index()).load(Acquire));
    (seen == Word::free(at.lap()) && claim(memory, at, me)).then_some(at)
}

/// One attempt at a position whose slot was seen free for it.
#[inline(always)]
fn claim<M: Memory>(memory: M, at: Position, me: Participant) -> bool {
    step("queue.claim");
    let (free, mine) = (Word::free(at.lap()), claim_word(at, me));
    // SeqCst: before the look at the gate in `wake`. Acquire part: pairs with the freeing store.
    let claimed = memory
        .word(at.index())
        .compare_exchange(free.0, mine.0, SeqCst, Relaxed)
        .is_ok();
    if claimed {
        advance(&memory.control().tail, at.next(memory.capacity()));
    }
    claimed
}

/// Walks from a position that others have claimed, or that the ring has no room for.
#[inline(never)]
fn claim_further<M: Memory>(
    memory: M,
    mut at: Position,
    me: Participant,
) -> Result<Position, Word> {
    loop {
        // Pairs with the freeing store of the lap before.
        let seen = Word(memory.word(at.index()).load(Acquire));
        match seen.relation(at.lap()) {
            Relation::Same if seen == Word::free(at.lap()) => {
                if claim(memory, at, me) {
                    return Ok(at);
                }
            }
            // Somebody claimed this position and has not moved the hint yet.
            Relation::Same => at = at.next(memory.capacity()),
            Relation::Older => return Err(seen),
            // The hint is behind: the slot's last lap was claimed and done with, so the truth lies after that.
            Relation::Newer => {
                at = Position::new(seen.lap().wrapping_sub(1), at.index()).next(memory.capacity());
            }
        }
    }
}

/// Who found the ring full, or empty, looks this many slots ahead before trying again.
#[cfg(not(loom))]
const STRETCH: u32 = 128;

/// The slot a stretch behind `from`, an eighth of the ring at most, and its word at a glance.
///
/// Slots are freed, and filled, about in order, so the last one of the stretch speaks for all. A guess for the waiting
/// loops: nothing is read on the strength of it.
#[cfg(not(loom))]
#[inline]
fn glance<M: Memory>(memory: M, from: Position) -> (u64, Word) {
    let capacity = memory.capacity();
    let index = from.index() + STRETCH.min(capacity / 8);
    let (lap, index) = if index < capacity {
        (from.lap(), index)
    } else {
        (from.lap() + 1, index - capacity)
    };
    (lap, Word(memory.word(index).load(Relaxed)))
}

/// Whether a stretch of slots after the tail is free: worth coming back for. Measured with a full ring of 8-byte messages:
/// three times the throughput of claiming each slot at the instant it is freed.
#[cfg(not(loom))]
#[inline]
pub(crate) fn has_stretch<M: Memory>(memory: M) -> bool {
    let (lap, word) = glance(memory, hint(memory, &memory.control().tail));
    word.relation(lap) != Relation::Older
}

/// Whether a stretch of messages after the head was put.
#[cfg(not(loom))]
pub(crate) fn has_gathered<M: Memory>(memory: M) -> bool {
    let (lap, word) = glance(memory, hint(memory, &memory.control().head));
    word.relation(lap) != Relation::Older && word != Word::free(lap)
}

/// How many messages were taken or skipped, about.
#[cfg(not(loom))]
pub(crate) fn taken_so_far<M: Memory>(memory: M) -> u64 {
    hint(memory, &memory.control().head).ordinal(memory.capacity())
}

#[inline(always)]
fn claim_word(at: Position, me: Participant) -> Word {
    let mine = Word::writing(at.lap(), me);
    if seeded("queue-publish-before-write") {
        return Word::full(at.lap());
    }
    if seeded("queue-anonymous-claim") {
        mine.unowned(State::Writing)
    } else {
        mine
    }
}

/// Publishes what was written at a claimed position: the commit point of every `put`.
#[inline(always)]
pub(crate) fn publish<M: Memory>(memory: M, at: Position) {
    step("queue.publish");
    let order = if seeded("queue-missing-release") {
        Relaxed
    } else {
        Release
    };
    // Pairs with the Acquire of the take: the reader sees the bytes.
    memory.word(at.index()).store(Word::full(at.lap()).0, order);
}

/// Publishes, so that a look at the gate may follow.
pub(crate) fn publish_and_look<M: Memory>(memory: M, at: Position) {
    step("queue.publish-awaited");
    // SeqCst: before the look at the gate in `wake`; as Release it pairs with the Acquire of the take.
    memory.word(at.index()).swap(Word::full(at.lap()).0, SeqCst);
}

/// Gives up a claim: the position is skipped and the slot is free for the next lap.
pub(crate) fn abandon<M: Memory>(memory: M, at: Position) {
    step("queue.abandon");
    // SeqCst: before the look at the gate for producers; pairs with the next claim.
    memory
        .word(at.index())
        .swap(Word::free(at.lap() + 1).0, SeqCst);
}

/// Takes the next published message for `me`: one compare-and-swap on the slot's word.
pub(crate) fn try_take<M: Memory>(memory: M, me: Participant) -> Result<(Position, Word), Nothing> {
    let at = hint(memory, &memory.control().head);
    take_further(memory, at, me)
}

/// [`try_take`] where the hint says, or not at all: all that is inlined.
#[inline(always)]
pub(crate) fn take_here<M: Memory>(memory: M, me: Participant) -> Option<(Position, Word)> {
    let at = near_hint(memory, &memory.control().head)?;
    // Pairs with the Release of `publish`.
    let seen = Word(memory.word(at.index()).load(Acquire));
    if seen != Word::full(at.lap()) {
        return None;
    }
    take(memory, at, me).map(|mine| (at, mine))
}

/// One attempt at a position whose slot was seen full; its holder's word if it succeeds.
#[inline(always)]
fn take<M: Memory>(memory: M, at: Position, me: Participant) -> Option<Word> {
    step("queue.take");
    let full = Word::full(at.lap());
    let mine = Word::first_taken(at.lap(), me);
    // Acquire: pairs with the Release of `publish`; the bytes are read after this. SeqCst: before the look at the
    // producers' gate that follows `free`.
    memory
        .word(at.index())
        .compare_exchange(full.0, mine.0, SeqCst, Relaxed)
        .ok()?;
    publish_then_look();
    advance(&memory.control().head, at.next(memory.capacity()));
    Some(mine)
}

/// Walks from a position that others have taken, or that has no message yet.
#[inline(never)]
fn take_further<M: Memory>(
    memory: M,
    mut at: Position,
    me: Participant,
) -> Result<(Position, Word), Nothing> {
    loop {
        // Pairs with the Release of `publish`.
        let seen = Word(memory.word(at.index()).load(Acquire));
        at = match seen.relation(at.lap()) {
            Relation::Same => match seen.state() {
                State::Free => return Err(Nothing::Empty),
                State::Writing => return Err(Nothing::InFlight(at, seen)),
                State::Full if seen == Word::full(at.lap()) => match take(memory, at, me) {
                    Some(mine) => return Ok((at, mine)),
                    None => at,
                },
                _ => at.next(memory.capacity()),
            },
            Relation::Older => return Err(Nothing::Empty),
            Relation::Newer => catch_up(at, seen, memory.capacity()),
        };
    }
}

/// Whether [`try_take`] would find a message; else the position behind all that were published.
///
/// Walks as [`take_further`] does, and takes nothing.
pub(crate) fn find_message<M: Memory>(memory: M) -> Result<(), Position> {
    let mut at = hint(memory, &memory.control().head);
    loop {
        let seen = Word(memory.word(at.index()).load(Acquire)); // pairs with the Release of `publish`
        at = match seen.relation(at.lap()) {
            Relation::Same => match seen.state() {
                State::Free | State::Writing => return Err(at),
                State::Full => return Ok(()),
                _ => at.next(memory.capacity()),
            },
            Relation::Older => return Err(at),
            Relation::Newer => catch_up(at, seen, memory.capacity()),
        };
    }
}

/// Whether nobody has claimed this position, to which [`find_message`] came, nor one behind it: it would come there again.
#[inline]
pub(crate) fn is_unclaimed<M: Memory>(memory: M, at: Position) -> bool {
    // Pairs with the Release of `publish`, whose word is another.
    Word(memory.word(at.index()).load(Acquire)) == Word::free(at.lap())
}

/// The next position to look at when slot `at` already serves a later lap.
///
/// A slot that serves lap *n* was freed of lap *n - 1*, whose claim followed every claim before it; so all
/// positions up to one ring's length before (n - 1, index) are done, and a hint that is laps behind jumps there.
#[cold]
fn catch_up(at: Position, seen: Word, capacity: u32) -> Position {
    let next = at.next(capacity);
    let done = Position::new(seen.lap().wrapping_sub(2), at.index()).next(capacity);
    let far_behind =
        seen.lap() >= 2 && Word::free(done.lap()).relation(next.lap()) == Relation::Newer;
    if far_behind { done } else { next }
}

/// Acknowledges: frees the slot for the next lap. Nothing of the old message may be touched afterwards.
#[inline(always)]
pub(crate) fn free(slot: &AtomicU64, taken: Word) {
    step("queue.free");
    // Release: pairs with the next claim, whose writer comes after our reading.
    slot.store(Word::free(taken.lap() + 1).0, Release);
}

/// Offers a taken message again, from the exact word of its holder; false when the word had changed.
pub(crate) fn offer_again<M: Memory>(memory: M, index: u32, holder: Word) -> bool {
    step("queue.offer-again");
    let again = holder.unowned(State::Returned);
    // Release: pairs with `retake`; SeqCst: before the bump of `returns` and the look at the gate.
    memory
        .word(index)
        .compare_exchange(holder.0, again.0, SeqCst, Relaxed)
        .is_ok()
}

/// Takes a message that was offered again; `seen` is the exact word observed.
pub(crate) fn retake<M: Memory>(
    memory: M,
    index: u32,
    seen: Word,
    me: Participant,
) -> Option<Word> {
    step("queue.retake");
    let mine = seen.taken(me);
    // Acquire: pairs with `offer_again`.
    let won = memory
        .word(index)
        .compare_exchange(seen.0, mine.0, SeqCst, Relaxed)
        .is_ok();
    won.then_some(mine)
}

/// Undoes the claim of a dead writer, from the exact word observed: the position is skipped.
pub(crate) fn skip_dead_writer<M: Memory>(memory: M, index: u32, dead: Word) -> bool {
    step("queue.skip-dead");
    let freed = Word::free(dead.lap() + 1);
    // SeqCst: before the look at the gate for producers; pairs with the next claim.
    memory
        .word(index)
        .compare_exchange(dead.0, freed.0, SeqCst, Relaxed)
        .is_ok()
}

/// Announces that a message may have been given back, so that consumers look out of order.
pub(crate) fn announce_return<M: Memory>(memory: M) {
    step("queue.announce-return");
    // SeqCst: after the word became `Returned`; pairs with the load in the consumers' look.
    memory.control().returns.fetch_add(1, SeqCst);
    memory.control().not_empty.wake_all(memory.bells());
}

/// Whether the ring was closed; looked at after a claim, and before the look that finds the ring empty.
#[inline(always)]
pub(crate) fn is_closed<M: Memory>(memory: M) -> bool {
    publish_then_look();
    // Pairs with the store in `close`: a producer that claimed before it is seen by the consumer's second look.
    memory.control().closed.load(SeqCst) != 0
}

/// Closes the ring for everybody and wakes them to see it.
pub(crate) fn close<M: Memory>(memory: M) {
    step("queue.close");
    // SeqCst: against the claim, then the load in `is_closed`.
    memory.control().closed.store(1, SeqCst);
    publish_then_look();
    memory.control().not_empty.wake_all(memory.bells());
    memory.control().not_full.wake_all(memory.bells());
    memory.control().all_done.wake_all(memory.bells());
}

/// How many positions are claimed and not yet taken or skipped: the length, exact while nobody moves.
///
/// The hints alone would not do: one that was set back, or that nobody moved past a skipped position, would make an
/// empty ring look full for ever, or a full one empty.
pub(crate) fn length<M: Memory>(memory: M) -> u64 {
    let capacity = memory.capacity();
    // The head first: what is put or taken in between makes the length too great, never negative.
    let head = settle(memory, &memory.control().head, |state| {
        matches!(state, State::Free | State::Writing | State::Full)
    });
    let tail = settle(memory, &memory.control().tail, |state| state == State::Free);
    let length = tail
        .ordinal(capacity)
        .saturating_sub(head.ordinal(capacity));
    length.min(u64::from(capacity))
}

/// Walks from a hint to the first position whose slot is `pending` in that lap, or still serves an earlier one, and
/// moves the hint there.
fn settle<M: Memory>(memory: M, of: &AtomicU64, pending: impl Fn(State) -> bool) -> Position {
    let mut at = hint(memory, of);
    loop {
        // Pairs with whatever was done last to this slot.
        let seen = Word(memory.word(at.index()).load(Acquire));
        at = match seen.relation(at.lap()) {
            Relation::Same if !pending(seen.state()) => at.next(memory.capacity()),
            Relation::Newer => catch_up(at, seen, memory.capacity()),
            Relation::Same | Relation::Older => break,
        };
    }
    advance(of, at);
    at
}
