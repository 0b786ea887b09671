//! Floor 3: the bounded queue of slots on which every message travels. Slots and words, no type and no name.
//!
//! A claim is one compare-and-swap on a slot's word that installs its owner; `head` and `tail` are hints that
//! anybody can recompute. What a dead process held is found by its owner field and repaired by a
//! compare-and-swap from the exact word observed, which any number of survivors may attempt.
//!
//! | a process dies | the slot says | what survivors do |
//! |---|---|---|
//! | before its claim | free | nothing happened |
//! | claimed, not yet published | `Writing(dead)` | free the slot for the next lap: the message was never accepted |
//! | published | `Full` | deliver it, once |
//! | took it, not yet acknowledged | `Taken(dead)` | offer it again, counted and out of order |
//! | acknowledged | free, next lap | nothing left to do |

mod control;
mod gate;
mod protocol;
pub(crate) mod spsc;
mod word;

#[cfg(not(loom))]
mod block;
#[cfg(not(loom))]
mod core;
#[cfg(not(loom))]
mod geometry;
#[cfg(not(loom))]
mod get;
#[cfg(not(loom))]
mod lease;
#[cfg(not(loom))]
mod linger;
#[cfg(not(loom))]
mod put;
#[cfg(not(loom))]
mod repair;
#[cfg(not(loom))]
mod stream;
#[cfg(not(loom))]
mod taken;
#[cfg(not(loom))]
mod wait;
#[cfg(not(loom))]
mod watch;

#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(not(loom))]
pub(crate) use core::{Claim, ClaimError, RawStats, Ring, TakeError, Words};
#[cfg(not(loom))]
pub(crate) use geometry::{Fit, Geometry, Shape};
#[cfg(all(feature = "tokio", not(loom)))]
pub(crate) use linger::{LONGEST, Luck};
#[cfg(not(loom))]
pub(crate) use taken::Taken;
#[cfg(not(loom))]
pub(crate) use wait::{Peers, Role};
