//! What a queue can say about itself.

use std::sync::Arc;

use super::core::ring_of;
use crate::ring::{RawStats, Ring};
use crate::segment::name::{Directory, Name};
use crate::segment::{Kind, Segment};
use crate::{Error, ErrorKind, Result};

/// Counts since the queue was made, of all processes together; made by [`Queue::stats`](crate::Queue::stats).
///
/// Each number is exact by itself while nobody moves; taken together in motion they may disagree by what is in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Messages put, including the few whose writers gave up or died in between.
    pub puts: u64,
    /// Messages taken for the first time.
    pub gets: u64,
    /// How often a writer had to wait for room.
    pub blocked: u64,
    /// How often a message was offered again, because its reader gave it back or died.
    pub redelivered: u64,
    /// The greatest number of messages seen waiting at a time.
    pub high_water: u64,
}

impl Stats {
    pub(super) fn of(ring: &Ring) -> Self {
        let RawStats {
            puts,
            gets,
            blocked,
            redelivered,
            high_water,
        } = ring.stats();
        Stats {
            puts,
            gets,
            blocked,
            redelivered,
            high_water,
        }
    }
}

/// What can be seen of a named queue from outside, whatever its messages are, without becoming one of its members.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// use multiproc::{Queue, QueueInfo};
///
/// # let name = format!("doc-info-{}", std::process::id());
/// let queue = Queue::<u64>::create(&name)?;
/// queue.put_many([1, 2])?;
///
/// let info = QueueInfo::of(&name)?;
/// assert_eq!((info.len, info.capacity, info.closed), (2, 1024, false));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueInfo {
    /// Messages put and not taken yet.
    pub len: usize,
    /// Messages that fit.
    pub capacity: usize,
    /// Whether it was closed.
    pub closed: bool,
    /// Counts since it was made.
    pub stats: Stats,
}

impl QueueInfo {
    /// Looks at the queue of that name.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is none, `WrongType` when it is no queue, else as
    /// [`QueueBuilder::open`](crate::QueueBuilder::open).
    pub fn of(name: &str) -> Result<Self> {
        let file = Directory::of_user()?.open(&Name::parse(name)?)?;
        let segment = Arc::new(Segment::open(file, None)?);
        let kind = segment.geometry().kind;
        if kind != Kind::Queue {
            let text = format!("`{name}` is a {kind}, not a queue");
            return Err(Error::new(ErrorKind::WrongType, text));
        }
        let ring = ring_of(&segment)?;
        Ok(QueueInfo {
            len: ring.len(),
            capacity: ring.geometry().capacity as usize,
            closed: ring.is_closed(),
            stats: Stats::of(&ring),
        })
    }
}
