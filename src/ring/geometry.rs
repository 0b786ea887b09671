//! The shape of a ring: how many slots, how big, and where everything lies.

use super::control::Control;
use super::word::INDEX_BITS;
use crate::segment::layout::LINE;
use crate::{Error, ErrorKind, Result};

/// How the payload sits in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Every message has `size` bytes, right behind the word.
    Fixed {
        /// Bytes of each message.
        size: u32,
        /// Alignment of the message: 1, 2, 4, 8 or 16.
        align: u32,
    },
    /// Messages of any length: up to `inline` bytes in the slot, longer ones in a block of their own.
    Variable {
        /// Bytes that fit the slot; a multiple of 16.
        inline: u32,
    },
}

/// What is known of all messages of a ring when a caller is compiled: what cannot be then costs nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    /// Every message has `size` bytes and lies in its slot, `at` bytes behind the word's beginning.
    Slot {
        /// Bytes of each message.
        size: usize,
        /// Bytes from the start of a slot to its payload.
        at: usize,
    },
    /// Messages have any length, or nothing is known.
    Any,
}

impl Fit {
    /// The fit of messages of `size` bytes, aligned to `align`, which all lie in their slots.
    pub(crate) const fn slot(size: usize, align: usize) -> Self {
        let at = if align == 16 { 16 } else { 8 };
        Fit::Slot { size, at }
    }

    /// Bytes from one slot to the next, where that is known.
    #[inline(always)]
    pub(super) const fn stride(self) -> Option<usize> {
        match self {
            Fit::Slot { size, at } => Some(stride_of(at + size)),
            Fit::Any => None,
        }
    }
}

/// The shape of a ring, stored in the segment header's parameters and kept privately after attach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    /// Messages that fit at a time.
    pub(crate) capacity: u32,
    /// How the payload sits in a slot.
    pub(crate) shape: Shape,
    /// After so many deliveries a message goes to the dead letters.
    pub(crate) max_deliveries: u8,
}

/// The largest capacity: the index of a position has so many bits.
pub(crate) const CAPACITY_MAX: u32 = 1 << INDEX_BITS;
/// The longest message that lies in the slot itself.
pub(crate) const INLINE_MAX: u32 = 8 * 1024;

const TAG_FIXED: u64 = 1;
const TAG_VARIABLE: u64 = 2;

impl Geometry {
    /// This geometry as the eight numbers of a segment header.
    pub(crate) fn to_params(self) -> [u64; 8] {
        let (tag, a, b) = match self.shape {
            Shape::Fixed { size, align } => (TAG_FIXED, size, align),
            Shape::Variable { inline } => (TAG_VARIABLE, inline, 16),
        };
        let deliveries = u64::from(self.max_deliveries);
        [
            u64::from(self.capacity),
            tag,
            u64::from(a),
            u64::from(b),
            deliveries,
            0,
            0,
            0,
        ]
    }

    /// The geometry that a segment header states.
    ///
    /// # Errors
    ///
    /// `Corrupt` when the numbers are not a geometry that this library makes.
    pub(crate) fn from_params(params: &[u64; 8]) -> Result<Self> {
        let small = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        let shape = match params[1] {
            TAG_FIXED => Shape::Fixed {
                size: small(params[2]),
                align: small(params[3]),
            },
            TAG_VARIABLE => Shape::Variable {
                inline: small(params[2]),
            },
            _ => {
                return Err(Error::new(
                    ErrorKind::Corrupt,
                    "the queue's header names no known layout",
                ));
            }
        };
        let max_deliveries = u8::try_from(params[4]).unwrap_or(0);
        let geometry = Geometry {
            capacity: small(params[0]),
            shape,
            max_deliveries,
        };
        geometry
            .validate()
            .map_err(|e| Error::new(ErrorKind::Corrupt, e.to_string()))?;
        Ok(geometry)
    }

    /// Whether these numbers can be a ring.
    ///
    /// # Errors
    ///
    /// `InvalidInput` naming the number that is out of range.
    pub(crate) fn validate(&self) -> Result<()> {
        let refuse = |text: String| Err(Error::new(ErrorKind::InvalidInput, text));
        if self.capacity == 0 || self.capacity > CAPACITY_MAX {
            return refuse(format!(
                "a queue's capacity is 1 to {CAPACITY_MAX} messages, not {}",
                self.capacity
            ));
        }
        if self.max_deliveries == 0 || self.max_deliveries > 127 {
            return refuse(format!(
                "max_deliveries is 1 to 127, not {}",
                self.max_deliveries
            ));
        }
        match self.shape {
            Shape::Fixed { size, align }
                if size > INLINE_MAX || !matches!(align, 1 | 2 | 4 | 8 | 16) =>
            {
                refuse(format!(
                    "a fixed message of {size} bytes, aligned to {align}, does not fit a slot"
                ))
            }
            Shape::Variable { inline }
                if !(16..=INLINE_MAX).contains(&inline) || !inline.is_multiple_of(16) =>
            {
                refuse(format!(
                    "{inline} bytes is no room for messages in the slot"
                ))
            }
            _ => Ok(()),
        }
    }

    /// Bytes from the start of a slot (or of a lease record's tail) to its payload.
    pub(crate) fn payload_at(&self) -> usize {
        match self.shape {
            Shape::Fixed { align: 16, .. } | Shape::Variable { .. } => 16,
            Shape::Fixed { .. } => 8,
        }
    }

    /// Bytes of payload that fit a slot.
    pub(crate) fn inline(&self) -> usize {
        match self.shape {
            Shape::Fixed { size, .. } => size as usize,
            Shape::Variable { inline } => inline as usize,
        }
    }

    /// Whether messages of this fit can travel in this ring.
    pub(crate) fn suits(&self, fit: Fit) -> bool {
        match fit {
            Fit::Slot { size, at } => {
                matches!(self.shape, Shape::Fixed { .. })
                    && (self.inline(), self.payload_at()) == (size, at)
            }
            Fit::Any => true,
        }
    }

    /// Bytes from one slot to the next: slots do not straddle lines, because the word and the message behind it travel
    /// together (measured with 64-byte messages: 128 bytes a slot make 1.15 to 1.6 times the rate of 72). For large ones
    /// what they take of the caches weighs more (1 KiB: 1,088 bytes make 1.1 to 1.4 times the rate of 1,152).
    pub(crate) fn stride(&self) -> usize {
        stride_of(self.payload_at() + self.inline())
    }

    /// Where the slots begin in the body.
    pub(crate) fn slots_at(&self) -> u64 {
        size_of::<Control>().next_multiple_of(LINE) as u64
    }

    /// Bytes of the body: control block, slots, and room for the tables that begin inside a slot to end.
    pub(crate) fn body_len(&self) -> u64 {
        self.slots_at() + self.stride() as u64 * u64::from(self.capacity) + 16
    }

    /// How many lease records there can be.
    pub(crate) fn records(&self) -> u32 {
        self.capacity.clamp(1024, CAPACITY_MAX)
    }

    /// Bytes from one lease record to the next.
    pub(crate) fn record_stride(&self) -> usize {
        super::lease::RECORD_HEAD + self.inline().next_multiple_of(16)
    }

    /// Bytes of address space for lease records; memory is taken from the system as they are used.
    pub(crate) fn lease_reserve(&self) -> u64 {
        (self.record_stride() as u64 * u64::from(self.records())).next_multiple_of(4096)
    }
}

/// The stride of slots of which so many bytes are used; see [`Geometry::stride`].
const fn stride_of(used: usize) -> usize {
    match used {
        ..=64 => used.next_power_of_two(),
        65..=512 => used.next_multiple_of(LINE),
        _ => used.next_multiple_of(64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_survive_the_header() {
        for shape in [
            Shape::Fixed { size: 64, align: 8 },
            Shape::Variable { inline: 1072 },
        ] {
            let geometry = Geometry {
                capacity: 1000,
                shape,
                max_deliveries: 16,
            };
            assert_eq!(
                Geometry::from_params(&geometry.to_params()).unwrap(),
                geometry
            );
        }
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(
            Geometry::from_params(&[0; 8]).unwrap_err().kind(),
            ErrorKind::Corrupt
        );
        let bad = [1 << 40, TAG_FIXED, 8, 8, 16, 0, 0, 0];
        assert_eq!(
            Geometry::from_params(&bad).unwrap_err().kind(),
            ErrorKind::Corrupt
        );
    }

    #[test]
    fn a_ring_suits_the_messages_that_it_was_made_for() {
        let of = |shape| Geometry {
            capacity: 1,
            shape,
            max_deliveries: 1,
        };
        for (size, align) in [(8, 8), (0, 1), (48, 16)] {
            let shape = Shape::Fixed {
                size: size as u32,
                align,
            };
            let fit = Fit::slot(size, align as usize);
            assert!(of(shape).suits(fit) && of(shape).suits(Fit::Any));
            assert!(!of(shape).suits(Fit::slot(size + 8, align as usize)));
            assert_eq!(fit.stride(), Some(of(shape).stride()));
            assert!(!of(Shape::Variable { inline: 16 }).suits(fit));
        }
    }

    #[test]
    fn slots_do_not_straddle_lines() {
        let of = |size, align| Geometry {
            capacity: 1,
            shape: Shape::Fixed { size, align },
            max_deliveries: 1,
        };
        assert_eq!(of(8, 8).stride(), 16);
        assert_eq!(of(40, 8).stride(), 64);
        assert_eq!(of(64, 8).stride(), 128);
        assert_eq!(of(300, 8).stride(), 384);
        assert_eq!(of(1024, 8).stride(), 1088);
        assert_eq!(of(0, 1).stride(), 8);
        assert_eq!(of(16, 16).stride(), 32);
    }
}
