//! Why nobody passed a barrier.

use crate::sync::{Breakage, Cause, Failed};
use crate::sys::until::Over;
use crate::{Error, ErrorKind};
use thiserror::Error as Explained;

/// Why a wait at a [`Barrier`](crate::Barrier) failed.
///
/// Whichever it was but [`WouldBlock`](BarrierError::WouldBlock) and [`Crowded`](BarrierError::Crowded), the barrier is
/// broken for everybody until it is [reset](crate::Barrier::reset).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Explained)]
#[non_exhaustive]
pub enum BarrierError {
    /// The time given has passed, and the barrier is broken by this very call.
    #[error("the time given has passed, so the barrier is broken")]
    Timeout,
    /// The process whose end was to end the wait has ended, and the barrier is broken by this very call.
    #[error("the process that was watched has ended, so the barrier is broken")]
    Ended,
    /// A party died that nobody has taken the place of.
    #[error("a party of the barrier, process {pid}, died")]
    PeerDied {
        /// Its process id.
        pid: u32,
    },
    /// A party let go of its last handle, and without it there are too few.
    #[error("a party of the barrier, process {pid}, has left it")]
    PeerLeft {
        /// Its process id.
        pid: u32,
    },
    /// Somebody broke the barrier.
    #[error("the barrier was broken by process {pid}: {by}")]
    Broken {
        /// In what way.
        by: BrokenBy,
        /// That somebody's process id; 0 if it is not known any more.
        pid: u32,
    },
    /// Parties are missing, and nothing has happened; from [`try_wait`](crate::Barrier::try_wait) only.
    #[error("parties of the barrier are missing")]
    WouldBlock,
    /// So many processes use the barrier that this one could not be watched, and nothing has happened; only in a child
    /// of [`process::fork`](crate::process::fork()) that had no handle of its own.
    #[error("more processes use the barrier than it can watch")]
    Crowded,
}

/// In what way a [`Barrier`](crate::Barrier) was broken by somebody who lived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Explained)]
#[non_exhaustive]
pub enum BrokenBy {
    /// A party would wait no longer.
    #[error("it would wait no longer")]
    Timeout,
    /// [`Barrier::abort`](crate::Barrier::abort).
    #[error("it gave the order")]
    Abort,
    /// [`Barrier::reset`](crate::Barrier::reset), while this party waited. The barrier is whole again.
    #[error("it began anew")]
    Reset,
    /// The action panicked.
    #[error("its action panicked")]
    Panic,
}

impl From<Failed> for BarrierError {
    fn from(failed: Failed) -> Self {
        let Breakage { cause, pid } = match failed {
            Failed::Over(Over::TimedOut) => return BarrierError::Timeout,
            Failed::Over(Over::Ended) => return BarrierError::Ended,
            Failed::Broken(why) => why,
        };
        let by = match cause {
            Cause::Died => return BarrierError::PeerDied { pid },
            Cause::Left => return BarrierError::PeerLeft { pid },
            Cause::GaveUp => BrokenBy::Timeout,
            Cause::Aborted => BrokenBy::Abort,
            Cause::Reset => BrokenBy::Reset,
            Cause::Panicked => BrokenBy::Panic,
        };
        BarrierError::Broken { by, pid }
    }
}

impl From<BarrierError> for Error {
    fn from(error: BarrierError) -> Self {
        let kind = match error {
            BarrierError::Timeout => ErrorKind::Timeout,
            BarrierError::Ended => ErrorKind::Disconnected,
            BarrierError::PeerDied { .. }
            | BarrierError::PeerLeft { .. }
            | BarrierError::Broken { .. } => ErrorKind::Broken,
            BarrierError::WouldBlock => ErrorKind::WouldBlock,
            BarrierError::Crowded => ErrorKind::NoSpace,
        };
        Error::new(kind, error.to_string()).with_source(error)
    }
}
