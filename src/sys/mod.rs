//! Floor 1: the only room with `libc`. Facts of the kernel and the processor, no policy.

pub(crate) mod atomic;
pub(crate) mod backoff;
pub(crate) mod clock;
pub(crate) mod futex;
pub(crate) mod identity;
pub(crate) mod seeded;
pub mod step;
