//! Floor 1: the only room with `libc`. Facts of the kernel and the processor, no policy.

#[cfg(all(test, not(loom)))]
pub(crate) mod actor;
#[cfg(not(loom))]
pub(crate) mod atfork;
pub(crate) mod atomic;
pub(crate) mod backoff;
pub(crate) mod bell;
mod bias;
pub(crate) mod clock;
#[cfg(not(loom))]
pub(crate) mod cpu;
#[cfg(all(test, debug_assertions, not(loom)))]
pub(crate) mod crash;
#[cfg(not(loom))]
pub(crate) mod exit;
#[cfg(not(loom))]
pub(crate) mod fd;
pub(crate) mod futex;
pub(crate) mod identity;
#[cfg(not(loom))]
pub(crate) mod image;
#[cfg(not(loom))]
pub(crate) mod leash;
pub(crate) mod membarrier;
#[cfg(not(loom))]
pub(crate) mod ofd;
#[cfg(not(loom))]
pub(crate) mod poll;
#[cfg(not(loom))]
pub(crate) mod poller;
#[cfg(not(loom))]
pub(crate) mod private;
#[cfg(not(loom))]
pub(crate) mod process;
pub(crate) mod robust;
pub(crate) mod seeded;
#[cfg(not(loom))]
pub(crate) mod serial;
#[cfg(not(loom))]
pub(crate) mod shm;
#[cfg(not(loom))]
pub(crate) mod socket;
pub mod step;
pub(crate) mod unforked;
pub(crate) mod until;
