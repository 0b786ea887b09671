//! Floor 1: the only room with `libc`. Facts of the kernel and the processor, no policy.

pub(crate) mod atomic;
pub(crate) mod seeded;
pub mod step;
