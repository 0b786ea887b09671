//! What a contender is held against: the smallest correct structures of our own, without crash safety, names or types.

pub mod mutex;
pub mod plain_ring;
pub mod pthread;
pub mod raw;
pub mod records;

pub use plain_ring::{PlainRing, Words};
pub use records::{Record, Records};
