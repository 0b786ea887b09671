//! Floor 3: protocols on words, without a type and without a name.

mod alert;
mod barrier;
mod bounded;
mod claimant;
#[cfg(not(loom))]
mod condition;
mod event;
#[cfg(not(loom))]
mod hold;
mod latch;
mod line;
mod lock;
mod once;
mod patience;
mod rwlock;
mod semaphore;
mod turnstile;
mod waiter;
mod waiters;
mod word;

#[cfg(not(loom))]
pub(crate) use barrier::parties::{
    Identity, MOST_PARTIES, Parties, barrier_len, barrier_rows, repair_barrier,
};
pub(crate) use barrier::{Breakage, Call, Cause, Failed, RawBarrier, Watch};
#[cfg(not(loom))]
pub(crate) use bounded::{BoundedHead, permits_len, repair_permits};
pub(crate) use bounded::{NotLeaked, PermitWord, RawBounded, Undertaker};
pub(crate) use claimant::Claimant;
#[cfg(not(loom))]
pub(crate) use condition::{Parts, RawCondition};
pub(crate) use event::RawEvent;
#[cfg(not(loom))]
pub(crate) use hold::{Damage, RawHold};
pub(crate) use latch::{RawLatch, TooFew};
pub(crate) use lock::{Adoption, RawLock, Refused};
pub(crate) use once::{RawOnce, Turn};
pub(crate) use rwlock::{Entry, Gate, RawRwLock, Reader, ReaderRow};
#[cfg(not(loom))]
pub(crate) use rwlock::{GATE_AT, MOST_ROWS, repair_readers};
pub(crate) use semaphore::{RawSemaphore, TooMany};
pub(crate) use waiters::{Outcome, Ticket, WaiterRing, Waiters};
pub(crate) use word::Owner;

#[cfg(all(test, loom))]
mod loom_barrier;
#[cfg(all(test, loom))]
mod loom_bounded;
#[cfg(all(test, loom))]
mod loom_event;
#[cfg(all(test, loom))]
mod loom_latch;
#[cfg(all(test, loom))]
mod loom_lock;
#[cfg(all(test, loom))]
mod loom_once;
#[cfg(all(test, loom))]
mod loom_rwlock;
#[cfg(all(test, loom))]
mod loom_semaphore;
#[cfg(all(test, loom))]
mod loom_waiters;
#[cfg(all(test, loom))]
mod models;
