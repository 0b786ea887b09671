//! Floor 3: protocols on words, without a type and without a name.

mod alert;
mod claimant;
mod event;
mod latch;
mod lock;
mod patience;
mod word;

pub(crate) use claimant::Claimant;
pub(crate) use event::RawEvent;
pub(crate) use latch::{RawLatch, TooFew};
pub(crate) use lock::{Adoption, RawLock, Refused};
pub(crate) use word::Owner;

#[cfg(all(test, loom))]
mod loom_event;
#[cfg(all(test, loom))]
mod loom_lock;
