//! The ring of one sender and one receiver: what a pipe's direction, or a split queue, travels on.
//!
//! *In-band commit.* There is no counter between the two ends. A record begins with a word, its header, that says in
//! which lap of the ring it was written and how long it is; the store of that word publishes the record, and the
//! receiver looks at the very place where the next one will begin. A small message so moves one line from processor to
//! processor, where a published index would move two.
//!
//! | a process dies | what is there | who takes the end over |
//! |---|---|---|
//! | before the header's store | an old header, or none: nothing was sent | writes at the same place, after cleaning what lies ahead |
//! | after it | a message | goes on behind it |
//! | before `done` is stored | a message that nobody acknowledged | receives it again |
//! | after it, before `free` | a message that was acknowledged, whose room is not free yet | frees it |
//!
//! The ends find each other's death by the seats (see `seat`), which also say who may take an end over.

mod control;
mod cursor;
#[cfg(not(loom))]
mod haste;
mod header;
mod protocol;
mod seat;

#[cfg(not(loom))]
mod beside;
#[cfg(not(loom))]
mod course;
#[cfg(not(loom))]
mod duct;
#[cfg(not(loom))]
mod geometry;
#[cfg(not(loom))]
mod known;
#[cfg(not(loom))]
mod lane;
#[cfg(not(loom))]
mod pool;
#[cfg(not(loom))]
mod receiver;
#[cfg(not(loom))]
mod sender;
#[cfg(not(loom))]
mod wait;

#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(not(loom))]
pub(crate) use course::Fitted;
#[cfg(not(loom))]
pub(crate) use duct::{Duct, RawEnd, Side};
#[cfg(not(loom))]
pub(crate) use geometry::{LaneFit, LaneGeometry, Room};
#[cfg(not(loom))]
pub(crate) use pool::Slot;
#[cfg(not(loom))]
pub(crate) use receiver::RawReceiver;
#[cfg(not(loom))]
pub(crate) use seat::{End, Refused, Seat};
#[cfg(not(loom))]
pub(crate) use sender::RawSender;
#[cfg(not(loom))]
pub(crate) use wait::Fault;
