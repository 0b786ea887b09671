//! The shape of a lane: how its messages lie, how many granules there are, and where everything is.

use super::control::LaneControl;
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

/// The shape of one lane; what varies is stored in the segment's header and kept privately after attach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LaneGeometry {
    pub(crate) fit: LaneFit,
    /// How many granules the ring has.
    pub(crate) granules: u32,
}

/// The most granules: a header counts as many.
const GRANULES_MAX: u64 = 1 << 28;

impl LaneGeometry {
    /// A lane with about `bytes` of room for messages of this fit.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for more than a lane can have.
    pub(crate) fn of(fit: LaneFit, bytes: u64) -> Result<Self> {
        let least = if fit.is_fixed() { 1 } else { 64 };
        let granules = (bytes / fit.stride() as u64).max(least);
        if granules > GRANULES_MAX {
            let most = GRANULES_MAX * fit.stride() as u64;
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("a pipe's capacity is at most {most} bytes for its messages, not {bytes}"),
            ));
        }
        Ok(LaneGeometry {
            fit,
            granules: granules as u32,
        })
    }

    /// The lane that a header states.
    ///
    /// # Errors
    ///
    /// `Corrupt` when it is none that this library makes.
    pub(crate) fn stated(fit: LaneFit, granules: u64) -> Result<Self> {
        if granules == 0 || granules > GRANULES_MAX {
            let text = format!("the pipe's header states a ring of {granules} granules");
            return Err(Error::new(ErrorKind::Corrupt, text));
        }
        Ok(LaneGeometry {
            fit,
            granules: granules as u32,
        })
    }

    /// The longest message that lies in the ring: so long that others find room beside it.
    pub(crate) fn inline(&self) -> usize {
        match self.fit {
            LaneFit::Fixed { size, .. } => size,
            LaneFit::Any { at } => (self.granules as usize / 8 * CPU_LINE).min(INLINE_MAX) - at,
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
        let lane = LaneGeometry::of(LaneFit::of(None, 8), 4096).unwrap();
        assert_eq!((lane.granules, lane.inline()), (64, 504));
        let large = LaneGeometry::of(LaneFit::of(None, 8), 1 << 20).unwrap();
        assert_eq!(large.inline(), INLINE_MAX - 8);
        assert!(LaneGeometry::of(LaneFit::of(None, 8), u64::MAX).is_err());
        assert!(LaneGeometry::stated(LaneFit::of(None, 8), 0).is_err());
    }
}
