//! A pipe where it lies in a segment: two lanes, one each way, and the blocks of long messages.

use super::geometry::{LaneFit, LaneGeometry};
use super::lane::Lane;
use super::protocol::scan;
use super::seat::End;
use crate::Result;
use crate::segment::Segment;
use crate::segment::blocks::{BlockRef, Blocks};
use crate::segment::layout::{LINE, align_up};
use crate::sys::atomic::Ordering::{Relaxed, Release};
use crate::sys::identity::Participant;
use crate::sys::step::step;
use std::sync::Arc;

/// Which of a lane's two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The one that sends.
    Sender,
    /// The one that receives.
    Receiver,
}

/// What a holder does with an end of a lane, whichever it is.
pub(crate) trait RawEnd {
    const SIDE: Side;

    /// The end of `me`, who has just got its seat, as the last one to hold it left it.
    fn new(duct: Arc<Duct>, which: usize, me: Participant) -> Self;

    fn me(&self) -> Participant;

    /// How the other end of the lane ended, if it has.
    fn peer_end(&self) -> Option<End>;

    /// Offers the end to another process; the epoch that it must show. `None` if it is not this one's to offer.
    fn offer(&self) -> Option<u16>;

    /// Takes the offer of `epoch` back; `false` if the end is another's.
    fn withdraw(&self, epoch: u16) -> bool;

    /// Lets go of the end, and ends the lane.
    fn close(&self);
}

/// Both lanes.
#[derive(Debug)]
pub(crate) struct Duct {
    lanes: [Lane; 2],
    blocks: Blocks,
}

/// Where each lane begins, and how long both are.
fn plan(shapes: &[LaneGeometry; 2]) -> ([u64; 2], u64) {
    let second = align_up(shapes[0].len(), LINE as u64);
    ([0, second], second + shapes[1].len())
}

/// The numbers of a segment's header that say of each lane how many granules it has, and how messages lie in them.
const SHAPES: [[usize; 2]; 2] = [[0, 1], [2, 3]];
/// The one that says by a bit for each lane whether there may be a block for each record.
const BLOCKS_FOR_ALL: usize = 7;

impl Duct {
    /// Bytes of the body for lanes of these shapes.
    pub(crate) fn body_len(shapes: &[LaneGeometry; 2]) -> u64 {
        plan(shapes).1
    }

    /// Notes the shapes in a header's parameters.
    pub(crate) fn note(shapes: &[LaneGeometry; 2], params: &mut [u64; 8]) {
        for (lane, ([granules, fit], shape)) in SHAPES.into_iter().zip(shapes).enumerate() {
            params[granules] = u64::from(shape.granules);
            params[fit] = shape.fit.to_bits();
            params[BLOCKS_FOR_ALL] |= u64::from(shape.blocks_for_all) << lane;
        }
    }

    /// The pipe in a segment. Zeroed memory is an empty one.
    ///
    /// # Errors
    ///
    /// `Corrupt` when the header states lanes that do not fit the segment.
    pub(crate) fn attach(segment: &Arc<Segment>) -> Result<Self> {
        let params = segment.params();
        let shape = |lane: usize| {
            let [granules, fit] = SHAPES[lane];
            let for_all = params[BLOCKS_FOR_ALL] >> lane & 1 != 0;
            LaneGeometry::stated(LaneFit::from_bits(params[fit]), params[granules], for_all)
        };
        let shapes = [shape(0)?, shape(1)?];
        let (body, len) = segment.body();
        let (starts, end) = plan(&shapes);
        if end > len {
            let text = "the pipe's header states more than there is";
            return Err(crate::Error::new(crate::ErrorKind::Corrupt, text));
        }
        let lane = |i: usize| Lane::new(segment, body + starts[i], shapes[i]);
        Ok(Duct {
            lanes: [lane(0), lane(1)],
            blocks: Blocks::new(Arc::clone(segment)),
        })
    }

    #[inline(always)]
    pub(crate) fn lane(&self, which: usize) -> &Lane {
        &self.lanes[which]
    }

    pub(super) fn blocks(&self) -> &Blocks {
        &self.blocks
    }

    /// Whether a message that is not free yet lies in `block`.
    pub(super) fn refers_to(&self, block: BlockRef) -> bool {
        self.lanes.iter().any(|lane| {
            let mut found = false;
            scan(lane, |at, content| {
                // Relaxed: published by the header that the scan has acquired.
                let bits = lane.reference(at, content).map(|word| word.load(Relaxed));
                found |= bits == Some(block.to_bits());
            });
            found
        })
    }

    /// Puts right what `dead` held: blocks that he filled for nobody are freed, and his ends become orphans, whose waiting
    /// peers are woken.
    pub(crate) fn repair(&self, dead: Participant) {
        // First: whoever repairs may die as well, and once the ends are orphans nobody comes back for the blocks.
        // An error means descriptors without memory: nothing was allocated there.
        let _ = self.blocks.sweep(dead, &mut |block| self.refers_to(block));
        for lane in &self.lanes {
            let control = lane.control();
            if control.sender.orphan(dead) {
                control.filled.wake_all(&**lane.segment());
            }
            if control.receiver.orphan(dead) {
                self.tell_sender(lane);
            }
        }
    }

    /// Lets go of `me`'s end of a lane for good, and tells the peer.
    pub(crate) fn close(&self, which: usize, side: Side, me: Participant) {
        let lane = &self.lanes[which];
        match side {
            Side::Sender => {
                if lane.control().sender.close(me) {
                    lane.control().filled.wake_all(&**lane.segment());
                }
            }
            Side::Receiver => {
                if lane.control().receiver.close(me) {
                    self.tell_sender(lane);
                }
            }
        }
    }

    /// The receiver of a lane is gone.
    fn tell_sender(&self, lane: &Lane) {
        step("pipe.over");
        // Release: who sees the hint finds the seat left.
        lane.control().receiver_over.store(1, Release);
        lane.control().freed.wake_all(&**lane.segment());
    }
}
