//! Floor 1: the only room with `libc`. Facts of the kernel and the processor, no policy.

#[cfg(not(loom))]
pub(crate) mod atfork;
pub(crate) mod atomic;
pub(crate) mod backoff;
pub(crate) mod clock;
#[cfg(not(loom))]
pub(crate) mod fd;
pub(crate) mod futex;
pub(crate) mod identity;
#[cfg(not(loom))]
pub(crate) mod membarrier;
#[cfg(not(loom))]
pub(crate) mod ofd;
pub(crate) mod seeded;
#[cfg(not(loom))]
pub(crate) mod shm;
pub mod step;
