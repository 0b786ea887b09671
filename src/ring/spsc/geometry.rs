//! The shape of a lane: how its messages lie, how many granules there are, and where everything is.

use super::control::LaneControl;
use super::protocol::STRETCHES;
use crate::segment::CPU_LINE;
use crate::segment::layout::{LINE, align_up};
use crate::{Error, ErrorKind, Result};

/// The longest message of fixed size that has a granule of its own; longer ones travel like those of any length.
const FIXED_MAX: usize = 4096;
/// Headers stand apart from messages of whole lines up to this length: two lines carry 64 bytes and their header, and
/// eight headers share one. Longer messages take so long that both ends would work on the headers' line.
const APART_MAX: usize = 256;
/// The longest message that lies in the ring itself, if that is large enough.
const INLINE_MAX: usize = 16 << 10;
/// A message takes a granule at least and an eighth of the ring at most, or lies beside it.
const SHARES: u64 = 8;

/// How much a lane shall hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// About so many bytes.
    Bytes(u64),
    /// At least `count` messages of up to `size` bytes that are not acknowledged, at any time.
    Messages {
        /// How many.
        count: u64,
        /// Bytes of the longest.
        size: usize,
    },
}

/// How the messages of one type lie in a lane: known when its users are compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LaneFit {
    /// Every message has `size` bytes and a granule of its own.
    Fixed {
        /// Bytes of each message.
        size: usize,
        /// Bytes from the beginning of a granule to its message.
        at: usize,
        /// Bytes from one granule to the next.
        stride: usize,
        /// Bytes from one header to the next: `stride`, or 8 where they stand apart.
        headers: usize,
    },
    /// Messages have any length and as many lines as they need.
    Any {
        /// Bytes from the beginning of a record to its message.
        at: usize,
    },
}

impl LaneFit {
    /// The fit of messages which all have `fixed` bytes, or any number, aligned to `align`.
    pub(crate) const fn of(fixed: Option<usize>, align: usize) -> Self {
        let at = if align > 8 { 16 } else { 8 };
        match fixed {
            Some(size) if size <= FIXED_MAX => Self::fixed(size, at),
            _ => LaneFit::Any { at },
        }
    }

    const fn fixed(size: usize, at: usize) -> Self {
        let used = at + size;
        if used > CPU_LINE && size.is_multiple_of(CPU_LINE) && size <= APART_MAX {
            return LaneFit::Fixed {
                size,
                at: 0,
                stride: size,
                headers: 8,
            };
        }
        let stride = match used {
            ..=CPU_LINE => used.next_power_of_two(),
            _ => used.next_multiple_of(CPU_LINE),
        };
        LaneFit::Fixed {
            size,
            at,
            stride,
            headers: stride,
        }
    }

    /// As a number of a segment's header.
    pub(crate) const fn to_bits(self) -> u64 {
        let (wide, fixed) = match self {
            // Where headers stand apart the alignment changes nothing.
            LaneFit::Fixed { size, at, .. } => (at == 16, 1 | (size as u64) << 8),
            LaneFit::Any { at } => (at == 16, 0),
        };
        fixed | (wide as u64) << 1
    }

    /// The fit of that number.
    pub(crate) fn from_bits(bits: u64) -> Self {
        let align = if bits & 2 != 0 { 16 } else { 8 };
        let size = usize::try_from(bits >> 8).unwrap_or(usize::MAX);
        LaneFit::of((bits & 1 != 0).then_some(size), align)
    }

    /// Bytes from one granule to the next.
    #[inline(always)]
    pub(super) const fn stride(self) -> usize {
        match self {
            LaneFit::Fixed { stride, .. } => stride,
            LaneFit::Any { .. } => CPU_LINE,
        }
    }

    /// Bytes from one header to the next.
    #[inline(always)]
    pub(super) const fn headers(self) -> usize {
        match self {
            LaneFit::Fixed { headers, .. } => headers,
            LaneFit::Any { .. } => CPU_LINE,
        }
    }

    /// Whether every record has one granule.
    #[inline(always)]
    pub(crate) const fn is_fixed(self) -> bool {
        matches!(self, LaneFit::Fixed { .. })
    }

    /// The granules of a record with a message of `len` bytes.
    #[inline(always)]
    pub(super) const fn granules_of(self, len: usize) -> u32 {
        match self {
            LaneFit::Fixed { .. } => 1,
            LaneFit::Any { at } => len.saturating_add(at).div_ceil(CPU_LINE) as u32,
        }
    }
}

/// What room for messages comes to in granules.
impl LaneFit {
    /// Whether messages of `size` bytes lie beside every ring.
    fn is_beside(self, size: usize) -> bool {
        matches!(self, LaneFit::Any { at } if size > INLINE_MAX - at)
    }

    /// The fewest granules of a ring that has room for `count` messages of `size` bytes whenever no more than these are not
    /// acknowledged, wherever in the ring they begin.
    fn granules_for(self, count: u64, size: usize) -> u64 {
        let (each, claim) = self.shares_of(size);
        // Where a claim does not fit what remains of the ring's end, that is left out.
        let used = count
            .saturating_mul(each)
            .saturating_add(2 * claim - each - 1);
        let mut granules = match self.is_fixed() {
            true => used,
            false => used.max(each * SHARES),
        };
        // The first ring that is large enough also beside what is acknowledged and not free yet.
        loop {
            let more = used.saturating_add(unfreed(granules));
            if more <= granules || granules > GRANULES_MAX {
                break granules;
            }
            granules = more;
        }
    }

    /// The granules of a message of `size` bytes, and how many are claimed for it at most: its length is guessed before it
    /// is written.
    fn shares_of(self, size: usize) -> (u64, u64) {
        match self.is_fixed() || self.is_beside(size) {
            true => (1, 1),
            false => {
                let each = u64::from(self.granules_of(size));
                (each, 2 * each)
            }
        }
    }

    /// The fewest granules of any ring.
    fn least(self) -> u64 {
        match self.is_fixed() {
            true => 1,
            false => 64,
        }
    }
}

/// The most granules of a ring of so many that may be acknowledged and not free.
fn unfreed(granules: u64) -> u64 {
    (granules / u64::from(STRETCHES)).saturating_sub(1)
}

/// The shape of one lane; what varies is stored in the segment's header and kept privately after attach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LaneGeometry {
    pub(crate) fit: LaneFit,
    /// How many granules the ring has.
    pub(crate) granules: u32,
    /// Whether a sender may have a block for each record that the ring holds, and not only as many as are worth it.
    pub(crate) blocks_for_all: bool,
}

/// The most granules: a header counts as many.
const GRANULES_MAX: u64 = 1 << 28;

impl LaneGeometry {
    /// A lane with so much room for messages of this fit.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for more than a lane can have.
    pub(crate) fn of(fit: LaneFit, room: Room) -> Result<Self> {
        let granules = match room {
            Room::Bytes(bytes) => bytes / fit.stride() as u64,
            Room::Messages { count, size } => fit.granules_for(count, size),
        };
        let granules = granules.max(fit.least());
        if granules > GRANULES_MAX {
            return Err(too_large(fit, room));
        }
        Ok(LaneGeometry {
            fit,
            granules: granules as u32,
            blocks_for_all: matches!(room, Room::Messages { size, .. } if fit.is_beside(size)),
        })
    }

    /// The lane that a header states.
    ///
    /// # Errors
    ///
    /// `Corrupt` when it is none that this library makes.
    pub(crate) fn stated(fit: LaneFit, granules: u64, blocks_for_all: bool) -> Result<Self> {
        if granules == 0 || granules > GRANULES_MAX {
            let text = format!("the pipe's header states a ring of {granules} granules");
            return Err(Error::new(ErrorKind::Corrupt, text));
        }
        Ok(LaneGeometry {
            fit,
            granules: granules as u32,
            blocks_for_all,
        })
    }

    /// The longest message that lies in the ring: so long that others find room beside it.
    #[inline(always)]
    pub(crate) fn inline(&self) -> usize {
        match self.fit {
            LaneFit::Fixed { size, .. } => size,
            LaneFit::Any { at } => {
                let share = self.granules as usize / SHARES as usize;
                (share * CPU_LINE).min(INLINE_MAX) - at
            }
        }
    }

    /// Where the headers begin, from the lane's beginning.
    pub(super) fn headers_at(&self) -> u64 {
        size_of::<LaneControl>() as u64
    }

    /// Where the granules begin, from the lane's beginning.
    pub(super) fn granules_at(&self) -> u64 {
        match self.fit.headers() == self.fit.stride() {
            true => self.headers_at(),
            false => {
                let headers = u64::from(self.granules) * self.fit.headers() as u64;
                align_up(self.headers_at() + headers, LINE as u64)
            }
        }
    }

    /// Bytes of the whole lane.
    pub(crate) fn len(&self) -> u64 {
        let granules = u64::from(self.granules) * self.fit.stride() as u64;
        align_up(self.granules_at() + granules, LINE as u64)
    }
}

#[cold]
fn too_large(fit: LaneFit, room: Room) -> Error {
    let most = GRANULES_MAX * fit.stride() as u64;
    let text = match room {
        Room::Bytes(bytes) => {
            format!("a pipe's capacity is at most {most} bytes for its messages, not {bytes}")
        }
        Room::Messages { count, size } => format!(
            "{count} messages of {size} bytes take more than {most} bytes, which is what a ring can have; \
             give a smaller capacity or message_size"
        ),
    };
    Error::new(ErrorKind::InvalidInput, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(size: usize, align: usize) -> (usize, usize, usize) {
        match LaneFit::of(Some(size), align) {
            LaneFit::Fixed {
                at,
                stride,
                headers,
                ..
            } => (at, stride, headers),
            LaneFit::Any { .. } => panic!("{size} bytes have a granule of their own"),
        }
    }

    #[test]
    fn small_messages_share_lines_and_whole_lines_stand_apart_from_headers() {
        assert_eq!(fixed(0, 1), (8, 8, 8));
        assert_eq!(fixed(8, 8), (8, 16, 16));
        assert_eq!(fixed(16, 16), (16, 32, 32));
        assert_eq!(fixed(56, 8), (8, 64, 64));
        assert_eq!(fixed(64, 8), (0, 64, 8));
        assert_eq!(fixed(256, 16), (0, 256, 8));
        assert_eq!(fixed(1024, 8), (8, 1088, 1088));
    }

    #[test]
    fn fits_survive_the_header() {
        for fixed in [None, Some(0), Some(8), Some(64), Some(1024), Some(1 << 20)] {
            for align in [1, 8, 16] {
                let fit = LaneFit::of(fixed, align);
                assert_eq!(LaneFit::from_bits(fit.to_bits()), fit);
            }
        }
    }

    #[test]
    fn long_messages_of_one_size_travel_like_others() {
        assert_eq!(LaneFit::of(Some(8192), 4), LaneFit::Any { at: 8 });
        assert_eq!(LaneFit::of(None, 16), LaneFit::Any { at: 16 });
        assert_eq!(LaneFit::Any { at: 8 }.granules_of(56), 1);
        assert_eq!(LaneFit::Any { at: 8 }.granules_of(57), 2);
    }

    #[test]
    fn a_message_in_the_ring_leaves_room_for_others() {
        let lane = LaneGeometry::of(LaneFit::of(None, 8), Room::Bytes(4096)).unwrap();
        assert_eq!((lane.granules, lane.inline()), (64, 504));
        let large = LaneGeometry::of(LaneFit::of(None, 8), Room::Bytes(1 << 20)).unwrap();
        assert_eq!(large.inline(), INLINE_MAX - 8);
        assert!(LaneGeometry::of(LaneFit::of(None, 8), Room::Bytes(u64::MAX)).is_err());
        assert!(LaneGeometry::stated(LaneFit::of(None, 8), 0, false).is_err());
    }

    /// How many messages of `size` bytes a ring takes in the worst case: freed as late as can be, and begun anywhere.
    fn at_worst(lane: LaneGeometry, size: usize) -> u64 {
        let (each, claim) = lane.fit.shares_of(size);
        let left = u64::from(lane.granules) - unfreed(u64::from(lane.granules));
        (left + each + 1 - 2 * claim) / each
    }

    #[test]
    fn room_for_messages_is_as_much_as_needed_and_no_more() {
        for count in (1..300).chain([1023, 1024, 1025, 65_536, 1 << 22]) {
            for size in [0, 8, 64, 100, 4096] {
                let fit = LaneFit::of(Some(size), 8);
                let lane = LaneGeometry::of(fit, Room::Messages { count, size }).unwrap();
                assert_eq!(at_worst(lane, size), count, "{size} bytes");
                assert!(!lane.blocks_for_all);
            }
        }
        let lane = |count| {
            let fit = LaneFit::of(Some(8), 8);
            LaneGeometry::of(fit, Room::Messages { count, size: 8 }).unwrap()
        };
        assert_eq!([1, 15, 16, 64].map(|n| lane(n).granules), [1, 15, 17, 71]);
    }

    #[test]
    fn room_for_messages_of_any_length_keeps_them_in_the_ring_as_long_as_that_can_be() {
        for count in [1, 2, 7, 100, 1024] {
            for size in [
                1,
                16,
                48,
                49,
                1072,
                8192,
                INLINE_MAX - 16,
                INLINE_MAX,
                1 << 20,
            ] {
                let fit = LaneFit::of(None, 16);
                let lane = LaneGeometry::of(fit, Room::Messages { count, size }).unwrap();
                assert!(at_worst(lane, size) >= count, "{count} of {size} bytes");
                assert_eq!(lane.inline() >= size, size <= INLINE_MAX - 16);
                assert_eq!(lane.blocks_for_all, size > INLINE_MAX - 16);
            }
        }
        let room = Room::Messages {
            count: 1 << 22,
            size: 8192,
        };
        assert!(LaneGeometry::of(LaneFit::of(None, 8), room).is_err());
    }
}
