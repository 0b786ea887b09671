//! The word in front of every record, whose store publishes it.
//!
//! | bits | meaning |
//! |---|---|
//! | 63..32 | the lap of the ring in which the record was written, 1 and up; 0 only in memory that nobody wrote |
//! | 31..30 | the kind: 1 the message follows, 2 it lies in a block, 3 nothing but room up to the end of the ring |
//! | 29..0 | the bytes of the message (kind 1), or the granules of the record (kind 3) |

/// A header's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header(pub(super) u64);

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// A message of so many bytes, right behind the header; 0 where all have one size.
    Inline(u32),
    /// A reference to a block and the message's length follow.
    Block,
    /// So many granules up to the end of the ring in which the next record found no room.
    Skip(u32),
}

const KIND_SHIFT: u32 = 30;
const LENGTH: u32 = (1 << KIND_SHIFT) - 1;
const INLINE: u32 = 1;
const BLOCK: u32 = 2;
const SKIP: u32 = 3;

impl Header {
    /// The header of a record of this lap.
    #[inline(always)]
    pub(super) const fn new(lap: u32, content: Content) -> Self {
        let low = match content {
            Content::Inline(len) => INLINE << KIND_SHIFT | len & LENGTH,
            Content::Block => BLOCK << KIND_SHIFT,
            Content::Skip(granules) => SKIP << KIND_SHIFT | granules & LENGTH,
        };
        Header((lap as u64) << 32 | low as u64)
    }

    /// What the record is, if it was published in this lap.
    #[inline(always)]
    pub(super) fn content(self, lap: u32) -> Option<Content> {
        if (self.0 >> 32) as u32 != lap {
            return None;
        }
        let low = self.0 as u32;
        match low >> KIND_SHIFT {
            INLINE => Some(Content::Inline(low & LENGTH)),
            BLOCK => Some(Content::Block),
            SKIP => Some(Content::Skip(low & LENGTH)),
            _ => None,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_header_says_what_it_was_told_and_only_in_its_lap() {
        for content in [
            Content::Inline(0),
            Content::Inline(LENGTH),
            Content::Block,
            Content::Skip(7),
        ] {
            let header = Header::new(9, content);
            assert_eq!(header.content(9), Some(content));
            assert_eq!(header.content(10), None);
        }
        assert_eq!(Header(0).content(0), None, "memory that nobody wrote");
    }
}
