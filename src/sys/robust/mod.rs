//! The calling thread's robust list: what the kernel finishes when the thread dies.
//!
//! A thread may leave the address of one list head with the kernel. When the thread ends, for whatever reason, the
//! kernel walks the list and, in each word on it that still holds the thread's id, replaces the id by
//! [`OWNER_DIED`] and wakes one sleeper. One more word may be named as *pending*: linked soon, or unlinked just
//! now; if nobody holds that one, a sleeper is woken all the same, which covers a wake-up that the dead still owed.
//!
//! There is one head per thread and the C library owns it. So the locks of this library are linked in the C library's
//! own dialect, between its own robust mutexes, after a self-test has shown that both sides read one another's links.
//! Where they do not (another C library, a sandbox), words carry [`UNLISTED`] and death is found by asking.

#[cfg(not(loom))]
mod glibc;
#[cfg(not(loom))]
mod list;
#[cfg(loom)]
mod model;

#[cfg(not(loom))]
pub(crate) use list::{Node, ThreadList};
#[cfg(loom)]
pub(crate) use model::{Node, ThreadList, die, enter};

/// Somebody may sleep on the word (`FUTEX_WAITERS` of the kernel).
pub(crate) const WAITERS: u32 = 1 << 31;

/// The holder died with the word in its hands (`FUTEX_OWNER_DIED` of the kernel).
pub(crate) const OWNER_DIED: u32 = 1 << 30;

/// The holder is on no robust list: the kernel never takes the id beside this bit for a thread's.
pub(crate) const UNLISTED: u32 = 1 << 29;

/// The bits that name the holding thread; none of them set means that nobody holds the word.
pub(crate) const THREAD: u32 = OWNER_DIED - 1;

/// The bits of a process id that go into a claim, above the thread word.
pub(crate) const PID_BITS: u32 = (1 << 20) - 1;

/// How far a [`Node`]'s link lies behind the word that it stands for, in bytes: the C library's own distance.
pub(crate) const LINK_OFFSET: usize = 32;
