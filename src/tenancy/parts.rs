//! What lies in a struct of several nouns: a table behind its head says which noun lies where.
//!
//! | bytes of the object | what is there |
//! |---|---|
//! | 0..4 | how many nouns |
//! | 12..24 | which noun, and a fingerprint of its type, as in every small object |
//! | 40.. | one word for each noun: its place from the beginning of the object, and its kind |
//! | the next multiple of 64 | the nouns, each as it would lie alone, and the plain values |
//!
//! The table is written before anybody else sees the object, and never again. Whoever cleans up after the dead finds
//! every lock by it, without the user's type. It is bounded at each use all the same: a damaged one leads nowhere else.

use crate::segment::arena::UNIT;
use crate::segment::layout::{Layout, Offset, assert_offsets};
use crate::segment::{Kind, Segment};
use crate::sync::{barrier_len, permits_len};
use crate::sys::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use crate::sys::step::step;

/// Where the table begins, and the length of the shortest noun.
pub(super) const TABLE: u64 = 40;

/// The beginning of the object, as far as it is the table's.
#[derive(Debug)]
#[repr(C)]
struct Head {
    count: AtomicU32,
    pad: [AtomicU32; 2],
}

const _: () = assert!(size_of::<Head>() == 12);
assert_offsets!(Head { count: 0, pad: 4 });

// SAFETY: repr(C), nothing but atomics.
unsafe impl Layout for Head {}

/// One word of the table: `{place:32 | pad:16 | kind:16}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry(u64);

impl Entry {
    fn new(kind: Kind, place: u32) -> Self {
        Entry(u64::from(place) << 32 | u64::from(kind.number()))
    }

    /// The kind and the distance from the beginning of an object of `len` bytes, if a noun can lie there.
    fn read(self, len: u64) -> Option<(Kind, u64)> {
        let kind = Kind::from_number(self.0 as u16).filter(|kind| is_noun(*kind))?;
        let place = self.0 >> 32;
        let fits = place >= UNIT && place.is_multiple_of(UNIT) && place + TABLE <= len;
        fits.then_some((kind, place))
    }
}

/// Structs have no structs in their tables: what lies in an inner one is listed with the rest.
fn is_noun(kind: Kind) -> bool {
    kind.is_small() && kind != Kind::Shared
}

/// Writes the table of a new object at `place`, whose bytes are all zero and which nobody else can see.
pub(super) fn write(segment: &Segment, place: u64, parts: impl Iterator<Item = (Kind, u32)>) {
    let mut count = 0;
    for (kind, at) in parts {
        let entry = segment.at(entries(place).nth(u64::from(count)));
        step("parts.entry");
        // Relaxed throughout: whoever comes, comes by a handle or a name that is published later.
        entry.store(Entry::new(kind, at).0, Relaxed);
        count += 1;
    }
    step("parts.count");
    segment
        .at(Offset::<Head>::new(place))
        .count
        .store(count, Relaxed);
}

/// Where a noun begins, and how many bytes are its own.
pub(super) type Extent = (u64, u64);

/// The kind of each noun in the struct at `object`, and its extent.
pub(super) fn of(segment: &Segment, object: Extent) -> impl Iterator<Item = (Kind, Extent)> {
    let (place, len) = object;
    let head = segment.get(Offset::<Head>::new(place));
    let count = head.map_or(0, |head| u64::from(head.count.load(Relaxed))); // see `write`
    let fits = TABLE.saturating_add(count * 8) <= len;
    let table = fits.then(|| segment.slice(entries(place), count)).flatten();
    let entries = table.unwrap_or_default().iter();
    entries.filter_map(move |word| {
        let (kind, at) = Entry(word.load(Relaxed)).read(len)?;
        Some((kind, (place + at, room(kind, len - at))))
    })
}

/// How many bytes a noun of this kind can have at most in a struct that has `rest` bytes from its beginning on.
///
/// Where its own words say how long a noun is, they may be damaged, and lead no further than the room that every struct
/// has for it.
pub(super) fn room(kind: Kind, rest: u64) -> u64 {
    let most = match kind {
        Kind::Barrier => barrier_len(PARTIES_IN_STRUCT),
        Kind::BoundedSemaphore => permits_len(PERMITS_IN_STRUCT),
        _ => rest,
    };
    rest.min(most)
}

/// For how many parties a barrier in a struct has room. The room must be known before the number of parties is.
pub(crate) const PARTIES_IN_STRUCT: u32 = 64;

/// For how many permits a bounded semaphore in a struct has room, likewise.
pub(crate) const PERMITS_IN_STRUCT: u32 = 1000;

fn entries(place: u64) -> Offset<AtomicU64> {
    Offset::new(place.saturating_add(TABLE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::{Draft, Spec};

    const LEN: u64 = 512;

    fn segment(parts: &[(Kind, u32)]) -> (Segment, u64) {
        let spec = Spec {
            body_len: LEN,
            ..Spec::new(Kind::Shared)
        };
        let segment = Draft::anonymous(&spec).unwrap().publish(None).unwrap();
        let place = segment.body().0;
        write(&segment, place, parts.iter().copied());
        (segment, place)
    }

    fn found(segment: &Segment, place: u64, len: u64) -> Vec<(Kind, u64)> {
        let extents = of(segment, (place, len));
        extents.map(|(kind, (at, _))| (kind, at)).collect()
    }

    #[test]
    fn what_was_written_is_found() {
        let (segment, place) = segment(&[(Kind::Lock, 64), (Kind::Event, 256)]);
        let all = found(&segment, place, LEN);
        assert_eq!(all, [(Kind::Lock, place + 64), (Kind::Event, place + 256)]);
        assert!(found(&segment, place, 48).is_empty(), "half the table");
    }

    #[test]
    fn a_noun_has_no_more_than_its_room() {
        let (segment, place) = segment(&[(Kind::Barrier, 64), (Kind::Lock, 256)]);
        let lens = |len| -> Vec<u64> {
            of(&segment, (place, len))
                .map(|(_, (_, len))| len)
                .collect()
        };
        assert_eq!(lens(LEN), [LEN - 64, LEN - 256], "to the end of the struct");
        let barrier = barrier_len(PARTIES_IN_STRUCT);
        assert_eq!(lens(1 << 20), [barrier, (1 << 20) - 256]);
    }

    #[test]
    fn a_damaged_table_leads_nowhere() {
        let parts = [
            (Kind::Lock, 0),
            (Kind::Lock, 70),
            (Kind::Lock, LEN as u32 - 32),
            (Kind::Lock, u32::MAX - 63),
            (Kind::Queue, 64),
            (Kind::Shared, 64),
        ];
        let (segment, place) = segment(&parts);
        assert!(found(&segment, place, LEN).is_empty());
        let head = segment.at(Offset::<Head>::new(place));
        for count in [59, 60, u32::MAX] {
            head.count.store(count, Relaxed); // no step: a test's
            assert!(found(&segment, place, LEN).is_empty());
        }
        assert!(found(&segment, u64::MAX - 8, LEN).is_empty());
    }
}
