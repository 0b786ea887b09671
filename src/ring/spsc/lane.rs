//! One direction of a pipe where it lies in a segment, whatever its messages.

use super::control::LaneControl;
use super::course::REFERENCE;
use super::cursor::Cursor;
use super::geometry::LaneGeometry;
use super::header::Content;
use super::protocol::Memory;
use crate::segment::{Place, Segment, Table};
use crate::sys::atomic::AtomicU64;
use crate::sys::bell::Bells;
use std::sync::Arc;

/// The words and the records of one direction.
#[derive(Debug)]
pub(crate) struct Lane {
    control: Place<LaneControl>,
    headers: Table<AtomicU64>,
    granules: Table<AtomicU64>,
    geometry: LaneGeometry,
    /// Where the headers and the granules begin.
    places: (u64, u64),
}

impl Lane {
    /// The lane of `geometry` that begins at `offset`. Zeroed memory is an empty one.
    pub(super) fn new(segment: &Arc<Segment>, offset: u64, geometry: LaneGeometry) -> Self {
        let (fit, count) = (geometry.fit, geometry.granules);
        let places = (
            offset + geometry.headers_at(),
            offset + geometry.granules_at(),
        );
        Lane {
            control: Place::new(segment, offset),
            headers: Table::new(segment, places.0, fit.headers(), count),
            granules: Table::new(segment, places.1, fit.stride(), count),
            geometry,
            places,
        }
    }

    pub(crate) fn control(&self) -> &LaneControl {
        self.control.get()
    }

    pub(crate) fn geometry(&self) -> LaneGeometry {
        self.geometry
    }

    pub(super) fn place(&self) -> Place<LaneControl> {
        self.control.clone()
    }

    pub(super) fn places(&self) -> (u64, u64) {
        self.places
    }

    pub(super) fn segment(&self) -> &Arc<Segment> {
        self.headers.segment()
    }

    /// Which block the record at the cursor refers to, if it refers to one.
    pub(super) fn reference(&self, at: Cursor, content: Content) -> Option<&AtomicU64> {
        let refers = content == Content::Block && self.geometry.fit.stride() > REFERENCE + 8;
        refers.then(|| self.granules.rows().word(at.granule, REFERENCE))
    }
}

impl Memory for &Lane {
    fn control(&self) -> &LaneControl {
        self.control.get()
    }

    fn header(&self, granule: u32) -> &AtomicU64 {
        self.headers.row(granule)
    }

    fn granules(&self) -> u32 {
        self.geometry.granules
    }

    fn granules_of(&self, len: u32) -> u32 {
        self.geometry.fit.granules_of(len as usize)
    }

    fn bells(&self) -> &impl Bells {
        &**self.segment()
    }

    fn is_uniform(&self) -> bool {
        self.geometry.fit.is_fixed()
    }
}
