//! A message in somebody's hands, and where its parts are.

use super::core::{Ring, SPILLED, Words};
use super::geometry::Fit;
use super::lease::{RECORD_HEAD, RecordHead};
use super::word::{Position, Word};
use crate::segment::blocks::BlockRef;
use crate::segment::narrow;
use crate::sys::atomic::AtomicU64;
use crate::sys::atomic::Ordering::Relaxed;
use crate::sys::identity::Participant;
use std::num::NonZeroU64;
use std::ptr::NonNull;

/// A message in somebody's hands: in its slot, or in a lease record.
///
/// Two registers: what else there is to know of the message stands in its slot or record, where nobody changes it as
/// long as it is in hand.
#[derive(Clone, Copy, Debug)]
#[must_use = "a message that is neither acknowledged nor given back stays taken until its holder dies"]
pub(crate) struct Taken {
    /// The word that makes us its holder; never 0, since `Taken` is not.
    word: NonZeroU64,
    /// The slot, or the lease record with [`IN_RECORD`].
    place: u64,
}

const IN_RECORD: u64 = 1 << 32;

impl Taken {
    /// The message of slot `index`, held by `word`.
    #[inline(always)]
    pub(super) fn in_slot(index: u32, word: Word) -> Self {
        let place = u64::from(index);
        Taken {
            word: NonZeroU64::MIN | word.0,
            place,
        }
    }

    /// The message of lease record `index`, held by `word`.
    pub(super) fn in_record(index: u32, word: Word) -> Self {
        let place = u64::from(index) | IN_RECORD;
        Taken {
            word: NonZeroU64::MIN | word.0,
            place,
        }
    }

    /// The word that makes us its holder.
    #[inline(always)]
    pub(super) fn word(&self) -> Word {
        Word(self.word.get())
    }

    /// The slot or the record.
    #[inline(always)]
    pub(super) fn index(&self) -> u32 {
        self.place as u32
    }

    /// The slot, or the record, which no slot's number equals.
    #[inline(always)]
    pub(super) fn place(&self) -> u64 {
        self.place
    }

    /// The position of a message in its slot.
    #[inline(always)]
    pub(super) fn position(&self) -> Position {
        Position::new(self.word().lap(), self.index())
    }

    /// Which delivery this is, from 1.
    #[inline]
    pub(crate) fn deliveries(&self) -> u32 {
        self.word().count()
    }

    /// Whether the message was moved out of its slot.
    #[inline(always)]
    pub(crate) fn is_detached(&self) -> bool {
        self.place & IN_RECORD != 0
    }
}

impl Ring {
    pub(super) fn record(&self, taken: &Taken) -> &RecordHead {
        self.records.row(taken.index())
    }

    /// The word of a message in hand, in its slot or record.
    pub(super) fn word_of(&self, taken: &Taken) -> &AtomicU64 {
        if taken.is_detached() {
            &self.record(taken).word
        } else {
            self.slots.row(taken.index())
        }
    }

    /// The message's identity: unique in this queue, the same at every delivery.
    pub(crate) fn id(&self, taken: &Taken) -> u64 {
        if taken.is_detached() {
            // Written before the record became ours to read.
            self.record(taken).id.load(Relaxed)
        } else {
            taken.position().0
        }
    }

    /// `{spilled:1 | length:63}` of a message in hand.
    #[inline(always)]
    pub(super) fn meta(&self, taken: &Taken, fit: Fit) -> u64 {
        match (fit, &self.metas) {
            (Fit::Slot { size, .. }, _) => size as u64,
            (Fit::Any, None) => self.inline as u64,
            // Both written before the message became ours to read.
            _ if taken.is_detached() => self.record(taken).meta.load(Relaxed),
            (Fit::Any, Some(metas)) => metas.row(taken.index()).load(Relaxed),
        }
    }

    /// Bytes from the beginning of its slot to the end of a message that lies there.
    #[inline(always)]
    pub(super) fn end_in_slot(&self, taken: &Taken, fit: Fit) -> usize {
        match fit {
            Fit::Slot { size, at } => at + size,
            Fit::Any if self.meta(taken, fit) & SPILLED != 0 => 0,
            Fit::Any => self.payload_at + self.meta(taken, fit) as usize,
        }
    }

    /// The block of a message in hand, if it is too long for a slot.
    #[inline(always)]
    pub(super) fn spilled(&self, taken: &Taken, fit: Fit) -> Option<BlockRef> {
        let spilled = fit == Fit::Any && self.meta(taken, fit) & SPILLED != 0;
        if spilled { self.block_of(taken) } else { None }
    }

    #[cold]
    fn block_of(&self, taken: &Taken) -> Option<BlockRef> {
        let refs = self.refs.as_ref()?;
        // Both written before the message became ours to read.
        BlockRef::from_bits(match taken.is_detached() {
            true => self.record(taken).block.load(Relaxed),
            false => refs.row(taken.index()).load(Relaxed),
        })
    }

    /// A message just taken from its slot: a block, if it has one, becomes the taker's own before anything else.
    #[inline(always)]
    pub(super) fn taken(&self, index: u32, word: Word, me: Participant, fit: Fit) -> Taken {
        let taken = Taken::in_slot(index, word);
        if let Some(block) = self.spilled(&taken, fit) {
            self.own_block(me, block);
        }
        taken
    }

    /// The bytes of a message that was just taken from its slot.
    #[inline(always)]
    pub(crate) fn fresh_payload(&self, taken: &Taken, words: Words<'_>, fit: Fit) -> NonNull<[u8]> {
        match fit {
            Fit::Slot { size, at } => words.slots.part(taken.index(), at, size),
            Fit::Any => self.payload(taken),
        }
    }

    /// The bytes of a message in hand, most likely in a lease record.
    #[inline(always)]
    pub(crate) fn leased_payload(&self, taken: &Taken, fit: Fit) -> NonNull<[u8]> {
        match fit {
            Fit::Slot { size, .. } if taken.is_detached() => {
                self.records.part(taken.index(), RECORD_HEAD, size)
            }
            _ => self.payload(taken),
        }
    }

    /// The bytes of a message in hand, wherever it is.
    #[inline]
    pub(crate) fn payload(&self, taken: &Taken) -> NonNull<[u8]> {
        let len = (self.meta(taken, Fit::Any) & !SPILLED) as usize;
        if let Some(block) = self.spilled(taken, Fit::Any) {
            return self.block_bytes(block, len);
        }
        let room = if taken.is_detached() {
            self.record_room(taken.index())
        } else {
            self.slots.bytes(taken.index(), self.payload_at)
        };
        narrow(room, len)
    }
}
