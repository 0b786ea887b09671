//! A lane as one of its ends sees it: how its messages lie is known when the end's user is compiled.

use super::control::LaneControl;
use super::cursor::Cursor;
use super::duct::Duct;
use super::geometry::LaneFit;
use super::protocol::Memory;
use crate::segment::{CPU_LINE, Pair, Place, Strides, Twins};
use crate::sys::atomic::AtomicU64;
use crate::sys::bell::Bells;
use std::ptr::NonNull;

/// Says how the messages of an end lie.
pub(crate) trait Fitted: 'static {
    const FIT: LaneFit;
}

impl<F: Fitted> Strides for F {
    const HEAD: usize = F::FIT.headers();
    const ROW: usize = F::FIT.stride();
}

/// See the module.
#[derive(Debug)]
pub(super) struct Course<F> {
    control: Place<LaneControl>,
    twins: Twins<F>,
}

/// A granule of the ring that exists.
#[derive(Debug)]
pub(crate) struct Granule<'a, F>(Pair<'a, F>);

impl<F> Clone for Granule<'_, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F> Copy for Granule<'_, F> {}

impl<'a, F: Fitted> Granule<'a, F> {
    /// The word that publishes it.
    #[inline(always)]
    pub(super) fn header(self) -> &'a AtomicU64 {
        self.0.head()
    }

    /// The message that fills it, in a uniform lane.
    #[inline(always)]
    pub(crate) fn message(self) -> NonNull<[u8]> {
        match F::FIT {
            LaneFit::Fixed { size, at, .. } => self.0.part(at, size),
            LaneFit::Any { .. } => self.0.part(0, 0),
        }
    }
}

/// A course for the length of a call.
pub(super) struct Words<'a, F>(&'a Course<F>);

impl<F> Clone for Words<'_, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F> Copy for Words<'_, F> {}

impl<F: Fitted> Course<F> {
    /// Lane `which`, whose messages lie like these.
    ///
    /// # Panics
    ///
    /// When they do not: the caller has compared the types.
    pub(super) fn new(duct: &Duct, which: usize) -> Self {
        let lane = duct.lane(which);
        assert_eq!(
            lane.geometry().fit,
            F::FIT,
            "the lane carries other messages"
        );
        let (headers, granules) = lane.places();
        Course {
            control: lane.place(),
            twins: Twins::new(lane.segment(), headers, granules, lane.geometry().granules),
        }
    }

    /// The words of the lane beside its records.
    #[inline(always)]
    pub(super) fn control(&self) -> &LaneControl {
        self.control.get()
    }

    #[inline(always)]
    pub(super) fn words(&self) -> Words<'_, F> {
        Words(self)
    }
}

impl<'a, F: Fitted> Words<'a, F> {
    /// Granule `index`, if there is one, and the end is this process's.
    #[inline(always)]
    pub(super) fn granule(self, index: u32) -> Option<Granule<'a, F>> {
        self.0.twins.pair(index).map(Granule)
    }

    /// Whether the end is this process's.
    #[inline(always)]
    pub(super) fn is_open(self) -> bool {
        self.0.twins.is_open()
    }

    /// Says whether it is; a forked child is told without.
    pub(super) fn set_open(self, open: bool) {
        self.0.twins.set_open(open);
    }

    /// Asks for the line of the message in granule `index` that comes behind its header's, if it has one.
    ///
    /// Whoever looks for the message asks for both lines at once: else the second one takes as long again, once the first
    /// is there.
    #[inline(always)]
    pub(super) fn fetch(self, index: u32) {
        if Self::HAS_LINES {
            self.0.twins.fetch(index, Self::LINES.0);
        }
    }

    /// Asks for the line of the header of granule `index`, if it is not the message's: whoever writes a message there waits
    /// for both lines at once.
    #[inline(always)]
    pub(super) fn prepare_header(self, index: u32) {
        if F::FIT.headers() != F::FIT.stride() {
            self.0.twins.prepare_head(index);
        }
    }

    /// Where the lines of a uniform lane's messages begin that hold no header, and where they end.
    const LINES: (usize, usize) = match F::FIT {
        LaneFit::Fixed { size, at: 0, .. } => (0, size),
        LaneFit::Fixed { size, at, .. } => (CPU_LINE, at + size),
        LaneFit::Any { .. } => (0, 0),
    };

    /// Whether there are any.
    pub(super) const HAS_LINES: bool = Self::LINES.0 < Self::LINES.1;

    /// How many records of a uniform lane share a line; 1 where none do.
    pub(super) const TO_A_LINE: u32 = match F::FIT {
        LaneFit::Fixed { stride, .. } if stride < CPU_LINE => (CPU_LINE / stride) as u32,
        _ => 1,
    };

    /// Whether the lane has lines for [`rewrite_lines`](Words::rewrite_lines).
    pub(super) const REWRITES: bool = Self::HAS_LINES || Self::TO_A_LINE > 1;

    /// The `len` bytes of the message whose record begins at the cursor; fewer where the ring ends before, which no sender
    /// writes.
    #[inline]
    pub(super) fn message(self, at: Cursor, len: usize) -> NonNull<[u8]> {
        let rows = self.0.twins.rows();
        match F::FIT {
            LaneFit::Fixed { at: skip, .. } => rows.part(at.granule, skip, len),
            LaneFit::Any { at: skip } => {
                let most = rows.reach(at.granule, skip);
                rows.run(at.granule, skip, len.min(most))
            }
        }
    }

    /// The words of a record that refers to a block: which, and the message's length.
    pub(super) fn reference(self, at: Cursor) -> [&'a AtomicU64; 2] {
        let rows = self.0.twins.rows();
        [REFERENCE, REFERENCE + 8].map(|skip| rows.word(at.granule, skip))
    }

    /// Writes the lines of the message in granule `index` of a uniform lane as they are; see `cpu`. Of records that share a
    /// line, the first one's word is written: there this is for the [first](Words::TO_A_LINE) only.
    ///
    /// # Safety
    ///
    /// The message is this caller's, and there is no reference to its bytes.
    #[inline(always)]
    pub(super) unsafe fn rewrite_lines(self, index: u32) {
        let (first, end) = match Self::TO_A_LINE {
            // Of a longer message the line with the header stays: it is one of several.
            1 => Self::LINES,
            _ => (0, F::FIT.stride()),
        };
        // SAFETY: the caller's promise; of a line that it shares only a word of this record is written.
        unsafe { self.0.twins.rows().rewrite_lines(index, first, end) };
    }
}

/// Bytes from the beginning of a record to its reference to a block.
pub(super) const REFERENCE: usize = 16;

impl<F: Fitted> Memory for Words<'_, F> {
    #[inline(always)]
    fn control(&self) -> &LaneControl {
        self.0.control.get()
    }

    #[inline(always)]
    fn header(&self, granule: u32) -> &AtomicU64 {
        self.0.twins.head(granule)
    }

    #[inline(always)]
    fn granules(&self) -> u32 {
        self.0.twins.count()
    }

    #[inline(always)]
    fn granules_of(&self, len: u32) -> u32 {
        F::FIT.granules_of(len as usize)
    }

    #[inline(always)]
    fn bells(&self) -> &impl Bells {
        &**self.0.twins.segment()
    }

    #[inline(always)]
    fn is_uniform(&self) -> bool {
        F::FIT.is_fixed()
    }
}
