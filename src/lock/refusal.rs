//! Why a lock below was not taken, in the words of the verbs.

use super::{LockError, LockTimeoutError, TryLockError};
use crate::sync::Refused;
use crate::tenancy::Tenant;

impl LockTimeoutError {
    /// Of a lock in that tenant's segment.
    #[cold]
    pub(crate) fn of(why: Refused, tenant: &Tenant) -> Self {
        match why {
            Refused::TimedOut => LockTimeoutError::Timeout,
            Refused::Deadlock => LockTimeoutError::Deadlock,
            Refused::Marked(owner) => LockTimeoutError::OwnerDied {
                pid: tenant.pid_of(owner),
            },
        }
    }

    /// As who waits without an end says it.
    #[cold]
    pub(crate) fn in_no_time(self) -> LockError {
        match self {
            LockTimeoutError::OwnerDied { pid } => LockError::OwnerDied { pid },
            LockTimeoutError::Invalid => LockError::Invalid,
            // The last two come to nobody who waits without an end.
            LockTimeoutError::Deadlock | LockTimeoutError::Timeout | LockTimeoutError::Ended => {
                LockError::Deadlock
            }
        }
    }

    /// As who does not wait says it.
    #[cold]
    pub(crate) fn at_once(self) -> TryLockError {
        match self {
            LockTimeoutError::OwnerDied { pid } => TryLockError::OwnerDied { pid },
            LockTimeoutError::Invalid => TryLockError::Invalid,
            LockTimeoutError::Timeout | LockTimeoutError::Ended | LockTimeoutError::Deadlock => {
                TryLockError::WouldBlock
            }
        }
    }
}
