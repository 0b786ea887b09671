//! What a queue can say about itself.

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
