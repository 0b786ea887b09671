//! The only source of atomics and shared cells, so that the model checker can replace them.

#[cfg(not(loom))]
pub(crate) use std::hint::spin_loop;
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{
    AtomicBool, AtomicI32, AtomicI64, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64,
    AtomicUsize, Ordering, compiler_fence, fence,
};

#[cfg(loom)]
pub(crate) use loom::hint::spin_loop;
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{
    AtomicBool, AtomicI32, AtomicI64, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64,
    AtomicUsize, Ordering, fence,
};

/// A store to a word that others change by exchanges.
///
/// The model checker lets a store fall between an exchange and the value which that exchange read, as no machine does;
/// there it is an exchange itself, whose result nobody looks at.
#[inline(always)]
pub(crate) fn store_among_exchanges(word: &AtomicU64, value: u64, order: Ordering) {
    #[cfg(not(loom))]
    word.store(value, order);
    #[cfg(loom)]
    word.swap(value, order);
}

/// Orders the publish before the look of a sleep/wake pair.
///
/// The algorithms order them by sequentially consistent operations alone, which the C++ memory model allows; loom
/// treats those as acquire/release and would report a lost wake-up that no machine shows, so it gets a real fence.
#[inline(always)]
pub(crate) fn publish_then_look() {
    #[cfg(loom)]
    fence(Ordering::SeqCst);
}
