//! Barriers on other processors' behalf, so that the frequent side of a pair needs no fence.

#![allow(
    dead_code,
    reason = "a fact of the kernel, tested here, that no floor above needs yet"
)]

use std::sync::OnceLock;

/// Whether this process can both send and receive global expedited barriers.
static READY: OnceLock<bool> = OnceLock::new();

/// Registers this process as one that wants other processes' barriers; `false` if the kernel has none.
///
/// To be called before the first thread exists: microseconds then, many milliseconds later. A forked child inherits
/// the registration, a new image registers itself.
pub(crate) fn register() -> bool {
    *READY.get_or_init(|| {
        let wanted =
            libc::MEMBARRIER_CMD_GLOBAL_EXPEDITED | libc::MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED;
        let offered = command(libc::MEMBARRIER_CMD_QUERY);
        offered >= 0
            && offered & i64::from(wanted) == i64::from(wanted)
            && command(libc::MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED) == 0
    })
}

/// Makes every running thread of every registered process pass a full barrier before this returns.
///
/// `false` if the kernel refused; the caller then needs the symmetric protocol.
pub(crate) fn global() -> bool {
    register() && command(libc::MEMBARRIER_CMD_GLOBAL_EXPEDITED) == 0
}

fn command(command: i32) -> i64 {
    // SAFETY: membarrier takes three integers and touches no memory of ours.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registered_process_can_send_barriers() {
        assert_eq!(register(), global());
    }
}
