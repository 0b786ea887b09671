//! Asymmetric fences: a barrier on other processors' behalf, so that the frequent side of a pair needs none.
//!
//! `light` on one side and `heavy` on the other order as two full fences would. (Linux, `membarrier(2)`, the global
//! expedited commands, since 4.16.)

#[cfg(not(loom))]
pub(crate) use kernel::{heavy, is_ready, light, register};
#[cfg(loom)]
pub(crate) use model::{heavy, is_ready, light};

#[cfg(not(loom))]
mod kernel {
    use crate::sys::atomic::{
        AtomicBool, Ordering::Relaxed, Ordering::SeqCst, compiler_fence, fence,
    };
    use std::sync::Once;

    /// Whether this process passes the barriers that others send.
    static READY: AtomicBool = AtomicBool::new(false);

    /// Registers this process as one that passes other processes' barriers, if the kernel has them.
    ///
    /// Takes 8 us before the first thread exists, and some 10 ms later (measured): hence called early. A forked child
    /// inherits the registration, a new image registers itself.
    pub(crate) fn register() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let done = command(libc::MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED) == 0;
            READY.store(done, Relaxed); // no step: memory of this process
        });
    }

    /// Whether [`light`] orders anything in this process.
    #[inline(always)]
    pub(crate) fn is_ready() -> bool {
        READY.load(Relaxed) // set once; a thread that sees it late does without
    }

    /// The frequent side: orders what is before it and what is after it against everybody's [`heavy`].
    #[inline(always)]
    pub(crate) fn light() {
        compiler_fence(SeqCst);
    }

    /// The rare side: makes every running thread of every registered process pass a full barrier before this returns.
    ///
    /// 0.3 us, and 11 us while such a thread runs on another processor (measured). A full fence of this thread's where the
    /// kernel has no barriers, too.
    pub(crate) fn heavy() {
        register();
        fence(SeqCst);
        // Where the kernel has none it has registered nobody. Where it refuses this process alone, slices bound the harm.
        let _ = command(libc::MEMBARRIER_CMD_GLOBAL_EXPEDITED);
    }

    fn command(command: i32) -> i64 {
        // SAFETY: membarrier takes three integers and touches no memory of ours.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_process_registers_where_the_kernel_has_barriers() {
            let wanted = libc::MEMBARRIER_CMD_GLOBAL_EXPEDITED
                | libc::MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED;
            let offered = command(libc::MEMBARRIER_CMD_QUERY);
            register();
            let has_them = offered >= 0 && offered & i64::from(wanted) == i64::from(wanted);
            assert_eq!(is_ready(), has_them);
        }
    }
}

/// Under the model checker both sides are full fences.
#[cfg(loom)]
mod model {
    use crate::sys::atomic::{Ordering::SeqCst, fence};

    pub(crate) fn is_ready() -> bool {
        true
    }

    pub(crate) fn light() {
        fence(SeqCst);
    }

    pub(crate) fn heavy() {
        fence(SeqCst);
    }
}
